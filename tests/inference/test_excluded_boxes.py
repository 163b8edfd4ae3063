"""Boxes that the authors of a set excluded: judged as the COCO tools judge `iscrowd`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusetrain.data.index import DatasetIndex, scan_split
from fusetrain.data.index_store import load_index, save_index
from fusetrain.data.labels import ANY_CLASS
from fusetrain.data.spec import load_spec
from fusetrain.inference.judging import Judgement, validate_weights

from ..coco_judge import assert_equal_to_the_judge

CLASSES = ("person", "car")
BOXES = ((8.0, 12.0, 16.0, 24.0), (38.4, 9.6, 19.2, 28.8))
WHOLE = (0.0, 0.0, 64.0, 48.0)


def coco_set(home: Path, *, crowds: dict[int, list[tuple[int, tuple[float, ...]]]]) -> Path:
    """Write a COCO JSON for the pairs of `set`; of an image, class and x y w h are excluded."""
    files = sorted((home / "set" / "images" / "val").iterdir())
    annotations: list[dict[str, Any]] = []
    for number, _ in enumerate(files):
        entries = [(label, box, 0) for label, box in enumerate(BOXES)]
        entries += [(label, box, 1) for label, box in crowds.get(number, [])]
        for label, box, is_crowd in entries:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": label,
                    "bbox": list(box),
                    "iscrowd": is_crowd,
                }
            )
    document = {
        "images": [
            {"id": number, "file_name": path.name, "height": 48, "width": 64}
            for number, path in enumerate(files)
        ],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES)],
    }
    (home / "set" / "labels.json").write_text(json.dumps(document))
    return yaml(home, "annotations: labels.json", "format: coco")


def yaml(home: Path, *more: str) -> Path:
    path = home / "set" / "excluded.yaml"
    lines = ("path: .", "train: images/val", "val: images/val", "names: [person, car]", *more)
    path.write_text("\n".join(lines) + "\n")
    return path


def judged(home: Path, data: Path) -> Judgement:
    return validate_weights(home / "runs" / "exp", data=data, split="val")


def index_of(data: Path) -> DatasetIndex:
    return scan_split(load_spec(data), "val").index


def false_alarms(judgement: Judgement) -> int:
    return int(judgement.confusion()[-1].sum())


def test_crowds_of_a_class_are_judged_as_by_pycocotools(home: Path) -> None:
    crowds = {0: [(0, WHOLE), (1, (0.0, 0.0, 30.0, 48.0))], 1: [(1, WHOLE)]}
    judgement = judged(home, coco_set(home, crowds=crowds))
    truth, found = judgement.result.truth, judgement.result.found
    assert truth.is_ignored is not None
    assert truth.classes[truth.is_ignored].tolist() == [0, 1, 1]
    assert truth.image_ids[truth.is_ignored].tolist() == [0, 0, 1]
    np.testing.assert_allclose(
        truth.boxes_xyxy_px[truth.is_ignored], [WHOLE, (0, 0, 30, 48), WHOLE], atol=1e-4
    )
    assert len(found.scores) > 20
    metrics = assert_equal_to_the_judge(truth, found, num_classes=2)
    plain = judged(home, coco_set(home, crowds={})).result
    assert plain.truth.is_ignored is None
    assert plain.found.scores.tolist() == found.scores.tolist()
    assert metrics.map50 > plain.metrics.map50
    assert metrics.per_class.num_truth.tolist() == [2, 2]


def test_nothing_is_false_where_whole_images_are_excluded(home: Path) -> None:
    everywhere = {image: [(label, WHOLE) for label in (0, 1)] for image in (0, 1)}
    with_regions = judged(home, coco_set(home, crowds=everywhere))
    without = judged(home, coco_set(home, crowds={}))
    assert (false_alarms(with_regions), false_alarms(without) > 0) == (0, True)
    assert (with_regions.confusion().sum(axis=1)[:-1] == 2).all()
    missed = with_regions.miss_rates()
    assert missed.num_truth.tolist() == [2, 2]
    # Without false alarms every rate of them is the lowest, at which all that is found is found.
    assert (missed.at_fppi == missed.at_fppi[:, :1]).all()
    assert missed.mean < without.miss_rates().mean


@pytest.mark.parametrize("label", ["person?", "person"])
def test_unsure_and_flagged_boxes_of_kaist_are_looked_away_from(home: Path, label: str) -> None:
    folder = home / "set" / "bbgt"
    folder.mkdir()
    flag = int(label == "person")
    for path in (home / "set" / "images" / "val").iterdir():
        lines = ["% bbGt version=3"]
        lines += ["person 8 12 16 24 0 0 0 0 0 0 0", "car 38 10 19 28 0 0 0 0 0 0 0"]
        lines.append(f"{label} 0 0 64 48 0 0 0 0 0 {flag} 0")
        (folder / f"{path.stem}.txt").write_text("\n".join(lines) + "\n")
    data = yaml(home, "annotations: bbgt", "format: kaist")
    index = index_of(data)
    assert index.regions(1).classes.tolist() == [0 if flag else ANY_CLASS]
    assert index.classes(1).tolist() == [0, 1]
    judgement = judged(home, data)
    truth = judgement.result.truth
    assert truth.is_ignored is not None
    assert truth.classes[truth.is_ignored].tolist() == ([0, 0] if flag else [0, 1, 0, 1])
    # Boxes meet whatever their classes in the table of confusions, so one region is enough.
    assert false_alarms(judgement) == 0


def test_excluded_boxes_are_stored_with_the_index_and_change_its_fingerprint(
    home: Path, tmp_path: Path
) -> None:
    index = index_of(coco_set(home, crowds={1: [(0, WHOLE)]}))
    assert [len(index.regions(row).classes) for row in (0, 1)] == [0, 1]
    save_index(index, tmp_path / "kept.index")
    loaded = load_index(tmp_path / "kept.index")
    np.testing.assert_array_equal(
        loaded.regions(1).boxes_cxcywh_unit, index.regions(1).boxes_cxcywh_unit
    )
    with pytest.raises(IndexError):
        loaded.regions(2)
    plain = index_of(coco_set(home, crowds={}))
    assert plain.fingerprint() != index.fingerprint()
