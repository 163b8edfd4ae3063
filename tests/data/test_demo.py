"""The demo on disk: layout, determinism, refusals, planted defects."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from fusetrain.checks.audit import audit_path
from fusetrain.checks.findings import CODES
from fusetrain.config.schema import Config, DataSettings
from fusetrain.data.demo import DemoSummary, demo_pair, split_indices, write_demo
from fusetrain.data.demo_defects import pairs_needed
from fusetrain.data.scenes.kinds import CLASS_NAMES, KINDS
from fusetrain.errors import DataError, ResourceError

WRITE_SLOWLY = """
import sys; from pathlib import Path; from fusetrain.data.demo import write_demo
write_demo(Path(sys.argv[1]), num_pairs=5000)
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> DemoSummary:
    return write_demo(tmp_path_factory.mktemp("demo") / "set", num_pairs=30, seed=3)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> DemoSummary:
    folder = tmp_path_factory.mktemp("demo") / "damaged"
    return write_demo(folder, num_pairs=pairs_needed(), with_defects=True)


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_every_pair_has_two_images_and_a_label_file(written: DemoSummary) -> None:
    stems = {
        folder: sorted(f"{p.parent.name}/{p.stem}" for p in (written.folder / folder).rglob("*.*"))
        for folder in ("images", "imagesIR", "labels")
    }
    assert (written.num_train, written.num_val) == (24, 6)
    assert len(stems["images"]) == 30
    assert stems["images"] == stems["imagesIR"] == stems["labels"]
    assert stems["images"][0] == "train/0000"


def test_images_are_colour_and_grey_of_one_size(written: DemoSummary) -> None:
    for path in (written.folder / "images").rglob("*.jpg"):
        with Image.open(path) as rgb:
            assert (rgb.mode, rgb.size, rgb.format) == ("RGB", (320, 256), "JPEG")
        folder = written.folder / "imagesIR" / path.parent.name
        with Image.open(folder / path.name) as ir:
            assert (ir.mode, ir.size, ir.format) == ("L", (320, 256), "JPEG")


def test_files_hold_what_was_drawn(written: DemoSummary) -> None:
    for index in (0, 7):
        scene = demo_pair(3, index)
        name = f"train/{index:04d}"
        for folder, drawn in (("images", scene.rgb), ("imagesIR", scene.ir)):
            with Image.open(written.folder / folder / f"{name}.jpg") as image:
                difference = np.abs(np.asarray(image).astype(int) - drawn.astype(int))
            assert difference.mean() < 4.0
        rows = np.loadtxt(written.folder / "labels" / f"{name}.txt", ndmin=2)
        low, high = rows[:, 1:3] - rows[:, 3:] / 2, rows[:, 1:3] + rows[:, 3:] / 2
        boxes_xyxy_px = np.hstack([low, high]) * (320, 256, 320, 256)
        assert rows[:, 0].tolist() == scene.classes.tolist()
        assert boxes_xyxy_px == pytest.approx(scene.boxes_xyxy_px, abs=1e-3)


def test_data_yaml_and_train_yaml_are_valid_settings(written: DemoSummary) -> None:
    data = yaml.safe_load((written.folder / "data.yaml").read_text(encoding="utf-8"))
    settings = DataSettings.model_validate(data)
    assert settings.class_names == CLASS_NAMES
    assert (written.folder / str(settings.train)).is_dir()
    assert (written.folder / str(settings.val)).is_dir()
    train = yaml.safe_load((written.folder / "train.yaml").read_text(encoding="utf-8"))
    config = Config.model_validate(train)
    assert (config.data, config.train.imgsz, config.model.fusion) == ("data.yaml", 320, "mid")


def test_same_seed_same_bytes_and_other_seed_other_scenes(
    written: DemoSummary, tmp_path: Path
) -> None:
    first = _digests(written.folder)
    write_demo(tmp_path / "again", num_pairs=30, seed=3)
    write_demo(tmp_path / "other", num_pairs=5, seed=4)
    other = _digests(tmp_path / "other")
    assert _digests(tmp_path / "again") == first
    images = [name for name in other if name.startswith("images")]
    assert len(images) == 10
    assert all(other[name] != first[name] for name in images if name in first)


def test_a_smaller_demo_is_part_of_a_larger_one(written: DemoSummary, tmp_path: Path) -> None:
    write_demo(tmp_path / "small", num_pairs=10, seed=3)
    assert _digests(tmp_path / "small").items() <= _digests(written.folder).items()


