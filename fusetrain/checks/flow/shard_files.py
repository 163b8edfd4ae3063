"""The files of shards: find them, and refuse those that do not belong together.

What is in them and how it is joined is told by `shards.py`.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fusetrain.checks.flow.facts_file import SUFFIX, FactsFile, NoFactsError, read_facts
from fusetrain.checks.flow.kept import refuse_inside
from fusetrain.errors import DataError, Problem, ResourceError, UsageError

KIND = "shard of a check"
AGAIN = "run the command with --shard again for it, then --merge"
# What all shards of one check have in common, and what it is called when they do not.
COMMON: Mapping[str, str] = {
    "count": "number of shards",
    "splits": "splits",
    "registration": "--registration",
    "headers_only": "--headers-only",
    "schema": "facts",
    "measured_by": "versions of fusetrain, Pillow or numpy",
    "listing": "pairs of the data set",
}


def require_writable(out: Path, *, root: Path) -> None:
    """Refuse, before hours of work, a place where a shard cannot be written or must not.

    Raises:
        DataError: It lies in the data set, or there is a file that is no shard.
        ResourceError: Nothing can be written there.
        UsageError: It has another suffix, by which `--merge` would not find it.
    """
    refuse_inside(out, root=root, flag="the file of the shard")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        is_writable = os.access(out.parent, os.W_OK) and not out.is_dir()
    except OSError:
        is_writable = False
    if not is_writable:
        raise ResourceError("nothing can be written there", where=str(out), remedy="--out FILE")
    if out.suffix != SUFFIX:
        raise UsageError(f"--out {out}", expected=f"a file that ends in {SUFFIX}")
    if out.exists():
        try:
            is_shard = read_facts(out).header.get("kind") == KIND
        except NoFactsError:
            is_shard = False
        if not is_shard:
            raise DataError(
                "there is a file of another kind, which is not replaced",
                where=str(out),
                remedy="--out FILE names another place",
            )


def load_shards(folder: Path) -> dict[int, FactsFile]:
    """Return the files of all shards by number; they belong together and none is missing.

    Raises:
        DataError: There is no folder or shard, or something is wrong with them; all at once.
    """
    paths = sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
    if not paths:
        raise DataError(
            "no shard to merge",
            where=str(folder),
            expected=f"a folder with the {SUFFIX} files that --shard I/N writes",
        )
    problems: list[Problem] = []
    found: dict[Path, FactsFile] = {}
    for path in paths:
        try:
            found[path] = _load(path)
        except NoFactsError as error:
            problems.append(Problem(error.what, str(path)))
    problems += _differences(found) or _gaps(found)
    if problems:
        raise DataError(
            "the shards cannot be merged", where=str(folder), problems=problems, remedy=AGAIN
        )
    return {content.header["number"]: content for content in found.values()}


def _load(path: Path) -> FactsFile:
    content = read_facts(path)
    if content.header.get("kind") != KIND or not {*COMMON, "number"} <= content.header.keys():
        raise NoFactsError("is no shard of a check")
    return content


def _differences(found: Mapping[Path, FactsFile]) -> list[Problem]:
    """Return what shards have otherwise than the first one."""
    problems = []
    first = next(iter(found), None)
    for path, content in found.items():
        assert first is not None
        usual = found[first].header
        other = [word for key, word in COMMON.items() if content.header[key] != usual[key]]
        if other:
            problems.append(Problem(f"other {', other '.join(other)} than {first.name}", path.name))
    return problems


def _gaps(found: Mapping[Path, FactsFile]) -> list[Problem]:
    """Return which shards of one check are missing or there twice."""
    places: defaultdict[int, list[str]] = defaultdict(list)
    for path, content in found.items():
        places[content.header["number"]].append(path.name)
    problems = [
        Problem(f"shard {number} is there {len(names)} times", ", ".join(names))
        for number, names in places.items()
        if len(names) > 1
    ]
    count = max((content.header["count"] for content in found.values()), default=0)
    missing = sorted(set(range(1, count + 1)) - set(places))
    if missing:
        problems.append(Problem(f"of {count} shards there are none of: {_ranges(missing)}"))
    return problems


def require_equal(header: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Refuse shards that were measured on other data, by another version or with other options.

    Raises:
        DataError: They were.
    """
    other = [word for key, word in COMMON.items() if key in now and header[key] != now[key]]
    if other:
        raise DataError(
            f"the shards do not fit this command: other {', other '.join(other)}",
            where=str(folder),
            expected="the data set as it was when the shards were measured, and the same options",
            remedy="measure all shards again",
        )


def _ranges(numbers: Sequence[int]) -> str:
    """Return rising numbers as ``1-3, 7``."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(f"{low}-{high}" if high > low else str(low) for low, high in spans)
