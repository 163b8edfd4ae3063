"""What `predict` writes: pictures, YOLO text and COCO results, one image after the other.

The results are written beside their place and get their name when all are there, so that an
interrupted prediction leaves no half list. What is found is decided in `predicting.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fusetrain.errors import ResourceError, UsageError, reason
from fusetrain.results.matching import ScoredBoxes
from fusetrain.results.out_place import require_folder_place
from fusetrain.results.pictures import DrawnBox, one_panel, side_by_side

RESULTS = "predictions.json"
Pictures = Literal["both", "rgb", "ir", "none"]
PICTURES: tuple[Pictures, ...] = get_args(Pictures)
Row = tuple[tuple[float, float, float, float], float, int]


@dataclass(frozen=True)
class Shown:
    """One image, pair or frame with what was found on it.

    Attributes:
        name: Stem of its files.
        file_name: What the results call it.
        rgb: (H, W, 3) uint8, or None where there is infrared alone.
        ir: (h, w) uint8, or None where there is the visible alone.
        frame: Number of a frame in its film, from 0; None of images.
    """

    name: str
    file_name: str
    rgb: NDArray[np.uint8] | None
    ir: NDArray[np.uint8] | None
    frame: int | None = None

    @property
    def size_hw(self) -> tuple[int, int]:
        """Return height and width of the image that the boxes are in the pixels of."""
        shown = self.ir if self.rgb is None else self.rgb
        assert shown is not None, "one modality is there"
        return shown.shape[0], shown.shape[1]


class PredictionFiles:
    """Writes into one folder; a context, left without error when all is written.

    Args:
        out: The folder; made where it is not there.
        class_names: C names.
        pictures: Which images are drawn.
        write_txt: Also write the text files.

    Raises:
        ResourceError: The folder cannot be written.
    """

    def __init__(
        self, out: Path, class_names: Sequence[str], *, pictures: Pictures, write_txt: bool
    ) -> None:
        self.out = out
        self.class_names = class_names
        self.pictures = pictures
        self.write_txt = write_txt
        self.num_images = 0
        self.num_objects = 0
        self._draft = out / f".{RESULTS}.draft"
        self._results: IO[str] | None = None

    def __enter__(self) -> PredictionFiles:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            self._results = self._draft.open("w", encoding="utf-8")
            self._results.write("[")
        except OSError as error:
            raise _cannot_write(self.out, error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._results is not None
        try:
            with self._results as file:
                file.write("\n]\n" if self.num_objects else "]\n")
            if kind is None:
                self._draft.replace(self.out / RESULTS)
            else:
                self._draft.unlink(missing_ok=True)
        except OSError as failure:
            if kind is None:
                raise _cannot_write(self.out, failure) from failure

    def add(self, shown: Shown, found: ScoredBoxes) -> Image.Image | None:
        """Write one image; return its picture, if one is drawn.

        Raises:
            ResourceError: The folder cannot be written.
        """
        try:
            picture = self._draw(shown, found)
            if picture is not None:
                picture.save(self.out / f"{shown.name}.png")
            if self.write_txt:
                text = "".join(yolo_lines(found, shown.size_hw))
                (self.out / f"{shown.name}.txt").write_text(text, encoding="utf-8")
            self._list(shown, found)
        except OSError as error:
            raise _cannot_write(self.out, error) from error
        self.num_images += 1
        return picture

    def _draw(self, shown: Shown, found: ScoredBoxes) -> Image.Image | None:
        if self.pictures == "none":
            return None
        boxes = [
            DrawnBox(box, number, f"{self.class_names[number]} {score:.2f}")
            for box, score, number in rows_of(found)
        ]
        rgb, ir = (None if self.pictures == "ir" else shown.rgb), shown.ir
        if self.pictures == "rgb" or ir is None:
            ir = None
        if rgb is not None and ir is not None:
            return side_by_side(rgb, ir, boxes)
        lone = rgb if rgb is not None else ir
        if lone is None:  # the one that is asked for is not there
            lone = shown.ir if shown.rgb is None else shown.rgb
        assert lone is not None, "one modality is there"
        return one_panel(lone, boxes, size_hw=shown.size_hw)

    def _list(self, shown: Shown, found: ScoredBoxes) -> None:
        assert self._results is not None
        for (x0, y0, x1, y1), score, number in rows_of(found):
            result: dict[str, Any] = {
                "image_id": self.num_images,
                "file_name": shown.file_name,
                "category_id": number,
                "category_name": self.class_names[number],
                "bbox": [round(side, 3) for side in (x0, y0, x1 - x0, y1 - y0)],
                "score": round(score, 6),
            }
            if shown.frame is not None:
                result["frame"] = shown.frame
            self._results.write("\n " if not self.num_objects else ",\n ")
            self._results.write(json.dumps(result))
            self.num_objects += 1


def rows_of(found: ScoredBoxes) -> Iterator[Row]:
    """Yield box (left, top, right, bottom), score and class of each detection."""
    columns = (found.boxes_xyxy_px.tolist(), found.scores.tolist(), found.classes.tolist())
    for box, score, number in zip(*columns, strict=True):
        yield (box[0], box[1], box[2], box[3]), score, number


def yolo_lines(found: ScoredBoxes, size_hw: tuple[int, int]) -> Iterator[str]:
    """Yield lines ``class cx cy w h score``, boxes as shares of the image."""
    height, width = size_hw
    for (x0, y0, x1, y1), score, number in rows_of(found):
        yield (
            f"{number} {(x0 + x1) / 2 / width:.6f} {(y0 + y1) / 2 / height:.6f} "
            f"{(x1 - x0) / width:.6f} {(y1 - y0) / height:.6f} {score:.6f}\n"
        )


def refuse_inputs(out: Path, inputs: Sequence[Path]) -> None:
    """Raise if pictures would come to lie among the images that they show, or below a file.

    Raises:
        UsageError: They would lie among the images.
        ResourceError: The folder is a file, or lies in one.
    """
    require_folder_place(out, flag="--out")
    if out.resolve() in {path.parent.resolve() for path in inputs}:
        raise UsageError(
            f"--out {out} holds the images themselves", expected="another folder, such as a new one"
        )


def refuse_foreign(out: Path, names: Sequence[str], *, suffixes: Sequence[str]) -> None:
    """Raise if results would replace files of others, such as the labels of a data set.

    Raises:
        UsageError: They would.
    """
    if (out / RESULTS).exists():
        return
    for path in (out / f"{name}{suffix}" for name in names for suffix in suffixes):
        if path.exists():
            raise UsageError(
                f"--out {out} holds {path.name}, which is no result of `predict`",
                expected="a new folder, or one with earlier results",
            )


def _cannot_write(out: Path, error: OSError) -> ResourceError:
    return ResourceError(f"{out} cannot be written: {reason(error)}", remedy="--out FOLDER")
