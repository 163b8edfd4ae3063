"""Row 43: a training in an odd environment."""

from __future__ import annotations

import pytest
from processes import Nursery
from short_run import Home


@pytest.mark.slow
@pytest.mark.fault(43)
def test_row43_bare_environment(nursery: Nursery, through: Home, begun: Home) -> None:
    """No terminal, locale C, a home that is not there, 20 columns, a zone of another day."""
    bare = {
        **{"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "TERM": "dumb", "COLUMNS": "20"},
        **{"HOME": "/nonexistent", "TZ": "Pacific/Kiritimati"},
    }
    ended = nursery.run("train", "--config", "train.yaml", cwd=begun.path, **bare)
    assert ended.code == 0, ended.text
    assert "Traceback" not in ended.text
    begun.assert_ends_like(through)


@pytest.mark.slow
@pytest.mark.fault(43)
def test_row43_clock_that_was_set_back(nursery: Nursery, through: Home, begun: Home) -> None:
    """Files of the future: a resume after the clock went back by a day."""
    import os
    import time

    stop = {"FUSETRAIN_FAILPOINT": "last.pt:durable=SIGTERM@2"}
    assert nursery.run("train", "--config", "train.yaml", cwd=begun.path, **stop).code == 75
    later = time.time() + 86400
    for path in begun.run.rglob("*"):
        os.utime(path, (later, later))
    ended = nursery.run("resume", "runs/exp", cwd=begun.path)
    assert ended.code == 0, ended.text
    begun.assert_ends_like(through)
