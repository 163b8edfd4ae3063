"""The validator of RGB-IR pairs: small checks that return findings.

What is checked stands here, by its kind; `flow/` runs the checks over sets of any size,
`registration/` compares the two cameras, `page/` shows the findings.
"""
