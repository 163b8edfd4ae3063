"""A run that is put together: what follows from the seed, the config and the ranks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fusetrain import build
from fusetrain.config.schema import Config
from fusetrain.engine.stages import WHOLE_RUN
from fusetrain.engine.weights import load_detector
from fusetrain.errors import ConfigError
from fusetrain.results.run_dir import RunDir
from fusetrain.runs.batches import BatchSource
from fusetrain.runs.session import (
    Session,
    assemble,
    best_model,
    choose_machine,
    fingerprint,
    limits_of,
)

from ..conftest import MakePairs


def config_for(data: Path, **train: Any) -> Config:
    values = {"batch": 2, "imgsz": 64, "device": "cpu", "threads": 1, "amp": False} | train
    return Config.model_validate({"data": str(data), "model": {"width": 0.25}, "train": values})


def session_of(config: Config) -> Session:
    machine = choose_machine(config)
    config = build.resolved(config, machine)
    return assemble(config, build.open_data(config), machine)


def tensors(session: Session) -> dict[str, torch.Tensor]:
    return session.detector.state_dict()


def test_weights_at_the_start_follow_from_the_seed_alone(make_pairs: Callable[..., Path]) -> None:
    data = make_pairs()
    one, same = session_of(config_for(data)), session_of(config_for(data, workers=2, epochs=7))
    other = session_of(config_for(data, seed=1))
    assert all(torch.equal(value, tensors(same)[name]) for name, value in tensors(one).items())
    assert not all(torch.equal(value, tensors(other)[name]) for name, value in tensors(one).items())


def test_resolved_config_is_complete_and_stays_as_it_is(make_pairs: Callable[..., Path]) -> None:
    config = config_for(make_pairs(), batch="auto", threads=None, epochs=40)
    machine = choose_machine(config)
    resolved = build.resolved(config, machine)
    train = resolved.train
    assert None not in (train.threads, train.workers, train.deterministic)
    assert (train.device, train.amp, train.batch) == ("cpu", False, build.AUTO_BATCH)
    assert resolved.optim.momentum == 0.9
    assert choose_machine(resolved) == machine
    assert build.resolved(resolved, machine) == resolved


def test_mosaic_is_closed_for_a_tenth_of_the_run_however_long_it_gets(
    make_pairs: Callable[..., Path],
) -> None:
    config = config_for(make_pairs(), epochs=40)
    resolved = build.resolved(config, choose_machine(config))
    assert build.close_mosaic(resolved) == 4
    for epochs, closed in ((5, 0), (60, 6), (300, 10)):
        train = resolved.train.model_copy(update={"epochs": epochs})
        assert build.close_mosaic(resolved.model_copy(update={"train": train})) == closed


def test_fingerprint_follows_labels_and_not_the_place(make_pairs: Callable[..., Path]) -> None:
    one, other = make_pairs("one"), make_pairs("other")
    data = [build.open_data(config_for(path)) for path in (one, other)]
    assert fingerprint(data[0]) == fingerprint(data[1])
    label = other.parent / "labels" / "val" / "val_000.txt"
    label.write_text("1 0.5 0.5 0.5 0.5\n")
    assert fingerprint(build.open_data(config_for(other))) != fingerprint(data[0])


@pytest.mark.parametrize(("ranks", "is_possible"), [("1", True), ("2", True), ("3", False)])
def test_batch_must_be_a_multiple_of_the_ranks(
    make_pairs: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    ranks: str,
    is_possible: bool,
) -> None:
    config = config_for(make_pairs())
    monkeypatch.setenv("WORLD_SIZE", ranks)
    for name, value in (("RANK", "0"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "29500")):
        monkeypatch.setenv(name, value)
    if is_possible:
        assert choose_machine(config).device.type == "cpu"
    else:
        with pytest.raises(ConfigError, match="over 3 ranks") as caught:
            choose_machine(config)
        assert "train.batch=3" in caught.value.remedy


def test_limits_are_those_of_the_config() -> None:
    config = Config.model_validate(
        {
            "train": {
                "epochs": 7,
                "accumulate": 3,
                "patience": 5,
                "val_every": 2,
                "save_every": {"steps": 11, "minutes": 1.5},
            }
        }
    )
    limits = limits_of(config, 13)
    assert (limits.epochs, limits.batches_per_epoch, limits.accumulate) == (7, 13, 3)
    assert (limits.patience, limits.val_every) == (5, 2)
    assert (limits.save_steps, limits.save_minutes, limits.save_epochs) == (11, 1.5, None)


def test_best_model_is_that_of_the_file_or_the_one_at_hand(
    trained_home: Path, make_pairs: Callable[..., Path], tmp_path: Path
) -> None:
    session = session_of(config_for(make_pairs()))
    empty = RunDir.create(tmp_path, "empty")
    assert session.runner.average is not None
    at_hand = session.runner.average.model.state_dict()
    chosen = best_model(session, empty).state_dict()
    assert all(torch.equal(value, chosen[name]) for name, value in at_hand.items())
    trained = RunDir(trained_home / "runs" / "exp")
    best, _ = load_detector(trained.path)
    chosen = best_model(session, trained).state_dict()
    assert all(torch.equal(value, chosen[name]) for name, value in best.state_dict().items())


@pytest.mark.parametrize(
    ("batch", "pairs", "ranks", "is_refused"),
    [(1, 4, 1, True), (3, 4, 1, True), (2, 4, 1, False), (9, 4, 1, False), (4, 8, 4, True)],
)
def test_one_pair_of_one_cell_is_refused_before_the_first_step(
    batch: int, pairs: int, ranks: int, is_refused: bool
) -> None:
    small = Config.model_validate({"train": {"batch": batch, "imgsz": 32}})
    large = Config.model_validate({"train": {"batch": batch, "imgsz": 33}})
    build.require_statistics(large, pairs, ranks=ranks)
    if not is_refused:
        build.require_statistics(small, pairs, ranks=ranks)
        return
    with pytest.raises(ConfigError, match="leaves one cell a pair") as caught:
        build.require_statistics(small, pairs, ranks=ranks)
    assert "train.imgsz=64" in caught.value.remedy
    shared = small.model_copy(update={"train": small.train.model_copy(update={"sync_bn": True})})
    if ranks > 1:
        build.require_statistics(shared, pairs, ranks=ranks)


@pytest.mark.parametrize(("imgsz", "batch"), [(32, 2), (33, 1)])
def test_smallest_canvas_and_batch_that_are_let_in_make_a_step(
    make_pairs: MakePairs, imgsz: int, batch: int
) -> None:
    session = session_of(config_for(make_pairs(), imgsz=imgsz, batch=batch))
    source = BatchSource(session.config, session.data, session.machine)
    session.runner.enter(WHOLE_RUN)
    session.runner.step([next(source.train(0, 0))], updates=0)
    assert session.runner.take_counts()["skipped"] == 0
