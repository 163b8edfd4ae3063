"""The training loop on a real tiny detector: rows, patience, saving, stops, divergence."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fusetrain import build
from fusetrain.config.schema import Config
from fusetrain.engine.checkpoint import TrainState, unpack
from fusetrain.engine.infer import Validation
from fusetrain.engine.keeper import RunKeeper, restore
from fusetrain.engine.signals import StopFlag
from fusetrain.engine.stages import shown
from fusetrain.engine.trainer import Trainer
from fusetrain.errors import DivergedError, StoppedError
from fusetrain.results.run_dir import RunDir
from fusetrain.runs.batches import BatchSource
from fusetrain.runs.session import Session, assemble, choose_machine, make_trainer

Setup = Callable[..., "Bench"]


@dataclass
class Watch:
    """Keeps the bytes of every checkpoint, and what the reporter is told."""

    keeper: RunKeeper
    saved: list[bytes] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    on_each_step: Callable[[TrainState], None] = lambda state: None
    logged: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def save(self, state: TrainState, *, new_best: bool, good: bool = False) -> None:
        self.keeper.save(state, new_best=new_best, good=good)
        self.keeper.wait()
        self.saved.append((self.keeper.run.weights / "last.pt").read_bytes())
        self.slots.append(state.slot)

    def wait(self) -> None:
        self.keeper.wait()

    def keep_good(self, state: TrainState) -> None:
        self.keeper.keep_good(state)

    def last_good(self, slot: int) -> dict[str, Any]:
        return self.keeper.last_good(slot)

    def dump(self, name: str, values: dict[str, Any]) -> None:
        self.keeper.dump(name, values)

    def log(self, kind: str, **values: Any) -> None:
        self.logged.append({"kind": kind} | values)

    def on_step(self, state: TrainState, batches_per_epoch: int) -> None:
        self.steps.append(state.batches)
        self.on_each_step(state)

    def on_note(self, text: str) -> None:
        self.notes.append(text)

    def on_epoch(self, state: TrainState, validation: Validation | None) -> None:
        assert state.history[-1]["epoch"] == state.epoch


@dataclass
class Bench:
    """One assembled run."""

    session: Session
    trainer: Trainer
    watch: Watch
    stop: StopFlag

    def run(self) -> TrainState:
        try:
            return self.trainer.run()
        finally:
            self.watch.keeper.close()


@pytest.fixture
def bench(make_pairs: Callable[..., Path], tmp_path: Path) -> Setup:
    """Return a function that assembles a run of five training and two validation pairs."""
    data_yaml = make_pairs(train=5, val=2)
    folders = iter(range(1000))

    def make(saved: bytes | None = None, **changed: dict[str, Any]) -> Bench:
        values: dict[str, Any] = {
            "data": str(data_yaml),
            "model": {"fusion": "ir", "width": 0.25},
            "train": {"epochs": 2, "batch": 1, "imgsz": 64, "device": "cpu", "threads": 1},
            "schedule": {"warmup": {"epochs": 1}},
        }
        for name, group in changed.items():
            values[name] = values.get(name, {}) | group
        values["train"] |= {"amp": False, "workers": 0}
        machine = choose_machine(Config.model_validate(values))
        machine.apply()
        config = build.resolved(Config.model_validate(values), machine)
        data = build.open_data(config)
        session = assemble(config, data, machine)
        state = TrainState()
        if saved is not None:
            state = restore(unpack(saved, "saved"), session.detector, session.runner)
        run = RunDir.create(tmp_path, f"run{next(folders)}")
        keeper = RunKeeper(run, session.detector, session.runner, context={}, description={})
        watch, stop = Watch(keeper), StopFlag()
        source = BatchSource(config, data, machine)
        trainer = make_trainer(session, source, watch, state, reporter=watch, stop=stop)  # type: ignore[arg-type]
        return Bench(session, trainer, watch, stop)

    return make


def assert_same(one: Any, other: Any, path: str = "") -> None:
    """Assert that two checkpoints are equal to the last bit, but for the time that was spent."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), path
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one.keys() - {"seconds", "time"}:
            assert_same(one[key], other[key], f"{path}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for number, (item, same) in enumerate(zip(one, other, strict=True)):
            assert_same(item, same, f"{path}/{number}")
    else:
        assert one == other, path


def test_rows_hold_the_losses_and_the_rates_of_the_last_step(bench: Setup) -> None:
    made = bench()
    state = made.run()
    assert [row["epoch"] for row in state.history] == [1, 2]
    assert (state.epoch, state.batches, state.slot, state.updates) == (2, 0, 10, 10)
    for row in state.history:
        step = int(row["epoch"] or 0) * 5 - 1
        columns = ("lr0", "lr/pg0", "lr/pg1", "lr/pg2")
        assert tuple(row[column] for column in columns) == made.session.plan.row(step)
        for loss in ("train/cls_loss", "val/cls_loss"):
            assert row[loss] is not None
            assert row[loss] > 0
    assert made.watch.steps == [1, 2, 3, 4, 5] * 2
    times = [row["time"] for row in state.history]
    assert 0 < times[0] < times[1] <= state.seconds  # type: ignore[operator]


def test_epoch_without_validation_leaves_its_cells_empty(bench: Setup) -> None:
    state = bench(train={"epochs": 5, "val_every": 2}).run()
    filled = [row["epoch"] for row in state.history if row["metrics/mAP50(B)"] is not None]
    assert filled == [2, 4, 5]
    for row in state.history:
        cells = [row[name] for name in row if name.startswith(("metrics/", "val/"))]
        assert len({cell is None for cell in cells}) == 1
        assert row["train/box_loss"] is not None


def test_short_last_batch_and_trailing_accumulation_group_are_stepped(bench: Setup) -> None:
    made = bench(train={"epochs": 1, "batch": 2, "accumulate": 2})
    state = made.run()
    assert made.watch.steps == [2, 3]
    assert (state.slot, state.updates) == (2, 2)


def test_patience_ends_a_run_that_does_not_get_better(bench: Setup) -> None:
    made = bench(train={"epochs": 9, "patience": 2})
    scores = iter([0.5, 0.6, 0.6, 0.2, 0.9])
    made.trainer.validate = scored(made.trainer.validate, scores)
    state = made.run()
    assert (state.epoch, state.best_epoch, state.stopped_early) == (4, 2, True)
    assert unpack(made.watch.saved[-1], "last")["state"]["stopped_early"]


def test_patience_counts_epochs_that_were_not_validated(bench: Setup) -> None:
    made = bench(train={"epochs": 9, "patience": 3, "val_every": 2})
    made.trainer.validate = scored(made.trainer.validate, iter([0.5, 0.4, 0.3, 0.9]))
    assert made.run().epoch == 6


def test_patience_goes_on_counting_after_a_resume(bench: Setup) -> None:
    first = bench(train={"epochs": 9, "patience": 3})
    first.trainer.validate = scored(first.trainer.validate, iter([0.5, 0.4]))
    first.watch.on_each_step = lambda state: (
        setattr(first.stop, "signal_number", signal.SIGTERM) if state.epoch == 2 else None
    )
    with pytest.raises(StoppedError):
        first.run()
    second = bench(first.watch.saved[-1], train={"epochs": 9, "patience": 3})
    second.trainer.validate = scored(second.trainer.validate, iter([0.4, 0.4]))
    assert second.run().epoch == 4


def scored(validate: Any, scores: Any) -> Any:
    """Return a validation that is real but for its mAP50-95."""

    def judge(model: nn.Module, *context: Any) -> Validation:
        found = validate(model, *context)
        metrics = replace(found.metrics, map50_95=next(scores))
        return replace(found, metrics=metrics)

    return judge


@pytest.mark.parametrize(
    ("every", "slots"),
    [
        ({"steps": 2}, [2, 4, 5, 6, 8, 10, 10]),
        ({"epochs": 2}, [5, 10]),
        ({"epochs": 1}, [5, 10]),
        ({"minutes": 1e-9}, [*range(1, 6), 5, *range(6, 11), 10]),
    ],
)
def test_saves_come_when_they_are_asked_for_and_at_the_end(
    bench: Setup, every: dict[str, Any], slots: list[int]
) -> None:
    made = bench(train={"save_every": {"steps": None, "minutes": None, "epochs": None} | every})
    made.run()
    # The first epoch is the best so far, so that it is kept whatever was asked for.
    assert made.watch.slots == slots


@pytest.mark.fault(1)
def test_run_resumed_from_any_step_ends_bit_equal(bench: Setup) -> None:
    """Five batches in groups of two: every epoch ends with a trailing group of one."""
    train = {
        "epochs": 3,
        "accumulate": 2,
        "val_every": 2,
        "save_every": {"steps": 1, "minutes": None, "epochs": 1},
    }
    through = bench(train=train)
    through.run()
    assert through.watch.slots == [1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9, 9]
    last = unpack(through.watch.saved[-1], "through")
    # After the first step, before and after the row of an epoch, in a later one, before the end.
    for number in (0, 2, 3, 4, 10):
        again = bench(through.watch.saved[number], train=train)
        again.run()
        assert_same(last, unpack(again.watch.saved[-1], "resumed"))


def test_signal_between_two_steps_saves_what_is_done(bench: Setup) -> None:
    made = bench()
    made.watch.on_each_step = lambda state: (
        setattr(made.stop, "signal_number", signal.SIGUSR1) if state.slot == 3 else None
    )
    with pytest.raises(StoppedError, match="SIGUSR1 came: everything is saved after 3 opt"):
        made.run()
    assert made.watch.slots == [3]
    assert made.watch.steps == [1, 2, 3]


@pytest.mark.fault(6)
def test_signal_during_validation_loses_no_step_and_validates_again(bench: Setup) -> None:
    through, stopped = bench(), bench()
    through.run()
    real = stopped.trainer.validate

    def interrupted_validation(model: nn.Module, *context: Any) -> Validation:
        stopped.stop.signal_number = signal.SIGTERM
        return real(model, *context)

    stopped.trainer.validate = interrupted_validation
    with pytest.raises(StoppedError, match="5 of 5 batches"):
        stopped.run()
    state = unpack(stopped.watch.saved[-1], "stopped")["state"]
    assert (state["epoch"], state["batches"], state["history"]) == (0, 5, [])
    again = bench(stopped.watch.saved[-1])
    again.run()
    assert_same(unpack(through.watch.saved[-1], "one"), unpack(again.watch.saved[-1], "other"))


def test_weights_that_are_not_finite_at_the_start_end_the_run(bench: Setup) -> None:
    made = bench(train={"epochs": 9})
    with torch.no_grad():
        next(made.session.detector.parameters()).fill_(float("nan"))
    with pytest.raises(DivergedError, match="not finite after step 0"):
        made.run()
    assert made.trainer.state.updates == 0


@pytest.mark.fault(21)
def test_learning_rate_that_explodes_ends_the_run_and_keeps_nothing_broken(bench: Setup) -> None:
    made = bench(train={"epochs": 9}, optim={"lr0": 1e30})
    with pytest.raises(DivergedError):
        made.run()
    for saved in made.watch.saved:
        average = unpack(saved, "saved")["average"]
        assert all(value.isfinite().all() for value in average.values())


@pytest.mark.fault(21)
def test_batch_statistics_that_are_not_finite_are_not_kept(bench: Setup) -> None:
    made = bench(train={"epochs": 1, "max_rollbacks": 1})
    norm = next(
        part for part in made.session.detector.modules() if isinstance(part, nn.BatchNorm2d)
    )
    statistics = norm.running_mean
    assert statistics is not None
    made.watch.on_each_step = lambda state: statistics.fill_(float("nan"))
    with pytest.raises(DivergedError, match=r"batch statistics are not finite .* 1 rollbacks"):
        made.run()
    for saved in made.watch.saved:
        model = unpack(saved, "saved")["model"]
        assert all(value.isfinite().all() for value in model.values())


def test_without_average_the_weights_themselves_are_judged_and_kept(bench: Setup) -> None:
    made = bench(train={"epochs": 1, "ema": False})
    assert made.trainer.evaluated_model is made.session.runner.detector
    made.run()
    content = unpack(made.watch.saved[-1], "last")
    assert content["average"] is None
    for name, value in made.session.detector.state_dict().items():
        assert torch.equal(content["model"][name], value)


FOLLOWING: dict[str, dict[str, Any]] = {
    "plateau": {"metric": "train_loss", "patience": 0, "gamma": 0.5, "threshold": 0.9},
    "adaptive": {"warm": {"steps": 10}, "restart": {"steps": 3}, "tolerance": 0.0},
}


@pytest.mark.parametrize("name", FOLLOWING)
def test_run_whose_schedule_follows_it_resumes_bit_equal(bench: Setup, name: str) -> None:
    groups = {
        "train": {"epochs": 4, "val_every": 9, "save_every": {"steps": 4, "minutes": None}},
        "schedule": {"name": name, "warmup": None, **FOLLOWING[name]},
    }
    through = bench(**groups)
    through.run()
    last = unpack(through.watch.saved[-1], "through")
    decisions = last["state"]["schedule"]["decisions"]
    assert len(decisions) >= 2
    logged = [entry for entry in through.watch.logged if entry["kind"] == "schedule"]
    assert [{"kind": "schedule", **made} for made in decisions] == logged
    rates = [row["lr0"] for row in last["state"]["history"]]
    undecided = [through.session.plan.row(5 * epoch + 4)[0] for epoch in range(4)]
    assert rates != undecided
    for number in (1, 2):  # after steps 8 and 12, in the middle of an epoch
        again = bench(through.watch.saved[number], **groups)
        again.run()
        assert_same(last, unpack(again.watch.saved[-1], "resumed"))


def test_what_a_plateau_decides_is_said_when_it_holds(bench: Setup) -> None:
    options = {"name": "plateau", "warmup": None, **FOLLOWING["plateau"]}
    made = bench(train={"epochs": 4, "val_every": 9}, schedule=options)
    made.run()
    told = [note for note in made.watch.notes if note.startswith("schedule")]
    reason = "train_loss got no better in 1 validated epoch"
    assert told == [
        f"schedule from step 10 (epoch 3): lr0 falls to 0.0005: {reason}",
        f"schedule from step 15 (epoch 4): lr0 falls to 0.00025: {reason}",
    ]


def test_what_an_adaptive_schedule_decides_is_said_when_it_holds(bench: Setup) -> None:
    lengths = {"warm": {"steps": 12}, "restart": {"steps": 5}}
    options = {"name": "adaptive", "warmup": None, **FOLLOWING["adaptive"], **lengths}
    made = bench(train={"epochs": 6, "val_every": 9}, schedule=options)
    made.run()
    logged = [entry for entry in made.watch.logged if entry["kind"] == "schedule"]
    told = [note for note in made.watch.notes if "restart" not in note]
    assert {entry["what"] for entry in logged} == {"ramp", "cycle"}
    assert len(told) == len(logged)
    for entry, note in zip(logged, told, strict=True):
        step = entry["step"]
        assert note.startswith(f"schedule from step {step} (epoch {step // 5 + 1}): ")
        assert ("the warmup" in note) == (entry["what"] == "ramp")
        assert (f"a cycle of {entry['value']:g} steps" in note) == (entry["what"] == "cycle")


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"name": "cosine_restarts", "t0": 1, "decay": 0.5}, [5, 10]),
        ({"name": "sequence", "curves": [{"name": "linear", "epochs": 2}, {"name": "step"}]}, [10]),
        ({"name": "cosine_restarts", "t0": {"steps": 1}}, []),
    ],
)
def test_restarts_are_said_and_logged_where_they_are_few(
    bench: Setup, options: dict[str, Any], steps: list[int]
) -> None:
    made = bench(train={"epochs": 3}, schedule={"warmup": {"steps": 0}, **options})
    made.run()
    plan = made.session.plan
    rates = [plan.row(step)[0] for step in steps]
    assert [entry for entry in made.watch.logged if entry["kind"] == "restart"] == [
        {"kind": "restart", "step": step, "lr0": rate}
        for step, rate in zip(steps, rates, strict=True)
    ]
    assert [note for note in made.watch.notes if "restart" in note] == [
        f"schedule from step {step} (epoch {step // 5 + 1}): restart at lr0 {rate:g}"
        for step, rate in zip(steps, rates, strict=True)
    ]


