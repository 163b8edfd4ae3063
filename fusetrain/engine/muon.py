"""Muon: an optimizer whose steps are equally large in all directions of a weight matrix.

The momentum of a matrix is replaced by the nearest matrix whose singular values are all about 1,
found by five Newton-Schulz iterations (K. Jordan and others, "Muon: An optimizer for hidden layers
in neural networks", 2024, whose coefficients these are). The size of the step is matched to that of
AdamW (Moonlight, arXiv 2502.16982, section 2.2), so that rates and decay mean the same for both. A
convolution is the matrix of its output channels by all that each of them looks at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
STEP_OF_ADAMW = 0.2  # its usual root mean square, at a learning rate of 1
LEAST_SIDE = 8  # of a matrix; a thinner one has too few directions to balance
TINY = 1e-7


class Muon(torch.optim.AdamW):
    """AdamW, but for the weight matrices, whose steps are orthogonal.

    Args:
        groups: Parameter groups; those of the kind ``decay`` hold the matrices.
        betas: The first is the momentum of the matrices (Nesterov's form) and beta1 of all else.
        product_dtype: Type of the products of the iterations.
        options: Other options of AdamW.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        betas: tuple[float, float] = (0.95, 0.999),
        product_dtype: torch.dtype = torch.float32,
        **options: Any,
    ) -> None:
        super().__init__(groups, betas=betas, **options)
        self.product_dtype = product_dtype

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make one step with gradients divided by ``grad_scale``, or none if ``found_inf`` is set.

        Args:
            closure: Computes the loss anew, as for any optimizer.
        """
        loss = closure() if closure is not None else None
        hidden: list[tuple[nn.Parameter, Tensor | None]] = []
        try:
            for group in self.param_groups:
                matrices = [value for value in group["params"] if _is_matrix(value, group)]
                self._step_matrices(matrices, group)
                for value in matrices:  # AdamW passes over what has no gradient
                    hidden.append((value, value.grad))
                    value.grad = None
            super().step()
        finally:
            for value, gradient in hidden:
                value.grad = gradient
        return loss

    @torch.no_grad()
    def _step_matrices(self, matrices: list[nn.Parameter], group: dict[str, Any]) -> None:
        """Decay the matrices of a group and move them; those of one shape are computed at once."""
        skipped: Tensor | None = getattr(self, "found_inf", None)
        if skipped is not None and skipped.device.type == "cpu" and skipped.item():
            return
        by_shape = defaultdict(list)
        for value in matrices:
            by_shape[value.shape].append(value)
        for shape, values in by_shape.items():
            flat = (shape[0], shape[1:].numel())
            ahead = torch.stack([self._look_ahead(value, group).reshape(flat) for value in values])
            steps = orthogonal(ahead.to(self.product_dtype)).to(ahead.dtype)
            size = -group["lr"] * STEP_OF_ADAMW * max(flat) ** 0.5
            for value, step in zip(values, steps, strict=True):
                moved = value * (1 - group["lr"] * group["weight_decay"])
                moved.add_(step.reshape(shape), alpha=size)
                value.copy_(_unless(skipped, moved, value))

    def _look_ahead(self, value: nn.Parameter, group: dict[str, Any]) -> Tensor:
        """Take a gradient into the momentum of its matrix; return where both lead next."""
        skipped: Tensor | None = getattr(self, "found_inf", None)
        scale: Tensor | None = getattr(self, "grad_scale", None)
        assert value.grad is not None, "only matrices with a gradient are moved"
        gradient = value.grad if scale is None else value.grad / scale
        state, beta = self.state[value], group["betas"][0]
        if not state:
            # AdamW looks for a step in all states that it loads.
            state["step"] = torch.zeros((), dtype=torch.float32, device=value.device)
            state["momentum_buffer"] = torch.zeros_like(value)
        momentum = state["momentum_buffer"]
        state["step"] += 1 if skipped is None else 1 - skipped.to(value.device)
        momentum.copy_(_unless(skipped, momentum.lerp(gradient, 1 - beta), momentum))
        return gradient.lerp(momentum, beta)


def orthogonal(matrices: Tensor) -> Tensor:
    """Return matrices with the singular vectors of (N, R, C) ``matrices``, and values about 1.

    Shapes are kept. The values end near 0.7 to 1.2, those far below the greatest one lower; a
    matrix of zeros stays one.
    """
    is_tall = matrices.shape[1] > matrices.shape[2]
    found = matrices.mT if is_tall else matrices
    found = found / found.float().norm(dim=(1, 2), keepdim=True).clamp(min=TINY).to(found)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = found @ found.mT
        mixed = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        found = torch.baddbmm(found, mixed, found, beta=a)
    return found.mT if is_tall else found


def _is_matrix(value: nn.Parameter, group: dict[str, Any]) -> bool:
    """Return whether a parameter has a gradient and is a weight that is wide and high enough."""
    if group["kind"] != "decay" or value.grad is None or value.ndim < 2:
        return False
    return min(value.shape[0], value.shape[1:].numel()) >= LEAST_SIDE


def _unless(skipped: Tensor | None, new: Tensor, old: Tensor) -> Tensor:
    """Return ``new``, or ``old`` where a step is skipped, without waiting for the device."""
    if skipped is None or skipped.device.type == "cpu":
        return new
    return torch.where(skipped > 0, old, new)
