"""The phases of a run: which detector is trained until which epoch, and what of it stands still.

All kinds of fusion have one phase but `adapter`, whose base is trained first. `session.py` puts the
detector of a phase together; how one phase becomes the next is told in `adapting.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from fusetrain.config.schema import BASES, Config
from fusetrain.config.stages import ADAPTER, base_epochs, run_epochs, run_stages
from fusetrain.detector.detector import FusionDetector
from fusetrain.detector.kinds import DetectorSpec
from fusetrain.detector.singles import MODALITIES, OneOfTwo
from fusetrain.engine.infer import Validation
from fusetrain.engine.roles import Validate
from fusetrain.engine.stages import Inputs, Stage
from fusetrain.errors import ConfigError
from fusetrain.runs.initial_weights import frozen_parts, load_base
from fusetrain.schedule.stages import stage_epochs, stage_name

TOGETHER = "decision"


@dataclass(frozen=True)
class Phase:
    """One phase.

    Attributes:
        stages: The stages of the run; those of other phases stand among them.
        end: Epochs of the run that are done when it ends.
        is_last: Whether the run ends with it.
        absent: Parts that stand still for all of it, so that no optimizer knows them.
        is_apart: RGB and IR are trained side by side, as detectors that know nothing of each other.
    """

    stages: tuple[Stage, ...]
    end: int
    is_last: bool = True
    absent: tuple[str, ...] = ()
    is_apart: bool = False


def phase_of(config: Config, spec: DetectorSpec) -> Phase:
    """Return the phase in which a detector is trained."""
    is_adapter = config.model.fusion == ADAPTER
    is_last = not is_adapter or spec.kind == ADAPTER
    is_apart = is_adapter and spec.kind == TOGETHER
    absent = {ADAPTER: frozen_parts(spec), TOGETHER: ("fusion",)}
    frozen = absent.get(spec.kind, ()) if is_adapter else ()
    return Phase(
        stages=tuple(
            replace(stage, frozen=(*stage.frozen, *frozen)) for stage in _stages_of(config)
        ),
        end=run_epochs(config) if is_last else base_epochs(config),
        is_last=is_last,
        absent=frozen,
        is_apart=is_apart,
    )


def detector_spec(config: Config, num_classes: int) -> DetectorSpec:
    """Return the shape of the detector that a config asks for; of an adapter without its base."""
    model = config.model
    return DetectorSpec(
        kind=model.fusion,
        operator=model.operator,
        backbone=model.backbone,
        size=model.size,
        width=model.width,
        num_classes=num_classes,
        one_to_one=model.one_to_one,
        finest=model.finest,
    )


def first_spec(config: Config, num_classes: int) -> DetectorSpec:
    """Return the shape of the detector that a run starts with.

    Raises:
        RunError: The base of an adapter is no run of one modality.
    """
    model, spec = config.model, detector_spec(config, num_classes)
    if model.fusion != ADAPTER:
        return spec
    if model.base in BASES:
        return replace(spec, kind=TOGETHER if model.base == "auto" else model.base)
    return replace(spec, base=load_base(Path(model.base))[1].detector.kind)


def last_spec(config: Config, first: DetectorSpec) -> DetectorSpec:
    """Return the shape of the detector that a run ends with, given the one that it starts with.

    The base of an adapter is empty where it is not yet chosen; that changes no cost.
    """
    if config.model.fusion != ADAPTER or first.kind == ADAPTER:
        return first
    return replace(first, kind=ADAPTER, base="" if first.kind == TOGETHER else first.kind)


def better_of(validate: Validate) -> Validate:
    """Return what validates two detectors that are trained apart: the better one, RGB if equal."""

    def run(model: nn.Module, inputs: Inputs, interrupted: Callable[[], bool]) -> Validation:
        assert isinstance(model, FusionDetector)
        found = [
            validate(OneOfTwo(model, modality), inputs, interrupted) for modality in MODALITIES
        ]
        return max(found, key=lambda validation: validation.metrics.map50_95)

    return run


def refuse_standstill(phase: Phase, parts: Sequence[str]) -> None:
    """Raise if a stage leaves a detector nothing to train.

    Raises:
        ConfigError: All of ``parts`` are frozen in one stage.
    """
    still = next((stage for stage in phase.stages if set(parts) <= set(stage.frozen)), None)
    if still is not None:
        raise ConfigError(
            f"nothing is trained in the stage from epoch {still.first_epoch + 1} on: "
            f"{', '.join(parts)} are frozen",
            expected="a part of this detector that learns",
        )


def _stages_of(config: Config) -> tuple[Stage, ...]:
    stages = run_stages(config)
    spans = stage_epochs(stages, epochs=run_epochs(config))
    return tuple(
        Stage(begin, stage_name(stage), stage.inputs, tuple(stage.freeze))
        for stage, (begin, _) in zip(stages, spans, strict=True)
    )
