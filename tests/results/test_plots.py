"""Figures of a run: what they say, that legends stay off the data, and that extremes are drawn."""

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from fusetrain.errors import ResourceError
from fusetrain.results.confusion_plot import row_shares, save_confusion_figure
from fusetrain.results.figure_style import MAX_TICK_LABELS, line_look, plain, thinned
from fusetrain.results.label_plot import LabelArrays, save_labels_figure
from fusetrain.results.metrics import GroundTruth, ScoredBoxes, evaluate
from fusetrain.results.plots import save_pr_figure, save_results_figure
from fusetrain.results.run_dir import CSV_COLUMNS, Row

SVG = "{http://www.w3.org/2000/svg}"


def row(epoch: int, **changed: float | None) -> Row:
    values = {column: 1.0 / epoch for column in CSV_COLUMNS} | {"epoch": epoch}
    return values | {column: changed[key] for column in values for key in changed if key in column}


def texts(path: Path) -> list[str]:
    """Return what is written in an SVG figure."""
    tree = ElementTree.parse(path)
    return ["".join(element.itertext()).strip() for element in tree.iter(f"{SVG}text")]


def group(path: Path, name: str) -> list[ElementTree.Element]:
    """Return the groups of an SVG figure whose id begins so."""
    tree = ElementTree.parse(path)
    return [g for g in tree.iter(f"{SVG}g") if re.fullmatch(rf"{name}_\d+", g.get("id", ""))]


def legend_points(path: Path) -> np.ndarray:
    """Return (N, 2) where the texts of all legends begin."""
    places = []
    for legend in group(path, "legend"):
        for text in legend.iter(f"{SVG}text"):
            place = re.search(r"translate\(([-\d.]+) ([-\d.]+)\)", text.get("transform", ""))
            found = place.groups() if place else (text.get("x"), text.get("y"))
            places.append([float(number or "nan") for number in found])
    return np.array(places)


def axes_boxes(path: Path) -> list[tuple[float, float, float, float]]:
    """Return left, top, right, bottom of the ground of each axes."""
    boxes = []
    for axes in group(path, "axes"):
        outline = next(axes.iter(f"{SVG}path")).get("d", "")
        numbers = np.array(re.findall(r"-?[\d.]+", outline), float).reshape(-1, 2)
        boxes.append((*numbers.min(axis=0), *numbers.max(axis=0)))
    return boxes


def assert_legends_are_outside(path: Path) -> None:
    points = legend_points(path)
    assert len(points)
    for left, top, right, bottom in axes_boxes(path):
        inside = (points > (left, top)).all(axis=1) & (points < (right, bottom)).all(axis=1)
        assert not inside.any()


@pytest.fixture
def svg(tmp_path: Path) -> Iterator[Path]:
    """Return a path for a figure whose texts stay texts."""
    with mpl.rc_context({"svg.fonttype": "none"}):
        yield tmp_path / "figure.svg"


@pytest.mark.parametrize("count", [1, 2, 150])
def test_results_figure_shows_all_columns_beside_their_legends(svg: Path, count: int) -> None:
    history = [row(epoch) for epoch in range(1, count + 1)]
    save_results_figure(svg, history, warmups=[(0.0, 3.0)])
    shown = texts(svg)
    for text in ("box loss", "class loss", "distribution loss", "mAP", "learning rate lr0"):
        assert text in shown
    assert shown.count("train") == shown.count("val") == 3
    assert {"precision", "recall", "IoU 0.5", "0.5:0.95", "best: 1", "grey: warmup"} <= set(shown)
    assert_legends_are_outside(svg)


def test_every_warmup_is_shaded_in_every_panel(svg: Path) -> None:
    history = [row(epoch) for epoch in range(1, 9)]
    stages = [(0.0, 4.0, "each alone"), (4.0, 8.0, "adapters")]
    save_results_figure(svg, history, warmups=[(0.0, 1.0), (4.0, 4.5)], stages=stages)
    assert svg.read_text(encoding="utf-8").count("fill: #e6e6e6") == 2 * 6
    key = "grey: warmup · dotted: next stage (1: each alone; 2: adapters)"
    assert key in texts(svg)


def test_best_epoch_is_the_earlier_of_two_equal_ones(svg: Path) -> None:
    scores = [0.1, None, 0.3, 0.3, 0.2]
    history = [row(number, **{"mAP50-95": score}) for number, score in enumerate(scores, 1)]
    save_results_figure(svg, history)
    assert "best: 3" in texts(svg)
    assert "grey: warmup" not in texts(svg)


