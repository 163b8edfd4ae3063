"""Where the images and labels of a split lie: plain values that `spec.py` and `layouts/` fill in.

Nothing here looks at the file system; `index.py` reads what a source names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fusetrain.data.storage import AS_FILES, Storage

SPLITS = ("train", "val", "test")

LabelFormat = Literal["yolo", "voc", "coco", "kaist", "vedai", "obb"]
LabelSource = Literal["rgb", "ir", "union", "both"]


@dataclass(frozen=True)
class LabelSet:
    """The labels of one modality, or of both.

    Attributes:
        place: Folder of label files, relative to the root; with coco the JSON file; None where
            there are no labels at all.
        format: How the files are written; `obb` are oriented boxes, as YOLO-OBB or DOTA write them.
        prefix: What the stem of a label file has in front of the key of its pair.
        suffix: What the stem of a label file has behind it, such as ``_PreviewData``.
        drawn_on_px: Long side in px of the images that the labels were drawn on, where the files
            do not say it (VEDAI: 1024); 0 takes the images as they are.
        drawn_on: The modality whose images say how large the labelled pictures are.
        renamed: Class names of the files and what they are called instead; "" leaves a box out.
    """

    place: str | None
    format: LabelFormat = "yolo"
    prefix: str = ""
    suffix: str = ""
    drawn_on_px: int = 0
    drawn_on: Literal["rgb", "ir"] = "rgb"
    renamed: tuple[tuple[str, str], ...] = ()


NO_LABEL_SET = LabelSet(None)


@dataclass(frozen=True)
class Source:
    """One split folder, its infrared and its label folder; all relative to the root.

    Attributes:
        rgb_folder: Visible images.
        ir_folder: Infrared images under the same keys; may be the same folder where suffixes or
            channels tell the modalities apart.
        label_folder: Label files under the same keys (YOLO txt unless ``labels`` says otherwise).
        names: File names in ``rgb_folder`` that a list file picks; None takes all, recursively.
        ir_names: Infrared partner in ``ir_folder`` of each of ``names``, where a file states it;
            None matches by key.
        rgb_suffix: What stems of visible images have behind their key, such as ``_visible``.
        ir_suffix: What stems of infrared images have behind their key, such as ``_lwir``.
        labels: How the labels are written; None: YOLO txt in ``label_folder``.
        ir_labels: The second label set, drawn on the infrared images; None where there is one set.
    """

    rgb_folder: str
    ir_folder: str
    label_folder: str
    names: tuple[str, ...] | None = None
    ir_names: tuple[str, ...] | None = None
    rgb_suffix: str = ""
    ir_suffix: str = ""
    labels: LabelSet | None = None
    ir_labels: LabelSet | None = None

    @property
    def label_set(self) -> LabelSet:
        """Return the labels of the visible images (or of both), with their format."""
        return self.labels or LabelSet(self.label_folder)


@dataclass(frozen=True)
class Layout:
    """What a data set was recognised as.

    Attributes:
        name: Short name, such as ``kaist``; ``yaml`` where a data YAML says it all.
        sentence: One sentence for users, without a full stop.
        notes: What was decided on the way and could have been decided otherwise, one sentence each.
    """

    name: str = "yaml"
    sentence: str = "a data YAML"
    notes: tuple[str, ...] = ()


FROM_YAML = Layout()


@dataclass(frozen=True)
class Recognised:
    """A folder that was understood without a data YAML.

    Attributes:
        layout: What it is.
        splits: Split name to its sources.
        storage: How the pictures lie in their files.
    """

    layout: Layout
    splits: Mapping[str, tuple[Source, ...]]
    storage: Storage = AS_FILES
