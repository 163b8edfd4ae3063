"""The settings of a run, typed: meaning and unit at each field, and the rules between fields.

This file says what a value means and which values are possible; `load.py` reads files into it and
`build.py` turns it into objects. Names of schedules, fusions and the like are checked against
their registries by `build.py`, so that this file imports nothing but pydantic.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from fusetrain.config.base import DEVICE
from fusetrain.config.base import Settings as Settings
from fusetrain.config.data_schema import DataSettings as DataSettings
from fusetrain.config.stage_schema import PARTS as PARTS
from fusetrain.config.stage_schema import NonNegative as NonNegative
from fusetrain.config.stage_schema import Part as Part
from fusetrain.config.stage_schema import StageSettings as StageSettings
from fusetrain.config.tolerance import ToleranceSettings

BASES = ("auto", "rgb", "ir")
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]


class ModelSettings(Settings):
    """Which detector is built."""

    size: Literal["n", "s", "m", "l", "x"] = Field("n", description="Depth and width multiples.")
    fusion: str = Field("mid", description="Where the streams meet; `rgb` and `ir` use one alone.")
    operator: str = Field("concat", description="How two feature maps become one.")
    backbone: str = Field("csp", description="Feature pyramid of one stream.")
    weights: str | None = Field(None, description="Checkpoint that fills the streams at the start.")
    partial: bool = Field(False, description="Accept weights that fill under 90 % of a backbone.")
    key_map: str | None = Field(None, description="YAML of names in `weights` to names here.")
    base: str = Field(
        "auto", description="Single modality under `adapter`: auto, rgb, ir or a run."
    )
    width: float = Field(1.0, gt=0.0, le=1e12, description="Factor on the channels of a stream.")
    finest: Literal["p3", "p2"] = Field(
        "p3", description="Finest level: p3 (stride 8), or p2 (stride 4), for small objects."
    )
    one_to_one: bool = Field(False, description="Train a second head that needs no suppression.")

    @property
    def paths(self) -> dict[str, str]:
        """Return the keys that name a file or a run, with what they name."""
        named = {"weights": self.weights, "key_map": self.key_map}
        named["base"] = None if self.base in BASES else self.base
        return {key: path for key, path in named.items() if path is not None}


class SaveEvery(Settings):
    """When the whole training state is written; several may stand together."""

    steps: Annotated[int, Field(ge=1)] | None = Field(None, description="Optimizer steps.")
    minutes: Positive | None = Field(None, description="Minutes since the last save.")
    epochs: Annotated[int, Field(ge=1)] | None = Field(None, description="Epochs.")

    @model_validator(mode="after")
    def _some_interval(self) -> SaveEvery:
        if self.steps is None and self.minutes is None and self.epochs is None:
            raise ValueError("give at least one of steps, minutes, epochs")
        return self


class TrainSettings(ToleranceSettings):
    """Length, batch, machine and safety of a run."""

    epochs: int = Field(300, ge=1, description="Passes over the training pairs.")
    batch: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        16, description="Pairs of one micro-step over all ranks together."
    )
    imgsz: int = Field(640, ge=32, le=8192, description="Long side of the canvas, px.")
    device: str = Field("auto", pattern=DEVICE, description="Where it runs.")
    devices: (
        Annotated[int, Field(ge=1)]
        | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
        | None
    ) = Field(None, description="Number of processes on this host, or list of its GPUs.")
    workers: Annotated[int, Field(ge=0, le=1024)] | None = Field(
        None, description="Loader processes a rank; none: 0 on CPU, else min(8, cores / ranks)."
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        None, description="CPU threads a rank; none: cores / ranks."
    )
    seed: int = Field(0, ge=0, lt=2**63, description="One seed for all ranks and workers.")
    deterministic: bool | None = Field(None, description="Bit-equal reruns; none: on CPU only.")
    amp: Literal["auto", False, "bf16", "fp16"] = Field("auto", description="Mixed precision.")
    memory_format: Literal["auto", "channels_last", "contiguous"] = Field(
        "auto", description="Layout of images and convolution weights in memory."
    )
    compile: bool = Field(False, description="torch.compile the detector.")
    accumulate: int = Field(1, ge=1, description="Micro-steps of one optimizer step.")
    clip_norm: NonNegative = Field(10.0, description="Largest gradient norm; 0 turns it off.")
    ema: bool = Field(True, description="Validate and keep a moving average of the weights.")
    sync_bn: bool = Field(False, description="Batch statistics over all ranks.")
    patience: int = Field(100, ge=0, description="Epochs without a better mAP50-95; 0 is off.")
    val_every: int = Field(1, ge=1, description="Epochs from one validation to the next.")
    save_every: SaveEvery = Field(
        SaveEvery(steps=None, minutes=15, epochs=1), description="When the state is written."
    )
    balance: Fraction = Field(
        0.0, description="How much more often rare classes are shown; 0.5 is by the square root."
    )
    cache: Literal["auto", "none", "ram", "disk"] = Field(
        "auto", description="Where decoded pairs stay; auto: in memory if they need little of it."
    )
    stages: list[StageSettings] = Field([], description="Staged training; empty is one stage.")
    freeze: list[Part] = Field([], description="Parts that stand still from the first step on.")
    on_bad_sample: Literal["fail", "skip", "replace"] = Field(
        "fail", description="What happens when an image cannot be read while training."
    )
    max_restarts: int = Field(
        0, ge=0, description="How often killed processes are started again, going on by themselves."
    )
    collective_timeout: Positive = Field(600.0, description="Seconds ranks wait for each other.")

    @model_validator(mode="after")
    def _something_is_trained(self) -> TrainSettings:
        if any(
            {*self.freeze, *stage.freeze} == set(PARTS)
            for stage in self.stages or [StageSettings()]
        ):
            raise ValueError("freeze names all parts: nothing would be trained")
        return self

    @model_validator(mode="after")
    def _stages_fill_the_run(self) -> TrainSettings:
        lengths = [stage.epochs for stage in self.stages]
        if None in lengths[:-1]:
            raise ValueError("only the last of stages may leave out its epochs")
        fixed = sum(length for length in lengths if length is not None)
        if lengths and lengths[-1] is None and fixed >= self.epochs:
            raise ValueError(
                f"stages leave no epoch to the last: {fixed} of {self.epochs} are taken"
            )
        if lengths and lengths[-1] is not None and fixed != self.epochs:
            raise ValueError(f"stages add up to {fixed} epochs, train.epochs is {self.epochs}")
        return self


class OptimSettings(Settings):
    """The optimizer and its base learning rate."""

    name: str = Field("adamw", description="adamw, sgd, adam or muon.")
    lr0: Positive = Field(1e-3, description="Peak learning rate.")
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] | None = Field(
        None, description="SGD momentum (0.937), beta1 of Adam (0.9), both of Muon (0.95)."
    )
    weight_decay: NonNegative = Field(5e-4, description="Decay of convolution and linear weights.")
    groups: dict[Part, NonNegative] = Field({}, description="Part to factor on its learning rate.")

    @property
    def momentum_or_default(self) -> float:
        """Return the momentum, with the default of the optimizer where none was given."""
        if self.momentum is not None:
            return self.momentum
        return {"sgd": 0.937, "muon": 0.95}.get(self.name, 0.9)


class Steps(Settings):
    """A length in optimizer steps."""

    steps: int = Field(ge=0, description="Optimizer steps.")


class WarmupSettings(Settings):
    """The ramp at the start of a run."""

    epochs: NonNegative | None = Field(None, description="Length in epochs (3).")
    steps: Annotated[int, Field(ge=0)] | None = Field(None, description="Length in steps.")
    curve: Literal["linear", "exp", "cosine", "constant"] = Field(
        "linear", description="Shape of the ramp."
    )
    start: Fraction = Field(0.001, description="Factor on lr0 where the ramp starts.")
    gamma: Positive = Field(2.0, description="Exponent of the `exp` curve.")
    align: Literal["end", "start"] = Field("end", description="x = (s+1)/W or x = s/W.")
    compose: Literal["shift", "overlap"] | None = Field(
        None, description="Main curve after or under the ramp; none: as the schedule wants."
    )
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] | None = Field(
        None, description="Momentum where the ramp starts; none: no momentum ramp."
    )
    bias_lr: NonNegative | None = Field(
        None, description="Learning rate of biases where the ramp starts; none: as the others."
    )
    parts: dict[Part, dict[Literal["epochs", "steps"], NonNegative]] = Field(
        {}, description="Part to a length of its own."
    )
    unit: Literal["step", "epoch"] = Field("step", description="How often the ramp moves.")
    within_epoch: bool = Field(
        False, description="At most one step less than an epoch, however long it is asked for."
    )

    @model_validator(mode="after")
    def _one_length(self) -> WarmupSettings:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("give either epochs or steps, not both")
        return self


class PlanChange(Settings):
    """From which step on the run was planned for how many epochs."""

    from_step: int = Field(ge=0)
    epochs: int = Field(ge=1)


class ScheduleSettings(Settings):
    """The learning-rate curve; parameters of the named curve stand beside these keys."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    name: str = Field("cosine", description="Curve, or `package.module:Name`.")
    unit: Literal["step", "epoch"] = Field("step", description="How often the rate moves.")
    warmup: WarmupSettings | None = Field(
        None, description="Ramp at the start; none: 3 epochs, or none for curves with their own."
    )
    plans: list[PlanChange] = Field([], description="Written by `resume` when epochs change.")

    @property
    def curve_options(self) -> dict[str, Any]:
        """Return the parameters of the curve itself, as they stand in the config."""
        return dict(self.model_extra or {})


