"""The page for people who come from another trainer repeats the table of keys as it is."""

from __future__ import annotations

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_page_lists_every_key_and_its_fate() -> None:
    spec = importlib.util.spec_from_file_location(
        "list_foreign_keys", DOCS / "list_foreign_keys.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (DOCS / "moving.md").read_text(encoding="utf-8")
    assert module.renewed(page) == page, "run `python docs/list_foreign_keys.py`"
