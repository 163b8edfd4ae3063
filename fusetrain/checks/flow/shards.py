"""Check a large set on several machines: each measures a part of the pairs, one joins the parts.

A shard measures and judges nothing; the join reads names and labels again and judges all facts, so
that it finds exactly what one machine would have found. Whatever does not belong together is
refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from fusetrain.checks.audit import (
    AS_USUAL,
    AuditOptions,
    AuditReport,
    Opened,
    chosen_splits,
    report_on,
    scan_splits,
)
from fusetrain.checks.flow.facts import FactsTable, facts_schema
from fusetrain.checks.flow.facts_file import SUFFIX, FactsFile, measured_by, write_facts
from fusetrain.checks.flow.kept import open_state
from fusetrain.checks.flow.measuring import Effort, Progress, measure_all
from fusetrain.checks.flow.shard_files import (
    AGAIN,
    KIND,
    load_shards,
    require_equal,
    require_writable,
)
from fusetrain.checks.flow.tasks import (
    Registration,
    all_tasks,
    list_pairs,
    listing_digest,
    registration_tasks,
)
from fusetrain.checks.images import PairFacts
from fusetrain.checks.registration.shifts import RegistrationFacts
from fusetrain.data.formats.coco_json import read_once
from fusetrain.data.index import DatasetIndex
from fusetrain.data.spec import DataSpec, load_spec
from fusetrain.errors import DataError, UsageError


@dataclass(frozen=True)
class Shard:
    """One part of a check.

    Attributes:
        number: Which part, from 1.
        count: Parts in all.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return what ``--shard I/N`` asks for.

        Raises:
            UsageError: It is not of this form, or I is not in 1 to N.
        """
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
        number, count = map(int, match.groups()) if match else (0, 0)
        if not 1 <= number <= count:
            raise UsageError(f"--shard {text}", expected="I/N with I from 1 to N, such as 2/8")
        return cls(number, count)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def default_file(self) -> Path:
        """Return the name of the file where none is asked for, in the working folder."""
        return Path(f"check-data.shard-{self.number}-of-{self.count}{SUFFIX}")


def write_shard(
    path: Path,
    shard: Shard,
    *,
    out: Path,
    only_splits: Sequence[str] = (),
    workers: int | None = None,
    progress: Progress | None = None,
    options: AuditOptions = AS_USUAL,
    opened: Opened | None = None,
) -> int:
    """Measure one part of the pairs and write what was found.

    Args:
        path: Data YAML or data-set folder.
        shard: Which part.
        out: File to write, outside the data set.
        only_splits: Splits to look at; all when empty.
        workers: Child processes; one a core when None.
        progress: Called with the number of measurements done and of all of this part.
        options: What is measured.
        opened: Called with the data set before anything is measured.

    Returns:
        The number of pairs of this part.

    Raises:
        DataError: The data set cannot be used, or the file lies in it or is of another kind.
        ResourceError: The file cannot be written.
        UsageError: It does not end in .npz.
    """
    spec = _open(path, opened)
    require_writable(out, root=spec.root)
    state = options.state and open_state(options.state, root=spec.root)
    indexes = [list_pairs(spec, name) for name in chosen_splits(spec, only_splits)]
    facts, registration = measure_all(
        all_tasks(indexes).shard(shard.number, shard.count),
        registration_tasks(indexes, options.registration).shard(shard.number, shard.count),
        headers_only=options.headers_only,
        effort=Effort(workers=workers, state=state, progress=progress),
    )
    header = {**asdict(shard), **_common(indexes, options)}
    tables = {"facts": facts.arrays(), "registration": registration.arrays()}
    arrays = {f"{of}.{name}": array for of, own in tables.items() for name, array in own.items()}
    write_facts(FactsFile(header, arrays), out)
    return len(facts)


@read_once()
def merge_shards(
    path: Path,
    folder: Path,
    *,
    only_splits: Sequence[str] = (),
    registration: Registration | None = None,
    headers_only: bool = False,
    max_shift_px: float = 10.0,
    workers: int | None = None,
    opened: Opened | None = None,
) -> AuditReport:
    """Judge what the shards in a folder measured, as if it had been measured at once.

    Args:
        path: The data set that the shards were measured on.
        folder: Holds the file of every shard, and of no other check.
        only_splits: Splits that the shards must have been measured on; any when empty.
        registration: What the shards must have been measured with; anything when None.
        headers_only: As ``registration``; False takes either.
        max_shift_px: Shift within a pair that is an error, in px at a long side of 640 px.
        workers: Child processes for what is compared once more; one a core when None.
        opened: Called with the data set before anything is judged.

    Raises:
        DataError: Shards are missing, there twice, damaged, of another check, version or data.
    """
    spec = _open(path, opened)
    shards = load_shards(folder)
    header = next(iter(shards.values())).header
    options = AuditOptions(header["registration"], max_shift_px, header["headers_only"])
    wanted = replace(
        options,
        registration=registration or options.registration,
        headers_only=headers_only or options.headers_only,
    )
    splits = chosen_splits(spec, only_splits or header["splits"])
    effort = Effort(workers=workers)
    scans = scan_splits(spec, splits, workers=effort.num_workers)
    require_equal(header, _common([scan.index for scan in scans.values()], wanted), folder)
    parts = [shards[number] for number in sorted(shards)]
    return report_on(
        spec,
        scans,
        facts=_joined(PairFacts, parts, name="facts"),
        registration=_joined(RegistrationFacts, parts, name="registration"),
        imgsz=640,
        options=options,
        effort=effort,
    )


def _open(path: Path, opened: Opened | None) -> DataSpec:
    spec = load_spec(path)
    if opened is not None:
        opened(spec)
    return spec


def _common(indexes: Sequence[DatasetIndex], options: AuditOptions) -> dict[str, Any]:
    """Return what must be equal in all shards of one check, and when they are joined."""
    return {
        "kind": KIND,
        "splits": [index.split for index in indexes],
        "registration": options.registration,
        "headers_only": options.headers_only,
        "schema": [facts_schema(PairFacts), facts_schema(RegistrationFacts)],
        "measured_by": measured_by(),
        "listing": listing_digest(indexes),
    }


def _joined(kind: type[Any], parts: Sequence[FactsFile], *, name: str) -> FactsTable[Any]:
    try:
        return FactsTable.join_arrays(kind, [part.take(name) for part in parts])
    except (ValueError, KeyError) as error:
        raise DataError(f"a shard is damaged: {error}", remedy=AGAIN) from error
