from __future__ import annotations

import numpy as np
import pytest

from fusetrain.data.annotations import UNIT_HW, Annotations, to_labels
from fusetrain.data.labels import ANY_CLASS, LabelProblem, parse_labels

NAMES = ("person", "car")


def of(*boxes: tuple[float, float, float, float], **fields: object) -> Annotations:
    """Return annotations of class person, a line each."""
    return Annotations(
        np.array(boxes, np.float64).reshape(-1, 4),
        ("person",) * len(boxes),
        np.arange(1, len(boxes) + 1),
        path="a.xml",
        **fields,  # type: ignore[arg-type]
    )


def test_pixels_become_shares_of_the_image() -> None:
    labels = to_labels(of((10, 20, 30, 60)), size_hw=(100, 200), class_names=NAMES)
    assert labels.boxes_cxcywh_unit.tolist() == [pytest.approx([0.1, 0.4, 0.1, 0.4])]
    assert labels.classes.tolist() == [0]
    assert labels.lines.tolist() == [1]
    assert labels.problems == ()


def test_labels_of_a_larger_copy_of_the_image_are_scaled() -> None:
    labels = to_labels(
        of((512, 256, 1024, 512), size_hw=(1024, 1024)), size_hw=(512, 512), class_names=NAMES
    )
    assert labels.boxes_cxcywh_unit.tolist() == [[0.75, 0.375, 0.5, 0.25]]
    assert labels.problems == ()


def test_size_of_another_shape_leaves_all_boxes_out_with_one_error() -> None:
    found = of((10, 10, 20, 20), (30, 30, 40, 40), size_hw=(712, 840))
    labels = to_labels(found, size_hw=(512, 640), class_names=NAMES)
    assert len(labels.classes) == 0
    (problem,) = labels.problems
    assert (problem.code, problem.is_left_out) == ("L04", True)
    assert "840 x 712" in problem.message
    assert "border of 100 px" in problem.message
    assert to_labels(of(size_hw=(9, 1)), size_hw=(9, 9), class_names=NAMES).problems == ()


def test_border_is_cut_off_the_boxes_too() -> None:
    found = of((150, 150, 250, 200), (50, 120, 110, 140), (10, 10, 90, 90), size_hw=(400, 500))
    labels = to_labels(found, size_hw=None, class_names=NAMES, border_px=100)
    shares = labels.boxes_cxcywh_unit * np.array([300, 200, 300, 200])
    assert shares == pytest.approx(np.array([[100, 75, 100, 50], [5, 30, 10, 20]]), abs=1e-4)
    assert [(p.code, p.line) for p in labels.problems] == [("L05", 3)]


def test_shares_take_the_border_off_with_the_size_of_the_image() -> None:
    found = of((0.5, 0.5, 0.75, 0.75), size_hw=UNIT_HW)
    with_border = to_labels(found, size_hw=(400, 400), class_names=NAMES, border_px=100)
    assert with_border.boxes_cxcywh_unit.tolist() == [[0.75, 0.75, 0.5, 0.5]]
    without = to_labels(found, size_hw=None, class_names=NAMES)
    assert without.boxes_cxcywh_unit.tolist() == [[0.625, 0.625, 0.25, 0.25]]


@pytest.mark.parametrize(
    ("box", "code"),
    [
        ((10.0, 10.0, float("nan"), 20.0), "L03"),
        ((10.0, 10.0, float("inf"), 20.0), "L03"),
        ((-1e308, 0.0, 1e308, 20.0), "L03"),
        ((30.0, 10.0, 20.0, 20.0), "L05"),
        ((10.0, 10.0, 10.0, 20.0), "L05"),
        ((150.0, 10.0, 160.0, 20.0), "L04"),
        ((-50.0, 10.0, 120.0, 20.0), "L04"),
        ((1e9, 1e9, 2e9, 2e9), "L04"),
    ],
)
def test_unusable_box_is_left_out_and_reported(
    box: tuple[float, float, float, float], code: str
) -> None:
    labels = to_labels(of((1, 1, 9, 9), box), size_hw=(100, 100), class_names=NAMES)
    (problem,) = labels.problems
    assert (problem.code, problem.path, problem.line) == (code, "a.xml", 2)
    assert labels.lines.tolist() == [1]


