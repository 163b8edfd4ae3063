"""Run training steps and note what each part of them costs, on a processor or on a GPU.

The steps are those of `StepRunner`; marks are set around its parts from outside, and read when the
step is over, so that nothing in it waits for a GPU. Parts that call each other are told apart by
taking the inner from the outer one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from measuring.clocks import Clock, Mark, clock_of, wait_for
from measuring.reference_convolution import PAIRS, ReferenceConvolution
from torch import Tensor
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


@dataclass
class Marks:
    """Where the parts of one step begin and end on a clock.

    Attributes:
        started: Before the batch was asked for.
        fetched: When it was there.
        ended: When the step was made.
        spans: Part to the begin and end of each time that it ran.
    """

    started: Mark
    fetched: Mark = None
    ended: Mark = None
    spans: dict[str, list[tuple[Mark, Mark]]] = field(default_factory=dict)

    def seconds(self, clock: Clock) -> dict[str, float]:
        """Return the seconds of PARTS; on a GPU `data` is the time that it has nothing to do."""
        own = {
            part: sum(clock.seconds(*span) for span in self.spans.get(part, ()))
            for part in ("forward", "loss", "gradients")
        }
        step = clock.seconds(self.fetched, self.ended)
        return {
            "data": clock.seconds(self.started, self.fetched),
            "forward": own["forward"],
            "loss": own["loss"],
            "backward": own["gradients"] - own["forward"] - own["loss"],
            "optimizer": step - own["gradients"],
        }


@dataclass(frozen=True)
class WholeSteps:
    """What whole steps take by the clock, with their data.

    Attributes:
        seconds: Of a step.
        waited: Share of it, in [0, 1], that the host waits for its batch.
    """

    seconds: float
    waited: float


class SplitSteps:
    """One training of the nano detector on drawn pairs in memory, a step at a time.

    Args:
        folder: Where the pairs are written, if they are not there yet.
        imgsz: Side of the canvas, px.
        batch: Pairs of a step.
        num_pairs: Pairs that are written, a fifth of them for validation.
        reference_pairs: Batch of the yardstick.
        settings: Settings of `train` beside those.

    Attributes:
        machine: Where and how the steps run.
        yardstick: The convolution in the precision of the training.
        gflop: Operations of one step, in 10^9.
        clock: Tells the time of the parts.
    """

    def __init__(
        self,
        folder: Path,
        *,
        imgsz: int,
        batch: int,
        num_pairs: int = NUM_PAIRS,
        reference_pairs: int = PAIRS,
        **settings: Any,
    ) -> None:
        if not folder.exists():
            write_demo(folder, num_pairs=num_pairs, seed=0)
        config = _config(folder, imgsz=imgsz, batch=batch, settings=settings)
        data = build.open_data(config)
        self.machine = choose_machine(config)
        self.machine.apply()
        self.clock = clock_of(self.machine.device)
        self._session = assemble(config, data, self.machine)
        self._session.runner.enter(WHOLE_RUN)
        self._batches = _endless(BatchSource(config, data, self.machine), batch)
        assert len(data.train) >= batch
        self._passes = -(-len(data.train) // batch)
        self._marks = Marks(None)
        self._updates = 0
        self._set_clocks(self._session)
        self.yardstick = ReferenceConvolution(
            self.machine.dtype, self.machine.device, reference_pairs
        )
        self._warm_up()
        self.gflop = self._count() / 1e9

    def step(self) -> dict[str, float]:
        """Run one step; return the seconds of PARTS, and wait for the device."""
        return self.marked().seconds(self.clock)

    def marked(self) -> Marks:
        """Run one step and wait for nothing; return its marks."""
        marks = self._marks = Marks(self.clock.mark())
        batch = next(self._batches)
        marks.fetched = self.clock.mark()
        self._made(batch)
        marks.ended = self.clock.mark()
        return marks

    def whole(self, count: int) -> WholeSteps:
        """Run steps one behind the other, as a training does; return what one takes."""
        wait_for(self.machine.device)
        begun = asked = time.perf_counter()
        waited = 0.0
        for _ in range(count):
            asked = time.perf_counter()
            batch = next(self._batches)
            waited += time.perf_counter() - asked
            self._made(batch)
        wait_for(self.machine.device)
        seconds = time.perf_counter() - begun
        return WholeSteps(seconds / count, waited / seconds)

    @property
    def fits(self) -> bool:
        """Return whether memory sufficed for all of a batch at once."""
        return self._session.runner.micro_batch == 0

    @property
    def parameters(self) -> list[Tensor]:
        """Return what is trained."""
        return [each for each in self._session.detector.parameters() if each.requires_grad]

    def close(self) -> None:
        """Let the loader processes go."""
        self._batches.close()

    def _made(self, batch: Batch) -> None:
        _, self._updates = self._session.runner.step([batch], updates=self._updates)

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
            started = self.clock.mark()
            result = work(*args, **options)
            self._marks.spans.setdefault(part, []).append((started, self.clock.mark()))
            return result

        return run

    def _warm_up(self) -> None:
        """Fill the cache of decoded pairs, and let the allocator and the kernels settle."""
        for _ in range(self._passes):
            next(self._batches)
        for _ in range(WARM_STEPS):
            self.step()
            self.yardstick.seconds()

    def _count(self) -> int:
        """Return the operations of one step; a compiled detector runs uncompiled for it."""
        with ExitStack() as stack:
            if self._session.config.train.compile:
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            counter = stack.enter_context(FlopCounterMode(display=False))
            self.step()
        return int(counter.get_total_flops())


def _config(folder: Path, *, imgsz: int, batch: int, settings: dict[str, Any]) -> Config:
    train = {"epochs": 1000, "device": "cpu", "threads": 1, "cache": "ram", **settings}
    return Config.model_validate(
        {
            "data": str(folder / "data.yaml"),
            "train": {**train, "batch": batch, "imgsz": imgsz},
        }
    )


def _endless(source: BatchSource, size: int) -> Generator[Batch, None, None]:
    """Yield full batches of one epoch after another."""
    epoch = 0
    while True:
        yield from (batch for batch in source.train(epoch, 0) if len(batch) == size)
        epoch += 1


def precision_of(dtype: torch.dtype) -> str:
    """Return how a type is called for short."""
    return {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32"}[dtype]
