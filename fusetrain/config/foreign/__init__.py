"""Configs of other trainers, turned into ours: their key names, what each becomes, and why not.

Written from their published documentation alone. Nothing of it is used by a training.
"""
