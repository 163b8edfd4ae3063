"""Which files make up a split: its pairs and the label file of each.

Names only: nothing is opened here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fusetrain.data.files import relative_files
from fusetrain.data.image import SUFFIX_FORMATS
from fusetrain.data.pairing import Orphan, Pairing, has_suffix, pair_by_key, pair_key
from fusetrain.data.sources import LabelSet, Source
from fusetrain.data.storage import Storage

IMAGE_SUFFIXES = frozenset(SUFFIX_FORMATS)
# Pictures, or counts of an infrared camera, as other tools write them.
FOREIGN_FORMATS = (
    *("avif", "csq", "dng", "exr", "fff", "gif", "heic", "heif", "j2k", "jp2", "jxl", "mat"),
    *("npy", "npz", "pbm", "pgm", "pnm", "ppm", "raw", "seq", "tga"),
)
FOREIGN_SUFFIXES = frozenset(f".{name}" for name in FOREIGN_FORMATS)
XML_FORMATS = frozenset({"voc"})


def pair_source(root: Path, source: Source, storage: Storage) -> Pairing:
    """Match the visible and infrared files of one source; paths are relative to the root."""
    images = _Images(root)
    pairing = _paired(images, source, storage)
    return replace(pairing, foreign=tuple(sorted(images.foreign)))


@dataclass
class _Images:
    """The images of a folder; files that hold pictures of a kind that is not read are set aside."""

    root: Path
    foreign: set[str] = field(default_factory=set)

    def below(self, folder: str) -> list[str]:
        """Return the images below a folder, relative to the root."""
        images = []
        both = IMAGE_SUFFIXES | FOREIGN_SUFFIXES
        for path in relative_files(self.root, folder, suffixes=both):
            if os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES:
                images.append(path)
            else:
                self.foreign.add(path)
        return images


def _paired(images: _Images, source: Source, storage: Storage) -> Pairing:
    if source.names is not None and source.ir_names is not None:
        return _stated_pairs(images, source, source.names, source.ir_names)
    rgb_paths = _rgb_paths(images, source)
    if storage.channels == "rgbt":
        return pair_by_key(
            rgb_paths, rgb_paths, rgb_folder=source.rgb_folder, ir_folder=source.rgb_folder
        )
    pairing = pair_by_key(
        rgb_paths,
        _ir_paths(images, source),
        rgb_folder=source.rgb_folder,
        ir_folder=source.ir_folder,
        rgb_suffix=source.rgb_suffix,
        ir_suffix=source.ir_suffix,
    )
    if source.names is None:
        return pairing
    # A list picks some of a folder: infrared images that it does not ask for are no orphans.
    clashes = tuple(clash for clash in pairing.ambiguous if clash.rgb_paths)
    return Pairing(pairing.pairs, pairing.rgb_only, (), clashes)


@dataclass(frozen=True)
class UnreadLabel:
    """A file in a folder of labels that nothing is read from.

    Attributes:
        path: The file, relative to the root.
        labels: The set that it lies among.
        instead: Where the labels of its image are looked for; empty where no image has its name.
        is_double: That other file is there and has the same key.
    """

    path: str
    labels: LabelSet
    instead: str = ""
    is_double: bool = False


@dataclass(frozen=True)
class _LabelFolder:
    """The label files of a folder by key; further ones with their key after the one that is read.

    Attributes:
        files: Key to file.
        doubles: Key and file.
    """

    files: dict[str, str] = field(default_factory=dict)
    doubles: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class LabelListing:
    """Looks up label files by key; each folder is listed once.

    Attributes:
        root: Absolute root of the data set.
    """

    root: Path
    _folders: dict[tuple[str, str, str], _LabelFolder] = field(default_factory=dict, repr=False)

    def find(self, labels: LabelSet, key: str) -> str:
        """Return the label file of a pair, relative to the root; empty where there is none.

        COCO has no file a pair.
        """
        return self._folder(labels).files.get(_prefixed(key, labels), "")

    def count(self, labels: LabelSet) -> int:
        """Return how many label files there are in the folder of a set."""
        folder = self._folder(labels)
        return len(folder.files) + len(folder.doubles)

    def unread(self, labels: LabelSet, stems: Mapping[str, str]) -> Iterator[UnreadLabel]:
        """Yield the label files of a set that are not read.

        Args:
            labels: The set.
            stems: Of all images that its folder may hold labels of: stem, and key, to the key. They
                differ where a suffix tells the modalities apart.
        """
        folder = self._folder(labels)
        names = {_prefixed(stem, labels): _prefixed(key, labels) for stem, key in stems.items()}
        for key, path in folder.files.items():
            if names.get(key) != key:
                instead = f"{names[key]}{os.path.splitext(path)[1]}" if key in names else ""
                yield UnreadLabel(
                    path, labels, below_folder(labels.place or "", instead) if instead else ""
                )
        for key, path in folder.doubles:
            if names.get(key) == key:
                yield UnreadLabel(path, labels, folder.files[key], is_double=True)

    def _folder(self, labels: LabelSet) -> _LabelFolder:
        if labels.place is None or labels.format == "coco":
            return _LabelFolder()
        suffix = ".xml" if labels.format in XML_FORMATS else ".txt"
        where = (labels.place, suffix, labels.suffix)
        if where not in self._folders:
            self._folders[where] = self._listed(labels.place, suffix, labels.suffix)
        return self._folders[where]

    def _listed(self, folder: str, suffix: str, stem_suffix: str) -> _LabelFolder:
        """Return the label files of a folder by key; of several with one key the first is read."""
        if not os.path.isdir(os.path.join(self.root, folder)):
            return _LabelFolder()
        found = _LabelFolder()
        for path in sorted(relative_files(self.root, folder, suffixes=frozenset({suffix}))):
            key = pair_key(path, folder, suffix=stem_suffix)
            if found.files.setdefault(key, path) != path:
                found.doubles.append((key, path))
        return found


def _prefixed(key: str, labels: LabelSet) -> str:
    return f"{labels.prefix.casefold()}{key}" if labels.prefix else key


def expected_label(rgb_path: str, source: Source, labels: LabelSet) -> str:
    """Return where the label file of a visible image should be, relative to the root."""
    if labels.format == "coco":
        return labels.place or ""
    below = rgb_path[len(source.rgb_folder) + 1 :] if source.rgb_folder else rgb_path
    stem = os.path.splitext(below)[0]
    if source.rgb_suffix and has_suffix(rgb_path, source.rgb_suffix):
        stem = stem[: -len(source.rgb_suffix)]
    ending = ".xml" if labels.format in XML_FORMATS else ".txt"
    name = f"{labels.prefix}{stem}{labels.suffix}{ending}"
    folder = source.label_folder if labels.place is None else labels.place
    return below_folder(folder, name)


def below_folder(folder: str, name: str) -> str:
    """Return a path below a folder that may be the root itself."""
    return f"{folder}/{name}" if folder else name


def _rgb_paths(images: _Images, source: Source) -> Sequence[str]:
    if source.names is not None:
        return [below_folder(source.rgb_folder, name) for name in source.names]
    paths = images.below(source.rgb_folder)
    if source.ir_folder != source.rgb_folder or not (source.rgb_suffix or source.ir_suffix):
        return paths
    if source.rgb_suffix:
        return [path for path in paths if has_suffix(path, source.rgb_suffix)]
    return [path for path in paths if not has_suffix(path, source.ir_suffix)]


def _ir_paths(images: _Images, source: Source) -> Sequence[str]:
    paths = images.below(source.ir_folder)
    if source.ir_folder != source.rgb_folder:
        return paths
    if source.ir_suffix:
        return [path for path in paths if has_suffix(path, source.ir_suffix)]
    return [path for path in paths if not has_suffix(path, source.rgb_suffix)]


def _stated_pairs(
    images: _Images, source: Source, names: Sequence[str], ir_names: Sequence[str]
) -> Pairing:
    """Return the pairs that a file of the data set states.

    One whose images are both gone stays a pair: whoever opens it is told so.
    """
    present = {
        folder: set(images.below(folder)) for folder in {source.rgb_folder, source.ir_folder}
    }
    pairs, rgb_only, ir_only = [], [], []
    for name, ir_name in zip(names, ir_names, strict=True):
        rgb, ir = below_folder(source.rgb_folder, name), below_folder(source.ir_folder, ir_name)
        is_rgb, is_ir = rgb in present[source.rgb_folder], ir in present[source.ir_folder]
        if is_rgb == is_ir:
            pairs.append((rgb, ir))
        elif is_rgb:
            rgb_only.append(Orphan(rgb))
        else:
            ir_only.append(Orphan(ir))
    pairs.sort(key=lambda pair: pair_key(pair[0], source.rgb_folder))
    return Pairing(tuple(pairs), tuple(rgb_only), tuple(ir_only))
