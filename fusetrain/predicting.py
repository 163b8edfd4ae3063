"""Let trained weights detect on images that a user names, outside of a training run.

The thermal window and the image size come from the weights, so that images are read here as they
were read in training. Printing is left to the command line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fusetrain.data.dataset import ValDataset
from fusetrain.data.image import read_ir, read_rgb
from fusetrain.data.loader import val_batches
from fusetrain.engine.infer import detect
from fusetrain.engine.weights import WeightsInfo
from fusetrain.errors import ResourceError, UsageError
from fusetrain.given_pairs import Pair, aspect_note, find_pairs, index_of, output_names
from fusetrain.inference import BATCH, Progress, counted, load_weights
from fusetrain.results.pictures import DrawnBox, side_by_side
from fusetrain.sample import Detections

RESULTS = "predictions.json"


@dataclass(frozen=True)
class Prediction:
    """What was found on one pair.

    Attributes:
        rgb_path: The visible image.
        ir_path: The infrared image.
        found: Detections in pixels of the visible image.
        picture: The picture of it, where one was written.
    """

    rgb_path: Path
    ir_path: Path
    found: Detections
    picture: Path | None


def predict(
    path: Path,
    *,
    rgb: Path,
    ir: Path,
    out: Path,
    confidence: float,
    overlap: float | None,
    write_txt: bool = False,
    progress: Progress = lambda done, total: None,
    note: Callable[[str], None] = lambda text: None,
) -> list[Prediction]:
    """Detect objects on one pair or on two folders of pairs.

    Writes ``NAME.png`` with both images side by side for each pair, ``predictions.json`` (COCO
    results with the file name beside the number of the image) and, if asked for, ``NAME.txt`` with
    lines ``class cx cy w h score``. Nothing is written before all images are read.

    Args:
        path: Run folder or weights file.
        rgb: Visible image or folder.
        ir: Infrared image or folder.
        out: Folder to write to.
        confidence: Lowest score that counts.
        overlap: IoU above which the lower score of a class is dropped; None asks the second head.
        write_txt: Also write the text files.
        progress: Called with the number of pairs detected on and of all pairs.
        note: Gets one sentence about images that are left out or stretched.

    Raises:
        RunError: The weights cannot be used.
        DataError: An image is missing or unreadable, or the folders share no pair.
        UsageError: ``out`` holds files of these names that were not written here.
        ResourceError: ``out`` cannot be written.
    """
    pairs = _told_pairs(rgb, ir, note)
    names = output_names([rgb_path for rgb_path, _ in pairs])
    _refuse_inputs(out, pairs)
    _refuse_foreign(out, names, suffixes=(".png", ".txt") if write_txt else (".png",))
    loaded = load_weights(path, confidence=confidence, overlap=overlap)
    info = loaded.info
    dataset = ValDataset(index_of(pairs, info.class_names), imgsz=info.imgsz, window=info.window)
    found = detect(
        loaded.detector,
        counted(val_batches(dataset, batch=BATCH), len(pairs), progress),
        loaded.machine,
        confidence=confidence,
        overlap=overlap,
    )
    in_order = sorted(found, key=lambda item: item[0])
    try:
        out.mkdir(parents=True, exist_ok=True)
        predictions = [
            _written(out / names[row], *pairs[row], detections, info, txt=write_txt)
            for row, detections in in_order
        ]
        _write_coco(out / RESULTS, predictions, info)
    except OSError as error:
        raise ResourceError(f"{out} cannot be written: {error}", remedy="--out FOLDER") from error
    return predictions


def _told_pairs(rgb: Path, ir: Path, note: Callable[[str], None]) -> tuple[Pair, ...]:
    """Return the pairs of two files or folders, after saying what is odd about them."""
    given = find_pairs(rgb, ir)
    for text in (given.note, aspect_note(given.pairs)):
        if text:
            note(text)
    return given.pairs


def _refuse_inputs(out: Path, pairs: Sequence[Pair]) -> None:
    """Raise if pictures would come to lie among the images that they show.

    Raises:
        UsageError: They would.
    """
    if out.resolve() in {path.parent.resolve() for pair in pairs for path in pair}:
        raise UsageError(
            f"--out {out} holds the images themselves", expected="another folder, such as a new one"
        )


def _refuse_foreign(out: Path, names: Sequence[str], *, suffixes: Sequence[str]) -> None:
    """Raise if results would replace files of others, such as the labels of a data set.

    Raises:
        UsageError: They would.
    """
    if (out / RESULTS).exists():
        return
    taken = [out / f"{name}{suffix}" for name in names for suffix in suffixes]
    for path in taken:
        if path.exists():
            raise UsageError(
                f"--out {out} holds {path.name}, which is no result of `predict`",
                expected="a new folder, or one with earlier results",
            )


def _written(
    target: Path, rgb: Path, ir: Path, found: Detections, info: WeightsInfo, *, txt: bool
) -> Prediction:
    """Write the picture, and the text if asked for, of one pair."""
    image = read_rgb(rgb)
    boxes = [
        DrawnBox(box, number, f"{info.class_names[number]} {score:.2f}")
        for box, score, number in _rows(found)
    ]
    picture = target.with_name(target.name + ".png")
    side_by_side(image, read_ir(ir, info.window), boxes).save(picture)
    if txt:
        height, width = image.shape[:2]
        lines = (
            f"{number} {(x0 + x1) / 2 / width:.6f} {(y0 + y1) / 2 / height:.6f} "
            f"{(x1 - x0) / width:.6f} {(y1 - y0) / height:.6f} {score:.6f}\n"
            for (x0, y0, x1, y1), score, number in _rows(found)
        )
        target.with_name(target.name + ".txt").write_text("".join(lines), encoding="utf-8")
    return Prediction(rgb, ir, found, picture)


def _rows(found: Detections) -> Iterator[tuple[tuple[float, float, float, float], float, int]]:
    for box, score, number in zip(
        found.boxes_xyxy_px.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True
    ):
        yield (box[0], box[1], box[2], box[3]), score, number


def _write_coco(path: Path, predictions: Sequence[Prediction], info: WeightsInfo) -> None:
    """Write COCO results: boxes as left, top, width, height in pixels of the visible image."""
    results = [
        {
            "image_id": image_id,
            "file_name": str(prediction.rgb_path),
            "category_id": number,
            "category_name": info.class_names[number],
            "bbox": [round(side, 3) for side in (x0, y0, x1 - x0, y1 - y0)],
            "score": round(score, 6),
        }
        for image_id, prediction in enumerate(predictions)
        for (x0, y0, x1, y1), score, number in _rows(prediction.found)
    ]
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
