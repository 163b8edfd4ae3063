"""The blocks that backbone, neck and head share."""

from __future__ import annotations

import pytest
import torch

from fusetrain.detector.layers import ConvBnAct


@pytest.mark.parametrize("is_training", [True, False])
def test_two_maps_give_what_they_give_side_by_side(is_training: bool) -> None:
    torch.manual_seed(0)
    first = torch.randn(2, 5, 7, 9, requires_grad=True)
    second = torch.randn(2, 3, 7, 9, requires_grad=True)
    layer = ConvBnAct(8, 4).train(is_training)
    wanted = [first, second, *layer.parameters()]

    together = layer(torch.cat((first, second), dim=1))
    apart = layer(first, second)

    torch.testing.assert_close(apart, together)
    weight = torch.randn_like(together)
    found = torch.autograd.grad((apart * weight).sum(), wanted)
    expected = torch.autograd.grad((together * weight).sum(), wanted)
    for own, other in zip(found, expected, strict=True):
        torch.testing.assert_close(own, other, atol=1e-4, rtol=1e-4)
