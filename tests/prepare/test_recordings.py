from __future__ import annotations

from fusetrain.prepare.recordings import frames


def recordings(*names: str, gap: float = 0) -> list[int]:
    return [frame.recording for frame in frames(names, gap=gap)]


def test_a_common_name_with_a_counter_is_a_recording() -> None:
    assert recordings("a_001", "a_002", "b_001", "c/a_001", "a_003") == [0, 0, 1, 2, 0]


def test_a_letter_behind_the_counter_counts() -> None:
    assert recordings("0001D", "0002N", "0003D") == [0, 1, 0]


def test_a_leap_far_beyond_the_usual_step_ends_a_recording() -> None:
    names = [f"v{number:06}" for number in (1, 2, 3, 4, 5000, 5001)]
    assert recordings(*names) == [0, 0, 0, 0, 1, 1]


def test_a_few_missing_frames_do_not() -> None:
    assert set(recordings(*(f"v{number}" for number in (1, 2, 3, 40, 41)))) == {0}


def test_the_gap_can_be_given() -> None:
    assert recordings("v1", "v2", "v12", gap=10) == [0, 0, 1]
    assert recordings("v1", "v2", "v12", gap=11) == [0, 0, 0]


def test_moments_in_names_make_recordings() -> None:
    names = ["20240101_120000", "20240101_120001", "20240101_120059", "20240101_130000"]
    assert recordings(*names) == [0, 0, 0, 1]


def test_a_name_without_a_number_stands_alone() -> None:
    assert recordings("left", "right", "left_b") == [0, 1, 2]


def test_order_is_that_of_the_names_given() -> None:
    found = frames(["v10", "v2", "v1"])
    assert [frame.place for frame in found] == [10.0, 2.0, 1.0]
