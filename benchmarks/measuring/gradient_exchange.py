"""Ranks that exchange gradients over gloo, each in a process of its own."""

from __future__ import annotations

import statistics
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import distributed

NUM_PARAMETERS = 4_190_857  # of `mid`, nano size, one class
ROUNDS = 3


def exchange_ms(ranks: int) -> float:
    """Return the median milliseconds of the processor that an exchange takes on a rank."""
    with (
        tempfile.TemporaryDirectory(prefix="fusetrain-bench-") as name,
        get_context("spawn").Pool(ranks) as pool,
    ):
        place = str(Path(name) / "meeting")
        asked = [(rank, ranks, place, ROUNDS) for rank in range(ranks)]
        return 1e3 * statistics.median(pool.starmap(exchange, asked, chunksize=1))


def exchange(rank: int, ranks: int, meeting: str, rounds: int) -> float:
    """Return the processor seconds of one exchange on this rank.

    Args:
        rank: Number of this rank.
        ranks: Number of all.
        meeting: Path of a file that they find each other by; it is not there yet.
        rounds: Exchanges, of which the median counts; one before them is not timed.
    """
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks
    )
    gradients, seconds = torch.ones(NUM_PARAMETERS), []
    for _ in range(rounds + 1):
        started = time.process_time()
        distributed.all_reduce(gradients)
        gradients /= ranks
        seconds.append(time.process_time() - started)
    distributed.destroy_process_group()
    return statistics.median(seconds[1:])
