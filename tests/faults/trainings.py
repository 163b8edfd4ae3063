"""Real trainings of a tiny detector, in this process, with harm done to them after some step."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from fusetrain import build
from fusetrain.config.schema import Config
from fusetrain.data.quarantine import Refusal
from fusetrain.engine.checkpoint import TrainState, read_newest
from fusetrain.engine.keeper import RunKeeper, restore
from fusetrain.engine.signals import StopFlag
from fusetrain.engine.troubles import note_refusal
from fusetrain.errors import StoppedError
from fusetrain.results.run_dir import RunDir
from fusetrain.runs.batches import BatchSource
from fusetrain.runs.session import Session, assemble, choose_machine, make_trainer

PAIRS = 5
TINY: dict[str, dict[str, Any]] = {
    "model": {"fusion": "ir", "width": 0.25},
    "train": {
        **{"epochs": 2, "batch": 1, "imgsz": 64, "device": "cpu", "threads": 1, "workers": 0},
        "amp": False,
        "cache": "none",  # so that what happens to a file meets the training
    },
    "schedule": {"warmup": {"epochs": 1}},
}


@dataclass
class Trained:
    """What a training left."""

    run: RunDir
    notes: list[str]
    slots_planned: int

    @property
    def content(self) -> dict[str, Any]:
        return read_newest(self.run.weights)[0]

    @property
    def state(self) -> dict[str, Any]:
        return self.content["state"]  # type: ignore[no-any-return]

    def events(self, kind: str) -> list[dict[str, Any]]:
        lines = (self.run.path / "events.jsonl").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == kind]

    def weights_digest(self) -> str:
        """The bits of weights, average and optimizer, and the losses of each epoch."""
        content = self.content
        digest = hashlib.sha256()
        _feed(digest.update, {key: content[key] for key in ("model", "average", "optimizer")})
        for row in content["state"]["history"]:
            digest.update(repr({key: row[key] for key in row if key != "time"}).encode())
        return digest.hexdigest()


def _feed(update: Callable[[bytes], None], value: Any) -> None:
    if isinstance(value, torch.Tensor):
        update(value.contiguous().numpy().tobytes())
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            update(str(key).encode())
            _feed(update, value[key])
    elif isinstance(value, list | tuple):
        for item in value:
            _feed(update, item)
    else:
        update(repr(value).encode())


class Injector:
    """Does something to a run after some step; 0 is before the first one."""

    def __init__(self, harm: Callable[[int], None]) -> None:
        self.harm = harm
        self.notes: list[str] = []

    def on_step(self, state: TrainState, batches_per_epoch: int) -> None:
        self.harm(state.slot)

    def on_epoch(self, state: TrainState, validation: object) -> None:
        assert state.history[-1]["epoch"] == state.epoch

    def on_note(self, text: str) -> None:
        self.notes.append(text)


class Training:
    """Trains a set of five pairs, one a step, under ``home``; no pictures are drawn.

    Attributes:
        root: The data set; five pairs for training, two for validation.
        stop: The signal flag of the run that goes on or was last.
        session: Its detector and all else.
        last: What it left, or leaves so far.
        keeper: Writes that.
    """

    keeper: RunKeeper
    last: Trained
    session: Session

    def __init__(self, home: Path, data_yaml: Path) -> None:
        self.home = home
        self.root = data_yaml.parent
        self.stop = StopFlag()
        self._data = data_yaml

    def __call__(
        self,
        harm: Callable[[int], None] = lambda slot: None,
        *,
        saved: Trained | None = None,
        **groups: dict[str, Any],
    ) -> Trained:
        """Train in a new run folder.

        Args:
            harm: Called with the number of steps done, 0 before the first.
            saved: A run to go on with, in its folder.
            groups: Settings by group, beside those of TINY.
        """
        values = {name: TINY.get(name, {}) | groups.get(name, {}) for name in {*TINY, *groups}}
        config = Config.model_validate({"data": str(self._data), **values})
        machine = choose_machine(config)
        machine.apply()
        config = build.resolved(config, machine)
        session = assemble(config, build.open_data(config), machine)
        state = restore(saved.content, session.detector, session.runner) if saved else TrainState()
        run = saved.run if saved else RunDir.create(self.home / "runs", "exp")
        injector = Injector(harm)
        keeper = RunKeeper(
            run,
            session.detector,
            session.runner,
            context={},
            description={},
            max_failed_saves=config.train.max_failed_saves,
            warn=injector.on_note,
        )
        trained = Trained(run, injector.notes, session.plan.total_steps)
        self.last, self.stop, self.session = trained, StopFlag(), session
        self.keeper = keeper
        if not saved:
            harm(0)
        source = BatchSource(
            config,
            session.data,
            machine,
            left_out=[Refusal.from_json(entry) for entry in state.quarantine],
            on_refusal=lambda refusal: note_refusal(refusal, state, keeper.log, injector),
        )
        trainer = make_trainer(session, source, keeper, state, reporter=injector, stop=self.stop)
        try:
            trainer.run()
        finally:
            keeper.close()
        return trained

    def break_weights(self) -> None:
        """Do to the running training what a flipped bit or a bad kernel may do."""
        with torch.no_grad():
            next(self.session.detector.parameters()).fill_(float("nan"))

    def has_saved(self) -> bool:
        """Whether the running training has a checkpoint already."""
        return (self.last.run.weights / "last.pt").exists()

    def stopped_at(
        self,
        slot: int,
        harm: Callable[[int], None] = lambda slot: None,
        **groups: dict[str, Any],
    ) -> Trained:
        """Train until a signal comes after a step."""

        def stop(done: int) -> None:
            harm(done)
            if done == slot:
                self.stop.signal_number = signal.SIGTERM

        with pytest.raises(StoppedError):
            self(stop, **groups)
        return self.last
