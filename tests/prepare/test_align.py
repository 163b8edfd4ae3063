from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fusetrain.checks.flow.tasks import all_tasks
from fusetrain.checks.registration.shifts import measure_registration
from fusetrain.data.index import DatasetIndex, scan_split
from fusetrain.data.spec import load_spec
from fusetrain.errors import DataError
from fusetrain.prepare.align import plan_align
from fusetrain.prepare.estimates import Move
from fusetrain.prepare.plans import Plan
from fusetrain.prepare.views import moved
from fusetrain.prepare.writing import write_plan

SIZE = (120, 160)
SHIFT = (12, -6)


def write_set(root: Path, *, boxes_on: str, dtype: str = "uint8", share: int = 1) -> Path:
    """Write a bright rectangle whose infrared lies SHIFT px up and left of where it should.

    Its box is right on the images named.
    """
    for folder in ("images/train", "imagesIR/train", "labels/train"):
        (root / folder).mkdir(parents=True)
    rgb = np.full((*SIZE, 3), 30, np.uint8)
    rgb[40:80, 50:100] = 220
    ir = np.full(SIZE, 1000 if dtype == "uint16" else 40, dtype)
    x, y = 50 - SHIFT[0], 40 - SHIFT[1]
    ir[y : y + 40, x : x + 50] = 30000 if dtype == "uint16" else 200
    Image.fromarray(rgb).save(root / "images/train/a_1.png")
    Image.fromarray(ir[::share, ::share].copy()).save(root / "imagesIR/train/a_1.png")
    left, top = (50, 40) if boxes_on == "rgb" else (x, y)
    unit = ((left + 25) / 160, (top + 20) / 120, 50 / 160, 40 / 120)
    text = " ".join(["0", *(f"{value:.9g}" for value in unit)])
    (root / "labels/train/a_1.txt").write_text(f"{text}\n")
    (root / "data.yaml").write_text("train: images/train\nnames: [car]\n")
    return root


def move_file(tmp_path: Path, **extra: Any) -> Path:
    path = tmp_path / "move.json"
    matrix = [[1, 0, SHIFT[0]], [0, 1, SHIFT[1]], [0, 0, 1]]
    path.write_text(json.dumps({"H": matrix, **extra}))
    return path


def written(plan: Plan, target: Path) -> tuple[DatasetIndex, np.ndarray, np.ndarray]:
    write_plan(plan, target)
    index = scan_split(load_spec(target), "train").index
    images = (np.asarray(Image.open(path(0))) for path in (index.rgb_path, index.ir_path))
    return index, *images


def box_px(index: DatasetIndex, size_hw: tuple[int, int]) -> list[float]:
    cx, cy, w, h = index.boxes_cxcywh_unit(0)[0].astype(float).tolist()
    height, width = size_hw
    return [
        (cx - w / 2) * width,
        (cy - h / 2) * height,
        (cx + w / 2) * width,
        (cy + h / 2) * height,
    ]


