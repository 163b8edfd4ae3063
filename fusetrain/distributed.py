"""Ranks, reductions and barriers; the only module that imports torch.distributed.

Everything works unchanged in a single process, where the world is one rank. Launchers describe a
larger world by the usual environment variables (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR,
MASTER_PORT), as torchrun sets them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


def launched_world_size() -> int:
    """Return the number of ranks that a launcher announces in the environment; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """Return the rank of this process on its host."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def launched_local_world_size() -> int:
    """Return the number of ranks that a launcher announces on this host; 1 without one."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def rank() -> int:
    """Return the rank of this process, 0 where no group is open."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return the number of ranks, 1 where no group is open."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    """Return whether this rank writes and prints."""
    return rank() == 0


@contextmanager
def process_group(device: torch.device, *, timeout_seconds: float = 600.0) -> Iterator[None]:
    """Open the group that the launcher describes, for as long as the context lasts.

    Args:
        device: Decides the backend: NCCL on CUDA, gloo elsewhere.
        timeout_seconds: Time after which a collective that a lost rank never joins fails.
    """
    if launched_world_size() == 1:
        yield
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=timeout_seconds))
    try:
        yield
    finally:
        dist.destroy_process_group()


def replicate(model: nn.Module, device: torch.device) -> nn.Module:
    """Return ``model`` with gradients averaged over the ranks; itself in a world of one."""
    if world_size() == 1:
        return model
    ids = [device.index] if device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=ids, broadcast_buffers=False)


def without_sync(model: nn.Module) -> AbstractContextManager[Any]:
    """Return a context in which backward passes keep their gradients on their rank."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()


def sum_over_ranks(values: Tensor) -> Tensor:
    """Return the sum of ``values`` over the ranks; the same tensor in a world of one."""
    if world_size() == 1:
        return values
    total = values.clone()
    dist.all_reduce(total)
    return total


def max_over_ranks(value: int, device: torch.device) -> int:
    """Return the largest of the ranks' integers, so that all take the same branch."""
    if world_size() == 1:
        return value
    tensor = torch.tensor(value, device=device)
    dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
    return int(tensor.item())


def gather_objects(value: Any) -> list[Any]:
    """Return the ranks' values in rank order, on every rank."""
    if world_size() == 1:
        return [value]
    gathered: list[Any] = [None] * world_size()
    dist.all_gather_object(gathered, value)
    return gathered


def broadcast_tensors(tensors: list[Tensor]) -> None:
    """Overwrite the tensors of every rank with those of the main rank, in place."""
    if world_size() == 1:
        return
    for tensor in tensors:
        dist.broadcast(tensor, src=0)


def barrier() -> None:
    """Wait until every rank is here."""
    if world_size() > 1:
        dist.barrier()
