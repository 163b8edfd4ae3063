from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from fusetrain.results.confidence_plot import save_confidence_figure, save_miss_rate_figure
from fusetrain.results.metrics import GroundTruth, ScoredBoxes, evaluate
from fusetrain.results.miss_rate import miss_rates


def texts(path: Path) -> list[str]:
    comments = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    root = ElementTree.parse(path, parser=comments).getroot()
    return [node.text.strip() for node in root.iter() if callable(node.tag) and node.text]


def split_of(num_classes: int) -> tuple[GroundTruth, ScoredBoxes]:
    rng = np.random.default_rng(0)
    count = 10 * num_classes
    corners = rng.uniform(0, 80, (count, 2))
    boxes = np.concatenate((corners, corners + 20), axis=1)
    images, classes = rng.integers(0, 5, count), np.arange(count) % max(num_classes, 1)
    found = ScoredBoxes(images, boxes + rng.normal(0, 2, boxes.shape), rng.random(count), classes)
    return GroundTruth(images, boxes, classes), found


@pytest.mark.parametrize("num_classes", [0, 2, 15])
@pytest.mark.parametrize("which", ["confidence", "miss rate"])
def test_figures_name_up_to_twelve_classes(tmp_path: Path, num_classes: int, which: str) -> None:
    truth, found = split_of(num_classes)
    names = [f"kind {number}" for number in range(max(num_classes, 1))]
    path = tmp_path / "figure.svg"
    draw: dict[str, Callable[[], None]] = {
        "confidence": lambda: save_confidence_figure(
            path, evaluate(truth, found, num_classes=len(names)), class_names=names
        ),
        "miss rate": lambda: save_miss_rate_figure(
            path,
            miss_rates(truth, found, num_classes=len(names), num_images=5),
            class_names=names,
        ),
    }
    draw[which]()
    shown = texts(path)
    assert len([text for text in shown if text.startswith("kind ")]) == min(num_classes, 12)
    assert ("3 others" in shown) == (num_classes == 15)
    assert ("the split has no true box" in shown) == (num_classes == 0)
