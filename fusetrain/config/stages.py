"""The stages that a config asks for, in words or by its kind of fusion, and how long the run is.

An `adapter` goes through two phases, which are stages like any other: first its base is trained
(or both candidates for it), then the other modality beside the frozen base.
"""

from __future__ import annotations

from collections.abc import Sequence

from fusetrain.config.schema import BASES, AugmentSettings, Config, StageSettings

ADAPTER = "adapter"
_PHASE_ONE = {"auto": "RGB and IR, each alone", "rgb": "RGB alone", "ir": "IR alone"}
_PHASE_TWO = {
    "auto": "adapters, the better one frozen",
    "rgb": "IR through adapters, RGB frozen",
    "ir": "RGB through adapters, IR frozen",
}


def run_stages(config: Config) -> list[StageSettings]:
    """Return the stages of a training, one after another; none where it has but one."""
    if config.model.fusion == ADAPTER:
        return _phases(config)
    frozen = config.train.freeze
    if not frozen:
        return config.train.stages
    stages: Sequence[StageSettings] = config.train.stages or [StageSettings()]
    return [
        stage.model_copy(update={"freeze": list(dict.fromkeys((*frozen, *stage.freeze)))})
        for stage in stages
    ]


def run_epochs(config: Config) -> int:
    """Return the epochs of the whole run: `train.epochs`, but one at least for each phase."""
    first = base_epochs(config)
    return max(config.train.epochs, first + 1) if first else config.train.epochs


def base_epochs(config: Config) -> int:
    """Return the epochs in which the base of an adapter is trained: half of those first planned.

    A run that is extended leaves them as they are. 0 for other kinds, and where the base is a run.
    """
    if config.model.fusion != ADAPTER or config.model.base not in BASES:
        return 0
    plans = config.schedule.plans
    return max(1, (plans[0].epochs if plans else config.train.epochs) // 2)


def augment_at(config: Config, epoch: int) -> AugmentSettings:
    """Return how pairs are varied in an epoch, from 0: for the base of an adapter, as for one."""
    return for_one_image(config.augment) if epoch < base_epochs(config) else config.augment


def for_one_image(augment: AugmentSettings) -> AugmentSettings:
    """Return settings without what would only harm a detector that sees one of both images.

    That is to lose the one image it has, and to have it moved away from the boxes.
    """
    return augment.model_copy(update={"drop_rgb": 0.0, "drop_ir": 0.0, "ir_shift": 0.0})


def _phases(config: Config) -> list[StageSettings]:
    """Return both phases of an adapter; one where the base is a run that is finished."""
    first, base = base_epochs(config), config.model.base
    if not first:
        return [StageSettings(name="adapters, the base frozen")]
    return [
        StageSettings(name=_PHASE_ONE[base], epochs=first),
        StageSettings(name=_PHASE_TWO[base], rewarm=_rewarm(config)),
    ]


def _rewarm(config: Config) -> dict[str, float]:
    """Return the length of the warmup of phase two: that of the run."""
    warmup = config.schedule.warmup
    if warmup is not None and warmup.steps is not None:
        return {"steps": float(warmup.steps)}
    asked = 3.0 if warmup is None or warmup.epochs is None else warmup.epochs
    return {"epochs": asked}
