"""Find the labels of a placement: folders of label files, or a COCO JSON, for one modality or both.

Names of files decide: a folder is the label folder of a placement if its stems are those of the
images. Of several such folders the nearest one counts, and the others are named.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fusetrain.data.layouts.placements import Placement
from fusetrain.data.layouts.sniff import sniff_texts
from fusetrain.data.layouts.view import TreeView, is_below, join
from fusetrain.data.layouts.words import Modality, Place, read_place
from fusetrain.data.pairing import pair_key
from fusetrain.data.sources import LabelFormat, LabelSet

# Files of upright boxes come before those that have to be enclosed.
FORMAT_ORDER: tuple[LabelFormat, ...] = ("yolo", "voc", "kaist", "vedai", "coco", "obb")
# Suffixes that label files have although the key of the pair has none.
STEM_SUFFIXES = ("_PreviewData",)
ENOUGH_LABELLED = 0.02


@dataclass(frozen=True)
class LabelPlace:
    """A folder of label files, or a JSON, that fits a placement.

    Attributes:
        labels: What it is.
        modality: The modality it names; None for both.
        share: Share of the images of the placement that it has labels for.
        distance: How far its path is from that of the images; smaller is nearer.
    """

    labels: LabelSet
    modality: Modality | None
    share: float
    distance: int

    @property
    def order(self) -> tuple[bool, int, int, str]:
        """Return what the best label set has least of."""
        few = self.share < 0.5
        return few, self.distance, FORMAT_ORDER.index(self.labels.format), self.labels.place or ""


@dataclass(frozen=True)
class FoundLabels:
    """The label sets of one placement.

    Attributes:
        labels: Labels of the visible images or of both; None where there are none.
        ir_labels: Labels of the infrared images, where there are two sets.
        others: Places that could have been taken instead.
    """

    labels: LabelSet | None
    ir_labels: LabelSet | None = None
    others: tuple[str, ...] = ()


class LabelFinder:
    """Finds label sets in a tree; each folder is looked at once.

    Args:
        tree: The data set.
        coco_stems: JSON file, relative to the root, to the keys of the images it names.
        is_one_part: Each split is one folder, so that a stem alone tells an image.
    """

    def __init__(
        self, tree: TreeView, coco_stems: dict[str, frozenset[str]], *, is_one_part: bool
    ) -> None:
        self._tree = tree
        self._is_one_part = is_one_part
        self._coco_stems = coco_stems
        self._places = _label_places(tree)
        self._formats: dict[tuple[str, bool], LabelFormat | None] = {}
        self._stems: dict[tuple[str, bool, str], frozenset[str]] = {}

    def find(self, placement: Placement) -> FoundLabels:
        """Return the label sets that fit a placement best."""
        fitting = [*self._folders(placement), *self._jsons(placement)]
        fitting.sort(key=lambda place: place.order)
        own = [place for place in fitting if place.modality != "ir"]
        infrared = [place for place in fitting if place.modality == "ir"]
        if not fitting:
            return FoundLabels(None)
        if own and infrared:
            chosen, second = own[0], infrared[0]
            used = {chosen.labels.place, second.labels.place}
            found = FoundLabels(chosen.labels, second.labels)
        else:
            used = {fitting[0].labels.place}
            found = FoundLabels(fitting[0].labels)
        others = [place.labels.place or "" for place in fitting if place.labels.place not in used]
        return FoundLabels(found.labels, found.ir_labels, tuple(dict.fromkeys(others)))

    def _folders(self, placement: Placement) -> Iterable[LabelPlace]:
        image_place = read_place(placement.rgb_folder)
        frames = {(), placement.frame}
        for place in self._places:
            if placement.frame and place.frame not in frames:
                continue
            if place.split not in ("", placement.split) and placement.split:
                continue
            for is_xml in (False, True):
                found = self._fit(placement, image_place, place, is_xml=is_xml)
                if found is not None:
                    yield found

    def _fit(
        self, placement: Placement, image_place: Place, place: Place, *, is_xml: bool
    ) -> LabelPlace | None:
        """Return a folder as a label set of a placement if their stems agree."""
        for folder, prefix in self._framed(place, placement):
            for suffix in dict.fromkeys(
                ("", placement.ir_suffix, placement.rgb_suffix, *STEM_SUFFIXES)
            ):
                stems = self._stems_of(folder, suffix, is_xml=is_xml)
                keys = [f"{prefix}{key}" for key in placement.keys]
                num_shared = sum(key in stems for key in keys)
                if num_shared < max(1, ENOUGH_LABELLED * min(len(stems), len(keys))):
                    continue
                label_format = self._format_of(folder, is_xml=is_xml)
                if label_format is None:
                    continue
                drawn_on_ir = bool(suffix) and suffix in (placement.ir_suffix, *STEM_SUFFIXES)
                modality = place.modality
                labels = LabelSet(
                    folder,
                    label_format,
                    prefix,
                    suffix,
                    drawn_on_px=512 if "512" in folder and label_format == "vedai" else 0,
                    drawn_on="ir" if drawn_on_ir or modality == "ir" else "rgb",
                )
                distance = _distance(image_place.path, folder, place)
                return LabelPlace(labels, modality, num_shared / len(keys), distance)
        return None

    def _framed(self, place: Place, placement: Placement) -> Iterable[tuple[str, str]]:
        """Yield folder and prefix of the stems under which a part of a set may have its labels."""
        frame = placement.frame
        if not frame or place.frame == frame or is_below(place.path, placement.rgb_folder):
            yield place.path, ""
            return
        if place.frame:
            return
        inner = place.path
        for name in frame:
            view = self._tree.folders.get(inner)
            match = [own for own in view.folders if own.lower() == name] if view else []
            inner = join(inner, match[0]) if match else "\0"
        if inner in self._tree.folders:
            yield inner, ""
        yield place.path, "".join(f"{name}_" for name in frame)
        if self._is_one_part:
            yield place.path, ""

    def _jsons(self, placement: Placement) -> Iterable[LabelPlace]:
        for path, stems in self._coco_stems.items():
            place = read_place(path.rpartition(".")[0])
            if place.split not in ("", placement.split) and placement.split:
                continue
            for suffix in dict.fromkeys(
                ("", placement.ir_suffix, placement.rgb_suffix, *STEM_SUFFIXES)
            ):
                named = {pair_key(f"{stem}.", suffix=suffix) for stem in stems}
                num_shared = sum(key.rpartition("/")[2] in named for key in placement.keys)
                if num_shared >= max(1, ENOUGH_LABELLED * min(len(named), len(placement.keys))):
                    drawn_on: Modality = "ir" if place.modality == "ir" else "rgb"
                    labels = LabelSet(path, "coco", suffix=suffix, drawn_on=drawn_on)
                    share = num_shared / len(placement.keys)
                    yield LabelPlace(labels, place.modality, share, 50)
                    break

    def _stems_of(self, folder: str, suffix: str, *, is_xml: bool) -> frozenset[str]:
        """Return the keys of the label files below a folder."""
        where = (folder, is_xml, suffix)
        if where not in self._stems:
            self._stems[where] = frozenset(
                pair_key(path, folder, suffix=suffix)
                for path in _label_files(self._tree, folder, is_xml=is_xml)
            )
        return self._stems[where]

    def _format_of(self, folder: str, *, is_xml: bool) -> LabelFormat | None:
        if is_xml:
            return "voc"
        if (folder, is_xml) not in self._formats:
            paths = _label_files(self._tree, folder, is_xml=False)
            files = [self._tree.root / path for path in paths]
            # Files that are all empty say that nothing is to be seen, in any format.
            self._formats[folder, is_xml] = sniff_texts(files) or "yolo"
        return self._formats[folder, is_xml]


def _label_places(tree: TreeView) -> list[Place]:
    """Return the places that hold text or XML files, each once."""
    found = {}
    for path, view in tree.folders.items():
        if view.texts or view.xmls:
            place = read_place(path)
            found[place.path] = place
    return list(found.values())


def _label_files(tree: TreeView, folder: str, *, is_xml: bool) -> list[str]:
    return [
        join(view.path, name)
        for view in tree.below(folder)
        for name in (view.xmls if is_xml else view.texts)
    ]


def _distance(image_path: str, folder: str, place: Place) -> int:
    """Return how far labels are from their images: named as such, then beside, then elsewhere."""
    shared = 0
    for one, other in zip(image_path.split("/"), folder.split("/"), strict=False):
        if one != other:
            break
        shared += 1
    named = 0 if place.is_labels else 10
    beside = 0 if folder == image_path or is_below(folder, image_path) else 1
    unsplit = 0 if place.split else 2
    return named + beside + unsplit - min(shared, 3)
