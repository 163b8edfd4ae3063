"""Muon: an optimizer whose steps are equally large in all directions of a weight matrix.

The momentum of a matrix is replaced by the nearest matrix whose singular values are all about 1,
found by five Newton-Schulz iterations (K. Jordan and others, "Muon: An optimizer for hidden layers
in neural networks", 2024, whose coefficients these are). The size of the step is matched to that of
AdamW (Moonlight, arXiv 2502.16982, section 2.2), so that rates and decay mean the same for both. A
convolution is the matrix of its output channels by all that each of them looks at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
STEP_OF_ADAMW = 0.2  # its usual root mean square, at a learning rate of 1
LEAST_SIDE = 8  # of a matrix; a thinner one has too few directions to balance
TINY = 1e-7
WORTH_A_SHORT_TYPE = 10**8  # floating-point operations of the products


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
                if matrices:
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
        """Decay the matrices of a group and move them; what is alike is computed at once."""
        skipped: Tensor | None = getattr(self, "found_inf", None)
        if skipped is not None and skipped.device.type == "cpu" and skipped.item():
            return
        alike: dict[Any, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for value, ahead in zip(matrices, self._look_ahead(matrices, group), strict=True):
            alike[value.shape, _order(value)].append((value, ahead))
        for (shape, order), members in alike.items():
            values, aheads = map(list, zip(*members, strict=True))
            flat = torch.Size((shape[0], shape[1:].numel()))
            dtype = self._product_dtype(len(values), flat)
            ahead = torch.stack([each.permute(order).to(dtype).reshape(flat) for each in aheads])
            steps = orthogonal(ahead).to(aheads[0].dtype)
            steps = steps.reshape(-1, *(shape[axis] for axis in order))
            back = [order.index(axis) for axis in range(len(order))]
            size = -group["lr"] * STEP_OF_ADAMW * max(flat) ** 0.5
            with _undone_if(skipped, values):
                torch._foreach_mul_(values, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(values, [step.permute(back) for step in steps], alpha=size)

    def _look_ahead(self, matrices: list[nn.Parameter], group: dict[str, Any]) -> Sequence[Tensor]:
        """Take gradients into the momentum of their matrices; return where both lead next."""
        skipped: Tensor | None = getattr(self, "found_inf", None)
        scale: Tensor | None = getattr(self, "grad_scale", None)
        gradients = [value.grad for value in matrices if value.grad is not None]
        if scale is not None:
            gradients = list(torch._foreach_div(gradients, scale))
        states, beta = [self.state[value] for value in matrices], group["betas"][0]
        for value, state in zip(matrices, states, strict=True):
            if not state:
                # AdamW looks for a step in all states that it loads.
                state["step"] = torch.zeros((), dtype=torch.float32, device=value.device)
                state["momentum_buffer"] = torch.zeros_like(value)
        steps = [state["step"] for state in states]
        momenta = [state["momentum_buffer"] for state in states]
        if skipped is None:
            torch._foreach_add_(steps, 1)
        else:  # as a list: of a single tensor torch would ask for its value, and wait
            torch._foreach_add_(steps, [1 - skipped.to(steps[0].device)] * len(steps))
        with _undone_if(skipped, momenta):
            torch._foreach_lerp_(momenta, gradients, 1 - beta)
        return torch._foreach_lerp(gradients, momenta, beta)

    def _product_dtype(self, count: int, shape: torch.Size) -> torch.dtype:
        """Return the type of products of ``count`` matrices; a short one slows down small ones."""
        products = 4 * count * ITERATIONS * min(shape) * shape.numel()
        return self.product_dtype if products >= WORTH_A_SHORT_TYPE else torch.float32


def orthogonal(matrices: Tensor) -> Tensor:
    """Return matrices with the singular vectors of (N, R, C) ``matrices``, and values about 1.

    Shapes are kept. The values end near 0.7 to 1.2, those far below the greatest one lower; a
    matrix of zeros stays one.
    """
    is_tall = matrices.shape[1] > matrices.shape[2]
    found = matrices.mT.contiguous() if is_tall else matrices
    found = found / found.float().norm(dim=(1, 2), keepdim=True).clamp(min=TINY).to(found)
    # As a batch of one, its product with its own transpose would be copied first.
    product = torch.baddbmm if len(found) > 1 else torch.addmm
    found = found if len(found) > 1 else found[0]
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = found @ found.mT
        mixed = product(gram, gram, gram, beta=b, alpha=c)
        found = product(found, mixed, found, beta=a)
    return (found.mT if is_tall else found).reshape(matrices.shape)


def _order(value: Tensor) -> tuple[int, ...]:
    """Return the axes of a weight in the order of memory, so that nothing has to be shuffled.

    Which column of its matrix is which does not matter.
    """
    is_channels_last = value.ndim == 4 and value.is_contiguous(memory_format=torch.channels_last)
    return (0, 2, 3, 1) if is_channels_last else tuple(range(value.ndim))


def _is_matrix(value: nn.Parameter, group: dict[str, Any]) -> bool:
    """Return whether a parameter has a gradient and is a weight that is wide and high enough."""
    if group["kind"] != "decay" or value.grad is None or value.ndim < 2:
        return False
    return min(value.shape[0], value.shape[1:].numel()) >= LEAST_SIDE


@contextmanager
def _undone_if(skipped: Tensor | None, values: Sequence[Tensor]) -> Iterator[None]:
    """Undo what is done to values where a step is skipped, without waiting for the device."""
    if skipped is None or skipped.device.type == "cpu":
        yield
        return
    before = [value.clone() for value in values]
    yield
    for value, old in zip(values, before, strict=True):
        value.copy_(torch.where(skipped > 0, old, value))
