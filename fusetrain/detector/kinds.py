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
from fusetrain.detector.backbone import SCALES, STRIDES_PX, Pyramid, Scale
from fusetrain.detector.detector import FusionDetector, LevelFusion, OneStream
from fusetrain.detector.fusion import KINDS, OPERATORS
from fusetrain.detector.head import DecoupledHead
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
    """

    kind: str
    operator: str
    backbone: str
    size: str
    width: float
    num_classes: int

    @property
    def scale(self) -> Scale:
        """Return depth and width multiples of neck and head."""
        return SCALES[self.size]

    @property
    def stream_scale(self) -> Scale:
        """Return depth and width multiples of a stream."""
        return replace(self.scale, width=self.scale.width * self.width)


def build_detector(spec: DetectorSpec) -> FusionDetector:
    """Return the detector that ``spec`` describes, freshly initialised.

    A spec may come from a weights file, so that nothing is called but what makes detectors and
    their modules.

    Raises:
        ConfigError: A name is unknown, or that of something else.
    """
    build: Callable[[DetectorSpec], FusionDetector] = KINDS.get(spec.kind)
    made = getattr(build, "__annotations__", {}).get("return")
    if made not in (FusionDetector, FusionDetector.__name__):
        raise ConfigError(f"fusion {spec.kind!r} is no function that returns a FusionDetector")
    return build(spec)


def rgb(spec: DetectorSpec) -> FusionDetector:
    """RGB alone: the baseline of one modality."""
    return _single(spec, backbone=_stream(spec, 3), backbone_ir=None)


def ir(spec: DetectorSpec) -> FusionDetector:
    """IR alone: the baseline of the other."""
    return _single(spec, backbone=None, backbone_ir=_stream(spec, 1))


def mid(spec: DetectorSpec) -> FusionDetector:
    """Two backbones, joined at P3, P4 and P5, one neck and head."""
    backbone, backbone_ir = _stream(spec, 3), _stream(spec, 1)
    channels = backbone.channels
    operator = _module_class(OPERATORS, spec.operator)
    return FusionDetector(
        backbone=backbone,
        backbone_ir=backbone_ir,
        fusion=LevelFusion([operator(width) for width in channels]),
        neck=PathAggregation(channels, spec.scale),
        head=_head(spec, channels),
    )


def _single(
    spec: DetectorSpec, *, backbone: Pyramid | None, backbone_ir: Pyramid | None
) -> FusionDetector:
    stream = backbone if backbone is not None else backbone_ir
    assert stream is not None
    channels = stream.channels
    return FusionDetector(
        backbone=backbone,
        backbone_ir=backbone_ir,
        fusion=OneStream(),
        neck=PathAggregation(channels, spec.scale),
        head=_head(spec, channels),
    )


def _stream(spec: DetectorSpec, in_channels: int) -> Pyramid:
    stream: Pyramid = _module_class(BACKBONES, spec.backbone)(in_channels, spec.stream_scale)
    return stream


def _module_class(registry: Registry, name: str) -> Any:
    found = registry.get(name)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ConfigError(f"{registry.kind} {name!r} is no module class")
    return found


def _head(spec: DetectorSpec, channels: tuple[int, ...]) -> DecoupledHead:
    return DecoupledHead(channels, strides_px=STRIDES_PX, num_classes=spec.num_classes)
