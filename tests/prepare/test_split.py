from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.checks.audit import audit_path
from fusetrain.data.index import scan_split
from fusetrain.data.spec import load_spec
from fusetrain.errors import DataError
from fusetrain.prepare.listed import listed_splits
from fusetrain.prepare.plans import Plan
from fusetrain.prepare.split import Wish, plan_split
from fusetrain.prepare.writing import write_plan

MakeSet = Callable[..., Path]


@pytest.fixture
def make_set(tmp_path: Path) -> MakeSet:
    """Return a function that writes textured pairs, named as told, in one split."""

    def make(names: list[str], *, classes: list[int] | None = None, copies: int = 0) -> Path:
        root = tmp_path / "set"
        for folder in ("images/train", "imagesIR/train", "labels/train"):
            (root / folder).mkdir(parents=True)
        for number, name in enumerate(names):
            rng = np.random.default_rng(number % (len(names) - copies))
            rgb = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((64, 48))
            ir = Image.fromarray(rng.integers(0, 256, (6, 8), np.uint8)).resize((64, 48))
            # A copy is stored in another quality, so that only its looks give it away.
            rgb.save(root / f"images/train/{name}.jpg", quality=95 if number < 30 else 80)
            ir.save(root / f"imagesIR/train/{name}.png")
            number_of = classes[number] if classes else 0
            (root / f"labels/train/{name}.txt").write_text(f"{number_of} 0.5 0.5 0.3 0.3\n")
        (root / "data.yaml").write_text("train: images/train\nnames: [a, b, c]\n")
        return root

    return make


def splits_of(plan: Plan) -> dict[str, str]:
    """Return the new split of every visible image by its old name."""
    return {
        Path(file.source).stem: file.target.split("/")[1]
        for file in plan.files
        if file.target.startswith("images/")
    }


NAMES = [f"rec{letter}_{number:04}" for letter in "abcdefghij" for number in range(4)]


def test_recordings_stay_whole_and_shares_are_met(make_set: MakeSet) -> None:
    root = make_set(NAMES)
    plan = plan_split(root, Wish(looks_at_pixels=False))
    found = splits_of(plan)
    for letter in "abcdefghij":
        assert len({found[name] for name in NAMES if name.startswith(f"rec{letter}")}) == 1
    assert plan.num_pairs == {"train": 32, "val": 4, "test": 4}
    assert plan.facts["groups"] == 10


def test_near_duplicates_stay_together(make_set: MakeSet) -> None:
    names = [f"{letter}{letter}{other}x" for letter in "abcdefgh" for other in "klmnop"]
    root = make_set(names, copies=12)
    blind = splits_of(plan_split(root, Wish(looks_at_pixels=False, ratios=(0.5, 0.25, 0.25))))
    seeing = plan_split(root, Wish(ratios=(0.5, 0.25, 0.25)), workers=1)
    found = splits_of(seeing)
    first, copies = names[:12], names[-12:]
    assert any(blind[one] != blind[other] for one, other in zip(first, copies, strict=True))
    assert all(found[one] == found[other] for one, other in zip(first, copies, strict=True))
    assert seeing.facts["groups"] == 36


def test_the_new_set_passes_the_checks_of_leaks(make_set: MakeSet, tmp_path: Path) -> None:
    root = make_set([*NAMES, *(f"copy{letter}" for letter in "abcdefgh")], copies=8)
    write_plan(plan_split(root, Wish(ratios=(0.6, 0.2, 0.2)), workers=1), tmp_path / "new")
    report = audit_path(tmp_path / "new", workers=1)
    assert {code for code in report.counts if code in ("D04", "D05")} == set()
    assert sum(report.num_pairs.values()) == 48


def test_classes_are_shared_out(make_set: MakeSet) -> None:
    names = [f"{letter}{other}" for letter in "abcdefghij" for other in "klmnop"]
    root = make_set(names, classes=[0] * 40 + [1] * 10 + [2] * 10)
    plan = plan_split(root, Wish(looks_at_pixels=False))
    assert plan.facts["splits"]["val"]["boxes"] == {"a": 4, "b": 1, "c": 1}
    assert plan.facts["splits"]["test"]["boxes"] == {"a": 4, "b": 1, "c": 1}


def test_one_recording_cannot_be_split(make_set: MakeSet) -> None:
    root = make_set([f"v_{number:03}" for number in range(30)])
    with pytest.raises(DataError, match="30 pairs form 1 group that") as caught:
        plan_split(root, Wish(looks_at_pixels=False))
    assert "--block" in caught.value.remedy


def test_blocks_cut_a_recording_and_leave_its_neighbours_out(make_set: MakeSet) -> None:
    root = make_set([f"v_{number:03}" for number in range(60)])
    plan = plan_split(root, Wish(looks_at_pixels=False, block=10, ratios=(0.5, 0.3, 0.2)))
    found = splits_of(plan)
    numbers = sorted((int(name[2:]), split) for name, split in found.items())
    for (one, split), (other, next_split) in pairwise(numbers):
        assert split == next_split or other - one >= 3
    assert 50 <= len(found) < 60


