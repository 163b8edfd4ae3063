"""Rules about learning rates: their size, their course against the plan, warmup and length.

What can be said of a schedule alone is said by `schedule/advice.py`; here it is joined with what
the run logged.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator

from fusetrain.build import batch_size
from fusetrain.diagnose.evidence import Evidence
from fusetrain.diagnose.learning_rules import fall_of_loss, skipped_steps
from fusetrain.diagnose.symptoms import Diagnosis
from fusetrain.schedule.advice import GOOD_LR0, LARGE_BATCH, MANY_PAIRS, Advice, advise
from fusetrain.schedule.plan import SchedulePlan

HIGH, LOW = 5.0, 0.2  # times the usual lr0, over and under which the size is suspected
RISE = 1.1  # of the training loss over its least
LEAST_FALL = 0.05  # of the training loss, over the run
MIN_EPOCHS = 3
LEAST_WARMUP_EPOCHS = 1
LOOKS_AN_EPOCH = 20
# Codes of the advice that are told under another name, or only in company of another finding.
NAMES = {"beyond-the-run": "period-mismatch"}


def judge_rates(evidence: Evidence) -> Iterator[Diagnosis]:
    """Yield what is wrong with the learning rates."""
    size = list(_size(evidence))
    yield from size
    yield from _course(evidence)
    yield from _stuck(evidence)
    for item in _advice(evidence):
        is_told = size and item.code == "lr0-unusual"
        if not is_told and not _is_usual(evidence, item):
            yield _from_advice(evidence, item)


def _size(evidence: Evidence) -> Iterator[Diagnosis]:
    """Judge lr0 by what it did to the loss."""
    optim = evidence.config.optim
    usual = GOOD_LR0.get(optim.name)
    if usual is None or evidence.run is None:
        return
    numbers = {"lr0": optim.lr0, "usual": usual}
    if optim.lr0 > HIGH * usual and (why := _overshoots(evidence)):
        yield Diagnosis(
            "rate-too-high",
            f"lr0 {optim.lr0:g} is {optim.lr0 / usual:.3g} times the usual {usual:g} of "
            f"{optim.name}; {why}",
            f"{evidence.train_with(f'optim.lr0={usual:g}')}; or --lr-find looks for a rate",
            numbers,
        )
    fall = fall_of_loss(evidence)
    if optim.lr0 < LOW * usual and fall is not None and fall.share < LEAST_FALL:
        yield Diagnosis(
            "rate-too-low",
            f"lr0 {optim.lr0:g} is {optim.lr0 / usual:.3g} of the usual {usual:g} of {optim.name}; "
            f"train/box + cls + dfl went from {fall.before:.4g} to {fall.after:.4g} (means of the "
            f"first and the last {fall.epochs} epochs)",
            f"{evidence.train_with(f'optim.lr0={usual:g}')}; or --lr-find looks for a rate",
            {**numbers, "fall": round(fall.share, 4)},
        )


def _overshoots(evidence: Evidence) -> str:
    """Return what shows that steps overshoot; empty where nothing does."""
    skipped = skipped_steps(evidence)
    if skipped:
        return f"{skipped} steps were skipped as not finite"
    losses = evidence.losses("train")
    if not losses:
        return ""
    least_epoch, least = min(losses, key=lambda item: item[1])
    epoch, last = losses[-1]
    if last > RISE * least and epoch > least_epoch:
        return (
            f"train/box + cls + dfl rose from {least:.4g} (epoch {least_epoch}) to {last:.4g} "
            f"(epoch {epoch})"
        )
    judged = evidence.losses("val")
    broken = [epoch for epoch, value in judged if not math.isfinite(value)]
    if broken:
        return f"val/box + cls + dfl is not finite in epoch {broken[0]}"
    if judged and max(value for _, value in judged) > 10 * least:
        epoch, value = max(judged, key=lambda item: item[1])
        return f"val/box + cls + dfl is {value:.4g} in epoch {epoch}, train/ {least:.4g} at best"
    return ""


def _course(evidence: Evidence) -> Iterator[Diagnosis]:
    """Compare the logged columns with the plan."""
    rollbacks = evidence.of_kind("rollback")
    scale = _common_scale(evidence)
    if rollbacks or scale is not None:
        last = rollbacks[-1].get("lr_scale") if rollbacks else scale
        first = evidence.departures[0] if evidence.departures else None
        yield Diagnosis(
            "rate-scaled",
            f"{len(rollbacks)} rollbacks in events.jsonl, all rates are {last:g} of those planned"
            + (f"; results.csv, {first}" if first else ""),
            evidence.train_with(f"optim.lr0={evidence.config.optim.lr0 * (last or 0.5):g}"),
            {"rollbacks": len(rollbacks), "lr_scale": last},
        )
    elif evidence.departures:
        first = evidence.departures[0]
        yield Diagnosis(
            "rate-left-plan",
            f"results.csv differs at {len(evidence.departures)} cells, first at {first}",
            f"{_drawn(evidence)} draws both",
            {"cells": len(evidence.departures), "epoch": first.epoch, "column": first.column},
        )


def _drawn(evidence: Evidence) -> str:
    """Return the command that draws the planned and the logged rates."""
    words = ["fusetrain", "plot-lr", "--config", str(evidence.config_path), str(evidence.run)]
    return shlex.join(words)


def _common_scale(evidence: Evidence) -> float | None:
    """Return the power of 1/2 by which all group columns are below the plan; None without."""
    scales = set()
    for item in evidence.departures:
        if item.column == "lr0" or not item.planned or item.logged is None:
            return None
        scales.add(item.logged / item.planned)
    halvings = {-math.log2(scale) for scale in scales if scale > 0}
    is_halved = halvings and all(abs(n - round(n)) < 1e-9 and n >= 1 for n in halvings)
    return min(scales) if is_halved else None


def _stuck(evidence: Evidence) -> Iterator[Diagnosis]:
    """Find a column that stands still although the plan moves elsewhere."""
    plan, cells = evidence.plan, evidence.cells("lr0")
    if plan is None or evidence.departures or len(cells) < MIN_EPOCHS:
        return
    rates = {value for _, value in cells}
    is_still = len(rates) == 1 and not _moves_within(plan, epoch=len(cells) - 1)
    if is_still and evidence.config.schedule.name != "constant":
        is_planned = any(item.code == "rate-constant" for item in _advice(evidence))
        if not is_planned:
            yield Diagnosis(
                "rate-stuck",
                f"lr0 is {rates.pop():g} in all {len(cells)} rows of results.csv, the schedule is "
                f"{evidence.config.schedule.name}",
                f"{_drawn(evidence)} shows when it moves; "
                f"{evidence.train_with('schedule.name=cosine')}",
                {"epochs": len(cells)},
            )


def _moves_within(plan: SchedulePlan, epoch: int) -> bool:
    """Return whether the rate moves between the steps of an epoch, as with a restart in each."""
    steps = plan.steps_per_epoch
    looks = {steps * epoch + steps * number // LOOKS_AN_EPOCH for number in range(LOOKS_AN_EPOCH)}
    return len({plan.factor(step) for step in looks}) > 1


def _advice(evidence: Evidence) -> list[Advice]:
    config, plan = evidence.config, evidence.plan
    if plan is None or evidence.num_pairs is None:
        return []
    return advise(
        plan,
        config.schedule,
        num_pairs=evidence.num_pairs,
        batch=batch_size(config) * config.train.accumulate,
        optimizer=config.optim.name,
        is_fine_tuning=config.model.weights is not None,
    )


def _is_usual(evidence: Evidence, item: Advice) -> bool:
    """Return whether a warmup is a little short of the usual length on a small set, no more."""
    plan, config = evidence.plan, evidence.config
    assert plan is not None
    is_small = (evidence.num_pairs or 0) < MANY_PAIRS and config.model.weights is None
    is_small &= batch_size(config) * config.train.accumulate <= LARGE_BATCH
    enough = LEAST_WARMUP_EPOCHS * plan.steps_per_epoch
    return item.code == "warmup-short" and is_small and plan.warmup_steps >= enough


def _from_advice(evidence: Evidence, item: Advice) -> Diagnosis:
    code = NAMES.get(item.code, item.code)
    plan, optim = evidence.plan, evidence.config.optim
    assert plan is not None
    if code == "warmup-short" and not plan.warmup_steps:
        usual = GOOD_LR0.get(optim.name, math.inf)
        code = "warmup-missing" if optim.lr0 > usual else code
    sets = _sets(evidence, code)
    command = f"{item.remedy}: {evidence.train_with(*sets)}" if sets else item.remedy
    numbers = {"warmup_steps": plan.warmup_steps, "steps": plan.total_steps, "lr0": plan.lr0}
    return Diagnosis(code, item.evidence, command, numbers)


def _sets(evidence: Evidence, code: str) -> list[str]:
    """Return the settings that mend what an advice says."""
    plan, optim = evidence.plan, evidence.config.optim
    assert plan is not None
    if code == "warmup-long":
        return [f"schedule.warmup={{steps: {max(1, plan.total_steps // 10)}}}"]
    if code in ("warmup-missing", "warmup-short"):
        steps = min(3 * plan.steps_per_epoch, max(1, plan.total_steps // 3))
        return [f"schedule.warmup={{steps: {steps}}}"]
    if code == "ends-at-zero":
        given = evidence.config.schedule.curve_options
        floors = {"lrf": 0.01, "eta_min": plan.lr0 / 100}
        return [f"schedule.{key}={floor:g}" for key, floor in floors.items() if given.get(key) == 0]
    if code == "lr0-unusual":
        return [f"optim.lr0={GOOD_LR0[optim.name]:g}"]
    if code in ("rate-constant", "period-mismatch"):
        return ["schedule={name: cosine}"]
    return []
