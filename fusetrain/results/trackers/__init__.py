"""Trackers: services that show runs side by side. The table of names, and what each needs."""

from collections.abc import Mapping

from fusetrain.registry import Registry

TRACKERS = Registry(
    "tracker",
    {
        "tensorboard": "fusetrain.results.trackers.tensorboard:TensorBoard",
        "mlflow": "fusetrain.results.trackers.mlflow:MLflow",
        "wandb": "fusetrain.results.trackers.wandb:WeightsAndBiases",
    },
    group="fusetrain.trackers",
)

# Modules that must be installed before a run may name the tracker.
NEEDED: Mapping[str, tuple[str, ...]] = {
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
    "wandb": ("wandb",),
}
