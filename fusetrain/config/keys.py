"""Paths through nested settings: every value under its dotted key, and every group on the way.

What the keys mean is told in `schema.py`; this file only walks mappings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fusetrain.config.faults import Keys, dotted


def all_keys(value: Any, *, prefix: Keys = ()) -> Iterator[Keys]:
    """Yield the path of a value and of everything in it."""
    yield prefix
    if isinstance(value, dict):
        for key, item in value.items():
            yield from all_keys(item, prefix=(*prefix, key))


def leaves(value: Any, *, prefix: Keys = ()) -> Iterator[Keys]:
    """Yield the path of every value that is no group; an empty group counts as a value."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, prefix=(*prefix, key))
    else:
        yield prefix


def values_by_key(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return every value that is no group under its dotted key."""
    return {dotted(keys): value_at(settings, keys) for keys in leaves(dict(settings))}


def value_at(settings: Any, keys: Keys) -> Any:
    """Return what stands at a path."""
    for key in keys:
        settings = settings[key]
    return settings
