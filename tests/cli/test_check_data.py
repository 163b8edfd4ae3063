from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fusetrain.cli.app import run

MakePairs = Callable[..., Path]


def test_clean_set_ends_with_zero(
    make_pairs: MakePairs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check-data", str(make_pairs())]) == 0
    assert "ok: 4 pairs in train, 2 pairs in val; 0 errors" in capsys.readouterr().out


def test_lost_ir_bad_label_and_cut_jpeg_are_each_named_and_end_with_four(
    make_pairs: MakePairs, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_pairs()
    root = path.parent
    (root / "imagesIR/train/train_001.png").unlink()
    (root / "labels/train/train_002.txt").write_text("0 .5 .5 .1 .1\n1 .5 1.4 .1 .1\n")
    data = (root / "images/val/val_000.jpg").read_bytes()
    (root / "images/val/val_000.jpg").write_bytes(data[:-300])
    assert run(["check-data", str(path)]) == 4
    shown = " ".join(capsys.readouterr().out.split())
    for place in (
        "images/train/train_001.jpg",
        "labels/train/train_002.txt:2",
        "images/val/val_000.jpg",
    ):
        assert place in shown


def test_warnings_count_as_errors_only_with_strict(make_pairs: MakePairs) -> None:
    path = make_pairs()
    (path.parent / "labels/train/train_000.txt").unlink()
    assert run(["check-data", str(path)]) == 0
    assert run(["check-data", str(path), "--strict"]) == 4


def test_json_is_the_only_thing_on_stdout(
    make_pairs: MakePairs, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_pairs()
    (path.parent / "imagesIR/val/val_001.png").write_bytes(b"")
    assert run(["check-data", str(path), "--json", "--split", "val", "--workers", "1"]) == 4
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == 1
    assert document["verdict"] == "error"
    assert document["counts"]["I01"] == 1
    assert document["findings"][0]["path"] == "imagesIR/val/val_001.png"


def test_json_names_annotations_that_are_cut_off(
    make_pairs: MakePairs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coco = tmp_path / "coco"
    assert run(["prepare", "convert", str(make_pairs()), "--to", "coco", "--out", str(coco)]) == 0
    cut = coco / "annotations/train.json"
    cut.write_bytes(cut.read_bytes()[:-40])
    capsys.readouterr()
    assert run(["check-data", str(coco), "--json"]) == 4
    document = json.loads(capsys.readouterr().out)
    assert document["counts"] == {"S04": 1}
    (found,) = document["findings"]
    assert found["path"] == "annotations/train.json"
    assert "not valid JSON" in found["message"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["nowhere.yaml"], 4), (["{data}", "--split", "tset"], 4), (["{data}", "--workers", "0"], 2)],
)
def test_wrong_arguments_have_their_exit_codes(
    make_pairs: MakePairs, arguments: list[str], code: int
) -> None:
    data = str(make_pairs())
    assert run(["check-data", *(word.format(data=data) for word in arguments)]) == code


def test_hostile_names_are_printed_as_text(
    make_pairs: MakePairs, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_pairs()
    image = path.parent / "images/train/train_000.jpg"
    (image.parent / "a[").mkdir()
    image.rename(image.parent / "a[" / "red]\x1b]0;title\x07\n.jpg")
    assert run(["check-data", str(path)]) == 4
    shown = capsys.readouterr().out
    assert "a[/red]" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown
