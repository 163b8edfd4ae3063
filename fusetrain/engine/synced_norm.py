"""Batch normalisation with the statistics of all ranks' pairs, on any device (`train.sync_bn`).

torch's own SyncBatchNorm needs GPUs and counts whatever it is shown. Here a rank that a short batch
leaves without pairs shows a blank one that does not count: means, variances and their gradients are
those that one rank would compute with the whole batch (Ioffe and Szegedy, arXiv 1502.03167). So
does one rank alone: torch's own kernel for CPUs rounds otherwise, which shows in the losses after a
few steps.
Shape legend: (B, C, H, W) feature maps; statistics are (C,).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from fusetrain import distributed


class SyncedNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d` over the pairs of all ranks.

    Attributes:
        counts: Whether what this rank shows next is part of the batch.
    """

    counts: bool = True

    def forward(self, features: Tensor) -> Tensor:
        """Return the normalised map; every rank must call at the same time while training."""
        if not self.training:
            return super().forward(features)
        mean, variance, number = _shared_statistics(features.detach(), counts=self.counts)
        self._follow(mean, variance, number)
        shift = self.bias if self.bias is not None else None
        normalised: Tensor = _Normalise.apply(
            features, self.weight, shift, mean, variance, number, self.eps, self.counts
        )
        return normalised

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, number: Tensor) -> None:
        """Move the running statistics, with the unbiased variance."""
        if self.running_mean is None or self.running_var is None or self.momentum is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        unbiased = variance * (number / (number - 1).clamp(min=1))
        self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
        self.running_var.lerp_(unbiased.to(self.running_var), self.momentum)


def with_synced_norms(model: nn.Module) -> nn.Module:
    """Return the model with every `nn.BatchNorm2d` in it replaced; parameters stay the same."""
    for name, child in model.named_children():
        if type(child) is nn.BatchNorm2d:
            setattr(model, name, _synced(child))
        else:
            with_synced_norms(child)
    return model


def count_share(norms: Iterable[SyncedNorm], *, counts: bool) -> None:
    """Say whether what this rank shows next is part of the batch."""
    for norm in norms:
        norm.counts = counts


def _synced(norm: nn.BatchNorm2d) -> SyncedNorm:
    made = SyncedNorm(
        norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
    )
    for name, value in (*norm.named_parameters(), *norm.named_buffers()):
        setattr(made, name, value)
    return made.train(norm.training)


def _shared_statistics(features: Tensor, *, counts: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and variance over the counted pairs of all ranks, (C,), and their values ()."""
    variance, mean = torch.var_mean(features.float(), dim=(0, 2, 3), correction=0)
    counted = float(features[:, 0].numel()) if counts else 0.0
    # Filled on the device: a number sent there would be waited for.
    number = torch.full((1,), counted, dtype=torch.float64, device=mean.device)
    mean, variance = mean.double(), variance.double()
    packed = torch.cat((number, number * mean, number * (variance + mean.square())))
    number, *sums = distributed.sum_over_ranks(packed).split([1, len(mean), len(mean)])
    mean, squares = (value / number for value in sums)
    return mean.float(), (squares - mean.square()).clamp(min=0).float(), number


class _Normalise(torch.autograd.Function):
    """Normalise by statistics that depend on the inputs of all counted ranks."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        number: Tensor,
        eps: float,
        counts: bool,
    ) -> Tensor:
        ctx.save_for_backward(features, weight, mean, variance, number)
        ctx.eps, ctx.counts, ctx.has_bias = eps, counts, bias is not None
        return functional.batch_norm(features, mean, variance, weight, bias, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        features, weight, mean, variance, number = ctx.saved_tensors
        gradient = gradients[0].float()
        shape = (1, -1, 1, 1)
        scale = (variance + ctx.eps).rsqrt()
        normal = (features.float() - mean.view(shape)) * scale.view(shape)
        sums = torch.stack((gradient.sum((0, 2, 3)), (gradient * normal).sum((0, 2, 3))))
        of_bias, of_weight = sums
        shared = distributed.sum_over_ranks(sums)
        own = gradient
        if ctx.counts:
            of_mean, of_scale = (shared / number.float()).unbind()
            own = gradient - of_mean.view(shape) - normal * of_scale.view(shape)
        if weight is not None:
            scale = scale * weight
        return (
            (own * scale.view(shape)).to(features.dtype),
            of_weight if weight is not None else None,
            of_bias if ctx.has_bias else None,
            *(None,) * 5,
        )
