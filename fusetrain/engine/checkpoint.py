"""Everything a resumed run needs, written so that no instant of a crash can lose it.

A checkpoint is one file: a magic word, the SHA-256 of all that follows, and a `torch.save` archive
of tensors and JSON types. It is written beside its place, flushed to the disk, read back and
verified; then the old one becomes ``last.prev.pt`` and the new one takes its name, so that
``last.pt`` exists at every instant after the first save. Loading verifies the digest before torch
sees a byte.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any

import torch

from fusetrain.errors import ResourceError, RunError

MAGIC = b"fusetrain checkpoint 1\n"
_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass
class TrainState:
    """Where a run stands, besides its tensors; the trainer keeps no such number elsewhere.

    Attributes:
        epoch: 0-based epoch that is being trained.
        batches: Micro-steps done in this epoch.
        slot: Optimizer steps done in all, skipped ones included; the schedule's clock.
        updates: Optimizer steps that changed the weights.
        skipped_in_a_row: Steps skipped since the last real one.
        lr_scale: Factor on every learning rate, halved by each rollback.
        loss_sums: Sums of box, cls and dfl loss over pairs of this epoch, and how many pairs.
        seconds: Seconds of training in all, added up over resumes.
        best_score: Highest mAP50-95 so far; -1 before the first validation.
        best_epoch: 1-based epoch of it; 0 before the first.
        epochs_without_gain: Epochs since the best one, validated or not.
        stopped_early: Whether patience has run out.
        history: Rows of results.csv so far, column to value; None is an empty cell.
        schedule: Counters and decisions of a schedule that follows the run; else empty.
    """

    epoch: int = 0
    batches: int = 0
    slot: int = 0
    updates: int = 0
    skipped_in_a_row: int = 0
    lr_scale: float = 1.0
    loss_sums: list[float] = field(default_factory=lambda: [0.0] * 4)
    seconds: float = 0.0
    best_score: float = -1.0
    best_epoch: int = 0
    epochs_without_gain: int = 0
    stopped_early: bool = False
    history: list[dict[str, float | int | None]] = field(default_factory=list)
    schedule: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TrainState:
        """Return the state that `to_json` wrote.

        Raises:
            RunError: The keys are those of another version.
        """
        values = {"schedule": {}, **values}  # the first checkpoints had none
        known = set(cls.__dataclass_fields__)
        if known != set(values):
            missing, extra = sorted(known - set(values)), sorted(set(values) - known)
            raise RunError(
                f"the checkpoint's state is of another version (missing {missing}, extra {extra})"
            )
        return cls(**values)


def pack(content: dict[str, Any]) -> bytes:
    """Return the bytes of a checkpoint file that holds tensors and JSON types, nothing else."""
    _require_plain(content)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    payload = buffer.getbuffer()
    return MAGIC + hashlib.sha256(payload).digest() + payload


def unpack(data: bytes, name: str) -> dict[str, Any]:
    """Return what `pack` packed.

    Raises:
        RunError: The bytes are not a checkpoint, not the ones that were written, or hold more than
            tensors and JSON types.
    """
    if problem := _damage(data):
        raise RunError(f"{name}: {problem}")
    payload = memoryview(data)[len(MAGIC) + _DIGEST_BYTES :]
    try:
        content: dict[str, Any] = torch.load(
            io.BytesIO(payload), map_location="cpu", weights_only=True
        )
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise RunError(f"{name}: refused, it holds more than tensors and plain values") from error
    return content


def _require_plain(value: object) -> None:
    if isinstance(value, dict):
        for item in value.values():
            _require_plain(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _require_plain(item)
    else:
        plain = (torch.Tensor, str, int, float, bool, NoneType)
        assert type(value) in plain, f"{type(value)} has no place in a checkpoint"


def _damage(data: bytes) -> str | None:
    """Return what is wrong with the bytes of a checkpoint, or None."""
    if not data:
        return "the file is empty"
    if not data.startswith(MAGIC):
        return "not a fusetrain checkpoint"
    start = len(MAGIC) + _DIGEST_BYTES
    if hashlib.sha256(memoryview(data)[start:]).digest() != data[len(MAGIC) : start]:
        return "the content does not match its digest: truncated or damaged"
    return None


def write_durably(path: Path, data: bytes, *, previous: Path | None = None) -> None:
    """Put ``data`` at ``path`` so that a crash leaves the old file or the new one, never a part.

    Args:
        path: Where the file goes.
        data: What it holds.
        previous: Name under which the old file is kept.

    Raises:
        ResourceError: The disk is full or refuses; the old file is untouched.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if temporary.read_bytes() != data:
            raise OSError("what was read back is not what was written")
        if previous is not None and path.exists():
            _link(path, previous)
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ResourceError(
            f"{path} cannot be written ({len(data)} bytes): {error}",
            remedy="free disk space, then `fusetrain resume` the run; the last saved state is kept",
        ) from error


def _link(path: Path, previous: Path) -> None:
    """Give the file at ``path`` the second name ``previous``, in one step."""
    temporary = previous.with_name(f".{previous.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(path, temporary)
    except OSError:  # the file system has no hard links
        temporary.write_bytes(path.read_bytes())
    temporary.replace(previous)


def _sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` durable, where the system offers it."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_newest(weights: Path) -> tuple[dict[str, Any], Path, str]:
    """Return the newest sound checkpoint of a run's weights folder.

    Returns:
        The content, the file it came from, and why a newer file was passed over (or "").

    Raises:
        RunError: No sound checkpoint is left; every reason is listed.
    """
    reasons: list[str] = []
    for path in (weights / "last.pt", weights / "last.prev.pt"):
        try:
            return unpack(path.read_bytes(), str(path)), path, "; ".join(reasons)
        except FileNotFoundError:
            reasons.append(f"{path}: not there")
        except OSError as error:
            reasons.append(f"{path}: {error}")
        except RunError as error:
            reasons.append(error.what)
    raise RunError(
        "no checkpoint to resume from: " + "; ".join(reasons),
        remedy="start again with `fusetrain train`",
    )


class Writer:
    """Writes files in the background, one job at a time, in order."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._job: Future[None] | None = None

    def submit(self, job: Callable[[], None]) -> None:
        """Wait for the job before, raise what it raised, then start this one."""
        self.wait()
        self._job = self._pool.submit(job)

    def wait(self) -> None:
        """Wait until everything submitted is on the disk; raise what went wrong."""
        job, self._job = self._job, None
        if job is not None:
            job.result()

    def close(self) -> None:
        """Wait, then end the thread."""
        try:
            self.wait()
        finally:
            self._pool.shutdown()
