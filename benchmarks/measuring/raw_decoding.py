"""What a pair costs Pillow alone, and `check-data`; run in child processes by `check_rate.py`."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from fusetrain.checks import images as check_images
from fusetrain.checks.images import PairFacts, PairPixels, PairTask


@dataclass(frozen=True)
class Cost:
    """What one pair cost.

    Attributes:
        cpu_s: Processor time of the child, s.
        facts: What was measured of this pair and those that follow it; None where another cost
            tells, or pixels were only decoded.
    """

    cpu_s: float
    facts: Sequence[PairFacts] | None = None


def decode_pair(task: PairTask) -> Cost:
    """Decode both images of a pair and keep nothing."""
    started = time.process_time()
    for relative in (task.rgb_path, task.ir_path):
        with Image.open(os.path.join(task.root, relative)) as image:
            image.load()
    return Cost(time.process_time() - started)


def begin_check(task: PairTask) -> tuple[PairPixels, float]:
    """Do what `check-data` does with a pair by itself."""
    started = time.process_time()
    pixels = check_images.decode_pair(task)
    return pixels, time.process_time() - started


def end_check(begun: Sequence[tuple[PairPixels, float]]) -> list[Cost]:
    """Do what `check-data` does with many pairs at once; the first bears the cost of it."""
    started = time.process_time()
    facts = check_images.measure_pixels([pixels for pixels, _ in begun])
    together_s = time.process_time() - started
    alone = [Cost(own_s) for _, own_s in begun]
    return [Cost(alone[0].cpu_s + together_s, facts), *alone[1:]]


def crashed(task: PairTask) -> Cost:
    """Tell that a decoder crashed."""
    return Cost(0.0)
