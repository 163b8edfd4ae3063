"""Really broken runs: each is diagnosed rightly, and what broke it stands first."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tiny_runs import (
    Damage,
    Silent,
    codes,
    diagnosed,
    each_image,
    keep_pairs,
    looked_at,
    rolled,
    train_run,
)

from fusetrain.config.load import load_config
from fusetrain.diagnose.examine import Examination, examine_config, examine_run
from fusetrain.results.run_dir import RunDir
from fusetrain.runs.resuming import resume

pytestmark = pytest.mark.slow
Train = Callable[..., RunDir]
ONE_EPOCH = ("train.epochs=1", "schedule.warmup={steps: 1}")


@pytest.mark.parametrize(
    ("expected", "sets"),
    [
        ("rate-too-high", ["optim.lr0=10"]),
        ("rate-too-low", ["optim.lr0=1e-7", "train.epochs=6"]),
        ("diverged", ["loss.box=1e38"]),
        (
            "period-mismatch",
            ["schedule={name: 'torch:CosineAnnealingLR', T_max: 300, unit: epoch}"],
        ),
        ("warmup-long", ["schedule.warmup={epochs: 2}"]),
        ("warmup-missing", ["schedule.warmup={steps: 0}", "optim.lr0=2e-3"]),
        ("warmup-short", ["schedule.warmup={steps: 1}"]),
        ("rate-stuck", ["schedule={name: plateau, patience: 9, warmup: {steps: 4}}"]),
        ("ends-at-zero", ["schedule={name: cosine, lrf: 0, warmup: {epochs: 1}}"]),
        ("ends-at-zero", ["schedule={name: linear, eta_min: 0, warmup: {epochs: 1}}"]),
        ("lr0-unusual", ["optim={name: sgd, lr0: 2}", "train.clip_norm=1e-6"]),
        ("rate-constant", ["schedule.name=constant"]),
        ("part-frozen", ["optim.groups={backbone_ir: 0}"]),
        ("part-frozen", ["train.freeze=[backbone]"]),
        ("infrared-blank", ["augment.drop_ir=1.0"]),
        ("visible-blank", ["augment.drop_rgb=1.0"]),
        ("batch-small", ["train.batch=2"]),
        ("stopped-too-early", ["train.epochs=30", "train.patience=1"]),
        ("few-steps", []),
    ],
)
def test_broken_settings_are_found_first(trained: Train, expected: str, sets: list[str]) -> None:
    found = diagnosed(trained(*sets))
    assert codes(found)[0] == expected, found.findings
    assert found.findings[0].evidence
    assert "fusetrain" in found.findings[0].remedy


def test_rate_that_restarts_in_every_epoch_is_not_stuck(trained: Train) -> None:
    run = trained("schedule={name: cosine_restarts, t0: 1, warmup: {steps: 0}}")
    rates = {row[12] for row in _rows(run)[1:]}
    assert len(rates) == 1  # at the last step of each epoch
    assert "rate-stuck" not in codes(diagnosed(run))


def _swap(root: Path) -> None:
    (root / "images").rename(root / "colour")
    (root / "imagesIR").rename(root / "images")
    (root / "colour").rename(root / "imagesIR")


def _lose_partners(root: Path) -> None:
    for path in sorted((root / "imagesIR" / "train").iterdir())[:6]:
        path.unlink()


def _lose_labels(root: Path) -> None:
    for path in sorted((root / "labels" / "train").iterdir())[:11]:
        path.unlink()


def _blank(root: Path) -> None:
    for split in ("train", "val"):
        each_image(root / "imagesIR" / split, lambda image: Image.new("L", image.size, 90))


def _shift(root: Path) -> None:
    for split in ("train", "val"):
        each_image(root / "imagesIR" / split, lambda image: rolled(image, 24))


def _relabel(root: Path, split: str, change: Callable[[list[str]], list[str]]) -> None:
    for path in sorted((root / "labels" / split).iterdir()):
        rows = [line.split() for line in path.read_text().splitlines()]
        path.write_text("".join(" ".join(change(row)) + "\n" for row in rows))


def _cut_short(root: Path) -> None:
    path = sorted((root / "images" / "train").iterdir())[3]
    path.write_bytes(path.read_bytes()[:2000])


def _drop_a_class(root: Path) -> None:
    _relabel(root, "val", lambda row: ["0" if row[0] == "2" else row[0], *row[1:]])


def _unbalance(root: Path) -> None:
    labels = sorted((root / "labels" / "train").iterdir())
    many = "0 0.3 0.5 0.1 0.2\n0 0.7 0.5 0.1 0.2\n0 0.5 0.3 0.1 0.2\n0 0.5 0.8 0.1 0.2\n"
    for path in labels:
        path.write_text(many)
    labels[0].write_text("1 0.5 0.5 0.2 0.3\n2 0.2 0.2 0.1 0.2\n")


def _empty_val(root: Path) -> None:
    for path in (root / "labels" / "val").iterdir():
        path.write_text("")


def _shrink_val(root: Path) -> None:
    for path in sorted((root / "images" / "val").iterdir())[3:]:
        path.unlink()
        for partner in (*root.glob(f"imagesIR/val/{path.stem}.*"),):
            partner.unlink()


def _leak(root: Path) -> None:
    for folder in ("images", "imagesIR", "labels"):
        shutil.rmtree(root / folder / "val")
        shutil.copytree(root / folder / "train", root / folder / "val")


@pytest.mark.parametrize(
    ("expected", "damage"),
    [
        ("modality-swapped", _swap),
        ("pairs-lost", _lose_partners),
        ("labels-lost", _lose_labels),
        ("infrared-blank", _blank),
        ("misregistered", _shift),
        ("class-absent", _drop_a_class),
        ("class-imbalance", _unbalance),
        ("val-empty", _empty_val),
        ("val-tiny", _shrink_val),
        ("val-leaky", _leak),
    ],
)
def test_broken_data_is_found_first(
    trained: Train, damaged_set: Callable[[Damage], Path], expected: str, damage: Damage
) -> None:
    found = diagnosed(trained(*ONE_EPOCH, data=damaged_set(damage)))
    assert codes(found)[0] == expected, found.findings


def test_pairs_that_a_run_had_to_leave_out_are_told(
    trained: Train, damaged_set: Callable[[Damage], Path]
) -> None:
    data = damaged_set(_cut_short)
    found = diagnosed(trained(*ONE_EPOCH, "train.on_bad_sample=skip", data=data))
    assert codes(found)[0] == "pairs-left-out"
    assert "1 pairs left out, first: train, images/train/0003.jpg" in found.findings[0].evidence


def test_data_that_changed_after_the_run_is_told(
    trained: Train, damaged_set: Callable[[Damage], Path]
) -> None:
    data = damaged_set(lambda root: None)
    run = trained(*ONE_EPOCH, data=data)
    keep_pairs(data.parent, 9)
    found = diagnosed(run)
    assert codes(found)[0] == "pairs-changed"
    assert "16 pairs, now there are 9" in found.findings[0].evidence


def _speed(found: Examination) -> list[str]:
    return [item.code for item in found.findings if item.symptom.group == "speed"]


def test_images_decoded_again_in_every_epoch_are_told(trained: Train) -> None:
    run = trained("train.cache=none")
    _change_epochs(run, seconds=10.0, wait_seconds=7.0)
    assert _speed(diagnosed(run))[0] == "no-cache"


def _rows(run: RunDir) -> list[list[str]]:
    return [line.split(",") for line in run.csv.read_text().splitlines()]


def _write(run: RunDir, rows: list[list[str]]) -> None:
    run.csv.write_text("".join(",".join(row) + "\n" for row in rows))


def test_rates_changed_in_the_table_are_told_with_their_cell(copied_run: RunDir) -> None:
    rows = _rows(copied_run)
    rows[2][rows[0].index("lr/pg1")] = "0.0123"
    _write(copied_run, rows)
    found = diagnosed(copied_run)
    assert codes(found)[0] == "rate-left-plan"
    assert "epoch 2, lr/pg1" in found.findings[0].evidence
    assert "0.0123" in found.findings[0].evidence


def test_halved_rates_are_told_as_the_work_of_a_rollback(copied_run: RunDir) -> None:
    rows = _rows(copied_run)
    for row in rows[2:]:
        for column in range(rows[0].index("lr/pg0"), len(row)):
            row[column] = repr(float(row[column]) / 2)
    _write(copied_run, rows)
    found = diagnosed(copied_run)
    assert codes(found)[0] == "rate-scaled"
    assert found.findings[0].numbers["lr_scale"] == 0.5


def test_validation_loss_that_rises_alone_is_told_with_both_epochs(copied_run: RunDir) -> None:
    rows = _rows(copied_run)
    for name, values in (("train/box_loss", (6, 4, 2)), ("val/box_loss", (5, 7, 9))):
        for row, value in zip(rows[1:], values, strict=True):
            row[rows[0].index(name)] = str(value)
    _write(copied_run, rows)
    found = diagnosed(copied_run)
    assert codes(found)[0] == "overfits"
    assert found.findings[0].numbers["best_epoch"] == 1


def test_run_that_was_killed_is_told_with_the_command_that_goes_on(copied_run: RunDir) -> None:
    events = copied_run.path / "events.jsonl"
    lines = [line for line in events.read_text().splitlines() if '"end"' not in line]
    events.write_text("\n".join(lines))
    found = diagnosed(copied_run)
    assert codes(found)[0] == "unfinished"
    assert found.findings[0].remedy == f"fusetrain resume {copied_run.path}"


def test_fusion_below_its_best_single_modality_is_told(copied_run: RunDir) -> None:
    scores = {
        "fused": {"map50": 0.4, "map50_95": 0.2},
        "rgb": {"map50": 0.3, "map50_95": 0.1},
        "ir": {"map50": 0.5, "map50_95": 0.3},
    }
    (copied_run.path / "fusion_gain.json").write_text(json.dumps({"scores": scores}))
    found = diagnosed(copied_run)
    assert codes(found)[0] == "fusion-loses"
    assert "gain -0.1" in found.findings[0].evidence


def _change_epochs(run: RunDir, **values: object) -> None:
    """Change what the epochs logged: faults that no test can produce in seconds."""
    events = run.path / "events.jsonl"
    changed = []
    for event in map(json.loads, events.read_text().splitlines()):
        changed.append(event | (values if event["event"] == "epoch" else {}))
    events.write_text("".join(json.dumps(event) + "\n" for event in changed))


@pytest.mark.parametrize(
    ("expected", "values"),
    [
        ("waits-for-data", {"seconds": 10.0, "wait_seconds": 7.0, "val_seconds": 1.0}),
        ("val-slow", {"seconds": 10.0, "wait_seconds": 1.0, "val_seconds": 30.0}),
        ("memory-short", {"swapped_mib": 900, "major_faults": 5000}),
        ("threads-many", {"threads": 9, "cores": 2}),
        (
            "machine-busy",
            {
                "load": 40.0,
                "host_cores": 2,
                "cpu_seconds": 1.0,
                "seconds": 9.0,
                "wait_seconds": 0.0,
            },
        ),
    ],
)
def test_logged_cost_of_epochs_is_judged(
    copied_run: RunDir, expected: str, values: dict[str, object]
) -> None:
    _change_epochs(copied_run, **{"val_seconds": 0.0, "wait_seconds": 0.0, "load": 0.5, **values})
    found = diagnosed(copied_run)
    assert _speed(found)[0] == expected


def test_stream_without_relevance_is_told(copied_run: RunDir) -> None:
    streams = {
        "rgb": {"activation": 0.6, "relevance": 0.9999},
        "ir": {"activation": 0.0, "relevance": 0.0001},
    }
    _change_epochs(copied_run, streams=streams)
    found = diagnosed(copied_run)
    assert codes(found)[0] == "stream-dead"
    assert found.findings[0].numbers["stream"] == "ir"


@pytest.mark.parametrize("base", ["auto", "rgb"])
def test_short_adapter_has_no_dead_stream(trained: Train, base: str) -> None:
    """What enters starts at zero: so few steps of SGD leave it there, and that is no fault."""
    run = trained(
        *("model.fusion=adapter", f"model.base={base}", "train.epochs=6", "train.batch=16"),
        "optim={name: sgd, lr0: 0.01}",
    )
    (chosen,) = run.events("base")
    entering = "ir" if chosen["base"] == "rgb" else "rgb"
    assert run.events("epoch")[-1]["streams"][entering]["relevance"] < 0.02
    assert not {"stream-dead", "part-frozen"} & set(codes(diagnosed(run)))


def test_adapter_that_lets_nothing_in_for_long_is_told_to_let_it_in(trained: Train) -> None:
    run = trained(
        *("model.fusion=adapter", "model.base=rgb", "train.epochs=28", "train.batch=2"),
        *("train.val_every=14", "train.ema=false"),
        *("schedule.warmup={steps: 1}", "optim={name: sgd, lr0: 1e-9, groups: {fusion: 0.5}}"),
    )
    found = {item.code: item for item in diagnosed(run).findings}
    assert found["stream-dead"].numbers["stream"] == "ir"
    assert "optim.groups={fusion: 5}" in found["stream-dead"].remedy
    assert "model.fusion=" not in found["stream-dead"].remedy


def test_config_is_judged_before_training(whole_set: Path, tmp_path: Path) -> None:
    config = tmp_path / "train.yaml"
    config.write_text(
        f"data: {whole_set}\ntrain: {{epochs: 60, batch: 2}}\noptim: {{name: sgd, lr0: 2}}\n"
    )
    found = examine_config(config, look=looked_at)
    assert codes(found)[:2] == ["lr0-unusual", "batch-small"]
    assert not (tmp_path / "runs").exists()


def test_cache_beyond_the_memory_is_told_before_training(whole_set: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(whole_set.parent, root)
    for folder in ("images", "imagesIR", "labels"):
        for path in sorted((root / folder / "train").iterdir()):
            for copy in range(60):
                path.with_stem(f"{path.stem}_{copy}").hardlink_to(path)
    config = tmp_path / "train.yaml"
    config.write_text(
        f"data: {root}\ntrain: {{imgsz: 8192, cache: ram}}\naugment: {{scale: 0.9}}\n"
    )
    found = examine_config(config, look=looked_at)
    told = next(item for item in found.findings if item.code == "cache-too-large")
    assert "for 976 training pairs" in told.evidence
    assert "train.cache=disk" in told.remedy


@pytest.fixture(scope="module")
def healthy_run(whole_set: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run of 104 steps with nothing wrong; extended by a test."""
    return train_run(*HEALTHY, data=whole_set, project=tmp_path_factory.mktemp("healthy"))


