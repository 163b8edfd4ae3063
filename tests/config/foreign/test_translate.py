"""Configs of other trainers: every key has a fate, and what comes out is a config of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fusetrain.config.data_schema import DataSettings
from fusetrain.config.foreign.keys import DATA_KEYS, KEYS
from fusetrain.config.foreign.translate import NO_SUCH_KEY, Translation, translate
from fusetrain.config.load import load_config
from fusetrain.config.yaml import dump_yaml, read_yaml, validate
from fusetrain.errors import ConfigError
from fusetrain.rules import config_checks


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Return a function that imports a mapping or the text of a file."""

    def imported(content: dict[str, Any] | str) -> Translation:
        path = tmp_path / "theirs.yaml"
        text = content if isinstance(content, str) else dump_yaml(content)
        path.write_text(text, encoding="utf-8")
        return translate(path, checks=[config_checks])

    return imported


TAKEN = [
    ("model", "weights/yolo11s.pt", {"model": {"size": "s"}}),
    ("model", "yolov8x-dual.yaml", {"model": {"size": "x"}}),
    ("data", "set/data.yaml", {"data": "set/data.yaml"}),
    ("batch", 8, {"train": {"batch": 8}}),
    ("batch", -1, {"train": {"batch": "auto"}}),
    ("batch", 0.7, {"train": {"batch": "auto"}}),
    ("batch-size", 4, {"train": {"batch": 4}}),
    ("imgsz", [480, 640], {"train": {"imgsz": 640}}),
    ("save_period", 5, {"train": {"save_every": {"epochs": 5}}}),
    ("cache", True, {"train": {"cache": "ram"}}),
    ("cache", "disk", {"train": {"cache": "disk"}}),
    ("cache", False, {"train": {"cache": "none"}}),
    ("device", "cpu", {"train": {"device": "cpu"}}),
    ("device", 1, {"train": {"device": "cuda:1"}}),
    ("device", "0,2", {"train": {"devices": [0, 2]}}),
    ("device", [0, 1], {"train": {"devices": [0, 1]}}),
    ("optimizer", "SGD", {"optim": {"name": "sgd"}}),
    ("optimizer", "AdamW", {"optim": {"name": "adamw"}}),
    ("amp", False, {"train": {"amp": False}}),
    ("amp", True, {"train": {"amp": "auto"}}),
    ("compile", "default", {"train": {"compile": True}}),
    ("lr0", 1, {"optim": {"lr0": 1}}),
    ("label_smoothing", 0.1, {"loss": {"label_smoothing": 0.1}}),
    ("hsv_h", 0.01, {"augment": {"hsv_h": 0.01}}),
    ("close_mosaic", 0, {"augment": {"close_mosaic": 0}}),
    ("fuse-type", "middle", {"model": {"fusion": "mid"}}),
    ("fusion_type", "early_fusion", {"model": {"fusion": "data"}}),
    ("task", "detect", {}),
    ("shear", 0.0, {}),
    ("shear", 0, {}),
    ("exist_ok", False, {}),
    ("pretrained", False, {}),
    ("save_period", -1, {}),
    ("freeze", 0, {}),
    ("fraction", 1.0, {}),
]
LEFT = [
    ("task", "segment"),
    ("mode", "train"),
    ("model", "rtdetr.pt"),
    ("time", None),
    ("time", 2.5),
    ("optimizer", "auto"),
    ("optimizer", "RAdam"),
    ("pretrained", True),
    ("device", "mps"),
    ("imgsz", "big"),
    ("cache", "all"),
    ("freeze", 10),
    ("single_cls", True),
    ("rect", True),
    ("fraction", 0.5),
    ("flipud", 0.5),
    ("copy_paste", 0.1),
    ("fusion", "sideways"),
    ("obj", 1.0),
    ("conf", 0.25),
    ("amp", "yes"),
    ("no_such_key", 1),
]


@pytest.mark.parametrize(("key", "value", "settings"), TAKEN)
def test_value_is_taken_over(write: Any, key: str, value: Any, settings: dict[str, Any]) -> None:
    done = write({key: value})
    assert done.settings == settings
    assert done.left == []


@pytest.mark.parametrize(("key", "value"), LEFT)
def test_value_is_left_out_with_a_reason_in_the_file(write: Any, key: str, value: Any) -> None:
    done = write({"patience": 5, key: value})
    assert done.settings == {"train": {"patience": 5}}
    (fate,) = done.left
    assert (fate.key, fate.line, fate.value, fate.values) == (key, 2, value, {})
    assert f"# left out, line 2: {key}: {fate.reason}" in done.to_yaml().splitlines()


def test_key_that_nobody_knows_is_called_that(write: Any) -> None:
    assert write({"epochs": 3, "my_own": 1}).left[0].reason == NO_SUCH_KEY


