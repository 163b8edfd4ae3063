"""A short training that saves after every step, and when two of them are equal."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fusetrain.engine.checkpoint import has_checkpoint, read_newest
from fusetrain.results.run_dir import RunDir

CONFIG = """\
data: set/data.yaml
model: {fusion: ir, width: 0.25}
train:
  {epochs: 2, batch: 2, imgsz: 64, threads: 1, device: cpu, amp: false, save_every: {steps: 1}}
schedule: {warmup: {epochs: 1}}
run: {project: runs}
"""


@dataclass(frozen=True)
class Home:
    """A folder with a data set, a config, and the run `runs/exp` once it was begun."""

    path: Path
    name: str = "exp"

    @property
    def run(self) -> Path:
        return self.path / "runs" / self.name

    @property
    def weights(self) -> Path:
        return self.run / "weights"

    def steps(self) -> int:
        """Optimizer steps that are saved."""
        return int(self.content()["state"]["slot"]) if has_checkpoint(self.weights) else 0

    def content(self) -> dict[str, Any]:
        content, _, _ = read_newest(self.weights)
        return content

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The lines of the log of one kind."""
        return RunDir(self.run).events(kind)

    def rows(self) -> list[dict[str, str]]:
        """The rows of results.csv without the one column that may differ."""
        with (self.run / "results.csv").open() as file:
            return [{**row, "time": ""} for row in csv.DictReader(file)]

    def assert_trained_like(self, other: Home) -> None:
        """Weights, average, optimizer, random state and table are those of another run."""
        assert_same(_timeless(self.content()), _timeless(other.content()))
        assert self.rows() == other.rows()

    def assert_ends_like(self, other: Home) -> None:
        """It was trained like another run, has its figures, and left nothing half done."""
        self.assert_trained_like(other)
        assert (self.run / "results.png").is_file()
        self.assert_nothing_half_done()

    def assert_nothing_half_done(self) -> None:
        left = {path.name for path in self.run.rglob(".*")}
        assert left == set(), "a lock or a half written file is left"


def _timeless(content: dict[str, Any]) -> dict[str, Any]:
    content["state"]["seconds"] = 0.0
    for row in content["state"]["history"]:
        row["time"] = 0.0
    return {key: value for key, value in content.items() if key != "context"}


def assert_same(one: Any, other: Any, path: str = "") -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), path
        assert one.stride() == other.stride(), path
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one:
            assert_same(one[key], other[key], f"{path}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for number, (item, same) in enumerate(zip(one, other, strict=True)):
            assert_same(item, same, f"{path}/{number}")
    else:
        assert one == other, path
