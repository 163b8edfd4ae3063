"""Write a data set with the XML of PASCAL VOC, in the tree that LLVIP has.

    data.yaml  visible/<split>/<key>.*  infrared/<split>/<key>.*  Annotations/<key>.xml

Where two splits share a key the files lie in Annotations/<split>/. Boxes are plain corners in px of
the visible image, as `voc_xml.py` reads them, and whole numbers where they are whole; the data YAML
keeps the class numbers, which XML has not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from xml.sax.saxutils import escape

from fusetrain.data.formats.tree import (
    WrittenSplit,
    data_yaml,
    read_split,
    write_tree,
)
from fusetrain.data.formats.voc_xml import CORNERS
from fusetrain.data.index import DatasetIndex
from fusetrain.errors import DataError

PLACE = "Annotations"


class VocXml:
    """Reader and writer of VOC labels beside the images."""

    folders = ("visible", "infrared")

    def read(self, path: Path, split: str) -> DatasetIndex:
        """Return the pairs of a split; see `read_split`."""
        return read_split(path, split)

    def write(self, indexes: Sequence[DatasetIndex], folder: Path) -> Path:
        """Write splits as a new folder and return its data YAML; see `write_tree`.

        Raises:
            DataError: Also where XML cannot hold a class name.
        """
        _check_names(indexes[0].class_names if indexes else ())
        return write_tree(self, indexes, folder)

    def label_files(self, splits: Sequence[WrittenSplit]) -> Iterator[tuple[str, str]]:
        """Yield an XML for every pair that has labels, and the data YAML.

        Raises:
            DataError: XML cannot hold a class name.
        """
        _check_names(splits[0].index.class_names if splits else ())
        keys = [key for split in splits for key in split.index.keys]
        names = [split.index.split for split in splits]
        # A folder called like a split would be taken for the labels of that split.
        is_flat = len(set(keys)) == len(keys) and not any(k.split("/")[0] in names for k in keys)
        places = {name: PLACE if is_flat else f"{PLACE}/{name}" for name in names}
        for split in splits:
            for row, key in enumerate(split.index.keys):
                if split.index.has_labels[row]:
                    yield f"{places[split.index.split]}/{key}.xml", _document(split, row)
        # Only folders that hold something are there to be named.
        filled = [split.index.split for split in splits if split.index.has_labels.any()]
        annotations = PLACE if is_flat else {name: places[name] for name in filled}
        settings: dict[str, object] = {"ir": dict([self.folders])}
        if filled:
            settings |= {"format": "voc", "annotations": annotations}
        yield data_yaml(self, splits, settings)


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if name != name.strip() or not name.isprintable():
            raise DataError(
                f"the class name {name!r} cannot be written as XML",
                expected="a name without control characters or blanks at its ends",
            )


def _document(split: WrittenSplit, row: int) -> str:
    pair = split.pairs[row]
    height, width = pair.size_hw
    path = PurePosixPath(pair.rgb)
    lines = [
        "<annotation>",
        f"  <folder>{_shown(path.parent.as_posix())}</folder>",
        f"  <filename>{_shown(path.name)}</filename>",
        f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
        "  <segmented>0</segmented>",
    ]
    for number, numbers, is_excluded in split.objects(row):
        corners = [f"<{tag}>{value}</{tag}>" for tag, value in zip(CORNERS, numbers, strict=True)]
        lines += [
            "  <object>",
            f"    <name>{escape(split.index.class_names[number])}</name>",
            f"    <difficult>{int(is_excluded)}</difficult>",
            f"    <bndbox>{''.join(corners)}</bndbox>",
            "  </object>",
        ]
    return "\n".join([*lines, "</annotation>", ""])


def _shown(name: str) -> str:
    """Return a file name as XML text; nobody reads it back, so odd characters may go."""
    return escape("".join(char if char.isprintable() else "?" for char in name))
