"""The findings as one self-contained HTML page."""
