"""Paths in a data YAML: kept below its root, and the folders of one kind by those of another."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from fusetrain.errors import DataError


def safe_relative(item: str, root: Path) -> str:
    """Return a path of a data YAML or list file, normalised, relative to the root.

    Backslashes part folders, as in lists written on Windows, unless there is a file with them.

    Raises:
        DataError: It is absolute, climbs with ``..``, or leads outside the root through a link.
    """
    path = item.strip()
    if "\\" in path and not os.path.lexists(root / path):
        path = path.replace("\\", "/")
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\0" in item:
        raise DataError(f"{item!r} must be a path below the root, without '..'; see `path:`")
    resolved = os.path.realpath(root / pure)
    inside = os.path.realpath(root)
    if os.path.commonpath([inside, resolved]) != inside:
        raise DataError(
            f"{item!r} leads outside the root through a link",
            where=str(root),
            expected="a set whose files lie in its folder",
            remedy="copy what the link leads to into the set",
        )
    return "" if pure.as_posix() == "." else pure.as_posix()


def replaced(folder: str, components: Mapping[str, str]) -> str:
    """Replace the first component that ``components`` names."""
    parts = list(PurePosixPath(folder).parts)
    for index, part in enumerate(parts):
        if part in components:
            parts[index] = components[part]
            break
    return "/".join(parts)