@pytest.mark.parametrize("boxes_on", ["rgb", "ir"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_infrared_moves_onto_the_visible_image_and_boxes_with_it(
    tmp_path: Path, boxes_on: Any, dtype: str
) -> None:
    root = write_set(tmp_path / "set", boxes_on=boxes_on, dtype=dtype)
    plan = plan_align(root, transform=move_file(tmp_path), boxes_on=boxes_on)
    index, rgb, ir = written(plan, tmp_path / "new")
    bright = 30000 if dtype == "uint16" else 200
    assert ir.dtype == dtype
    np.testing.assert_array_equal(ir == bright, (rgb == 220).all(axis=2))
    assert box_px(index, SIZE) == pytest.approx([50, 40, 100, 80], abs=1e-4)
    original = root / "images/train/a_1.png"
    assert index.rgb_path(0).read_bytes() == original.read_bytes()


def test_the_common_view_can_be_cut_out(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", boxes_on="rgb")
    plan = plan_align(root, transform=move_file(tmp_path), crop=True)
    index, rgb, ir = written(plan, tmp_path / "new")
    assert rgb.shape[:2] == ir.shape == pytest.approx((120 - 6, 160 - 12), abs=3)
    np.testing.assert_array_equal(ir == 200, (rgb == 220).all(axis=2))
    assert set(np.unique(ir)) == {40, 200}
    left, top, right, bottom = box_px(index, ir.shape)
    assert (right - left, bottom - top) == pytest.approx((50, 40), abs=1e-3)
    assert (rgb[round(top), round(left)] == 220).all()


def test_infrared_keeps_its_own_resolution(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", boxes_on="rgb", share=2)
    (tmp_path / "move.json").write_text('{"H": [[2, 0, 12], [0, 2, -6]]}')
    _, rgb, ir = written(plan_align(root, transform=tmp_path / "move.json"), tmp_path / "new")
    assert ir.shape == (60, 80)
    np.testing.assert_array_equal(ir == 200, (rgb[::2, ::2] == 220).all(axis=2))


def test_a_view_of_another_size_may_be_given(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", boxes_on="rgb")
    (tmp_path / "move.json").write_text(
        json.dumps({"A_1": {"H": [[0.5, 0, 6], [0, 0.5, -3], [0, 0, 1]], "w": 80, "h": 60}})
    )
    _, rgb, ir = written(plan_align(root, transform=tmp_path / "move.json"), tmp_path / "new")
    assert ir.shape == (60, 80)
    np.testing.assert_array_equal(ir == 200, (rgb[::2, ::2] == 220).all(axis=2))


def test_what_lies_well_is_copied(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", boxes_on="rgb")
    (tmp_path / "move.json").write_text('{"H": [[1, 0, 0.3], [0, 1, 0], [0, 0, 1]]}')
    plan = plan_align(root, transform=tmp_path / "move.json", crop=True)
    assert plan.facts["moved"] == 0
    index, _, _ = written(plan, tmp_path / "new")
    assert index.ir_path(0).read_bytes() == (root / "imagesIR/train/a_1.png").read_bytes()


def test_a_pair_without_a_transform_is_named(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", boxes_on="rgb")
    (tmp_path / "move.json").write_text('{"other": {"H": [[1, 0, 5], [0, 1, 0], [0, 0, 1]]}}')
    with pytest.raises(DataError, match="1 pair of 1 have no transform") as caught:
        plan_align(root, transform=tmp_path / "move.json")
    assert caught.value.problems[0].where == "a_1"


def test_a_transform_that_leads_away_is_refused(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", boxes_on="rgb")
    (tmp_path / "move.json").write_text('{"H": [[1, 0, 500], [0, 1, 0], [0, 0, 1]]}')
    with pytest.raises(DataError, match="cannot be aligned") as caught:
        plan_align(root, transform=tmp_path / "move.json")
    assert "too little in common" in str(caught.value.problems[0])


def test_a_similarity_turns_clockwise_about_the_centre() -> None:
    move = Move(dx_px=64.0, dy_px=0.0, rotation_deg=90.0, scale=2.0)
    matrix = move.matrix((100, 100), (320, 320))
    there = moved(np.array([[50.0, 50.0], [75.0, 50.0]]), matrix)
    np.testing.assert_allclose(there, [[160 + 32, 160], [192, 160 + 160]], atol=1e-9)


def plant(demo: Path, root: Path, move: Move) -> Path:
    """Copy a set with its infrared moved so that ``move`` takes it back, and no border to tell."""
    shutil.copytree(demo, root)
    for path in (root / "imagesIR").rglob("*.jpg"):
        visible = root / "images" / path.relative_to(root / "imagesIR")
        with Image.open(path) as ir, Image.open(visible) as rgb:
            width, height = ir.size
            matrix = move.matrix((height, width), (height, width))
            moved_ir = ir.transform(
                ir.size, Image.Transform.AFFINE, tuple(matrix[:2].ravel()), Image.Resampling.BICUBIC
            )
            margin = width // 10
            box = (margin, margin, width - margin, height - margin)
            inner, inner_rgb = moved_ir.crop(box), rgb.crop(box)
        inner.save(path, quality=95)
        inner_rgb.save(visible, quality=95)
    return root


@pytest.mark.parametrize(
    ("per", "planted"),
    [
        ("sequence", Move(-8.0, 12.0, 1.5, 1.03)),
        ("pair", Move(14.0, -9.0, 0.0, 1.0)),
        ("set", Move(14.0, -9.0, 0.0, 1.0)),
    ],
    ids=["sequence", "pair", "set"],
)
def test_estimated_moves_bring_planted_ones_back(
    demo: Path, tmp_path: Path, per: Any, planted: Move
) -> None:
    root = plant(demo, tmp_path / "set", planted)
    plan = plan_align(root, per=per, workers=1)
    assert plan.facts["moved"] == 20
    write_plan(plan, tmp_path / "new")
    spec = load_spec(tmp_path / "new")
    tasks = all_tasks([scan_split(spec, split).index for split in ("train", "val")])
    facts = [fact for fact in map(measure_registration, tasks) if fact.is_sure]
    assert len(facts) >= 15
    assert float(np.median([fact.apart_px for fact in facts])) < 2.0
    assert float(np.median([np.hypot(fact.dx_px or 0, fact.dy_px or 0) for fact in facts])) < 1.0


def test_a_set_that_lies_well_is_left_as_it_is(demo: Path, tmp_path: Path) -> None:
    plan = plan_align(demo, workers=1)
    assert plan.facts["moved"] == 0
    write_plan(plan, tmp_path / "new")
    for path in (demo / "imagesIR").rglob("*.jpg"):
        assert (tmp_path / "new" / path.relative_to(demo)).read_bytes() == path.read_bytes()


def test_what_nothing_sure_is_known_of_is_left_as_it_is(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", boxes_on="rgb")
    Image.new("L", (160, 120), 7).save(root / "imagesIR/train/a_1.png")
    plan = plan_align(root, workers=1)
    assert plan.facts["moved"] == 0
    assert "1 recording without a sure estimate will be left as they are" in plan.notes
