from __future__ import annotations

import numpy as np
import pytest

from fusetrain.prepare.views import common_view, farthest_move_px, moved, moved_boxes

EYE = np.eye(3)


def shift(x: float, y: float) -> np.ndarray:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def test_points_move_by_a_homography() -> None:
    matrix = np.array([[2.0, 0.0, 1.0], [0.0, 2.0, 0.0], [0.0, 0.001, 1.0]])
    np.testing.assert_allclose(moved(np.array([[10.0, 100.0]]), matrix), [[21 / 1.1, 200 / 1.1]])


def test_the_common_view_of_shifted_images_is_their_overlap() -> None:
    left, top, right, bottom = common_view(shift(30, -20), (480, 640), (480, 640)) or (0, 0, 0, 0)
    assert (left, top, right, bottom) == pytest.approx((30, 0, 640, 460), abs=8)
    assert left >= 30
    assert bottom <= 460


def test_equal_views_are_common_in_full() -> None:
    assert common_view(EYE, (480, 640), (480, 640)) == (0, 0, 640, 480)


def test_a_turned_image_leaves_an_upright_rectangle_inside_it() -> None:
    angle = np.deg2rad(8)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    matrix = shift(320, 240) @ turn @ shift(-320, -240)
    box = common_view(matrix, (480, 640), (480, 640))
    assert box is not None
    corners = np.array([(box[x], box[y]) for x in (0, 2) for y in (1, 3)], float)
    back = moved(corners, np.linalg.inv(matrix))
    assert (back >= -1e-6).all()
    assert (back <= (640 + 1e-6, 480 + 1e-6)).all()
    assert (box[2] - box[0]) * (box[3] - box[1]) > 0.65 * 640 * 480


def test_views_without_anything_in_common_have_none() -> None:
    assert common_view(shift(1000, 0), (480, 640), (480, 640)) is None


def test_the_farthest_move_is_that_of_a_corner() -> None:
    assert farthest_move_px(shift(3, 4), (100, 100), (100, 100)) == pytest.approx(5.0)
    assert farthest_move_px(np.diag([2.0, 2.0, 1.0]), (50, 50), (100, 100)) == pytest.approx(0.0)


def test_boxes_are_clipped_and_dropped_when_little_is_left() -> None:
    boxes = np.array([[10.0, 10, 20, 20], [90, 10, 110, 20], [95, 0, 135, 10]])
    there, kept = moved_boxes(boxes, shift(-5, 0), (100, 100))
    np.testing.assert_allclose(there[:2], [[5, 10, 15, 20], [85, 10, 100, 20]])
    assert kept.tolist() == [True, True, False]
