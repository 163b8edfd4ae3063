"""A folder in which a long check keeps what it measured, so that it goes on after an interruption.

Facts are reused for a pair whose two files have the size and time of change that they had when it
was measured, by the same code and decoders. The folder lies outside the data set; several shards
may share one.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.flow.facts import FactsTable, facts_schema
from fusetrain.checks.flow.facts_file import (
    SUFFIX,
    FactsFile,
    NoFactsError,
    measured_by,
    read_facts,
    write_facts,
)
from fusetrain.checks.flow.tasks import PairTasks
from fusetrain.errors import DataError, ResourceError

MARK = "fusetrain-check.json"
MARK_TEXT = {"format": "fusetrain check-data state 1"}
# A kill loses no more than this.
SEGMENT_PAIRS = 4096
SEGMENT_S = 20.0
MISSING = -1

Fact = TypeVar("Fact")


def open_state(folder: Path, *, root: Path) -> Path:
    """Return a folder for facts, made where it is not there yet.

    Args:
        folder: A new or empty folder, or one of an earlier check.
        root: The data set; nothing is ever written below it.

    Raises:
        DataError: The folder lies in the data set, or holds other things.
        ResourceError: It cannot be made.
    """
    refuse_inside(folder, root=root, flag="--state")
    mark = folder / MARK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not mark.exists():
            if any(folder.iterdir()):
                raise DataError(
                    "the folder for the state of the check holds other things",
                    where=str(folder),
                    expected="a new or empty folder, or one of an earlier check",
                )
            mark.write_text(json.dumps(MARK_TEXT) + "\n", encoding="utf-8")
    except OSError as error:
        raise ResourceError(f"cannot be used: {error.strerror}", where=str(folder)) from error
    return folder


def refuse_inside(path: Path, *, root: Path, flag: str) -> None:
    """Refuse a place to write to that lies in the data set.

    Raises:
        DataError: It does.
    """
    own, inside = os.path.realpath(path), os.path.realpath(root)
    if os.path.commonpath([own, inside]) == inside:
        raise DataError(
            f"{flag} lies in the data set, where nothing is ever written",
            where=str(path),
            expected=f"a place outside {root}",
        )


@dataclass(frozen=True)
class KeptFacts(Generic[Fact]):
    """What a state folder knows of one kind of measurement.

    Attributes:
        folder: The state folder.
        kind: The dataclass of a fact.
        name: What was measured, such as ``pairs``; facts of another name are not looked at.
        table: Facts that were found.
        keys: (N,) uint64, sorted: digests of paths and stamps.
        places: (N,) int64, the row in ``table`` that belongs to each key.
    """

    folder: Path
    kind: type[Fact]
    name: str
    table: FactsTable[Fact]
    keys: NDArray[np.uint64] = field(repr=False)
    places: NDArray[np.int64] = field(repr=False)

    @classmethod
    def load(cls, folder: Path, kind: type[Fact], *, name: str) -> KeptFacts[Fact]:
        """Return what the files of a state folder hold; those of no use are passed over."""
        parts = []
        keys = [np.zeros(0, np.uint64)]
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                content = read_facts(path)
                if content.header != _header(kind, name):
                    continue
                arrays = content.take("facts")
                num_facts = len(FactsTable.restore(kind, arrays))
                keys.append(_checked(content.arrays["keys"], num_facts))
                parts.append(arrays)
            except (NoFactsError, ValueError, KeyError):
                continue  # it will be measured again
        joined = np.concatenate(keys)
        order = np.argsort(joined, kind="stable")
        table = FactsTable.join_arrays(kind, parts)
        return cls(folder, kind, name, table, joined[order], order)

    def find(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the row in ``table`` for each key, MISSING where there is none."""
        if not len(self.keys):
            return np.full(len(keys), MISSING, np.int64)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, self.places[at], MISSING)

    def keeping(
        self, blocks: Iterable[Sequence[Fact]], keys: NDArray[np.uint64]
    ) -> Generator[Sequence[Fact], None, None]:
        """Pass facts on and write them to the folder from time to time, and when it ends.

        Args:
            blocks: New facts.
            keys: Their keys, in the same order.
        """
        pending: list[Sequence[Fact]] = []
        start, stop, since_s = 0, 0, time.monotonic()
        try:
            for block in blocks:
                pending.append(block)
                stop += len(block)
                if stop - start >= SEGMENT_PAIRS or time.monotonic() - since_s > SEGMENT_S:
                    self._write(pending, keys[start:stop])
                    start, pending, since_s = stop, [], time.monotonic()
                yield block
        finally:
            if pending:
                self._write(pending, keys[start:stop])

    def _write(self, blocks: list[Sequence[Fact]], keys: NDArray[np.uint64]) -> None:
        table = FactsTable.gather(self.kind, blocks)
        arrays = {f"facts.{name}": array for name, array in table.arrays().items()}
        content = FactsFile(_header(self.kind, self.name), {**arrays, "keys": keys})
        # Shards on several machines may write to one folder.
        write_facts(content, self.folder / f"{self.name}-{uuid.uuid4().hex}{SUFFIX}")


def stamped_keys(tasks: PairTasks) -> NDArray[np.uint64]:
    """Return a digest of the paths, file sizes and times of change of each pair."""
    keys = np.zeros(len(tasks), np.uint64)
    for number in range(len(tasks)):
        task = tasks[number]
        words = [task.split, task.rgb_path, task.ir_path]
        words += [_stamp(os.path.join(task.root, path)) for path in (task.rgb_path, task.ir_path)]
        text = "\0".join(words).encode("utf-8", "surrogateescape")
        keys[number] = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
    return keys


def _checked(keys: NDArray[Any], num_facts: int) -> NDArray[Any]:
    if keys.dtype != np.uint64 or keys.shape != (num_facts,):
        raise ValueError("keys do not fit the facts")
    return keys


def _stamp(path: str) -> str:
    try:
        status = os.stat(path)
    except OSError:
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns}"


def _header(kind: type[Any], name: str) -> Mapping[str, Any]:
    return {
        "format": "fusetrain facts 1",
        "of": name,
        "measured_by": measured_by(),
        "schema": facts_schema(kind),
    }
