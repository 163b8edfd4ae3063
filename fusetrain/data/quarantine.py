"""Pairs that a running training leaves out: which they are, why, and how many there may be.

An image that vanishes or rots while a run is under way, and one at which loader workers are lost,
is noted here by whichever process meets it; all forked workers see that at once. What becomes of a
sample without its pair is the business of `dataset.py`, finding such images before a run that of
`checks/`.
"""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from fusetrain.data.cache import Entry
from fusetrain.data.decode import ImageError, patiently
from fusetrain.data.image import read_header
from fusetrain.data.index import DatasetIndex
from fusetrain.data.reader import PairReader
from fusetrain.errors import DataError, Problem

Policy = Literal["fail", "skip", "replace"]
MAX_LISTED = 20


class LeftOutError(Exception):
    """A sample is left out of its batch; no fault that reaches a user."""


@dataclass(frozen=True)
class Refusal:
    """A pair that is not read any more.

    Attributes:
        split: Its split.
        sample: Its row in the index.
        path: The image that is to blame, or the visible one; relative to the root.
        reason: What was wrong, as a clause.
    """

    split: str
    sample: int
    path: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return the refusal as a checkpoint and an event hold it."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Refusal:
        """Return the refusal that `to_json` wrote."""
        return cls(*(values[name] for name in ("split", "sample", "path", "reason")))


class Quarantine:
    """The pairs of one split that are left out.

    Args:
        index: The pairs.
        policy: What happens to a sample whose pair cannot be read: the run fails, the sample is
            skipped, or another pair takes its place.
        most: Share of the pairs, in [0, 1], that may be left out; rounded up to whole pairs.
        retries: How often a header is read again where the file system failed.
        on_refusal: Is told each pair once, in the process that made this object.

    Attributes:
        reached: (1,) where the row that is being read is noted; a loader worker has it in memory
            that it shares with the main process.
    """

    def __init__(
        self,
        index: DatasetIndex,
        *,
        policy: Policy = "fail",
        most: float = 1.0,
        retries: int = 0,
        on_refusal: Callable[[Refusal], None] = lambda refusal: None,
    ) -> None:
        self.index = index
        self.policy = policy
        self.most = math.ceil(most * len(index))
        self.retries = retries
        self.on_refusal = on_refusal
        self.refusals: dict[int, Refusal] = {}
        self.reached = np.zeros(1, np.int64)
        self._news: list[Refusal] = []
        # Anonymous memory is shared by forked workers.
        self._is_out = np.frombuffer(mmap.mmap(-1, max(1, len(index))), np.bool_)

    def holds(self, row: int) -> bool:
        """Return whether a pair is left out."""
        return bool(self._is_out[row])

    def read(self, reader: PairReader, row: int) -> Entry | None:
        """Return a pair as ``reader`` reads it; None where it is left out.

        Raises:
            ImageError: It cannot be read, and the policy is to fail.
        """
        self.reached[0] = row
        if self.holds(row):
            return None
        try:
            return reader.read(row)
        except ImageError as error:
            self._add_unreadable(row, error)
            return None

    def size_hw(self, row: int) -> tuple[int, int] | None:
        """Return the size that the visible image of a pair tells; None where it is left out.

        Raises:
            ImageError: It cannot be read, and the policy is to fail.
        """
        if self.holds(row):
            return None
        path, storage = self.index.rgb_path(row), self.index.storage
        try:
            header = patiently(lambda: read_header(path, storage=storage), retries=self.retries)
        except ImageError as error:
            self._add_unreadable(row, error)
            return None
        return header.size_hw

    def add_deadly(self, row: int, fault: str) -> None:
        """Leave out a pair at which loader workers were lost.

        Raises:
            DataError: The policy is to fail.
        """
        path = self.index.rgb_path(row)
        if self.policy == "fail":
            raise DataError(
                f"loader workers were lost twice at one sample: {fault}",
                where=str(path),
                expected="images that can be decoded",
                remedy="`fusetrain check-data DATA` decodes every image in a process of its own; "
                "--set train.on_bad_sample=skip leaves such a sample out",
            )
        self._add(row, str(path), f"twice a loader worker was lost at it: {fault}")

    def take_news(self) -> list[Refusal]:
        """Return what was found out in this process since this was last asked."""
        news, self._news = self._news, []
        return news

    def learn(self, news: Iterable[Refusal]) -> None:
        """Note what was found out, here or in a worker.

        Raises:
            DataError: More pairs are left out than may be.
        """
        for refusal in news:
            self._is_out[refusal.sample] = True
            if refusal.sample not in self.refusals:
                self.refusals[refusal.sample] = refusal
                self.on_refusal(refusal)
        if len(self.refusals) > self.most:
            raise self._too_many()

    def restore(self, saved: Iterable[Refusal]) -> None:
        """Leave out what an earlier part of the run left out, as far as it is still there."""
        for refusal in saved:
            row = refusal.sample
            if refusal.split != self.index.split or row >= len(self.index):
                continue
            if refusal.path in (self.index.rgb_paths[row], self.index.ir_paths[row]):
                self.refusals[row] = refusal
                self._is_out[row] = True

    def _add_unreadable(self, row: int, error: ImageError) -> None:
        if self.policy == "fail":
            raise error
        self._add(row, error.path, error.what)

    def _add(self, row: int, path: str, reason: str) -> None:
        self._is_out[row] = True
        shown = os.path.relpath(path, self.index.root)
        self._news.append(Refusal(self.index.split, row, shown, reason))

    def _too_many(self) -> DataError:
        listed = list(self.refusals.values())[:MAX_LISTED]
        return DataError(
            f"{len(self.refusals)} of {len(self.index)} pairs of {self.index.split} cannot be "
            "read, more than `train.max_bad_samples` allows",
            where=self.index.root,
            problems=[Problem(refusal.reason, where=refusal.path) for refusal in listed],
            expected=f"at most {self.most}",
            remedy="`fusetrain check-data DATA` lists all; mend them, then `fusetrain resume`",
        )