def test_schedule_that_follows_the_epochs_alone_does_not_wait_for_each_step(bench: Setup) -> None:
    made = bench(schedule={"name": "plateau", "warmup": None})
    assert not made.trainer.scheduler.observes_steps
    assert bench().run().schedule == {}


STAGES = [
    {"epochs": 2, "inputs": "rgb", "freeze": ["backbone_ir", "neck"]},
    {"epochs": 1, "freeze": ["backbone"]},
    {},
]


def staged(bench: Setup, *, saved: bytes | None = None) -> Bench:
    return bench(saved, model={"fusion": "mid"}, train={"epochs": 4, "stages": STAGES, "batch": 2})


def test_frozen_parts_keep_weights_and_statistics_until_their_stage_is_over(bench: Setup) -> None:
    made = staged(bench)
    start = {name: value.clone() for name, value in made.session.detector.state_dict().items()}
    made.run()
    assert [entry["name"] for entry in made.watch.logged if entry["kind"] == "stage"] == [
        "RGB alone, backbone_ir and neck frozen",
        "RGB and IR, backbone frozen",
        "RGB and IR",
    ]
    by_epoch = [
        unpack(saved, "saved")["model"]
        for saved, slot in zip(made.watch.saved, made.watch.slots, strict=True)
        if slot % 3 == 0
    ]
    frozen = [("backbone_ir", "neck"), ("backbone_ir", "neck"), ("backbone",), ()]
    for before, after, still in zip([start, *by_epoch[:3]], by_epoch[:4], frozen, strict=True):
        for name, value in after.items():
            if value.dtype.is_floating_point and "bias" not in name:
                same = torch.equal(value, before[name])
                assert same == (name.split(".")[0] in still), name


