"""What went wrong in a run that goes on nevertheless: noted when it happens, told at the end."""

from __future__ import annotations

from collections.abc import Callable

from fusetrain.data.quarantine import Refusal
from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.roles import Reporter

MAX_LISTED = 20


def note_refusal(
    refusal: Refusal, state: TrainState, log: Callable[..., None], reporter: Reporter
) -> None:
    """Note a pair that is left out from now on: in the state, in the log and for the user."""
    state.quarantine.append(refusal.to_json())
    log("left out", **refusal.to_json())
    reporter.on_note(f"left out of {refusal.split}: {refusal.path}: {refusal.reason}")


def troubles(state: TrainState) -> list[str]:
    """Return a sentence for each kind of fault that the run has survived; none is the rule."""
    lines = []
    if state.quarantine:
        pairs = (
            "1 pair was" if len(state.quarantine) == 1 else f"{len(state.quarantine)} pairs were"
        )
        lines.append(f"{pairs} left out, for good:")
        lines += [
            f"  {entry['split']}: {entry['path']}: {entry['reason']}"
            for entry in state.quarantine[:MAX_LISTED]
        ]
        if len(state.quarantine) > MAX_LISTED:
            lines.append(f"  and {len(state.quarantine) - MAX_LISTED} more, listed in events.jsonl")
    if state.skipped:
        lines.append(f"{state.skipped} of {state.slot} steps were skipped as not finite")
    if state.rollbacks:
        lines.append(
            f"the run was rolled back {state.rollbacks} times; learning rates are "
            f"{state.lr_scale:g} of those planned"
        )
    if state.micro_batch:
        lines.append(
            f"for want of memory a rank computed at most {state.micro_batch} pairs at once; "
            "the batch stayed as it was, batch statistics were over fewer pairs"
        )
    return lines
