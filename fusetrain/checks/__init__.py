"""The validator of RGB-IR pairs: small checks that return findings."""
