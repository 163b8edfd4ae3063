"""Tables of facts: what many pairs measure, as a sequence whose objects are made when looked at.

A million pairs fit into some hundred megabytes, and a part of a table is no copy. Which facts there
are is the business of `images.py` and `registration.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.flow.columns import ABSENT, Arrays, Column, Numbers, Packed, Ragged, locate
from fusetrain.checks.flow.packing import joined_arrays, pack, restore, schema_of

BLOCK = 4096

Fact = TypeVar("Fact")


class FactsTable(Sequence[Fact], Generic[Fact]):
    """Facts in columns, read-only.

    Attributes:
        kind: The dataclass of a row.
    """

    def __init__(
        self, kind: type[Fact], column: Column, *, start: int = 0, stop: int | None = None
    ) -> None:
        self.kind = kind
        self._column = column
        self._start = start
        self._stop = len(column) if stop is None else stop

    @classmethod
    def pack(cls, kind: type[Fact], facts: Iterable[Fact]) -> FactsTable[Fact]:
        """Return facts as a table; they are taken in block by block."""
        source = iter(facts)
        parts = [_arrays(pack(kind, []))]
        while block := list(islice(source, BLOCK)):
            parts.append(_arrays(pack(kind, block)))
        return cls(kind, restore(kind, joined_arrays(parts)))

    @classmethod
    def gather(cls, kind: type[Fact], blocks: Iterable[Sequence[Fact]]) -> FactsTable[Fact]:
        """Return the facts of many small tables or lists, in the order given.

        Every BLOCK of them becomes a few arrays at once, so that the parts may go.
        """
        parts, small, waiting = [_arrays(pack(kind, []))], list[Arrays](), 0
        for block in blocks:
            table = block if isinstance(block, FactsTable) else cls.pack(kind, block)
            small.append(table.arrays())
            waiting += len(block)
            if waiting >= BLOCK:
                parts.append(joined_arrays(small))
                small, waiting = [], 0
        return cls(kind, restore(kind, joined_arrays([*parts, *small])))

    @classmethod
    def join(cls, kind: type[Fact], tables: Sequence[FactsTable[Fact]]) -> FactsTable[Fact]:
        """Return the rows of several tables, in the order given."""
        parts = [_arrays(pack(kind, [])), *(dict(table.arrays()) for table in tables)]
        return cls(kind, restore(kind, joined_arrays(parts)))

    @classmethod
    def join_arrays(cls, kind: type[Fact], parts: Sequence[Arrays]) -> FactsTable[Fact]:
        """Return the rows of several tables that are given as arrays.

        The parts are emptied, so that a large table exists but once.

        Raises:
            ValueError: The arrays do not fit the class or one another.
            KeyError: One is missing.
        """
        for part in parts:
            restore(kind, part)
        return cls(kind, restore(kind, joined_arrays([_arrays(pack(kind, [])), *parts])))

    @classmethod
    def restore(cls, kind: type[Fact], arrays: Mapping[str, NDArray[Any]]) -> FactsTable[Fact]:
        """Return the table that `arrays` was taken from.

        Raises:
            ValueError: The arrays do not fit the class or one another.
            KeyError: One is missing.
        """
        return cls(kind, restore(kind, arrays))

    def arrays(self) -> Arrays:
        """Return the arrays of the table by name, for a file; those of a part are copied."""
        if self._start == 0 and self._stop == len(self._column):
            return _arrays(self._column)
        return _arrays(self._column.taken(np.arange(self._start, self._stop)))

    def part(self, start: int, stop: int) -> FactsTable[Fact]:
        """Return the facts from one row to before another, without copying them."""
        return FactsTable(
            self.kind, self._column, start=self._start + start, stop=self._start + stop
        )

    def taken(self, rows: NDArray[np.int64]) -> FactsTable[Fact]:
        """Return some of the facts, in the order of the rows."""
        return FactsTable(self.kind, self._column.taken(rows + self._start))

    def with_numbers(self, name: str, numbers: NDArray[np.int64]) -> FactsTable[Fact]:
        """Return the facts with a field of theirs replaced by other whole numbers."""
        return FactsTable.restore(self.kind, {**self.arrays(), name: numbers})

    def numbers(self, *names: str | int) -> NDArray[np.float64]:
        """Return a field of a field of each fact as (N,) numbers; NaN where there is none.

        Args:
            names: Names of fields, and numbers of items of tuples, from the outside.
        """
        column, rows = self._located(names)
        assert isinstance(column, Numbers), f"{names} is no number"
        found = np.full(len(rows), np.nan)
        is_there = rows != ABSENT
        found[is_there] = column.array[rows[is_there]]
        return found

    def heads(self, *names: str | int, width: int) -> NDArray[np.uint8]:
        """Return the first bytes of a field of each fact as (N, width); zeros where it has fewer.

        Args:
            names: As in `numbers`.
            width: How many bytes.
        """
        column, rows = self._located(names)
        assert isinstance(column, Packed), f"{names} is no bytes"
        heads = column.heads(width)
        found = np.zeros((len(rows), width), np.uint8)
        is_there = rows != ABSENT
        found[is_there] = heads[rows[is_there]]
        return found

    def lengths(self, *names: str | int) -> NDArray[np.int64]:
        """Return how long a tuple or text of each fact is; 0 where there is none.

        Args:
            names: As in `numbers`.
        """
        column, rows = self._located(names)
        assert isinstance(column, Ragged | Packed), f"{names} has no length"
        found = np.zeros(len(rows), np.int64)
        is_there = rows != ABSENT
        found[is_there] = column.lengths[rows[is_there]]
        return found

    def texts(self, name: str) -> Iterator[str]:
        """Yield a field of each fact that is text."""
        column, _ = locate(self._column, [name])
        for start in range(self._start, self._stop, BLOCK):
            yield from column.values(start, min(start + BLOCK, self._stop))

    def _located(self, names: Sequence[str | int]) -> tuple[Column, NDArray[np.int64]]:
        column, rows = locate(self._column, names)
        return column, rows[self._start : self._stop]

    @property
    def num_bytes(self) -> int:
        """Return how much memory the arrays take."""
        return sum(array.nbytes for _, array in self._column.arrays())

    def __len__(self) -> int:
        return self._stop - self._start

    @overload
    def __getitem__(self, row: int) -> Fact: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[Fact]: ...

    def __getitem__(self, row: int | slice) -> Fact | Sequence[Fact]:
        if isinstance(row, slice):
            start, stop, step = row.indices(len(self))
            if step != 1:
                return [self[number] for number in range(start, stop, step)]
            return self.part(start, max(start, stop))
        number = row + len(self) if row < 0 else row
        if not 0 <= number < len(self):
            raise IndexError(row)
        value: Fact = self._column.values(self._start + number, self._start + number + 1)[0]
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        return FactsTable.restore, (self.kind, self.arrays())

    def __iter__(self) -> Iterator[Fact]:
        for start in range(self._start, self._stop, BLOCK):
            yield from self._column.values(start, min(start + BLOCK, self._stop))


def facts_schema(kind: type[Any]) -> str:
    """Return the fields of a fact as text; tables of equal text can be joined."""
    return schema_of(kind)


def _arrays(column: Column) -> Arrays:
    return dict(column.arrays())


def as_table(kind: type[Fact], facts: Sequence[Fact]) -> FactsTable[Fact]:
    """Return facts as a table; what is one already is no copy."""
    return facts if isinstance(facts, FactsTable) else FactsTable.pack(kind, facts)
