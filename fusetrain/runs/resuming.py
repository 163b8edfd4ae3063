"""Resume: continues a run where it was saved.

`training.py` runs what is restored here, `continuing.py` says with which settings and data. A run
folder may have been moved: it is read and written where it is. What a run was trained with is told
by its checkpoint; its config.yaml is only a wish, which somebody may have edited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fusetrain import build, distributed, launched
from fusetrain.config.load import LoadedConfig
from fusetrain.config.schema import Config
from fusetrain.config.stages import run_epochs
from fusetrain.engine.checkpoint import (
    TrainState,
    has_checkpoint,
    read_newest,
    require_known,
    set_aside_damaged,
)
from fusetrain.engine.keeper import restore
from fusetrain.engine.machine import Machine, surroundings
from fusetrain.engine.signals import stop_on_signals
from fusetrain.engine.weights import WeightsInfo
from fusetrain.errors import RunError
from fusetrain.results.run_dir import RunDir, csv_text
from fusetrain.runs.continuing import Accepted, going_on
from fusetrain.runs.reporters import RunReporter
from fusetrain.runs.session import Session, assemble, choose_machine
from fusetrain.runs.training import held, run_session

Note = Callable[[str], None]
# What is needed of the context of a checkpoint to go on.
CONTEXT: Mapping[str, type] = {
    "config": dict,
    "data": str,
    "steps_per_epoch": int,
    "weights": dict,
}


def resume(
    run: RunDir,
    wanted: LoadedConfig,
    *,
    accept_data_change: bool = False,
    accept_change: bool = False,
    reporter: RunReporter,
) -> RunDir:
    """Continue a run exactly where it was saved; one that saved nothing yet begins anew.

    Args:
        run: The run folder.
        wanted: Its config.yaml, with the changes that are asked for; what may change is told in
            `overrides.py`.
        accept_data_change: Go on although the data set is not the one of the start.
        accept_change: Go on with settings that make the rest another training.
        reporter: Is told how it goes.

    Raises:
        RunError: The run is locked, or no checkpoint of it is sound.
        ConfigError: A key that must stay was changed.
        DataError: The data set is missing, or not the one of the start.
        StoppedError: A signal came; the run can be resumed.
    """
    machine = choose_machine(wanted.config)
    machine.apply()
    timeout = wanted.config.train.collective_timeout
    with (
        stop_on_signals() as stop,
        distributed.process_group(machine.device, timeout_seconds=timeout),
        held(run),
    ):
        if distributed.gather_objects(_has_saved_nothing(run))[0]:
            reporter.on_note(f"{run.path} has saved nothing yet: it begins anew")
            config = _placed(wanted, machine)
            session = assemble(config, build.open_data(config), machine)
            return run_session(session, run, TrainState(), reporter=reporter, stop=stop)
        content, file = _newest(run, note=reporter.on_note)
        state = TrainState.from_json(content["state"])
        config, data = going_on(
            content,
            file,
            run,
            _placed(wanted, machine),
            state,
            accepted=Accepted(accept_data_change, accept_change),
            note=reporter.on_note,
        )
        for note in _inexact(content["context"], machine):
            reporter.on_note(note)
        trained_as = WeightsInfo.from_json(content["context"]["weights"]).detector
        session = assemble(config, data, machine, spec=trained_as)
        restore(content, session.detector, session.runner)
        _rewrite_table(run, state, session, file, note=reporter.on_note)
        if state.stopped_early or state.epoch >= run_epochs(config):
            reporter.on_note(
                f"nothing is left to train: the run is finished after {state.epoch} epochs; "
                "--set train.epochs=N extends it"
            )
        return run_session(session, run, state, reporter=reporter, stop=stop)


def _has_saved_nothing(run: RunDir) -> bool:
    """Return whether a run was ended before its first save; what it leaves tells of none."""
    return not (has_checkpoint(run.weights) or run.csv.exists())


def _newest(run: RunDir, *, note: Note) -> tuple[dict[str, Any], Path]:
    """Return the newest sound checkpoint of a run and its file; a damaged one is set aside."""
    content, file, passed_over = read_newest(run.weights)
    require_known(content, str(file))
    _require_context(content["context"], file)
    distributed.gather_objects(None)  # all have read it
    if passed_over:
        note(f"resuming from {file.name}: {passed_over}")
        if distributed.is_main():
            set_aside_damaged(run.weights)
    return content, file


def _require_context(context: Mapping[str, Any], file: Path) -> None:
    """Raise if a checkpoint does not say what it was trained with."""
    missing = [key for key, kind in CONTEXT.items() if not isinstance(context.get(key), kind)]
    if missing:
        raise RunError(f"{file}: it does not say what it was trained with: {', '.join(missing)}")


def _rewrite_table(
    run: RunDir, state: TrainState, session: Session, file: Path, *, note: Note
) -> None:
    """Write results.csv as the checkpoint has it; a crash may have come between the two.

    Rows of epochs that both have are the same, unless one of them was edited or exchanged.
    """
    if not distributed.is_main():
        return
    num_groups = len(session.runner.optimizer.param_groups)
    rows = csv_text(state.history, num_groups).splitlines()[1:]
    pairs = zip(_rows_of(run.csv), rows, strict=False)
    epoch = next((epoch for epoch, (old, new) in enumerate(pairs, 1) if old != new), None)
    if epoch is not None:
        note(
            f"results.csv says otherwise of epoch {epoch} than {file.name} and is written anew: "
            "was one of them edited, or is it of another run?"
        )
    run.write_csv(state.history, num_groups)


def _rows_of(table: Path) -> list[str]:
    """Return the lines of a table below its header; none where it cannot be read."""
    try:
        return table.read_text(encoding="utf-8-sig").splitlines()[1:]
    except (OSError, UnicodeDecodeError):
        return []


def _placed(wanted: LoadedConfig, machine: Machine) -> Config:
    """Return the wanted config with its choices written out and its data path from here."""
    return build.resolved(wanted.placed(), machine)


def _inexact(context: Mapping[str, Any], machine: Machine) -> list[str]:
    """Return why the rest of a run will not be bit-equal to that of a run never stopped."""
    now = surroundings(machine) | {"world_size": launched.place().world_size}
    changed = [
        f"{key} {context[key]} -> {value}"
        for key, value in now.items()
        if key in context and context[key] != value  # the first checkpoints name fewer of them
    ]
    if not machine.deterministic:
        changed.append("train.deterministic is off")
    return [f"resumable, but not bit-exact: {', '.join(changed)}"] if changed else []
