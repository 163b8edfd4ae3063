"""Many values of one type in a few numpy arrays: numbers, text, tuples, optional ones, dataclasses.

Python objects exist only while somebody looks at them; whole columns are read as arrays. Which
arrays a type needs is the business of `packing.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
Rows = NDArray[np.int64]
# Stands for a row of a value that is not there.
ABSENT = -1


class Column(Protocol):
    """Values of one type; a row is a value."""

    def __len__(self) -> int: ...

    def values(self, start: int, stop: int) -> list[Any]:
        """Return the values of some rows as Python objects."""
        ...

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the arrays of this column with their names below it."""
        ...

    def taken(self, rows: Rows) -> Column:
        """Return the values of some rows, in their order, as a column."""
        ...


@dataclass(frozen=True)
class Numbers:
    """One number each."""

    array: NDArray[Any]

    def __len__(self) -> int:
        return len(self.array)

    def values(self, start: int, stop: int) -> list[Any]:
        """Return Python numbers."""
        return self.array[start:stop].tolist()  # type: ignore[no-any-return]

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the one array."""
        yield "", self.array

    def taken(self, rows: Rows) -> Numbers:
        """Return some of the numbers."""
        return Numbers(self.array[rows])


@dataclass(frozen=True)
class Packed:
    """Text or bytes, all behind one another in one array."""

    blob: NDArray[np.uint8]
    ends: NDArray[np.integer[Any]]
    decode: Callable[[bytes], Any]

    def __len__(self) -> int:
        return len(self.ends)

    def values(self, start: int, stop: int) -> list[Any]:
        """Return the decoded strings."""
        bounds = _bounds(self.ends, start, stop)
        data = self.blob[bounds[0] : bounds[-1]].tobytes()
        first = bounds[0]
        return [self.decode(data[low - first : high - first]) for low, high in pairwise(bounds)]

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the bytes and where each value ends in them."""
        yield "blob", self.blob
        yield "ends", self.ends

    def taken(self, rows: Rows) -> Packed:
        """Return some of the strings."""
        places, ends = _spread(self.ends, rows)
        return Packed(self.blob[places], ends, self.decode)

    @property
    def lengths(self) -> Rows:
        """Return how many bytes each string has."""
        return _spans(self.ends)[1]

    def heads(self, width: int) -> NDArray[np.uint8]:
        """Return the first bytes of each string as (N, width); zeros where it is shorter."""
        starts, lengths = _spans(self.ends)
        if len(lengths) and (lengths == lengths[0]).all() and lengths[0] >= width:
            return self.blob.reshape(len(lengths), -1)[:, :width]
        found = np.zeros((len(lengths), width), np.uint8)
        long = np.flatnonzero(lengths >= width)
        found[long] = self.blob[starts[long, None] + np.arange(width)]
        return found


@dataclass(frozen=True)
class Ragged:
    """Tuples of any length, or values that may be None, as tuples of none or one."""

    items: Column
    ends: NDArray[np.integer[Any]]
    is_optional: bool

    def __len__(self) -> int:
        return len(self.ends)

    def values(self, start: int, stop: int) -> list[Any]:
        """Return tuples, or values and Nones."""
        bounds = _bounds(self.ends, start, stop)
        first = bounds[0]
        items = self.items.values(first, bounds[-1])
        spans = pairwise(bounds)
        if self.is_optional:
            return [items[low - first] if high > low else None for low, high in spans]
        return [tuple(items[low - first : high - first]) for low, high in spans]

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the arrays of the items and where each row ends in them."""
        yield "ends", self.ends
        yield from _below("item", self.items)

    def taken(self, rows: Rows) -> Ragged:
        """Return some of the tuples or values."""
        places, ends = _spread(self.ends, rows)
        return Ragged(self.items.taken(places), ends, self.is_optional)

    @property
    def lengths(self) -> Rows:
        """Return how many items each row has."""
        return _spans(self.ends)[1]

    def places(self, number: int) -> Rows:
        """Return for each row where its item of this number stands in ``items``, or ABSENT."""
        starts, lengths = _spans(self.ends)
        return np.where(number < lengths, starts + number, ABSENT)


@dataclass(frozen=True)
class Records:
    """Dataclasses, field by field."""

    kind: Callable[..., Any]
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def values(self, start: int, stop: int) -> list[Any]:
        """Return new objects of the class."""
        parts = [column.values(start, stop) for column in self.columns.values()]
        return [self.kind(*row) for row in zip(*parts, strict=True)]

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the arrays of all fields."""
        for name, column in self.columns.items():
            yield from _below(name, column)

    def taken(self, rows: Rows) -> Records:
        """Return some of the records."""
        return Records(self.kind, {n: column.taken(rows) for n, column in self.columns.items()})


def locate(column: Column, names: Sequence[str | int]) -> tuple[Column, Rows]:
    """Return the column that a field of a field stands in, and the row in it of each value.

    Args:
        column: Where to begin.
        names: Fields of dataclasses and numbers of items of tuples, from the outside.

    Returns:
        The column, and for each row of the first one its row there; ABSENT where a value on the
        way is None, or a tuple too short.
    """
    rows = np.arange(len(column), dtype=np.int64)
    rest = list(names)
    while rest or isinstance(column, Ragged):
        if isinstance(column, Ragged):
            if not column.is_optional and not rest:
                break
            own = column.places(0 if column.is_optional else int(rest.pop(0)))
            rows = np.where(rows == ABSENT, ABSENT, own[rows]) if len(own) else rows
            column = column.items
        else:
            assert isinstance(column, Records), f"nothing below {rest}"
            column = column.columns[str(rest.pop(0))]
    return column, rows


def _bounds(ends: NDArray[np.integer[Any]], start: int, stop: int) -> list[int]:
    first = int(ends[start - 1]) if start else 0
    return [first, *ends[start:stop].tolist()]


def _below(name: str, column: Column) -> Iterator[tuple[str, NDArray[Any]]]:
    for inner, array in column.arrays():
        yield joined_name(name, inner), array


def joined_name(name: str, inner: str) -> str:
    """Return the name of what stands below another name."""
    return f"{name}.{inner}" if name and inner else name or inner


def _spans(ends: NDArray[np.integer[Any]]) -> tuple[Rows, Rows]:
    """Return where each value starts, and its length."""
    stops = ends.astype(np.int64)
    starts = np.zeros_like(stops)
    starts[1:] = stops[:-1]
    return starts, stops - starts


def _spread(ends: NDArray[np.integer[Any]], rows: Rows) -> tuple[Rows, Rows]:
    """Return the places of all items of some rows, and where each row ends among them."""
    starts, lengths = (part[rows] for part in _spans(ends))
    stops = np.cumsum(lengths, dtype=np.int64)
    places = np.repeat(starts - stops + lengths, lengths) + np.arange(lengths.sum())
    return np.asarray(places, np.int64), stops