@pytest.mark.parametrize("num_pairs", [2, 3, 10, 240, 499, 1250, 1900])
def test_a_fifth_is_for_validation_and_no_names_are_neighbours(num_pairs: int) -> None:
    splits = split_indices(num_pairs)
    assert len(splits["train"]) + len(splits["val"]) == num_pairs
    assert len(splits["val"]) == max(1, round(num_pairs / 5))
    assert splits["val"][0] - splits["train"][-1] > 100


def test_every_kind_is_in_both_splits_and_some_scenes_are_empty() -> None:
    splits = split_indices(240)
    for indices in splits.values():
        assert {demo_pair(0, index).kind for index in indices[:5]} == set(KINDS)
    empty = [index for index in splits["train"] if index % 26 == 25]
    assert 0.03 < len(empty) / 192 < 0.05
    assert all(len(demo_pair(0, index).classes) == 0 for index in empty)
    assert len({demo_pair(0, index).kind for index in empty}) == len(KINDS)


def test_an_empty_scene_has_an_empty_label_file(tmp_path: Path) -> None:
    write_demo(tmp_path / "set", num_pairs=33)
    sizes = {p.stem: p.stat().st_size for p in (tmp_path / "set/labels/train").iterdir()}
    assert [stem for stem, size in sizes.items() if size == 0] == ["0025"]


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "note.txt").write_text("mine")
    (tmp_path / "file").write_text("mine too")
    before = _digests(tmp_path)
    for name in ("used", "file"):
        with pytest.raises(DataError, match=name):
            write_demo(tmp_path / name, num_pairs=2)
    assert _digests(tmp_path) == before


def test_an_empty_folder_and_missing_parents_are_fine(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    inode = (tmp_path / "empty").stat().st_ino
    assert str(write_demo(tmp_path / "empty", num_pairs=2)).startswith("1 training and 1 valid")
    assert (tmp_path / "empty").stat().st_ino == inode
    write_demo(tmp_path / "new" / "deep", num_pairs=2)
    assert _digests(tmp_path / "empty") == _digests(tmp_path / "new" / "deep")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "new"]


@pytest.mark.parametrize("num_pairs", [1, 0, -3])
def test_too_few_pairs_are_refused(num_pairs: int, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 2"):
        write_demo(tmp_path / "set", num_pairs=num_pairs)
    assert list(tmp_path.iterdir()) == []


def test_a_negative_seed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="seed"):
        write_demo(tmp_path / "set", num_pairs=2, seed=-1)


def test_too_few_pairs_for_the_defects_are_refused_with_the_number_needed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"at least {pairs_needed()}"):
        write_demo(tmp_path / "set", num_pairs=pairs_needed() - 1, with_defects=True)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ResourceError, match="cannot be written"):
        write_demo(tmp_path / "file" / "set", num_pairs=2)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_no_data_set(stop: signal.Signals, tmp_path: Path) -> None:
    target = tmp_path / "set"
    process = subprocess.Popen([sys.executable, "-c", WRITE_SLOWLY, target], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".set.partial-*/images/train/0003.jpg")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(stop)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not target.exists()
    if stop == signal.SIGINT:
        assert list(tmp_path.iterdir()) == []
    else:
        (left,) = tmp_path.iterdir()
        assert not (left / "data.yaml").exists()
        write_demo(target, num_pairs=2)


def test_the_generator_needs_no_torch() -> None:
    code = "import sys, fusetrain.data.demo; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_clean_demo_has_no_findings(written: DemoSummary) -> None:
    findings = audit_path(written.folder, workers=1).findings
    assert [(found.code, found.path, found.message) for found in findings] == []


def test_every_planted_defect_is_listed_and_found_where_it_lies(damaged: DemoSummary) -> None:
    listed = json.loads((damaged.folder / "defects.json").read_text(encoding="utf-8"))
    assert listed["schema"] == 1
    planted = {(d["code"], d["path"], d["line"]) for d in listed["defects"]}
    assert planted == {(d.code, d.path, d.line) for d in damaged.defects}
    findings = audit_path(damaged.folder, workers=1).findings
    found = {(found.code, found.path, found.line) for found in findings}
    assert planted <= found
    # The copied pairs are found twice, once in each modality, and a frozen infrared image is the
    # wrong partner of later visible ones; there is nothing else.
    assert {(code, path.partition("/")[0]) for code, path, _ in found - planted} == {
        ("D01", "imagesIR"),
        ("D02", "imagesIR"),
        ("D04", "imagesIR"),
        ("P07", "imagesIR"),
    }


def test_each_defect_has_a_pair_of_its_own(damaged: DemoSummary) -> None:
    stems = Counter(Path(defect.path).stem for defect in damaged.defects)
    assert set(stems.values()) == {1}
    assert {defect.code for defect in damaged.defects} <= set(CODES)
    assert len(damaged.defects) >= 20
