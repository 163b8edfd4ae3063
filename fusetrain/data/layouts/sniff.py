"""Tell how label files are written from the first lines of some of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fusetrain.data.labels import read_label_text
from fusetrain.data.sources import LabelFormat

SNIFFED_FILES = 24
VEDAI_COLUMNS = (14, 15)
KAIST_COLUMNS = (10, 11, 12)
MAX_SHARE = 2.0


def sniff_texts(paths: Sequence[Path]) -> LabelFormat | None:
    """Return the format of most of the text files, looked at evenly; None where none can be told.

    Args:
        paths: All files of a folder; empty ones say nothing.
    """
    step = max(1, -(-len(paths) // SNIFFED_FILES))
    votes: Counter[LabelFormat] = Counter()
    for path in paths[::step]:
        try:
            text = read_label_text(path)
        except (OSError, ValueError):
            continue
        if found := sniff_text(text):
            votes[found] += 1
    return votes.most_common(1)[0][0] if votes else None


def sniff_text(text: str) -> LabelFormat | None:
    """Return the format of one text file by its first line that holds a box."""
    for line in text.split("\n"):
        tokens = line.split()
        if not tokens:
            continue
        if tokens[0].startswith("%"):
            return "kaist"
        if tokens[0].startswith(("imagesource:", "gsd:")):
            continue
        return _of_tokens(tokens)
    return None


def _of_tokens(tokens: Sequence[str]) -> LabelFormat | None:
    numbers = [_number(token) for token in tokens]
    finite = [number for number in numbers if number is not None]
    if len(finite) == len(tokens):
        if len(tokens) == 5:
            return "yolo"
        if len(tokens) in VEDAI_COLUMNS:
            return "vedai"
        if len(tokens) == 9 and all(abs(number) <= MAX_SHARE for number in finite[1:]):
            return "obb"
        return None
    if len(tokens) in (9, 10) and None not in numbers[:8] and numbers[8] is None:
        return "obb"
    is_labelled = numbers[0] is None and None not in numbers[1:]
    return "kaist" if is_labelled and len(tokens) in KAIST_COLUMNS else None


def _number(token: str) -> float | None:
    try:
        value = float(token)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
