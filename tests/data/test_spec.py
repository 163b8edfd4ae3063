from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fusetrain.data.spec import Source, load_spec
from fusetrain.errors import DataError

HEAD = "path: .\ntrain: images/train\nval: images/val\nnames: [person, car]\n"


def rewrite(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_yaml_gives_root_splits_and_names(make_pairs: Callable[..., Path]) -> None:
    path = make_pairs()
    spec = load_spec(path)
    assert spec.root == path.parent
    assert spec.class_names == ("person", "car")
    assert spec.thermal == "auto"
    assert spec.splits == {
        name: (Source(f"images/{name}", f"imagesIR/{name}", f"labels/{name}"),)
        for name in ("train", "val")
    }


def test_folder_with_a_yaml_is_read_through_it(make_pairs: Callable[..., Path]) -> None:
    path = make_pairs()
    assert load_spec(path.parent) == load_spec(path)


def test_folder_without_yaml_is_recognised_by_its_layout(make_pairs: Callable[..., Path]) -> None:
    path = make_pairs()
    path.unlink()
    spec = load_spec(path.parent)
    assert set(spec.splits) == {"train", "val"}
    assert spec.class_names == ("0", "1")


def test_yaml_of_a_folder_may_be_in_capitals(make_pairs: Callable[..., Path]) -> None:
    path = make_pairs()
    path.rename(path.with_name("DATA.YAML"))
    assert load_spec(path.parent).class_names == ("person", "car")


def test_yaml_of_another_name_is_told(make_pairs: Callable[..., Path]) -> None:
    path = make_pairs()
    path.rename(path.with_name("dataset.yaml"))
    path.with_name("train.yaml").write_text("data: .\ntrain: {epochs: 3}\n", encoding="utf-8")
    found = load_spec(path.parent)
    assert not found.names_are_given
    assert found.layout.notes == ("dataset.yaml is not read: call it data.yaml, or give its path",)


def test_root_that_contains_the_component_is_harmless(
    make_pairs: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    spec = load_spec(make_pairs("images/images"))
    assert spec.root == tmp_path / "images" / "images"
    assert spec.splits["train"][0].ir_folder == "imagesIR/train"


def test_root_is_relative_to_the_yaml_and_may_lie_outside(
    make_pairs: Callable[..., Path], tmp_path: Path
) -> None:
    root = make_pairs().parent
    (tmp_path / "lists").mkdir()
    spec = load_spec(
        rewrite(tmp_path / "lists" / "d.yaml", HEAD.replace("path: .", "path: ../set"))
    )
    assert spec.root == root
    spec = load_spec(
        rewrite(tmp_path / "lists" / "d.yaml", HEAD.replace("path: .", f"path: {root}"))
    )
    assert spec.root == root


def test_other_components_and_split_first_layout_are_understood(tmp_path: Path) -> None:
    for part in ("rgb", "ir", "ann"):
        (tmp_path / "train" / part).mkdir(parents=True)
    text = "train: train\nir: {rgb: ir}\nlabels: {rgb: ann}\nnames: [a]\n"
    spec = load_spec(rewrite(tmp_path / "data.yaml", text))
    assert spec.splits == {"train": (Source("train/rgb", "train/ir", "train/ann"),)}


def test_list_of_folders_and_list_file_become_sources(make_pairs: Callable[..., Path]) -> None:
    path = make_pairs()
    (path.parent / "some.txt").write_text(
        "./images/val/val_001.jpg\n\nimages/train/train_000.jpg\n"
    )
    text = HEAD.replace("train: images/train", "train: [images/train, images/val]")
    spec = load_spec(rewrite(path, text.replace("val: images/val", "val: some.txt")))
    assert [source.rgb_folder for source in spec.splits["train"]] == ["images/train", "images/val"]
    assert [source.names for source in spec.splits["val"]] == [
        ("val_001.jpg",),
        ("train_000.jpg",),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", "auto"),
        ("raw", "raw"),
        ("percentile", "percentile"),
        ("{range: [7000, 9000]}", (7000.0, 9000.0)),
    ],
)
def test_thermal_policy_is_kept(
    make_pairs: Callable[..., Path], text: str, expected: str | tuple[float, float]
) -> None:
    path = make_pairs()
    assert load_spec(rewrite(path, f"{HEAD}thermal: {text}\n")).thermal == expected


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("names:", "name:", ":4:1", "names"),
        ("[person, car]", "[person, person]", "", "differ"),
        ("images/val", "images/vla", ":3:1", "'images/vla' is neither a folder nor a .txt"),
        ("images/val", "/etc", ":3:1", "below the root"),
        ("images/val", "../set/images/val", ":3:1", "below the root"),
        ("images/val", "labels/val", ":3:1", "no component 'images'"),
        ("names:", "label_source: union\nnames:", ":4:1", "label_source 'union'"),
        ("names:", "ir: {images: ../x}\nnames:", ":4:1", "two names of folders"),
        ("names:", "ir: {images: nowhere}\nnames:", ":3:1", "no infrared folder"),
        ("names:", "ir: {images: images}\nnames:", ":3:1", "no component that `ir:` replaces"),
        ("path: .", "path: nowhere", ":1:1", "not a folder"),
        ("train: images/train\nval: images/val\n", "", "", "none of train, val and test"),
        ("train:", "train: a\ntrain:", ":3:1", "duplicate key"),
    ],
)
def test_fault_of_the_yaml_is_a_data_error_with_its_place(
    make_pairs: Callable[..., Path], old: str, new: str, place: str, words: str
) -> None:
    path = rewrite(make_pairs(), HEAD.replace(old, new))
    with pytest.raises(DataError) as caught:
        load_spec(path)
    assert caught.value.exit_code == 4
    assert f"{path}{place}" in str(caught.value)
    assert words in str(caught.value)


