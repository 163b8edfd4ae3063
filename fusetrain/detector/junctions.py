"""What stands at the meeting place of two streams, around the operators that join two maps.

Shape legend: a map is (B, C, H, W); levels are [P3, P4, P5], or [P2, P3, P4, P5]. Every junction
is called with what the RGB stream brings, what the IR stream brings, and the RGB image
(B, 3, H, W), at which an operator that says ``sees_image = True`` looks, too.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from fusetrain.detector.backbone import Pyramid, levels_of
from fusetrain.sample import RawPredictions

Levels = Sequence[Tensor]
Place = tuple[str, str, str]
"""A stream, the name of a tensor in a plain pyramid, and its name in the module itself."""

STREAMS = ("backbone", "backbone_ir")


class OneStream(nn.Module):
    """The meeting place of kinds that look at one modality: passes its levels on."""

    def forward(self, visible: Levels | None, infrared: Levels | None, image: Tensor) -> Levels:
        """Return the levels of the one stream there is."""
        levels = visible if visible is not None else infrared
        assert levels is not None, "a detector has at least one stream"
        return levels


class MapFusion(nn.Module):
    """Two maps joined by an operator."""

    def __init__(self, operator: nn.Module) -> None:
        super().__init__()
        self.operator = operator
        self.sees_image = bool(getattr(operator, "sees_image", False))

    def forward(self, visible: Tensor, infrared: Tensor, image: Tensor) -> Tensor:
        """Return the joined map; both maps have one shape."""
        seen = (visible, infrared, image) if self.sees_image else (visible, infrared)
        joined: Tensor = self.operator(*seen)
        return joined


class LevelFusion(nn.Module):
    """Both streams joined level by level, each level by an operator of its own."""

    def __init__(self, operators: Sequence[nn.Module]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(MapFusion(operator) for operator in operators)

    def forward(self, visible: Levels, infrared: Levels, image: Tensor) -> list[Tensor]:
        """Return the joined levels; both streams have levels of equal shapes."""
        pairs = zip(self.levels, visible, infrared, strict=True)
        return [fuse(rgb_level, ir_level, image) for fuse, rgb_level, ir_level in pairs]


class PixelFusion(nn.Module):
    """RGB and IR as one image of four channels."""

    def forward(self, visible: Tensor, infrared: Tensor, image: Tensor) -> Tensor:
        """Return (B, 4, H, W) of the two images."""
        return torch.cat((visible, infrared), dim=1)


class Adapters(nn.Module):
    """Lets a second modality add to the detector of a first one, at the image and at each level.

    Each place has a 1x1 convolution that starts at zero (as in ControlNet, arXiv 2302.05543), so
    that at first the whole is the detector of the first modality, to the last bit.

    Args:
        channels: Channels of the levels.
        builds_on_ir: IR is the first modality, RGB the second; else it is the other way round.
    """

    def __init__(self, channels: Sequence[int], *, builds_on_ir: bool) -> None:
        super().__init__()
        self.builds_on_ir = builds_on_ir
        self.image = _zero_conv(3, 1) if builds_on_ir else _zero_conv(1, 3)
        self.levels = nn.ModuleList(_zero_conv(width, width) for width in channels)

    def enter(self, rgb: Tensor, ir: Tensor) -> tuple[Tensor, Tensor]:
        """Return both images, with what the second one adds to the first."""
        if self.builds_on_ir:
            return rgb, ir + self.image(rgb)
        return rgb + self.image(ir), ir

    def forward(self, visible: Levels, infrared: Levels, image: Tensor) -> list[Tensor]:
        """Return the levels of the first modality, with what the second one adds to each."""
        own, other = (infrared, visible) if self.builds_on_ir else (visible, infrared)
        pairs = zip(self.levels, own, other, strict=True)
        return [level + adapt(added) for adapt, level, added in pairs]


def _zero_conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    conv = nn.Conv2d(in_channels, out_channels, 1)
    for parameter in conv.parameters():
        nn.init.zeros_(parameter)
    return conv


class PredictionFusion(nn.Module):
    """The predictions of two detectors, anchor by anchor, weighted by how sure each one is.

    w = sigmoid(sharpness (s_rgb - s_ir) + bias) with s the highest class logit of either; all
    logits are w x RGB + (1 - w) x IR. At first the surer one prevails gently and neither is
    preferred; both numbers are learned.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(
        self, visible: RawPredictions, infrared: RawPredictions, image: Tensor
    ) -> RawPredictions:
        """Return the joined predictions; both have the same anchors."""
        joined = _weighted(visible, infrared, self.sharpness, self.bias)
        if visible.one_to_one is None or infrared.one_to_one is None:
            return joined
        second = (visible.one_to_one, infrared.one_to_one)  # learns nothing but its own branches
        numbers = (self.sharpness.detach(), self.bias.detach())
        return replace(joined, one_to_one=_weighted(*second, *numbers))


def _weighted(
    visible: RawPredictions, infrared: RawPredictions, sharpness: Tensor, bias: Tensor
) -> RawPredictions:
    """Return the joined predictions, see `PredictionFusion`."""
    lead = visible.class_logits.amax(-1) - infrared.class_logits.amax(-1)
    weight = torch.sigmoid(sharpness * lead + bias)[..., None].to(visible.class_logits)
    return RawPredictions(
        class_logits=torch.lerp(infrared.class_logits, visible.class_logits, weight),
        distance_logits=torch.lerp(
            infrared.distance_logits, visible.distance_logits, weight[..., None]
        ),
        anchors_xy_px=visible.anchors_xy_px,
        strides_px=visible.strides_px,
    )


