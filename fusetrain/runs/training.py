"""Train: runs a session in a folder, from its first line to its last figure.

`session.py` puts the run together. Printing is left to the reporter that is passed in and to the
command line.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from fusetrain import build, distributed
from fusetrain.build import TrainingData
from fusetrain.config.schema import Config
from fusetrain.data.quarantine import Refusal
from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.infer import StoppedWhileValidating, Validation
from fusetrain.engine.signals import StopFlag, stop_on_signals
from fusetrain.engine.stages import stage_of
from fusetrain.engine.trainer import Trainer
from fusetrain.engine.troubles import note_refusal, troubles
from fusetrain.errors import DivergedError, StoppedError
from fusetrain.failpoints import failpoint
from fusetrain.results.run_dir import RunDir
from fusetrain.runs import artifacts
from fusetrain.runs.adapting import train_phases
from fusetrain.runs.batches import BatchSource
from fusetrain.runs.records import config_text, judged, keeper_of, log, start_event
from fusetrain.runs.reporters import RunReporter
from fusetrain.runs.requeue import note_job, requeue
from fusetrain.runs.session import (
    Session,
    assemble,
    best_model,
    choose_machine,
    loss_of,
)
from fusetrain.runs.tracking import tracked


def train(
    config: Config,
    data: TrainingData,
    *,
    reporter: RunReporter,
    on_folder: Callable[[RunDir], None] = lambda run: None,
) -> RunDir:
    """Train in a new run folder.

    Args:
        config: Checked settings; ``data`` is a path that holds from the working folder.
        data: The splits, audited.
        reporter: Is told how it goes.
        on_folder: Called with the run folder before anything is in it.

    Raises:
        ResourceError: Device, memory or disk are not there.
        StoppedError: A signal came; the run can be resumed.
        DivergedError: The loss stayed not finite.
    """
    machine = choose_machine(config)
    machine.apply()
    wanted, config = config, build.resolved(config, machine)
    timeout = config.train.collective_timeout
    with (
        stop_on_signals() as stop,
        distributed.process_group(machine.device, timeout_seconds=timeout),
    ):
        session = assemble(config, data, machine)
        if any(distributed.on_any_rank(stop.signal_number > 0)):
            _requeue(stop, reporter)
            raise StoppedError(
                f"{stop.name()} came: nothing was begun", remedy="the same command again"
            )
        run = _shared_run(config)
        with held(run):
            if distributed.is_main():
                note_job(run, wanted)
            on_folder(run)
            return run_session(session, run, TrainState(), reporter=reporter, stop=stop)


def _shared_run(config: Config) -> RunDir:
    """Make the run folder on the main rank and return it on all."""
    made = None
    if distributed.is_main():
        made = RunDir.create(Path(config.run.project), config.run.name).path.absolute()
    return RunDir(distributed.gather_objects(made)[0])


@contextmanager
def held(run: RunDir) -> Iterator[None]:
    """Keep a run for this process and the ranks beside it.

    Raises:
        RunError: Another living process holds it.
    """
    with ExitStack() as stack:
        if distributed.is_main():
            stack.enter_context(run.lock())
        yield


def run_session(
    session: Session,
    run: RunDir,
    state: TrainState,
    *,
    reporter: RunReporter,
    stop: StopFlag,
) -> RunDir:
    """Train to the end in a run folder that is held."""
    config = session.config
    with ExitStack() as stack:
        if distributed.is_main():
            run.write_config(config_text(config, session.plan.groups))
            run.event("start", **start_event(session, state))
        reporter = stack.enter_context(tracked(reporter, run, config, state))
        stack.callback(reporter.on_end)
        reporter.on_start(session, run, state)
        source = BatchSource(
            config,
            session.data,
            session.machine,
            note=reporter.on_note,
            interrupted=lambda: bool(stop.signal_number),
            left_out=[Refusal.from_json(values) for values in state.quarantine],
            on_refusal=lambda refusal: note_refusal(refusal, state, partial(log, run), reporter),
        )
        state.canvas_hw = source.keep_canvas(state.canvas_hw)
        artifacts.write_start(run, source, session.data, warn=reporter.on_note)
        failpoint("training:begun")
        distributed.wait_for_main()
        try:
            _train_and_finish(session, source, run, state, reporter=reporter, stop=stop)
        except StoppedError as error:
            if distributed.is_main():
                run.event("stop", slot=state.slot)
            _requeue(stop, reporter)
            shown = shlex.quote(str(run.path))
            raise StoppedError(error.what, remedy=f"`fusetrain resume {shown}`") from None
        except DivergedError as error:
            if distributed.is_main():
                run.event("diverged", slot=state.slot, epoch=state.epoch + 1, reason=error.what)
            raise
        if distributed.is_main():
            run.event(
                "end",
                epochs=state.epoch,
                best_epoch=state.best_epoch,
                skipped=state.skipped,
                rollbacks=state.rollbacks,
                left_out=state.quarantine,
            )
    return run


def _requeue(stop: StopFlag, reporter: RunReporter) -> None:
    """Put a SLURM job that was warned of its end back into the queue."""
    (is_warned,) = distributed.on_any_rank(stop.has_received("SIGUSR1"))
    if is_warned and distributed.is_main() and (said := requeue()):
        reporter.on_note(said)
    distributed.wait_for_main()


def _train_and_finish(
    session: Session,
    source: BatchSource,
    run: RunDir,
    state: TrainState,
    *,
    reporter: RunReporter,
    stop: StopFlag,
) -> None:
    """Train what is left, then judge the best weights and draw what the run leaves.

    Raises:
        StoppedError: A signal came; `resume` goes on from there, be it only with the figures.
    """
    session, trainer = train_phases(
        session,
        source,
        run,
        state,
        reporter=reporter,
        stop=stop,
        keeper_of=partial(keeper_of, run=run, warn=reporter.on_note),
    )
    if distributed.gather_objects(not _is_drawn(run, state))[0]:
        failpoint("figures:begun")
        validation = _last_validation(trainer, session, source, run)
        artifacts.write_end(
            run,
            source,
            plan=trainer.scheduler.plan,
            history=state.history,
            validation=validation,
            warn=reporter.on_note,
        )
        if distributed.is_main():
            run.event("judged", **judged(validation.metrics, session.data.val.class_names))
            run.event("figures", slot=state.slot)
        failpoint("figures:done")
        distributed.wait_for_main()
        reporter.on_finish(session, state, validation)
        for line in troubles(state):
            reporter.on_note(line)
    if trainer.stop_requested():
        raise StoppedError(f"{trainer.stop.name()} came: training and figures are done")


def _is_drawn(run: RunDir, state: TrainState) -> bool:
    """Return whether the figures are there, and of the last step: a crash may have come before."""
    drawn = run.events("figures")
    return bool(drawn) and drawn[-1].get("slot") == state.slot and artifacts.has_end_pictures(run)


def _last_validation(
    trainer: Trainer, session: Session, source: BatchSource, run: RunDir
) -> Validation:
    """Judge the best weights of the run."""
    alone = distributed.world_size() == 1
    validation = None
    with suppress(StoppedWhileValidating):
        best_epoch = max(0, trainer.state.best_epoch - 1)
        validation = source.validator(loss_of(session.config))(
            best_model(session, run),
            stage_of(trainer.stages, best_epoch).inputs,
            lambda: alone and bool(trainer.stop.signal_number),
        )
    if validation is None or trainer.stop_requested():
        raise StoppedError(f"{trainer.stop.name()} came: training is done, the figures are not")
    return validation
