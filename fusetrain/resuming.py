"""Resume: continues a run where it was saved, and says what may change on the way.

`training.py` runs what is restored here. A run folder may have been moved: it is read and written
where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from fusetrain import build, distributed
from fusetrain.config.load import load_config
from fusetrain.config.schema import Config
from fusetrain.data.image import ThermalWindow
from fusetrain.engine.checkpoint import TrainState, read_newest
from fusetrain.engine.keeper import restore
from fusetrain.engine.machine import Machine
from fusetrain.errors import ConfigError, DataError, Problem
from fusetrain.results.run_dir import RunDir
from fusetrain.schedule.plan import replanned
from fusetrain.session import assemble, choose_machine, fingerprint
from fusetrain.training import RunReporter, run_session

# What `resume --set` may change. A longer or shorter run is planned anew from where it stands.
RESUMABLE = (
    "train.epochs",
    "train.patience",
    "train.val_every",
    "train.save_every",
    "train.workers",
    "train.cache",
    "train.device",
    "train.threads",
    "run.trackers",
)


def resume(
    path: Path,
    *,
    sets: Sequence[str] = (),
    accept_data_change: bool = False,
    reporter: RunReporter,
) -> RunDir:
    """Continue a run exactly where it was saved.

    Args:
        path: Run folder, or its ``weights/last.pt``.
        sets: ``key=value`` for keys of `RESUMABLE`.
        accept_data_change: Go on although the data set is not the one of the start.
        reporter: Is told how it goes.

    Raises:
        RunError: There is no run, it is locked, or no checkpoint of it is sound.
        ConfigError: A key that must stay was changed.
        DataError: The data set changed.
    """
    run = RunDir.open(path)
    old = load_config(run.config, checks=[build.config_checks]).config
    new = load_config(run.config, sets, checks=[build.config_checks]).config
    _refuse_changes(old, new)
    content, file, passed_over = read_newest(run.weights)
    if passed_over:
        reporter.on_note(f"resuming from {file.name}: {passed_over}")
    state = TrainState.from_json(content["state"])
    config = _extended(new, old, slot=state.slot)
    machine = choose_machine(config)
    for note in _inexact(content["context"], machine):
        reporter.on_note(note)
    machine.apply()
    window = ThermalWindow(**content["context"]["weights"]["thermal"])
    data = build.open_data(config, window=window)
    if content["context"]["data"] != fingerprint(data) and not accept_data_change:
        raise DataError(
            "the data set is not the one that the run was started with",
            where=str(data.spec.path),
            remedy="`fusetrain resume --accept-data-change` goes on with what is there now",
        )
    with distributed.process_group(machine.device):
        session = assemble(config, data, machine)
        restore(content, session.detector, session.runner)
        if config.train.epochs > old.train.epochs:
            state.stopped_early = False
        if state.stopped_early or state.epoch >= config.train.epochs:
            reporter.on_note(
                f"nothing is left to train: the run is finished after {state.epoch} epochs; "
                "--set train.epochs=N extends it"
            )
        return run_session(session, run, state, reporter=reporter)


def _inexact(context: dict[str, Any], machine: Machine) -> list[str]:
    """Return why the rest of a run will not be bit-equal to that of a run never stopped."""
    now = {
        "torch": str(torch.__version__),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": machine.threads,
        "device": machine.device.type,
        "world_size": distributed.launched_world_size(),
    }
    changed = [
        f"{key} {context[key]} -> {value}" for key, value in now.items() if context[key] != value
    ]
    if not machine.deterministic:
        changed.append("train.deterministic is off")
    return [f"resumable, but not bit-exact: {', '.join(changed)}"] if changed else []


def _refuse_changes(old: Config, new: Config) -> None:
    """Raise if a setting changed that a resumed run must keep."""
    before, after = old.model_dump(), new.model_dump()
    problems = []
    for group, values in before.items():
        if not isinstance(values, dict):
            values, after[group] = {"": values}, {"": after[group]}
        for key, value in values.items():
            name = f"{group}.{key}".rstrip(".")
            if after[group][key] != value and name not in RESUMABLE:
                problems.append(Problem(f"{name}: {value!r} -> {after[group][key]!r}"))
    if problems:
        raise ConfigError(
            "a resumed run must keep these settings",
            problems=problems,
            expected=f"changes of {', '.join(RESUMABLE)} only",
            remedy="`fusetrain train` starts a new run with other settings",
        )


def _extended(new: Config, old: Config, *, slot: int) -> Config:
    """Return the config with the schedule planned anew where the number of epochs changed."""
    if new.train.epochs == old.train.epochs:
        return new
    plans = replanned(
        old.schedule.plans,
        from_step=slot,
        old_epochs=old.train.epochs,
        new_epochs=new.train.epochs,
    )
    schedule = new.schedule.model_copy(update={"plans": plans})
    return new.model_copy(update={"schedule": schedule})
