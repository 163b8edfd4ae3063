"""Normalisation folded into the convolutions before it: the same answers with less work.

For detectors that are used, not trained: in evaluation mode batch normalisation is one factor and
one addend a channel (Jacob et al., arXiv 1712.05877, section 3.2).
"""

from __future__ import annotations

import copy
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fusetrain.detector.detector import FusionDetector
from fusetrain.detector.layers import ConvBnAct


def folded(detector: FusionDetector) -> FusionDetector:
    """Return a copy in evaluation mode whose convolutions do what their normalisation did.

    The normalisation of a backbone that both streams share stays: it is another one for each.
    """
    result = copy.deepcopy(detector).eval()
    for module in result.modules():
        if isinstance(module, ConvBnAct | nn.Sequential):
            _fold(module)
    return result


def _fold(module: nn.Module) -> None:
    """Fold normalisation that directly follows a convolution in a module that runs in order."""
    children = list(module.named_children())
    for (name, convolution), (norm_name, norm) in pairwise(children):
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(convolution, norm))
            setattr(module, norm_name, nn.Identity())
