"""Row 1: killed at random instants, again and again, a training ends like one never killed."""

from __future__ import annotations

from pathlib import Path

import pytest
from kills import compare
from processes import Nursery


@pytest.mark.slow
@pytest.mark.fault(1)
def test_row01_run_killed_at_random_instants_ends_like_one_never_killed(
    nursery: Nursery, tmp_path: Path
) -> None:
    steps = compare(nursery, tmp_path, kills=5)
    assert steps == sorted(steps), "saved steps were lost"
