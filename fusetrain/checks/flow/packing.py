"""Turn values of an annotated type into columns and back, and join columns of one type.

Which arrays a type needs follows from its annotation, so that a dataclass may gain fields without
a word here. What is read back equals what was packed, bit for bit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.flow.columns import (
    Arrays,
    Column,
    Numbers,
    Packed,
    Ragged,
    Records,
    joined_name,
)

NUMBER_KINDS = {bool: "b", int: "i", float: "f"}
# Smallest and largest value of each type of integers, the narrowest first.
INTEGERS = [
    (int(limits.min), int(limits.max), limits.dtype)
    for limits in (np.iinfo(kind) for kind in (np.int8, np.int16, np.int32, np.int64))
]


def pack(hint: Any, values: Sequence[Any]) -> Column:
    """Return values of an annotated type as a column.

    Args:
        hint: bool, int, float, str, bytes, a Literal of strings, a Mapping (stored as JSON), a
            tuple of one of these, one of these or None, or a dataclass of these.
        values: The values, one a row.
    """
    if hint in NUMBER_KINDS:
        array: NDArray[Any] = np.asarray(
            values, {bool: np.bool_, int: np.int64, float: np.float64}[hint]
        )
        return Numbers(array if hint is bool else _narrow(array))
    if is_dataclass(hint):
        parts = {
            name: pack(own, [getattr(value, name) for value in values])
            for name, own in _fields_of(hint)
        }
        return Records(hint, parts)  # type: ignore[arg-type]
    inner, is_optional = _inner(hint)
    if inner is None:
        encode, decode = _codec(hint)
        encoded = [encode(value) for value in values]
        return Packed(np.frombuffer(b"".join(encoded), np.uint8), _ends(encoded), decode)
    rows = [() if v is None else (v,) for v in values] if is_optional else values
    return Ragged(pack(inner, [item for row in rows for item in row]), _ends(rows), is_optional)


def records(kind: type[Any], values: Mapping[str, Sequence[Any] | Column]) -> Records:
    """Return dataclasses as a column, from the values of their fields, all of one length.

    Args:
        kind: The dataclass.
        values: Name of each field to what it holds, as values or as a column.
    """
    parts = {}
    for name, hint in _fields_of(kind):
        own = values[name]
        is_column = isinstance(own, Numbers | Packed | Ragged | Records)
        parts[name] = own if is_column else pack(hint, own)  # type: ignore[arg-type]
    return Records(kind, parts)  # type: ignore[arg-type]


def optional(column: Column, is_there: NDArray[np.bool_]) -> Ragged:
    """Return values of which some are None as a column.

    Args:
        column: Those that are there, in order.
        is_there: (N,) which of them are.
    """
    return Ragged(column, np.cumsum(is_there, dtype=np.int64), is_optional=True)


def restore(hint: Any, arrays: Mapping[str, NDArray[Any]], *, name: str = "") -> Column:
    """Return the column whose arrays were named by `Column.arrays`.

    Raises:
        ValueError: The arrays do not fit the type or one another.
        KeyError: One is missing.
    """
    if hint in NUMBER_KINDS:
        return Numbers(_typed(arrays[name], NUMBER_KINDS[hint]))
    if is_dataclass(hint):
        parts = {
            own: restore(part, arrays, name=joined_name(name, own))
            for own, part in _fields_of(hint)
        }
        if len({len(part) for part in parts.values()}) > 1:
            raise ValueError(f"columns of {name or 'the table'} differ in length")
        return Records(hint, parts)  # type: ignore[arg-type]
    inner, is_optional = _inner(hint)
    ends = _typed(arrays[joined_name(name, "ends")], "i")
    if inner is None:
        blob = _typed(arrays[joined_name(name, "blob")], "u")
        return Packed(blob, _checked(ends, len(blob)), _codec(hint)[1])
    items = restore(inner, arrays, name=joined_name(name, "item"))
    return Ragged(items, _checked(ends, len(items)), is_optional)


def joined_arrays(parts: Sequence[Arrays]) -> Arrays:
    """Return the arrays of several columns of one type as those of one column.

    The parts are emptied on the way, so that no more than one array exists twice.
    """
    result: Arrays = {}
    for name in list(parts[0]):
        own = [part.pop(name) for part in parts]
        if name.rpartition(".")[2] == "ends":
            lasts = np.cumsum([0, *(int(ends[-1]) if len(ends) else 0 for ends in own)])
            own = [ends + offset for ends, offset in zip(own, lasts[:-1], strict=True)]
        joined = np.concatenate(own)
        result[name] = _narrow(joined) if joined.dtype.kind in "if" else joined
    return result


def schema_of(hint: Any) -> str:
    """Return a type and all its fields as text; equal text means equal columns."""
    if is_dataclass(hint):
        parts = ", ".join(f"{name}: {schema_of(own)}" for name, own in _fields_of(hint))
        return f"{{{parts}}}"
    if hint in NUMBER_KINDS:
        return str(hint.__name__)
    inner, is_optional = _inner(hint)
    if inner is None:
        return str(hint if get_origin(hint) else hint.__name__)
    return f"{schema_of(inner)}?" if is_optional else f"[{schema_of(inner)}]"


def _inner(hint: Any) -> tuple[Any, bool]:
    """Return what a tuple or an optional type holds, and which of the two; None for neither."""
    arguments = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        kinds = [argument for argument in arguments if argument is not NoneType]
        assert len(kinds) == len(arguments) - 1 == 1, f"{hint} cannot stand in columns"
        return kinds[0], True
    if get_origin(hint) is tuple:
        kinds = list(dict.fromkeys(a for a in arguments if a is not Ellipsis))
        assert len(kinds) == 1, f"{hint} cannot stand in columns"
        return kinds[0], False
    return None, False


def _codec(hint: Any) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    """Return how values of a type become bytes, and back."""
    if hint is bytes:
        return bytes, bytes
    if hint is str or get_origin(hint) is Literal:
        # Names of files may hold bytes that are no text.
        return (
            lambda text: text.encode("utf-8", "surrogateescape"),
            lambda data: data.decode("utf-8", "surrogateescape"),
        )
    assert get_origin(hint) is not None, f"{hint} cannot stand in columns"
    assert issubclass(get_origin(hint), Mapping), f"{hint} cannot stand in columns"
    return lambda value: json.dumps(dict(value)).encode(), json.loads


def _fields_of(kind: Any) -> tuple[tuple[str, Any], ...]:
    """Return the names of the fields of a dataclass and what they hold."""
    return _fields_of_class(kind)


@cache
def _fields_of_class(kind: Any) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(kind)
    return tuple((entry.name, hints[entry.name]) for entry in fields(kind))


def _ends(values: Sequence[Any]) -> NDArray[np.integer[Any]]:
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    return _narrow(np.cumsum(lengths, dtype=np.int64))


def _narrow(numbers: NDArray[Any]) -> NDArray[Any]:
    """Return numbers in the smallest type that holds every one of them exactly."""
    if numbers.dtype.kind == "f":
        with np.errstate(over="ignore"):
            small = numbers.astype(np.float32)
        return small if np.array_equal(small, numbers, equal_nan=True) else numbers
    low, high = (int(numbers.min()), int(numbers.max())) if len(numbers) else (0, 0)
    fits = next(kind for least, most, kind in INTEGERS if least <= low and high <= most)
    return numbers.astype(fits, copy=False)


def _typed(array: NDArray[Any], kind: str) -> NDArray[Any]:
    if array.dtype.kind != kind or array.ndim != 1:
        raise ValueError(f"{array.ndim}-D {array.dtype}, expected another kind")
    return array


def _checked(ends: NDArray[np.integer[Any]], length: int) -> NDArray[np.integer[Any]]:
    rising = bool((np.diff(ends, prepend=0) >= 0).all())
    if not rising or (int(ends[-1]) if len(ends) else 0) != length:
        raise ValueError("rows do not fit their values")
    return ends