def test_all_faults_are_reported_at_once(make_pairs: Callable[..., Path]) -> None:
    path = rewrite(make_pairs(), HEAD.replace("images/", "pictures/") + "label_source: ir\n")
    with pytest.raises(DataError, match="3 faults") as caught:
        load_spec(path)
    assert len(caught.value.problems) == 3


def test_list_and_folder_written_with_backslashes_are_understood(
    make_pairs: Callable[..., Path],
) -> None:
    path = make_pairs(train=3, val=2)
    names = sorted(file.name for file in (path.parent / "images/train").iterdir())
    (path.parent / "train.txt").write_text("".join(f".\\images\\train\\{n}\r\n" for n in names))
    text = path.read_text(encoding="utf-8").replace("train: images/train", "train: train.txt")
    path.write_text(text.replace("images/val", "images\\val"), encoding="utf-8")
    spec = load_spec(path)
    assert [source.names for source in spec.sources("train")] == [tuple(names)]
    assert [source.rgb_folder for source in spec.sources("val")] == ["images/val"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/etc/hostname", "below the root"),
        ("../outside.jpg", "below the root"),
        ("..\\outside.jpg", "below the root"),
        ("images/train/../../../outside.jpg", "below the root"),
        ("images/train/link.jpg", "through a link"),
        ("images/train/fifo.jpg", "not a file"),
        ("images/train/missing.jpg", "not a file"),
        ("labels/train/train_000.txt", "no component that `ir:` replaces"),
    ],
)
@pytest.mark.fault(40)
def test_unsafe_list_entry_is_refused_with_its_line(
    make_pairs: Callable[..., Path], tmp_path: Path, line: str, words: str
) -> None:
    path = make_pairs()
    folder = path.parent / "images" / "train"
    (tmp_path / "outside.jpg").write_bytes(b"x")
    (folder / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    os.mkfifo(folder / "fifo.jpg")
    (path.parent / "list.txt").write_text(f"images/train/train_000.jpg\n{line}\n")
    with pytest.raises(DataError) as caught:
        load_spec(rewrite(path, HEAD.replace("images/train", "list.txt")))
    assert words in str(caught.value)
    if "component" not in words:
        assert f"{path.parent / 'list.txt'}:2" in str(caught.value)


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_path_that_is_no_data_set_is_a_data_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        load_spec(tmp_path / name)
    assert caught.value.where == str(tmp_path / name)


def test_unknown_split_names_the_known_ones(make_pairs: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="no split 'test'") as caught:
        load_spec(make_pairs()).sources("test")
    assert caught.value.expected == "one of train, val"


def test_training_config_given_as_data_set_is_told_as_such(tmp_path: Path) -> None:
    path = rewrite(tmp_path / "train.yaml", "data: set/data.yaml\ntrain: {epochs: 3}\n")
    with pytest.raises(DataError, match="a training config, not a data YAML") as caught:
        load_spec(path)
    assert caught.value.where == f"{path}:1:1"
    assert "set/data.yaml" in caught.value.expected
    assert not caught.value.problems