class LossSettings(Settings):
    """Gains of the three losses."""

    box: NonNegative = Field(7.5, description="Gain of the CIoU loss.")
    cls: NonNegative = Field(0.5, description="Gain of the classification loss.")
    dfl: NonNegative = Field(1.5, description="Gain of the distribution focal loss.")
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.0, description="Share taken from the target score."
    )


class AugmentSettings(Settings):
    """How training pairs are varied; geometry is drawn once for both modalities."""

    mosaic: Fraction = Field(1.0, description="Share of samples composed of four pairs.")
    mixup: Fraction = Field(0.0, description="Share of samples blended with another.")
    copy_paste: Fraction = Field(0.0, description="Share with objects of another pair pasted in.")
    close_mosaic: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Last epochs without mosaic; none: min(10, epochs // 10)."
    )
    fliplr: Fraction = Field(0.5, description="Share mirrored left to right.")
    scale: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.5, description="Zoom drawn from 1 - scale to 1 + scale."
    )
    translate: Fraction = Field(0.1, description="Shift as a share of the canvas.")
    degrees: Annotated[float, Field(ge=0.0, le=180.0)] = Field(
        0.0, description="Rotation to either side, degrees."
    )
    hsv_h: Fraction = Field(0.015, description="Hue change, as a share of the circle (RGB).")
    hsv_s: Fraction = Field(0.7, description="Saturation gain to either side (RGB).")
    hsv_v: Fraction = Field(0.4, description="Brightness gain to either side (RGB).")
    ir_gain: Fraction = Field(0.2, description="Contrast gain and offset to either side (IR).")
    ir_noise: Fraction = Field(0.0, description="Sensor noise, standard deviation in [0, 1] (IR).")
    ir_stripes: Fraction = Field(0.0, description="Column noise, likewise (IR).")
    ir_invert: Fraction = Field(0.0, description="Share inverted, white-hot to black-hot (IR).")
    ir_shift: Fraction = Field(0.0, description="Shift of IR against RGB, share of the canvas.")
    drop_rgb: Fraction = Field(0.0, description="Share of samples without the RGB image.")
    drop_ir: Fraction = Field(0.0, description="Share of samples without the IR image.")

    @model_validator(mode="after")
    def _one_modality_stays(self) -> AugmentSettings:
        if self.drop_rgb + self.drop_ir > 1.0:
            raise ValueError("drop_rgb + drop_ir must not exceed 1: one modality has to stay")
        return self


class RunSettings(Settings):
    """Where a run is kept and who else hears of it."""

    project: str = Field("runs/fuse", description="Folder that holds the run folders.")
    name: str = Field("exp", min_length=1, description="Run folder; a number is added when taken.")
    trackers: list[str] = Field([], description="Trackers to report to, by name.")


class Config(Settings):
    """All settings of a run.

    Attributes:
        data: Path of a data YAML or of a data-set folder, relative to the config file.
    """

    data: str | None = Field(None, description="Data YAML or data-set folder.")
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()
    optim: OptimSettings = OptimSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    loss: LossSettings = LossSettings()
    augment: AugmentSettings = AugmentSettings()
    run: RunSettings = RunSettings()
