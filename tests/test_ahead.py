"""What is done ahead is done at the end of the `with`, and one error is told, always the same."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from fusetrain.ahead import Ahead
from fusetrain.errors import DataError, ResourceError, StoppedError

NAMES = ("ahead_first", "ahead_second")
PATIENCE_S = 30.0


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Two modules to import; the first takes until the event is set."""
    go = threading.Event()
    monkeypatch.setattr(sys, "ahead_go", go, raising=False)
    (tmp_path / "ahead_first.py").write_text(f"import sys\nsys.ahead_go.wait({PATIENCE_S})\n")
    (tmp_path / "ahead_second.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    yield go
    go.set()
    for name in NAMES:
        sys.modules.pop(name, None)


def joined(ahead: Ahead[object]) -> None:
    ahead._thread.join(PATIENCE_S)
    assert not ahead._thread.is_alive()


def fails() -> None:
    raise ResourceError("no device")


def tell(error: BaseException | None) -> None:
    if error is not None:
        raise error


def test_all_is_done_at_the_end(modules: threading.Event) -> None:
    with Ahead(threading.get_ident, [NAMES[0], "there.is.no.such", NAMES[1]]) as ahead:
        assert ahead.result() != threading.get_ident()
        assert NAMES[1] not in sys.modules
        modules.set()
    assert set(NAMES) <= set(sys.modules)


def test_garbage_is_looked_for_again_afterwards(modules: threading.Event) -> None:
    with Ahead(gc.isenabled, NAMES) as ahead:
        assert ahead.result() is False
        modules.set()
    assert gc.isenabled()


@pytest.mark.parametrize("own", [None, DataError("bad pairs")])
def test_its_error_is_told_whatever_else_was_raised(own: Exception | None) -> None:
    with pytest.raises(ResourceError, match="no device") as caught, Ahead(fails, NAMES):
        tell(own)
    assert caught.value.__context__ is own
    assert not set(NAMES) & set(sys.modules)


def test_its_error_can_be_met_before_the_end() -> None:
    ahead = Ahead(fails)
    with suppress(ResourceError), ahead:
        joined(ahead)
        with pytest.raises(ResourceError):
            ahead.check()


def test_no_more_is_imported_after_an_error(modules: threading.Event) -> None:
    ahead = Ahead(lambda: None, NAMES)
    with pytest.raises(DataError), ahead:
        tell(DataError("bad pairs"))
    modules.set()
    joined(ahead)
    assert NAMES[1] not in sys.modules


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), StoppedError("SIGTERM came")])
def test_an_interrupt_waits_for_nothing(interrupt: BaseException) -> None:
    never = threading.Event()
    ahead = Ahead(lambda: never.wait(PATIENCE_S))
    with pytest.raises(type(interrupt)), ahead:
        tell(interrupt)
    assert ahead._thread.is_alive()
    never.set()
    joined(ahead)
