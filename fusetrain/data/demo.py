"""Writes the demo: a small synthetic RGB-IR data set that only fusion can master, offline.

What a scene looks like is said in `scenes/`; here stand the layout of the folder, the split,
the training config, and the promise that a killed run leaves nothing that looks finished.
"""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fusetrain.data.demo_defects import Defect, pairs_needed, plant_defects
from fusetrain.data.scenes.kinds import CLASS_NAMES, KINDS
from fusetrain.data.scenes.scene import Scene, draw_scene
from fusetrain.data.scenes.surface import HEIGHT, WIDTH
from fusetrain.errors import DataError, ResourceError

MIN_PAIRS = 2
# One pair in so many shows no object; the number shares no factor with the number of kinds, so
# that every kind has empty scenes.
EMPTY_EVERY = 26
RGB_QUALITY = 92
# Infrared is written as JPEG too: at this quality its error is far below the sensor's noise, and
# it is written and read many times faster than PNG, which cannot compress noise.
IR_QUALITY = 95

DATA_YAML = f"""\
# Synthetic RGB-IR pairs: day, dusk, night, glare and smoke in turn.
path: .
train: images/train
val: images/val
ir: {{images: imagesIR}}
labels: {{images: labels}}
names: [{", ".join(CLASS_NAMES)}]
"""

TRAIN_YAML = """\
# Trains a small fusion detector on this demo from scratch, on a CPU within minutes.
data: data.yaml

model:
  # Nano: enough for three classes of clear outline.
  size: n
  # Each modality has its own backbone, joined in the middle. `rgb` and `ir` see one alone.
  fusion: mid

train:
  # Some 290 steps: enough to see what fusion gains; more still helps.
  epochs: 12
  # Small, so that few pairs still make many steps.
  batch: 8
  # The images are 320 px wide.
  imgsz: 320
  # All decoded pairs fit into memory.
  cache: ram

optim:
  name: adamw
  # Twice the default: the run is short.
  lr0: 2.0e-3

schedule:
  name: cosine
  # Short as well, for the same reason.
  warmup: {epochs: 2}
"""


@dataclass(frozen=True)
class DemoSummary:
    """What was written.

    Attributes:
        folder: The data set.
        num_train: Training pairs, before defects were planted.
        num_val: Validation pairs, likewise.
        num_objects: Boxes in all, likewise.
        defects: What was planted.
    """

    folder: Path
    num_train: int
    num_val: int
    num_objects: int
    defects: tuple[Defect, ...] = ()

    def __str__(self) -> str:
        text = (
            f"{self.num_train} training and {self.num_val} validation pairs, "
            f"{self.num_objects} objects"
        )
        return f"{text}, {len(self.defects)} defects planted" if self.defects else text


