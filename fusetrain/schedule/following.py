"""Curves that follow the run: what they may see of it, what they decide, how that is kept.

Such a curve stays a pure function of the step once its decisions are known. An observer, made anew
for each run, sees losses, gradient norms and metrics, and now and then decides something that holds
from a step on. Decisions and the observer's counters are JSON types: they go into the checkpoint,
so that a resumed run is bit-equal, and into events.jsonl, so that `plot-lr` can replay them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from fusetrain.schedule.curves import Curve

EVENT = "schedule"
Metrics = Mapping[str, float | int | None]


@dataclass(frozen=True)
class Decision:
    """What a curve decided about the steps to come.

    Attributes:
        step: First optimizer step of the run for which it holds.
        kind: What is decided, a word of the curve.
        value: What it is set to.
    """

    step: int
    kind: str
    value: float

    def to_json(self) -> dict[str, Any]:
        """Return the decision as an event holds it."""
        return {"step": self.step, "what": self.kind, "value": self.value}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Decision | None:
        """Return the decision that `to_json` wrote; None where it is no such thing."""
        step, kind, value = (values.get(key) for key in ("step", "what", "value"))
        if isinstance(step, bool) or not isinstance(step, int) or not isinstance(kind, str):
            return None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return cls(step, kind, float(value or 0.0)) if is_number else None


class Observer(Protocol):
    """Sees a run and decides; one for each run.

    All ranks have to see the same numbers, so that they decide alike.
    """

    @property
    def needs_steps(self) -> bool:
        """Return whether `observe` has to be called; it costs a wait for the device."""

    def observe(
        self, step: int, *, loss: float | None, grad_norm: float | None
    ) -> Sequence[Decision]:
        """Take note of an optimizer step, and return what is decided from the next one on.

        Args:
            step: Optimizer step of the run, from 0.
            loss: Mean loss of its pairs over all ranks; None where the step was skipped.
            grad_norm: Norm of its gradients before clipping; None where it was skipped.
        """

    def observe_epoch(self, next_step: int, *, metrics: Metrics) -> Sequence[Decision]:
        """Take note of an epoch, and return what is decided from the next one on.

        Args:
            next_step: First optimizer step of the next epoch.
            metrics: The row of results.csv, column to value; None for what was not measured.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return all counters as JSON types; decisions are kept by the scheduler."""

    def load_state_dict(self, state: Mapping[str, Any], decisions: Sequence[Decision]) -> None:
        """Go on from what `state_dict` returned, with what was decided until then."""


@runtime_checkable
class FollowingCurve(Protocol):
    """A curve that follows the run.

    Before the first decision, ``factor`` is what the curve does if nothing is decided.
    """

    def decided(self, decisions: Sequence[Decision]) -> Curve:
        """Return the curve as it is with these decisions, in the order of their steps."""

    def observer(self, total_steps: int) -> Observer:
        """Return an observer for a run of ``total_steps``."""

    def extremes(
        self, total_steps: int, *, steps_per_epoch: int
    ) -> Mapping[str, Sequence[Decision]]:
        """Return the decisions that lead to the ends of what may happen, by a name for readers."""

    def reason(self, decision: Decision, *, lr0: float) -> str:
        """Return what a decision does and why, for readers, without its time."""


def merged(decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    """Return decisions in the order of their steps; of two about the same, the later one."""
    latest = {(decision.step, decision.kind): decision for decision in decisions}
    return tuple(sorted(latest.values(), key=lambda decision: decision.step))


def at_step(decisions: Sequence[Decision], step: int) -> Decision | None:
    """Return the last of some ordered decisions that holds at a step."""
    number = bisect_right(decisions, step, key=lambda decision: decision.step)
    return decisions[number - 1] if number else None


def rescaled(state: Mapping[str, Any], factor: float, *, slot: int) -> dict[str, Any]:
    """Return the saved state of a schedule for a run whose epochs are ``factor`` as long now.

    Observers count checks and epochs, or steps of a stretch that is under way; these stay.

    Args:
        state: As it was saved.
        factor: Steps of an epoch now over those before.
        slot: Step, of the new length, at which the run goes on; what was decided about later ones
            is forgotten.
    """
    if not state:
        return {}
    moved = [{**item, "step": round(item["step"] * factor)} for item in state["decisions"]]
    return {**state, "decisions": [item for item in moved if item["step"] <= slot]}
