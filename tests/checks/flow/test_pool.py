from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from typing import overload

import pytest

from fusetrain.checks.flow.pool import default_workers, run_contained
from fusetrain.checks.flow.pool_child import TwoSteps
from fusetrain.errors import ResourceError


def test_results_keep_the_order_of_the_items() -> None:
    items = [str(number) for number in range(100)]
    for workers in (1, 2):
        found = list(run_contained(int, items, crashed=len, workers=workers))
        assert found == list(range(100))


def test_crash_of_a_child_costs_its_own_item_alone() -> None:
    # Raising signal 0 does nothing; raising SIGSEGV ends the process as a broken decoder would.
    items = [0] * 50
    items[20] = items[41] = int(signal.SIGSEGV)
    found = list(
        run_contained(signal.raise_signal, items, crashed=lambda item: "crashed", workers=2)
    )
    assert [row for row, result in enumerate(found) if result == "crashed"] == [20, 41]
    assert len(found) == 50


def test_item_that_hangs_is_told_from_one_that_crashes() -> None:
    items = [0.0] * 30
    items[7] = 60.0
    started_s = time.monotonic()
    found = list(
        run_contained(
            time.sleep,
            items,
            crashed=lambda item: "crashed",
            hung=lambda item: "hung",
            workers=2,
            timeout_s=0.5,
        )
    )
    assert [row for row, result in enumerate(found) if result == "hung"] == [7]
    assert "crashed" not in found
    assert time.monotonic() - started_s < 30.0


def test_item_without_memory_counts_as_crashed() -> None:
    found = list(run_contained(bytearray, [10, 2**62, 5], crashed=lambda item: b"", workers=1))
    assert found == [bytearray(10), b"", bytearray(5)]


def test_child_that_the_system_ends_once_costs_nothing(tmp_path: object) -> None:
    items = [f"{tmp_path}/{number}" for number in range(20)]
    found = list(run_contained(killed_once, items, crashed=lambda item: "crashed", workers=2))
    assert found == items


def killed_once(path: str) -> str:
    """End the own process the first time that the item 11 is seen, as a lack of memory would."""
    if path.endswith("/11") and not os.path.exists(path):
        with open(path, "w", encoding="ascii"):
            os.kill(os.getpid(), signal.SIGKILL)
    return path


def doubled(parts: Sequence[str]) -> list[str]:
    """Return texts twice over."""
    return [part * 2 for part in parts]


def test_function_of_two_steps_survives_a_crash_in_the_first(tmp_path: object) -> None:
    function = TwoSteps(killed_once, doubled)
    items = [f"{tmp_path}/{number}" for number in range(40)]
    found = list(run_contained(function, items, crashed=len, workers=2, chunk=8))
    assert found == [item * 2 for item in items]
    assert function("a") == "aa"


def test_results_beyond_the_size_of_a_pipe_arrive() -> None:
    items = [2_000_000] * 6
    found = list(run_contained(bytes, items, crashed=len, workers=2))
    assert [len(data) for data in found] == items


def test_error_of_the_function_ends_the_run_with_its_place() -> None:
    with pytest.raises(ValueError, match="invalid literal") as raised:
        list(run_contained(int, ["1", "no number"], crashed=len, workers=2))
    assert "pool_child.py" in raised.value.__notes__[0]


class Counted(Sequence[str]):
    """A million items that say how many were asked for."""

    def __init__(self) -> None:
        self.made = 0

    def __len__(self) -> int:
        return 1_000_000

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[str]: ...

    def __getitem__(self, row: int | slice) -> str | Sequence[str]:
        self.made += 1
        return str(row)


def test_items_are_made_when_they_are_needed_and_leaving_early_is_quick() -> None:
    items = Counted()
    results = run_contained(int, items, crashed=len, workers=2)
    assert [next(results) for _ in range(10)] == list(range(10))
    started_s = time.monotonic()
    results.close()
    assert time.monotonic() - started_s < 5.0
    assert items.made < 2_000


def test_children_that_cannot_start_are_an_error_of_the_machine() -> None:
    with pytest.raises(ResourceError, match="before they begin"):
        list(run_contained(_Unreadable(), [1, 2, 3], crashed=len, workers=1))


class _Unreadable:
    """A function that no child can unpickle."""

    def __call__(self, item: int) -> int:
        return item

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (3,)


def test_no_items_need_no_process() -> None:
    assert list(run_contained(int, [], crashed=len, workers=2)) == []
    assert default_workers() >= 1
