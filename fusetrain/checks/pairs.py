"""Checks of the pairing: orphans, ambiguous names, modalities that are swapped or no modality.

The checks of names take a `SplitScan`; those of pixels take what `images.py` measured in a child
process and decide here. Nothing in this file opens a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from fusetrain.checks.findings import Finding, finding
from fusetrain.checks.images import PairFacts
from fusetrain.data.index import SplitScan

ASPECT_TOLERANCE = 0.02
# Mean of |R - G| + |G - B| in levels. JPEG rounding of grey stays below 2, day scenes reach 10.
GREY_CHROMA = 4.0
# A colour map is a curve through the 32 x 32 x 32 cube of 5-bit colours; scenes fill a volume.
COLOUR_MAP_COLOURS = 256
BLANK_SPREAD = 2.0
SAME_DIFFERENCE = 1.5
SWAPPED_SHARE = 0.9


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
    """P06: the infrared image is not the visible one in grey."""
    difference = facts.luma_difference
    if difference is None or difference > SAME_DIFFERENCE:
        return []
    message = f"equals {facts.rgb_path} in grey (mean difference {difference:.2f} of 255 levels)"
    numbers = {"difference": round(difference, 3)}
    return [finding("P06", message, split=facts.split, path=facts.ir_path, numbers=numbers)]


def check_pseudo_colour(facts: PairFacts) -> list[Finding]:
    """P10: infrared is grey, not painted with a colour map."""
    if facts.ir is None or facts.ir.chroma <= GREY_CHROMA:
        return []
    colours = facts.ir.num_colours
    kind = "a colour map" if colours <= COLOUR_MAP_COLOURS else "colours of a photograph"
    message = f"three different channels ({kind}); their luma is used"
    numbers = {"chroma": round(facts.ir.chroma, 2), "colours": colours}
    return [finding("P10", message, split=facts.split, path=facts.ir_path, numbers=numbers)]


def check_blank(facts: PairFacts) -> list[Finding]:
    """P11: the infrared image shows something."""
    if facts.ir is None or facts.ir.spread > BLANK_SPREAD:
        return []
    message = f"99 % of the pixels lie within {facts.ir.spread:g} counts"
    numbers = {"spread": round(facts.ir.spread, 3)}
    return [finding("P11", message, split=facts.split, path=facts.ir_path, numbers=numbers)]


def check_swapped(facts: Sequence[PairFacts]) -> list[Finding]:
    """P05: nearly all visible images are grey and nearly all infrared ones are in full colour."""
    both = [(fact.rgb, fact.ir) for fact in facts if fact.rgb is not None and fact.ir is not None]
    if not both:
        return []
    grey = np.mean([rgb.chroma <= GREY_CHROMA for rgb, _ in both])
    colour = np.mean(
        [ir.chroma > GREY_CHROMA and ir.num_colours > COLOUR_MAP_COLOURS for _, ir in both]
    )
    if grey < SWAPPED_SHARE or colour < SWAPPED_SHARE:
        return []
    message = f"{grey:.0%} of the visible images are grey, {colour:.0%} of the infrared in colour"
    numbers = {"grey_visible": float(grey), "colour_infrared": float(colour)}
    return [finding("P05", message, split=facts[0].split, numbers=numbers)]


def check_bit_depth(facts: Sequence[PairFacts]) -> list[Finding]:
    """P14: all infrared images of a split have one bit depth."""
    census = Counter(fact.ir.bits for fact in facts if fact.ir is not None)
    if len(census) < 2:
        return []
    usual = census.most_common(1)[0][0]
    return [
        finding(
            "P14",
            f"{fact.ir.bits} bits, {census[usual]} images of the split have {usual}",
            split=fact.split,
            path=fact.ir_path,
            numbers={"bits": fact.ir.bits},
        )
        for fact in facts
        if fact.ir is not None and fact.ir.bits != usual
    ]
