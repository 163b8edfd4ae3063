"""Keeps a run: gathers its state, writes it in the background, and restores it.

`checkpoint.py` knows how bytes become a file that cannot be lost; this file knows what belongs into
it. The tensors are copied before the call returns, so that training goes on while they are written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import save as safetensors_bytes
from torch import nn

from fusetrain import distributed
from fusetrain.engine.checkpoint import TrainState, Writer, pack, write_durably
from fusetrain.engine.step import StepRunner
from fusetrain.errors import RunError
from fusetrain.results.run_dir import RunDir, csv_text

FORMAT = 1
SAVED_OPTIONS = ("params", "lr", "momentum", "betas")


class RunKeeper:
    """Writes ``last.pt``, ``best.safetensors`` and ``results.csv`` of one run.

    Args:
        run: The run folder.
        detector: The detector that is trained, not wrapped.
        runner: Holds optimizer, average and scaler.
        context: JSON values stored beside the state: settings, data fingerprint, versions.
        description: What best.safetensors says of itself, JSON values.
    """

    def __init__(
        self,
        run: RunDir,
        detector: nn.Module,
        runner: StepRunner,
        *,
        context: Mapping[str, Any],
        description: Mapping[str, Any],
    ) -> None:
        self.run = run
        self.detector = detector
        self.runner = runner
        self.context = dict(context)
        self.description = dict(description)
        self._writer = Writer()

    def save(self, state: TrainState, *, new_best: bool) -> None:
        """Copy everything now and write it in the background (on the main rank)."""
        if not distributed.is_main():
            return
        last = pack(self._content(state))
        best = self._best_bytes() if new_best else None
        table = csv_text(state.history, len(self.runner.optimizer.param_groups)).encode()
        weights = self.run.weights

        def write() -> None:
            if best is not None:
                write_durably(weights / "best.safetensors", best)
            write_durably(weights / "last.pt", last, previous=weights / "last.prev.pt")
            write_durably(self.run.csv, table)

        self._writer.submit(write)

    def wait(self) -> None:
        """Wait until everything is on the disk."""
        self._writer.wait()

    def log(self, kind: str, **values: Any) -> None:
        """Append a line to events.jsonl (on the main rank)."""
        if distributed.is_main():
            self.run.event(kind, **values)

    def close(self) -> None:
        """Wait, then end the writing thread."""
        self._writer.close()

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
        }

    def _best_bytes(self) -> bytes:
        average = self.runner.average
        model = average.model if average is not None else self.detector
        tensors = {
            name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
        }
        metadata = {name: json.dumps(value) for name, value in self.description.items()}
        return bytes(safetensors_bytes(tensors, metadata))


def restore(content: Mapping[str, Any], detector: nn.Module, runner: StepRunner) -> TrainState:
    """Put the content of a checkpoint into a freshly built run and return where it stood.

    Raises:
        RunError: The checkpoint is of another version, model or set of parameter groups.
    """
    if content.get("format") != FORMAT:
        raise RunError(f"checkpoint format {content.get('format')!r} is not known here")
    _refuse_other_model(content["model"], detector.state_dict())
    detector.load_state_dict(content["model"])
    if runner.average is not None and content["average"] is not None:
        runner.average.model.load_state_dict(content["average"])
    _restore_optimizer(content["optimizer"], runner.optimizer)
    if runner.scaler.is_enabled() and content["scaler"]:
        runner.scaler.load_state_dict(content["scaler"])
    _restore_random_state(content["rng"])
    return TrainState.from_json(content["state"])


def _refuse_other_model(saved: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    wrong = [name for name in own if name not in saved]
    wrong += [name for name in saved if name not in own]
    wrong += [name for name in own if name in saved and own[name].shape != saved[name].shape]
    if wrong:
        raise RunError(
            f"the checkpoint is of another model: {len(wrong)} tensors differ (first: {wrong[0]})"
        )


def _restore_optimizer(saved: dict[str, Any], optimizer: torch.optim.Optimizer) -> None:
    """Load the state of the optimizer, but keep the options that no schedule writes as they are."""
    own = [{key: value for key, value in group.items()} for group in optimizer.param_groups]
    for mine, theirs in zip(own, saved["param_groups"], strict=False):
        if mine["names"] != theirs.get("names"):
            raise RunError(
                f"parameter group {mine['part'] or 'all'}/{mine['kind']} of the checkpoint "
                "holds other parameters"
            )
    if len(own) != len(saved["param_groups"]):
        raise RunError("the checkpoint has another number of parameter groups")
    optimizer.load_state_dict(saved)
    for group, mine in zip(optimizer.param_groups, own, strict=True):
        group.update({key: value for key, value in mine.items() if key not in SAVED_OPTIONS})


def _random_state() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def _restore_random_state(saved: Mapping[str, Any]) -> None:
    torch.set_rng_state(saved["cpu"])
    if torch.cuda.is_available() and len(saved["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(saved["cuda"])
