"""What the stages of a training do to the rates: frozen parts stand still, a stage may warm up.

Which images a stage sees and how parts are kept from changing is the business of the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fusetrain.config.schema import StageSettings, WarmupSettings
from fusetrain.schedule.curve_time import length_in_steps
from fusetrain.schedule.curves import Ramp, blend

INPUTS = {"rgb": "RGB alone", "ir": "IR alone", "both": "RGB and IR"}


@dataclass(frozen=True)
class StageRates:
    """The rates of one stage, beside the schedule.

    Attributes:
        first_step: First optimizer step.
        last_step: Last optimizer step.
        name: What it is called in pictures.
        scales: Part to factor on its rate, 0 where it is frozen; 1 for parts that are not in it.
        ramp: Warmup of the stage, from its first step on.
        start: Factor where this warmup starts.
    """

    first_step: int
    last_step: int
    name: str
    scales: Mapping[str, float] = field(default_factory=dict)
    ramp: Ramp = field(default_factory=lambda: Ramp(0))
    start: float = 1.0

    def scale(self, part: str | None) -> float:
        """Return the factor on the rate of a part."""
        return 1.0 if part is None else self.scales.get(part, 1.0)

    def warmth(self, step: int) -> float:
        """Return the factor of the stage's own warmup at a step of the run."""
        return blend(self.start, 1.0, self.ramp.progress(step - self.first_step))


ONE_STAGE = StageRates(0, 0, "")


def stage_rates(
    stages: Sequence[StageSettings],
    warmup: WarmupSettings,
    *,
    epochs: int,
    steps_per_epoch: int,
) -> tuple[StageRates, ...]:
    """Return the rates of every stage; their warmups have the shape of that of the run.

    Args:
        stages: As in the config; the last one takes what is left where it names no epochs.
        warmup: Shape and start of the warmups.
        epochs: Epochs of the whole run.
        steps_per_epoch: Optimizer steps of one epoch.
    """
    found = []
    for stage, (begin, end) in zip(stages, stage_epochs(stages, epochs=epochs), strict=True):
        steps = (end - begin) * steps_per_epoch
        asked = stage.rewarm.get("steps", stage.rewarm.get("epochs", 0.0))
        length = {"steps": int(asked)} if "steps" in stage.rewarm else asked
        ramp = Ramp(
            min(length_in_steps(length, steps_per_epoch), max(0, steps - 1)),
            curve=warmup.curve,
            gamma=warmup.gamma,
            align=warmup.align,
        )
        scales = {str(part): scale for part, scale in stage.lr_scale.items()}
        found.append(
            StageRates(
                begin * steps_per_epoch,
                end * steps_per_epoch - 1,
                stage_name(stage),
                scales=scales | {str(part): 0.0 for part in stage.freeze},
                ramp=ramp,
                start=warmup.start,
            )
        )
    return tuple(found)


def stage_epochs(stages: Sequence[StageSettings], *, epochs: int) -> list[tuple[int, int]]:
    """Return first epoch and end of each stage, from 0; the end is the first epoch behind it."""
    spans, begin = [], 0
    for stage in stages:
        end = epochs if stage.epochs is None else begin + stage.epochs
        spans.append((begin, end))
        begin = end
    return spans


def stage_name(stage: StageSettings) -> str:
    """Return what a stage is called: what it sees, and what of the detector stands still."""
    if stage.name is not None:
        return stage.name
    frozen = f", {' and '.join(stage.freeze)} frozen" if stage.freeze else ""
    return f"{INPUTS[stage.inputs]}{frozen}"
