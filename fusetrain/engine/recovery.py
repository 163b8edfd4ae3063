"""What is done about steps that are not finite: noted with their pairs, in the end rolled back.

A rollback goes to the last good state, which is kept where it follows from the steps alone: at the
start, at saves by steps and at the end of epochs. So it is the same in a run that was killed and
resumed meanwhile. The learning rates are halved, or the same would happen again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fusetrain import distributed
from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.keeper import restore
from fusetrain.engine.roles import Keeper, Reporter
from fusetrain.engine.step import StepRunner
from fusetrain.errors import DivergedError
from fusetrain.sample import Batch
from fusetrain.schedule.scheduler import Scheduler

LR_FACTOR = 0.5
# What a rollback leaves as it is: it belongs to the run, not to its weights.
KEPT = ("seconds", "quarantine", "skipped", "rollbacks", "lr_scale", "micro_batch")


@dataclass(frozen=True)
class Tolerance:
    """How much is put up with.

    Attributes:
        max_skipped: Skipped steps in a row before a rollback.
        max_rollbacks: Rollbacks before the run ends.
    """

    max_skipped: int = 10
    max_rollbacks: int = 3


class Recovery:
    """Notes steps that are not finite, and takes a run back to its last good state.

    Args:
        runner: Runs the steps.
        keeper: Keeps the states, and the log.
        reporter: Is told.
        tolerance: How much is put up with.
        path_of: Row of a training pair to the path of its visible image.
    """

    def __init__(
        self,
        runner: StepRunner,
        keeper: Keeper,
        reporter: Reporter,
        *,
        tolerance: Tolerance,
        path_of: Callable[[int], str],
    ) -> None:
        self.runner = runner
        self.keeper = keeper
        self.reporter = reporter
        self.tolerance = tolerance
        self.path_of = path_of
        self._recent: deque[dict[str, Any]] = deque(maxlen=2)

    def saw(self, batches: Sequence[Batch], state: TrainState, *, rate: float) -> None:
        """Remember the pairs of the step that is about to be made, whose outcome is not known."""
        rows = [row for batch in batches for row in batch.sample_ids.tolist()]
        step = {"slot": state.slot, "epoch": state.epoch + 1, "samples": rows, "lr": rate}
        self._recent.append(step)

    def note_outcome(self, state: TrainState, *, made: int) -> None:
        """Count the step whose outcome is known now: this one, on a GPU the one before.

        Raises:
            DivergedError: Too many were skipped in a row.
        """
        self._count(state, self.runner.was_skipped, late=self.runner.lag)
        state.updates = made

    def note_last_outcome(self, state: TrainState) -> None:
        """Count the last step of an epoch, if that is still to be done.

        Raises:
            DivergedError: Too many were skipped in a row.
        """
        was_skipped = self.runner.flush()
        state.updates -= bool(was_skipped)
        self._count(state, was_skipped, late=0)

    def _count(self, state: TrainState, was_skipped: bool | None, *, late: int) -> None:
        if was_skipped:
            state.skipped_in_a_row += 1
            self._note_skip(state, late=late)
        elif was_skipped is not None:
            state.skipped_in_a_row = 0

    def _note_skip(self, state: TrainState, *, late: int) -> None:
        """Note a step that was skipped as not finite.

        With a gradient scaler a skip is how the scale is found, and counted only.

        Raises:
            DivergedError: There were too many in a row.
        """
        state.skipped += 1
        step = self._step_seen(state, late=late)
        is_last = state.skipped_in_a_row >= self.tolerance.max_skipped
        if not self.runner.scaler.is_enabled() or is_last:
            paths = [self.path_of(row) for row in step["samples"]]
            self.keeper.log("skipped", **step, paths=paths)
            values = {**step, "paths": paths, "skipped_in_a_row": state.skipped_in_a_row}
            self.keeper.dump(f"bad_batch_{step['slot']}.json", values)
        if is_last:
            raise DivergedError(
                f"loss or gradients were not finite in {state.skipped_in_a_row} steps in a row "
                f"(step {step['slot']}, epoch {step['epoch']}, samples {step['samples']})"
            )

    def _step_seen(self, state: TrainState, *, late: int) -> dict[str, Any]:
        """Return what is known of one of the last steps; of one before a resume, its number."""
        if not self._recent:
            return {"slot": state.slot - 1, "epoch": state.epoch + 1, "samples": [], "lr": None}
        return self._recent[-1 - min(late, len(self._recent) - 1)]

    def note_gradients(self, state: TrainState) -> None:
        """Log how many steps of the epoch were clipped or skipped; since a resume, if it had one.

        A run whose every step is clipped is as it should be; only its change tells something.
        """
        counts = self.runner.take_counts()
        if counts["clipped"] or counts["skipped"]:
            self.keeper.log("gradients", epoch=state.epoch + 1, **counts)

    def note_memory(self, state: TrainState) -> None:
        """Note that memory ran out in the step that was just made, if it did."""
        pairs = self.runner.micro_batch
        if pairs == state.micro_batch:
            return
        state.micro_batch = pairs
        self.keeper.log("memory", slot=state.slot, micro_batch=pairs)
        self.reporter.on_note(
            f"memory ran out at step {state.slot + 1}: from now on {pairs} pairs are computed at "
            "once; a step still learns from all of its pairs, but batch statistics are over fewer"
        )

    def roll_back(self, state: TrainState, scheduler: Scheduler, error: DivergedError) -> None:
        """Put model, optimizer, schedule and ``state`` back to the last good state, in place.

        Raises:
            DivergedError: ``error``, with advice, where there was one rollback too many.
        """
        left = state.slot
        calmer = f"--set optim.lr0={scheduler.plan.lr0 / 10:g}, or --set train.amp=false"
        if state.rollbacks >= self.tolerance.max_rollbacks:
            told = f", after {state.rollbacks} rollbacks" if state.rollbacks else ""
            raise DivergedError(f"{error.what}{told}", remedy=calmer) from error
        self.keeper.wait()
        distributed.gather_objects(None)  # until the main rank has written
        kept = {name: getattr(state, name) for name in KEPT}
        content = self.keeper.last_good(state.good_slot)
        if self.runner.scaler.is_enabled():  # that of then may be why steps were skipped
            content = content | {"scaler": self.runner.scaler.state_dict()}
        vars(state).update(vars(restore(content, self.runner.detector, self.runner)) | kept)
        state.skipped_in_a_row = 0
        state.rollbacks += 1
        state.lr_scale *= LR_FACTOR
        scheduler.go_back(state.schedule, lr_scale=state.lr_scale)
        self._recent.clear()
        self.keeper.log(
            "rollback",
            slot=state.slot,
            from_slot=left,
            number=state.rollbacks,
            lr_scale=state.lr_scale,
            reason=error.what,
        )
        self.reporter.on_note(
            f"{error.what}: rolled back from step {left} to step {state.slot} "
            f"({state.rollbacks} of {self.tolerance.max_rollbacks}), all learning rates are "
            f"{state.lr_scale:g} of those planned"
        )


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Return whether all numbers of some tensors are finite; waits for their device.

    A sum is finite only if all of its terms are, and costs a sixth of looking at each of them. One
    that is not may have overflowed, so that only then they are looked at.
    """
    floats = [tensor for tensor in tensors if tensor.is_floating_point()]
    if bool(torch.stack([tensor.sum() for tensor in floats]).isfinite().all()):
        return True
    return all(bool(tensor.isfinite().all()) for tensor in floats)
