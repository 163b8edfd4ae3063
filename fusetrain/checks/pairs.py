"""Checks of the pairing: orphans, ambiguous names, modalities that are swapped or no modality.

The checks of names take a `SplitScan`; those of pixels take what `images.py` measured in a child
process and decide here. Nothing in this file opens a file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.findings import Finding, finding
from fusetrain.checks.flow.facts import FactsTable, as_table
from fusetrain.checks.images import PairFacts
from fusetrain.data.index import SplitScan

ASPECT_TOLERANCE = 0.02
# Mean of |R - G| + |G - B| in levels. Grey with a slight cast stays below 4.
GREY_CHROMA = 4.0
COLOUR_RATIO = 1.5
# A colour map is a curve through the 32 x 32 x 32 cube of 5-bit colours, and strong in colour;
# scenes fill a volume, or are pale.
COLOUR_MAP_COLOURS = 256
COLOURED_SHARE = 0.3
SAME_DIFFERENCE = 1.5
# Real pairs reach 0.83; a copy that was compressed, scaled or brightened stays above 0.98.
SAME_CORRELATION = 0.97
SWAPPED_SHARE = 0.75
ODD_SHARE = 0.25


def check_partners(scan: SplitScan) -> list[Finding]:
    """P01, P02, P03, P15: every image has exactly one partner, and there are pairs at all."""
    split = scan.index.split
    found = []
    for code, orphans, other in (
        ("P01", scan.pairing.rgb_only, "infrared"),
        ("P02", scan.pairing.ir_only, "visible"),
    ):
        for orphan in orphans:
            hint = f"; did you mean {orphan.nearest}?" if orphan.nearest else ""
            message = f"no {other} image has this name{hint}"
            found.append(finding(code, message, split=split, path=orphan.path))
    for clash in scan.pairing.ambiguous:
        paths = [*clash.rgb_paths, *clash.ir_paths]
        message = f"the key {clash.key!r} is shared by {', '.join(paths)}"
        found.append(finding("P03", message, split=split, path=paths[0]))
    if len(scan.index) == 0:
        found.append(finding("P15", f"the split {split} has no pair", split=split))
    return found


def check_foreign(scan: SplitScan) -> list[Finding]:
    """I10: no picture lies there in a format that is not read, and is left out in silence."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for path in scan.pairing.foreign:
        folder, suffix = os.path.dirname(path), os.path.splitext(path)[1].lower()
        kinds.setdefault((folder, suffix), []).append(path)
    return [
        finding(
            "I10",
            f"{len(paths)} of its folder end in {suffix}, which is not read",
            split=scan.index.split,
            path=paths[0],
            numbers={"files": len(paths)},
        )
        for (_, suffix), paths in kinds.items()
    ]


def check_aspect(facts: PairFacts) -> list[Finding]:
    """P04: the views of a pair have one aspect ratio; their sizes may differ."""
    if facts.rgb is None or facts.ir is None:
        return []
    ratios = [image.size_hw[1] / image.size_hw[0] for image in (facts.rgb, facts.ir)]
    difference = max(ratios) / min(ratios) - 1.0
    if difference <= ASPECT_TOLERANCE:
        return []
    (rgb_h, rgb_w), (ir_h, ir_w) = facts.rgb.size_hw, facts.ir.size_hw
    message = f"visible {rgb_w} x {rgb_h} px, infrared {ir_w} x {ir_h} px"
    return [
        finding(
            "P04",
            message,
            split=facts.split,
            path=facts.ir_path,
            numbers={"difference": round(difference, 4)},
        )
    ]


def check_copy(facts: PairFacts) -> list[Finding]:
    """P06: the infrared image is not the visible one in grey, however it was stored."""
    difference, correlation = facts.luma_difference, facts.luma_correlation
    if correlation is None:
        return []
    if correlation < SAME_CORRELATION and (difference is None or difference > SAME_DIFFERENCE):
        return []
    message = f"equals {facts.rgb_path} in grey (correlation {correlation:.3f})"
    numbers = {"correlation": round(correlation, 4)}
    if difference is not None:
        numbers["difference"] = round(difference, 3)
    return [finding("P06", message, split=facts.split, path=facts.ir_path, numbers=numbers)]


def check_swapped(facts: Sequence[PairFacts]) -> list[Finding]:
    """P05: visible images are in colour and infrared ones are not, all in all and in each pair."""
    table = as_table(PairFacts, facts)
    is_whole = ~np.isnan(table.numbers("rgb", "bits") + table.numbers("ir", "bits"))
    swapped = np.flatnonzero(is_whole & _look_swapped(table)).tolist()
    if not swapped:
        return []
    share = len(swapped) / int(is_whole.sum())
    if share >= SWAPPED_SHARE:
        message = f"in {share:.0%} of the pairs the visible image is grey, infrared in full colour"
        return [finding("P05", message, split=facts[0].split, numbers={"share": round(share, 4)})]
    if share > ODD_SHARE:  # a visible camera without colour, then, or a colour map of its own kind
        return []
    message = "the visible image is grey and the infrared one in full colour, unlike other pairs"
    return [
        finding("P05", message, split=fact.split, path=fact.ir_path)
        for fact in (facts[row] for row in swapped)
    ]


def _look_swapped(facts: FactsTable[PairFacts]) -> NDArray[np.bool_]:
    rgb_chroma, ir_chroma = (facts.numbers(role, "chroma") for role in ("rgb", "ir"))
    is_deep = (facts.numbers("rgb", "bits") > 8) & (facts.numbers("ir", "bits") == 8)
    is_grey = rgb_chroma <= GREY_CHROMA
    is_grey &= ir_chroma > COLOUR_RATIO * np.maximum(rgb_chroma, 1.0)
    is_map = facts.numbers("ir", "num_colours") <= COLOUR_MAP_COLOURS
    is_map &= facts.numbers("ir", "coloured") > COLOURED_SHARE
    return np.asarray((is_deep & (ir_chroma > GREY_CHROMA)) | (is_grey & ~is_map))
