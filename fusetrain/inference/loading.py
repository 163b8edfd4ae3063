"""Detectors loaded for use outside of a training run, and what using them has in common.

`judging.py` measures them on data sets, `predicting.py` lets them detect on images, `api.py` on
arrays. The thermal window and the image size come from the weights, so that images are read as they
were read in training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from fusetrain.detector.folding import folded
from fusetrain.engine.machine import Machine, default_machine
from fusetrain.engine.onnx_model import check_thresholds, is_onnx, load_onnx
from fusetrain.engine.weights import WeightsInfo, load_detector
from fusetrain.errors import Problem, RunError
from fusetrain.sample import Batch

BATCH = 16
CONFIDENCE = 0.25
FLOOR = 0.001  # of the scores that a validation looks at
OVERLAP = 0.7

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Loaded:
    """A detector that is ready for use.

    Attributes:
        machine: Where and how it runs.
        detector: On its device, in evaluation mode, its normalisation folded into its convolutions;
            or an exported file in its place.
        info: Its description.
    """

    machine: Machine
    detector: nn.Module
    info: WeightsInfo


def load_weights(
    path: Path, *, confidence: float = FLOOR, overlap: float | None = OVERLAP
) -> Loaded:
    """Return the detector of a run folder, weights or exported file, on the best device there is.

    Args:
        path: The folder or file.
        confidence: Lowest score that will be asked for.
        overlap: IoU of the suppression that will be asked for; None is no suppression.

    Raises:
        RunError: The weights cannot be used, or not without suppression.
        UsageError: They are an exported file with other thresholds inside.
    """
    machine = default_machine()
    machine.apply()
    if is_onnx(path):
        file, about = load_onnx(path)
        check_thresholds(about, confidence=confidence, overlap=overlap)
        return Loaded(machine, file, about.weights)
    detector, info = load_detector(path)
    if overlap is None and not info.detector.one_to_one:
        raise RunError(
            f"{path} has no head that needs no suppression",
            expected="weights trained with `model: {one_to_one: true}`",
            remedy="leave --no-nms out",
        )
    moved = folded(detector).to(machine.device).to(memory_format=machine.memory_format)
    return Loaded(machine, moved, info)


def load_with(
    first: Loaded, partner: Path | None, *, overlap: float | None = OVERLAP
) -> tuple[Loaded, ...]:
    """Return a detector, and a second one that it is to be joined with, if any.

    Args:
        first: The detector.
        partner: Weights of the second.
        overlap: As for `load_weights`.

    Raises:
        RunError: The second cannot be used, or has other classes.
    """
    if partner is None:
        return (first,)
    second = load_weights(partner, overlap=overlap)
    ours, theirs = first.info.class_names, second.info.class_names
    if ours != theirs:
        missing = [name for name in ours if name not in theirs]
        extra = [name for name in theirs if name not in ours]
        told = [
            *(Problem(f"class {name!r} is missing") for name in missing),
            *(Problem(f"class {name!r} is not in the first detector") for name in extra),
        ]
        raise RunError(
            f"{partner} has other classes" if told else f"{partner} has another order of classes",
            problems=told or [Problem(f"order: {', '.join(theirs)}")],
            expected=f"those of the first detector: {', '.join(ours)}",
        )
    return first, second


def counted(batches: Iterable[Batch], total: int, progress: Progress) -> Iterator[Batch]:
    """Yield the batches, and tell how many pairs are done whenever the next one is asked for."""
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        progress(done, total)