def test_columns_of_frozen_parts_are_zero(bench: Setup) -> None:
    made = staged(bench)
    state = made.run()
    groups = made.session.plan.groups
    frozen = [{"backbone_ir", "neck"}, {"backbone_ir", "neck"}, {"backbone"}, set()]
    for row, still in zip(state.history, frozen, strict=True):
        rates = [row[f"lr/pg{number}"] for number in range(len(groups))]
        zero = {group.part for group, rate in zip(groups, rates, strict=True) if rate == 0}
        assert zero == still


def test_staged_run_resumed_from_any_step_ends_bit_equal(bench: Setup) -> None:
    whole = bench(
        model={"fusion": "mid"},
        train={"epochs": 4, "stages": STAGES, "batch": 2, "save_every": {"steps": 1}},
    )
    whole.run()
    last = unpack(whole.watch.saved[-1], "last")
    for saved in whole.watch.saved[1:-1:4]:
        again = staged(bench, saved=saved)
        again.run()
        assert_same(unpack(again.watch.saved[-1], "again"), last)


def test_image_that_a_stage_does_not_show_changes_nothing() -> None:
    rgb, ir = torch.rand(1, 3, 4, 4), torch.rand(1, 1, 4, 4)
    assert all(torch.equal(a, b) for a, b in zip(shown(rgb, ir, "both"), (rgb, ir), strict=True))
    for inputs, kept in (("rgb", 0), ("ir", 1)):
        seen = shown(rgb, ir, inputs)
        assert torch.equal(seen[kept], (rgb, ir)[kept])
        assert seen[1 - kept].unique().tolist() == pytest.approx([114 / 255])