def test_blocks_that_leave_nothing_of_a_split_are_refused(make_set: MakeSet) -> None:
    root = make_set([f"v_{number:03}" for number in range(12)])
    with pytest.raises(DataError, match=r"--block 2 leaves nothing of (val|test|val and test):"):
        plan_split(root, Wish(looks_at_pixels=False, block=2))
    plan = plan_split(root, Wish(looks_at_pixels=False, block=4, ratios=(0.5, 0.5, 0.0)))
    assert set(splits_of(plan).values()) == {"train", "val"}


def test_splits_that_are_there_stay(demo: Path) -> None:
    with pytest.raises(DataError, match="has the splits train, val already"):
        plan_split(demo, Wish(looks_at_pixels=False, ratios=(0.8, 0.2, 0.0)))
    plan = plan_split(demo, Wish(looks_at_pixels=False, block=4))
    found = splits_of(plan)
    for path in (demo / "images" / "val").iterdir():
        assert found[path.stem] == "val"
    assert set(plan.num_pairs) == {"train", "val", "test"}
    redone = plan_split(
        demo, Wish(looks_at_pixels=False, block=4, keeps_splits=False, ratios=(0.5, 0.5, 0))
    )
    assert set(redone.num_pairs) == {"train", "val"}


def test_lists_are_obeyed(make_set: MakeSet, tmp_path: Path) -> None:
    root = make_set(NAMES)
    (tmp_path / "my_test.txt").write_text("images/train/reca_0000.jpg\nRECA_0001\nreca_0002.png\n")
    plan = plan_split(root, Wish(looks_at_pixels=False, lists=(tmp_path / "my_test.txt",)))
    found = splits_of(plan)
    assert {name for name, split in found.items() if split == "test"} == {
        "reca_0000",
        "reca_0001",
        "reca_0002",
    }
    assert any("look like, or were recorded with" in note for note in plan.notes)


def test_pairs_that_no_list_names_are_left_out_where_all_splits_are_listed(
    make_set: MakeSet, tmp_path: Path
) -> None:
    root = make_set(NAMES)
    for split, name in (("train", "reca_0000"), ("validation", "recb_0000")):
        (tmp_path / f"{split}.txt").write_text(f"{name}\n\n")
    lists = (tmp_path / "train.txt", tmp_path / "validation.txt")
    plan = plan_split(root, Wish(ratios=(0.9, 0.1, 0.0), looks_at_pixels=False, lists=lists))
    assert plan.num_pairs == {"train": 1, "val": 1}
    assert "38 pairs that no list names will be left out" in plan.notes


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"train.txt": "nobody"}, "is no pair"),
        ({"train.txt": "a1", "val.txt": "A1.png"}, "stands in the list of train too"),
        ({"names.txt": "a1"}, "does not say its split"),
        ({"train.txt": None}, "cannot be read"),
    ],
)
def test_wrong_lists_are_told(tmp_path: Path, files: dict[str, str | None], words: str) -> None:
    for name, text in files.items():
        if text is not None:
            (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        listed_splits([tmp_path / name for name in files], ["a1", "a2"])
    assert words in str(caught.value)


def test_lists_with_words_of_a_modality_are_understood(tmp_path: Path) -> None:
    (tmp_path / "align_train.txt").write_text("FLIR_0002_PreviewData\n")
    found = listed_splits([tmp_path / "align_train.txt"], ["FLIR_0001_RGB", "FLIR_0002_RGB"])
    assert found.tolist() == [-1, 0]


def test_equal_names_of_old_splits_do_not_clash(demo: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(demo, root)
    for part in ("images", "imagesIR"):
        for path in (root / part / "val").iterdir():
            path.rename(path.with_name(f"{int(path.stem) - 1000:04}.jpg"))
    wish = Wish(looks_at_pixels=False, keeps_splits=False, ratios=(0.5, 0.5, 0.0), block=4)
    plan = plan_split(root, wish)
    write_plan(plan, tmp_path / "new")
    counts = {
        split: len(scan_split(load_spec(tmp_path / "new"), split).index)
        for split in ("train", "val")
    }
    assert counts == dict(plan.num_pairs)


def test_the_seed_decides(make_set: MakeSet) -> None:
    root = make_set(NAMES)
    plans = [plan_split(root, Wish(looks_at_pixels=False, seed=seed)) for seed in (1, 1, 2)]
    first, again, other = map(splits_of, plans)
    assert first == again
    assert first != other


def test_dark_scenes_are_shared_out(make_set: MakeSet) -> None:
    names = [f"{letter}{other}" for letter in "abcdefghij" for other in "klmn"]
    root = make_set(names)
    for name in names[:20]:
        path = root / f"images/train/{name}.jpg"
        Image.open(path).point(lambda level: level // 6).save(path, quality=95)
    plan = plan_split(root, Wish(ratios=(0.5, 0.25, 0.25)), workers=1)
    dark = [entry["dark"] for entry in plan.facts["splits"].values()]
    assert dark == pytest.approx([0.5, 0.5, 0.5], abs=0.11)
