"""What a run leaves to look at: which files, from which pairs, and never at the training's cost."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fusetrain import build
from fusetrain.build import TrainingData
from fusetrain.config.schema import Config
from fusetrain.engine.infer import Validation
from fusetrain.engine.machine import choose_machine
from fusetrain.results.metrics import GroundTruth, ScoredBoxes, evaluate
from fusetrain.results.pictures import PALETTE
from fusetrain.results.run_dir import CSV_COLUMNS, Row, RunDir
from fusetrain.runs import artifacts
from fusetrain.runs.artifacts import (
    TRAIN_PAIRS,
    first_train_batches,
    lr_chart,
    write_end,
    write_start,
)
from fusetrain.runs.batches import BatchSource

START = {"labels.png", "train_batch0.jpg", "train_batch1.jpg", "train_batch2.jpg"}
END = {
    "results.png",
    "lr.png",
    "PR_curve.png",
    "confidence_curves.png",
    "confusion_matrix.png",
    "worst_pairs.json",
    *(f"val_batch{number}_{kind}.jpg" for number in range(2) for kind in ("labels", "pred")),
}
HISTORY: list[Row] = [
    {column: 0.5 for column in CSV_COLUMNS} | {"epoch": epoch, "lr0": 1e-3} for epoch in (1, 2, 3)
]
Prepared = tuple[RunDir, BatchSource, TrainingData]


@pytest.fixture
def prepare(make_pairs: Callable[..., Path], tmp_path: Path) -> Callable[..., Prepared]:
    """Return a function that opens seven 64 x 48 training and three validation pairs."""

    def prepared(**changed: dict[str, Any]) -> Prepared:
        values: dict[str, Any] = {
            "data": str(make_pairs(train=7, val=3)),
            "train": {"epochs": 4, "batch": 1, "imgsz": 64, "device": "cpu", "threads": 1},
        }
        for name, group in changed.items():
            values[name] = values.get(name, {}) | group
        config = Config.model_validate(values)
        machine = choose_machine(
            device="cpu",
            amp=False,
            memory_format="auto",
            threads=1,
            workers=0,
            deterministic=True,
        )
        data = build.open_data(config)
        run = RunDir(tmp_path / "run")
        run.path.mkdir()
        return run, BatchSource(config, data, machine), data

    return prepared


def validation(data: TrainingData, *, share: float = 1.0, shift_px: float = 0.0) -> Validation:
    """Return a validation that found a share of the true boxes, all moved by some pixels."""
    index = data.val
    unit = np.concatenate([index.boxes_cxcywh_unit(row) for row in range(len(index))])
    centres, sides = unit[:, :2] * (64, 48), unit[:, 2:] * (64, 48)
    boxes = np.concatenate((centres - sides / 2, centres + sides / 2), axis=1).astype(float)
    ids = np.repeat(np.arange(len(index)), np.diff(index.box_ends, prepend=0))
    truth = GroundTruth(ids, boxes, index.box_classes)
    kept = slice(0, round(share * len(boxes)))
    found = ScoredBoxes(
        ids[kept], boxes[kept] + shift_px, np.full(len(ids[kept]), 0.9), index.box_classes[kept]
    )
    return Validation(evaluate(truth, found, num_classes=2), (1.0, 1.0, 1.0), found, truth)


def finish(
    run: RunDir,
    source: BatchSource,
    result: Validation | None,
    *,
    history: list[Row] = HISTORY,
    warn: Callable[[str], None] = pytest.fail,
) -> None:
    plan = build.plan_for_pairs(source.config, 7)
    write_end(run, source, plan=plan, history=history, validation=result, warn=warn)


def names(run: RunDir) -> set[str]:
    return {path.name for path in run.path.iterdir()}


def test_start_and_end_write_every_picture_whole(prepare: Callable[..., Prepared]) -> None:
    run, source, data = prepare()
    write_start(run, source, data, warn=pytest.fail)
    assert names(run) == START
    assert not artifacts.has_end_pictures(run)
    finish(run, source, validation(data))
    assert names(run) == START | END
    assert artifacts.has_end_pictures(run)
    for path in sorted(run.path.glob("*.[jp][pn]g")):
        with Image.open(path) as image:
            image.load()
            assert min(image.size) > 250


def test_start_leaves_the_training_as_it_would_have_been(prepare: Callable[..., Prepared]) -> None:
    run, source, data = prepare(augment={"mosaic": 0.5, "ir_noise": 0.1})
    before = [batch.pixels for batch in source.train(0, 0)]
    states = (torch.get_rng_state(), random.getstate(), str(np.random.get_state()))
    write_start(run, source, data, warn=pytest.fail)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (random.getstate(), str(np.random.get_state()))
    after = [batch.pixels for batch in source.train(0, 0)]
    assert all(torch.equal(one, two) for one, two in zip(before, after, strict=True))


@pytest.mark.parametrize("close_mosaic", [0, 4])
@pytest.mark.parametrize("batch", [2, 7])
def test_shown_pairs_are_those_that_the_network_sees_first(
    prepare: Callable[..., Prepared], batch: int, close_mosaic: int
) -> None:
    _, source, _ = prepare(
        train={"batch": batch}, augment={"mosaic": 1.0, "close_mosaic": close_mosaic}
    )
    shown = list(first_train_batches(source))
    assert len(shown) == min(3, -(-7 // batch))
    for ours, real in zip(shown, source.train(0, 0), strict=False):
        assert torch.equal(ours.pixels, real.pixels[:TRAIN_PAIRS])
        assert torch.equal(ours.boxes_xyxy_px, real.boxes_xyxy_px[:TRAIN_PAIRS])


def test_pictures_of_the_start_are_not_made_twice(prepare: Callable[..., Prepared]) -> None:
    run, source, data = prepare()
    write_start(run, source, data, warn=pytest.fail)
    stamps = {path: path.stat().st_mtime_ns for path in run.path.iterdir()}
    (run.path / "labels.png").unlink()
    write_start(run, source, data, warn=pytest.fail)
    assert names(run) == START
    for path, stamp in stamps.items():
        assert (path.stat().st_mtime_ns == stamp) == (path.name != "labels.png")


def test_detections_are_drawn_where_the_labels_are(prepare: Callable[..., Prepared]) -> None:
    run, source, data = prepare()
    for shift_px, is_equal in ((0.0, True), (6.0, False)):
        finish(run, source, validation(data, shift_px=shift_px))
        sheets = []
        for kind in ("labels", "pred"):
            with Image.open(run.path / f"val_batch0_{kind}.jpg") as image:
                sheets.append(np.asarray(image.convert("L"), np.int16)[-470:, image.width // 2 :])
        apart = np.abs(sheets[0] - sheets[1]) > 60
        assert (apart.mean() < 0.001) == is_equal


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_runs_that_find_little_or_nothing_have_all_pictures(
    prepare: Callable[..., Prepared], share: float
) -> None:
    run, source, data = prepare()
    finish(run, source, validation(data, share=share))
    assert names(run) == END | {"worst_pairs.jpg"}


def test_worst_pairs_are_shown_with_what_is_wrong_and_where_they_are(
    prepare: Callable[..., Prepared],
) -> None:
    run, source, data = prepare()
    finish(run, source, validation(data, share=0.5))
    told = json.loads((run.path / "worst_pairs.json").read_text(encoding="utf-8"))
    paths = data.val.rgb_paths
    assert [(pair["rgb"], pair["missed"], pair["found"]) for pair in told["pairs"]] == [
        (paths[2], 2, 0),
        (paths[1], 1, 1),
    ]
    with Image.open(run.path / "worst_pairs.jpg") as image:
        sheet = np.asarray(image.convert("RGB"), np.int16)
    for pair, dashed in zip(told["pairs"], (2, 1), strict=True):
        left, top, right, bottom = pair["place"]
        shown = sheet[top:bottom, (left + right) // 2 : right]
        is_missed = np.abs(shown - PALETTE[0]).sum(axis=2) < 60
        is_found = np.abs(shown - PALETTE[2]).sum(axis=2) < 60
        assert is_missed.sum() > 100 * dashed
        assert (is_found.sum() > 100) == (pair["found"] > 0)


def test_pairs_without_an_error_leave_no_sheet_of_the_worst(
    prepare: Callable[..., Prepared],
) -> None:
    run, source, data = prepare()
    finish(run, source, validation(data, share=0.5))
    finish(run, source, validation(data))
    assert names(run) == END


def test_end_without_validation_writes_what_needs_none(prepare: Callable[..., Prepared]) -> None:
    run, source, _ = prepare()
    finish(run, source, None, history=[])
    assert names(run) == {"results.png", "lr.png"}


def test_unreadable_pair_costs_its_sheets_and_one_warning(prepare: Callable[..., Prepared]) -> None:
    run, source, data = prepare()
    for row in range(len(data.train)):
        Path(data.train.ir_path(row)).write_bytes(b"no image")
    said: list[str] = []
    write_start(run, source, data, warn=said.append)
    assert names(run) == {"labels.png"}
    assert len(said) == 1
    assert "train_batch0.jpg" in said[0]
    assert "\n" not in said[0]


def test_without_matplotlib_the_sheets_remain(
    prepare: Callable[..., Prepared], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, source, data = prepare()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    said: list[str] = []
    write_start(run, source, data, warn=said.append)
    finish(run, source, validation(data), warn=said.append)
    assert names(run) == {name for name in START | END if not name.endswith(".png")}
    assert len(said) == 2
    assert all("matplotlib" in text for text in said)
    assert all(name in said[1] for name in ("results.png", "lr.png", "PR_curve.png"))


def test_place_that_is_taken_costs_that_picture_alone(prepare: Callable[..., Prepared]) -> None:
    run, source, data = prepare()
    (run.path / "results.png").mkdir()
    said: list[str] = []
    finish(run, source, validation(data), warn=said.append)
    assert names(run) == END
    assert len(said) == 1
    assert "results.png (" in said[0]
    assert "lr.png" not in said[0]


def test_folder_that_is_gone_is_one_warning(prepare: Callable[..., Prepared]) -> None:
    run, source, data = prepare()
    run.path.rmdir()
    said: list[str] = []
    write_start(run, source, data, warn=said.append)
    finish(run, source, validation(data), warn=said.append)
    assert len(said) == 2
    assert not run.path.exists()


class Interrupted(list[Row]):
    """Rows whose reader presses Ctrl-C."""

    def __iter__(self) -> Iterator[Row]:
        raise KeyboardInterrupt


def test_keyboard_interrupt_is_no_failed_picture(prepare: Callable[..., Prepared]) -> None:
    run, source, data = prepare()
    with pytest.raises(KeyboardInterrupt):
        finish(run, source, validation(data), history=Interrupted(HISTORY))
    assert names(run) == set()


def test_lr_chart_shows_the_plan_and_the_log(prepare: Callable[..., Prepared]) -> None:
    _, source, _ = prepare(optim={"groups": {"backbone": 0.1}})
    plan = build.plan_for_pairs(source.config, 7)
    chart = lr_chart(plan, HISTORY, name="exp")
    planned, *groups, logged = chart.lines
    assert list(planned.values) == [plan.lr0 * plan.factor(step) for step in range(28)]
    assert planned.epochs[-1] == chart.num_epochs == 4
    assert [group.label for group in groups] == [
        "pg0 backbone decay, pg1 backbone norm, pg2 backbone bias"
    ]
    assert max(groups[0].values) == pytest.approx(0.1 * plan.lr0)
    assert list(zip(logged.epochs, logged.values, strict=True)) == [(1, 1e-3), (2, 1e-3), (3, 1e-3)]
    assert logged.is_points


def test_lr_chart_of_a_long_run_stays_small_and_keeps_its_ends(
    prepare: Callable[..., Prepared],
) -> None:
    _, source, _ = prepare(train={"epochs": 2000})
    plan = build.plan_for_pairs(source.config, 7)
    history: list[Row] = [{**HISTORY[0], "epoch": epoch} for epoch in range(1, 2001)]
    planned, logged = lr_chart(plan, history, name="exp").lines
    assert len(planned.values) < 1000
    assert (planned.epochs[0], planned.epochs[-1]) == (1 / 7, 2000)
    assert max(planned.values) == plan.lr0
    assert len(logged.values) <= 60
    assert logged.epochs[-1] == 2000
