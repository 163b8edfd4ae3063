"""One name for both files of every pair: the plan of `prepare rename`.

How partners are found is the business of `names.py`. Labels follow their visible image; where two
visible images share a key, only a label file of exactly the same name is taken.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from PIL import ExifTags

from fusetrain.data.decode import ImageError, opened
from fusetrain.data.index import SplitScan, scan_split
from fusetrain.data.labels import read_labels
from fusetrain.data.listing import pair_source
from fusetrain.data.pairing import Pairing
from fusetrain.data.sources import Source
from fusetrain.data.spec import DataSpec, load_spec
from fusetrain.errors import DataError, Problem
from fusetrain.prepare.names import (
    Matching,
    clean_stem,
    match_by_key,
    match_by_order,
    match_by_time,
    time_in_name,
    unique_stems,
)
from fusetrain.prepare.notes import counted
from fusetrain.prepare.plans import (
    NewPair,
    Plan,
    PlannedFile,
    SourceSet,
    boxes_text,
    native_plan,
)

By = Literal["key", "order", "time"]
BYS: tuple[By, ...] = ("key", "order", "time")
MAX_GAP_S = 0.05
OTHER_WAYS: Mapping[By, str] = {
    "key": "--by time; or --by order --accept-order, if no frame is missing",
    "time": "--max-gap S, if the cameras differ by more; or --by key",
    "order": "look whether the folders of the data set hold images",
}
MAX_SHOWN = 5


def plan_rename(
    path: Path,
    *,
    by: By = "key",
    max_gap_s: float = MAX_GAP_S,
    drop: Collection[str] = (),
) -> Plan:
    """Return the plan of a set in which both files of a pair have one name.

    Args:
        path: Data YAML or folder.
        by: key: names without what tells the modality. order: the first with the first, which is
            only right if no frame is missing on either side. time: stamps in names, else EXIF.
        max_gap_s: With time, the largest difference within a pair, s.
        drop: Images to leave out before partners are looked for, relative to the root of the set:
            those whose partner was lost.

    Raises:
        DataError: The set cannot be used, nothing matches, an image to leave out is not there, or
            there are not equally many files.
    """
    spec = load_spec(path)
    gone = _dropped(spec, drop)
    renamed: dict[str, tuple[Source, ...]] = {}
    left: list[str] = []
    problems: list[Problem] = []
    for split in spec.splits:
        sources = []
        for source in spec.sources(split):
            try:
                matching = _match(spec, source, by=by, max_gap_s=max_gap_s, drop=gone)
            except ValueError as error:
                problems.append(Problem(f"{split}: {error}", source.rgb_folder))
                continue
            left += [*matching.rgb_left, *matching.ir_left]
            names, ir_names = zip(*matching.pairs, strict=True) if matching.pairs else ((), ())
            sources.append(replace(source, names=names, ir_names=ir_names))
        renamed[split] = tuple(sources)
    if problems:
        raise DataError(
            "pairs cannot be told by the order of their names",
            problems=problems,
            expected="equally many visible and infrared images",
            remedy="--by key, or --by time",
        )
    return _plan(replace(spec, splits=renamed), left, by=by, max_gap_s=max_gap_s)


def _dropped(spec: DataSpec, drop: Collection[str]) -> frozenset[str]:
    """Return the images to leave out, relative to the root.

    Raises:
        DataError: One is no file of the set.
    """
    problems = []
    found = set()
    for name in drop:
        relative = os.path.relpath(name, spec.root) if os.path.isabs(name) else name
        found.add(os.path.normpath(relative).replace(os.sep, "/"))
        if not (spec.root / relative).is_file():
            problems.append(Problem(f"no image {name}", str(spec.root)))
    if problems:
        raise DataError(
            "an image to leave out is not there",
            problems=problems,
            expected="paths as `check-data` prints them, such as images/train/0001.jpg",
        )
    return frozenset(found)


def _plan(spec: DataSpec, left: list[str], *, by: By, max_gap_s: float) -> Plan:
    scans = {split: scan_split(spec, split) for split in spec.splits}
    source = SourceSet(spec, scans)
    pairs = [
        NewPair(scan, row, split, stem)
        for split, scan in scans.items()
        for row, stem in enumerate(_stems(spec, scan, split))
    ]
    if not pairs:
        raise DataError(
            f"no visible image has a partner by {by}",
            where=str(spec.path),
            remedy=OTHER_WAYS[by],
        )
    notes = []
    if left:
        shown = ", ".join(left[:MAX_SHOWN]) + (", …" if len(left) > MAX_SHOWN else "")
        notes.append(f"{counted(len(left), 'image')} will be left out without a partner: {shown}")
    options = {"by": by, **({"max_gap_s": max_gap_s} if by == "time" else {})}
    facts = {"left_out": left}
    plan = native_plan("rename", source, pairs, options=options, facts=facts, notes=notes)
    return _with_own_labels(plan, pairs)


def _match(
    spec: DataSpec, source: Source, *, by: By, max_gap_s: float, drop: Collection[str]
) -> Matching:
    """Return the partners of one folder, relative to its two folders.

    Raises:
        ValueError: With order, the counts differ.
    """
    if spec.storage.channels == "rgbt" or (source.ir_names is not None and by == "key"):
        return _as_it_is(spec, source, drop)
    found = pair_source(spec.root, source, spec.storage)
    rgb = [_below(path, source.rgb_folder) for path in _files(found, 0) if path not in drop]
    ir = [_below(path, source.ir_folder) for path in _files(found, 1) if path not in drop]
    if by == "order":
        return match_by_order(rgb, ir)
    if by == "time":
        times = [
            {name: _time(os.path.join(spec.root, folder, name)) for name in names}
            for folder, names in ((source.rgb_folder, rgb), (source.ir_folder, ir))
        ]
        return match_by_time(times[0], times[1], max_gap_s=max_gap_s)
    # What the layout pairs stays a pair; names are only looked at for the rest.
    known = [
        (_below(one, source.rgb_folder), _below(other, source.ir_folder))
        for one, other in found.pairs
        if one not in drop and other not in drop
    ]
    matched = {name for name, _ in known}, {name for _, name in known}
    rest = match_by_key(
        (name for name in rgb if name not in matched[0]),
        (name for name in ir if name not in matched[1]),
    )
    return replace(rest, pairs=tuple(sorted((*known, *rest.pairs))))


def _as_it_is(spec: DataSpec, source: Source, drop: Collection[str]) -> Matching:
    """Return the pairs that the set states itself."""
    found = pair_source(spec.root, source, spec.storage)
    return Matching(
        tuple(
            (_below(rgb, source.rgb_folder), _below(ir, source.ir_folder))
            for rgb, ir in found.pairs
            if rgb not in drop and ir not in drop
        ),
        tuple(_below(orphan.path, source.rgb_folder) for orphan in found.rgb_only),
        tuple(_below(orphan.path, source.ir_folder) for orphan in found.ir_only),
    )


def _files(found: Pairing, side: Literal[0, 1]) -> list[str]:
    """Return all files of one modality, paired or not."""
    orphans = found.ir_only if side else found.rgb_only
    clashes = (clash.ir_paths if side else clash.rgb_paths for clash in found.ambiguous)
    return sorted(
        [
            *(pair[side] for pair in found.pairs),
            *(orphan.path for orphan in orphans),
            *(path for paths in clashes for path in paths),
        ]
    )


def _stems(spec: DataSpec, scan: SplitScan, split: str) -> list[str]:
    """Return the new name of every pair of a split."""
    folders = sorted((source.rgb_folder for source in spec.sources(split)), key=len, reverse=True)
    several = len(set(folders)) > 1
    stems = []
    for path in scan.index.rgb_paths:
        folder = next((name for name in folders if path.startswith(f"{name}/")), "")
        stem = clean_stem(_below(path, folder))
        stems.append(f"{clean_stem(f'{folder}/x')[:-2]}/{stem}" if several else stem)
    return unique_stems(stems)


def _with_own_labels(plan: Plan, pairs: Iterable[NewPair]) -> Plan:
    """Give visible images that share a key the label file of their very name, or none."""
    rows: dict[tuple[int, str], list[NewPair]] = {}
    for pair in pairs:
        rows.setdefault((id(pair.scan), pair.scan.index.keys[pair.row]), []).append(pair)
    clashing = [pair for group in rows.values() if len(group) > 1 for pair in group]
    if not clashing:
        return plan
    changed: dict[str, PlannedFile | None] = {}
    for pair in clashing:
        changed[f"labels/{pair.split}/{pair.stem}.txt"] = _own_label(
            pair, len(plan.spec.class_names)
        )
    known = {file.target for file in plan.files}
    files = [changed.get(file.target, file) for file in plan.files]
    files += [file for target, file in changed.items() if target not in known]
    without = sum(file is None for file in changed.values())
    notes = plan.notes
    if without:
        text = f"{counted(without, 'pair')} that shared a name will have no labels: no label file"
        notes = (*notes, f"{text} is called exactly as the visible image")
    return replace(plan, files=tuple(file for file in files if file is not None), notes=notes)


def _own_label(pair: NewPair, num_classes: int) -> PlannedFile | None:
    index = pair.scan.index
    stem = os.path.splitext(os.path.basename(index.rgb_paths[pair.row]))[0]
    folder = os.path.dirname(pair.scan.label_paths[pair.row])
    path = os.path.join(index.root, folder, f"{stem}.txt")
    if not os.path.isfile(path):
        return None
    labels = read_labels(path, num_classes)
    text = boxes_text(labels.classes, labels.boxes_cxcywh_unit)
    return PlannedFile(f"labels/{pair.split}/{pair.stem}.txt", path, len(text), text=text)


def _time(path: str) -> float | None:
    """Return when an image was taken, in seconds: as its name says, else its EXIF."""
    stated = time_in_name(path)
    if stated is not None:
        return stated
    try:
        with opened(path) as image:
            details = image.getexif().get_ifd(ExifTags.IFD.Exif)
    except (ImageError, OSError, ValueError):
        return None
    date = details.get(ExifTags.Base.DateTimeOriginal)
    fraction = str(details.get(ExifTags.Base.SubsecTimeOriginal, "")).strip()
    if not isinstance(date, str):
        return None
    whole = time_in_name(f"{date.replace(':', '-').replace(' ', '_')}.x")
    if whole is None:
        return None
    return whole + (float(f"0.{fraction}") if fraction.isdecimal() else 0.0)


def _below(path: str, folder: str) -> str:
    return path[len(folder) + 1 :] if folder and path.startswith(f"{folder}/") else path
