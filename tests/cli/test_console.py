"""What is printed: safe for any file name, plain without a terminal, JSON that parses."""

from __future__ import annotations

import json
import math
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from fusetrain.cli import console
from fusetrain.errors import DataError, Problem

HOSTILE = "a/frame[/red].jpg \x1b]0;owned\x07 [bold]b :smile: \u202egpj.exe\n\udce9"


@given(st.text(st.characters(), max_size=30))
@pytest.mark.fault(40)
def test_safe_text_prints_as_its_visible_form(text: str) -> None:
    markup = f"[b]{console.safe(text)}[/b]"
    assert Text.from_markup(markup, emoji=False).plain == console.visible(text)
    assert {unicodedata.category(char) for char in console.visible(text)} & {"Cc", "Cs"} == set()


def test_visible_writes_control_characters_out() -> None:
    shown = console.visible(HOSTILE)
    assert shown == (r"a/frame[/red].jpg \x1b]0;owned\x07 [bold]b :smile: \u202egpj.exe\n\udce9")


def test_visible_keeps_what_is_text() -> None:
    assert console.visible("Bäume 猫 🚗 👩‍🚒") == "Bäume 猫 🚗 👩‍🚒"


@pytest.mark.parametrize("columns", ["20", "40", "80"])
def test_panel_shows_everything_at_any_width(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    error = DataError(
        "2 faults",
        where=HOSTILE,
        problems=[Problem("bad [/x]", "f[/red].jpg:3", "did you mean [b]?"), Problem("worse")],
        expected="pairs",
        remedy="`fusetrain check-data [x]`",
    )
    console.print_error(error)
    out, err = capsys.readouterr()
    assert out == ""
    assert "\x1b" not in err
    assert max(map(len, err.splitlines())) <= int(columns)
    text = "".join(line.strip("│ ").replace(" ", "") for line in err.splitlines()[1:-1])
    parts = ("2faults", r"\x1b]0;owned\x07", "1.f[/red].jpg:3:bad[/x];didyoumean[b]?", "2.worse")
    for part in (*parts, "expected:pairs", "next:`fusetraincheck-data[x]`"):
        assert part in text


def test_one_problem_has_no_number_and_many_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_error(DataError("x", problems=[Problem("alone")]))
    assert "1." not in capsys.readouterr().err
    console.print_error(DataError("x", problems=[Problem("many")] * 70))
    err = capsys.readouterr().err
    assert err.count("many") == 50
    assert "… and 20 more" in err


def test_table_shows_cells_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [["a[/red].jpg", 3], ["\x1b[31m", None]]
    console.stdout_console().print(console.table(["file", "count"], rows, title="T [x]"))
    out = capsys.readouterr().out
    assert "T [x]" in out
    assert "a[/red].jpg" in out
    assert r"\x1b[31m" in out


def test_json_is_one_object_with_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    value = {
        "x": math.nan,
        "n": np.int64(3),
        "f": np.float32(0.5),
        "p": Path("a\udce9"),
        1: (True,),
    }
    console.print_json(value)
    out, err = capsys.readouterr()
    parsed = json.loads(out)
    assert list(parsed)[:1] == ["schema"]
    assert parsed == {
        "schema": 1, "x": None, "n": 3, "f": 0.5, "p": "a\udce9", "1": [True],
    }  # fmt: skip
    assert err == ""


def test_no_colour_and_no_bar_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("FORCE_COLOR", "GITHUB_ACTIONS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.setenv(name, "1")
    console.stderr_console().print("[red]red[/red]")
    with console.progress("reading") as advance:
        advance(1, 2)
    assert capsys.readouterr().err == "red\n"


def _pretend_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_colour_on_a_terminal_but_not_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend_terminal(monkeypatch)
    assert _drawn(console.stderr_console()) == "\x1b[31mred\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert _drawn(console.stderr_console()) == "red"


def test_progress_is_drawn_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _pretend_terminal(monkeypatch)
    with console.progress("reading [/red]") as advance:
        advance(1, 2)
    assert "reading [/red]" in capsys.readouterr().err


def _drawn(target: Console) -> str:
    with target.capture() as captured:
        target.print("[red]red[/red]", end="")
    return captured.get()


@pytest.mark.parametrize(("columns", "tables"), [("40", 2), ("80", 1)])
def test_table_is_parted_where_its_columns_do_not_fit(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: str,
    tables: int,
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    heads = ("class", "boxes", "precision", "recall", "mAP50", "mAP50-95", "MR^-2")
    rows = [("all", 46, *["0.966"] * 5), ("person", 46, *["0.100"] * 5)]
    console.print_table(heads, rows, title="part by part", right=heads[1:])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= int(columns)
    words = out.split()
    for head in heads[1:]:
        assert words.count(head) == 1
    assert words.count("class") == words.count("person") == tables
    assert words.count("0.966") == 5
    assert out.count("part by part, continued") == tables - 1
