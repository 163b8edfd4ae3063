"""Ranks, reductions and one voice in failure; with `launching.py` the user of torch.distributed.

Everything works unchanged in a single process, where the world is one rank. Who a process is among
several is read from the environment by `launched.py`. Small decisions and objects travel over gloo
on the host, so that a GPU is never waited for because of them; gradients and losses travel over
NCCL where there are GPUs.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from fusetrain import launched
from fusetrain.errors import LostRankError

T = TypeVar("T")

FAILURE = "failure"
HEAD_START_SECONDS = 1.0  # the main rank tells an error that all ranks meet
CLAIM_SECONDS = 5.0  # who only lost the others gives them time to say why
MEETING_SECONDS = 10.0  # for ranks to find each other where no group was opened yet
POLL_SECONDS = 0.05
UNTOLD = 1  # exit code of a rank that was only left alone
LOST = ("gloo", "nccl", "connection closed by peer", "connection reset", "connection refused")

_store: ContextVar[Store | None] = ContextVar("_store", default=None)


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

    Inside of a group that is open, and in a world of one, nothing happens.

    Args:
        device: Where tensors are reduced; CUDA adds NCCL to gloo.
        timeout_seconds: Time after which a collective that a lost rank never joins fails.
    """
    place = launched.place()
    if place.world_size == 1 or dist.is_initialized():
        yield
        return
    timeout = timedelta(seconds=timeout_seconds)
    store = _open_store(place, timeout)
    _store.set(store)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        store=PrefixStore("group", store),
        rank=place.rank,
        world_size=place.world_size,
        timeout=timeout,
    )
    try:
        yield
    except BaseException:
        _ignore_termination()
        if device.type != "cuda":  # NCCL might wait for what never comes; the process ends anyway
            dist.destroy_process_group()
        raise
    _ignore_termination()
    dist.destroy_process_group()


def replicate(model: nn.Module, device: torch.device, *, exact: bool = False) -> nn.Module:
    """Return ``model`` with gradients averaged over the ranks; itself in a world of one.

    Args:
        model: The same on all ranks.
        device: Where it is.
        exact: The first step of a process sums in the same order as all others. After it torch
            deals gradients to other buckets, and the sum of three numbers or more is rounded by
            its place in one; it does not while it looks for parameters without a gradient.
    """
    if world_size() == 1:
        return model
    ids = [device.index] if device.type == "cuda" else None
    keeps_buckets = exact and world_size() > 2
    if keeps_buckets:  # there is none without, and torch says so in the first step
        warnings.filterwarnings("ignore", message="find_unused_parameters=True was specified")
    with warnings.catch_warnings():
        # torch 2.14 has another name for the switch, which torch 2.10 does not know.
        warnings.simplefilter("ignore", FutureWarning)
        return DistributedDataParallel(
            model,
            device_ids=ids,
            broadcast_buffers=False,
            find_unused_parameters=keeps_buckets,
        )


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


def on_any_rank(*flags: bool) -> tuple[bool, ...]:
    """Return which of the flags is set on any rank, so that all take the same branch."""
    if world_size() == 1:
        return flags
    tensor = torch.tensor(flags, dtype=torch.int32)
    dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
    return tuple(bool(value) for value in tensor.tolist())


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


def from_main(work: Callable[[], T]) -> T:
    """Return what ``work`` returns on the main rank, on every rank; the others wait, however long.

    Raises:
        LostRankError: On the other ranks, where the main rank failed.
    """
    store = _store.get()
    if world_size() == 1 or store is None:
        return work()
    done = f"done/{store.add(f'turn/{rank()}', 1)}"
    shared: list[Any] = [None]
    if is_main():
        shared = [work()]
        store.set(done, "")
    else:
        _wait_patiently(store, done)
    dist.broadcast_object_list(shared, src=0, device=torch.device("cpu"))
    result: T = shared[0]
    return result


def wait_for_main() -> None:
    """Wait until the main rank is here, too, however long that takes."""
    from_main(lambda: None)


