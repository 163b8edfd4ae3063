"""Everything a resumed run needs, as one file that is verified before it is used.

A checkpoint is a magic word, the SHA-256 of all that follows, and a `torch.save` archive of tensors
and JSON types. `durable.py` puts it in its place, and the old one becomes ``last.prev.pt``, so that
``last.pt`` exists at every instant after the first save. Loading verifies the digest before torch
sees a byte.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import NoneType
from typing import IO, Any, cast

import torch

from fusetrain.durable import link_durably, sync_folder
from fusetrain.errors import RunError

FORMAT = 1
MAGIC = b"fusetrain checkpoint 1\n"
LAST, PREVIOUS, DAMAGED = "last.pt", "last.prev.pt", "last.damaged.pt"
NO_SLOT = -1
GOOD = "good.pt"  # what a rollback goes back to; mostly a second name of one of them
# What every checkpoint holds; anything more has come later and may be missing.
PARTS: Mapping[str, type | tuple[type, ...]] = {
    "state": dict,
    "context": dict,
    "model": dict,
    "average": (dict, NoneType),
    "optimizer": dict,
    "scaler": dict,
    "rng": dict,
}
# Fields of the state that every checkpoint holds.
FIRST_FIELDS = {
    *("epoch", "batches", "slot", "updates", "skipped_in_a_row", "lr_scale", "loss_sums"),
    *("seconds", "best_score", "best_epoch", "epochs_without_gain", "stopped_early", "history"),
}
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
        quarantine: Samples that are not read any more: {split, sample, path, reason}.
        skipped: Steps skipped in all, as not finite.
        rollbacks: How often the run was rolled back.
        good_slot: Slot of the state that a rollback goes back to; NO_SLOT until one is kept.
        canvas_hw: Height and width in px of the canvas of single pairs; empty before the start.
        micro_batch: Pairs that a rank computes at once at most, after memory ran out; 0 is all.
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
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    skipped: int = 0
    rollbacks: int = 0
    good_slot: int = 0
    micro_batch: int = 0
    canvas_hw: list[int] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TrainState:
        """Return the state that `to_json` wrote; a field of a later version starts as in a new run.

        Raises:
            RunError: A number is missing that every version has, unknown, or of another kind.
        """
        fresh = cls().to_json()
        missing = sorted(FIRST_FIELDS - set(values))
        extra = sorted(set(values) - set(fresh))
        other = sorted(
            key for key in set(values) & set(fresh) if not _is_like(values[key], fresh[key])
        )
        if missing or extra or other:
            raise RunError(
                "the checkpoint's state is of another version "
                f"(missing {missing}, extra {extra}, of another kind {other})"
            )
        return cls(**values)


def _is_like(value: object, fresh: object) -> bool:
    """Return whether a value is of the kind of a fresh one."""
    if type(fresh) is float:
        return type(value) in (int, float)
    return type(value) is type(fresh)


def packed(content: dict[str, Any]) -> list[bytes]:
    """Return the parts of a checkpoint file that holds tensors and JSON types, nothing else."""
    _require_plain(content)
    payload = _Payload()
    torch.save(content, cast(IO[bytes], payload))
    return [MAGIC, payload.digest.digest(), *payload.parts]


def snapshot(value: Any) -> Any:
    """Return a copy in main memory that no later step changes; tensors keep their strides."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: snapshot(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(snapshot, value))
    return value


class _Payload(io.RawIOBase):
    """Keeps what `torch.save` writes, and its digest; nothing is copied twice."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        part = bytes(data)
        self.parts.append(part)
        self.digest.update(part)
        return len(part)


def pack(content: dict[str, Any]) -> bytes:
    """Return the bytes of a checkpoint file that holds tensors and JSON types, nothing else."""
    return b"".join(packed(content))


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
    except Exception as error:  # whatever torch meets in bytes that somebody else has written
        raise RunError(f"{name}: refused, it holds more than tensors and plain values") from error
    return content


def require_known(content: Mapping[str, Any], name: str) -> None:
    """Check that this version can read a checkpoint, before anything of it is used.

    Raises:
        RunError: It is of another format, or a part of it is missing or not what it has to be.
    """
    if not isinstance(content, dict) or type(content.get("format")) is not int:
        raise RunError(f"{name}: not the checkpoint of a training")
    if content["format"] != FORMAT:
        newer = content["format"] > FORMAT
        raise RunError(
            f"{name}: checkpoint format {content['format']} is not known here, only {FORMAT}",
            remedy="use the newer fusetrain that wrote it" if newer else "start a new run",
        )
    wrong = [key for key, kind in PARTS.items() if not isinstance(content.get(key), kind)]
    if wrong:
        raise RunError(f"{name}: parts are missing or of another kind: {', '.join(wrong)}")


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


def has_checkpoint(weights: Path) -> bool:
    """Return whether a run has saved anything yet, sound or not."""
    return any((weights / name).exists() for name in (LAST, PREVIOUS))


def read_newest(weights: Path) -> tuple[dict[str, Any], Path, str]:
    """Return the newest sound checkpoint of a run's weights folder.

    Returns:
        The content, the file it came from, and why a newer file was passed over (or "").

    Raises:
        RunError: No sound checkpoint is left; every reason is listed.
    """
    reasons: list[str] = []
    for path in (weights / LAST, weights / PREVIOUS):
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


def set_aside_damaged(weights: Path) -> None:
    """Let the previous checkpoint be the last one, so that the next save cannot push it out.

    What stood there keeps existing as ``last.damaged.pt``.
    """
    last = weights / LAST
    if last.exists():
        last.replace(weights / DAMAGED)
    link_durably(weights / PREVIOUS, last)
    sync_folder(weights)
