"""What the adaptive schedule notes of a run, and how it decides; the rules stand in `adaptive.py`.

All counters are numbers, None or short lists of them, so that they go into a checkpoint as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fusetrain.schedule.following import Decision, Metrics, merged

if TYPE_CHECKING:
    from fusetrain.schedule.adaptive import Adaptive

RAMP, CYCLE = "ramp", "cycle"
LOOKS, LEAST_LOOK = 10, 5
MOST_AT_A_TIME = 2.0
MOST_IN_ALL = 4.0
SHORTEST_REST = 0.5


@dataclass(frozen=True)
class Cycle:
    """First step and length of a cycle."""

    start: int
    length: int


def next_length(wanted: int, rest: int) -> int:
    """Return the length of a cycle, stretched to the end of the run where the rest is short."""
    return rest if rest < (1.0 + SHORTEST_REST) * wanted else wanted


class AdaptiveObserver:
    """Smooths the loss, sums gradient norms, and decides.

    Args:
        curve: The settings.
        total_steps: Optimizer steps of the run.
    """

    def __init__(self, curve: Adaptive, total_steps: int) -> None:
        self.curve = curve
        self.total_steps = total_steps
        self.decisions: tuple[Decision, ...] = ()
        self.smoothed: float | None = None
        self.seen = 0
        self.before: float | None = None
        self.was_skipped = False
        self.waited = 0
        self.norms = [0.0, 0.0]
        self.counts = [0, 0]

    @property
    def needs_steps(self) -> bool:
        """Return whether there is a warmup or a restart to decide about."""
        return self.curve.warm > 0 or self.curve.restart is not None

    def observe(
        self, step: int, *, loss: float | None, grad_norm: float | None
    ) -> Sequence[Decision]:
        """Take note of an optimizer step, and decide where it is time to."""
        curve = self.curve.decided(self.decisions)
        is_warm = step + 1 >= curve.warm_end(self.total_steps)
        if is_warm:
            made = self._watch_cycle(curve, step, grad_norm) if curve.restart else ()
        else:
            made = self._watch_ramp(step, loss)
        self.decisions = merged((*self.decisions, *made))
        return made

    def observe_epoch(self, next_step: int, *, metrics: Metrics) -> Sequence[Decision]:
        """Decide nothing: only steps count."""
        return ()

    def _watch_ramp(self, step: int, loss: float | None) -> Sequence[Decision]:
        every = self.curve.look_every(self.total_steps)
        if loss is None:
            self.was_skipped = True
        else:
            self.seen += 1
            last = 0.0 if self.smoothed is None else self.smoothed
            self.smoothed = last + (loss - last) / min(self.seen, every)
        if (step + 1) % every:
            return ()
        speed = self._speed()
        if not speed and self.waited + every > self.curve.waiting(self.total_steps):
            speed = 1.0
        self.waited += 0 if speed else every
        self.before, self.was_skipped = self.smoothed, False
        known = [decision.value for decision in self.decisions if decision.kind == RAMP]
        return () if speed == ([1.0, *known][-1]) else (Decision(step + 1, RAMP, speed),)

    def _speed(self) -> float:
        """Return how fast the ramp should run until the next look."""
        if self.was_skipped:
            return 0.0
        if self.before is None or self.smoothed is None:
            return 1.0
        tolerance = self.curve.tolerance * abs(self.before)
        if self.smoothed > self.before + tolerance:
            return 0.0
        return 1.0 / self.curve.shortest if self.smoothed < self.before - tolerance else 1.0

    def _watch_cycle(
        self, curve: Adaptive, step: int, grad_norm: float | None
    ) -> Sequence[Decision]:
        cycle = curve.cycle_at(max(step, curve.warm_end(self.total_steps)), self.total_steps)
        if step < cycle.start:
            return ()
        half = int(2 * (step - cycle.start) >= cycle.length)
        if grad_norm is not None:
            self.norms[half] += grad_norm
            self.counts[half] += 1
        after = cycle.start + cycle.length
        if step + 1 < after or after >= self.total_steps:
            return ()
        assert curve.restart is not None
        wanted = round(cycle.length * self._stretch())
        wanted = max(wanted, 1, round(curve.restart / MOST_IN_ALL))
        wanted = min(wanted, round(curve.restart * MOST_IN_ALL))
        self.norms, self.counts = [0.0, 0.0], [0, 0]
        length = next_length(wanted, self.total_steps - after)
        return (Decision(after, CYCLE, float(length)),)

    def _stretch(self) -> float:
        """Return the factor from this cycle to the next, from the trend of the gradients."""
        if not all(self.counts) or not self.norms[1] > 0.0:
            return 1.0
        early, late = (total / count for total, count in zip(self.norms, self.counts, strict=True))
        return min(MOST_AT_A_TIME, max(1.0 / MOST_AT_A_TIME, early / late))

    def state_dict(self) -> dict[str, Any]:
        """Return all counters."""
        return {
            "smoothed": self.smoothed,
            "seen": self.seen,
            "before": self.before,
            "was_skipped": self.was_skipped,
            "waited": self.waited,
            "norms": list(self.norms),
            "counts": list(self.counts),
        }

    def load_state_dict(self, state: Mapping[str, Any], decisions: Sequence[Decision]) -> None:
        """Go on from what `state_dict` returned, with what was decided until then."""
        self.smoothed, self.seen = state["smoothed"], state["seen"]
        self.before, self.was_skipped = state["before"], state["was_skipped"]
        self.waited = state["waited"]
        self.norms, self.counts = list(state["norms"]), list(state["counts"])
        self.decisions = tuple(decisions)