def test_unknown_class_is_reported_and_other_problems_stay() -> None:
    earlier = LabelProblem("L01", "a.xml", 7, 1, "object without a name")
    found = Annotations(
        np.array([[1.0, 1.0, 5.0, 5.0]]), ("dog",), np.array([3]), problems=(earlier,)
    )
    labels = to_labels(found, size_hw=(10, 10), class_names=NAMES)
    assert [problem.code for problem in labels.problems] == ["L02", "L01"]
    assert "'dog'" in labels.problems[0].message


def test_nobody_knows_the_size() -> None:
    with pytest.raises(ValueError, match="size of the image is not known"):
        to_labels(of((1, 1, 2, 2)), size_hw=None, class_names=NAMES)
    with pytest.raises(ValueError, match="need the image's size"):
        to_labels(of(size_hw=UNIT_HW), size_hw=None, class_names=NAMES, border_px=1)
    with pytest.raises(ValueError, match="leaves nothing"):
        to_labels(of(), size_hw=(200, 300), class_names=NAMES, border_px=100)


def test_pixels_are_judged_as_yolo_txt_is() -> None:
    rng = np.random.default_rng(3)
    centres, sizes = rng.uniform(-0.05, 1.05, (300, 2)), rng.uniform(-0.05, 1.05, (300, 2))
    side = 1024.0  # a power of two, so that pixels hold the very same numbers
    low, high = (centres - sizes / 2) * side, (centres + sizes / 2) * side
    in_px = to_labels(
        of(*map(tuple, np.concatenate([low, high], axis=1))),
        size_hw=(int(side), int(side)),
        class_names=NAMES,
    )
    rows = np.concatenate([centres, sizes], axis=1)
    text = "\n".join("0 " + " ".join(repr(float(value)) for value in row) for row in rows)
    as_txt = parse_labels(text, 2)
    assert in_px.lines.tolist() == as_txt.lines.tolist()
    assert in_px.boxes_cxcywh_unit == pytest.approx(as_txt.boxes_cxcywh_unit, abs=1e-6)
    for code in ("L04", "L05"):
        lines = [{p.line for p in found.problems if p.code == code} for found in (in_px, as_txt)]
        assert lines[0] | lines[1]
    assert {p.line for p in in_px.problems} == {p.line for p in as_txt.problems}


def test_excluded_boxes_are_kept_apart_and_raise_no_problem() -> None:
    excluded = [[-10, 20, 30, 60], [10, 20, 30, 60], [0, 0, 5, 5], [500, 0, 505, 5], [1, 1, 1, 9]]
    found = of(
        (10, 20, 30, 60),
        ignored_boxes_xyxy_px=np.array(excluded, np.float64),
        ignored_names=("", "car", "dog", "car", "car"),
    )
    labels = to_labels(found, size_hw=(100, 200), class_names=NAMES)
    assert (labels.classes.tolist(), labels.problems) == ([0], ())
    assert labels.regions.classes.tolist() == [ANY_CLASS, 1]
    expected = [[0.075, 0.4, 0.15, 0.4], [0.1, 0.4, 0.1, 0.4]]
    np.testing.assert_allclose(labels.regions.boxes_cxcywh_unit, expected, rtol=1e-6)
    framed = to_labels(found, size_hw=(100, 200), class_names=NAMES, border_px=10)
    np.testing.assert_allclose(
        framed.regions.boxes_cxcywh_unit[0], [10 / 180, 30 / 80, 20 / 180, 40 / 80], rtol=1e-6
    )
