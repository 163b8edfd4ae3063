"""Settings suggested for a data set: what follows from which fact, and that they are a config."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from fusetrain.build import batches_per_epoch
from fusetrain.cli.app import app
from fusetrain.config.load import load_config
from fusetrain.errors import DataError
from fusetrain.rules import config_checks
from fusetrain.suggest import SetFacts, facts_of, suggest, suggested_yaml

from .conftest import MakePairs

FACTS = SetFacts(
    train_pairs=12_000, val_pairs=3000, long_side_px=1280, box_share=0.05, imbalance=2.0
)


def values_for(**changes: Any) -> dict[str, Any]:
    """Return all suggested values for facts that differ so from the usual ones."""
    found = suggest(replace(FACTS, **changes))
    values = {key: value for one in found for key, value in one.values.items()}
    assert len(values) == sum(len(one.values) for one in found), "a setting stands twice"
    return values


def test_many_pairs_keep_the_defaults_but_for_their_length() -> None:
    assert values_for() == {"train.imgsz": 640, "train.epochs": 56, "train.batch": 16}


@pytest.mark.parametrize("pairs", [1, 20, 86, 192, 499, 500, 4999, 5000, 10**6])
def test_lengths_make_enough_steps_and_no_endless_run(pairs: int, tmp_path: Path) -> None:
    values = values_for(train_pairs=pairs)
    path = tmp_path / "train.yaml"
    facts = replace(FACTS, train_pairs=pairs)
    path.write_text(suggested_yaml(facts, suggest(facts), tmp_path))
    config = load_config(path, checks=[config_checks]).config
    epochs = values["train.epochs"]
    assert (config.train.epochs, config.train.batch) == (epochs, values["train.batch"])
    assert 30 <= epochs <= 300
    steps = epochs * batches_per_epoch(config, pairs)
    assert steps >= 2200 or epochs == 300
    assert values["train.imgsz"] == 640


def test_steps_grow_with_the_pairs_without_a_jump() -> None:
    steps = []
    for pairs in (100, 200, 300, 499, 500, 1000, 4999, 5000, 12_000):
        values = values_for(train_pairs=pairs)
        steps.append(values["train.epochs"] * -(-pairs // values["train.batch"]))
    growth = [after / before for before, after in pairwise(steps)]
    assert min(growth) >= 0.97  # whole epochs
    assert max(growth) <= 4
    assert steps[4] / steps[3] == pytest.approx(1.0, abs=0.03)
    assert steps[7] / steps[6] == pytest.approx(1.0, abs=0.03)


def test_fewer_pairs_never_get_fewer_epochs_or_larger_batches() -> None:
    sizes = (50, 86, 192, 400, 600, 2000, 4000, 8000, 50_000)
    found = [values_for(train_pairs=pairs) for pairs in sizes]
    batches = [values["train.batch"] for values in found]
    assert batches == sorted(batches)
    for first, last in ((0, 4), (4, 7), (7, 9)):  # of one size of batch
        epochs = [values["train.epochs"] for values in found[first:last]]
        assert epochs == sorted(epochs, reverse=True)


def test_few_pairs_are_mixed_to_the_end() -> None:
    few = values_for(train_pairs=86)
    assert (few["optim.name"], few["augment.close_mosaic"]) == ("muon", 0)
    assert not any(key.startswith("augment") for key in values_for(train_pairs=500))


@pytest.mark.parametrize(
    ("long_side_px", "canvas"),
    [(32, 64), (320, 320), (536, 544), (640, 640), (641, 640), (4000, 640)],
)
def test_canvas_is_as_large_as_the_images_up_to_a_limit(long_side_px: int, canvas: int) -> None:
    assert values_for(long_side_px=long_side_px)["train.imgsz"] == canvas


def test_small_boxes_get_a_finer_level() -> None:
    assert values_for(box_share=15.9 / 640)["model.finest"] == "p2"
    assert "model.finest" not in values_for(box_share=16.1 / 640)


def test_rare_classes_and_infrared_labels_are_answered() -> None:
    assert values_for(imbalance=30.0)["train.balance"] == 0.5
    assert values_for(has_ir_boxes=True)["augment.drop_rgb"] == 0.3


def test_facts_are_those_of_the_data_set(make_pairs: MakePairs) -> None:
    path = make_pairs(train=4, val=2)
    for label in (path.parent / "labels/train").iterdir():
        label.write_text("0 .5 .5 .25 .5\n0 .3 .3 .25 .5\n1 .5 .5 .25 .5\n")
    facts = facts_of(path)
    assert (facts.train_pairs, facts.val_pairs, facts.imbalance) == (4, 2, 2.0)
    assert facts.long_side_px > 0
    assert 0.0 < facts.box_share <= 0.5


def test_upright_images_and_wide_ones_count_alike(make_pairs: MakePairs) -> None:
    path = make_pairs(train=4, val=2)
    facts = facts_of(path)
    for image in sorted((path.parent / "images/train").iterdir())[:2]:
        with Image.open(image) as picture:
            turned = picture.transpose(Image.Transpose.ROTATE_90)
        turned.save(image)
    assert facts_of(path).long_side_px == facts.long_side_px
    assert facts_of(path).box_share == pytest.approx(facts.box_share)


def test_whose_boxes_count_is_told_by_two_label_sets_or_one(make_pairs: MakePairs) -> None:
    path = make_pairs(train=4, val=2)
    assert not facts_of(path).has_ir_boxes
    shutil.copytree(path.parent / "labels", path.parent / "labelsIR")
    both = path.read_text() + "ir_labels: {imagesIR: labelsIR}\n"
    path.write_text(both + "label_source: ir\n")
    assert facts_of(path).has_ir_boxes
    path.write_text(both + "label_source: union\n")
    assert not facts_of(path).has_ir_boxes


def test_images_that_cannot_be_read_are_passed_over(make_pairs: MakePairs) -> None:
    path = make_pairs(train=4, val=2)
    images = sorted((path.parent / "images/train").iterdir())
    expected = facts_of(path).long_side_px
    images[0].write_bytes(b"no picture")
    assert facts_of(path).long_side_px == expected
    for image in images:
        image.write_bytes(b"no picture")
    with pytest.raises(DataError, match="can be read"):
        facts_of(path)


def test_a_set_without_boxes_is_refused(make_pairs: MakePairs) -> None:
    path = make_pairs(train=4, val=2)
    for label in (path.parent / "labels/train").iterdir():
        label.write_text("")
    with pytest.raises(DataError, match="nothing to learn"):
        facts_of(path)


def test_command_writes_a_config_that_loads_and_names_its_data(
    make_pairs: MakePairs, tmp_path: Path
) -> None:
    data, out = make_pairs(train=4, val=2), tmp_path / "new train.yaml"
    told = CliRunner().invoke(app, ["config", "suggest", str(data)])
    written = CliRunner().invoke(app, ["config", "suggest", str(data), "--out", str(out)])
    assert (told.exit_code, written.exit_code) == (0, 0), written.output
    assert out.read_text() == told.stdout
    assert f"next: fusetrain train --config '{out}'" in written.stderr.replace("\n", "")
    config = load_config(out, checks=[config_checks]).config
    assert Path(str(config.data)) == data
    again = CliRunner().invoke(app, ["config", "suggest", str(data), "--out", str(out)])
    assert again.exit_code != 0


def test_json_has_facts_values_and_reasons(make_pairs: MakePairs) -> None:
    data = make_pairs(train=4, val=2)
    result = CliRunner().invoke(app, ["config", "suggest", str(data), "--json"])
    told = json.loads(result.stdout)
    assert told["facts"]["train_pairs"] == 4
    values = {key: value for one in told["suggestions"] for key, value in one["values"].items()}
    assert values["train.batch"] == 4
    assert all(one["reason"] for one in told["suggestions"])
    plain = yaml.safe_load(CliRunner().invoke(app, ["config", "suggest", str(data)]).stdout)
    assert plain["train"]["batch"] == 4
