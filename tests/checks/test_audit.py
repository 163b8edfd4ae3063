from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.checks.audit import AuditOptions, audit, audit_path
from fusetrain.checks.findings import CODES
from fusetrain.checks.flow.tasks import Registration
from fusetrain.checks.report import to_json, training_lines
from fusetrain.data.formats.coco_tree import CocoJson
from fusetrain.data.formats.tree import read_split
from fusetrain.data.spec import DataSpec, load_spec
from fusetrain.errors import DataError, UsageError

MakePairs = Callable[..., Path]
DATA = Path(__file__).parents[2] / ".." / "shared" / "data"


@pytest.fixture
def damaged(make_pairs: MakePairs) -> Path:
    """Return a set with one defect each of the kinds P, I, L, D and S."""
    path = make_pairs(train=40, val=3)
    root = path.parent
    (root / "imagesIR/train/train_001.png").unlink()
    data = (root / "images/val/val_002.jpg").read_bytes()
    (root / "images/val/val_002.jpg").write_bytes(data[: len(data) // 2])
    (root / "labels/train/train_002.txt").write_text("0 .5 .5 .1 .1\n0 1.7 .5 .1 .1\n")
    (root / "labels/train/train_003.txt").unlink()
    os.link(root / "images/train/train_005.jpg", root / "images/val/other.jpg")
    (root / "images/val/val_000.jpg").unlink()
    (root / "images/val/other.jpg").rename(root / "images/val/val_000.jpg")
    path.write_text(path.read_text().replace("car]", "car, boat]"))
    return path


def test_each_defect_is_named_with_file_and_line(damaged: Path) -> None:
    report = audit_path(damaged)
    assert [(entry.code, entry.split, entry.path, entry.line) for entry in report.findings] == [
        ("P01", "train", "images/train/train_001.jpg", None),
        ("I02", "val", "images/val/val_002.jpg", None),
        ("L04", "train", "labels/train/train_002.txt", 2),
        ("D04", "val", "images/val/val_000.jpg", None),
        ("L09", "train", "labels/train/train_003.txt", None),
        ("S03", "", "", None),
    ]
    assert report.verdict == "error"
    assert report.counts == {"P01": 1, "I02": 1, "L04": 1, "L09": 1, "D04": 1, "S03": 1}
    assert report.num_pairs == {"train": 39, "val": 3}


def test_number_of_processes_changes_nothing(damaged: Path) -> None:
    assert audit_path(damaged, workers=1).findings == audit_path(damaged, workers=2).findings


def test_nothing_is_written(damaged: Path) -> None:
    def state() -> list[tuple[str, int, str]]:
        return [
            (
                str(path),
                path.stat().st_mtime_ns,
                hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            )
            for path in sorted([damaged.parent, *damaged.parent.rglob("*")])
        ]

    before = state()
    audit_path(damaged)
    assert state() == before


def test_training_is_refused_for_pairs_images_and_labels_only(damaged: Path) -> None:
    report = audit_path(damaged)
    assert [entry.code for entry in report.refusals()] == ["P01", "I02", "L04"]
    assert [entry.code for entry in report.refusals(["L04", "P01"])] == ["I02"]


@pytest.mark.parametrize("code", [code for code, entry in CODES.items() if entry.blocks])
def test_unreadable_files_and_labels_are_never_accepted(damaged: Path, code: str) -> None:
    assert code in ("I01", "I02", "I03", "L01", "L03")
    with pytest.raises(UsageError, match="never accepted"):
        audit_path(damaged, only_splits=["val"]).refusals([code])


def test_unknown_code_is_a_usage_error(make_pairs: MakePairs) -> None:
    with pytest.raises(UsageError, match="no such code"):
        audit_path(make_pairs()).refusals(["P99"])


def test_one_split_can_be_looked_at_alone(damaged: Path) -> None:
    report = audit_path(damaged, only_splits=["train", "train"])
    assert report.num_pairs == {"train": 39}
    assert {entry.split for entry in report.findings} == {"train", ""}
    with pytest.raises(DataError, match="no split 'test'"):
        audit_path(damaged, only_splits=["test"])


@pytest.mark.parametrize(("mode", "total"), [("off", 21), ("sample", 42)])
def test_progress_counts_pairs_and_registrations(
    make_pairs: MakePairs, mode: Registration, total: int
) -> None:
    seen: list[tuple[int, int]] = []
    audit_path(
        make_pairs(train=20, val=1),
        progress=lambda done, total: seen.append((done, total)),
        options=AuditOptions(mode),
    )
    assert seen == sorted(set(seen))
    assert seen[-1] == (total, total)
    assert {every for _, every in seen} == {total}


def test_scans_are_handed_on_to_the_training(make_pairs: MakePairs) -> None:
    report = audit(load_spec(make_pairs(train=3)))
    assert len(report.scans["train"].index) == 3


def test_yaml_that_cannot_be_used_becomes_findings_with_lines(make_pairs: MakePairs) -> None:
    path = make_pairs()
    path.write_text("path: .\ntrain: images/trian\nval: /etc\nnames: [a]\n")
    report = audit_path(path)
    assert [(entry.code, entry.path, entry.line) for entry in report.findings] == [
        ("S04", "data.yaml", 2),
        ("S04", "data.yaml", 3),
    ]
    assert report.refusals() == []
    assert report.verdict == "error"
    with pytest.raises(DataError, match="no such data YAML"):
        audit_path(path.with_name("nothing.yaml"))


def test_value_just_outside_is_a_remark_and_does_not_refuse(make_pairs: MakePairs) -> None:
    path = make_pairs()
    (path.parent / "labels/val/val_000.txt").write_text("0 .5 .5 1.004 .5\n1 .5 .5 .2 .2\n")
    report = audit_path(path)
    assert [(entry.code, entry.level) for entry in report.findings] == [("L04", "info")]
    assert report.verdict == "ok"


def test_sizes_may_differ_within_a_pair_if_the_views_agree(make_pairs: MakePairs) -> None:
    path = make_pairs()
    rng = np.random.Generator(np.random.PCG64(0))
    ir = path.parent / "imagesIR/train/train_000.png"
    Image.fromarray(rng.integers(0, 256, (96, 129), np.uint8)).save(ir)
    assert audit_path(path).findings == ()


def test_orphan_with_a_similar_name_gets_a_hint(make_pairs: MakePairs) -> None:
    path = make_pairs()
    ir = path.parent / "imagesIR/train/train_000.png"
    ir.rename(ir.with_name("train_00.png"))
    messages = [entry.message for entry in audit_path(path).findings]
    assert any("did you mean imagesIR/train/train_00.png" in message for message in messages)


def test_json_lists_every_finding_with_the_agreed_keys(damaged: Path) -> None:
    document = to_json(audit_path(damaged))
    assert set(document) >= {"verdict", "counts", "findings"}
    assert len(document["findings"]) == sum(document["counts"].values()) == 6
    for entry in document["findings"]:
        assert list(entry)[:8] == [
            "code", "level", "split", "path", "line", "message", "numbers", "remedy",
        ]  # fmt: skip


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared development data are not here")
@pytest.mark.parametrize("mode", ["off", pytest.param("all", marks=pytest.mark.slow)])
def test_real_pairs_are_clean(mode: Registration) -> None:
    report = audit_path(DATA / "roadscene-flir", options=AuditOptions(mode))
    assert report.num_pairs == {"train": 86, "val": 27}
    assert [entry for entry in report.findings if entry.level == "error"] == []
    warned = {entry.path for entry in report.findings if entry.level == "warn"}
    assert len(warned) <= 113 // 100


def test_set_without_any_box_is_not_called_ready_for_training(make_pairs: MakePairs) -> None:
    path = make_pairs(train=4, val=2)
    assert "fusetrain train" in training_lines(audit_path(path))[-1]
    for label in (path.parent / "labels/train").iterdir():
        label.unlink()
    report = audit_path(path)
    assert report.verdict == "warn"
    lines = training_lines(report)
    assert "no pair of train has a box" in lines[0]
    assert "add labels" in lines[-1]
    assert not any("fusetrain train " in line for line in lines)


def test_label_files_whose_lines_are_faulty_are_not_called_empty(make_pairs: MakePairs) -> None:
    path = make_pairs(train=6, val=2)
    labels = sorted((path.parent / "labels/train").iterdir())
    for label in labels[:4]:
        label.write_text("0 103 80 20 30\n")
    assert set(audit_path(path).counts) & {"L04", "L10"} == {"L04"}
    for label in labels[:4]:
        label.write_text("")
    assert set(audit_path(path).counts) & {"L04", "L10"} == {"L10"}


def test_class_without_a_name_is_told_by_its_number_alone(make_pairs: MakePairs) -> None:
    path = make_pairs(train=4, val=2)
    path.write_text(path.read_text().replace("[person, car]", '["0", "1", "2", boat]'))
    messages = {e.message for e in audit_path(path).findings if e.code == "S03"}
    assert messages == {"no box has class 2", "no box has class 3 (boat)"}


def test_split_without_any_labels_is_one_finding(make_pairs: MakePairs) -> None:
    path = make_pairs()
    for label in (path.parent / "labels/train").iterdir():
        label.unlink()
    report = audit_path(path, workers=1)
    found = [entry for entry in report.findings if entry.code == "L09"]
    assert [(entry.split, entry.path) for entry in found] == [("train", "")]
    assert "none of the" in found[0].message


def test_names_that_nobody_wrote_are_not_called_unused(make_pairs: MakePairs) -> None:
    path = make_pairs(train=4, val=2)
    for label in (path.parent / "labels").rglob("*.txt"):
        label.write_text("3 .5 .5 .2 .2\n")
    path.write_text(path.read_text().replace("[person, car]", "[a, b, c, d]"))
    assert audit_path(path, workers=1).counts["S03"] == 3
    path.unlink()  # the folder is recognised, and the classes are those that the labels use
    report = audit_path(path.parent, workers=1)
    assert report.scans["train"].index.class_names == ("0", "1", "2", "3")
    assert "S03" not in report.counts


def test_classes_counted_from_one_are_remarked_where_nobody_named_them(
    make_pairs: MakePairs,
) -> None:
    path = make_pairs(train=4, val=2)
    for number, label in enumerate(sorted((path.parent / "labels").rglob("*.txt"))):
        label.write_text(f"{1 + number % 2} .5 .5 .2 .2\n")
    path.unlink()
    (found,) = [e for e in audit_path(path.parent, workers=1).findings if e.code == "S03"]
    assert (found.level, found.message) == (
        "info",
        "classes are numbered 1 to 2, and none is 0: a class too many",
    )


def test_what_was_chosen_when_a_folder_was_recognised_stands_in_the_json(
    make_pairs: MakePairs,
) -> None:
    path = make_pairs(train=4, val=2)
    path.unlink()
    (path.parent / "spare").mkdir()
    for number in range(3):
        Image.new("L", (64, 48)).save(path.parent / "spare" / f"{number}.png")
    report = audit_path(path.parent, workers=1)
    assert any("spare" in note for note in report.notes)
    assert to_json(report)["notes"] == list(report.notes)


def test_a_coco_file_is_read_once_a_check(make_pairs: MakePairs, tmp_path: Path) -> None:
    given = make_pairs(train=4, val=2)
    indexes = [read_split(given, split) for split in ("train", "val")]
    folder = CocoJson().write(indexes, tmp_path / "coco").parent
    (folder / "data.yaml").unlink()  # the folder is recognised by its JSON files
    usual = audit_path(folder, workers=1)

    def delete(spec: DataSpec) -> None:
        for split in spec.splits:
            (folder / f"annotations/{split}.json").unlink()

    report = audit_path(folder, workers=1, opened=delete)
    assert report.findings == usual.findings
    assert [len(report.scans[split].index.boxes) for split in ("train", "val")] == [8, 4]
    assert "L09" in audit_path(folder, workers=1).counts  # now they are gone


def test_training_split_without_a_box_is_an_error(make_pairs: MakePairs) -> None:
    path = make_pairs(train=6, val=2)
    for label in (path.parent / "labels/train").iterdir():
        label.write_text("")
    report = audit_path(path)
    assert [entry.code for entry in report.refusals()] == ["L10"]
    assert "6 of 6 label files hold no box" in report.refusals()[0].message
