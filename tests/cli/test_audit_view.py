from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from fusetrain.checks.audit import AuditReport
from fusetrain.checks.findings import Finding, finding
from fusetrain.cli.audit_view import print_audit, print_page

LONG = "images/train/" + "recording_of_a_very_long_name/" * 4 + "frame_000123.jpg"


def shown(*findings: Finding, width: int = 80, terminal: bool = False, colour: bool = False) -> str:
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        force_terminal=terminal,
        no_color=not colour,
        color_system="standard" if colour else None,
        highlight=False,
        emoji=False,
    )
    report = AuditReport(findings, {"train": 9, "val": 2}, path=Path("set/data.yaml"))
    print_audit(report, console)
    return stream.getvalue()


FINDINGS = (
    finding("P01", "no infrared image has this name", split="train", path=LONG),
    *(
        finding("L04", f"cx is {row}.5", split="train", path=f"l/{row}.txt", line=3)
        for row in range(2, 9)
    ),
    finding(
        "P10", "three different channels", split="train", path="b.png", numbers={"chroma": 7.25}
    ),
    finding("S02", "class imbalance", level="info"),
)


def test_each_code_has_its_first_places_its_numbers_and_its_remedy() -> None:
    text = shown(*FINDINGS)
    assert f"  {LONG}: no infrared image has this name\n" in text
    assert "error L04 (7): label value outside [0, 1]\n" in text
    assert "  l/2.txt:3: cx is 2.5\n" in text
    assert "l/5.txt:3" in text
    assert "l/6.txt" not in text
    assert "… and 3 more (all with --json)" in text
    assert "  next: Write shares of the visible image in text files, px in JSON and XML.\n" in text
    assert "b.png: three different channels (chroma 7.25)" in text


def test_verdict_and_next_command_stand_last() -> None:
    lines = shown(*FINDINGS).splitlines()
    assert lines[-3:] == [
        "error: 9 pairs in train, 2 pairs in val; 8 errors, 1 warning, 1 remark",
        "train refuses this set because of P01, L04; `--allow CODE` accepts one kind",
        "next: mend these, then `fusetrain check-data set/data.yaml`",
    ]
    assert shown().splitlines() == [
        "ok: 9 pairs in train, 2 pairs in val; 0 errors, 0 warnings, 0 remarks",
        "next: fusetrain train --config FILE --data set/data.yaml",
    ]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_of_a_terminal_is_wider_than_it(width: int) -> None:
    text = shown(*FINDINGS, width=width, terminal=True)
    assert max(len(line) for line in text.splitlines()) <= width
    assert LONG in "".join(line.strip() for line in text.splitlines())


def test_levels_are_told_by_words_and_colour_is_on_top() -> None:
    plain = shown(*FINDINGS, terminal=True)
    coloured = shown(*FINDINGS, terminal=True, colour=True)
    assert "\x1b[" not in shown(*FINDINGS)
    assert "\x1b[1;31merror P01\x1b[0m" in coloured
    assert "\x1b[33mwarn P10\x1b[0m" in coloured
    for heading in ("error P01 (1)", "warn P10 (1)", "info S02 (1)"):
        assert heading in plain


@pytest.mark.parametrize(("size", "told"), [(22_400, "22 kB"), (2_640_000, "2.6 MB")])
def test_page_is_told_with_its_size(tmp_path: Path, size: int, told: str) -> None:
    stream = io.StringIO()
    page = tmp_path / "a[b].html"
    page.write_bytes(b" " * size)
    print_page(page, Console(file=stream, width=40))
    assert stream.getvalue() == f"page: {page} ({told})\n"


def test_user_strings_are_neither_markup_nor_control() -> None:
    text = shown(
        finding("P01", "[bold]no[/bold]\x1b[2J", split="train", path="a[red]/[/]b\n.jpg"),
        terminal=True,
        colour=True,
        width=200,
    )
    assert "a[red]/[/]b\\n.jpg" in text
    assert "[bold]no[/bold]\\x1b[2J" in text
    assert "\x1b[2J" not in text
