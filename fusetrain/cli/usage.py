"""What is wrong with a command line itself, told with the words that were probably meant.

Typer finds most of it; its exceptions become errors of ours here. Values are checked by the
commands; here stands what no single value shows.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import typer

from fusetrain.errors import FusetrainError, UsageError

STRAY = "Got unexpected extra argument"


def refuse_empty_words(words: Sequence[str]) -> None:
    """Refuse a word without a letter: a path of it would be the working folder.

    Raises:
        UsageError: There is one.
    """
    if "" in words:
        place = words.index("")
        before = f" after {words[place - 1]}" if place else ""
        raise UsageError(
            f"the argument{before} is empty",
            expected="a value; a variable of the shell in its place may not be set",
        )


def refuse_two_purposes(*, dry_run: bool, lr_find: bool, with_baselines: bool) -> None:
    """Refuse flags of which one would be passed over.

    Raises:
        UsageError: A range test is to be something else as well.
    """
    other = "--dry-run" if dry_run else "--with-baselines" if with_baselines else ""
    if lr_find and other:
        raise UsageError(
            f"--lr-find stops before {other} would begin",
            expected=f"--lr-find, or {other}",
            remedy="the range test first, then the other with --set optim.lr0=…",
        )


def usage_error(error: typer.TyperException, words: Sequence[str]) -> FusetrainError:
    """Return what Typer found wrong with the command line as one of our errors.

    Args:
        error: Typer's.
        words: The command line without the program.
    """
    context = getattr(error, "ctx", None)
    command = context.command_path if context else " ".join(("fusetrain", *words[:1]))
    message = error.format_message()
    meant = _meant(message, context)
    remedy = f"{command} {meant}" if meant.startswith("--config") else f"{command} --help"
    return UsageError(message, expected=meant, remedy=f"`{remedy}`")


def _meant(message: str, context: Any) -> str:
    """Return the options that words without one were meant for; empty where none is known."""
    if context is None or not message.startswith(STRAY):
        return ""
    words = message.partition("(s) (")[2].removesuffix(")").split()
    options = {name for parameter in context.command.params for name in parameter.opts}
    if len(words) == 1 and words[0].endswith((".yaml", ".yml")) and "--config" in options:
        return f"--config {shlex.quote(words[0])}"
    if all("=" in word for word in words) and "--set" in options:
        return " ".join(f"--set {shlex.quote(word)}" for word in words)
    return ""
