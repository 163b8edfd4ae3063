"""The adapter between a plan and an optimizer: it writes rates before the step they are meant for.

It keeps no counter: the caller names the step, so a resumed run needs one integer and an outside
write to a group lasts one step. It needs no torch, only `param_groups`.
"""

from __future__ import annotations

from typing import Any, Protocol

from fusetrain.schedule.plan import GroupKey, SchedulePlan


class HasParamGroups(Protocol):
    """What is needed of an optimizer."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Return the groups; each names its `part` and `kind` beside `lr`."""


class Scheduler:
    """Writes the rates of a plan into an optimizer.

    Args:
        plan: The rates.
        optimizer: Its groups carry `part` (or None) and `kind`, as in `GroupKey`.
        lr_scale: Factor on all rates, below 1 after a rollback; may be changed at any time.
    """

    def __init__(
        self, plan: SchedulePlan, optimizer: HasParamGroups, *, lr_scale: float = 1.0
    ) -> None:
        self.plan = plan
        self.optimizer = optimizer
        self.lr_scale = lr_scale

    def set(self, step: int) -> list[float]:
        """Write learning rates, and momentum where it warms up, for the step about to be made.

        Args:
            step: Optimizer step of the run, from 0.

        Returns:
            The learning rates as written, in the order of the optimizer's groups.
        """
        momentum = self.plan.momentum(step)
        for group in self.optimizer.param_groups:
            key = GroupKey(group["part"], group["kind"])
            group["lr"] = self.plan.lr(key, step) * self.lr_scale
            if momentum is not None:
                _write_momentum(group, momentum)
        return [group["lr"] for group in self.optimizer.param_groups]


def _write_momentum(group: dict[str, Any], momentum: float) -> None:
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum
