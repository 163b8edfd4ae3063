"""Real label files, where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def samples() -> Path:
    """Folder of files of public sets, as FUSETRAIN_SAMPLES names it; else the test is skipped."""
    folder = os.environ.get("FUSETRAIN_SAMPLES")
    if not folder:
        pytest.skip("FUSETRAIN_SAMPLES does not name a folder of public label files")
    return Path(folder)
