"""Measure pairs in child processes, take what is known already, and tell how far it is.

What is measured stands in `images.py`, `headers.py` and `registration.py`; what is made of it in
`judging.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from fusetrain.checks.findings import finding
from fusetrain.checks.flow.facts import FactsTable
from fusetrain.checks.flow.headers import measure_headers
from fusetrain.checks.flow.kept import MISSING, KeptFacts, stamped_keys
from fusetrain.checks.flow.pool import TIMEOUT_S, default_workers, run_contained, run_in_blocks
from fusetrain.checks.flow.pool_child import TwoSteps
from fusetrain.checks.flow.tasks import PairTasks
from fusetrain.checks.images import (
    PairFacts,
    PairTask,
    crashed_pair,
    decode_pair,
    measure_pixels,
)
from fusetrain.checks.registration.partners import (
    PartnerFacts,
    crashed_partners,
    measure_partners,
    partner_tasks,
)
from fusetrain.checks.registration.shifts import (
    RegistrationFacts,
    crashed_registration,
    measure_registration,
)
from fusetrain.checks.window import WindowFacts, crashed_window, measure_window, window_tasks
from fusetrain.data.index import SplitScan
from fusetrain.data.spec import DataSpec

Progress = Callable[[int, int], None]
# Blocks of images that are compared with each other, or read through a window, take their time.
SECOND_LOOK_TIMEOUT_S = 600.0

Fact = TypeVar("Fact", PairFacts, RegistrationFacts)


@dataclass(frozen=True)
class Measurement(Generic[Fact]):
    """One way to measure a pair.

    Attributes:
        name: Word for it in files of facts.
        kind: The dataclass of what comes out.
        function: Measures a pair, in a child process.
        crashed: What is known of a pair whose measurement ended the process.
        hung: What is known of a pair whose measurement did not end.
        chunk: Pairs that a child gets at once.
    """

    name: str
    kind: type[Fact]
    function: Callable[[PairTask], Fact]
    crashed: Callable[[PairTask], Fact]
    hung: Callable[[PairTask], Fact]
    chunk: int


def hung_pair(task: PairTask) -> PairFacts:
    """Return the facts of a pair that could not be decoded in time."""
    message = f"decoding this file or {task.ir_path} took longer than {TIMEOUT_S:.0f} s, twice"
    found = finding("I01", message, split=task.split, path=task.rgb_path)
    return replace(crashed_pair(task), findings=(found,))


PIXELS = Measurement(
    "pairs", PairFacts, TwoSteps(decode_pair, measure_pixels), crashed_pair, hung_pair, 128
)
HEADERS = Measurement("headers", PairFacts, measure_headers, crashed_pair, hung_pair, 128)
REGISTRATION = Measurement(
    "registration",
    RegistrationFacts,
    measure_registration,
    crashed_registration,
    crashed_registration,
    4,
)


@dataclass
class Effort:
    """What may be spent on measuring, and who is told about it.

    Attributes:
        workers: Child processes; one a core when None.
        state: Folder that facts are kept in and taken from; None keeps nothing.
        progress: Called with what is done and the total, after each block of facts.
        total: Facts that are measured in all.
        done: Facts so far.
    """

    workers: int | None = None
    state: Path | None = None
    progress: Progress | None = None
    total: int = 0
    done: int = 0

    @property
    def num_workers(self) -> int:
        """Return the number of child processes."""
        return self.workers or default_workers()

    def counted(self, blocks: Iterable[Sequence[Fact]]) -> Iterator[Sequence[Fact]]:
        """Pass blocks of facts on and tell of each."""
        for block in blocks:
            yield block
            self.done += len(block)
            if self.progress is not None:
                self.progress(self.done, self.total)


def measure(what: Measurement[Fact], tasks: PairTasks, *, effort: Effort) -> FactsTable[Fact]:
    """Return the facts of pairs in the order of the tasks; kept ones are not measured again."""
    if effort.state is None:
        fresh = _fresh(what, tasks, effort=effort)
        with closing(fresh):
            return FactsTable.gather(what.kind, effort.counted(fresh))
    kept = KeptFacts.load(effort.state, what.kind, name=what.name)
    keys = stamped_keys(tasks)
    places = kept.find(keys)
    is_new = places == MISSING
    known = kept.table.taken(places[~is_new])
    effort.done += len(known)
    fresh = kept.keeping(
        _fresh(what, tasks.picked(np.flatnonzero(is_new)), effort=effort), keys[is_new]
    )
    with closing(fresh):
        measured = FactsTable.gather(what.kind, effort.counted(fresh))
    both = FactsTable.join(what.kind, [known, measured])
    in_order = both.taken(np.argsort(np.argsort(is_new, kind="stable"), kind="stable"))
    # Files may have come or gone before a pair, so that its row is another.
    return in_order.with_numbers("row", tasks.rows_in_splits())


def measure_all(
    pairs: PairTasks, registered: PairTasks, *, headers_only: bool, effort: Effort
) -> tuple[FactsTable[PairFacts], FactsTable[RegistrationFacts]]:
    """Return what pairs measure, and how far some of them are apart."""
    effort.total += len(pairs) + len(registered)
    facts = measure(HEADERS if headers_only else PIXELS, pairs, effort=effort)
    return facts, measure(REGISTRATION, registered, effort=effort)


def compare_partners(
    facts: Sequence[RegistrationFacts], spec: DataSpec, *, effort: Effort
) -> tuple[PartnerFacts, ...]:
    """Compare the blocks of images that are worth a second look, each in a child process."""
    tasks = partner_tasks(facts, str(spec.root), storage=spec.storage)
    compared = run_contained(
        measure_partners,
        tasks,
        crashed=crashed_partners,
        workers=effort.num_workers,
        timeout_s=SECOND_LOOK_TIMEOUT_S,
        chunk=1,
    )
    with closing(compared):
        return tuple(compared)


def look_through_window(
    spec: DataSpec,
    scans: Mapping[str, SplitScan],
    facts: Sequence[PairFacts],
    *,
    effort: Effort,
) -> tuple[WindowFacts, ...]:
    """Read some images through the thermal window of a training, in a child process."""
    seen = run_contained(
        measure_window,
        window_tasks(spec, scans, facts),
        crashed=crashed_window,
        workers=effort.num_workers,
        timeout_s=SECOND_LOOK_TIMEOUT_S,
        chunk=1,
    )
    with closing(seen):
        return tuple(found for block in seen for found in block)


def _fresh(
    what: Measurement[Fact], tasks: Sequence[PairTask], *, effort: Effort
) -> Generator[Sequence[Fact], None, None]:
    return run_in_blocks(
        what.function,
        tasks,
        crashed=what.crashed,
        hung=what.hung,
        workers=effort.num_workers,
        chunk=what.chunk,
    )
