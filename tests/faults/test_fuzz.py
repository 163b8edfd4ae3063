"""Thousands of damaged files: each ends in one of our errors or is read, never in a traceback."""

from __future__ import annotations

import hashlib
import os
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
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


def damaged(data: bytes, chooser: random.Random) -> bytes:
    """Flip, cut out, repeat or insert some bytes."""
    parts = bytearray(data)
    for _ in range(chooser.randint(1, 4)):
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
    return bytes(parts)


def read_all(data: bytes, read: Callable[[bytes], object], *, times: int) -> int:
    """Read damaged copies; return how many were refused."""
    chooser, refused = random.Random(5), 0
    for _ in range(times):
        try:
            read(damaged(data, chooser))
        except FusetrainError:
            refused += 1
    return refused


@pytest.mark.slow
@pytest.mark.fault(11)
@pytest.mark.parametrize("with_digest", [False, True])
def test_row11_damaged_checkpoints(with_digest: bool) -> None:
    """With a digest that fits the damage, as somebody might make it on purpose."""
    good = pack(CONTENT)
    start = len(MAGIC) + hashlib.sha256().digest_size

    def read(data: bytes) -> None:
        content = unpack(MAGIC + hashlib.sha256(data).digest() + data if with_digest else data, "x")
        require_known(content, "x")
        TrainState.from_json(content["state"])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refused = read_all(good[start:] if with_digest else good, read, times=5000)
    assert refused == 5000 if not with_digest else refused > 1000


@pytest.mark.slow
@pytest.mark.fault(39)
def test_row39_damaged_configs(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    text = (Path(__file__).parents[2] / "configs" / "demo.yaml").read_bytes()
    text += (
        b"schedule: {name: cosine, warmup: {epochs: 3}}\noptim: {lr0: 1e-3, groups: {neck: 2}}\n"
    )

    def read(data: bytes) -> None:
        path.write_bytes(data)
        load_config(path, checks=[config_checks])

    assert read_all(text, read, times=5000) > 1000
    assert os.listdir(tmp_path) == ["train.yaml"]


@pytest.mark.slow
@pytest.mark.fault(36)
def test_row36_damaged_labels(tmp_path: Path) -> None:
    path = tmp_path / "label.txt"
    text = b"0 0.25 0.5 0.25 0.5\n1 0.75 0.5 0.3 0.6\n1 0.5 0.5 0.1 0.1\n"

    chooser = random.Random(36)
    kept = told = 0
    for _ in range(5000):
        path.write_bytes(damaged(text, chooser))
        labels = read_labels(path, 2)
        kept += len(labels.classes)
        told += len(labels.problems)
        assert ((labels.boxes_cxcywh_unit >= 0) & (labels.boxes_cxcywh_unit <= 1)).all()
        assert set(labels.classes.tolist()) <= {0, 1}
        assert all(problem.path == str(path) for problem in labels.problems)
    assert min(kept, told) > 1000
