"""How often the shift between visible and infrared images is found, and how honest "sure" is.

    python benchmarks/registration.py --data ROADSCENE MSRS KAIST

Each pair is given a random shift of up to 40 px on both axes (at a long side of 640 px; how, says
measuring/planted_shifts.py) and measured with and without it. `moved` counts pairs whose estimate
moves by the planted shift within 2 px; `near` those within 5 px of it, so that the true shift of
the pair counts as a fault; `far` those over 10 px off. Strangers are visible images with the
infrared image of another scene: none should be sure. A sequence is ten neighbouring pairs with one
common shift; its median must move by it within 2 px.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measuring.planted_shifts import MARGIN_PX, GreyPair, load_pairs, plain_shift, planted
from measuring.tables import table_text
from numpy.typing import NDArray

from fusetrain.allocator import keep_small_blocks
from fusetrain.checks.registration.alignment import align

HEADER = ("method", "pairs", "n", "moved", "near", "far", "sure", "sure near", "sure far", "ms")
SEQUENCE = 10
Estimate = tuple[float, float, bool]


@dataclass(frozen=True)
class Outcome:
    """Estimates of all pairs, one row each.

    Attributes:
        before: (N, 2) dx, dy without a planted shift.
        after: (N, 2) dx, dy with it.
        is_sure: (N,) whether the second one is sure.
        shifts: (N, 2) planted.
        ms: Mean time of an estimate.
    """

    before: NDArray[np.float64]
    after: NDArray[np.float64]
    is_sure: NDArray[np.bool_]
    shifts: NDArray[np.int64]
    ms: float


def plain(rgb: NDArray[np.float32], ir: NDArray[np.float32]) -> Estimate:
    return *plain_shift(rgb, ir), True


def tiles(rgb: NDArray[np.float32], ir: NDArray[np.float32]) -> Estimate:
    found = align(rgb, ir)
    if found is None:
        return 0.0, 0.0, False
    px = found.px * max(rgb.shape) / 640.0
    return found.similarity.dx * px, found.similarity.dy * px, found.is_sure


def outcome(
    pairs: list[GreyPair], shifts: NDArray[np.int64], estimate: Callable[..., Estimate]
) -> Outcome:
    start = time.process_time()
    before = [estimate(*planted(pair, (0, 0))) for pair in pairs]
    after = [
        estimate(*planted(pair, (int(dx), int(dy))))
        for pair, (dx, dy) in zip(pairs, shifts, strict=True)
    ]
    ms = (time.process_time() - start) * 1000.0 / (2 * len(pairs))
    sure = np.array([row[2] for row in after])
    positions = [np.array([row[:2] for row in rows]) for rows in (before, after)]
    return Outcome(positions[0], positions[1], sure, shifts, ms)


def rows_of(name: str, result: Outcome, dark: NDArray[np.bool_]) -> list[list[str]]:
    moved = np.abs(result.after - result.before - result.shifts).max(axis=1) <= 2.0
    off = np.abs(result.after - result.shifts).max(axis=1)
    rows = []
    for group, chosen in (("bright", ~dark), ("dark", dark), ("all", dark | ~dark)):
        if not chosen.any():
            continue
        sure = chosen & result.is_sure
        shares = [moved[chosen], off[chosen] <= 5.0, off[chosen] > 10.0, result.is_sure[chosen]]
        shares += [off[sure] <= 5.0, off[sure] > 10.0]
        cells = [f"{share.mean() * 100:.1f} %" if len(share) else "-" for share in shares]
        rows.append([name, group, str(chosen.sum()), *cells, f"{result.ms:.0f}"])
    return rows


def strangers(pairs: list[GreyPair], rng: np.random.Generator) -> str:
    sure = count = 0
    for place, pair in enumerate(pairs):
        others = [
            other
            for number, other in enumerate(pairs)
            if other.ir.shape == pair.rgb.shape
            and abs(number - place) > SEQUENCE
            and other.name.rpartition("/")[2] != pair.name.rpartition("/")[2]
        ]
        if others:
            other = others[int(rng.integers(len(others)))]
            sure += tiles(*planted(pair, (0, 0), ir=other.ir))[2]
            count += 1
    return f"strangers: {sure} of {count} sure"


def sequences(pairs: list[GreyPair], rng: np.random.Generator) -> str:
    right = count = 0
    for start in range(0, len(pairs) - SEQUENCE + 1, SEQUENCE):
        dx, dy = map(int, rng.integers(-MARGIN_PX, MARGIN_PX + 1, 2))
        medians = []
        for shift in ((0, 0), (dx, dy)):
            found = [tiles(*planted(pair, shift)) for pair in pairs[start : start + SEQUENCE]]
            medians.append(np.median([row[:2] for row in found if row[2]], axis=0))
        right += bool(np.abs(medians[1] - medians[0] - (dx, dy)).max() <= 2.0)
        count += 1
    return f"sequences of {SEQUENCE} pairs: {right} of {count} right within 2 px"


def untouched(pairs: list[GreyPair]) -> str:
    found = [align(pair.rgb, pair.ir) for pair in pairs]
    sure = [
        np.hypot(one.similarity.dx, one.similarity.dy) * one.px
        for one in found
        if one is not None and one.is_sure
    ]
    over = sum(length > 10.0 for length in sure)
    return (
        f"as they are: {len(sure)} of {len(pairs)} sure, the median {np.median(sure):.1f} px and "
        f"at most {max(sure):.1f} px apart, {over} over 10 px"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="data sets")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--markdown", action="store_true")
    args = parser.parse_args()
    keep_small_blocks()  # as the processes of a check do
    pairs = load_pairs(args.data)
    dark = np.array([pair.is_dark for pair in pairs])
    rng = np.random.default_rng(args.seed)
    shifts = rng.integers(-MARGIN_PX, MARGIN_PX + 1, (len(pairs), 2))
    rows = []
    for name, estimate in (("plain", plain), ("tiles", tiles)):
        rows += rows_of(name, outcome(pairs, shifts, estimate), dark)
    print(table_text(HEADER, rows, markdown=args.markdown))
    print()
    print(strangers(pairs, rng))
    print(sequences(pairs, rng))
    print(untouched(pairs))


if __name__ == "__main__":
    main()
