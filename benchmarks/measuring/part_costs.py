"""What one unit of a piece of work costs, by the clock and of the processor.

Nothing of ours is imported here: scripts that run in the environment of the peer use it as well.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

Cost = tuple[float, float]  # seconds by the clock, and of the processor


class Part(StrEnum):
    """Parts of the work, as both sides call them."""

    FROM_MEMORY = "pair for training, from memory"
    FROM_FILES = "pair for training, from files"
    EVALUATION = "image evaluated"
    ONE = "detection on one pair"
    MANY = "detection on a batch, a pair"
    CHECK = "pair checked, headers and labels"
    DEEP_CHECK = "pair checked, all pixels"


def cost_of(work: Callable[[], object], *, units: int, calls: int = 1) -> Cost:
    """Do a piece of work; return what each of its units cost this process.

    Args:
        work: What is done.
        units: How many pairs or images that is.
        calls: How often it is done.
    """
    clock, processor = time.perf_counter(), time.process_time()
    for _ in range(calls):
        work()
    seconds = time.perf_counter() - clock, time.process_time() - processor
    return seconds[0] / (calls * units), seconds[1] / (calls * units)


def write_answer(request: dict[str, Any], parts: Mapping[str, Cost], **more: Any) -> None:
    """Write the costs of all parts, and more, to where they were asked for."""
    answer = {"parts": parts, **more}
    Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")
