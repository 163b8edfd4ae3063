"""Backbones of torchvision, cut into the four steps of a pyramid.

The networks are torchvision's own, freshly initialised and without their classifier; levels are
brought to the channels of the detector's scale by 1x1 convolutions. Published weights are files
that the transfer of weights loads; nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import nn
from torchvision import models

from fusetrain.detector.backbone import P2_CHANNELS, STRIDES_PX, Pyramid, Scale
from fusetrain.detector.layers import ConvBnAct

PROBE_PX = 64
LEVEL_CHANNELS = (256, 512, 1024)
CLASSIFIERS = ("avgpool", "classifier", "fc")


class PublishedPyramid(Pyramid):
    """A network of torchvision as a pyramid.

    Args:
        in_channels: Channels of the image; unless they are 3, the first convolution is a new one.
        scale: Width multiple of the levels as the neck sees them; the network keeps its own.

    Attributes:
        network: Name in torchvision.
        published_names: Name of each tensor here to its name in torchvision's weights; the first
            convolution is in it whatever its channels.
    """

    network: ClassVar[str]

    def __init__(self, in_channels: int, scale: Scale) -> None:
        super().__init__()
        whole = _untrained(self.network)
        names = {id(tensor): name for name, tensor in whole.state_dict(keep_vars=True).items()}
        if in_channels != 3:
            names |= _replace_first(whole, in_channels)
        self.steps = nn.ModuleList(nn.Sequential() for _ in range(4))
        self.step_channels = _sort_into(self.steps, whole, in_channels)
        self.channels = tuple(scale.channels(base) for base in LEVEL_CHANNELS)
        self.outlets = nn.ModuleList(
            ConvBnAct(own, level, kernel=1)
            for own, level in zip(self.step_channels[1:], self.channels, strict=True)
        )
        own = self.state_dict(keep_vars=True)
        self.published_names = {
            name: names[id(tensor)] for name, tensor in own.items() if id(tensor) in names
        }

    def open_p2(self, scale: Scale) -> None:
        """Give P2 out, too, with the channels that ``scale`` wants."""
        width = scale.channels(P2_CHANNELS)
        self.outlet_p2 = ConvBnAct(self.step_channels[0], width, kernel=1)
        self.channels = (width, *self.channels)


def _untrained(name: str) -> nn.Module:
    """Return a network on the default device, be it `meta`: to make one, some need numbers."""
    device = torch.get_default_device()
    with torch.device("cpu"):
        whole: nn.Module = models.get_model(name, weights=None)
    return whole.to(device)


def _replace_first(network: nn.Module, in_channels: int) -> dict[int, str]:
    """Give the first convolution other input channels; return its new tensor by its old name."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            first = nn.Conv2d(
                in_channels,
                module.out_channels,
                module.kernel_size,  # type: ignore[arg-type]
                module.stride,  # type: ignore[arg-type]
                module.padding,  # type: ignore[arg-type]
                bias=module.bias is not None,
            )
            parent, _, leaf = name.rpartition(".")
            setattr(network.get_submodule(parent), leaf, first)
            return {
                id(tensor): f"{name}.{key}"
                for key, tensor in first.state_dict(keep_vars=True).items()
            }
    raise AssertionError("a network for images has a convolution")


def _layers(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers of a network in the order they run, without the classifier."""
    for name, child in network.named_children():
        if name in ("features", "trunk_output"):
            yield from child.children()
        elif name not in CLASSIFIERS:
            yield child


def _sort_into(steps: nn.ModuleList, network: nn.Module, in_channels: int) -> tuple[int, ...]:
    """Append each layer to the step of the stride it ends at; return the channels of the steps."""
    device = next(network.parameters()).device
    features = torch.zeros(1, in_channels, PROBE_PX, PROBE_PX, device=device)
    channels = [0] * len(steps)
    was_training = network.training
    network.eval()
    with torch.no_grad():
        for layer in _layers(network):
            features = layer(features)
            stride = PROBE_PX // features.shape[-1]
            number = sum(stride >= level for level in STRIDES_PX)
            steps[number].append(layer)
            channels[number] = features.shape[1]
    network.train(was_training)
    return tuple(channels)


class ResNet18(PublishedPyramid):
    """Residual network of 18 layers (arXiv 1512.03385)."""

    network = "resnet18"


class ResNet34(PublishedPyramid):
    """Residual network of 34 layers (arXiv 1512.03385)."""

    network = "resnet34"


class ResNet50(PublishedPyramid):
    """Residual network of 50 layers (arXiv 1512.03385)."""

    network = "resnet50"


class MobileNetV3Small(PublishedPyramid):
    """Small MobileNetV3 (arXiv 1905.02244)."""

    network = "mobilenet_v3_small"


class MobileNetV3Large(PublishedPyramid):
    """Large MobileNetV3 (arXiv 1905.02244)."""

    network = "mobilenet_v3_large"


class ConvNeXtTiny(PublishedPyramid):
    """Tiny ConvNeXt (arXiv 2201.03545)."""

    network = "convnext_tiny"


class EfficientNetB0(PublishedPyramid):
    """EfficientNet B0 (arXiv 1905.11946)."""

    network = "efficientnet_b0"


class RegNetY400MF(PublishedPyramid):
    """RegNetY of 0.4 GFLOPs (arXiv 2003.13678)."""

    network = "regnet_y_400mf"
