"""Train or resume in this process, which may be one rank of several, and print how it ends.

The commands stand in `training.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from fusetrain.ahead import Ahead
from fusetrain.cli.acceptance import checked_data
from fusetrain.cli.ranks import say
from fusetrain.cli.run_end import print_end
from fusetrain.config.load import LoadedConfig, load_config
from fusetrain.config.schema import Config
from fusetrain.errors import StoppedError
from fusetrain.interrupts import nothing_begun
from fusetrain.launched import place
from fusetrain.results.run_dir import RunDir
from fusetrain.rules import config_checks, require_weights

if TYPE_CHECKING:
    from fusetrain.build import TrainingData
    from fusetrain.data.spec import DataSpec
    from fusetrain.engine.machine import Machine

# What a training needs beside torch: any optimizer of torch imports its compiler, and labels are
# drawn before the first step.
SLOW_MODULES = (
    "fusetrain.runs.baselines",
    "fusetrain.cli.live",
    "torch._dynamo",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
)


def train_here(settings: Config, allowed: Sequence[str], *, with_baselines: bool) -> None:
    """Train in this process, which may be one rank of several."""
    from fusetrain import build

    spec = build.open_spec(settings)
    begin = partial(_own_run_or_data, spec, settings, allowed)
    found = None
    # what computes takes seconds to import; a device that is not there still ends the check
    with _stoppable(), Ahead(partial(_machine, settings), SLOW_MODULES) as machine:
        if place().world_size == 1:
            found = begin(meanwhile=machine.check)
    from fusetrain import distributed

    device, timeout = machine.result().device, settings.train.collective_timeout
    with distributed.process_group(device, timeout_seconds=timeout):
        if found is None:
            found = distributed.from_main(begin)
        if isinstance(found, RunDir):
            say(f"note: this job was restarted; it goes on with {found.path}")
            resume_here(found, load_config(found.config, checks=[config_checks]))
        else:
            _train_anew(settings, found, with_baselines=with_baselines)


def resume_here(
    folder: RunDir,
    wanted: LoadedConfig,
    *,
    accept_data_change: bool = False,
    accept_change: bool = False,
) -> None:
    """Resume in this process, which may be one rank of several."""
    from fusetrain import build, distributed
    from fusetrain.cli.live import ConsoleReporter
    from fusetrain.runs.baselines import fused_run_of
    from fusetrain.runs.resuming import resume as resume_run
    from fusetrain.runs.session import choose_machine

    device, timeout = choose_machine(wanted.config).device, wanted.config.train.collective_timeout
    reporter = ConsoleReporter()
    with distributed.process_group(device, timeout_seconds=timeout):
        resume_run(
            folder,
            wanted,
            accept_data_change=accept_data_change,
            accept_change=accept_change,
            reporter=reporter,
        )
        fused = fused_run_of(folder)
        if fused is not None:
            config = load_config(fused.config, checks=[config_checks]).placed()
            _compare_with_baselines(fused, config, build.open_data(config), done=folder)
        print_end(folder.path, reporter.example)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let a signal end the command; a SLURM job that is warned of its end is put back first.

    One of several ranks is left to who launched it.

    Raises:
        StoppedError: One came.
    """
    if place().world_size > 1:
        yield
        return
    came: list[str] = []
    try:
        with nothing_begun() as came:
            yield
    except StoppedError:
        if "SIGUSR1" in came:
            from fusetrain.runs.requeue import requeue

            if said := requeue():
                say(said)
        raise


def _machine(settings: Config) -> Machine:
    """Return how the machine is used, as soon as torch is imported."""
    from fusetrain.runs.session import choose_machine

    return choose_machine(settings)


def _own_run_or_data(
    spec: DataSpec,
    settings: Config,
    allowed: Sequence[str],
    *,
    meanwhile: Callable[[], None] = lambda: None,
) -> RunDir | TrainingData:
    """Return the run that this job was training before, or else the splits, checked."""
    from fusetrain.runs.requeue import own_run

    before = own_run(settings)
    if before is not None:
        return before
    require_weights(settings)
    return checked_data(spec, settings, allowed, meanwhile=meanwhile)


def _train_anew(settings: Config, splits: TrainingData, *, with_baselines: bool) -> None:
    """Train in a new run folder; then, if asked, both single detectors, and print the gain."""
    from fusetrain.cli.live import ConsoleReporter
    from fusetrain.runs.baselines import mark
    from fusetrain.runs.training import train as train_in_new_folder

    reporter = ConsoleReporter()
    marks = mark if with_baselines else (lambda run: None)
    run = train_in_new_folder(settings, splits, reporter=reporter, on_folder=marks)
    if with_baselines:
        _compare_with_baselines(run, settings, splits, done=run)
    print_end(run.path, reporter.example)


def _compare_with_baselines(
    fused: RunDir, settings: Config, splits: TrainingData, *, done: RunDir
) -> None:
    """Train what is left of the baselines of a run, and print what fusion gains."""
    from fusetrain.cli.live import ConsoleReporter
    from fusetrain.runs.baselines import train_baselines

    gain = train_baselines(fused, settings, splits, reporter=ConsoleReporter, done=done)
    say(str(gain))
