"""The table of codes, its page in the documentation, and the rules that use it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import fusetrain.diagnose
from fusetrain.diagnose.symptoms import RANK, SYMPTOMS

PAGE = Path(__file__).parents[2] / "docs" / "diagnose.md"
RULES = "".join(
    path.read_text(encoding="utf-8")
    for path in Path(fusetrain.diagnose.__file__).parent.glob("*_rules.py")
)
GROUPS = ("data", "rates", "streams", "learning", "validation", "speed")
ADVICE = ("warmup-long", "ends-at-zero", "rate-constant", "lr0-unusual")


def test_page_has_every_code_with_its_words_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (\w+) \| (.+) \| (.+) \|$", PAGE.read_text(), re.M)
    assert rows == [(code, s.group, s.meaning, s.cause) for code, s in SYMPTOMS.items()]


@pytest.mark.parametrize("code", SYMPTOMS)
def test_every_code_is_found_by_some_rule(code: str) -> None:
    assert f'"{code}"' in RULES or code in ADVICE


def test_speed_comes_last_and_data_first() -> None:
    last = max(RANK[code] for code, symptom in SYMPTOMS.items() if symptom.group == "data")
    first = min(RANK[code] for code, symptom in SYMPTOMS.items() if symptom.group == "speed")
    others = [RANK[code] for code, s in SYMPTOMS.items() if s.group not in ("data", "speed")]
    assert last < min(others)
    assert max(others) < first
    assert {symptom.group for symptom in SYMPTOMS.values()} == set(GROUPS)
