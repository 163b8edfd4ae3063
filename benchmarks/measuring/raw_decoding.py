"""What a pair costs Pillow alone, and `check-data`; run in child processes by `check_rate.py`."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from PIL import Image

from fusetrain.checks.images import PairFacts, PairTask, measure_pair


@dataclass(frozen=True)
class Cost:
    """What one pair cost.

    Attributes:
        cpu_s: Processor time of the child, s.
        facts: What was measured; None where pixels were only decoded.
    """

    cpu_s: float
    facts: PairFacts | None = None


def decode_pair(task: PairTask) -> Cost:
    """Decode both images of a pair and keep nothing."""
    started = time.process_time()
    for relative in (task.rgb_path, task.ir_path):
        with Image.open(os.path.join(task.root, relative)) as image:
            image.load()
    return Cost(time.process_time() - started)


def check_pair(task: PairTask) -> Cost:
    """Do what `check-data` does with a pair."""
    started = time.process_time()
    facts = measure_pair(task)
    return Cost(time.process_time() - started, facts)


def crashed(task: PairTask) -> Cost:
    """Tell that a decoder crashed."""
    return Cost(0.0)