@pytest.mark.parametrize("cell", [None, math.nan, math.inf])
def test_epochs_without_validation_are_no_points(svg: Path, cell: float | None) -> None:
    history = [row(1, metrics=cell, val=cell), row(2, metrics=cell, val=cell)]
    save_results_figure(svg, history)
    shown = texts(svg)
    assert shown.count("no value yet") == 2
    assert shown.count("train") == 3
    assert "val" not in shown


def test_run_without_an_epoch_has_an_empty_figure(svg: Path) -> None:
    save_results_figure(svg, [], warmups=[(0.0, 3.0)])
    assert texts(svg).count("no value yet") == 6


def test_scores_that_stay_zero_are_drawn_on_the_ground_line(svg: Path) -> None:
    save_results_figure(svg, [row(1, metrics=0.0), row(2, metrics=0.0)])
    assert "best: 1" in texts(svg)


def detections(num_classes: int) -> tuple[GroundTruth, ScoredBoxes]:
    """Return three true boxes a class, of which a falling share is found."""
    classes = np.repeat(np.arange(num_classes), 3)
    corner = np.stack((30.0 * np.arange(len(classes)), np.zeros(len(classes))), axis=1)
    boxes = np.concatenate((corner, corner + 20.0), axis=1)
    truth = GroundTruth(np.zeros(len(classes), np.int64), boxes, classes)
    is_found = np.arange(len(classes)) % 3 <= classes % 4
    scores = np.linspace(0.9, 0.3, len(classes))[is_found]
    return truth, ScoredBoxes(truth.image_ids[is_found], boxes[is_found], scores, classes[is_found])


@pytest.mark.parametrize("num_classes", [1, 3, 12, 13, 80])
def test_pr_figure_names_the_average_precisions(svg: Path, num_classes: int) -> None:
    truth, found = detections(num_classes)
    metrics = evaluate(truth, found, num_classes=num_classes)
    names = [f"kind {number}" for number in range(num_classes)]
    ap50 = metrics.per_class.ap50
    save_pr_figure(svg, metrics.curves, class_names=names, ap50=ap50)
    shown = texts(svg)
    assert (f"mean of {num_classes}, {metrics.map50:.3f}" in shown) == (num_classes > 1)
    named = [text for text in shown if text.startswith("kind")]
    assert len(named) == min(12, num_classes)
    best, worst = np.argsort(-ap50, kind="stable")[[0, -1]]
    assert {f"{names[number]}, {ap50[number]:.3f}" for number in (best, worst)} <= set(shown)
    assert (f"{num_classes - 12} others" in shown) == (num_classes > 12)
    assert_legends_are_outside(svg)


def test_classes_without_a_true_box_are_counted_not_drawn(svg: Path) -> None:
    truth, found = detections(2)
    metrics = evaluate(truth, found, num_classes=5)
    ap50 = metrics.per_class.ap50
    save_pr_figure(svg, metrics.curves, class_names=list("abcde"), ap50=ap50)
    shown = texts(svg)
    assert "3 without a true box" in shown
    assert [text[0] for text in shown if re.match(r"[a-e], ", text)] == ["b", "a"]


def test_split_without_a_true_box_has_a_figure_that_says_so(svg: Path) -> None:
    none = np.zeros(0, np.int64)
    truth = GroundTruth(none, np.zeros((0, 4)), none)
    metrics = evaluate(truth, ScoredBoxes(none, np.zeros((0, 4)), np.zeros(0), none), num_classes=2)
    save_pr_figure(svg, metrics.curves, class_names=["a", "b"], ap50=metrics.per_class.ap50)
    assert "the split has no true box" in texts(svg)


def test_confusion_figure_shows_counts_and_shares_of_the_row(svg: Path) -> None:
    matrix = np.array([[6, 1, 3], [0, 4, 0], [1, 999, 0]])
    save_confusion_figure(svg, matrix, class_names=["cat", "dog"], confidence=0.41)
    shown = " ".join(texts(svg))
    for text in ("cat", "dog", "background", "60%", "10%", "30%", "100%", "<1%", "0.41"):
        assert text in shown
    assert sum(text in ("6", "1", "3", "4", "999") for text in texts(svg)) == 6
    assert row_shares(matrix)[0].tolist() == [0.6, 0.1, 0.3]