def write_demo(
    folder: Path, *, num_pairs: int = 240, seed: int = 0, with_defects: bool = False
) -> DemoSummary:
    """Write the demo data set; equal arguments give equal bytes.

    Args:
        folder: New or empty folder; its parents are made where they are missing.
        num_pairs: Pairs in all; a fifth of them, at least one, is for validation.
        seed: Other seed, other scenes.
        with_defects: Plant one of each known defect, each on a pair of its own, and list them in
            ``defects.json``.

    Raises:
        DataError: The folder is in use, or a number is out of range.
        ResourceError: The folder cannot be written, or the disk is full.
    """
    _check_numbers(num_pairs, seed, with_defects=with_defects)
    try:
        target = folder.absolute()
        _check_free(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = target.parent / f".{target.name}.partial-{os.getpid()}"
        return _write_and_move(staging, target, (num_pairs, seed), with_defects=with_defects)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceError(
                f"the disk is full: {error.strerror}",
                where=str(folder),
                remedy="Free some space (240 pairs take about 10 MB) or choose another folder.",
            ) from error
        raise ResourceError(
            f"the demo cannot be written: {error.strerror or error}",
            where=str(folder),
            expected="a folder that may be created and written",
            remedy="Choose another folder: `fusetrain demo DIR`.",
        ) from error


def demo_pair(seed: int, index: int) -> Scene:
    """Draw one pair of the demo; it depends on the two numbers alone.

    Args:
        seed: Seed of the data set, from 0.
        index: Number of the pair, from 0; it is also the name of its files.
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index])))
    is_empty = index % EMPTY_EVERY == EMPTY_EVERY - 1
    kinds = tuple(KINDS)
    return draw_scene(rng, kinds[index % len(kinds)], num_objects=0 if is_empty else None)


def split_indices(num_pairs: int) -> dict[str, range]:
    """Return the numbers of the pairs of each split.

    Validation starts at a round number well above the last training pair, so that no two names
    look like neighbouring frames of one recording.
    """
    num_val = max(1, round(num_pairs / 5))
    num_train = num_pairs - num_val
    first_val = -(-(num_train + 500) // 1000) * 1000
    return {"train": range(num_train), "val": range(first_val, first_val + num_val)}


def _check_numbers(num_pairs: int, seed: int, *, with_defects: bool) -> None:
    if num_pairs < MIN_PAIRS:
        raise DataError(
            f"{num_pairs} pairs are too few",
            expected=f"at least {MIN_PAIRS}: one to train on and one to validate",
            remedy="fusetrain demo DIR --pairs 240",
        )
    if seed < 0:
        raise DataError(f"the seed {seed} is negative", expected="a whole number from 0")
    if with_defects and num_pairs < pairs_needed():
        raise DataError(
            f"{num_pairs} pairs are too few for one of each defect",
            expected=f"at least {pairs_needed()}, so that each defect has a pair of its own",
            remedy=f"fusetrain demo DIR --defects --pairs {pairs_needed()}",
        )


def _check_free(target: Path) -> None:
    """Refuse a target that would be overwritten.

    Raises:
        DataError: It is a file, or a folder with something in it.
    """
    if target.is_dir() and not any(target.iterdir()):
        return
    if os.path.lexists(target):
        raise DataError(
            "the folder is not empty" if target.is_dir() else "there is a file of this name",
            where=str(target),
            expected="a folder that does not exist yet, or an empty one",
            remedy="Choose another folder, or delete this one if it is not needed.",
        )


def _write_and_move(
    staging: Path, target: Path, numbers: tuple[int, int], *, with_defects: bool
) -> DemoSummary:
    """Write everything beside the target, then move it into place; clean up when interrupted."""
    num_pairs, seed = numbers
    splits = split_indices(num_pairs)
    staging.mkdir()
    try:
        num_objects = sum(
            _write_pair(staging, split, index, scene=demo_pair(seed, index))
            for split, indices in splits.items()
            for index in indices
        )
        defects = plant_defects(staging, splits) if with_defects else ()
        (staging / "train.yaml").write_text(TRAIN_YAML, encoding="utf-8", newline="\n")
        (staging / "data.yaml").write_text(DATA_YAML, encoding="utf-8", newline="\n")
        _move(staging, target)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return DemoSummary(target, len(splits["train"]), len(splits["val"]), num_objects, defects)


def _write_pair(root: Path, split: str, index: int, *, scene: Scene) -> int:
    """Write both images and the labels of one pair; return the number of its objects."""
    paths = [root / kind / split for kind in ("images", "imagesIR", "labels")]
    for path in paths:
        path.mkdir(parents=True, exist_ok=True)
    images, images_ir, labels = (path / f"{index:04d}" for path in paths)
    Image.fromarray(scene.rgb).save(images.with_suffix(".jpg"), quality=RGB_QUALITY)
    Image.fromarray(scene.ir).save(images_ir.with_suffix(".jpg"), quality=IR_QUALITY)
    labels.with_suffix(".txt").write_text(_label_text(scene), encoding="utf-8", newline="\n")
    return len(scene.classes)


def _label_text(scene: Scene) -> str:
    """Return one line ``class cx cy w h`` a box, normalised to the image."""
    lines = []
    for number, box in zip(scene.classes.tolist(), scene.boxes_xyxy_px.tolist(), strict=True):
        x1, y1, x2, y2 = box
        centre = f"{(x1 + x2) / 2 / WIDTH:.6f} {(y1 + y2) / 2 / HEIGHT:.6f}"
        lines.append(f"{number} {centre} {(x2 - x1) / WIDTH:.6f} {(y2 - y1) / HEIGHT:.6f}\n")
    return "".join(lines)


def _move(staging: Path, target: Path) -> None:
    """Move the finished set to its place: in one step, or into the folder that waits for it."""
    if not target.exists():
        staging.rename(target)
        return
    # The folder may be where the user's shell stands, so it stays; without the visible images
    # and data.yaml, which come last, it is no data set.
    last = ("images", "data.yaml")
    entries = sorted(entry.name for entry in staging.iterdir() if entry.name not in last)
    for name in (*entries, *last):
        (staging / name).rename(target / name)
    staging.rmdir()
