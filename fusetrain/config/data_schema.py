"""The settings of a data YAML, typed: meaning and unit at each field, and the rules between them.

Whether the folders and files are there is the business of `data/spec.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from fusetrain.config.base import Settings


class DataSettings(Settings):
    """What a data YAML says.

    Attributes:
        path: Root, relative to the YAML.
        train: Folder, list of folders, or a .txt with one RGB path a line; same for val and test.
        ir: RGB folder component to the IR component that replaces it.
        labels: RGB folder component to the label component that replaces it.
        ir_labels: IR folder component to the component of the labels drawn on IR.
        label_source: Whose boxes count where each modality has a label set.
        format: How label files are written; none: coco for a .json, else yolo.
        annotations: Instead of `labels`: a folder of label files, a COCO JSON, or one a split.
        ir_annotations: The same for the labels drawn on IR.
        suffixes: What stems of each modality have behind their common part.
        border: Frame around all images that is cut off, px.
        channels: rgbt: one file holds both modalities.
        names: Names of the classes by number; auto: those of the labels, sorted, or plain numbers.
        nc: How many names there are, as other tools want it said.
        download: Not used: written by other tools; nothing is ever downloaded.
        roboflow: Not used: written by other tools.
    """

    path: str = "."
    train: str | list[str] | None = None
    val: str | list[str] | None = None
    test: str | list[str] | None = None
    ir: dict[str, str] = Field({"images": "imagesIR"})
    labels: dict[str, str] = Field({"images": "labels"})
    ir_labels: dict[str, str] | None = None
    label_source: Literal["rgb", "ir", "union", "both"] = "rgb"
    format: Literal["yolo", "voc", "coco", "kaist", "vedai", "obb"] | None = None
    annotations: str | dict[Literal["train", "val", "test"], str] | None = None
    ir_annotations: str | dict[Literal["train", "val", "test"], str] | None = None
    suffixes: dict[Literal["rgb", "ir"], str] = Field({})
    border: Annotated[int, Field(ge=0, le=4096)] = 0
    channels: Literal["separate", "rgbt"] = "separate"
    thermal: Literal["auto", "raw", "percentile"] | dict[Literal["range"], list[float]] = "auto"
    names: list[str] | dict[int, str] | Literal["auto"]
    nc: int | None = None
    download: str | None = None
    roboflow: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> DataSettings:
        names = self.names
        if not names:
            raise ValueError("names must not be empty")
        if isinstance(names, dict) and sorted(names) != list(range(len(names))):
            raise ValueError("names must count from 0 without a gap")
        if names != "auto" and len(set(self.class_names)) != len(names):
            raise ValueError("names must differ from one another")
        if self.nc is not None and names != "auto" and self.nc != len(names):
            raise ValueError(f"nc is {self.nc}, but there are {len(names)} names")
        if isinstance(self.thermal, dict):
            span = self.thermal["range"]
            if len(span) != 2 or span[0] >= span[1]:
                raise ValueError("thermal range must be [low, high] with low < high")
        if self.suffixes and len(set(self.suffixes.values())) != 2:
            raise ValueError("suffixes must give rgb and ir two different endings")
        return self

    @property
    def label_format(self) -> Literal["yolo", "voc", "coco", "kaist", "vedai", "obb"]:
        """Return how label files are written, with the default filled in."""
        given = self.annotations
        first = next(iter(given.values()), "") if isinstance(given, dict) else given or ""
        return self.format or ("coco" if first.lower().endswith(".json") else "yolo")

    @property
    def class_names(self) -> tuple[str, ...]:
        """Return the class names in the order of their numbers; none for auto."""
        if isinstance(self.names, dict):
            return tuple(self.names[number] for number in sorted(self.names))
        return () if self.names == "auto" else tuple(self.names)
