"""The search for settings: what may be tried, the study that remembers it, the loop over trials."""
