from __future__ import annotations

import signal

from fusetrain.checks.pool import default_workers, run_contained


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


def test_no_items_need_no_process() -> None:
    assert list(run_contained(int, [], crashed=len, workers=2)) == []
    assert default_workers() >= 1
