"""The fusion kinds: each function puts the parts of one kind together.

A kind decides where the two streams meet; the operator decides how. A new kind is a function here
(or in an installed package) and a line in the table of `detector/fusion/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from fusetrain.detector import BACKBONES
from fusetrain.detector.backbone import P2_STRIDE_PX, SCALES, STRIDES_PX, Pyramid, Scale
from fusetrain.detector.detector import FusionDetector, Junction
from fusetrain.detector.fusion import KINDS, OPERATORS, WITHOUT_P2
from fusetrain.detector.head import DecoupledHead
from fusetrain.detector.junctions import (
    Adapters,
    CutPyramid,
    LevelFusion,
    MapFusion,
    OneStream,
    PixelFusion,
    PredictionFusion,
    PyramidStart,
    SharedPyramid,
    Twins,
)
from fusetrain.detector.neck import PathAggregation
from fusetrain.errors import ConfigError
from fusetrain.registry import Registry


@dataclass(frozen=True)
class DetectorSpec:
    """Everything that decides the shape of a detector; stored with its weights.

    Attributes:
        kind: Name in `KINDS`.
        operator: Name in `OPERATORS`.
        backbone: Name in `BACKBONES`.
        size: One of n, s, m, l, x.
        width: Factor on the channels of the streams.
        num_classes: Number of classes.
        one_to_one: Whether a second head is there whose predictions need no suppression.
        finest: Finest level of the pyramid: p3 (stride 8) or p2 (stride 4).
        base: The modality that an `adapter` builds on, rgb (also where it is empty) or ir; empty
            for other kinds.
    """

    kind: str
    operator: str
    backbone: str
    size: str
    width: float
    num_classes: int
    one_to_one: bool = False
    base: str = ""
    finest: str = "p3"

    @property
    def scale(self) -> Scale:
        """Return depth and width multiples of neck and head."""
        return SCALES[self.size]

    @property
    def stream_scale(self) -> Scale:
        """Return depth and width multiples of a stream."""
        return replace(self.scale, width=self.scale.width * self.width)

    @property
    def has_p2(self) -> bool:
        """Return whether there is a level at stride 4."""
        return self.finest == "p2"

    @property
    def strides_px(self) -> tuple[int, ...]:
        """Return the strides of the levels, fine ones first."""
        return (P2_STRIDE_PX, *STRIDES_PX) if self.has_p2 else STRIDES_PX


def build_detector(spec: DetectorSpec) -> FusionDetector:
    """Return the detector that ``spec`` describes, freshly initialised.

    A spec may come from a weights file, so that nothing is called but what makes detectors and
    their modules.

    Raises:
        ConfigError: A name is unknown, or that of something else, or a level is wanted at which
            the streams have not met.
    """
    if spec.has_p2 and spec.kind in WITHOUT_P2:
        raise ConfigError(
            f"the streams of {spec.kind} meet behind P2",
            where="model.finest",
            expected="p3, or another kind: early and mid have both streams at P2",
        )
    build: Callable[[DetectorSpec], FusionDetector] = KINDS.get(spec.kind)
    made = getattr(build, "__annotations__", {}).get("return")
    if made not in (FusionDetector, FusionDetector.__name__):
        raise ConfigError(f"fusion {spec.kind!r} is no function that returns a FusionDetector")
    return build(spec)


def rgb(spec: DetectorSpec) -> FusionDetector:
    """RGB alone: the baseline of one modality."""
    stream = _stream(spec, 3)
    return _behind_backbones(spec, stream, None, fusion=OneStream(), channels=stream.channels)


def ir(spec: DetectorSpec) -> FusionDetector:
    """IR alone: the baseline of the other."""
    stream = _stream(spec, 1)
    return _behind_backbones(spec, None, stream, fusion=OneStream(), channels=stream.channels)


def data(spec: DetectorSpec) -> FusionDetector:
    """One backbone over four channels."""
    stream = _stream(spec, 4)
    return _inside(spec, stream, nn.Identity(), fusion=PixelFusion(), steps_before=0)


def early(spec: DetectorSpec) -> FusionDetector:
    """Two stems, joined at stride 4, one backbone from there on."""
    stream, entry = _stream(spec, 3), PyramidStart(_stream(spec, 1), num_steps=1)
    fusion = MapFusion(_operator(spec)(stream.step_channels[0]))
    return _inside(spec, stream, entry, fusion=fusion, steps_before=1)


def mid(spec: DetectorSpec) -> FusionDetector:
    """Two backbones, joined at P3, P4 and P5, one neck and head."""
    backbone, backbone_ir = _stream(spec, 3), _stream(spec, 1)
    return _behind_backbones(
        spec, backbone, backbone_ir, fusion=_levels(spec, backbone), channels=backbone.channels
    )


def mid_p3(spec: DetectorSpec) -> FusionDetector:
    """Two streams up to P3, joined there alone; one backbone makes P4 and P5 of what they are."""
    stream, start = _stream(spec, 3), PyramidStart(_stream(spec, 1), num_steps=2)
    fusion = MapFusion(_operator(spec)(stream.step_channels[1]))
    return _inside(spec, stream, start, fusion=fusion, steps_before=2)


def late(spec: DetectorSpec) -> FusionDetector:
    """Two backbones and necks, joined before the one head."""
    backbone, backbone_ir = _stream(spec, 3), _stream(spec, 1)
    return FusionDetector(
        Junction.BEHIND_NECKS,
        backbone=backbone,
        backbone_ir=backbone_ir,
        fusion=_levels(spec, backbone),
        neck=Twins(*(PathAggregation(backbone.channels, spec.scale) for _ in range(2))),
        head=_head(spec, backbone.channels),
    )


def decision(spec: DetectorSpec) -> FusionDetector:
    """Two whole detectors, trained together, joined on what they predict."""
    backbone, backbone_ir = _stream(spec, 3), _stream(spec, 1)
    return FusionDetector(
        Junction.BEHIND_HEADS,
        backbone=backbone,
        backbone_ir=backbone_ir,
        fusion=PredictionFusion(),
        neck=Twins(*(PathAggregation(backbone.channels, spec.scale) for _ in range(2))),
        head=Twins(*(_head(spec, backbone.channels) for _ in range(2))),
    )


def easy(spec: DetectorSpec) -> FusionDetector:
    """One backbone that both streams share, with stems and statistics of their own."""
    stream = _stream(spec, 3)
    return FusionDetector(
        Junction.BEHIND_BACKBONES,
        backbone=SharedPyramid(stream, _stream(spec, 1)),
        backbone_ir=None,
        fusion=_levels(spec, stream),
        neck=PathAggregation(stream.channels, spec.scale),
        head=_head(spec, stream.channels),
        shares_backbone=True,
    )


def adapter(spec: DetectorSpec) -> FusionDetector:
    """One modality's detector, to which the other adds through convolutions that start at zero.

    Raises:
        ConfigError: The base of the spec is no modality.
    """
    if spec.base not in ("", "rgb", "ir"):
        raise ConfigError(f"an adapter builds on rgb or ir, not on {spec.base!r}")
    backbone, backbone_ir = _stream(spec, 3), _stream(spec, 1)
    return FusionDetector(
        Junction.AROUND_BACKBONE,
        backbone=backbone,
        backbone_ir=backbone_ir,
        fusion=Adapters(backbone.channels, builds_on_ir=spec.base == "ir"),
        neck=PathAggregation(backbone.channels, spec.scale),
        head=_head(spec, backbone.channels),
    )


def _behind_backbones(
    spec: DetectorSpec,
    backbone: Pyramid | None,
    backbone_ir: Pyramid | None,
    *,
    fusion: nn.Module,
    channels: tuple[int, ...],
) -> FusionDetector:
    return FusionDetector(
        Junction.BEHIND_BACKBONES,
        backbone=backbone,
        backbone_ir=backbone_ir,
        fusion=fusion,
        neck=PathAggregation(channels, spec.scale),
        head=_head(spec, channels),
    )


def _inside(
    spec: DetectorSpec,
    stream: Pyramid,
    infrared: nn.Module,
    *,
    fusion: nn.Module,
    steps_before: int,
) -> FusionDetector:
    return FusionDetector(
        Junction.INSIDE_BACKBONES,
        backbone=CutPyramid(stream, steps_before=steps_before),
        backbone_ir=infrared,
        fusion=fusion,
        neck=PathAggregation(stream.channels, spec.scale),
        head=_head(spec, stream.channels),
    )


def _levels(spec: DetectorSpec, backbone: Pyramid) -> LevelFusion:
    return LevelFusion([_operator(spec)(width) for width in backbone.channels])


def _operator(spec: DetectorSpec) -> Any:
    return _module_class(OPERATORS, spec.operator)


def _stream(spec: DetectorSpec, in_channels: int) -> Pyramid:
    stream: Pyramid = _module_class(BACKBONES, spec.backbone)(in_channels, spec.stream_scale)
    if spec.has_p2:
        stream.open_p2(spec.stream_scale)
    return stream


def _module_class(registry: Registry, name: str) -> Any:
    found = registry.get(name)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ConfigError(f"{registry.kind} {name!r} is no module class")
    return found


def _head(spec: DetectorSpec, channels: tuple[int, ...]) -> DecoupledHead:
    return DecoupledHead(
        channels,
        strides_px=spec.strides_px,
        num_classes=spec.num_classes,
        one_to_one=spec.one_to_one,
    )
