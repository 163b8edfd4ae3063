"""Keeps a run: gathers its state, writes it in the background, and restores it.

`checkpoint.py` knows how bytes become a file that cannot be lost; this file knows what belongs into
it. The tensors are copied before the call returns; serialising, hashing and writing are left to the
background, so that a step waits for a copy in memory at most.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import torch
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from fusetrain import distributed
from fusetrain.durable import link_durably, write_durably
from fusetrain.engine.background import Writer
from fusetrain.engine.checkpoint import (
    FORMAT,
    GOOD,
    LAST,
    PREVIOUS,
    TrainState,
    packed,
    read_newest,
    require_known,
    snapshot,
    unpack,
)
from fusetrain.engine.optim import restore_optimizer
from fusetrain.engine.save_faults import SaveFaults
from fusetrain.engine.step import StepRunner
from fusetrain.errors import Problem, ResourceError, RunError
from fusetrain.results.run_dir import RunDir

MAX_TOLD_TENSORS = 5
RETRY_SECONDS = 1.0


class RunKeeper:
    """Writes ``last.pt``, ``best.safetensors`` and ``results.csv`` of one run.

    Args:
        run: The run folder.
        detector: The detector that is trained, not wrapped.
        runner: Holds optimizer, average and scaler.
        context: JSON values stored beside the state: settings, data fingerprint, versions.
        description: What best.safetensors says of itself, JSON values.
        max_failed_saves: Saves that fail in a row before that ends the run.
        warn: Is told of a save that failed, and of a file beside it that could not be written.
    """

    def __init__(
        self,
        run: RunDir,
        detector: nn.Module,
        runner: StepRunner,
        *,
        context: Mapping[str, Any],
        description: Mapping[str, Any],
        max_failed_saves: int = 1,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.run = run
        self._warn = warn
        self._faults = SaveFaults(run.weights, most=max_failed_saves, warn=warn)
        self._owed_best: dict[str, Tensor] | None = None
        self._job: Callable[[], None] = lambda: None
        self._csv_fault = ""
        self._is_csv_fault_told = False
        self.detector = detector
        self.runner = runner
        self.context = dict(context)
        self.description = dict(description)
        self._writer = Writer()

    def save(self, state: TrainState, *, new_best: bool, good: bool = False) -> None:
        """Copy everything now and write it in the background (on the main rank).

        A write that fails is told with the next call, which tries again.

        Raises:
            ResourceError: Too many writes failed in a row, or the run folder is gone.
        """
        if not distributed.is_main():
            return
        self._settled()  # before the copy, so that there is never a third one in memory
        content = snapshot(self._content(state))
        if new_best:
            self._owed_best = self._best_tensors()
        num_groups = len(self.runner.optimizer.param_groups)
        weights = self.run.weights

        def write() -> None:
            if self._owed_best is not None:
                write_durably(weights / "best.safetensors", self._best_bytes(self._owed_best))
                self._owed_best = None
            write_durably(weights / LAST, packed(content), previous=weights / PREVIOUS)
            if good:
                link_durably(weights / LAST, weights / GOOD)
            try:
                self.run.write_csv(content["state"]["history"], num_groups)
            except ResourceError as error:
                self._csv_fault = error.what

        self._job = write
        self._writer.submit(write)

    def keep_good(self, state: TrainState) -> None:
        """Write the state at the start for rollbacks, and wait for it (on the main rank).

        Raises:
            ResourceError: It cannot be written.
        """
        if distributed.is_main():
            write_durably(self.run.weights / GOOD, packed(snapshot(self._content(state))))

    def last_good(self, slot: int) -> dict[str, Any]:
        """Return the content of the good state at a slot; the newest one where that is lost.

        Raises:
            RunError: There is no sound checkpoint at all.
        """
        for name in (GOOD, LAST, PREVIOUS):
            path = self.run.weights / name
            with suppress(OSError, RunError):
                content = unpack(path.read_bytes(), str(path))
                if content["state"]["slot"] == slot:
                    return content
        return read_newest(self.run.weights)[0]

    def wait(self) -> None:
        """Wait until everything is on the disk.

        Raises:
            ResourceError: It cannot be written, however often it is tried.
        """
        while not self._settled():
            time.sleep(RETRY_SECONDS)
            self._writer.submit(self._job)

    def dump(self, name: str, values: Mapping[str, Any]) -> None:
        """Write a JSON file for people into the run folder (on the main rank)."""
        if distributed.is_main():
            self.run.write_json(name, values)

    def log(self, kind: str, **values: Any) -> None:
        """Append a line to events.jsonl (on the main rank)."""
        if distributed.is_main():
            self.run.event(kind, **values)

    def close(self) -> None:
        """Wait, then end the writing thread; what goes wrong now is told, not raised."""
        try:
            self._writer.close()
        except (ResourceError, OSError, MemoryError) as error:
            self._warn(f"the last state was not saved: {error}")

    def _settled(self) -> bool:
        """Wait for the write under way; tell what went wrong, and return whether nothing did."""
        try:
            self._writer.wait()
        except ResourceError as error:
            self._faults.failed(error)
            return False
        except (OSError, MemoryError) as error:
            self._faults.failed(ResourceError(f"{self.run.weights} cannot be written: {error!r}"))
            return False
        self._faults.passed()
        if self._csv_fault and not self._is_csv_fault_told:
            self._is_csv_fault_told = True
            self._warn(f"results.csv is not up to date: {self._csv_fault}; training goes on")
        return True

    def _content(self, state: TrainState) -> dict[str, Any]:
        average = self.runner.average
        return {
            "format": FORMAT,
            "state": state.to_json(),
            "context": self.context,
            "model": self.detector.state_dict(),
            "average": average.model.state_dict() if average is not None else None,
            "optimizer": self.runner.optimizer.state_dict(),
            "scaler": self.runner.scaler.state_dict(),
            "rng": _random_state(),
            "pending_skip": self.runner.pending_skip,
        }

    def _best_tensors(self) -> dict[str, Tensor]:
        """Return copies of the weights that are kept for inference, as safetensors wants them."""
        average = self.runner.average
        model = average.model if average is not None else self.detector
        return {
            name: value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
            for name, value in model.state_dict().items()
        }

    def _best_bytes(self, tensors: dict[str, Tensor]) -> bytes:
        metadata = {name: json.dumps(value) for name, value in self.description.items()}
        return bytes(safetensors_bytes(tensors, metadata))


def restore(content: Mapping[str, Any], detector: nn.Module, runner: StepRunner) -> TrainState:
    """Put the content of a checkpoint into a freshly built run and return where it stood.

    Raises:
        RunError: The checkpoint is of another version, model or set of parameter groups.
    """
    require_known(content, "the checkpoint")
    state = TrainState.from_json(content["state"])
    _refuse_other_tensors(content["model"], detector.state_dict())
    average = runner.average
    if average is not None and content["average"] is not None:
        _refuse_other_tensors(content["average"], average.model.state_dict())
    try:
        detector.load_state_dict(content["model"])
        if average is not None and content["average"] is not None:
            average.model.load_state_dict(content["average"])
        restore_optimizer(content["optimizer"], runner.optimizer)
        if runner.scaler.is_enabled() and content["scaler"]:
            runner.scaler.load_state_dict(content["scaler"])
        runner.pending_skip = content.get("pending_skip")
        _restore_random_state(content["rng"])
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise RunError(f"the checkpoint does not fit this run: {error!r}") from error
    return state


def _refuse_other_tensors(saved: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Raise with what differs if the tensors of a checkpoint are not those of the run's model."""
    shapes = [
        {name: tuple(getattr(value, "shape", ())) for name, value in tensors.items()}
        for tensors in (saved, own)
    ]
    names = dict.fromkeys((*own, *saved))
    wrong = [name for name in names if shapes[0].get(name) != shapes[1].get(name)]
    if wrong:
        told = [
            Problem(f"{name}: {_shape(shapes[0], name)} saved, {_shape(shapes[1], name)} here")
            for name in wrong[:MAX_TOLD_TENSORS]
        ]
        raise RunError(
            f"the checkpoint is of another model: {len(wrong)} tensors differ (first: {wrong[0]})",
            problems=told,
        )


def _shape(shapes: Mapping[str, tuple[int, ...]], name: str) -> str:
    return str(shapes[name]) if name in shapes else "none"


def _random_state() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def _restore_random_state(saved: Mapping[str, Any]) -> None:
    torch.set_rng_state(saved["cpu"])
    if torch.cuda.is_available() and len(saved["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(saved["cuda"])
