"""Runs read back and set side by side: for the terminal, for scripts, and as one page of HTML."""
