"""Detectors loaded for use outside of a training run, and what using them has in common.

`judging.py` measures them on data sets, `predicting.py` lets them detect on images, `api.py` on
arrays. The thermal window and the image size come from the weights, so that images are read as they
were read in training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fusetrain.detector.detector import FusionDetector
from fusetrain.engine.machine import Machine, default_machine
from fusetrain.engine.weights import WeightsInfo, load_detector
from fusetrain.errors import Problem, RunError
from fusetrain.sample import Batch

BATCH = 16
CONFIDENCE = 0.25
OVERLAP = 0.7

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Loaded:
    """A detector that is ready for use.

    Attributes:
        machine: Where and how it runs.
        detector: On its device, in evaluation mode.
        info: Its description.
    """

    machine: Machine
    detector: FusionDetector
    info: WeightsInfo


def load_weights(path: Path) -> Loaded:
    """Return the detector of a run folder or weights file, on the best device there is.

    Raises:
        RunError: The weights cannot be used.
    """
    machine = default_machine()
    machine.apply()
    detector, info = load_detector(path)
    moved = detector.to(machine.device).to(memory_format=machine.memory_format)
    return Loaded(machine, moved, info)


def load_with(first: Loaded, partner: Path | None) -> tuple[Loaded, ...]:
    """Return a detector, and a second one that it is to be joined with, if any.

    Raises:
        RunError: The second cannot be used, or has other classes.
    """
    if partner is None:
        return (first,)
    second = load_weights(partner)
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
