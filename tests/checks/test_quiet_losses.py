"""What is lost without a fault in any single file: shares taken for px, images gone from a JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fusetrain.checks.audit import audit_path
from fusetrain.cli.app import run

MakePairs = Callable[..., Path]


def converted(path: Path, kind: str) -> Path:
    """Return the folder of the same set in another layout."""
    out = path.parent.parent / kind
    assert run(["prepare", "convert", str(path), "--to", kind, "--out", str(out)]) == 0
    return out


def test_shares_in_xml_are_an_error_and_nothing_else(make_pairs: MakePairs) -> None:
    root = converted(make_pairs(train=14, val=2), "voc")
    for path in root.rglob("*.xml"):
        text = path.read_text(encoding="utf-8")
        shares = re.sub(
            r"(<[xy]m(?:in|ax)>)([\d.]+)", lambda found: f"{found[1]}{float(found[2]) / 640}", text
        )
        path.write_text(shares, encoding="utf-8")
    report = audit_path(root, workers=1)
    assert report.counts == {"L04": 2}
    assert {entry.level for entry in report.findings} == {"error"}
    assert {entry.split for entry in report.findings} == {"train", "val"}


def test_images_that_a_coco_file_names_and_that_are_gone_are_told(make_pairs: MakePairs) -> None:
    root = converted(make_pairs(train=6), "coco")
    for number in (1, 4):
        for path in root.rglob(f"train_{number:03d}.*"):
            path.unlink()
    report = audit_path(root, workers=1)
    assert report.counts == {"L13": 2}
    assert {entry.path for entry in report.findings} == {"annotations/train.json"}
    told = " ".join(entry.message for entry in report.findings)
    assert "train_001" in told
    assert "train_004" in told


def test_an_image_of_a_coco_file_that_lost_its_partner_is_told_once(make_pairs: MakePairs) -> None:
    root = converted(make_pairs(), "coco")
    next(root.glob("infrared/train/train_001.*")).unlink()
    assert audit_path(root, workers=1).counts == {"P01": 1}


@pytest.mark.parametrize("other", ["Person", "PERSON ", "per son"])
def test_names_that_differ_only_in_case_are_told(make_pairs: MakePairs, other: str) -> None:
    path = make_pairs()
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("car]", f"{other!r}]"), encoding="utf-8")
    assert audit_path(path, workers=1).counts == ({} if other == "per son" else {"S05": 1})
