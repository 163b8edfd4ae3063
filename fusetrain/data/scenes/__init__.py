"""Synthetic RGB-IR scenes: stage, objects, light and air, the two cameras."""
