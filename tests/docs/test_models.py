"""docs/models.md names every kind, operator and backbone, and its table is up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from fusetrain.cli.app import run
from fusetrain.detector import BACKBONES
from fusetrain.detector.fusion import KINDS, OPERATORS

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*KINDS, *OPERATORS, *BACKBONES])
def test_page_names_everything(name: str) -> None:
    assert f"`{name}`" in TEXT.partition("## What they cost")[0]


def test_table_is_that_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "--fusion", "mid", "--size", "n", "--markdown"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| mid ")]
    assert len(rows) == len(OPERATORS.names())
    assert all(row in TEXT.splitlines() for row in rows)
