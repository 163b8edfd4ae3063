"""A table from names to classes that imports a class only when it is asked for.

Registries are the only places where a name in a config turns into code. Built-in names map to
``module:Class`` strings, so that a config can be checked without importing torch; other names may
come from entry points of installed packages or be written as ``package.module:Name``. Such code
is taken from the installed environment only, never from the folder of the config or the data.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fusetrain.errors import ConfigError, did_you_mean


class Registry:
    """Names of one kind of part, resolved on first use.

    Args:
        kind: What the names stand for, in the singular, as error messages say it.
        table: Built-in name to ``module:Class``.
        group: Entry-point group through which installed packages add names.
    """

    def __init__(self, kind: str, table: Mapping[str, str], *, group: str) -> None:
        self.kind = kind
        self.group = group
        self._table = dict(table)

    def names(self) -> tuple[str, ...]:
        """Return the built-in names, in the order of the table."""
        return tuple(self._table)

    def __contains__(self, name: str) -> bool:
        return name in self._table or ":" in name or name in self._entry_points()

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def problem(self, name: str) -> str | None:
        """Return why ``name`` is not a known name, with the nearest known one, or None."""
        if name in self:
            return None
        known = [*self._table, *self._entry_points()]
        hint = did_you_mean(name, known) or f"known: {', '.join(known)}"
        return f"unknown {self.kind} {name!r}; {hint}"

    def get(self, name: str) -> Any:
        """Return the class behind ``name``.

        Raises:
            ConfigError: The name is not known, or its module cannot be imported.
        """
        if problem := self.problem(name):
            raise ConfigError(problem)
        target = self._table.get(name) or self._entry_points().get(name) or name
        module, _, attribute = target.partition(":")
        try:
            if target == name:
                _refuse_local_module(module)
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"{self.kind} {name!r} cannot be imported: {error}",
                expected="`package.module:Name` from an installed package",
            ) from error

    def _entry_points(self) -> dict[str, str]:
        return {point.name: point.value for point in entry_points(group=self.group)}


def _refuse_local_module(module: str) -> None:
    """Refuse a module that would come from the working folder instead of an installed package."""
    here = Path.cwd().resolve()
    kept = sys.path[:]
    sys.path[:] = [entry for entry in kept if entry and Path(entry).resolve() != here]
    try:
        spec = find_spec(module)
    finally:
        sys.path[:] = kept
    if spec is None:
        raise ImportError(f"no installed module {module!r}")
