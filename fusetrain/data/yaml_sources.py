"""Turn the entries of a data YAML into sources: folders, list files, COCO files and their labels.

Every path stays below the root; what is wrong is said with the entry that says it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Literal

from fusetrain.config.schema import DataSettings
from fusetrain.data.layouts.stated import stated_source
from fusetrain.data.layouts.words import read_component
from fusetrain.data.sources import LabelSet, Source
from fusetrain.errors import DataError, Problem

MAX_LIST_BYTES = 256 * 2**20
# Files of a label folder that are looked at before it is believed to hold no text files.
LOOKED_AT = 1000


def sources_of(item: str, root: Path, *, split: str, settings: DataSettings) -> list[Source]:
    """Return the sources of one entry of a split.

    Raises:
        DataError: The entry leads nowhere or outside the root.
    """
    relative = safe_relative(_below(item, root), root)
    suffix = PurePosixPath(relative).suffix.lower()
    if suffix == ".txt" and (root / relative).is_file():
        return _listed(relative, root, split=split, settings=settings)
    if suffix == ".json" and (root / relative).is_file():
        return [stated_source(root, relative)]
    if not (root / relative).is_dir():
        raise DataError(f"{item!r} is neither a folder nor a .txt below {root}")
    if settings.channels == "separate" and not settings.suffixes:
        relative = _with_component(item, relative, root, settings=settings)
    return [_source(relative, root, split=split, settings=settings, names=None)]


def _below(item: str, root: Path) -> str:
    """Return an entry without a first ``../`` that leads nowhere where the rest does not.

    Roboflow writes a data.yaml beside its folders as if it lay in one of them.
    """
    rest = item.strip().removeprefix("../")
    is_exported = rest != item.strip() and (root / rest).exists() and not (root / item).exists()
    return rest if is_exported else item


def safe_relative(item: str, root: Path) -> str:
    """Return a path of a data YAML or list file, normalised, relative to the root.

    Raises:
        DataError: It is absolute, climbs with ``..``, or leads outside the root through a link.
    """
    pure = PurePosixPath(item.strip())
    if pure.is_absolute() or ".." in pure.parts or "\0" in item:
        raise DataError(f"{item!r} must be a path below the root, without '..'; see `path:`")
    resolved = os.path.realpath(root / pure)
    inside = os.path.realpath(root)
    if os.path.commonpath([inside, resolved]) != inside:
        raise DataError(f"{item!r} leads outside the root through a link")
    return "" if pure.as_posix() == "." else pure.as_posix()


def _with_component(item: str, relative: str, root: Path, *, settings: DataSettings) -> str:
    """Return a folder with a component that `ir:` replaces: itself, or the one inside it.

    Raises:
        DataError: There is none.
    """
    old, new = next(iter(settings.ir.items()))
    if any(part in settings.ir for part in PurePosixPath(relative).parts):
        return relative
    if (root / relative / old).is_dir():
        return (PurePosixPath(relative) / old).as_posix()
    raise DataError(
        f"{item!r} has no component {old!r} that `ir:` could replace by {new!r}; "
        "name the folders of your data set there"
    )


def _source(
    folder: str,
    root: Path,
    *,
    split: str,
    settings: DataSettings,
    names: tuple[str, ...] | None,
) -> Source:
    ir_folder = _ir_folder(folder, root, settings=settings)
    label_folder = replaced(folder, settings.labels)
    labels = _label_set(folder, root, split=split, settings=settings, label_folder=label_folder)
    return Source(
        folder,
        ir_folder,
        label_folder,
        names,
        rgb_suffix=settings.suffixes.get("rgb", ""),
        ir_suffix=settings.suffixes.get("ir", ""),
        labels=labels,
        ir_labels=_ir_label_set(
            ir_folder, root, split=split, settings=settings, label_folder=label_folder
        ),
    )


def _ir_folder(folder: str, root: Path, *, settings: DataSettings) -> str:
    """Return the infrared folder of a visible one.

    Raises:
        DataError: There is none.
    """
    if settings.channels == "rgbt":
        return folder
    ir_folder = replaced(folder, settings.ir)
    if settings.suffixes and (ir_folder == folder or not (root / ir_folder).is_dir()):
        return folder
    if ir_folder == folder:
        raise DataError(f"{folder!r} has no component that `ir:` replaces")
    if not (root / ir_folder).is_dir():
        hint = _ir_hint(folder, root, settings=settings)
        raise DataError(f"{folder!r} has no infrared folder: {ir_folder!r} is not there{hint}")
    return ir_folder


def _ir_hint(folder: str, root: Path, *, settings: DataSettings) -> str:
    """Return which folder beside a visible one sounds like its infrared, if one alone does."""
    parts = PurePosixPath(folder).parts
    place = next(number for number, part in enumerate(parts) if part in settings.ir)
    above = root.joinpath(*parts[:place])
    beside = [entry.name for entry in sorted(above.iterdir()) if entry.is_dir()]
    found = [name for name in beside if read_component(name).modality == "ir"]
    return (
        f"; for {found[0]}/ write `ir: {{{parts[place]}: {found[0]}}}`" if len(found) == 1 else ""
    )


def _label_set(
    folder: str, root: Path, *, split: str, settings: DataSettings, label_folder: str
) -> LabelSet | None:
    """Return how the labels are written; None for YOLO txt where `labels:` says.

    Raises:
        DataError: `annotations:` leads nowhere, or the folder holds files of another format.
    """
    label_format = settings.label_format
    if settings.annotations is not None:
        given = settings.annotations
        return _placed(given, folder, root, split=split, settings=settings, key="annotations")
    if label_format == "coco":
        raise DataError("format coco needs `annotations:` with the JSON of every split")
    if label_format == "yolo":
        if settings.format is None and _holds_xml_only(root / label_folder):
            raise DataError(f"{label_folder!r} holds XML files, no .txt; write `format: voc`")
        return None
    return _formatted(label_folder, settings)


def _ir_label_set(
    ir_folder: str, root: Path, *, split: str, settings: DataSettings, label_folder: str
) -> LabelSet | None:
    """Return the labels drawn on the infrared images, where there are some.

    Raises:
        DataError: What the YAML names is not there.
    """
    if settings.ir_annotations is not None:
        given = settings.ir_annotations
        found = _placed(
            given, ir_folder, root, split=split, settings=settings, key="ir_annotations"
        )
        return _on_infrared(found)
    if settings.ir_labels is not None:
        place = replaced(ir_folder, settings.ir_labels)
        if place == ir_folder or not (root / place).is_dir():
            raise DataError(f"{ir_folder!r} has no labels of its own: {place!r} is not there")
        return _on_infrared(_formatted(place, settings))
    # The same rule as for the visible images may lead to a second set, as in rgb/labels, ir/labels.
    place = replaced(ir_folder, settings.labels)
    is_second = place not in (ir_folder, label_folder) and (root / place).is_dir()
    is_second = is_second and settings.annotations is None
    return _on_infrared(_formatted(place, settings)) if is_second else None


def _on_infrared(labels: LabelSet) -> LabelSet:
    return LabelSet(
        labels.place,
        labels.format,
        labels.prefix,
        labels.suffix,
        drawn_on_px=labels.drawn_on_px,
        drawn_on="ir",
    )


Stated = str | Mapping[Literal["train", "val", "test"], str]


def _annotations(given: Stated, root: Path, *, split: str, key: str) -> str:
    """Return what `annotations:` says for a split: a folder or a JSON below the root.

    Raises:
        DataError: Nothing, or something that is not there.
    """
    entry = given if isinstance(given, str) else dict(given).get(split)  # type: ignore[call-overload]
    if entry is None:
        raise DataError(f"`{key}:` has no entry for {split}")
    relative = safe_relative(entry, root)
    is_json = relative.lower().endswith(".json")
    if not ((root / relative).is_file() if is_json else (root / relative).is_dir()):
        kind = "file" if is_json else "folder"
        raise DataError(f"`{key}:` names {entry!r}, which is no {kind} below {root}")
    return relative


def _placed(
    given: Stated, folder: str, root: Path, *, split: str, settings: DataSettings, key: str
) -> LabelSet:
    """Return labels in a stated folder, which may mirror the folders of the images.

    A folder that is named for one split alone is taken as it is.

    Raises:
        DataError: It is not there, or format and file do not go together.
    """
    place = _annotations(given, root, split=split, key=key)
    is_json = place.lower().endswith(".json")
    if is_json != (settings.label_format == "coco"):
        raise DataError(f"{place!r} does not go with format {settings.label_format}")
    if is_json:
        return LabelSet(place, "coco")
    if not isinstance(given, str):
        return _formatted(place, settings)
    parts = PurePosixPath(folder).parts
    kept = [part for part in parts if not (read_component(part).modality or part in settings.ir)]
    unsaid = [part for part in kept if not read_component(part).is_images]
    for inner in ("/".join(kept), "/".join(unsaid), split):
        candidate = (PurePosixPath(place) / inner).as_posix()
        if inner and (root / candidate).is_dir():
            return _formatted(candidate, settings)
    return _formatted(place, settings)


def _formatted(place: str, settings: DataSettings) -> LabelSet:
    is_half = settings.label_format == "vedai" and "512" in place
    return LabelSet(place, settings.label_format, drawn_on_px=512 if is_half else 0)


def replaced(folder: str, components: Mapping[str, str]) -> str:
    """Replace the first component that ``components`` names."""
    parts = list(PurePosixPath(folder).parts)
    for index, part in enumerate(parts):
        if part in components:
            parts[index] = components[part]
            break
    return "/".join(parts)


def _holds_xml_only(folder: Path) -> bool:
    has_xml = False
    try:
        with os.scandir(folder) as entries:
            for _, entry in zip(range(LOOKED_AT), entries, strict=False):
                suffix = os.path.splitext(entry.name)[1].lower()
                if suffix == ".txt":
                    return False
                has_xml = has_xml or suffix == ".xml"
    except OSError:
        return False
    return has_xml


def _listed(list_file: str, root: Path, *, split: str, settings: DataSettings) -> list[Source]:
    """Return one source for each folder that a list file takes images from."""
    where = str(root / list_file)
    by_folder: dict[str, list[str]] = {}
    problems = []
    for number, line in enumerate(_read_list(root / list_file), start=1):
        if not line.strip():
            continue
        try:
            relative = PurePosixPath(safe_relative(line, root))
            if not (root / relative).is_file():
                raise DataError(f"{line.strip()!r} is not a file below {root}")
            folder = relative.parent.as_posix()
            by_folder.setdefault("" if folder == "." else folder, []).append(relative.name)
        except DataError as error:
            problems.append(Problem(error.what, f"{where}:{number}"))
    sources = []
    for folder, names in by_folder.items():
        try:
            sources.append(
                _source(folder, root, split=split, settings=settings, names=tuple(names))
            )
        except DataError as error:
            problems.append(Problem(error.what, where))
    if problems:
        raise DataError("the list cannot be used", problems=problems)
    return sources


def _read_list(path: Path) -> list[str]:
    if path.stat().st_size > MAX_LIST_BYTES:
        raise DataError(f"list larger than {MAX_LIST_BYTES // 2**20} MiB", where=str(path))
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {error}", where=str(path)) from error
