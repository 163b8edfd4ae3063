"""The commands `train` and `resume`, and what they print while a run goes on.

With a terminal a bar shows the running epoch; with or without one, each epoch leaves one line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fusetrain.cli.acceptance import checked_data
from fusetrain.cli.console import progress, stderr_console, stdout_console, table, visible
from fusetrain.cli.in_process import resume_here, train_here
from fusetrain.cli.ranks import (
    Devices,
    MaxRestarts,
    MeetingPoint,
    NodeRank,
    Nodes,
    as_sets,
    launch_ranks,
    ranks_in_all,
    say,
)
from fusetrain.cli.usage import refuse_two_purposes
from fusetrain.config.load import load_config
from fusetrain.config.schema import Config
from fusetrain.config.stages import run_epochs
from fusetrain.errors import UsageError
from fusetrain.launched import place
from fusetrain.launching.hosts import Hosts, is_to_launch
from fusetrain.results.run_dir import RunDir
from fusetrain.rules import (
    config_checks,
    require_data,
    require_fusion,
    require_trackers,
    require_weights,
)

if TYPE_CHECKING:
    from fusetrain.build import TrainingData

MAX_RANGE_ROWS = 16


def train(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Training config; else the defaults."),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; repeatable."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DATA", help="Data YAML or folder.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the run folder.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Build all, run one batch, print the plan, stop.")
    ] = False,
    lr_find: Annotated[
        bool, typer.Option("--lr-find", help="Suggest lr0 by a short range test, and stop.")
    ] = False,
    with_baselines: Annotated[
        bool,
        typer.Option("--with-baselines", help="Also train rgb and ir; print what fusion gains."),
    ] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="CODE", help="Accept a finding of check-data; repeatable."),
    ] = None,
    devices: Devices = None,
    max_restarts: MaxRestarts = None,
    nnodes: Nodes = None,
    rdzv: MeetingPoint = None,
    node_rank: NodeRank = None,
) -> None:
    """Train a detector on the pairs of a data set.

    Example: fusetrain train --config demo/train.yaml --set train.epochs=50
    """
    refuse_two_purposes(dry_run=dry_run, lr_find=lr_find, with_baselines=with_baselines)
    extra = (*(sets or ()), *as_sets(name, devices, max_restarts))
    settings = _settings(config, extra, data)
    require_trackers(settings)
    if with_baselines:
        require_fusion(settings)
    hosts = Hosts.named(nnodes, rdzv, node_rank)
    if dry_run or lr_find:
        _without_training(
            settings, hosts, allow or (), lr_find=lr_find, with_baselines=with_baselines
        )
    elif is_to_launch(settings, hosts, is_asked=devices is not None):
        from fusetrain import build

        build.open_spec(settings)
        launch_ranks(context, settings, hosts)
    else:
        train_here(settings, allow or (), with_baselines=with_baselines)


def resume(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder or its last.pt.")],
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change what may change; repeatable."),
    ] = None,
    accept_data_change: Annotated[
        bool, typer.Option("--accept-data-change", help="Go on although the data set changed.")
    ] = False,
    accept_change: Annotated[
        bool,
        typer.Option("--accept-change", help="Go on with settings that make it another training."),
    ] = False,
    devices: Devices = None,
    max_restarts: MaxRestarts = None,
    nnodes: Nodes = None,
    rdzv: MeetingPoint = None,
    node_rank: NodeRank = None,
) -> None:
    """Continue a run exactly where it stopped, or extend a finished one.

    Example: fusetrain resume runs/fuse/exp --set train.epochs=200
    """
    folder = RunDir.open(run)
    extra = (*(sets or ()), *as_sets(None, devices, max_restarts))
    wanted = load_config(folder.config, extra, checks=[config_checks])
    require_trackers(wanted.config)
    hosts = Hosts.named(nnodes, rdzv, node_rank)
    if is_to_launch(wanted.config, hosts, is_asked=devices is not None):
        launch_ranks(context, wanted.config, hosts)
        return
    resume_here(folder, wanted, accept_data_change=accept_data_change, accept_change=accept_change)


def _settings(config: Path | None, sets: Sequence[str], data: Path | None) -> Config:
    """Return what a config says of a data set; without a config, the defaults."""
    if config is None and data is None:
        raise UsageError(
            "nothing to train on",
            expected="--config FILE; or --data DATA, which trains with the default settings",
            remedy="`fusetrain demo demo` writes a small data set and a config",
        )
    loaded = load_config(config, sets, checks=[config_checks])
    settings = loaded.anew(data)
    require_data(settings)
    if loaded.config.schedule.plans and place().world_size == 1:
        say(
            "note: the config is that of a run that was extended; its `schedule.plans` are left "
            f"out: a new training of {run_epochs(settings)} epochs"
        )
    return settings


def _without_training(
    settings: Config,
    hosts: Hosts,
    allowed: Sequence[str],
    *,
    lr_find: bool,
    with_baselines: bool,
) -> None:
    """Print the plan, for which one of several ranks suffices, or a rate to begin with."""
    if not (lr_find or place().is_main):
        return
    from fusetrain import build
    from fusetrain.runs.session import choose_machine

    require_weights(settings)
    choose_machine(settings)
    ranks = ranks_in_all(settings, hosts)
    splits = checked_data(build.open_spec(settings), settings, allowed)
    if lr_find:
        _print_suggestion(settings, splits)
        return
    from fusetrain.runs.dry_run import measure_plan

    beside = [("baselines", "rgb and ir, the same budget each")] if with_baselines else []
    _print_plan([*measure_plan(settings, splits, ranks=ranks), *beside])


def _print_plan(rows: Sequence[tuple[str, str]]) -> None:
    stdout_console().print(table(("what", "as planned"), rows))


def _print_suggestion(settings: Config, splits: TrainingData) -> None:
    """Run the range test; print some of what it saw, its picture and the rate it suggests."""
    from fusetrain.runs.lr_find import find_rate

    with progress("learning-rate range test") as advance:
        found, picture = find_rate(settings, splits, progress=advance)
    every = max(1, len(found.rates) // MAX_RANGE_ROWS)
    rows = [
        (f"{rate:.1e}", f"{loss:.3f}", "<- steepest fall" if rate == found.suggested else "")
        for place, (rate, loss) in enumerate(zip(found.rates, found.smoothed, strict=True))
        if place % every == 0 or rate == found.suggested
    ]
    stdout_console().print(table(("rate", "smoothed loss", ""), rows, right=("smoothed loss",)))
    suggestion = (
        "the loss does not fall clearly at any rate: look at data and labels first"
        if found.suggested is None
        else f"suggestion: --set optim.lr0={found.suggested:.1e}"
    )
    stdout_console().print(suggestion, markup=False)
    stderr_console().print(f"picture: {visible(picture)}", markup=False, soft_wrap=True)