class Twins(nn.Module):
    """One module for each stream, side by side: two necks, or two heads."""

    def __init__(self, visible: nn.Module, infrared: nn.Module) -> None:
        super().__init__()
        self.visible = visible
        self.infrared = infrared

    def forward(self, visible: Levels, infrared: Levels) -> tuple[object, object]:
        """Return what either makes of its own levels."""
        return self.visible(visible), self.infrared(infrared)


class CutPyramid(nn.Module):
    """A pyramid in two halves, so that another stream can join between them.

    Args:
        pyramid: The whole.
        steps_before: Steps before the cut: 0 cuts at the image, 1 at stride 4, 2 behind P3.
    """

    def __init__(self, pyramid: Pyramid, *, steps_before: int) -> None:
        super().__init__()
        self.steps = pyramid.steps
        self.outlets = pyramid.outlets
        self.outlet_p2 = pyramid.outlet_p2
        self.steps_before = steps_before
        self.published_names = getattr(pyramid, "published_names", {})

    def before(self, image: Tensor) -> Tensor:
        """Return the map at the cut of a (B, C, H, W) image in [0, 1]."""
        features = image
        for step in self.steps[: self.steps_before]:
            features = step(features)
        return features

    def after(self, features: Tensor) -> list[Tensor]:
        """Return the levels of the map at the cut."""
        maps = [features]
        for step in self.steps[self.steps_before :]:
            maps.append(step(maps[-1]))
        return levels_of(maps, self.outlets, self.outlet_p2)

    def pyramid_names(self, part: str) -> Iterator[Place]:
        """Yield where the tensors of a plain pyramid are, for the part that this module is."""
        yield from ((part, name, name) for name in self.state_dict())


class PyramidStart(nn.Module):
    """The first steps of a pyramid: what a stream runs through until it is joined.

    Args:
        pyramid: The whole.
        num_steps: Steps that are kept.
    """

    def __init__(self, pyramid: Pyramid, *, num_steps: int) -> None:
        super().__init__()
        self.steps = pyramid.steps[:num_steps]

    def forward(self, image: Tensor) -> Tensor:
        """Return the map behind the steps of a (B, C, H, W) image in [0, 1]."""
        features = image
        for step in self.steps:
            features = step(features)
        return features

    def pyramid_names(self, part: str) -> Iterator[Place]:
        """Yield where the tensors of a plain pyramid are, for the part that this module is."""
        yield from ((part, name, name) for name in self.state_dict())


class SharedPyramid(nn.Module):
    """One pyramid for both streams; its first step and all normalisation are each stream's own.

    Both streams run as one batch of double size, which costs no more weights and keeps the
    machine busy.

    Args:
        visible: The pyramid; its first step is that of RGB.
        infrared: A pyramid for IR, of which only the first step is taken.
    """

    def __init__(self, visible: Pyramid, infrared: Pyramid) -> None:
        super().__init__()
        self.enter = visible.steps[0]
        self.enter_ir = infrared.steps[0]
        self.steps = visible.steps[1:]
        self.outlets = visible.outlets
        self.outlet_p2 = visible.outlet_p2
        self.published_names = getattr(visible, "published_names", {})
        _own_statistics(self.steps)
        _own_statistics(self.outlets)
        if self.outlet_p2 is not None:
            _own_statistics(self.outlet_p2)

    def forward(self, rgb: Tensor, ir: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return the levels of RGB and of IR."""
        maps = [torch.cat((self.enter(rgb), self.enter_ir(ir)))]
        for step in self.steps:
            maps.append(step(maps[-1]))
        halves = [_halves(level) for level in levels_of(maps, self.outlets, self.outlet_p2)]
        return [rgb_level for rgb_level, _ in halves], [ir_level for _, ir_level in halves]

    def pyramid_names(self, part: str) -> Iterator[Place]:
        """Yield where the tensors of a plain pyramid are; what is shared belongs to RGB."""
        for name in self.state_dict():
            first, _, rest = name.partition(".")
            if first in ("enter", "enter_ir"):
                yield STREAMS[first == "enter_ir"], f"steps.0.{rest}", name
                continue
            number, _, rest = rest.partition(".")
            canonical = f"{first}.{int(number) + (first == 'steps')}.{rest}"
            is_ir = ".infrared." in canonical
            plain = canonical.replace(".infrared.", ".").replace(".visible.", ".")
            yield STREAMS[is_ir], plain, name


class StreamNorms(nn.Module):
    """Batch normalisation of a double batch, each half with weights and statistics of its own."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.visible = norm
        self.infrared = copy.deepcopy(norm)

    def forward(self, features: Tensor) -> Tensor:
        """Return the normalised map (2 B, C, H, W)."""
        visible, infrared = _halves(features)
        return torch.cat((self.visible(visible), self.infrared(infrared)))


def _halves(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the RGB and the IR half of a double batch, without asking how large the batch is."""
    visible, infrared = features.unflatten(0, (2, -1)).unbind()
    return visible, infrared


def _own_statistics(root: nn.Module) -> None:
    """Give every batch normalisation below ``root`` one half for each stream."""
    for name, child in root.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(root, name, StreamNorms(child))
        else:
            _own_statistics(child)
