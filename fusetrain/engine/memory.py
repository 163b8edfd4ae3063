"""Telling that memory ran out, and computing a batch in smaller parts from then on.

PyTorch has an exception of its own for GPUs alone; elsewhere only the text of the error tells.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator

import torch

from fusetrain import distributed
from fusetrain.errors import ResourceError
from fusetrain.sample import Batch

WORDS = (
    "out of memory",
    "could not create a primitive",  # of oneDNN, whose buffers were refused
    "can't allocate memory",
    "cannot allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    # Of cuDNN, once the workspace of every algorithm was refused.
    "unable to find an engine to execute this computation",
    "Unable to find a valid cuDNN algorithm",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception says that a device or the machine has no memory left."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in WORDS)


def free_cached(device: torch.device) -> None:
    """Give back to the system what PyTorch, or the C library, keeps for later allocations.

    On a CPU freed blocks are kept on purpose (`allocator.keep_freed_memory`); the code that oneDNN
    compiles for a smaller batch needs room beside them.
    """
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def halved(pairs: int, error: BaseException) -> int:
    """Return how many pairs to compute at once after ``pairs`` were too many.

    Raises:
        ResourceError: One pair is too much, or other ranks wait in the middle of the step.
    """
    if pairs <= 1 or distributed.world_size() > 1:
        raise no_memory(error) from error
    return (pairs + 1) // 2


def no_memory(error: BaseException) -> ResourceError:
    """Return the error for a user whose memory does not suffice."""
    first = (str(error).splitlines() or [""])[0]
    return ResourceError(
        f"there is not enough memory to train: {first or type(error).__name__}",
        expected="room for one pair at least; with several ranks, for a rank's share of the batch",
        remedy="a smaller `train.imgsz`, `model.size` or `train.batch` (with a larger "
        "`train.accumulate` the steps stay as they are); what was saved is kept",
    )


def parts_of(batch: Batch, most: int) -> Iterator[Batch]:
    """Yield a batch in parts of at most ``most`` pairs; 0 leaves it whole."""
    if not most or len(batch) <= most:
        yield batch
        return
    for start in range(0, len(batch), most):
        yield batch.part(start, start + most)
