"""`val` and `predict` as a user meets them: weights of every kind, good and bad, and odd images."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from fusetrain.cli.app import run
from fusetrain.inference.judging import validate_weights
from fusetrain.inference.predicting import Wanted
from fusetrain.inference.predicting import predict as predict_pairs

from ..coco_judge import assert_equal_to_the_judge

Capture = pytest.CaptureFixture[str]
RUN, BEST = "runs/exp", "runs/exp/weights/best.safetensors"
FOLDERS = ("--rgb", "set/images/val", "--ir", "set/imagesIR/val")


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture
def refused(home: Path, capsys: Capture) -> Callable[..., str]:
    """Return a function that expects one panel, an exit code and untouched files."""

    def check(*words: object, code: int) -> str:
        before = files(home)
        assert run([str(word) for word in words]) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("╭") == 1, err
        assert "bug in fusetrain" not in err
        assert files(home) == before
        return " ".join(line.strip("│ ") for line in err.splitlines())

    return check


@pytest.mark.parametrize("weights", [RUN, "runs/latest", "runs/exp/weights/last.pt", BEST])
def test_val_takes_a_run_and_each_of_its_files(home: Path, weights: str, capsys: Capture) -> None:
    assert run(["val", weights, "--json"]) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert err == ""
    assert next(iter(report)) == "schema"
    assert (report["split"], report["pairs"]) == ("val", 2)
    assert [entry["name"] for entry in report["classes"]] == ["person", "car"]
    assert 0.0 <= report["metrics"]["mAP50-95"] <= report["metrics"]["mAP50"] <= 1.0


def test_val_repeats_what_the_training_found_for_its_best_epoch(
    home: Path, capsys: Capture
) -> None:
    header, *lines = (home / RUN / "results.csv").read_text().splitlines()
    rows = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]
    best = max(float(row["metrics/mAP50-95(B)"]) for row in rows)
    assert run(["val", RUN, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["metrics"]["mAP50-95"]
    assert found == pytest.approx(best, rel=1e-4)


def test_val_judges_what_a_run_finds_as_pycocotools_does(home: Path) -> None:
    found = validate_weights(home / RUN, data=None, split="train").result
    assert len(found.found.scores) > len(found.truth.classes) > 0
    assert_equal_to_the_judge(found.truth, found.found, num_classes=2)


def test_val_prints_a_table_of_all_classes(home: Path, capsys: Capture) -> None:
    assert run(["val", RUN, "--split", "train"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if line.strip()][2:5] == [
        "all",
        "person",
        "car",
    ]
    assert "train: 4 pairs" in out


def test_val_follows_a_pointer_that_is_a_text_file(home: Path, capsys: Capture) -> None:
    (home / "runs" / "latest").unlink()
    (home / "runs" / "latest").write_text("exp\n")
    assert run(["val", "runs/latest", "--json"]) == 0
    capsys.readouterr()


def test_val_of_lone_weights_asks_for_the_data_set(home: Path, refused: Callable[..., str]) -> None:
    shutil.copy(home / BEST, home / "alone.safetensors")
    assert "--data DATA" in refused("val", "alone.safetensors", code=5)


def test_val_refuses_other_classes_and_splits(home: Path, refused: Callable[..., str]) -> None:
    (home / "other.yaml").write_text(
        "path: set\ntrain: images/train\nval: images/val\nnames: [a]\n"
    )
    text = refused("val", RUN, "--data", "other.yaml", code=4)
    assert "those of the weights: person, car" in text
    assert "one of train, val" in refused("val", RUN, "--split", "test", code=4)


@pytest.mark.parametrize("command", ["val", "predict"])
@pytest.mark.parametrize("path", ["nowhere", "set", "train.yaml", "runs"])
def test_what_holds_no_weights_exits_5(
    refused: Callable[..., str], command: str, path: str
) -> None:
    refused(command, path, *(FOLDERS if command == "predict" else ()), code=5)


@pytest.mark.parametrize("size", [0, 7, 200, -9])
@pytest.mark.parametrize("name", ["best.safetensors", "last.pt"])
def test_truncated_weights_exit_5(
    home: Path, refused: Callable[..., str], name: str, size: int
) -> None:
    path = home / RUN / "weights" / name
    path.write_bytes(path.read_bytes()[:size])
    assert name in refused("val", path, code=5)


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("sentinel",)


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(value)])
def test_code_in_weights_is_never_run(
    home: Path, refused: Callable[..., str], save: Callable[[Any, Path], None]
) -> None:
    value = Payload() if save is torch.save else pickle.dumps(Payload())
    save(value, home / "evil.pt")
    assert "cannot be read as weights" in refused("val", "evil.pt", "--data", "set", code=5)
    assert not (home / "sentinel").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "none"),
        ("kind", "os:system"),
        ("backbone", "os:system"),
        ("operator", "subprocess:run"),
        ("size", "q"),
        ("width", 1e9),
        ("width", -1.0),
        ("width", "1"),
        ("num_classes", 5),
        ("new", 1),
    ],
)
def test_weights_that_describe_another_detector_exit_5(
    home: Path, refused: Callable[..., str], field: str, value: object
) -> None:
    with safe_open(home / BEST, framework="pt") as opened:
        metadata = opened.metadata()
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    metadata["detector"] = json.dumps(json.loads(metadata["detector"]) | {field: value})
    save_file(tensors, home / "other.safetensors", metadata=metadata)
    refused("val", "other.safetensors", "--data", "set", code=5)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"imgsz": "[]"}])
def test_foreign_safetensors_exit_5(
    home: Path, refused: Callable[..., str], metadata: dict[str, str] | None
) -> None:
    save_file({"weight": torch.zeros(3)}, home / "foreign.safetensors", metadata=metadata)
    refused("val", "foreign.safetensors", "--data", "set", code=5)


def test_predict_writes_pictures_results_and_text(home: Path, capsys: Capture) -> None:
    assert run(["predict", RUN, *FOLDERS, "--out", "out", "--conf", "0.001", "--txt"]) == 0
    assert "2 pairs" in capsys.readouterr().err
    stems = ["val_000", "val_001"]
    assert sorted(files(home / "out")) == sorted(
        ["predictions.json", *(f"{stem}.{suffix}" for stem in stems for suffix in ("png", "txt"))]
    )
    with Image.open(home / "out" / "val_000.png") as picture:
        assert picture.size[0] > 2 * picture.size[1]
    results = json.loads((home / "out" / "predictions.json").read_text())
    lines = [
        line.split()
        for stem in stems
        for line in (home / "out" / f"{stem}.txt").read_text().splitlines()
    ]
    assert len(results) == len(lines) > 0
    for result, (number, cx, cy, width, height, score) in zip(results, lines, strict=True):
        left, top, box_width, box_height = result["bbox"]
        assert result["category_id"] == int(number)
        assert result["score"] == pytest.approx(float(score), abs=1e-6)
        centre = ((left + box_width / 2) / 64, (top + box_height / 2) / 48)
        assert centre == pytest.approx((float(cx), float(cy)), abs=1e-3)
        assert (box_width / 64, box_height / 48) == pytest.approx(
            (float(width), float(height)), abs=1e-3
        )
        assert 0 <= left <= left + box_width <= 64
        assert 0 <= top <= top + box_height <= 48


def test_predict_again_replaces_its_own_results(home: Path, capsys: Capture) -> None:
    words = ["predict", RUN, *FOLDERS, "--out", "out"]
    assert run(words) == 0
    first = files(home / "out")
    assert run(words) == 0
    assert files(home / "out") == first
    capsys.readouterr()


def test_predict_never_writes_over_a_data_set(home: Path, refused: Callable[..., str]) -> None:
    for folder in ("set/images/val", "set/imagesIR/val"):
        assert "hold" in refused("predict", RUN, *FOLDERS, "--out", folder, code=2)
    assert "val_000.txt" in refused(
        "predict", RUN, *FOLDERS, "--out", "set/labels/val", "--txt", code=2
    )


def test_predict_on_one_pair_of_other_sizes_and_16_bits(home: Path, capsys: Capture) -> None:
    rng = np.random.Generator(np.random.PCG64(0))
    Image.fromarray(rng.integers(0, 256, (90, 120, 3), np.uint8)).save(home / "day 1.jpg")
    Image.fromarray(rng.integers(0, 65_536, (30, 40), np.uint16)).save(home / "heat.png")
    pair = ("--rgb", "day 1.jpg", "--ir", "heat.png")
    assert run(["predict", RUN, *pair, "--out", "out"]) == 0
    err = capsys.readouterr().err
    assert "1 pair," in err
    assert "note" not in err
    assert sorted(files(home / "out")) == ["day 1.png", "predictions.json"]


def test_predict_says_what_it_leaves_out_and_stretches(home: Path, capsys: Capture) -> None:
    (home / "set/imagesIR/val/val_000.png").unlink()
    Image.new("L", (20, 60)).save(home / "set/imagesIR/val/val_001.png")
    assert run(["predict", RUN, *FOLDERS, "--out", "out \x1b[31m[red]"]) == 0
    err = capsys.readouterr().err
    assert "left out: 1 image without one partner (first: set/images/val/val_000.jpg)" in err
    assert "1 infrared image of another aspect ratio" in err
    assert "\x1b" not in err
    assert "out \\x1b[31m[red]" in err


@pytest.mark.parametrize(
    ("rgb", "ir", "words"),
    [
        ("nowhere", "set/imagesIR/val", "no such image or folder"),
        ("set/images/val/val_000.jpg", "set/imagesIR/val", "one of --rgb and --ir is a file"),
        ("set/images/val", "set/imagesIR/train", "share no pair"),
        ("train.yaml", "train.yaml", "not an image"),
    ],
)
def test_pairs_that_cannot_be_exit_4(
    refused: Callable[..., str], rgb: str, ir: str, words: str
) -> None:
    assert words in refused("predict", RUN, "--rgb", rgb, "--ir", ir, "--out", "out", code=4)


def test_one_unreadable_image_leaves_nothing_half_made(
    home: Path, refused: Callable[..., str]
) -> None:
    path = home / "set/images/val/val_001.jpg"
    path.write_bytes(path.read_bytes()[:600])
    assert "val_001.jpg" in refused("predict", RUN, *FOLDERS, "--out", "out", code=4)
    assert not (home / "out").exists()


def test_special_file_is_no_image(home: Path, refused: Callable[..., str]) -> None:
    os.mkfifo(home / "pipe")
    refused("predict", RUN, "--rgb", "pipe", "--ir", "pipe", code=4)


@pytest.mark.parametrize("flag", ["--conf", "--iou"])
@pytest.mark.parametrize("value", ["7", "-0.1", "nan", "high"])
def test_threshold_out_of_range_exits_2(refused: Callable[..., str], flag: str, value: str) -> None:
    assert flag in refused("predict", RUN, *FOLDERS, f"{flag}={value}", code=2)


def test_file_in_place_of_the_output_folder_exits_6(
    home: Path, refused: Callable[..., str]
) -> None:
    (home / "out").write_text("")
    told = refused("predict", RUN, *FOLDERS, "--out", "out", code=6)
    assert "--out out is a file, not a folder" in told


def test_progress_counts_every_pair_once(home: Path) -> None:
    told: list[tuple[int, int]] = []
    folders = {"rgb": home / "set/images/train", "ir": home / "set/imagesIR/train"}
    done = predict_pairs(
        home / RUN,
        **folders,
        out=home / "out",
        wanted=Wanted(confidence=0.001),
        progress=lambda done, total: told.append((done, total)),
    )
    assert told[-1] == (4, 4)
    assert (done.num_images, done.what) == (4, "pair")
    results = json.loads((home / "out/predictions.json").read_text())
    assert len(results) == done.num_objects
    assert {Path(row["file_name"]).name for row in results} <= {
        f"train_{row:03d}.jpg" for row in range(4)
    }
