"""Run training steps and note what each part of them costs, in seconds of processor time.

The steps are those of `StepRunner`; clocks are set around its parts from outside. Parts that call
each other are told apart by taking the inner from the outer one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import torch
from measuring.reference_convolution import ReferenceConvolution
from torch.utils.flop_counter import FlopCounterMode

from fusetrain import build
from fusetrain.config.schema import Config
from fusetrain.data.demo import write_demo
from fusetrain.engine.stages import WHOLE_RUN
from fusetrain.runs.batches import BatchSource
from fusetrain.runs.session import Session, assemble, choose_machine
from fusetrain.sample import Batch

PARTS = ("data", "forward", "loss", "backward", "optimizer")
NUM_PAIRS = 60
WARM_STEPS = 2


class SplitSteps:
    """One training of the nano detector on drawn pairs in memory, a step at a time.

    Args:
        folder: Where the pairs are written, if they are not there yet.
        imgsz: Side of the canvas, px.
        batch: Pairs of a step.
        settings: Settings of `train` beside those.

    Attributes:
        yardstick: The convolution in the precision of the training.
        gflop: Operations of one step, in 10^9.
        seconds: Processor seconds of the last step, part by part.
    """

    def __init__(self, folder: Path, *, imgsz: int, batch: int, **settings: Any) -> None:
        if not folder.exists():
            write_demo(folder, num_pairs=NUM_PAIRS, seed=0)
        config = _config(folder, imgsz=imgsz, batch=batch, settings=settings)
        data = build.open_data(config)
        machine = choose_machine(config)
        machine.apply()
        self._session = assemble(config, data, machine)
        self._session.runner.enter(WHOLE_RUN)
        self._batches = _endless(BatchSource(config, data, machine))
        self.seconds: dict[str, float] = {}
        self._updates = 0
        self._set_clocks(self._session)
        self.yardstick = ReferenceConvolution(machine.dtype)
        self._warm_up()
        with FlopCounterMode(display=False) as counter:
            self.step()
        self.gflop = counter.get_total_flops() / 1e9

    def step(self) -> dict[str, float]:
        """Run one step; return the processor seconds of PARTS."""
        self.seconds = dict.fromkeys(("forward", "loss", "gradients", "optimizer"), 0.0)
        started = time.process_time()
        batch = next(self._batches)
        fetched = time.process_time()
        _, self._updates = self._session.runner.step([batch], updates=self._updates)
        ended = time.process_time()
        seconds = self.seconds
        inner = seconds["forward"] + seconds["loss"]
        return {
            "data": fetched - started,
            "forward": seconds["forward"],
            "loss": seconds["loss"],
            "backward": seconds["gradients"] - inner,
            "optimizer": ended - fetched - seconds["gradients"],
        }

    def _set_clocks(self, session: Session) -> None:
        runner = session.runner
        for owner, method, part in (
            (runner.model, "forward", "forward"),
            (runner, "_gradients", "gradients"),
        ):
            setattr(owner, method, self._clocked(getattr(owner, method), part))
        runner.loss = self._clocked(runner.loss, "loss")

    def _clocked(self, work: Callable[..., Any], part: str) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            started = time.process_time()
            result = work(*args, **options)
            self.seconds[part] = self.seconds.get(part, 0.0) + time.process_time() - started
            return result

        return run

    def _warm_up(self) -> None:
        """Fill the cache of decoded pairs, and let the allocator and the kernels settle."""
        passes = -(-NUM_PAIRS // self._session.config.train.batch)  # type: ignore[operator]
        for _ in range(passes):
            next(self._batches)
        for _ in range(WARM_STEPS):
            self.step()
            self.yardstick.cpu_seconds()


def _config(folder: Path, *, imgsz: int, batch: int, settings: dict[str, Any]) -> Config:
    return Config.model_validate(
        {
            "data": str(folder / "data.yaml"),
            "train": {
                "epochs": 1000,
                "batch": batch,
                "imgsz": imgsz,
                "device": "cpu",
                "threads": 1,
                "cache": "ram",
                **settings,
            },
        }
    )


def _endless(source: BatchSource) -> Generator[Batch, None, None]:
    epoch = 0
    while True:
        yield from source.train(epoch, 0)
        epoch += 1


def precision_of(dtype: torch.dtype) -> str:
    """Return how a type is called for short."""
    return {torch.bfloat16: "bf16", torch.float32: "fp32"}[dtype]
