"""The row of results.csv that an epoch leaves: its losses, its metrics, its last learning rates.

The columns are those of `results/run_dir.py`; what is unknown is None, never the value of an
earlier epoch.
"""

from __future__ import annotations

from collections.abc import Sequence

from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.infer import Validation
from fusetrain.schedule.plan import SchedulePlan

Cells = dict[str, float | int | None]
LOSSES = ("box_loss", "cls_loss", "dfl_loss")


def epoch_row(
    state: TrainState,
    plan: SchedulePlan,
    loss_sums: Sequence[float],
    *,
    validation: Validation | None,
) -> Cells:
    """Return the row of the epoch that ends.

    Args:
        state: Where the run stands after the last step of the epoch.
        plan: The learning rates.
        loss_sums: Sums of box, cls and dfl loss over the pairs of the epoch, and how many pairs.
        validation: Of this epoch, if it was validated.
    """
    *terms, pairs = loss_sums
    metrics = validation.metrics if validation else None
    step = state.slot - 1
    return {
        "epoch": state.epoch + 1,
        "time": state.seconds,
        **_named("train", [term / pairs if pairs else None for term in terms]),
        "metrics/precision(B)": metrics.precision if metrics else None,
        "metrics/recall(B)": metrics.recall if metrics else None,
        "metrics/mAP50(B)": metrics.map50 if metrics else None,
        "metrics/mAP50-95(B)": metrics.map50_95 if metrics else None,
        **_named("val", validation.losses if validation else [None] * len(LOSSES)),
        "lr0": plan.lr0 * plan.factor(step),
        **{
            f"lr/pg{number}": plan.lr(group, step) * state.lr_scale
            for number, group in enumerate(plan.groups)
        },
    }


def _named(prefix: str, losses: Sequence[float | None]) -> Cells:
    return {f"{prefix}/{name}": value for name, value in zip(LOSSES, losses, strict=True)}
