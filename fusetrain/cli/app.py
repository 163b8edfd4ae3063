"""The table of all commands and the one place where errors become panels and exit codes.

A command's module is imported when the command is called, so that `--help`, completion and usage
errors stay fast. What a command does is written in its own module, never here.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from fusetrain import __version__
from fusetrain.cli.usage import refuse_empty_words, usage_error
from fusetrain.errors import (
    AbortedError,
    ConfigError,
    FusetrainError,
    ResourceError,
    UsageError,
    did_you_mean,
)
from fusetrain.launched import Place, end_with_launcher, place

COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("fusetrain.cli.data:demo", "Write a small synthetic RGB-IR data set."),
    "check-data": ("fusetrain.cli.data:check_data", "Validate the pairs of a data set."),
    "prepare": ("fusetrain.cli.prepare:prepare", "Make a new data set from an old one."),
    "train": ("fusetrain.cli.training:train", "Train a detector."),
    "resume": ("fusetrain.cli.training:resume", "Continue a run where it stopped."),
    "tune": ("fusetrain.cli.tuning:tune", "Search for better settings, trial by trial."),
    "plot-lr": ("fusetrain.cli.reports:plot_lr", "Draw a schedule, planned or as it was."),
    "diagnose": (
        "fusetrain.cli.diagnosing:diagnose",
        "Say why a run does not learn or is slow.",
    ),
    "val": ("fusetrain.cli.inference:val", "Measure a trained detector."),
    "predict": ("fusetrain.cli.inference:predict", "Detect on pairs and draw what was found."),
    "export": ("fusetrain.cli.exporting:export", "Write a detector as an ONNX file."),
    "report": ("fusetrain.cli.comparing:report", "Write one HTML page about one run or more."),
    "compare": ("fusetrain.cli.comparing:compare", "Set runs side by side."),
    "models": ("fusetrain.cli.catalogue:models", "List all detectors with what they cost."),
    "config": (
        "fusetrain.cli.settings:config",
        "Show settings, their schema, or import another's.",
    ),
}
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_RIGHTS = (errno.EACCES, errno.EPERM, errno.EROFS)


class CommandTable(TyperGroup):
    """The commands of `COMMANDS`, imported one by one when they are needed."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import one command; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        function = getattr(import_module(module), attribute)
        if isinstance(function, typer.Typer):
            return get_command(function)
        single = typer.Typer(rich_markup_mode=None, add_completion=False)
        single.command(cmd_name)(function)
        return get_command(single)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the arguments name, or fail with the nearest one."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            hint = did_you_mean(name, COMMANDS)
            ctx.fail(f"no such command {name!r}" + (f"; {hint}" if hint else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the table into the help, without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


app = typer.Typer(name="fusetrain", cls=CommandTable, rich_markup_mode=None)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fusetrain {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    show_traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where in the code an error came up.")
    ] = False,
) -> None:
    """Train object detectors on aligned RGB-infrared pairs.

    Example: fusetrain demo demo && fusetrain train --config demo/train.yaml
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(UsageError.exit_code)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    from fusetrain.cli.streams import survive_closed_pipes, warn_in_plain_words

    survive_closed_pipes()
    warn_in_plain_words()
    end_with_launcher()
    # Looking for plugins of pydantic takes longer than reading a config, and none is wanted.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; errors are printed as one panel on stderr.

    Args:
        arguments: The command line without the program; ``--traceback`` may stand anywhere in it.
    """
    words, show_traceback = _without_traceback_flag(arguments)
    command = get_command(app)
    try:
        refuse_empty_words(words)
        code = command.main(
            words, prog_name="fusetrain", standalone_mode=False, obj=tuple(arguments)
        )
        sys.stdout.flush()
    except (typer.Abort, KeyboardInterrupt):
        return AbortedError.exit_code
    except Exception as error:
        return _report(error, words, show_traceback=show_traceback)
    return code if isinstance(code, int) else 0


def _without_traceback_flag(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Take ``--traceback`` out of the arguments before a ``--``."""
    words = list(arguments)
    end = words.index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word != "--traceback"]
    return kept + words[end:], len(kept) < end


def _as_told(error: Exception, words: Sequence[str]) -> FusetrainError:
    """Return what the machine, the command line or a bug raised as one of our errors."""
    if isinstance(error, FusetrainError):
        return error
    if isinstance(error, typer.TyperException):
        return usage_error(error, words)
    if _is_out_of_memory(error):
        return ResourceError(
            "the memory does not suffice",
            remedy="a smaller model.size, model.width, train.imgsz or train.batch",
        )
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return ResourceError(f"the disk is full: {error}")
    if isinstance(error, OSError) and error.errno in NO_RIGHTS:
        what = error.filename or "a file that is needed"
        return ResourceError(
            f"no right to use {what}: {error.strerror}",
            remedy="give this user the right, or name another place",
        )
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return FusetrainError(
        f"this is a bug in fusetrain: {text}",
        remedy="the same command with --traceback shows where; please report it",
    )


def _is_out_of_memory(error: Exception) -> bool:
    """Return whether memory ran out; what PyTorch says of it is asked only once it is there."""
    if "torch" not in sys.modules:
        return isinstance(error, MemoryError)
    from fusetrain.engine.memory import is_out_of_memory

    return is_out_of_memory(error)


def _report(cause: Exception, words: Sequence[str], *, show_traceback: bool) -> int:
    """Print the panel of an error, with its traceback where one is wanted; return the code.

    Of several ranks that fail together one is heard.
    """
    from fusetrain.cli.console import print_error

    error, here = _as_told(cause, words), _place()
    if here.world_size > 1:
        from fusetrain.distributed import lost_ranks, told_elsewhere

        code = told_elsewhere(cause, exit_code=error.exit_code)
        if code is not None:
            return code
        error = lost_ranks(cause) or error
    if show_traceback and not isinstance(cause, typer.TyperException):
        traceback.print_exception(cause)
    print_error(error, speaker="" if here.is_main else f"rank {here.rank} of {here.world_size}")
    return error.exit_code


def _place() -> Place:
    """Return the place of this process among the ranks; alone, where none can be found out."""
    try:
        return place()
    except ConfigError:
        return Place()
