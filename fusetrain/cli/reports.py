"""The commands that report on runs: `plot-lr` draws learning rates, planned and logged."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fusetrain.cli.console import print_json, stderr_console, stdout_console, visible
from fusetrain.errors import UsageError

if TYPE_CHECKING:
    from fusetrain.cli.lr_report import LrReport
    from fusetrain.results.lr_chart import LrChart

MAX_DRAWING_WIDTH = 120
SUFFIXES = (".png", ".svg")
CONFIG_SUFFIXES = (".yaml", ".yml")


Runs = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="RUN", help="Run folders or results.csv files; configs (.yaml) are drawn beside."
    ),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Config to plan.")
]
StepsPerEpoch = Annotated[
    int | None,
    typer.Option(
        "--steps-per-epoch",
        metavar="N",
        help="Optimizer steps of an epoch; without it the training pairs are counted.",
    ),
]
Figure = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        help="PNG or SVG to write; without it the drawing in the terminal is all there is.",
    ),
]
Table = Annotated[
    Path | None,
    typer.Option("--csv", metavar="FILE", help="Table with a row for every optimizer step."),
]
WithLoss = Annotated[
    bool,
    typer.Option(
        "--with-loss", help="Add the losses of runs to the figure; without --out into RUN/lr.png."
    ),
]
NoTerminal = Annotated[bool, typer.Option("--no-terminal", help="No drawing in the terminal.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


def plot_lr(
    runs: Runs = None,
    config: ConfigFile = None,
    steps_per_epoch: StepsPerEpoch = None,
    out: Figure = None,
    csv: Table = None,
    with_loss: WithLoss = False,
    no_terminal: NoTerminal = False,
    as_json: AsJson = False,
) -> None:
    """Draw the learning rate as it will be (config), as it was (runs), or compare the two.

    With a config and runs together, exit code 8 says that a run left the plan.

    Example: fusetrain plot-lr --config demo/train.yaml --csv lr.csv
    """
    from fusetrain.cli import lr_report
    from fusetrain.cli.lr_charts import chart_of

    others = [path for path in runs or () if _is_config(path)]
    runs = [path for path in runs or () if not _is_config(path)]
    configs = [*([] if config is None else [config]), *others]
    _check_usage(configs, runs, steps_per_epoch=steps_per_epoch, out=out, csv=csv)
    report = lr_report.make_report(config, runs, others=others, steps_per_epoch=steps_per_epoch)
    chart = chart_of(report.plans, report.runs, with_loss=with_loss)
    figure = _save_figure(chart, report, out=out, with_loss=with_loss)
    if csv:
        lr_report.write_table(report, csv)
    if as_json:
        print_json(lr_report.json_of(report, figure=figure, table=csv))
    else:
        _print_report(report, chart, with_drawing=not no_terminal)
    if with_loss and not runs:
        _say("--with-loss is ignored: there is no run")
    for path in filter(None, (figure, csv)):
        _say(f"wrote {path}")
    if error := lr_report.comparison_error(report):
        raise error


def _is_config(path: Path) -> bool:
    return path.suffix.lower() in CONFIG_SUFFIXES and not path.is_dir()


def _check_usage(
    configs: Sequence[Path],
    runs: Sequence[Path],
    *,
    steps_per_epoch: int | None,
    out: Path | None,
    csv: Path | None,
) -> None:
    if not configs and not runs:
        raise UsageError(
            "nothing to draw", expected="a run folder, or --config FILE, or both of them"
        )
    if steps_per_epoch is not None and steps_per_epoch < 1:
        raise UsageError(f"--steps-per-epoch {steps_per_epoch}", expected="a whole number from 1")
    if steps_per_epoch is not None and not configs:
        raise UsageError(
            "--steps-per-epoch is for the plan of a config, and none is given",
            expected="--config FILE; a run knows its steps",
        )
    if out is not None and out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--out {out}", expected="a file name that ends in .png or .svg")
    if csv is not None and len(configs or runs) > 1:
        raise UsageError("--csv writes one schedule", expected="a single run, or --config FILE")
    for written in filter(None, (out, csv)):
        _require_no_input(written, configs, runs)


def _require_no_input(written: Path, configs: Sequence[Path], runs: Sequence[Path]) -> None:
    """Raise where a figure or table would take the place of what is drawn, or of a run's table."""
    read = [*configs, *(path / name for path in runs for name in ("results.csv", "config.yaml"))]
    is_table = written.name == "results.csv" and (written.parent / "config.yaml").exists()
    if is_table or any(path.exists() and _is_same(written, path) for path in (*read, *runs)):
        raise UsageError(
            f"{written} would be overwritten, which is no picture or table of a schedule",
            expected="a file of another name",
        )


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _save_figure(
    chart: LrChart, report: LrReport, *, out: Path | None, with_loss: bool
) -> Path | None:
    """Write a figure where one is asked for; losses are shown by nothing else.

    Returns:
        Where it is; None without one.
    """
    if out is None and not (with_loss and report.runs):
        return None
    from fusetrain.results.lr_plot import save_lr_figure

    path = out or _default_figure(report)
    save_lr_figure(chart, path)
    return path


def _default_figure(report: LrReport) -> Path:
    if len(report.runs) > 1:
        return Path("lr.png")
    (run,) = report.runs
    return Path(f"{run.name}_lr.png") if run.folder is None else run.folder / "lr.png"


def _print_report(report: LrReport, chart: LrChart, *, with_drawing: bool) -> None:
    """Print the drawing and the main numbers on stdout, remarks on stderr."""
    from fusetrain.cli.lr_report import summary_of
    from fusetrain.results.lr_text import draw_lr_text

    console = stdout_console()
    if with_drawing:
        is_unicode = (sys.stdout.encoding or "ascii").lower().replace("-", "") == "utf8"
        width = min(console.width, MAX_DRAWING_WIDTH)
        console.print(draw_lr_text(chart, width=width, is_unicode=is_unicode), no_wrap=True)
    for planned in report.plans:
        name = "" if len(report.plans) == 1 else f"{visible(planned.name)}: "
        console.print(
            name
            + "{total_steps} steps, warmup {warmup_steps}: first {first:.4g}, "
            "peak {peak:.4g}, last {last:.4g}".format(**summary_of(planned)),
            markup=False,
        )
        for note in planned.plan.notes:
            _say(f"note: {name}{note}")
    if report.departures is not None and not any(report.departures):
        who = "the run followed its" if len(report.runs) == 1 else "all runs followed the"
        console.print(f"{who} plan")


def _say(sentence: str) -> None:
    stderr_console().print(visible(sentence), markup=False, soft_wrap=True)
