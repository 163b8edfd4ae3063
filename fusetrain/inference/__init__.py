"""Trained detectors put to use: judged on a split, or let loose on what a user names."""
