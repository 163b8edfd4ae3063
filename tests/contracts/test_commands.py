"""Every command has help with one runnable example, and answers it without the heavy libraries."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from fusetrain.cli.app import COMMANDS, app, run

HEAVY = ("torch", "torchvision", "matplotlib")
HEAVY_FOR_OVERVIEW = (*HEAVY, "numpy", "PIL", "pydantic", "rich", "yaml")


def _paths(path: tuple[str, ...], command: Any) -> Iterator[tuple[str, ...]]:
    if not hasattr(command, "list_commands"):
        yield path
        return
    for name in command.list_commands(None):
        yield from _paths((*path, name), command.get_command(None, name))


PATHS = list(_paths((), get_command(app)))


def _find(path: tuple[str, ...]) -> Any:
    command: Any = get_command(app)
    for name in path:
        command = command.get_command(None, name)
    return command


def _example(command: Any) -> str:
    lines = [line.strip() for line in command.help.splitlines()]
    (example,) = (line for line in lines if line.startswith("Example: "))
    return str(example).removeprefix("Example: ")


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_says_what_it_does_and_exits_0(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*path, "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"Usage: fusetrain {' '.join(path)}")
    assert err == ""


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_example_is_a_command_line_that_parses(path: tuple[str, ...]) -> None:
    words = shlex.split(_example(_find(path)).split(" > ")[0].split(" && ")[0])
    assert tuple(words[: 1 + len(path)]) == ("fusetrain", *path)
    with _find(path).make_context("fusetrain", words[1 + len(path) :]):
        pass


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_every_parameter_is_explained(path: tuple[str, ...]) -> None:
    assert [param.name for param in _find(path).params if not param.help] == []


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_unknown_flag_exits_2(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path, "--no-such-flag"]) == 2
    assert "--no-such-flag" in capsys.readouterr().err


def test_overview_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    assert [name for name in COMMANDS if f"\n  {name} " not in out] == []


@pytest.mark.parametrize(
    ("paths", "heavy"), [([()], HEAVY_FOR_OVERVIEW), (PATHS, HEAVY)], ids=["overview", "commands"]
)
def test_help_imports_nothing_heavy(paths: list[tuple[str, ...]], heavy: tuple[str, ...]) -> None:
    calls = "".join(f"run({[*path, '--help']!r});" for path in paths)
    code = (
        f"import sys; from fusetrain.cli.app import run; {calls}"
        f"sys.exit(', '.join(name for name in {heavy!r} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")
