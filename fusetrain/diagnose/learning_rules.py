"""Rules about how the run learned: divergence, overfitting, its end, its batch and its length."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from fusetrain.build import batch_size
from fusetrain.diagnose.evidence import Evidence
from fusetrain.diagnose.symptoms import Diagnosis

MIN_EPOCHS = 3
MIN_STEPS = 100
MIN_BATCH = 4
VAL_RISE, TRAIN_FALL = 1.1, 0.97
SHORT_PATIENCE = 10
STILL_FALLING = 0.01  # of the training loss over the last epochs, each


@dataclass(frozen=True)
class Fall:
    """How far the training loss came down, each side a mean over a third of the epochs.

    Attributes:
        epochs: Epochs of a side.
        before: Mean loss of the first third.
        after: Mean loss of the last third.
    """

    epochs: int
    before: float
    after: float

    @property
    def share(self) -> float:
        """Return the fall as a share of the loss before."""
        return 1.0 - self.after / self.before if self.before else 0.0


def fall_of_loss(evidence: Evidence) -> Fall | None:
    """Return how far the training loss fell; None before the third epoch."""
    losses = [value for _, value in evidence.losses("train")]
    if len(losses) < MIN_EPOCHS:
        return None
    third = len(losses) // 3
    return Fall(third, fmean(losses[:third]), fmean(losses[-third:]))


def skipped_steps(evidence: Evidence) -> int:
    """Return the steps that were skipped as not finite, in finished epochs and in others."""
    counted = sum(int(event.get("skipped", 0)) for event in evidence.epoch_events)
    ended = [int(event.get("skipped_in_a_row", 0)) for event in evidence.of_kind("diverged")]
    told = len(evidence.of_kind("skipped"))
    return max(counted + max(ended, default=0), told)


def judge_learning(evidence: Evidence) -> Iterator[Diagnosis]:
    """Yield why the run did not learn, as far as its course tells."""
    yield from _batch(evidence)
    yield from _steps(evidence)
    if evidence.run is None:
        return
    yield from _diverged(evidence)
    yield from _overfits(evidence)
    yield from _stopped_early(evidence)
    yield from _unfinished(evidence)


def _diverged(evidence: Evidence) -> Iterator[Diagnosis]:
    skipped = skipped_steps(evidence)
    ends = evidence.of_kind("diverged")
    if not skipped and not ends:
        return
    reason = f"; it ended: {ends[-1].get('reason')}" if ends else ""
    lower = evidence.config.optim.lr0 / 10
    sets = [f"optim.lr0={lower:g}"]
    if evidence.config.train.amp is not False:
        sets.append("train.amp=false")
    yield Diagnosis(
        "diverged",
        f"events.jsonl: {skipped} steps skipped as not finite{reason}",
        evidence.train_with(*sets),
        {"skipped": skipped, "ended": int(bool(ends))},
    )


def _overfits(evidence: Evidence) -> Iterator[Diagnosis]:
    judged, trained = evidence.losses("val"), dict(evidence.losses("train"))
    if len(judged) < MIN_EPOCHS:
        return
    best_epoch, best = min(judged, key=lambda item: item[1])
    epoch, last = judged[-1]
    rises = last > VAL_RISE * best and epoch > best_epoch
    if not rises or best_epoch not in trained or epoch not in trained:
        return
    if trained[epoch] < TRAIN_FALL * trained[best_epoch]:
        yield Diagnosis(
            "overfits",
            f"val/box + cls + dfl rose from {best:.4g} (epoch {best_epoch}) to {last:.4g} (epoch "
            f"{epoch}), train/ fell from {trained[best_epoch]:.4g} to {trained[epoch]:.4g}",
            f"more pairs; or {evidence.train_with(*_against_overfitting(evidence))}",
            {"best_epoch": best_epoch, "best": best, "last": last},
        )


def _against_overfitting(evidence: Evidence) -> list[str]:
    """Return what varies the pairs more and keeps the run from going on too long."""
    augment = evidence.config.augment
    sets = [] if augment.mosaic else ["augment.mosaic=1.0"]
    sets += [] if augment.scale else ["augment.scale=0.5"]
    sets += [] if augment.fliplr else ["augment.fliplr=0.5"]
    return sets or ["train.patience=20", "optim.weight_decay=0.005"]


def _stopped_early(evidence: Evidence) -> Iterator[Diagnosis]:
    train, losses = evidence.config.train, evidence.losses("train")
    ends = evidence.of_kind("end")
    was_stopped = bool(ends) and 0 < evidence.num_epochs < train.epochs
    if not was_stopped or not 0 < train.patience <= SHORT_PATIENCE or len(losses) < 2:
        return
    (_, before), (epoch, last) = losses[-2:]
    least = min(value for _, value in losses[:-1])
    scores = [value for _, value in evidence.cells("metrics/mAP50-95(B)")]
    if last < least or last < (1 - STILL_FALLING) * before or max(scores, default=0) < 0.05:
        yield Diagnosis(
            "stopped-too-early",
            f"stopped after epoch {epoch} of {train.epochs} by train.patience {train.patience}; "
            f"train/box + cls + dfl of the last two epochs: {before:.4g}, {last:.4g}",
            evidence.train_with(f"train.patience={max(50, train.epochs // 3)}"),
            {"epoch": epoch, "epochs": train.epochs, "patience": train.patience},
        )


def _unfinished(evidence: Evidence) -> Iterator[Diagnosis]:
    if evidence.is_running or evidence.of_kind("end") or evidence.of_kind("diverged"):
        return
    stops = evidence.of_kind("stop")
    how = "a signal stopped it" if stops else "it was killed, or the machine went down"
    yield Diagnosis(
        "unfinished",
        f"{evidence.num_epochs} of {evidence.config.train.epochs} epochs in results.csv, no end "
        f"in events.jsonl: {how}",
        shlex.join(["fusetrain", "resume", str(evidence.run)]),
        {"epochs": evidence.num_epochs, "of": evidence.config.train.epochs},
    )


def _batch(evidence: Evidence) -> Iterator[Diagnosis]:
    train = evidence.config.train
    batch = batch_size(evidence.config)
    ranks = train.devices if isinstance(train.devices, int) else len(train.devices or [0])
    memory = evidence.of_kind("memory")
    micro = int(memory[-1].get("micro_batch", batch)) if memory else batch
    own = micro if train.sync_bn else micro // max(1, ranks)
    if own < MIN_BATCH:
        pairs = "1 pair" if own == 1 else f"{own} pairs"
        yield Diagnosis(
            "batch-small",
            f"batch statistics are over {pairs} (train.batch {batch}, {ranks} ranks"
            + (f", computed {micro} at a time" if memory else "")
            + f"); at least {MIN_BATCH} are needed, 16 are better",
            evidence.train_with("train.batch=16", *(["train.sync_bn=true"] if ranks > 1 else [])),
            {"pairs": own, "batch": batch, "ranks": ranks},
        )


def _steps(evidence: Evidence) -> Iterator[Diagnosis]:
    plan = evidence.plan
    if plan is None or plan.total_steps >= MIN_STEPS or evidence.config.model.weights is not None:
        return
    epochs = -(-10 * MIN_STEPS // plan.steps_per_epoch)
    yield Diagnosis(
        "few-steps",
        f"{plan.total_steps} optimizer steps in all: {plan.epochs} epochs of "
        f"{plan.steps_per_epoch}",
        evidence.train_with(f"train.epochs={epochs}"),
        {"steps": plan.total_steps, "steps_per_epoch": plan.steps_per_epoch},
    )
