"""Resume: continues a run where it was saved, and says what may change on the way.

`training.py` runs what is restored here. A run folder may have been moved: it is read and written
where it is. What a run was trained with is told by its checkpoint; its config.yaml is only a wish,
which somebody may have edited.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from fusetrain import build, distributed
from fusetrain.build import TrainingData
from fusetrain.config.load import LoadedConfig
from fusetrain.config.schema import Config, PlanChange
from fusetrain.data.image import ThermalWindow
from fusetrain.engine.checkpoint import TrainState, read_newest
from fusetrain.engine.keeper import restore
from fusetrain.engine.machine import Machine
from fusetrain.errors import ConfigError, DataError, Problem, RunError
from fusetrain.results.run_dir import RunDir
from fusetrain.rules import require_data
from fusetrain.schedule.following import rescaled
from fusetrain.schedule.planning import replanned
from fusetrain.session import assemble, choose_machine, fingerprint
from fusetrain.training import RunReporter, held, run_session

# What may change between a save and a resume. A longer or shorter run is planned anew from where it
# stands; a data set may have moved, and is held against its fingerprint. What `run` says does not
# matter any more: a run goes on in the folder that is given.
RESUMABLE = (
    "data",
    "train.epochs",
    "train.patience",
    "train.val_every",
    "train.save_every",
    "train.workers",
    "train.cache",
    "train.device",
    "train.threads",
)


def resume(
    run: RunDir,
    wanted: LoadedConfig,
    *,
    accept_data_change: bool = False,
    reporter: RunReporter,
) -> RunDir:
    """Continue a run exactly where it was saved.

    Args:
        run: The run folder.
        wanted: Its config.yaml, with the changes that are asked for; only keys of `RESUMABLE` may
            differ from what the run was trained with.
        accept_data_change: Go on although the data set is not the one of the start.
        reporter: Is told how it goes.

    Raises:
        RunError: The run is locked, or no checkpoint of it is sound.
        ConfigError: A key that must stay was changed.
        DataError: The data set is missing, or not the one of the start.
        StoppedError: A signal came; the run can be resumed.
    """
    machine = choose_machine(wanted.config)
    machine.apply()
    with distributed.process_group(machine.device), held(run):
        content, file, passed_over = read_newest(run.weights)
        if passed_over:
            reporter.on_note(f"resuming from {file.name}: {passed_over}")
        context, state = content["context"], TrainState.from_json(content["state"])
        trained = _config_of(context, file)
        config = _continued(_placed(wanted, machine), trained, state=state)
        for note in _inexact(context, machine):
            reporter.on_note(note)
        data = _same_data(config, context, run=run, is_change_accepted=accept_data_change)
        steps, old_steps = _steps_per_epoch(config, data), context["steps_per_epoch"]
        if steps != old_steps:
            state = replace(state, batches=0, slot=state.epoch * steps, loss_sums=[0.0] * 4)
            state.schedule = rescaled(state.schedule, steps / old_steps, slot=state.slot)
            config = _rescaled(config, steps / old_steps)
            reporter.on_note(
                f"steps an epoch: {steps} now, {old_steps} before; epoch {state.epoch + 1} of the "
                "run starts anew"
            )
        session = assemble(config, data, machine, is_fresh=False)
        restore(content, session.detector, session.runner)
        if state.stopped_early or state.epoch >= config.train.epochs:
            reporter.on_note(
                f"nothing is left to train: the run is finished after {state.epoch} epochs; "
                "--set train.epochs=N extends it"
            )
        return run_session(session, run, state, reporter=reporter)


def _config_of(context: Mapping[str, Any], file: Path) -> Config:
    """Return the settings that a checkpoint was trained with."""
    try:
        return Config.model_validate(context["config"])
    except ValidationError as error:
        raise RunError(f"{file}: its settings are of another version: {error}") from error


def _placed(wanted: LoadedConfig, machine: Machine) -> Config:
    """Return the wanted config with its choices written out and its data path from here."""
    return build.resolved(wanted.placed(), machine)


def _continued(wanted: Config, trained: Config, *, state: TrainState) -> Config:
    """Return the config to go on with; a new number of epochs is planned from the saved step on.

    An early stop does not hold for a longer run, which gets its patience anew.

    Raises:
        ConfigError: A setting that must stay was changed, or fewer epochs are asked for than done.
    """
    _refuse_changes(trained, wanted)
    epochs, plans = wanted.train.epochs, trained.schedule.plans
    begun = state.epoch + (1 if state.batches else 0)
    if epochs < begun:
        raise ConfigError(
            f"train.epochs is {epochs}, but epoch {begun} has begun",
            expected=f"at least {begun}",
        )
    if epochs != trained.train.epochs:
        plans = replanned(
            plans, from_step=state.slot, old_epochs=trained.train.epochs, new_epochs=epochs
        )
    if epochs > trained.train.epochs and state.stopped_early:
        state.stopped_early = False
        state.epochs_without_gain = 0
    return _with_plans(wanted, plans)


def _refuse_changes(trained: Config, wanted: Config) -> None:
    """Raise if a setting changed that a resumed run must keep."""
    before, after = trained.model_dump(), wanted.model_dump()
    after["schedule"]["plans"] = before["schedule"]["plans"]
    after["run"] = before["run"]
    problems = []
    for group, values in before.items():
        if not isinstance(values, dict):
            values, after[group] = {"": values}, {"": after[group]}
        for key in dict.fromkeys((*values, *after[group])):
            name = f"{group}.{key}".rstrip(".")
            old, new = values.get(key), after[group].get(key)
            if new != old and name not in RESUMABLE:
                problems.append(Problem(f"{name}: {old!r} -> {new!r}"))
    if problems:
        raise ConfigError(
            "a resumed run must keep these settings",
            problems=problems,
            expected=f"changes of {', '.join(RESUMABLE)} only",
            remedy="`fusetrain train` starts a new run with other settings",
        )


def _inexact(context: Mapping[str, Any], machine: Machine) -> list[str]:
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


def _same_data(
    config: Config, context: Mapping[str, Any], *, run: RunDir, is_change_accepted: bool
) -> TrainingData:
    """Open the data set, with the thermal window of the start.

    Raises:
        DataError: It is missing, or changed and that is not accepted.
    """
    if not require_data(config).exists():
        raise DataError(
            "the data set of the run is not there",
            where=str(config.data),
            remedy=f"fusetrain resume {shlex.quote(str(run.path))} --set data=DATA, if it moved",
        )
    data = build.open_data(config, window=ThermalWindow(**context["weights"]["thermal"]))
    if list(data.train.class_names) != context["weights"]["class_names"]:
        raise DataError(
            f"the data set has the classes {', '.join(data.train.class_names)} now",
            where=str(data.spec.path),
            expected=f"those of the start: {', '.join(context['weights']['class_names'])}",
        )
    if context["data"] != fingerprint(data) and not is_change_accepted:
        command = f"fusetrain resume {shlex.quote(str(run.path))} --accept-data-change"
        raise DataError(
            "the data set is not the one that the run was started with",
            where=str(data.spec.path),
            remedy=f"`{command}` goes on with what is there now",
        )
    return data


def _steps_per_epoch(config: Config, data: TrainingData) -> int:
    return -(-build.batches_per_epoch(config, len(data.train)) // config.train.accumulate)


def _rescaled(config: Config, factor: float) -> Config:
    """Return the config with its plans moved to steps of epochs that are ``factor`` as long."""
    plans = [
        PlanChange(from_step=round(plan.from_step * factor), epochs=plan.epochs)
        for plan in config.schedule.plans
    ]
    return _with_plans(config, plans)


def _with_plans(config: Config, plans: list[PlanChange]) -> Config:
    schedule = config.schedule.model_copy(update={"plans": plans})
    return config.model_copy(update={"schedule": schedule})
