"""Turn the entries of a data YAML into sources: folders, list files, COCO files.

Every path stays below the root; what is wrong is said with the entry that says it.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from fusetrain.config.schema import DataSettings
from fusetrain.data.layouts.stated import stated_source
from fusetrain.data.layouts.words import read_component
from fusetrain.data.sources import Source
from fusetrain.data.yaml_labels import ir_label_set, label_set
from fusetrain.data.yaml_paths import replaced, safe_relative
from fusetrain.errors import DataError, Problem, reason

MAX_LIST_BYTES = 256 * 2**20


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
    labels = label_set(folder, root, split=split, settings=settings, label_folder=label_folder)
    return Source(
        folder,
        ir_folder,
        label_folder,
        names,
        rgb_suffix=settings.suffixes.get("rgb", ""),
        ir_suffix=settings.suffixes.get("ir", ""),
        labels=labels,
        ir_labels=ir_label_set(
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
        raise DataError(f"cannot be read: {reason(error)}", where=str(path)) from error
