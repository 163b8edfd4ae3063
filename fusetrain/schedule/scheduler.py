"""The adapter between a plan and an optimizer: it writes rates before the step they are meant for.

It keeps no counter: the caller names the step, so a resumed run needs one integer and an outside
write to a group lasts one step. Only a schedule that follows the run carries more, in its
`state_dict`. It needs no torch, only `param_groups`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fusetrain.schedule.following import Decision, Metrics, merged
from fusetrain.schedule.plan import GroupKey, SchedulePlan


class HasParamGroups(Protocol):
    """What is needed of an optimizer."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Return the groups; each names its `part` and `kind` beside `lr`."""


class Scheduler:
    """Writes the rates of a plan into an optimizer, and lets a plan that follows the run see it.

    Args:
        plan: The rates.
        optimizer: Its groups carry `part` (or None) and `kind`, as in `GroupKey`.
        lr_scale: Factor on all rates, below 1 after a rollback; may be changed at any time.
        state: What `state_dict` returned in the run that goes on; empty at a start.
    """

    def __init__(
        self,
        plan: SchedulePlan,
        optimizer: HasParamGroups,
        *,
        lr_scale: float = 1.0,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self.optimizer = optimizer
        self._undecided = plan
        self.go_back(state or {}, lr_scale=lr_scale)

    def go_back(self, state: Mapping[str, Any], *, lr_scale: float) -> None:
        """Forget what was seen and decided, and go on from ``state``; see the arguments above."""
        self.plan = self._undecided
        self.lr_scale = lr_scale
        self._observer = self.plan.observer()
        self._restarts = _told_restarts(self.plan)
        self._decisions: tuple[Decision, ...] = ()
        if self._observer is not None and state:
            made = [Decision.from_json(values) for values in state["decisions"]]
            self._keep([decision for decision in made if decision is not None])
            self._observer.load_state_dict(state["observer"], self._decisions)

    @property
    def observes_steps(self) -> bool:
        """Return whether `observe` has to be called after each step."""
        return self._observer is not None and self._observer.needs_steps

    def observe(
        self, step: int, *, loss: float | None, grad_norm: float | None
    ) -> Sequence[Decision]:
        """Take note of a step; see `Observer.observe`. What is decided holds from the next one."""
        if self._observer is None:
            return ()
        return self._keep(self._observer.observe(step, loss=loss, grad_norm=grad_norm))

    def observe_epoch(self, next_step: int, *, metrics: Metrics) -> Sequence[Decision]:
        """Take note of an epoch; see `Observer.observe_epoch`."""
        if self._observer is None:
            return ()
        return self._keep(self._observer.observe_epoch(next_step, metrics=metrics))

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know, as JSON types; empty for a plan that is fixed."""
        if self._observer is None:
            return {}
        return {
            "observer": self._observer.state_dict(),
            "decisions": [decision.to_json() for decision in self._decisions],
        }

    def _keep(self, decisions: Sequence[Decision]) -> Sequence[Decision]:
        if decisions:
            self._decisions = merged((*self._decisions, *decisions))
            self.plan = self.plan.decided(self._decisions)
            self._restarts = _told_restarts(self.plan)
        return decisions

    def restarts_at(self, step: int) -> bool:
        """Return whether the rate jumps back to a peak at a step, where that is worth a line."""
        return step in self._restarts

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


def _told_restarts(plan: SchedulePlan) -> frozenset[int]:
    """Return the steps of restarts; none where there are more of them than epochs."""
    restarts = plan.restarts
    return frozenset(restarts) if len(restarts) <= plan.epochs else frozenset()


def _write_momentum(group: dict[str, Any], momentum: float) -> None:
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum
