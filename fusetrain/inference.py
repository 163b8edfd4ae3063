"""Validate and predict with trained weights, outside of a training run.

The thermal window and the image size come from the weights, so that images are read here as they
were read in training. Printing is left to the command line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fusetrain.config.load import load_config
from fusetrain.data.dataset import ValDataset
from fusetrain.data.files import relative_files
from fusetrain.data.image import read_ir, read_rgb
from fusetrain.data.index import IMAGE_SUFFIXES, DatasetIndex, PackedPaths, scan_split
from fusetrain.data.loader import val_batches
from fusetrain.data.pairing import pair_by_key
from fusetrain.data.spec import load_spec
from fusetrain.engine.infer import Validation, detect, validate
from fusetrain.engine.machine import Machine, choose_machine
from fusetrain.engine.weights import WeightsInfo, load_detector, weights_file
from fusetrain.errors import DataError, ResourceError, RunError
from fusetrain.loss.detection import DetectionLoss
from fusetrain.results.pictures import DrawnBox, side_by_side
from fusetrain.sample import Detections

BATCH = 16


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


def validate_weights(
    path: Path, *, data: Path | None, split: str
) -> tuple[Validation, WeightsInfo, DatasetIndex]:
    """Judge weights on a split.

    Args:
        path: Run folder or weights file.
        data: Data YAML or folder; None takes that of the run.
        split: Name of the split.

    Raises:
        RunError: The weights cannot be used, or no data set is known.
        DataError: The data set or split is missing, or of other classes.
    """
    machine = _machine()
    detector, info = load_detector(path)
    detector = detector.to(machine.device, memory_format=machine.memory_format)  # type: ignore[call-overload]
    spec = load_spec(data or _data_of_run(path))
    index = scan_split(spec, split).index
    if not len(index):
        raise DataError(f"the {split} split has no pair", where=str(spec.path))
    if index.class_names != info.class_names:
        raise DataError(
            f"the data set has the classes {', '.join(index.class_names)}",
            where=str(spec.path),
            expected=f"those of the weights: {', '.join(info.class_names)}",
        )
    dataset = ValDataset(index, imgsz=info.imgsz, window=info.window)
    result = validate(
        detector,
        val_batches(dataset, batch=BATCH),
        machine,
        loss=DetectionLoss(),
        num_classes=len(info.class_names),
    )
    return result, info, index


def predict(
    path: Path,
    *,
    rgb: Path,
    ir: Path,
    out: Path,
    confidence: float,
    overlap: float,
    write_txt: bool = False,
    on_pair: Callable[[Prediction], None] = lambda prediction: None,
) -> list[Prediction]:
    """Detect objects on one pair or on two folders of pairs.

    Writes ``NAME.png`` with both images side by side for each pair, ``predictions.json`` (COCO
    results with the file name beside the number of the image) and, if asked for, ``NAME.txt`` with
    lines ``class cx cy w h score``.

    Raises:
        RunError: The weights cannot be used.
        DataError: An image is missing or unreadable, or the folders share no pair.
        ResourceError: ``out`` cannot be written.
    """
    pairs = find_pairs(rgb, ir)
    machine = _machine()
    detector, info = load_detector(path)
    detector = detector.to(machine.device, memory_format=machine.memory_format)  # type: ignore[call-overload]
    dataset = ValDataset(_index_of(pairs, info), imgsz=info.imgsz, window=info.window)
    found = detect(
        detector,
        val_batches(dataset, batch=BATCH),
        machine,
        confidence=confidence,
        overlap=overlap,
    )
    names = _names([rgb_path for rgb_path, _ in pairs])
    try:
        out.mkdir(parents=True, exist_ok=True)
        predictions = []
        for row, detections in sorted(found, key=lambda item: item[0]):
            prediction = _written(out / names[row], *pairs[row], detections, info, txt=write_txt)
            on_pair(prediction)
            predictions.append(prediction)
        _write_coco(out / "predictions.json", predictions, info)
    except OSError as error:
        raise ResourceError(f"{out} cannot be written: {error}", remedy="--out FOLDER") from error
    return predictions


def find_pairs(rgb: Path, ir: Path) -> list[tuple[Path, Path]]:
    """Return the pairs of two files, or of two folders by key.

    Raises:
        DataError: A path is missing, one is a file and the other a folder, or nothing matches.
    """
    for path in (rgb, ir):
        if not path.exists():
            raise DataError("no such image or folder", where=str(path))
    if rgb.is_file() and ir.is_file():
        return [(rgb, ir)]
    if rgb.is_file() or ir.is_file():
        raise DataError(
            "one of --rgb and --ir is a file, the other a folder",
            expected="two files or two folders",
        )
    pairing = pair_by_key(
        relative_files(rgb, "", suffixes=IMAGE_SUFFIXES),
        relative_files(ir, "", suffixes=IMAGE_SUFFIXES),
        rgb_folder="",
        ir_folder="",
    )
    if not pairing.pairs:
        raise DataError(
            f"{rgb} and {ir} share no pair",
            expected="images of the same names (suffixes may differ) in both folders",
        )
    return [(rgb / visible, ir / infrared) for visible, infrared in pairing.pairs]


def _machine() -> Machine:
    machine = choose_machine(
        device="auto",
        amp=False,
        memory_format="auto",
        threads=None,
        workers=0,
        deterministic=True,
    )
    machine.apply()
    return machine


def _data_of_run(path: Path) -> Path:
    """Return the data set that the run of a weights file was trained with."""
    config = weights_file(path).parent.parent / "config.yaml"
    if config.is_file():
        data = load_config(config).data_path
        if data is not None:
            return data
    raise RunError(f"{path} does not say which data set to use", remedy="--data DATA")


def _index_of(pairs: Sequence[tuple[Path, Path]], info: WeightsInfo) -> DatasetIndex:
    """Return an index of pairs without labels."""
    count = len(pairs)
    return DatasetIndex(
        split="predict",
        root="",
        class_names=info.class_names,
        keys=PackedPaths.pack([rgb.stem for rgb, _ in pairs]),
        rgb_paths=PackedPaths.pack([str(rgb) for rgb, _ in pairs]),
        ir_paths=PackedPaths.pack([str(ir) for _, ir in pairs]),
        rgb_bytes=np.zeros(count, np.int64),
        ir_bytes=np.zeros(count, np.int64),
        has_labels=np.zeros(count, np.bool_),
        box_ends=np.zeros(count, np.int64),
        boxes=np.zeros((0, 4), np.float32),
        box_classes=np.zeros(0, np.int64),
    )


def _names(paths: Sequence[Path]) -> list[str]:
    """Return a file name for each pair: its stem, numbered where stems repeat."""
    seen: dict[str, int] = {}
    names = []
    for path in paths:
        seen[path.stem] = seen.get(path.stem, 0) + 1
        names.append(path.stem if seen[path.stem] == 1 else f"{path.stem}_{seen[path.stem]}")
    return names


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
