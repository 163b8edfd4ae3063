"""Learning-rate schedules: closed-form curves and the adapter that writes them to an optimizer."""

from fusetrain.registry import Registry

SCHEDULES = Registry(
    "schedule",
    {
        "cosine": "fusetrain.schedule.curves:Cosine",
        "step": "fusetrain.schedule.curves:MultiStep",
        "linear": "fusetrain.schedule.curves:Linear",
        "constant": "fusetrain.schedule.curves:Constant",
    },
    group="fusetrain.schedules",
)