def is_lost(error: BaseException) -> bool:
    """Return whether an error says no more than that other ranks did not answer."""
    if isinstance(error, LostRankError | dist.DistError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in text for word in LOST)


def lost_ranks(error: BaseException) -> LostRankError | None:
    """Return what a user should know if an error says only that other ranks did not answer."""
    if not is_lost(error):
        return None
    first_line = str(error).partition("\n")[0]
    return LostRankError(
        f"the other ranks are lost: {first_line}",
        expected="ranks that live, and answer within `train.collective_timeout`",
        remedy="`fusetrain resume RUN` goes on from the last save",
    )


def told_elsewhere(error: BaseException, *, exit_code: int) -> int | None:
    """Return the exit code of the failure that another rank tells; None: this one has to tell its.

    The first rank that fails by itself is heard. What the others then meet, broken connections or
    the same error, is not worth a word. The reason goes to the error file of torch's launcher.
    """
    place = launched.place()
    mine = {"rank": place.rank, "exit_code": exit_code, "what": str(error)}
    # Our own launcher knows itself which rank went, and how; then nothing is left to tell.
    is_untold = is_lost(error) and launched.launcher() == "fusetrain"
    patience = CLAIM_SECONDS if is_lost(error) else 0.0 if place.is_main else HEAD_START_SECONDS
    heard: dict[str, Any] | None = None if is_untold else mine
    with suppress(RuntimeError):
        store = _store.get() or _open_store(place, timedelta(seconds=MEETING_SECONDS))
        heard = _first_failure(store, heard, patience=patience)
        store.set(f"seen/{place.rank}", "")
        _let_others_read(store, place)
    if heard is None:
        return UNTOLD
    _write_error_file(heard, is_own=heard == mine)
    return None if heard == mine else int(heard["exit_code"])


def _open_store(place: launched.Place, timeout: timedelta) -> Store:
    """Return the store through which the ranks find each other, new for each start of the group."""
    url = f"tcp://{place.address}:{place.port}?rank={place.rank}&world_size={place.world_size}"
    url = "env://" if launched.launcher() != "srun" else url
    store, _, _ = next(rendezvous(url, timeout=timeout))
    store.set_timeout(timeout)
    return PrefixStore(f"start/{launched.restarts()}", store)


def _wait_patiently(store: Store, key: str) -> None:
    while not store.check([key]):
        if store.check([FAILURE]):
            raise LostRankError("another rank failed")
        time.sleep(POLL_SECONDS)


def _first_failure(
    store: Store, mine: dict[str, Any] | None, *, patience: float
) -> dict[str, Any] | None:
    """Return the failure that is told: the first that was published, or this rank's own, if any."""
    until = time.monotonic() + patience
    while time.monotonic() < until and not store.check([FAILURE]):
        time.sleep(POLL_SECONDS)
    if mine is None and not store.check([FAILURE]):
        return None
    text = json.dumps(mine)
    first: dict[str, Any] = json.loads(store.compare_set(FAILURE, "", text))
    return first


def _let_others_read(store: Store, place: launched.Place) -> None:
    """Keep the store open for the others, if it lives in this process."""
    if not place.is_main or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        return
    others = [f"seen/{number}" for number in range(1, place.world_size)]
    until = time.monotonic() + MEETING_SECONDS
    while time.monotonic() < until and not store.check(others):
        time.sleep(POLL_SECONDS)


def _write_error_file(failure: dict[str, Any], *, is_own: bool) -> None:
    """Say in the error file of torch's launcher why this rank ends; the first cause is oldest."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if not path:
        return
    what = failure["what"] if is_own else f"rank {failure['rank']} failed: {failure['what']}"
    details = {
        "py_callstack": traceback.format_exc() if is_own else what,
        "timestamp": str(int(time.time()) + (0 if is_own else 1)),
    }
    with suppress(OSError), open(path, "w", encoding="utf-8") as file:
        json.dump({"message": {"message": what, "extraInfo": details}}, file)


def _ignore_termination() -> None:
    """Do not let a launcher end this rank while it says how it ended: another may be faster."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
