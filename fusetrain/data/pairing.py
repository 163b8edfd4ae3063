"""Match visible and infrared files by key, never by their position in two sorted lists.

A key is the path under the split folder without its suffix, after Unicode NFC and case folding.
This file looks at names only: no pixels, no labels, no file system.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

# Nearest names are a courtesy; a set with thousands of orphans must not wait for them.
MAX_HINTS = 20
MAX_HINT_CANDIDATES = 1000


@dataclass(frozen=True)
class Orphan:
    """A file without a partner.

    Attributes:
        path: The file, as it was given.
        nearest: The most similar name among the other modality's orphans; empty when none is near.
    """

    path: str
    nearest: str = ""


@dataclass(frozen=True)
class Ambiguity:
    """Several files of one modality that share a key, so that no pair can be told.

    Attributes:
        key: The common key.
        rgb_paths: All visible files with this key.
        ir_paths: All infrared files with this key.
    """

    key: str
    rgb_paths: tuple[str, ...]
    ir_paths: tuple[str, ...]


@dataclass(frozen=True)
class Pairing:
    """What `pair_by_key` found; every image that was given stands in exactly one place.

    Attributes:
        pairs: Visible and infrared path of each pair, ordered by key.
        rgb_only: Visible files without an infrared partner.
        ir_only: Infrared files without a visible partner.
        ambiguous: Keys that several files of one modality share.
        foreign: Files beside the images whose kind is not read.
    """

    pairs: tuple[tuple[str, str], ...]
    rgb_only: tuple[Orphan, ...] = ()
    ir_only: tuple[Orphan, ...] = ()
    ambiguous: tuple[Ambiguity, ...] = ()
    foreign: tuple[str, ...] = ()


def pair_key(path: str, folder: str = "", *, suffix: str = "") -> str:
    """Return the key of a file.

    Args:
        path: Path with forward slashes.
        folder: Split folder that ``path`` lies in; it is no part of the key.
        suffix: What the stem may have behind the key, such as ``_lwir``, in any case.
    """
    below = path[len(folder) + 1 :] if folder and path.startswith(f"{folder}/") else path
    head, slash, name = below.rpartition("/")
    stem, dot, _ = name.rpartition(".")
    key = f"{head}{slash}{stem if dot and stem else name}"
    key = key.casefold() if key.isascii() else unicodedata.normalize("NFC", key).casefold()
    return key.removesuffix(suffix.casefold()) if suffix else key


def has_suffix(path: str, suffix: str) -> bool:
    """Return whether the stem of a file ends with a suffix, in any case, and is more than it."""
    stem = path.rpartition("/")[2].rpartition(".")[0].casefold()
    return stem.endswith(suffix.casefold()) and len(stem) > len(suffix)


def pair_by_key(
    rgb_paths: Iterable[str],
    ir_paths: Iterable[str],
    *,
    rgb_folder: str = "",
    ir_folder: str = "",
    rgb_suffix: str = "",
    ir_suffix: str = "",
) -> Pairing:
    """Match the files of one split folder by key.

    Args:
        rgb_paths: Visible files, with forward slashes.
        ir_paths: Infrared files; suffixes may differ from those of their partners.
        rgb_folder: Split folder of the visible files, a prefix of their paths.
        ir_folder: Split folder of the infrared files.
        rgb_suffix: What stems of visible files may have behind their key.
        ir_suffix: What stems of infrared files may have behind their key.
    """
    rgb = _by_key(rgb_paths, rgb_folder, rgb_suffix)
    ir = _by_key(ir_paths, ir_folder, ir_suffix)
    pairs: list[tuple[str, str]] = []
    ambiguous: list[Ambiguity] = []
    for key in sorted(rgb.keys() | ir.keys()):
        visible, infrared = rgb.get(key, []), ir.get(key, [])
        if len(visible) > 1 or len(infrared) > 1:
            ambiguous.append(Ambiguity(key, tuple(visible), tuple(infrared)))
        elif visible and infrared:
            pairs.append((visible[0], infrared[0]))
    rgb_only = {key: paths[0] for key, paths in rgb.items() if key not in ir and len(paths) == 1}
    ir_only = {key: paths[0] for key, paths in ir.items() if key not in rgb and len(paths) == 1}
    return Pairing(
        tuple(pairs), _orphans(rgb_only, ir_only), _orphans(ir_only, rgb_only), tuple(ambiguous)
    )


def join_pairings(parts: Sequence[Pairing]) -> Pairing:
    """Return the pairings of several folders as one, in the order given."""
    return Pairing(
        tuple(pair for part in parts for pair in part.pairs),
        tuple(orphan for part in parts for orphan in part.rgb_only),
        tuple(orphan for part in parts for orphan in part.ir_only),
        tuple(clash for part in parts for clash in part.ambiguous),
        tuple(dict.fromkeys(path for part in parts for path in part.foreign)),
    )


def _by_key(paths: Iterable[str], folder: str, suffix: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        found.setdefault(pair_key(path, folder, suffix=suffix), []).append(path)
    return found


def _orphans(own: Mapping[str, str], others: Mapping[str, str]) -> tuple[Orphan, ...]:
    """Return the orphans by key, the first of them with the nearest orphan of the other side."""
    candidates: dict[tuple[int, ...], list[str]] = {}
    for key in sorted(others)[:MAX_HINT_CANDIDATES]:
        candidates.setdefault(_numbers(key), []).append(key)
    orphans = []
    for rank, key in enumerate(sorted(own)):
        # Names that differ in a number are other frames, however similar they look.
        similar = candidates.get(_numbers(key), []) if rank < MAX_HINTS else []
        near = get_close_matches(key, similar, n=1)
        orphans.append(Orphan(own[key], others[near[0]] if near else ""))
    return tuple(orphans)


def _numbers(key: str) -> tuple[int, ...]:
    return tuple(int(digits[-18:]) for digits in re.findall("[0-9]+", key))
