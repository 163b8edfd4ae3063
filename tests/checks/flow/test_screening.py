"""What the screening passes over has nothing wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fusetrain.checks.findings import finding
from fusetrain.checks.flow.facts import FactsTable
from fusetrain.checks.flow.judging import PAIR_CHECKS
from fusetrain.checks.flow.screening import worth_a_look
from fusetrain.checks.images import ImageFacts, PairFacts

CLEAN = ImageFacts(
    (480, 640), 8, 7, 1.0, 1, 200.0, high=200.0, median=90.0, entropy=7.0, num_levels=200,
    sharpness=0.65,
)  # fmt: skip
PAIR = PairFacts("train", 0, "a.jpg", "b.jpg", CLEAN, CLEAN, 50.0, 0.1)
ODD: dict[str, Any] = {
    "size_hw": (512, 640), "chroma": 30.0, "coloured": 0.5, "spread": 1.0, "num_levels": 9,
    "clipped_high": 0.9, "clipped_low": 0.9, "high": 3.0, "median": 252.0, "entropy": 1.0,
    "sharpness": 0.1, "dead_rows": 2, "dead_columns": 1, "row_pattern": 3.0,
    "column_pattern": 3.0, "bits": 16,
}  # fmt: skip


def drawn(rng: np.random.Generator) -> PairFacts:
    """Return a pair with some things wrong, or none."""

    def image() -> ImageFacts | None:
        names = [name for name in ODD if rng.random() < 0.05]
        return None if rng.random() < 0.1 else replace(CLEAN, **{n: ODD[n] for n in names})

    found = (finding("I04", "x"),) if rng.random() < 0.05 else ()
    like = None if rng.random() < 0.2 else float(rng.choice([0.1, 0.99]))
    unlike = None if rng.random() < 0.2 else float(rng.choice([40.0, 0.5]))
    return replace(
        PAIR,
        rgb=image(),
        ir=image(),
        luma_correlation=like,
        luma_difference=unlike,
        findings=found,
    )


def test_every_pair_that_a_check_names_is_looked_at() -> None:
    rng = np.random.default_rng(0)
    pairs = [drawn(rng) for _ in range(3_000)]
    named = {row for row, pair in enumerate(pairs) if any(check(pair) for check in PAIR_CHECKS)} | {
        row for row, pair in enumerate(pairs) if pair.findings
    }
    looked_at = set(worth_a_look(FactsTable.pack(PairFacts, pairs)).tolist())
    assert 300 < len(named) < 2_900
    assert named <= looked_at


def test_clean_and_missing_images_are_passed_over() -> None:
    pairs = [PAIR, replace(PAIR, rgb=None), replace(PAIR, ir=None), PAIR]
    table = FactsTable.pack(PairFacts, pairs)
    assert worth_a_look(table).tolist() == []
    assert worth_a_look(table.part(1, 3)).tolist() == []
    assert worth_a_look(FactsTable.pack(PairFacts, [])).tolist() == []