def test_row_without_a_box_has_no_shares() -> None:
    assert np.isnan(row_shares(np.zeros((2, 2), np.int64))).all()


def test_empty_matrix_says_so(svg: Path) -> None:
    save_confusion_figure(svg, np.zeros((3, 3), np.int64), class_names=["a", "b"], confidence=0.25)
    assert "neither true boxes nor detections" in texts(svg)


def test_many_classes_are_thinned_but_background_is_named(svg: Path) -> None:
    matrix = np.eye(81, dtype=np.int64)
    names = [f"kind {number}" for number in range(80)]
    save_confusion_figure(svg, matrix, class_names=names, confidence=0.5)
    shown = texts(svg)
    assert shown.count("background") == 2
    assert 20 < sum(text.startswith("kind") for text in shown) <= 2 * MAX_TICK_LABELS


def labels(num_boxes: int, num_classes: int) -> LabelArrays:
    rng = np.random.default_rng(0)
    sides = np.exp(rng.uniform(-4, -1, (num_boxes, 2)))
    centres = rng.uniform(0.2, 0.8, (num_boxes, 2))
    pairs = rng.integers(0, 40, num_boxes)
    return LabelArrays(
        boxes_cxcywh_unit=np.concatenate((centres, sides), axis=1).astype(np.float32),
        classes=rng.integers(0, num_classes, num_boxes),
        boxes_per_pair=np.bincount(pairs, minlength=50),
        class_names=[f"kind {number}" for number in range(num_classes)],
    )


@pytest.mark.parametrize(("num_boxes", "num_classes"), [(0, 2), (1, 1), (300, 3), (9000, 80)])
def test_labels_figure_counts_boxes(svg: Path, num_boxes: int, num_classes: int) -> None:
    shown_labels = labels(num_boxes, num_classes)
    save_labels_figure(svg, shown_labels, title="Labels of train")
    shown = texts(svg)
    assert "Labels of train" in shown
    counts = np.bincount(shown_labels.classes, minlength=num_classes)
    assert num_classes > 12 or {str(count) for count in counts} <= set(shown)
    assert 1 <= sum(text.startswith("kind") for text in shown) <= MAX_TICK_LABELS
    empty = int((shown_labels.boxes_per_pair == 0).sum())
    assert any(text.endswith(f"{empty} pairs without") for text in shown)
    assert shown.count("no box") == (2 if num_boxes == 0 else 0)


def test_equal_numbers_give_equal_files(tmp_path: Path) -> None:
    paths = [tmp_path / "one.png", tmp_path / "two.png"]
    for path in paths:
        save_results_figure(path, [row(1), row(2)], warmups=[(0.0, 1.0)])
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with Image.open(paths[0]) as image:
        assert min(image.size) > 700


def test_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "results.png"
    with pytest.raises(ResourceError, match="missing"):
        save_results_figure(path, [row(1)])


def test_names_are_drawn_as_they_stand(svg: Path) -> None:
    names = ["_hidden", "$x^2$", "two\nlines", "a very long name of a class 17"]
    save_confusion_figure(svg, np.eye(5, dtype=np.int64), class_names=names, confidence=0.5)
    shown = texts(svg)
    for text in ("_hidden", "$x^2$", "two?lines"):
        assert shown.count(text) == 2
    assert any(text.startswith("a very") and text.endswith("17") for text in shown)
    assert plain("short") == "short"


def test_names_in_other_scripts_warn_of_nothing(tmp_path: Path) -> None:
    save_confusion_figure(
        tmp_path / "figure.png", np.eye(2, dtype=np.int64), class_names=["行人"], confidence=0.5
    )
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_twelve_lines_look_different() -> None:
    looks = [line_look(number) for number in range(12)]
    assert len(set(looks)) == 12
    assert all(one[0] != two[0] and one[1] != two[1] for one, two in pairwise(looks))


@pytest.mark.parametrize("count", [0, 1, MAX_TICK_LABELS, MAX_TICK_LABELS + 1, 1000])
def test_thinned_labels_are_few_and_evenly_apart(count: int) -> None:
    places, names = thinned([str(number) for number in range(count)])
    assert names == [str(place) for place in places]
    assert len(places) <= MAX_TICK_LABELS
    assert len(set(np.diff(places))) <= 1
    assert count == 0 or places[0] == 0
