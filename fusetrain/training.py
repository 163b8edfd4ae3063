"""Train and resume: runs a session in a folder, and says what a resumed run may change.

`session.py` puts the run together. Printing is left to the reporter that is passed in and to the
command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import fusetrain
from fusetrain import artifacts, build, distributed
from fusetrain.batches import BatchSource
from fusetrain.build import TrainingData
from fusetrain.config.load import effective_yaml, load_config
from fusetrain.config.schema import Config
from fusetrain.data.image import ThermalWindow
from fusetrain.engine import machine as machines
from fusetrain.engine.checkpoint import TrainState, read_newest
from fusetrain.engine.infer import StoppedWhileValidating, Validation
from fusetrain.engine.keeper import RunKeeper, restore
from fusetrain.engine.machine import Machine
from fusetrain.engine.signals import StopFlag, stop_on_signals
from fusetrain.engine.trainer import Reporter
from fusetrain.errors import ConfigError, DataError, Problem, StoppedError
from fusetrain.results.run_dir import RunDir
from fusetrain.schedule.plan import GroupKey, replanned
from fusetrain.session import (
    Session,
    assemble,
    best_model,
    choose_machine,
    fingerprint,
    loss_of,
    make_trainer,
)

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


class RunReporter(Reporter):
    """Who is told how a run begins and goes; the command line prints, a notebook may not."""

    def on_start(self, session: Session, run: RunDir, state: TrainState) -> None:
        """The run is put together."""

    def on_note(self, text: str) -> None:
        """Something is other than one might expect."""

    def on_finish(self, session: Session, state: TrainState, validation: Validation) -> None:
        """Everything is done; ``validation`` judges the best weights."""

    def on_end(self) -> None:
        """The run ends here, in whichever way."""


def train(config: Config, data: TrainingData, *, reporter: RunReporter) -> RunDir:
    """Train in a new run folder.

    Args:
        config: Checked settings; ``data`` is a path that holds from the working folder.
        data: The splits, audited.
        reporter: Is told how it goes.

    Raises:
        ResourceError: Device, memory or disk are not there.
        StoppedError: A signal came; the run can be resumed.
        DivergedError: The loss stayed not finite.
    """
    machine = choose_machine(config)
    machine.apply()
    config = build.resolved(config, machine)
    with distributed.process_group(machine.device):
        session = assemble(config, data, machine)
        run = _shared_run(config)
        return _run(session, run, TrainState(), reporter=reporter)


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
        return _run(session, run, state, reporter=reporter)


def _shared_run(config: Config) -> RunDir:
    """Make the run folder on the main rank and return it on all."""
    made = None
    if distributed.is_main():
        made = RunDir.create(Path(config.run.project), config.run.name).path.absolute()
    return RunDir(distributed.gather_objects(made)[0])


def _run(session: Session, run: RunDir, state: TrainState, *, reporter: RunReporter) -> RunDir:
    """Train to the end in the run folder, holding its lock."""
    config = session.config
    with ExitStack() as stack:
        if distributed.is_main():
            stack.enter_context(run.lock())
            run.write_config(_config_text(config, session.plan.groups))
            run.event("start", **_start_event(session, state))
        keeper = RunKeeper(
            run,
            session.detector,
            session.runner,
            context=_context(session),
            description=session.info.to_json(),
        )
        stack.callback(keeper.close)
        stop = stack.enter_context(stop_on_signals())
        stack.callback(reporter.on_end)
        reporter.on_start(session, run, state)
        source = BatchSource(config, session.data, session.machine)
        artifacts.write_start(run, source, session.data, warn=reporter.on_note)
        trainer = make_trainer(session, source, keeper, state, reporter=reporter, stop=stop)
        try:
            trainer.run()
            _finish(session, source, run, state, reporter=reporter, stop=stop)
        except StoppedError as error:
            if distributed.is_main():
                run.event("stop", slot=state.slot)
            raise StoppedError(error.what, remedy=f"`fusetrain resume {run.path}`") from None
        if distributed.is_main():
            run.event("end", epochs=state.epoch, best_epoch=state.best_epoch)
    return run


def _finish(
    session: Session,
    source: BatchSource,
    run: RunDir,
    state: TrainState,
    *,
    reporter: RunReporter,
    stop: StopFlag,
) -> None:
    """Judge the best weights once more, and draw what the run leaves.

    Raises:
        StoppedError: A signal came; training is done, and `resume` draws what is missing.
    """
    alone = distributed.world_size() == 1
    try:
        validation = source.validator(loss_of(session.config))(
            best_model(session, run), lambda: alone and bool(stop.signal_number)
        )
    except StoppedWhileValidating:
        validation = None
    if stop.signal_number or validation is None:
        raise StoppedError(f"{stop.name()} came: training is done, the last figures are not")
    artifacts.write_end(
        run,
        source,
        plan=session.plan,
        history=state.history,
        validation=validation,
        warn=reporter.on_note,
    )
    reporter.on_finish(session, state, validation)


def _context(session: Session) -> dict[str, Any]:
    """Return what a resumed run is held against."""
    return {
        "fusetrain": fusetrain.__version__,
        "torch": str(torch.__version__),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": session.machine.threads,
        "device": session.machine.device.type,
        "world_size": distributed.world_size(),
        "data": fingerprint(session.data),
        "config": session.config.model_dump(mode="json"),
        "weights": session.info.to_json(),
    }


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


def _start_event(session: Session, state: TrainState) -> dict[str, Any]:
    pairs = len(session.data.train)
    return {
        "fusetrain": fusetrain.__version__,
        "torch": str(torch.__version__),
        "machine": machines.describe(session.machine),
        "detector": asdict(session.info.detector),
        "pairs": {"train": pairs, "val": len(session.data.val)},
        "batches_per_epoch": build.batches_per_epoch(session.config, pairs),
        "slot": state.slot,
        "epochs": session.config.train.epochs,
    }


def _config_text(config: Config, groups: Sequence[GroupKey]) -> str:
    """Return config.yaml: what each LR column means, then all settings."""
    kinds = {
        "decay": "weights with decay",
        "norm": "normalisation weights",
        "bias": "biases",
    }
    lines = [
        f"# lr/pg{number}: {kinds[group.kind]}{f' of {group.part}' if group.part else ''}"
        for number, group in enumerate(groups)
    ]
    return "\n".join(lines) + "\n" + effective_yaml(config)


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
