"""Read thousands of damaged files: each is read or refused with one of our errors, nothing else.

`python tests/faults/fuzz.py` (or `make fuzz`) damages each kind of file 5000 times and prints what
came of it. Some carry code that would make a folder; it must never be there.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from fusetrain.config.load import load_config
from fusetrain.data.labels import read_labels
from fusetrain.engine.checkpoint import MAGIC, TrainState, pack, require_known, unpack
from fusetrain.errors import FusetrainError
from fusetrain.rules import config_checks

CONTENT: dict[str, Any] = {
    "format": 1,
    "state": TrainState().to_json(),
    "context": {"config": {}, "data": "", "steps_per_epoch": 1, "weights": {}},
    "model": {"weight": torch.zeros(2, 3)},
    "average": None,
    "optimizer": {"state": {}, "param_groups": []},
    "scaler": {},
    "rng": {"cpu": torch.zeros(8, dtype=torch.uint8), "cuda": []},
}
CONFIG = b"""\
data: set
model: {size: n, fusion: mid, operator: gate}
train:
  epochs: 12  # short
  batch: 8
  save_every: {steps: 100, minutes: 15}
  stages: [{epochs: 2, freeze: [backbone]}, {inputs: both}]
optim: {name: adamw, lr0: 1e-3, groups: {neck: 2}}
schedule: {name: cosine, warmup: {epochs: 3}}
augment: {mosaic: 0.5, degrees: 10.0}
"""
LABELS = b"0 0.25 0.5 0.25 0.5\n1 0.75 0.5 0.3 0.6\n1 0.5 0.5 0.1 0.1\n"
KEYS = b"0123456789abenort:{}[],.-_#'\" \n"
SENTINEL = "sentinel"
TIMES = 5000


@dataclass(frozen=True)
class Target:
    """A kind of file.

    Attributes:
        name: For people.
        good: Its bytes before they are damaged.
        read: Reads bytes as the program would; raises FusetrainError where it refuses them.
        damages: (bytes, times) to damaged copies.
    """

    name: str
    good: bytes
    read: Callable[[bytes], object]
    damages: Callable[[bytes, int], Iterator[bytes]]


@dataclass(frozen=True)
class Came:
    """What came of the damaged copies of a file."""

    refused: int
    read: int


class Payload:
    """What a pickle would do if it were let: make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def damaged_often(data: bytes, times: int) -> Iterator[bytes]:
    """Yield copies with some bytes flipped, cut out, repeated or inserted."""
    chooser = random.Random(5)
    for _ in range(times):
        parts = bytearray(data)
        for _ in range(chooser.randint(1, 4)):
            _damage(parts, chooser)
        yield bytes(parts)


def _damage(parts: bytearray, chooser: random.Random) -> None:
    start = chooser.randrange(len(parts) or 1)
    length = chooser.randint(1, 20)
    kind = chooser.randrange(4)
    if kind == 0 and parts:
        parts[start] ^= chooser.randint(1, 255)
    elif kind == 1:
        del parts[start : start + length]
    elif kind == 2:
        parts[start:start] = parts[start : start + length]
    else:
        parts[start:start] = chooser.randbytes(length)


def mistyped(data: bytes, times: int) -> Iterator[bytes]:
    """Yield copies of a text, half of them damaged, half with a character or two that are wrong."""
    chooser = random.Random(7)
    yield from damaged_often(data, times - times // 2)
    for _ in range(times // 2):
        parts = bytearray(data)
        for _ in range(chooser.randint(1, 2)):
            parts[chooser.randrange(len(parts))] = chooser.choice(KEYS)
        yield bytes(parts)


def each_byte_changed(data: bytes, times: int) -> Iterator[bytes]:
    """Yield copies with one byte changed: every one, or at so many places."""
    chooser, parts = random.Random(6), bytearray(data)
    for place in sorted(chooser.sample(range(len(data)), min(times, len(data)))):
        change = chooser.randint(1, 255)
        parts[place] ^= change
        yield bytes(parts)
        parts[place] ^= change


def with_digest(payload: bytes) -> bytes:
    """Return a checkpoint with any payload, as somebody might make it on purpose."""
    return MAGIC + hashlib.sha256(payload).digest() + payload


def read_checkpoint(data: bytes) -> None:
    content = unpack(data, "last.pt")
    require_known(content, "last.pt")
    TrainState.from_json(content["state"])


def targets(folder: Path) -> dict[str, Target]:
    """Return all kinds of files; ``folder`` is where their readers look, and code would leave."""
    good = pack(CONTENT)
    payload = good[len(MAGIC) + hashlib.sha256().digest_size :]
    buffer = io.BytesIO()
    torch.save(CONTENT | {"state": Payload(folder / SENTINEL)}, buffer)
    tag = f"run: {{name: !!python/object/apply:os.mkdir [{folder / SENTINEL}]}}\n"
    found = (
        Target("checkpoint", good, read_checkpoint, damaged_often),
        Target("checkpoint, one byte", good, read_checkpoint, each_byte_changed),
        Target("checkpoint, right digest", payload, _signed(read_checkpoint), damaged_often),
        Target("code, right digest", buffer.getvalue(), _signed(read_checkpoint), damaged_often),
        Target("config", CONFIG, _reader_of_configs(folder), mistyped),
        Target(
            "code in a config", CONFIG + tag.encode(), _reader_of_configs(folder), damaged_often
        ),
        Target("labels", LABELS, _reader_of_labels(folder), mistyped),
    )
    return {target.name: target for target in found}


def _signed(read: Callable[[bytes], None]) -> Callable[[bytes], None]:
    return lambda payload: read(with_digest(payload))


def _reader_of_configs(folder: Path) -> Callable[[bytes], None]:
    path = folder / "train.yaml"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        load_config(path, checks=[config_checks])

    return read


def _reader_of_labels(folder: Path) -> Callable[[bytes], None]:
    """Return a reader that refuses what has problems; what it keeps has to be as it should."""
    path = folder / "label.txt"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        labels = read_labels(path, 2)
        assert ((labels.boxes_cxcywh_unit >= 0) & (labels.boxes_cxcywh_unit <= 1)).all()
        assert set(labels.classes.tolist()) <= {0, 1}
        assert all(problem.path == str(path) for problem in labels.problems)
        if labels.problems:
            raise FusetrainError("labels with problems")

    return read


def fuzz(target: Target, folder: Path, *, times: int = TIMES) -> Came:
    """Read damaged copies of a file.

    Raises:
        AssertionError: Code in one was run.
        Exception: Whatever else reading one raised.
    """
    refused = read = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about bytes that look like an old format
        for data in target.damages(target.good, times):
            try:
                target.read(data)
                read += 1
            except FusetrainError:
                refused += 1
    assert not (folder / SENTINEL).exists(), "code in a file was run"
    return Came(refused, read)


def main() -> None:
    parser = argparse.ArgumentParser(description="Read thousands of damaged files.")
    parser.add_argument("--times", type=int, default=TIMES, help="damaged copies of each kind")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for target in targets(Path(name)).values():
            began = time.monotonic()
            came = fuzz(target, Path(name), times=asked.times)
            print(
                f"{target.name:26}{came.refused + came.read:6} damaged: {came.refused:5} refused, "
                f"{came.read:4} read, 0 crashes, 0 times code run "
                f"({time.monotonic() - began:.0f} s)",
                flush=True,
            )


if __name__ == "__main__":
    main()
