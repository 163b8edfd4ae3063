"""How long the epochs of a run were, told from its events."""

from __future__ import annotations

from typing import Any

from fusetrain.runs.spans import Span, spans_of
from fusetrain.schedule.following import Decision


def start(slot: int, batches: int, **others: Any) -> dict[str, Any]:
    return {"event": "start", "slot": slot, "batches_per_epoch": batches, **others}


def decided(step: int) -> dict[str, Any]:
    return {"event": "schedule", **Decision(step, "factor", 0.5).to_json()}


def steps_of(span: Span) -> list[int]:
    return [decision.step for decision in span.decisions]


def test_a_log_without_a_start_tells_nothing() -> None:
    assert spans_of([], accumulate=1) == ()
    assert spans_of([{"event": "start"}, decided(3)], accumulate=1) == ()


def test_first_start_may_name_batches_alone() -> None:
    (span,) = spans_of([{"event": "start", "batches_per_epoch": 7}], accumulate=2)
    assert (span.first_epoch, span.batches, span.steps) == (0, 7, 4)
    (span,) = spans_of([start(0, 7, steps_per_epoch=3)], accumulate=2)
    assert span.steps == 3


def test_a_resume_of_the_same_length_makes_no_span() -> None:
    (span,) = spans_of([start(0, 4), decided(3), decided(9), start(6, 4)], accumulate=1)
    assert (span.first_epoch, span.steps, steps_of(span)) == (0, 4, [3])


def test_a_resume_of_another_length_begins_a_span_with_what_was_decided() -> None:
    events = [start(0, 4), decided(4), start(16, 8), decided(20), start(24, 8)]
    first, second = spans_of(events, accumulate=1)
    assert (first.first_epoch, first.steps, steps_of(first)) == (0, 4, [4])
    assert (second.first_epoch, second.steps, steps_of(second)) == (2, 8, [8, 20])


def test_what_lies_behind_a_resume_or_rollback_is_forgotten() -> None:
    rollback = {"event": "rollback", "slot": 5}
    (span,) = spans_of([start(0, 4), decided(4), decided(8), rollback], accumulate=1)
    assert steps_of(span) == [4]
    first, second = spans_of([start(0, 4), start(8, 2), start(6, 6), decided(7)], accumulate=1)
    assert (first.first_epoch, first.steps) == (0, 4)
    assert (second.first_epoch, second.steps, steps_of(second)) == (1, 6, [7])
