"""The command line as a whole: exit codes, panels, usage errors, the traceback switch."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import typer

from fusetrain import __version__, errors
from fusetrain.cli import app as shell
from fusetrain.cli.app import run

Capture = pytest.CaptureFixture[str]


def _process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fusetrain", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def _raise_in_a_command(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make `fusetrain demo` a command that raises."""

    def command() -> None:
        raise error

    monkeypatch.setattr(sys.modules[__name__], "planted", command, raising=False)
    monkeypatch.setattr(shell, "COMMANDS", {"demo": (f"{__name__}:planted", "Raise.")})
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])


@pytest.fixture
def typo(tmp_path: Path) -> Path:
    """Return a config with a misspelt key in line 3."""
    path = tmp_path / "frame[/red].yaml"
    path.parent.mkdir()
    path.write_text("model: {size: n}\noptim:\n  lr: 0.1\n", encoding="utf-8")
    return path


TREE = [errors.FusetrainError, *errors.FusetrainError.__subclasses__()]
CODES = {
    "FusetrainError": 1, "UsageError": 2, "ConfigError": 3, "DataError": 4, "RunError": 5,
    "ResourceError": 6, "DivergedError": 7, "ComparisonError": 8, "StoppedError": 75,
    "AbortedError": 130,
}  # fmt: skip


def _ask_for_too_much(size: int = 2**50) -> RuntimeError:
    """Return what PyTorch raises when there is no memory left."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(size, dtype=torch.uint8)
    return caught.value


@pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)
def test_error_ends_with_its_code_and_one_panel(
    error: type[errors.FusetrainError], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    _raise_in_a_command(monkeypatch, error("what went wrong", remedy="type this"))
    assert run(["demo"]) == CODES[error.__name__]
    out, err = capsys.readouterr()
    assert out == ""
    assert "what went wrong" in err
    assert "next: type this" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (ValueError("odd [/red]"), 1, "this is a bug in fusetrain: ValueError: odd [/red]"),
        (KeyError(), 1, "this is a bug in fusetrain: KeyError"),
        (OSError(errno.ENOSPC, "No space left on device"), 6, "the disk is full"),
        (PermissionError(errno.EACCES, "no", "a.jpg"), 6, "no right to use a.jpg: no"),
        (MemoryError(), 6, "the memory does not suffice"),
        (_ask_for_too_much(), 6, "the memory does not suffice"),
        (KeyboardInterrupt(), 130, ""),
        (typer.Abort(), 130, ""),
        (typer.Exit(4), 4, ""),
        (typer.BadParameter("not so"), 2, "not so"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_other_exceptions(
    raised: BaseException,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    _raise_in_a_command(monkeypatch, raised)
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["demo"]) == code
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize("words", [["--traceback", "demo"], ["demo", "--traceback"]])
def test_traceback_is_shown_on_request_anywhere(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    _raise_in_a_command(monkeypatch, ValueError("odd"))
    assert run(words) == 1
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert "this is a bug" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "did you mean 'train'?"),
        (["--bad"], "--bad"),
        (["config"], "Missing command"),
        (["config", "show"], "Missing argument 'FILE'"),
        (["config", "show", "a", "b"], "unexpected extra argument"),
        (["config", "schema", "--yaml"], "--yaml"),
        (["check-data", "\x1b[31m", "--x[/red]"], "--x[/red]"),
    ],
)
def test_usage_errors_exit_2(words: list[str], message: str, capsys: Capture) -> None:
    assert run(words) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert "--help`" in err
    assert out == ""
    assert "\x1b" not in err


def test_no_arguments_shows_the_help_and_exits_2(capsys: Capture) -> None:
    assert run([]) == 2
    assert "Commands:" in capsys.readouterr().err


def test_version(capsys: Capture) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"fusetrain {__version__}\n"


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("command", ["config show", "train --config"])
@pytest.mark.fault(41)
def test_typo_names_file_line_column_and_the_nearest_key(
    typo: Path, columns: int, command: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run([*command.split(), str(typo)]) == 3
    lines = capsys.readouterr().err.splitlines()
    text = "".join(line.strip("│ ").replace(" ", "") for line in lines)
    assert f"{typo}:3:3:unknownkey`optim.lr`;didyoumean`lr0`?" in text
    assert max(map(len, lines)) <= columns


@pytest.mark.parametrize("command", ["train", "resume"])
def test_typo_is_found_without_anything_heavy(typo: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "config.yaml").write_text(typo.read_text())
    words = ["train", "--config", str(typo)] if command == "train" else ["resume", str(tmp_path)]
    code = (
        f"import sys; from fusetrain.cli.app import run; code = run({words!r});"
        "heavy = {'torch', 'numpy', 'PIL', 'matplotlib'} & set(sys.modules);"
        "sys.exit(f'{code}: {heavy}' if heavy else code)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 3


def test_set_without_equals_exits_2(typo: Path, capsys: Capture) -> None:
    assert run(["config", "show", str(typo), "--set", "optim.lr0"]) == 2
    assert "key=value" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["config", "show"], ["train", "--config"]])
def test_missing_config_exits_3(words: list[str], tmp_path: Path, capsys: Capture) -> None:
    assert run([*words, str(tmp_path / "none.yaml")]) == 3
    assert "no such file" in capsys.readouterr().err


@pytest.mark.fault(43)
def test_python_m_runs_it_in_the_c_locale_without_a_home() -> None:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    environment["PYTHONPATH"] = str(Path(shell.__file__).parents[2])
    done = _process("config", "show", "fehlt-ä.yaml", env=environment)
    assert done.returncode == 3
    assert done.stderr.isascii()
    assert "Traceback" not in done.stderr


def test_completion_knows_the_commands_and_flags() -> None:
    environment = os.environ | {"_FUSETRAIN_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    done = _process(env=environment | {"COMP_WORDS": "fusetrain check"})
    assert done.stdout.split() == ["check-data"]
