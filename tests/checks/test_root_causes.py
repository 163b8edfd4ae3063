from __future__ import annotations

import shutil
from pathlib import Path

from fusetrain.checks.audit import AuditOptions, audit_path
from fusetrain.checks.findings import finding
from fusetrain.checks.root_causes import without_consequences
from fusetrain.data.demo import write_demo


def test_a_finding_about_a_split_or_a_file_explains_what_follows_from_it() -> None:
    swapped = finding("P05", "all", split="train")
    one_swapped = finding("P05", "one", split="val", path="ir/1.png")
    stranger = finding("P07", "other scene", split="val", path="ir/2.png")
    kept = [
        finding("P10", "colour", split="val", path="ir/3.png"),
        finding("P09", "shifted", split="val", path="ir/1.png"),
        finding("P11", "blank", split="train", path="ir/1.png"),
        finding("P10", "colour", split="test"),
    ]
    dropped = [
        finding("P10", "colour", split="train", path="ir/1.png"),
        finding("P14", "stretched", split="train"),
        finding("P13", "lines", split="val", path="ir/1.png"),
        finding("P09", "shifted", split="val", path="ir/2.png"),
    ]
    causes = [swapped, one_swapped, stranger]
    assert without_consequences([*dropped, *causes, *kept]) == [*causes, *kept]
    assert without_consequences([*dropped, *kept]) == [*dropped, *kept]


def test_swapped_folders_are_one_finding_a_split(tmp_path: Path) -> None:
    write_demo(tmp_path / "demo", num_pairs=10)
    folders = [tmp_path / "demo" / name for name in ("images", "imagesIR")]
    shutil.move(folders[0], tmp_path / "aside")
    shutil.move(folders[1], folders[0])
    shutil.move(tmp_path / "aside", folders[1])
    report = audit_path(tmp_path / "demo", workers=1, options=AuditOptions("off"))
    about_pairs = [(e.code, e.split, e.path) for e in report.findings if e.code[0] == "P"]
    assert about_pairs == [("P05", "train", ""), ("P05", "val", "")]
