"""Compare kinds of fusion with each other and with either modality alone: one table, and the gain.

The trainings are those of `trainings.py`; they differ in `model.fusion` and the seed alone, and in
that a detector of one camera is always shown what it sees.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

from measuring.tables import Row, mean_text, table_text
from measuring.trainings import HEADER, Result, trained

SINGLE_KINDS = ("rgb", "ir")
# As `fusetrain train --with-baselines` trains them.
UNHARMED = ("augment.drop_rgb=0", "augment.drop_ir=0", "augment.ir_shift=0")


def add_kinds(parser: argparse.ArgumentParser, *kinds: str) -> None:
    """Add the option that says which kinds are compared."""
    parser.add_argument("--kinds", nargs="+", default=list(kinds), help="values of model.fusion")


def compare_kinds(
    config: Path, data: Path, *, args: argparse.Namespace, folder: Path, peers: Sequence[Row] = ()
) -> None:
    """Train the kinds of ``args.kinds`` and print the table and what fusion gains.

    Args:
        config: Training config.
        data: Data YAML or data-set folder.
        args: The options of `add_arguments` and `add_kinds`.
        folder: Where run folders and logs are written.
        peers: Further rows for the table.
    """
    variants = {kind: _settings(kind) for kind in args.kinds}
    rows, results = trained(config, data, variants, args=args, folder=folder)
    print(table_text(HEADER, [*rows, *peers], markdown=args.markdown))
    print()
    for line in gain_lines(results):
        print(line)


def _settings(kind: str) -> tuple[str, ...]:
    """Return the settings of a kind; what sees one image alone never loses it, to be fair."""
    kept = UNHARMED if kind in SINGLE_KINDS else ()
    return (f"model.fusion={kind}", *kept)


def gain_lines(results: Sequence[Result]) -> list[str]:
    """Return the gain of each fused kind over the best single modality, seed by seed.

    The best single modality is that of the higher mean score, for each of the two scores.
    """
    kinds = dict.fromkeys(result.variant for result in results)
    singles = [kind for kind in kinds if kind in SINGLE_KINDS]
    lines = []
    for kind in kinds:
        if kind in SINGLE_KINDS or not singles:
            continue
        parts = []
        for title, field in (("mAP50", "map50"), ("mAP50-95", "map50_95")):
            scores = {
                name: [getattr(result, field) for result in results if result.variant == name]
                for name in (kind, *singles)
            }
            best = max(singles, key=lambda name: statistics.fmean(scores[name]))
            gains = [a - b for a, b in zip(scores[kind], scores[best], strict=True)]
            parts.append(f"{title} {mean_text(gains, sign='+')} over {best}")
        lines.append(f"fusion gain of {kind}: {', '.join(parts)}")
    return lines
