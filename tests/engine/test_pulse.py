"""The wait for data is counted, and loaders are closed as they were."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import torch

from fusetrain.engine.pulse import Pulse, memory_in_use


def test_waiting_is_counted_and_working_is_not() -> None:
    def slow(epoch: int, first: int) -> Generator[Any, None, None]:
        for number in range(3):
            time.sleep(0.02)
            yield (epoch, first, number)

    pulse = Pulse()
    seen = []
    for item in pulse.timed(slow)(4, 1):
        seen.append(item)
        time.sleep(0.1)
    assert seen == [(4, 1, 0), (4, 1, 1), (4, 1, 2)]
    assert 0.06 <= pulse.waited < 0.3


def test_loader_is_closed_with_the_batches() -> None:
    closed = []

    def loader(epoch: int, first: int) -> Generator[Any, None, None]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(epoch)

    batches = Pulse().timed(loader)(7, 0)
    assert next(batches) == 1
    batches.close()
    assert closed == [7]


def test_memory_of_this_process_is_of_a_likely_size() -> None:
    held = memory_in_use(torch.device("cpu"))
    assert held is None or 2**26 < held < 2**36
