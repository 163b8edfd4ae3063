"""Tables of facts: what many pairs measure, as a sequence whose objects are made when looked at.

A million pairs fit into some hundred megabytes, and a part of a table is no copy. Which facts there
are is the business of `images.py` and `registration.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar, overload

from numpy.typing import NDArray

from fusetrain.checks.flow.columns import Arrays, Column, joined_arrays, pack, restore, schema_of

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
        return _arrays(pack(self.kind, list(self)))

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
            start, stop = self._start + start, self._start + max(start, stop)
            return FactsTable(self.kind, self._column, start=start, stop=stop)
        number = row + len(self) if row < 0 else row
        if not 0 <= number < len(self):
            raise IndexError(row)
        value: Fact = self._column.values(self._start + number, self._start + number + 1)[0]
        return value

    def __iter__(self) -> Iterator[Fact]:
        for start in range(self._start, self._stop, BLOCK):
            yield from self._column.values(start, min(start + BLOCK, self._stop))


def facts_schema(kind: type[Any]) -> str:
    """Return the fields of a fact as text; tables of equal text can be joined."""
    return schema_of(kind)


def _arrays(column: Column) -> Arrays:
    return dict(column.arrays())
