"""Rows 20 to 22: losses, weights and gradients that are not finite while a training runs."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from trainings import Trained, Training

from fusetrain.engine.step import StepRunner
from fusetrain.errors import DivergedError

# The loss itself overflows from the first step on.
POISON: dict[str, dict[str, Any]] = {
    "loss": {"box": 1e38},
    "train": {"max_skipped": 2, "epochs": 2, "max_rollbacks": 1},
}


def is_finite(run: Trained) -> bool:
    content = run.content
    tensors = [*content["model"].values(), *content["average"].values()]
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


@pytest.mark.fault(20)
def test_steps_without_a_finite_loss_are_dumped_rolled_back_and_end_the_run(
    training: Training,
) -> None:
    with pytest.raises(DivergedError, match=r"2 steps in a row .* after 1 rollbacks") as caught:
        training(**POISON)
    assert caught.value.exit_code == 7
    assert "optim.lr0=0.0001" in caught.value.remedy
    done = training.last
    (rollback,) = done.events("rollback")
    assert (rollback["slot"], rollback["from_slot"], rollback["lr_scale"]) == (0, 1, 0.5)
    skipped = done.events("skipped")
    assert [event["slot"] for event in skipped] == [0, 1, 0, 1]
    assert sorted(path.name for path in done.run.path.glob("bad_batch_*.json")) == [
        "bad_batch_0.json",
        "bad_batch_1.json",
    ]
    dumped = json.loads((done.run.path / "bad_batch_1.json").read_text())
    (row,) = dumped["samples"]
    assert dumped["paths"] == [f"images/train/train_00{row}.jpg"]
    assert dumped["epoch"] == 1


@pytest.mark.fault(20)
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_steps_that_are_known_late_are_counted_over_the_ends_of_epochs(
    training: Training, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, where it is known one step later that a step was skipped."""
    monkeypatch.setattr(StepRunner, "lag", 1)
    train = {"batch": batch, "epochs": 8, "max_skipped": 4, "max_rollbacks": 0}
    with pytest.raises(DivergedError, match="4 steps in a row"):
        training(loss={"box": 1e38}, train=train)
    slots = [event["slot"] for event in training.last.events("skipped")]
    assert slots == [0, 1, 2, 3]


@pytest.mark.fault(20)
def test_skip_that_is_known_after_a_stop_at_the_end_of_an_epoch_is_counted(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StepRunner, "lag", 1)
    poison = {"loss": {"box": 1e38}, "train": {"epochs": 2, "max_skipped": 99}}
    stopped = training.stopped_at(5, **poison)
    assert (stopped.state["batches"], stopped.state["skipped"]) == (5, 4)
    done = training(saved=stopped, **poison)
    assert done.state["skipped"] == 10
    assert done.state["updates"] == 0
    assert [event["slot"] for event in done.events("skipped")] == list(range(10))


@pytest.mark.fault(20)
def test_rolled_back_run_goes_on_at_half_the_rate_and_resumes_bit_equal(
    training: Training,
) -> None:
    """Weights break after step 7, as by a flipped bit; the good state is that of step 5."""
    train = {"epochs": 3}

    def breaks(slot: int) -> None:
        if slot == 7 and not training.last.events("rollback"):
            training.break_weights()

    whole = training(breaks, train=train)
    assert whole.state["lr_scale"] == 0.5
    assert (whole.state["rollbacks"], whole.state["slot"]) == (1, 15)
    (rollback,) = whole.events("rollback")
    assert (rollback["slot"], rollback["number"]) == (5, 1)
    assert is_finite(whole)
    rates = [row["lr/pg0"] / row["lr0"] for row in whole.state["history"]]
    assert rates == pytest.approx([1.0, 0.5, 0.5])

    class Killed(BaseException):
        pass

    def breaks_and_dies(slot: int) -> None:
        breaks(slot)
        if slot == 6 and training.last.events("rollback"):
            raise Killed

    with pytest.raises(Killed):
        training(breaks_and_dies, train=train)
    dead = training.last
    assert (dead.state["slot"], dead.state["lr_scale"]) == (5, 0.5)
    assert training(saved=dead, train=train).weights_digest() == whole.weights_digest()


@pytest.mark.fault(21)
def test_broken_weights_are_never_saved(training: Training) -> None:
    saved: list[bool] = []

    def breaks(slot: int) -> None:
        saved.append(not slot or not training.has_saved() or is_finite(training.last))
        if slot in (3, 4):
            training.break_weights()

    train = {"save_every": {"steps": 1}, "max_rollbacks": 2, "epochs": 1}
    with pytest.raises(DivergedError, match="not finite"):
        training(breaks, train=train)
    assert all(saved)
    assert is_finite(training.last)
    assert training.last.state["rollbacks"] == 2


@pytest.mark.fault(22)
def test_exploding_gradients_are_clipped_or_skipped_and_counted(training: Training) -> None:
    done = training(loss={"box": 1e12}, train={"epochs": 1})
    assert done.state["skipped"] == 0
    (counted,) = done.events("gradients")
    assert counted == counted | {"epoch": 1, "steps": 5, "clipped": 5, "skipped": 0}
    assert is_finite(done)


@pytest.mark.fault(20)
def test_skipped_step_leaves_weights_and_statistics_as_they_were(training: Training) -> None:
    states: list[dict[str, torch.Tensor]] = []

    def look(slot: int) -> None:
        if slot:
            model = training.session.detector.state_dict()
            states.append({name: value.clone() for name, value in model.items()})

    with pytest.raises(DivergedError):
        training(look, loss={"box": 1e38}, train={"max_skipped": 4, "max_rollbacks": 0})
    for name, value in states[0].items():
        if value.is_floating_point():
            assert torch.equal(value, states[-1][name]), name
