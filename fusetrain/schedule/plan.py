"""The learning rate of every parameter group at every step of a run, known before it starts.

A plan is a pure function of the step: training, `results.csv` and `plot-lr` ask the same plan, so
they agree to the last digit, and a resumed run needs nothing but its step. It holds no optimizer;
`scheduler.py` writes its numbers into one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from fusetrain.schedule.curves import blend
from fusetrain.schedule.following import Decision, FollowingCurve, Observer
from fusetrain.schedule.stages import ONE_STAGE, StageRates
from fusetrain.schedule.stretch import Shape, Stretch

Kind = Literal["decay", "norm", "bias"]
KINDS: tuple[Kind, ...] = ("decay", "norm", "bias")


@dataclass(frozen=True)
class GroupKey:
    """One parameter group: which part of the model, and which kind of weights.

    Attributes:
        part: Name of the part; None where all parts share one rate.
        kind: ``decay`` weights with decay, ``norm`` normalisation weights, ``bias`` biases.
    """

    part: str | None
    kind: Kind


@dataclass(frozen=True)
class SchedulePlan:
    """The schedule of one run.

    Steps are optimizer steps and count from 0, epochs count from 0 as well.

    Attributes:
        total_steps: Optimizer steps of the whole run.
        steps_per_epoch: Optimizer steps of one epoch.
        epochs: Epochs of the whole run.
        lr0: Peak learning rate.
        notes: Sentences about settings that are used otherwise than written, such as a warmup
            longer than the run.
        groups: Parameter groups in the order of the columns `lr/pg0`, `lr/pg1`, …
        scales: Part to factor on its learning rate; None stands for all others.
        bias_lr: Rate from which biases start in the warmup; None: as the other weights.
        momentum_start: Momentum at the start of the warmup; None: the warmup leaves it alone.
        base_momentum: Momentum where neither warmup nor curve moves it.
        stretches: What holds from which step on; more than one where a run was extended.
        stage_rates: What each stage of the training does to the rates; empty without stages.
    """

    total_steps: int
    steps_per_epoch: int
    epochs: int
    lr0: float
    notes: tuple[str, ...]
    groups: tuple[GroupKey, ...]
    scales: Mapping[str | None, float]
    bias_lr: float | None
    momentum_start: float | None
    base_momentum: float
    stretches: tuple[Stretch, ...]
    stage_rates: tuple[StageRates, ...] = ()

    def factor(self, step: int) -> float:
        """Return the factor on lr0, warmup included, without part scales and bias rate."""
        return self._shape(None, step).factor(step) * self._stage(step).warmth(step)

    def lr(self, group: GroupKey, step: int) -> float:
        """Return the learning rate of a group at a step, before any scale of a rollback."""
        shape, stage = self._shape(group.part, step), self._stage(step)
        scale = self.scales.get(group.part, self.scales[None]) * stage.scale(group.part)
        base = self.lr0 * scale * stage.warmth(step)
        if group.kind != "bias" or self.bias_lr is None or base == 0.0:
            return base * shape.factor(step)
        return blend(self.bias_lr, base * shape.main(step), shape.ramp.progress(step))

    def momentum(self, step: int) -> float | None:
        """Return the momentum (or beta1) at a step; None where the plan leaves it alone."""
        if not self.sets_momentum:
            return None
        shape = self._shape(None, step)
        own = shape.momentum(step)
        target = self.base_momentum if own is None else own
        if self.momentum_start is None:
            return target
        return blend(self.momentum_start, target, shape.ramp.progress(step))

    @property
    def sets_momentum(self) -> bool:
        """Return whether the warmup or the curve moves the momentum."""
        shapes = (stretch.shapes[None] for stretch in self.stretches)
        return self.momentum_start is not None or any(shape.moves_momentum for shape in shapes)

    @property
    def warmup_steps(self) -> int:
        """Return the length of the common warmup, or of the curve's own, as it is run."""
        return self._last_shape.warmup_steps

    @property
    def warmups(self) -> tuple[tuple[int, int], ...]:
        """Return the first step of every warmup and the first behind it; stages have their own."""
        spans = [(0, self.warmup_steps)]
        spans += [
            (stage.first_step, stage.first_step + stage.ramp.steps) for stage in self.stage_rates
        ]
        return tuple(dict.fromkeys(span for span in spans if span[0] < span[1]))

    def warmup_spans(self) -> tuple[tuple[float, float], ...]:
        """Return begin and end of every warmup, in epochs."""
        per_epoch = self.steps_per_epoch
        return tuple((begin / per_epoch, end / per_epoch) for begin, end in self.warmups)

    @property
    def restarts(self) -> tuple[int, ...]:
        """Return the steps at which the schedule jumps back to a peak."""
        ends = [*(stretch.from_step for stretch in self.stretches[1:]), self.total_steps]
        return tuple(
            step
            for stretch, end in zip(self.stretches, ends, strict=True)
            for step in stretch.shapes[None].restarts
            if stretch.from_step <= step < end
        )

    @property
    def stages(self) -> tuple[tuple[int, int, str], ...]:
        """Return first step, last step and name of each stage; empty without stages."""
        return tuple((stage.first_step, stage.last_step, stage.name) for stage in self.stage_rates)

    def stage_spans(self) -> tuple[tuple[float, float, str], ...]:
        """Return begin and end in epochs and the name of each stage; empty without stages."""
        per_epoch = self.steps_per_epoch
        return tuple(
            (first / per_epoch, (last + 1) / per_epoch, name) for first, last, name in self.stages
        )

    def decided(self, decisions: Sequence[Decision]) -> SchedulePlan:
        """Return the plan with what a curve that follows the run has decided."""
        stretches = tuple(stretch.decided(decisions) for stretch in self.stretches)
        return replace(self, stretches=stretches)

    def observer(self) -> Observer | None:
        """Return an observer of the run; None for a schedule that is known beforehand."""
        curve = self._last_shape.curve
        return curve.observer(self.total_steps) if isinstance(curve, FollowingCurve) else None

    def extremes(self) -> dict[str, SchedulePlan]:
        """Return plans at the ends of what may happen; none where all is known beforehand."""
        curve = self._last_shape.curve
        if not isinstance(curve, FollowingCurve):
            return {}
        found = curve.extremes(self.total_steps, steps_per_epoch=self.steps_per_epoch)
        return {name: self.decided(decisions) for name, decisions in found.items()}

    def sentence_of(self, decision: Decision) -> str:
        """Return from when on a decision holds, what it does and why, for readers."""
        curve = self._last_shape.curve
        assert isinstance(curve, FollowingCurve)
        return f"{self._since(decision.step)}: {curve.reason(decision, lr0=self.lr0)}"

    def restart_sentence(self, step: int) -> str:
        """Return when the schedule jumps back to a peak, and to which rate, for readers."""
        return f"{self._since(step)}: restart at lr0 {self.lr0 * self.factor(step):g}"

    def _since(self, step: int) -> str:
        return f"schedule from step {step} (epoch {self.epoch_of(step) + 1})"

    def epoch_of(self, step: int) -> int:
        """Return the epoch, from 0, that a step lies in."""
        return step // self.steps_per_epoch

    def last_step_of(self, epoch: int) -> int:
        """Return the last step of an epoch that counts from 0."""
        return (epoch + 1) * self.steps_per_epoch - 1

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns that `row` fills: lr0, lr/pg0, lr/pg1 and so on."""
        return ("lr0", *(f"lr/pg{index}" for index in range(len(self.groups))))

    def row(self, step: int) -> tuple[float, ...]:
        """Return the planned learning rates at a step, in the order of `columns`."""
        return (self.lr0 * self.factor(step), *(self.lr(group, step) for group in self.groups))

    @property
    def _last_shape(self) -> Shape:
        return self.stretches[-1].shapes[None]

    def _stage(self, step: int) -> StageRates:
        at = bisect_right(self.stage_rates, step, key=lambda stage: stage.first_step)
        return self.stage_rates[at - 1] if at else ONE_STAGE

    def _shape(self, part: str | None, step: int) -> Shape:
        assert 0 <= step < self.total_steps, f"step {step} of {self.total_steps}"
        at = bisect_right(self.stretches, step, key=lambda stretch: stretch.from_step)
        shapes = self.stretches[at - 1].shapes
        return shapes.get(part, shapes[None])
