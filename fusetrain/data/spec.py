"""Read a data YAML, or recognise a data-set folder, and say which folders make up each split.

All paths of the result are checked: they exist and stay below the root. What lies in the folders is
the business of `index.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fusetrain.config.schema import DataSettings
from fusetrain.config.yaml import YamlDocument, read_yaml, validate
from fusetrain.data.labels import count_classes
from fusetrain.errors import DataError, Problem

SPLITS = ("train", "val", "test")
YAML_NAMES = ("data.yaml", "data.yml")
MAX_LIST_BYTES = 256 * 2**20
EXAMPLE = "`path`, `train`, `val` and `names` as in datasets/README.md"


@dataclass(frozen=True)
class Source:
    """One split folder, its infrared and its label folder; all relative to the root.

    Attributes:
        rgb_folder: Visible images.
        ir_folder: Infrared images under the same keys.
        label_folder: Label files under the same keys.
        names: File names in ``rgb_folder`` that a list file picks; None takes all, recursively.
    """

    rgb_folder: str
    ir_folder: str
    label_folder: str
    names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class DataSpec:
    """What a data YAML says, resolved.

    Attributes:
        path: The YAML, or the folder where there is none.
        root: Absolute folder that all other paths are relative to.
        splits: Split name to its sources; only splits that are given.
        class_names: Names of the classes by number.
        thermal: auto, raw or percentile, or the range (low, high) in raw counts.
    """

    path: Path
    root: Path
    splits: Mapping[str, tuple[Source, ...]]
    class_names: tuple[str, ...]
    thermal: str | tuple[float, float] = "auto"

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


def load_spec(path: Path) -> DataSpec:
    """Read a data YAML, a folder that holds one, or a folder with images/ and imagesIR/.

    Raises:
        DataError: Nothing of the kind is there, or the YAML is wrong; all faults at once.
    """
    if path.is_dir():
        for name in YAML_NAMES:
            if (path / name).is_file():
                return _from_yaml(path / name)
        return _from_folder(path)
    if not path.is_file():
        raise DataError(
            "no such data YAML or data-set folder",
            where=str(path),
            remedy="`fusetrain demo DIR` writes a small data set to start with",
        )
    return _from_yaml(path)


def _from_yaml(path: Path) -> DataSpec:
    document = read_yaml(path, error=DataError)
    settings = validate(DataSettings, document, what="data YAML", error=DataError)
    root = Path(os.path.abspath(path.parent / settings.path))
    if not root.is_dir():
        raise DataError(
            f"the root {root} is not a folder", where=document.where(("path",)), expected=EXAMPLE
        )
    return _resolve(settings, root, path=path, document=document)


def _from_folder(folder: Path) -> DataSpec:
    """Recognise images/, imagesIR/ and labels/; classes are called by their numbers."""
    if not (folder / "images").is_dir() or not (folder / "imagesIR").is_dir():
        raise DataError(
            "the folder holds neither a data.yaml nor images/ and imagesIR/",
            where=str(folder),
            expected=EXAMPLE,
        )
    root = Path(os.path.abspath(folder))
    found = [name for name in SPLITS if (root / "images" / name).is_dir()]
    splits = {name: f"images/{name}" for name in found} or {"train": "images"}
    names = [str(number) for number in range(count_classes(root / "labels"))]
    settings = DataSettings.model_validate({"names": names or ["0"], **splits})
    return _resolve(settings, root, path=folder, document=None)


def _resolve(
    settings: DataSettings, root: Path, *, path: Path, document: YamlDocument | None
) -> DataSpec:
    problems = _unsupported(settings, document)
    splits: dict[str, tuple[Source, ...]] = {}
    for split in SPLITS:
        entry = getattr(settings, split)
        if entry is None:
            continue
        sources: list[Source] = []
        for item in [entry] if isinstance(entry, str) else entry:
            try:
                sources += _sources(item, root, settings=settings)
            except DataError as error:
                where = document.where((split,)) if document else str(path)
                problems += error.problems or (Problem(error.what, error.where or where),)
        splits[split] = tuple(sources)
    if not splits:
        problems.append(Problem("none of train, val and test is given", str(path)))
    if problems:
        raise DataError(
            f"the data set cannot be used: {len(problems)} faults"
            if len(problems) > 1
            else "the data set cannot be used",
            problems=problems,
            expected=EXAMPLE,
        )
    thermal = settings.thermal
    if isinstance(thermal, dict):
        low, high = thermal["range"]
        return DataSpec(path, root, splits, settings.class_names, (low, high))
    return DataSpec(path, root, splits, settings.class_names, thermal)


def _unsupported(settings: DataSettings, document: YamlDocument | None) -> list[Problem]:
    problems = []

    def report(key: str, message: str) -> None:
        problems.append(Problem(message, document.where((key,)) if document else ""))

    if settings.label_source != "rgb":
        report(
            "label_source",
            f"label_source {settings.label_source!r} is not known to this version; to train on "
            "the infrared labels name their folder under `labels:`",
        )
    for key in ("ir", "labels"):
        for old, new in getattr(settings, key).items():
            if not _is_component(old) or not _is_component(new):
                report(key, f"{{{old}: {new}}} must be two names of folders, without a slash")
    return problems


def _is_component(name: str) -> bool:
    return bool(name) and name not in (".", "..") and "/" not in name and "\\" not in name


def _sources(item: str, root: Path, *, settings: DataSettings) -> list[Source]:
    """Return the sources of one entry of a split.

    Raises:
        DataError: The entry leads nowhere or outside the root.
    """
    relative = safe_relative(item, root)
    if relative.endswith(".txt") and (root / relative).is_file():
        return _listed(relative, root, settings=settings)
    if not (root / relative).is_dir():
        raise DataError(f"{item!r} is neither a folder nor a .txt below {root}")
    old, new = next(iter(settings.ir.items()))
    parts = PurePosixPath(relative).parts
    known = any(part in settings.ir for part in parts)
    if not known and (root / relative / old).is_dir():
        relative = (PurePosixPath(relative) / old).as_posix()
    elif not known:
        raise DataError(
            f"{item!r} has no component {old!r} that `ir:` could replace by {new!r}; "
            "name the folders of your data set there"
        )
    return [_source(relative, root, settings=settings, names=None)]


def _source(
    folder: str, root: Path, *, settings: DataSettings, names: tuple[str, ...] | None
) -> Source:
    ir_folder = _replaced(folder, settings.ir)
    if ir_folder == folder:
        raise DataError(f"{folder!r} has no component that `ir:` replaces")
    if not (root / ir_folder).is_dir():
        raise DataError(f"{folder!r} has no infrared folder: {ir_folder!r} is not there")
    return Source(folder, ir_folder, _replaced(folder, settings.labels), names)


def _replaced(folder: str, components: Mapping[str, str]) -> str:
    """Replace the first component that ``components`` names."""
    parts = list(PurePosixPath(folder).parts)
    for index, part in enumerate(parts):
        if part in components:
            parts[index] = components[part]
            break
    return "/".join(parts)


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


def _listed(list_file: str, root: Path, *, settings: DataSettings) -> list[Source]:
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
            by_folder.setdefault(relative.parent.as_posix(), []).append(relative.name)
        except DataError as error:
            problems.append(Problem(error.what, f"{where}:{number}"))
    sources = []
    for folder, names in by_folder.items():
        try:
            sources.append(_source(folder, root, settings=settings, names=tuple(names)))
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
