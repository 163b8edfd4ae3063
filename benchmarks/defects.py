"""Plant known defects into copies of clean pairs and count how many the checks find.

    python benchmarks/defects.py                          # synthetic pairs
    python benchmarks/defects.py --data ROADSCENE ...     # and real ones, alternating
    python benchmarks/defects.py --seeds 5 --only cut --markdown

Each kind is planted once a seed, every time at another place and in another way. A kind whose
findings are errors must be found always, one of warnings in 95 of 100 cases. At the end the sets
that are named, and the synthetic one, are checked as they are: what is found there is a false
alarm. Copies lie in a temporary folder; the sets that are named are only read.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from pathlib import Path

from measuring.corpus import Kind, Set, Source, findings_of, grow, is_found, read_source
from measuring.file_kinds import FILE_KINDS
from measuring.image_kinds import IMAGE_KINDS
from measuring.label_kinds import LABEL_KINDS
from measuring.set_kinds import SET_KINDS
from measuring.tables import table_text

from fusetrain.checks.audit import AuditOptions, audit_path
from fusetrain.data.demo import write_demo

KINDS = (*FILE_KINDS, *IMAGE_KINDS, *LABEL_KINDS, *SET_KINDS)
# Pairs that stay as they are in a set of many defects.
SPARE_PAIRS = 12
NEEDED = {"error": 1.0, "warn": 0.95, "info": 0.0}
Tally = dict[str, list[bool]]


def shared_sets(
    kinds: list[Kind], source: Source, folder: Path, *, seed: int, tally: Tally
) -> None:
    """Plant kinds that concern one pair, as many in a set as it has pairs for."""
    rng = random.Random(seed)
    room = (min(len(source.pairs) - 8, 60) - SPARE_PAIRS) // 2
    for start in range(0, len(kinds), room):
        part = kinds[start : start + room]
        root = folder / f"pairs-{seed}-{start}"
        data = grow(source, root, rng=rng, train=2 * len(part) + SPARE_PAIRS)
        places = {kind.name: _plant(kind, data) for kind in part}
        findings = findings_of(root)
        for kind in part:
            tally[kind.name].append(is_found(kind, places[kind.name], findings))


def own_set(kind: Kind, source: Source, folder: Path, *, seed: int, tally: Tally) -> None:
    """Plant a kind that concerns a whole set."""
    root = folder / f"set-{seed}-{KINDS.index(kind)}"
    data = grow(source, root, rng=random.Random(seed), train=kind.num_pairs)
    place = _plant(kind, data)
    found = findings_of(root, registration=kind.registration)
    tally[kind.name].append(is_found(kind, place, found))


def _plant(kind: Kind, data: Set) -> str | None:
    place = kind.plant(data)
    return None if place is None else data.name(place)


def false_alarms(path: Path) -> tuple[str, ...]:
    """Return how many pairs of a clean set are named in findings of the kinds P, I and L."""
    report = audit_path(path, options=AuditOptions(registration="all"))
    judged = [entry for entry in report.findings if entry.code[0] in "PIL"]
    # A set without any labels is no set for this question.
    judged = [entry for entry in judged if entry.code != "L09"]
    errors = sum(entry.level == "error" for entry in judged)
    named = {entry.path or entry.split for entry in judged if entry.level == "warn"}
    codes = ", ".join(f"{code} {number}" for code, number in report.counts.items())
    numbers = (sum(report.num_pairs.values()), errors, len(named))
    return path.name, *map(str, numbers), codes or "nothing"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="clean data sets")
    parser.add_argument("--unlabelled", type=Path, nargs="*", default=[], help="for false alarms")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", default="", help="kinds whose name holds this text")
    parser.add_argument("--markdown", action="store_true")
    args = parser.parse_args()
    warnings.filterwarnings(
        "ignore", module=r"PIL\."
    )  # of cut files, as in the processes of the pool
    kinds = [kind for kind in KINDS if args.only in kind.name]
    tally: Tally = defaultdict(list)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="defects-") as name:
        folder = Path(name)
        write_demo(folder / "demo", num_pairs=140)
        real = [read_source(path, is_real=True) for path in args.data]
        sources = [*real, read_source(folder / "demo", is_real=False)]
        for seed in range(args.seeds):
            source = sources[seed % len(sources)]
            shared = [kind for kind in kinds if not kind.whole_set]
            with tempfile.TemporaryDirectory(dir=folder) as sets:
                shared_sets(shared, source, Path(sets), seed=seed, tally=tally)
                for kind in kinds:
                    if kind.whole_set:
                        chosen = real[seed % len(real)] if kind.only_real and real else source
                        if chosen.is_real or not kind.only_real:
                            own_set(kind, chosen, Path(sets), seed=seed, tally=tally)
            print(f"seed {seed}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
        rows = [
            (
                kind.name,
                " ".join(kind.codes),
                kind.level,
                f"{sum(tally[kind.name])}/{len(tally[kind.name])}",
                f"{sum(tally[kind.name]) / len(tally[kind.name]):.0%}",
            )
            for kind in kinds
            if tally[kind.name]
        ]
        print(
            table_text(
                ("defect", "codes", "level", "found", "recall"), rows, markdown=args.markdown
            )
        )
        if not args.only:
            alarms = [
                false_alarms(path) for path in (*args.data, *args.unlabelled, folder / "demo")
            ]
            titles = ("clean set", "pairs", "P I L errors", "named in warnings", "all findings")
            print()
            print(table_text(titles, alarms, markdown=args.markdown))
    missed = [
        kind.name
        for kind in kinds
        if tally[kind.name] and sum(tally[kind.name]) < NEEDED[kind.level] * len(tally[kind.name])
    ]
    print(f"\nbelow what is needed: {', '.join(missed) or 'none'} of {len(kinds)} kinds")


if __name__ == "__main__":
    main()
