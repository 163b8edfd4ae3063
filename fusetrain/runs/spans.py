"""How long the epochs of a run were: one that goes on with more pairs has longer ones from there.

Told from the starts that a run logged; a resume is one of them. Slots are optimizer steps, counted
from the start of the run in epochs of the length that holds from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fusetrain.schedule.following import EVENT, Decision, merged


@dataclass(frozen=True)
class Span:
    """Epochs of one length.

    Attributes:
        first_epoch: The first of them, from 0.
        batches: Micro-batches of an epoch.
        steps: Optimizer steps of an epoch; 0 in logs that do not say it.
        decisions: What the schedule had decided at their end, by steps of this length.
    """

    first_epoch: int
    batches: int
    steps: int
    decisions: tuple[Decision, ...] = ()


def spans_of(events: Sequence[Mapping[str, Any]], *, accumulate: int) -> tuple[Span, ...]:
    """Return the spans that a run logged, in order; empty where it logged no length.

    A run that was killed may have decided about steps after the one it was resumed at; these
    decisions were lost with it, and made anew. So it is where a run was rolled back.

    Args:
        events: Of the run.
        accumulate: Micro-batches of an optimizer step, for logs that name batches alone.
    """
    spans: list[Span] = []
    for event in events:
        kind, slot = event.get("event"), event.get("slot")
        if kind == "start" and (started := _started(event, accumulate)) is not None:
            spans = _begun(spans, started)
        elif spans and kind == EVENT and (decision := Decision.from_json(event)):
            spans[-1] = replace(spans[-1], decisions=(*spans[-1].decisions, decision))
        elif spans and kind in ("start", "rollback") and isinstance(slot, int):
            spans[-1] = _forgetful(spans[-1], slot)
    return tuple(replace(span, decisions=merged(list(span.decisions))) for span in spans)


def _started(event: Mapping[str, Any], accumulate: int) -> tuple[Span, int] | None:
    """Return the span that begins with a start, and its slot; None where it says no length."""
    batches, slot = event.get("batches_per_epoch"), event.get("slot", 0)
    if not isinstance(batches, int) or batches < 1 or not isinstance(slot, int):
        return None
    steps = event.get("steps_per_epoch")
    if not isinstance(steps, int) or steps < 1:
        steps = -(-batches // accumulate)
    return Span(slot // steps, batches, steps), slot


def _begun(spans: Sequence[Span], started: tuple[Span, int]) -> list[Span]:
    """Return the spans with one that begins; it goes on with what was decided before its slot."""
    span, slot = started
    kept = [old for old in spans if old.first_epoch < span.first_epoch]
    if not spans:
        return [span]
    factor = span.steps / spans[-1].steps
    moved = tuple(
        replace(decision, step=round(decision.step * factor)) for decision in spans[-1].decisions
    )
    span = _forgetful(replace(span, decisions=moved), slot)
    if kept and kept[-1].steps == span.steps:
        kept[-1] = replace(kept[-1], decisions=span.decisions)
        return kept
    return [*kept, span]


def _forgetful(span: Span, slot: int) -> Span:
    """Return a span without what was decided about steps after a slot."""
    return replace(span, decisions=tuple(item for item in span.decisions if item.step <= slot))
