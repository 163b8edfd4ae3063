"""`val` with questions: modalities blank or moved, parts of the pairs, two detectors together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from fusetrain.cli.app import run

Capture = pytest.CaptureFixture[str]
RUN, BEST = "runs/exp", "runs/exp/weights/best.safetensors"


def asked(capsys: Capture, *words: str) -> dict[str, Any]:
    assert run(["val", RUN, "--json", *words]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def rewritten(home: Path, name: str, **changed: object) -> Path:
    """Write the best weights again with other metadata; None takes a part of it away."""
    with safe_open(home / BEST, framework="pt") as opened:
        metadata = opened.metadata()
        tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    for key, value in changed.items():
        metadata.pop(key)
        if value is not None:
            metadata[key] = json.dumps(value)
    save_file(tensors, home / name, metadata=metadata)
    return home / name


def test_every_question_has_its_row_and_the_scores_stay(home: Path, capsys: Capture) -> None:
    plain = asked(capsys)
    words = ("--blank", "ir", "--shift", "2.5", "--by", "size,class,day,night")
    report = asked(capsys, *words)
    assert report["metrics"] == plain["metrics"]
    assert [row["name"] for row in report["conditions"]] == [
        "as it is",
        "ir blank",
        *(f"ir 2.5 px {way}" for way in ("right", "left", "down", "up")),
        "ir 2.5 px, mean of 4",
    ]
    assert report["conditions"][0]["mAP50"] == report["metrics"]["mAP50"]
    moved = [row["mAP50"] for row in report["conditions"][2:6]]
    assert report["conditions"][6]["mAP50"] == pytest.approx(np.mean(moved))
    assert [(part["by"], part["name"]) for part in report["parts"]] == [
        ("size", "small"),
        ("size", "medium"),
        ("size", "large"),
        ("class", "person"),
        ("class", "car"),
        ("day", "day"),
        ("night", "night"),
    ]
    assert (plain["conditions"], plain["parts"]) == ([], [])


def test_night_is_told_from_the_visible_image(home: Path, capsys: Capture) -> None:
    path = home / "set/images/val/val_001.jpg"
    Image.fromarray(np.asarray(Image.open(path)) // 6).save(path)
    rows = {part["by"]: part for part in asked(capsys, "--by", "night,day")["parts"]}
    assert (rows["day"]["pairs"], rows["night"]["pairs"]) == (1, 1)


def test_json_holds_curves_and_confusions(home: Path, capsys: Capture) -> None:
    report = asked(capsys)
    curves = report["curves"]
    assert [entry["name"] for entry in curves["classes"]] == ["person", "car"]
    for entry in curves["classes"]:
        for key in ("precision", "recall", "f1"):
            assert len(entry[key]) == len(curves["confidence"])
        assert len(entry["precision_at_recall"]) == len(curves["recall_levels"]) == 101
        assert len(entry["miss_rate_at_fppi"]) == len(curves["fppi"]) == 9
    assert curves["confidence"][0] == 0.0
    assert curves["confidence"][-1] == 1.0
    counts = np.array(report["confusion"]["counts"])
    assert counts.shape == (3, 3)
    assert counts[:2].sum() == sum(entry["boxes"] for entry in report["classes"])
    rates = [entry["MR-2"] for entry in report["classes"]]
    assert report["metrics"]["MR-2"] == pytest.approx(np.mean(rates))
    assert report["metrics"]["MR-2-reasonable"] is None  # no box is 55 px high


def test_tables_have_the_rows(home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["val", RUN, "--blank", "rgb", "--by", "size", "--out", "figures"]) == 0
    out = capsys.readouterr().out
    for word in ("MR^-2", "rgb blank", "small", "large", "as it is"):
        assert word in out
    assert max(map(len, out.splitlines()[:10])) <= 80
    assert sorted(path.name for path in (home / "figures").iterdir()) == [
        "PR_curve.png",
        "confidence_curves.png",
        "confusion_matrix.png",
        "miss_rate.png",
    ]


def test_all_wrong_questions_are_told_at_once(home: Path, capsys: Capture) -> None:
    assert run(["val", RUN, "--blank", "uv", "--shift=-1", "--by", "day,dawn"]) == 2
    err = capsys.readouterr().err
    for word in ("--blank uv", "--shift -1", "--by dawn"):
        assert word in err


def test_detector_joined_with_itself_finds_the_same_boxes(home: Path, capsys: Capture) -> None:
    report = asked(capsys, "--with", BEST)
    assert report["with"] == BEST
    assert report["losses"] == {"box": None, "cls": None, "dfl": None}
    alone = asked(capsys)
    assert report["metrics"]["mAP50"] == pytest.approx(alone["metrics"]["mAP50"], abs=0.02)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["person", "truck"], ("class 'car' is missing", "class 'truck' is not in the first")),
        (["car", "person"], ("another order of classes", "order: car, person")),
    ],
)
def test_partner_of_other_classes_exits_5(
    home: Path, capsys: Capture, names: list[str], words: tuple[str, ...]
) -> None:
    rewritten(home, "other.safetensors", class_names=names)
    assert run(["val", RUN, "--with", "other.safetensors"]) == 5
    err = " ".join(line.strip("│ ") for line in capsys.readouterr().err.splitlines())
    assert all(word in err for word in words)


def test_losses_have_the_gains_of_the_training(home: Path, capsys: Capture) -> None:
    own = asked(capsys)["losses"]
    gains = {"box": 15.0, "cls": 0.5, "dfl": 3.0, "label_smoothing": 0.0}
    rewritten(home, "twice.safetensors", training=gains)
    rewritten(home, "silent.safetensors", training=None)
    data = ("--data", "set/data.yaml")
    for name, factors in (("twice", (2, 1, 2)), ("silent", (1, 1, 1))):
        assert run(["val", f"{name}.safetensors", *data, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["losses"]
        for key, factor in zip(("box", "cls", "dfl"), factors, strict=True):
            assert found[key] == pytest.approx(factor * own[key])


def test_shift_of_a_single_visible_detector_changes_nothing(home: Path, capsys: Capture) -> None:
    config = (home / "train.yaml").read_text().replace("width: 0.25", "width: 0.25, fusion: rgb")
    (home / "rgb.yaml").write_text(config.replace("epochs: 2", "epochs: 1"))
    assert run(["train", "--config", "rgb.yaml", "--name", "rgb"]) == 0
    capsys.readouterr()
    assert run(["val", "runs/rgb", "--json", "--shift", "9", "--blank", "ir"]) == 0
    rows = json.loads(capsys.readouterr().out)["conditions"]
    scores = [{key: value for key, value in row.items() if key != "name"} for row in rows]
    assert scores == [scores[0]] * 7


def test_what_is_not_judged_is_told(home: Path, capsys: Capture) -> None:
    assert asked(capsys)["notes"] == []
    (home / "set/imagesIR/val/val_001.png").unlink()
    with (home / "set/labels/val/val_000.txt").open("a", encoding="ascii") as file:
        file.write("7 .5 .5 .1 .1\n")
    notes = asked(capsys)["notes"]
    assert len(notes) == 2
    assert "1 image without partner, such as images/val/val_001.jpg" in notes[0]
    assert "1 faulty label (1 L02)" in notes[1]
    assert run(["val", RUN]) == 0
    assert capsys.readouterr().err.count("note: not judged") == 2


def test_infrared_that_the_weights_can_hardly_see_is_told(home: Path, capsys: Capture) -> None:
    for path in sorted((home / "set/imagesIR/val").iterdir()):
        counts = np.asarray(Image.open(path)).astype(np.uint16) * 2 + 29000
        Image.fromarray(counts).save(path)
    (note,) = asked(capsys)["notes"]
    assert "of 256 levels" in note
    capsys.readouterr()
    given = ["--rgb", "set/images/val", "--ir", "set/imagesIR/val", "--out", "found"]
    assert run(["predict", RUN, *given]) == 0
    assert "note: infrared is not as in training" in capsys.readouterr().err
