"""A quick look at the data set of a run: names and labels of all pairs, pixels of a sample.

It takes the checks of `check-data` that tell why a training fails. Up to 200 pairs of a split are
decoded, so that large sets are looked at within seconds; `check-data` looks at all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fusetrain.build import TRAINING_SPLITS
from fusetrain.checks import infrared, pairs
from fusetrain.checks.audit import scan_splits
from fusetrain.checks.duplicates import check_duplicates
from fusetrain.checks.findings import Finding
from fusetrain.checks.flow.measuring import Effort, Progress, measure_all
from fusetrain.checks.flow.tasks import registration_tasks
from fusetrain.checks.leakage import check_neighbours
from fusetrain.checks.registration.shifts import check_registration
from fusetrain.data.index import SplitScan
from fusetrain.data.spec import DataSpec, load_spec
from fusetrain.errors import DataError


@dataclass(frozen=True)
class SplitLook:
    """What a split looks like.

    Attributes:
        pairs: Pairs.
        orphans: Images of both cameras without a partner.
        boxes: Boxes of all pairs.
        boxes_of: Boxes of each class, in the order of the names.
        empty: Pairs without a box.
        unlabelled: Pairs without a label file.
        looked_at: Pairs whose pixels were looked at.
    """

    pairs: int
    orphans: int
    boxes: int
    boxes_of: tuple[int, ...]
    empty: int
    unlabelled: int
    looked_at: int = 0


@dataclass(frozen=True)
class DataLook:
    """What the data set of a run looks like now.

    Attributes:
        class_names: Names of the classes.
        splits: `train` and `val`.
        findings: What checks found about the pixels of the sample.
    """

    class_names: tuple[str, ...]
    splits: Mapping[str, SplitLook]
    findings: tuple[Finding, ...] = field(default=(), repr=False)

    def found(self, code: str, split: str | None = None) -> list[Finding]:
        """Return the findings of a code, in a split or in all."""
        return [
            entry
            for entry in self.findings
            if entry.code == code and split in (None, "", entry.split)
        ]


def look_at(path: Path, *, progress: Progress | None = None) -> DataLook:
    """Look at the training and validation pairs of a data set.

    Raises:
        DataError: There is no such data set, or it lacks one of the two splits.
    """
    spec = load_spec(path)
    missing = [split for split in TRAINING_SPLITS if split not in spec.splits]
    if missing:
        raise DataError(f"the data set has no {missing[0]} split", where=str(spec.path))
    effort = Effort(progress=progress)
    scans = scan_splits(spec, TRAINING_SPLITS, workers=effort.num_workers)
    findings, looked_at = _sampled(scans, effort)
    return DataLook(
        class_names=_names(spec),
        splits={
            name: _split_look(scan, looked_at=looked_at[name], num_classes=len(_names(spec)))
            for name, scan in scans.items()
        },
        findings=findings,
    )


def _names(spec: DataSpec) -> tuple[str, ...]:
    return tuple(spec.class_names)


def _split_look(scan: SplitScan, *, looked_at: int, num_classes: int) -> SplitLook:
    index = scan.index
    return SplitLook(
        pairs=len(index),
        orphans=len(scan.pairing.rgb_only) + len(scan.pairing.ir_only),
        boxes=len(index.boxes),
        boxes_of=tuple(np.bincount(index.box_classes, minlength=num_classes).tolist()),
        empty=int((np.diff(index.box_ends, prepend=0) == 0).sum()),
        unlabelled=int((~index.has_labels).sum()),
        looked_at=looked_at,
    )


def _sampled(
    scans: Mapping[str, SplitScan], effort: Effort
) -> tuple[tuple[Finding, ...], dict[str, int]]:
    """Return what the pixels of a sample show, and how many pairs of each split are in it."""
    tasks = registration_tasks([scan.index for scan in scans.values()], "sample")
    facts, registration = measure_all(tasks, tasks, headers_only=False, effort=effort)
    found: list[Finding] = []
    counts = {}
    for name in scans:
        own = [fact for fact in facts if fact.split == name]
        counts[name] = len(own)
        found += pairs.check_swapped(own) if own else []
        for fact in own:
            found += infrared.check_blank(fact)
    if len(facts):
        found += check_duplicates(facts)
        found += check_neighbours(facts)
    found += check_registration(registration)
    return tuple(found), counts
