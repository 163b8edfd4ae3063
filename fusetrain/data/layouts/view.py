"""What lies in a folder, by names alone: its subfolders and the images, labels and lists in each.

The tree is walked once; recognition then asks this view and never the disk again, but to open some
label files and images.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from fusetrain.data.image import SUFFIX_FORMATS

MAX_DEPTH = 8
MAX_FOLDERS = 50_000
# What archives and tools leave behind; never part of a data set.
IGNORED = frozenset({"__MACOSX", "__pycache__", "lost+found"})
TOP_NAMES = 12


@dataclass(frozen=True)
class FolderView:
    """The files of one folder, by kind; all names sorted.

    Attributes:
        path: Relative to the root, "" for the root itself.
        folders: Names of subfolders.
        images: Names of image files.
        texts: Names of .txt files.
        xmls: Names of .xml files.
        jsons: Names of .json files.
        num_others: Number of other files.
    """

    path: str
    folders: tuple[str, ...]
    images: tuple[str, ...]
    texts: tuple[str, ...]
    xmls: tuple[str, ...]
    jsons: tuple[str, ...]
    num_others: int


@dataclass(frozen=True)
class TreeView:
    """A folder and everything below it.

    Attributes:
        root: Absolute folder.
        folders: Relative path to what lies there, in sorted order.
        is_complete: False where there were more than MAX_FOLDERS folders.
    """

    root: Path
    folders: Mapping[str, FolderView]
    is_complete: bool = True

    @classmethod
    def read(cls, root: Path) -> TreeView:
        """Walk a folder; hidden files and loops of links are left out.

        Raises:
            OSError: A folder cannot be listed.
        """
        found: dict[str, FolderView] = {}
        pending = [""]
        seen = set()
        while pending and len(found) < MAX_FOLDERS:
            path = pending.pop()
            real = os.path.realpath(root / path)
            if real in seen:
                continue
            seen.add(real)
            view = _listed(root, path)
            found[path] = view
            if path.count("/") < MAX_DEPTH:
                pending += [join(path, name) for name in view.folders]
        return cls(root, dict(sorted(found.items())), not pending)

    def below(self, path: str) -> Iterator[FolderView]:
        """Yield a folder and all folders below it."""
        prefix = f"{path}/" if path else ""
        start = bisect_left(self._ordered, prefix)
        for place in islice(self._ordered, start, None):
            if not place.startswith(prefix):
                break
            yield self.folders[place[:-1]]

    @cached_property
    def _ordered(self) -> list[str]:
        """Return all paths with a slash behind them, so that what is below a folder follows it."""
        return sorted(f"{path}/" for path in self.folders)

    def top(self) -> str:
        """Return the top of the tree as one line for messages."""
        view = self.folders[""]
        names = [f"{name}/" for name in view.folders]
        names += [*view.texts, *view.xmls, *view.jsons, *view.images]
        shown = ", ".join(names[:TOP_NAMES])
        left = len(names) + view.num_others - min(len(names), TOP_NAMES)
        more = f"{' and ' if shown else ''}{left} more" if left else ""
        return f"{shown}{more}" or "nothing"


def join(folder: str, name: str) -> str:
    """Return a path below a folder that may be the root itself."""
    return f"{folder}/{name}" if folder else name


def is_below(path: str, folder: str) -> bool:
    """Return whether a path is a folder or lies below it."""
    return not folder or path == folder or path.startswith(f"{folder}/")


def _listed(root: Path, path: str) -> FolderView:
    kinds: dict[str, list[str]] = {"image": [], ".txt": [], ".xml": [], ".json": []}
    folders: list[str] = []
    num_others = 0
    with os.scandir(root / path) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith(".") or name in IGNORED:
                continue
            suffix = os.path.splitext(name)[1].lower()
            kind = "image" if suffix in SUFFIX_FORMATS else suffix
            if entry.is_dir():
                folders.append(name)
            elif kind in kinds:
                kinds[kind].append(name)
            else:
                num_others += 1
    images, texts, xmls, jsons = (tuple(sorted(names)) for names in kinds.values())
    return FolderView(path, tuple(sorted(folders)), images, texts, xmls, jsons, num_others)
