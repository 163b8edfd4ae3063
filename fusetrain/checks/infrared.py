"""Checks of what only infrared images have wrong: colours, blank and stuck frames, lines, levels.

They decide on what `images.py` measured in a child process; nothing here opens a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from fusetrain.checks.findings import Finding, finding
from fusetrain.checks.flow.facts import as_table
from fusetrain.checks.images import ImageFacts, PairFacts
from fusetrain.checks.pairs import COLOUR_MAP_COLOURS

# Mean of |R - G| + |G - B| in levels. Some sets store grey with a cast of up to 4.
GREY_CHROMA = 6.0
# A colour bar or symbols in colour: share of strongly coloured pixels. True infrared has none.
COLOURED_SHARE = 0.003
BLANK_SPREAD = 2.0
MIN_STUCK_FRAMES = 3
# Real cameras stay below 1 level; stripes that are seen start at 2.
PATTERN_LEVELS = 1.5
# Eight bits cut from sixteen leave a dozen levels; dark scenes have 30 and more.
FEW_LEVELS = 16
CLIPPED_HIGH = 0.2
CLIPPED_LOW = 0.6
STRETCHED_SPREAD = 240.0
STRETCHED_SHARE = 0.95
MIN_STRETCHED_PAIRS = 50


def check_pseudo_colour(facts: PairFacts) -> list[Finding]:
    """P10: infrared is grey, not painted with a colour map, and shows no scale in colour."""
    ir = facts.ir
    if ir is None:
        return []
    numbers = {
        "chroma": round(ir.chroma, 2),
        "colours": ir.num_colours,
        "coloured": round(ir.coloured, 4),
    }
    if ir.chroma > GREY_CHROMA:
        is_map = ir.num_colours <= COLOUR_MAP_COLOURS
        kind = "a colour map" if is_map else "many colours, as of a photograph"
        message = f"three different channels ({kind}); their luma is used"
    elif ir.coloured > COLOURED_SHARE:
        message = f"grey, but {ir.coloured:.1%} of it in colour, as of a scale or symbols"
    else:
        return []
    return [finding("P10", message, split=facts.split, path=facts.ir_path, numbers=numbers)]


def check_blank(facts: PairFacts) -> list[Finding]:
    """P11: the infrared image shows something."""
    if facts.ir is None or facts.ir.spread > BLANK_SPREAD:
        return []
    message = f"99 % of the picture lie within {facts.ir.spread:g} counts"
    numbers = {"spread": round(facts.ir.spread, 3)}
    return [finding("P11", message, split=facts.split, path=facts.ir_path, numbers=numbers)]


def check_stuck(facts: Sequence[PairFacts]) -> list[Finding]:
    """P12: infrared images that follow one another differ, at least in their noise."""
    found = []
    for rows in stuck_runs(facts):
        first, last = facts[rows[0]], facts[rows[-1]]
        message = f"{len(rows)} frames in a row show the very same picture, to {last.ir_path}"
        numbers = {"frames": len(rows)}
        found.append(
            finding("P12", message, split=first.split, path=first.ir_path, numbers=numbers)
        )
    return found


def stuck_runs(facts: Sequence[PairFacts]) -> Iterator[range]:
    """Yield the rows of MIN_STUCK_FRAMES or more infrared images in a row that are the same.

    Args:
        facts: Of one split.
    """
    table = as_table(PairFacts, facts)
    pictures = table.heads("ir", "picture", width=8).view(np.uint64)[:, 0]
    pictures[~(table.numbers("ir", "spread") > BLANK_SPREAD)] = 0  # shows nothing, or is not there
    ends = np.flatnonzero(np.diff(pictures)) + 1
    for start, stop in pairwise([0, *ends.tolist(), len(pictures)]):
        if stop - start >= MIN_STUCK_FRAMES and pictures[start]:
            yield range(start, stop)


def check_lines(facts: PairFacts) -> list[Finding]:
    """P13: no rows or columns of an infrared image are dead, and no stripes lie over it."""
    ir = facts.ir
    if ir is None:
        return []
    numbers: dict[str, float] = {}
    parts = []
    for word, number in (("rows", ir.dead_rows), ("columns", ir.dead_columns)):
        if number:
            numbers[f"dead_{word}"] = number
            parts.append(f"{number} dead {word if number > 1 else word[:-1]}")
    for word, levels in (("row", ir.row_pattern), ("column", ir.column_pattern)):
        if levels > PATTERN_LEVELS:
            numbers[f"{word}_pattern"] = round(levels, 2)
            parts.append(f"a fixed pattern of {levels:.1f} levels from {word} to {word}")
    if not parts:
        return []
    message = ", ".join(parts)
    return [finding("P13", message, split=facts.split, path=facts.ir_path, numbers=numbers)]


def check_bit_depth(facts: Sequence[PairFacts]) -> list[Finding]:
    """P14: all infrared images of a split have one bit depth."""
    table = as_table(PairFacts, facts)
    bits = table.numbers("ir", "bits")
    kinds, counts = np.unique(bits[~np.isnan(bits)], return_counts=True)
    if len(kinds) < 2:
        return []
    usual = int(counts.argmax())
    return [
        finding(
            "P14",
            f"{fact.ir.bits} bits, {counts[usual]} images of the split have {kinds[usual]:.0f}",
            split=fact.split,
            path=fact.ir_path,
            numbers={"bits": fact.ir.bits},
        )
        for fact in table.taken(np.flatnonzero(~np.isnan(bits) & (bits != kinds[usual])))
        if fact.ir is not None
    ]


def check_levels(facts: PairFacts) -> list[Finding]:
    """P14: the counts of an infrared image were not cut off or rounded to a few levels."""
    ir = facts.ir
    if ir is None or ir.spread <= BLANK_SPREAD:
        return []
    return [
        finding(
            "P14", message, split=facts.split, path=facts.ir_path, numbers=numbers, level="warn"
        )
        for message, numbers in _lost_levels(ir)
    ]


def _lost_levels(ir: ImageFacts) -> Iterator[tuple[str, dict[str, float]]]:
    if ir.bits == 8 and 0 < ir.num_levels <= FEW_LEVELS:
        yield (
            f"only {ir.num_levels} different levels, as of deep counts cut to their upper bits",
            {"levels": ir.num_levels},
        )
    for end, share, limit in (
        ("largest", ir.clipped_high, CLIPPED_HIGH),
        ("smallest", ir.clipped_low, CLIPPED_LOW),
    ):
        if share > limit:
            yield (
                f"{share:.0%} of the pixels are cut off at the {end} value",
                {f"at_{end}": round(share, 4)},
            )


def check_stretched(facts: Sequence[PairFacts]) -> list[Finding]:
    """P14, as a remark: infrared images that were each stretched to the full range of levels."""
    table = as_table(PairFacts, facts)
    spreads = table.numbers("ir", "spread")[table.numbers("ir", "bits") == 8]
    stretched = int((spreads >= STRETCHED_SPREAD).sum())
    if len(spreads) < MIN_STRETCHED_PAIRS or stretched < STRETCHED_SHARE * len(spreads):
        return []
    message = (
        f"{stretched} of {len(spreads)} infrared images fill all levels: each was stretched for "
        "itself, so that a level means another temperature in each"
    )
    numbers = {"stretched": stretched, "images": len(spreads)}
    return [finding("P14", message, split=facts[0].split, numbers=numbers, level="info")]
