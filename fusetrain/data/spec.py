"""Read a data YAML, or recognise a data-set folder, and say which folders make up each split.

All paths of the result are checked: they exist and stay below the root. What lies in the folders is
the business of `index.py`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from fusetrain.config.schema import DataSettings
from fusetrain.config.yaml import YamlDocument, read_yaml, validate
from fusetrain.data.class_names import collect_class_names
from fusetrain.data.formats.coco_json import read_once
from fusetrain.data.layouts.recognise import recognise
from fusetrain.data.sources import FROM_YAML, SPLITS, LabelSource, Layout, Source
from fusetrain.data.storage import AS_FILES, Storage
from fusetrain.data.yaml_paths import safe_relative
from fusetrain.data.yaml_sources import sources_of
from fusetrain.errors import DataError, Problem

__all__ = ["SPLITS", "DataSpec", "Layout", "Source", "load_spec", "safe_relative"]

YAML_NAMES = ("data.yaml", "data.yml")
YAML_SUFFIXES = (".yaml", ".yml")
YAML_KEYS = (r"^names\s*:", r"^train\s*:")
EXAMPLE = "`path`, `train`, `val` and `names` as in datasets/README.md"


@dataclass(frozen=True)
class DataSpec:
    """What a data YAML says, resolved.

    Attributes:
        path: The YAML, or the folder where there is none.
        root: Absolute folder that all other paths are relative to.
        splits: Split name to its sources; only splits that are given.
        class_names: Names of the classes by number.
        thermal: auto, raw or percentile, or the range (low, high) in raw counts.
        layout: What the set was recognised as; commands say it.
        label_source: Whose boxes are the truth where each modality has a label set of its own.
        storage: How the pictures lie in their files; every index of the set carries it.
        names_are_given: The YAML has `names`; else they are those that the labels use.
    """

    path: Path
    root: Path
    splits: Mapping[str, tuple[Source, ...]]
    class_names: tuple[str, ...]
    thermal: str | tuple[float, float] = "auto"
    layout: Layout = FROM_YAML
    label_source: LabelSource = "rgb"
    storage: Storage = AS_FILES
    names_are_given: bool = True

    def sources(self, split: str) -> tuple[Source, ...]:
        """Return the sources of a split.

        Raises:
            DataError: The data set has no such split.
        """
        if split not in self.splits:
            raise DataError(
                f"the data set has no split {split!r}",
                where=str(self.path),
                expected=f"one of {', '.join(self.splits)}",
            )
        return self.splits[split]


@read_once()
def load_spec(path: Path) -> DataSpec:
    """Read a data YAML, a folder that holds one, or a folder of a known layout.

    Raises:
        DataError: Nothing of the kind is there, or the YAML is wrong; all faults at once.
    """
    if path.is_dir():
        own = yaml_in(path)
        return _from_yaml(own) if own is not None else _from_folder(path)
    if not path.is_file():
        raise DataError(
            "no such data YAML or data-set folder",
            where=str(path),
            remedy="`fusetrain demo DIR` writes a small data set to start with",
        )
    if path.suffix.lower() not in YAML_SUFFIXES:
        raise DataError(
            f"a {path.suffix or 'file without suffix'} is no data set",
            where=str(path),
            expected="a data-set folder, or a data YAML (.yaml, .yml)",
            remedy="Unpack an archive first; one image or a list of them has no labels beside it.",
        )
    return _from_yaml(path)


def yaml_in(folder: Path) -> Path | None:
    """Return the data YAML of a folder, in whatever case its name is; None where there is none."""
    exact = next((folder / name for name in YAML_NAMES if (folder / name).is_file()), None)
    others = (path for path in _yamls(folder) if path.name.lower() in YAML_NAMES)
    return exact or next(others, None)


def _yamls(folder: Path) -> list[Path]:
    """Return the YAML files of a folder, by name; none of one that cannot be listed."""
    names: list[str] = []
    with suppress(OSError), os.scandir(folder) as entries:
        names = sorted(e.name for e in entries if e.name.lower().endswith(YAML_SUFFIXES))
    return [folder / name for name in names if (folder / name).is_file()]


def _unread_yamls(folder: Path) -> Iterator[str]:
    """Yield a remark for each YAML of a folder that describes a data set and is not read."""
    for path in _yamls(folder):
        with suppress(OSError):
            text = path.read_text(encoding="utf-8", errors="replace")
            if all(re.search(key, text, re.MULTILINE) for key in YAML_KEYS):
                yield f"{path.name} is not read: call it data.yaml, or give its path"


def _from_yaml(path: Path) -> DataSpec:
    document = read_yaml(path, error=DataError)
    _refuse_config(document)
    settings = validate(DataSettings, document, what="data YAML", error=DataError)
    root = Path(os.path.abspath(path.parent / settings.path))
    if not root.is_dir():
        raise DataError(
            f"the root {root} is not a folder", where=document.where(("path",)), expected=EXAMPLE
        )
    splits = _splits(settings, root, document=document)
    names = settings.class_names or _names_from_labels(root, splits)
    thermal = settings.thermal
    return DataSpec(
        path,
        root,
        splits,
        names,
        tuple(thermal["range"]) if isinstance(thermal, dict) else thermal,  # type: ignore[arg-type]
        Layout("yaml", _sentence(settings)),
        settings.label_source,
        Storage(settings.border, settings.channels),
        names_are_given=settings.class_names is not None,
    )


def _refuse_config(document: YamlDocument) -> None:
    """Say of a training config what it is, instead of naming each of its keys as unknown."""
    given = document.value
    if isinstance(given, dict) and isinstance(given.get("data"), str) and "names" not in given:
        raise DataError(
            "this is a training config, not a data YAML",
            where=document.where(("data",)),
            expected=f"the data set that it names: {given['data']}",
        )


def _from_folder(folder: Path) -> DataSpec:
    """Recognise a folder by what lies in it; classes are those that its labels have."""
    root = Path(os.path.abspath(folder))
    found = recognise(root)
    for sources in found.splits.values():
        for source in sources:
            for inner in (source.rgb_folder, source.ir_folder):
                safe_relative(inner, root)
    names = _names_from_labels(root, found.splits)
    return DataSpec(
        folder,
        root,
        found.splits,
        names,
        layout=replace(found.layout, notes=(*found.layout.notes, *_unread_yamls(root))),
        storage=found.storage,
        names_are_given=False,
    )


def _names_from_labels(root: Path, splits: Mapping[str, tuple[Source, ...]]) -> tuple[str, ...]:
    sources = [source for sources in splits.values() for source in sources]
    return collect_class_names(root, sources) or ("0",)


def _sentence(settings: DataSettings) -> str:
    """Return what a data YAML says, as far as it departs from the plain layout."""
    said = [f"{settings.label_format} labels"] if settings.label_format != "yolo" else []
    if settings.suffixes:
        said.append(f"*{settings.suffixes['rgb']} with *{settings.suffixes['ir']}")
    if settings.channels == "rgbt":
        said.append("both modalities in one file")
    if settings.border:
        said.append(f"a border of {settings.border} px cut off")
    unused = [key for key in ("download", "roboflow") if getattr(settings, key) is not None]
    if unused:
        said.append(f"{' and '.join(unused)} not used")
    return f"a data YAML: {', '.join(said)}" if said else "a data YAML"


def _splits(
    settings: DataSettings, root: Path, *, document: YamlDocument
) -> dict[str, tuple[Source, ...]]:
    """Return the sources of every split that the YAML gives.

    Raises:
        DataError: Something is wrong; all faults at once.
    """
    problems = _wrong_components(settings, document)
    splits: dict[str, tuple[Source, ...]] = {}
    for split in SPLITS:
        entry = getattr(settings, split)
        if entry is None:
            continue
        sources: list[Source] = []
        for item in [entry] if isinstance(entry, str) else entry:
            try:
                sources += sources_of(item, root, split=split, settings=settings)
            except DataError as error:
                where = error.where or document.where((split,))
                problems += error.problems or (Problem(error.what, where),)
        splits[split] = tuple(sources)
    if not splits:
        problems.append(Problem("none of train, val and test is given", str(document.path)))
    found = [source for sources in splits.values() for source in sources]
    if settings.label_source != "rgb" and not any(source.ir_labels for source in found):
        message = (
            f"label_source {settings.label_source!r} needs labels drawn on the infrared images "
            "too; name their folder under `ir_labels:`"
        )
        problems.append(Problem(message, document.where(("label_source",))))
    if problems:
        raise DataError(
            f"the data set cannot be used: {len(problems)} faults"
            if len(problems) > 1
            else "the data set cannot be used",
            problems=problems,
            expected=EXAMPLE,
        )
    return splits


def _wrong_components(settings: DataSettings, document: YamlDocument) -> list[Problem]:
    problems = []
    for key in ("ir", "labels", "ir_labels"):
        for old, new in (getattr(settings, key) or {}).items():
            if not _is_component(old) or not _is_component(new):
                message = f"{{{old}: {new}}} must be two names of folders, without a slash"
                problems.append(Problem(message, document.where((key,))))
    return problems


def _is_component(name: str) -> bool:
    return bool(name) and name not in (".", "..") and "/" not in name and "\\" not in name
