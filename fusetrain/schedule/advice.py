"""What a schedule does that rarely does a run good, with the numbers and a remedy.

Pure functions of the plan and its settings: `train --dry-run` prints what they find, a diagnosis
may ask them again. Nothing here changes a plan, and none of it is an error. The lengths of warmups
follow Goyal et al. (2017) for large batches and the practice of detector training for small sets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from fusetrain.config.schema import ScheduleSettings
from fusetrain.schedule.following import FollowingCurve
from fusetrain.schedule.options import warms_up_itself
from fusetrain.schedule.plan import SchedulePlan
from fusetrain.schedule.plan_notes import misfits, shown_steps

MANY_PAIRS = 10_000
LARGE_BATCH = 256
SMALL_SET_EPOCHS, LARGE_SET_STEPS, TUNING_EPOCHS = (3, 5), (1000, 3000), (1, 2)
LONGEST_SHARE = 1 / 3
USUAL_LR0 = {"sgd": (1e-4, 1.0), "adam": (1e-6, 1e-2), "adamw": (1e-6, 1e-2), "muon": (1e-5, 0.1)}
GOOD_LR0 = {"sgd": 0.01, "adam": 0.001, "adamw": 0.001, "muon": 0.002}
MAX_LOOKS = 2000


@dataclass(frozen=True)
class Advice:
    """One remark on a schedule.

    Attributes:
        code: Name of the rule, for scripts.
        evidence: What was found, with its numbers.
        remedy: What to set instead.
    """

    code: str
    evidence: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.evidence}; {self.remedy}"


def advise(
    plan: SchedulePlan,
    settings: ScheduleSettings,
    *,
    num_pairs: int,
    batch: int,
    optimizer: str,
    is_fine_tuning: bool = False,
) -> list[Advice]:
    """Return what could be better about a schedule.

    Args:
        plan: The learning rates.
        settings: The settings that it was made of.
        num_pairs: Training pairs.
        batch: Pairs of one optimizer step, accumulation included.
        optimizer: sgd, adam, adamw or muon.
        is_fine_tuning: The run starts from weights of an earlier training.
    """
    return [
        *_beyond_the_run(plan, settings),
        *_warmup(plan, settings, num_pairs=num_pairs, batch=batch, is_tuning=is_fine_tuning),
        *_range(plan, settings),
        *_lr0(plan.lr0, optimizer),
    ]


def _beyond_the_run(plan: SchedulePlan, settings: ScheduleSettings) -> Iterator[Advice]:
    """Find times of the curve that the run never reaches, or runs past."""
    found = misfits(settings, epochs=plan.epochs, steps_per_epoch=plan.steps_per_epoch)
    for key, sentence in found:
        if key == "T_max":
            remedy = "set schedule.T_max to the length of the run"
        else:
            remedy = f"set schedule.{key} below {plan.epochs} epochs, or train longer"
        yield Advice("beyond-the-run", sentence, remedy)


def _warmup(
    plan: SchedulePlan,
    settings: ScheduleSettings,
    *,
    num_pairs: int,
    batch: int,
    is_tuning: bool,
) -> Iterator[Advice]:
    """Find a warmup that is out of proportion to the run, the set or the batch."""
    rise = plan.warmup_steps
    if not rise and warms_up_itself(settings):
        rise = _rise(plan)
    limit = plan.total_steps * LONGEST_SHARE
    if rise > limit:
        yield Advice(
            "warmup-long",
            f"the warmup takes {_shown(rise, plan)} of {_shown(plan.total_steps, plan)}",
            "let it take a third of the run at most: a longer run, or a shorter warmup",
        )
    least, usual = _usual_warmup(plan, num_pairs, is_tuning=is_tuning)
    if batch > LARGE_BATCH and least < (large := math.ceil(100 * math.log2(batch))):
        least, usual = large, f"at least {large} steps for {batch} pairs a step"
    if rise < min(least, int(limit)):
        yield Advice(
            "warmup-short",
            f"the warmup takes {_shown(rise, plan)} on {num_pairs} training pairs",
            f"usual are {usual}",
        )


def _usual_warmup(plan: SchedulePlan, num_pairs: int, *, is_tuning: bool) -> tuple[int, str]:
    """Return the least usual warmup in steps, and the usual range in words."""
    if is_tuning:
        low, high = TUNING_EPOCHS
        return low * plan.steps_per_epoch, f"{low} to {high} epochs when fine-tuning"
    if num_pairs < MANY_PAIRS:
        low, high = SMALL_SET_EPOCHS
        return low * plan.steps_per_epoch, f"{low} to {high} epochs below {MANY_PAIRS} pairs"
    low, high = LARGE_SET_STEPS
    return low, f"{low} to {high} steps on a large set"


def _range(plan: SchedulePlan, settings: ScheduleSettings) -> Iterator[Advice]:
    """Find a rate that never moves, or that ends at nothing."""
    after = [plan.factor(step) for step in _looks(plan) if step >= plan.warmup_steps]
    follows = any(
        isinstance(stretch.shapes[None].curve, FollowingCurve) for stretch in plan.stretches
    )
    if not follows and len(after) > 1 and min(after) == max(after):
        yield Advice(
            "rate-constant",
            f"the rate stays at {plan.lr0 * after[0]:g} for the whole run",
            "a schedule that falls, such as schedule.name=cosine, ends better",
        )
    floor = [settings.curve_options.get(key) for key in ("eta_min", "lrf")]
    if 0 in floor or (after and after[-1] == 0.0):
        yield Advice(
            "ends-at-zero",
            "the rate falls to 0, so that the last steps learn nothing",
            f"set schedule.lrf=0.01, or schedule.eta_min={plan.lr0 / 100:g}",
        )


def _lr0(lr0: float, optimizer: str) -> Iterator[Advice]:
    """Find a peak rate far off what its optimizer bears, or needs."""
    low, high = USUAL_LR0.get(optimizer, (0.0, math.inf))
    if low < lr0 < high:
        return
    side = "high" if lr0 >= high else "low"
    yield Advice(
        "lr0-unusual",
        f"lr0 {lr0:g} is {side} for {optimizer}",
        f"a usual start is optim.lr0={GOOD_LR0[optimizer]:g}",
    )


def _rise(plan: SchedulePlan) -> int:
    """Return the steps that a schedule with its own warmup takes to its peak."""
    looks = _looks(plan)
    factors = [plan.factor(step) for step in looks]
    return looks[factors.index(max(factors))]


def _looks(plan: SchedulePlan) -> list[int]:
    last = plan.total_steps - 1
    return sorted({last * number // (MAX_LOOKS - 1) for number in range(MAX_LOOKS)})


def _shown(steps: int, plan: SchedulePlan) -> str:
    return shown_steps(steps, plan.steps_per_epoch)
