"""Which pairs a check of single pairs could say anything about, told from whole columns.

Most pairs have nothing wrong, and no object is made for them. Every pair that a check of
`judging.py` names is among these; what is wrong with it is decided there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks import infrared, pairs
from fusetrain.checks.flow.facts import FactsTable
from fusetrain.checks.images import PairFacts
from fusetrain.checks.quality import INFRARED, VISIBLE, Limits

# Quotients may be rounded otherwise here.
SLACK = 0.999


def worth_a_look(facts: FactsTable[PairFacts]) -> NDArray[np.int64]:
    """Return the rows of all pairs that a check of single pairs may name, ascending."""
    is_odd = facts.lengths("findings") > 0
    is_odd |= _aspect(facts) | _copy(facts) | _infrared(facts)
    is_odd |= _quality(facts, "rgb", VISIBLE) | _quality(facts, "ir", INFRARED)
    return np.flatnonzero(is_odd)


def _aspect(facts: FactsTable[PairFacts]) -> NDArray[np.bool_]:
    rgb, ir = (
        facts.numbers(role, "size_hw", 1) / facts.numbers(role, "size_hw", 0)
        for role in ("rgb", "ir")
    )
    return np.maximum(rgb, ir) / np.minimum(rgb, ir) - 1.0 > SLACK * pairs.ASPECT_TOLERANCE


def _copy(facts: FactsTable[PairFacts]) -> NDArray[np.bool_]:
    is_like = facts.numbers("luma_correlation") >= pairs.SAME_CORRELATION
    return is_like | (facts.numbers("luma_difference") <= pairs.SAME_DIFFERENCE)


def _infrared(facts: FactsTable[PairFacts]) -> NDArray[np.bool_]:
    """Return which pairs P10, P11, P13 or P14 may name."""
    is_odd = facts.numbers("ir", "num_levels") <= infrared.FEW_LEVELS
    is_odd |= facts.numbers("ir", "spread") <= infrared.BLANK_SPREAD
    for name, limit in (
        ("chroma", infrared.GREY_CHROMA),
        ("coloured", infrared.COLOURED_SHARE),
        ("dead_rows", 0.0),
        ("dead_columns", 0.0),
        ("row_pattern", infrared.PATTERN_LEVELS),
        ("column_pattern", infrared.PATTERN_LEVELS),
        ("clipped_high", infrared.CLIPPED_HIGH),
        ("clipped_low", infrared.CLIPPED_LOW),
    ):
        is_odd |= facts.numbers("ir", name) > limit
    return is_odd


def _quality(facts: FactsTable[PairFacts], role: str, limits: Limits) -> NDArray[np.bool_]:
    is_odd = facts.numbers(role, "high") < limits.dark_level
    is_odd |= facts.numbers(role, "median") >= limits.bright_level
    is_odd |= facts.numbers(role, "clipped_high") > limits.clipped_share
    is_odd |= facts.numbers(role, "entropy") < limits.entropy
    return is_odd | (facts.numbers(role, "sharpness") < limits.sharpness)