HEALTHY = ("train.epochs=26", "train.val_every=13", "train.imgsz=64", "schedule.warmup={epochs: 3}")


def test_healthy_run_yields_nothing_and_neither_does_it_resumed(healthy_run: RunDir) -> None:
    assert codes(diagnosed(healthy_run)) == []
    wanted = load_config(healthy_run.config, ["train.epochs=28"])
    resume(healthy_run, wanted, reporter=Silent())
    found = diagnosed(healthy_run)
    assert codes(found) == []
    assert "28 epochs" in found.looked_at[0]


def test_healthy_run_in_two_stages_yields_nothing(trained: Train) -> None:
    stages = "[{epochs: 8, inputs: rgb, freeze: [backbone_ir]}, {epochs: 18}]"
    found = diagnosed(trained(*HEALTHY, f"train.stages={stages}"))
    assert codes(found) == [], found.findings


def test_run_whose_data_is_gone_is_judged_by_what_it_left(copied_run: RunDir) -> None:
    text = copied_run.config.read_text()
    line = next(line for line in text.splitlines() if line.startswith("data:"))
    copied_run.config.write_text(text.replace(line, "data: /nowhere/set"))
    found = examine_run(copied_run.path)
    assert codes(found) == ["few-steps"]
    assert any("/nowhere/set" in sentence for sentence in found.unseen)
