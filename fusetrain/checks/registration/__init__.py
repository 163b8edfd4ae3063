"""Where the infrared image lies against the visible one, and whether they belong together."""