@pytest.mark.parametrize("name", [*KEYS, *DATA_KEYS])
def test_every_known_key_has_a_fate(write: Any, name: str) -> None:
    base = {"train": "images/train", "val": "images/val", "names": ["person"]}
    content = {**base, name: "images/x"} if name in DATA_KEYS else {name: None}
    if name == "names":
        content = base
    done = write(content)
    assert [fate.key for fate in done.fates] == list(content)
    assert all(fate.values or fate.reason for fate in done.fates)


def test_schedule_has_the_shape_that_it_has_there(write: Any, tmp_path: Path) -> None:
    done = write({"lrf": 0.1, "cos_lr": False, "warmup_epochs": 3.0, "warmup_bias_lr": 0.1})
    assert done.settings["schedule"] == {
        "name": "linear",
        "unit": "epoch",
        "lrf": 0.1,
        "warmup": {
            "epochs": 3.0,
            "bias_lr": 0.1,
            "start": 0.0,
            "align": "start",
            "compose": "overlap",
        },
    }
    assert list(done.settings) == ["schedule"]


def test_rates_that_an_automatic_optimizer_ignores_are_left_out(write: Any) -> None:
    done = write({"optimizer": "auto", "lr0": 0.01, "momentum": 0.9, "weight_decay": 0.001})
    assert done.settings == {"optim": {"weight_decay": 0.001}}
    assert [fate.key for fate in done.left] == ["optimizer", "lr0", "momentum"]


@pytest.mark.parametrize(
    ("batch", "steps"), [({"batch": 16}, 4), ({"batch": 100}, 1), ({"batch": -1}, None), ({}, None)]
)
def test_nominal_batch_is_summed_up(write: Any, batch: dict[str, int], steps: int | None) -> None:
    found = write({"epochs": 3, "nbs": 64, **batch})
    assert found.settings["train"].get("accumulate") == steps
    assert [fate.key for fate in found.left] == ([] if steps else ["nbs"])


def test_gains_of_a_loss_with_anchors_are_left_out(write: Any) -> None:
    done = write({"box": 0.05, "cls": 0.5, "obj": 1.0, "hsv_s": 0.7})
    assert done.settings == {"augment": {"hsv_s": 0.7}}


def test_result_loads_as_a_config_of_ours(write: Any, tmp_path: Path) -> None:
    ours = tmp_path / "ours.yaml"
    ours.write_text(
        write({"epochs": 7, "lr0": 0.02, "optimizer": "SGD", "cos_lr": True, "a\nb": 1}).to_yaml(),
        encoding="utf-8",
    )
    config = load_config(ours, checks=[config_checks]).config
    assert (config.train.epochs, config.optim.name, config.schedule.name) == (7, "sgd", "cosine")


def test_data_yaml_becomes_a_data_yaml_with_the_folder_of_infrared(
    write: Any, tmp_path: Path
) -> None:
    done = write(
        "path: ../llvip\ntrain: visible/train\nval: visible/val\ntrain_ir: infrared/train\n"
        "val_ir: infrared/val\nnc: 1\nnames: {0: person}\ndownload: |\n  import os\n"
    )
    assert done.kind == "data"
    assert done.settings["ir"] == {"visible": "infrared"}
    assert [fate.key for fate in done.left] == ["nc", "download"]
    ours = tmp_path / "ours.yaml"
    ours.write_text(done.to_yaml(), encoding="utf-8")
    assert validate(DataSettings, read_yaml(ours), what="data YAML").class_names == ("person",)


@pytest.mark.parametrize("infrared", ["infrared/night/train", "infrared/val", "images/train"])
def test_infrared_folder_that_is_no_swap_of_one_name_is_left_out(write: Any, infrared: str) -> None:
    done = write({"train": "images/train", "val": "v", "train_ir": infrared, "names": ["a"]})
    assert "ir" not in done.settings
    assert [fate.key for fate in done.left] == ["train_ir"]


def test_all_impossible_values_are_told_at_once_with_their_places(write: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        write("epochs: 0\npatience: 3\nimgsz: 8\nscale: 1.5\n")
    places = [problem.where.rpartition("theirs.yaml")[2] for problem in caught.value.problems]
    assert sorted(places) == [":1:1", ":3:1", ":4:1"]


def test_name_that_cannot_be_a_run_folder_is_told_with_its_place(write: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        write({"epochs": 3, "name": "a/b"})
    assert caught.value.problems[0].where.endswith(":2:1")


@pytest.mark.parametrize("text", ["", "- a\n", "just text\n"])
def test_what_holds_no_settings_is_refused(write: Any, text: str) -> None:
    with pytest.raises(ConfigError, match="the file is"):
        write(text)
