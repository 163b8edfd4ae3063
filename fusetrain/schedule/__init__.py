"""Learning-rate schedules: closed-form curves and the adapter that writes them to an optimizer."""

from fusetrain.registry import Registry

SCHEDULES = Registry(
    "schedule",
    {
        "cosine": "fusetrain.schedule.curves:Cosine",
        "cosine_hold": "fusetrain.schedule.decays:CosineHold",
        "cosine_restarts": "fusetrain.schedule.cycles:CosineRestarts",
        "step": "fusetrain.schedule.curves:MultiStep",
        "linear": "fusetrain.schedule.curves:Linear",
        "polynomial": "fusetrain.schedule.decays:Polynomial",
        "exponential": "fusetrain.schedule.decays:Exponential",
        "inverse_sqrt": "fusetrain.schedule.decays:InverseSqrt",
        "constant": "fusetrain.schedule.curves:Constant",
        "onecycle": "fusetrain.schedule.cycles:OneCycle",
        "cyclic": "fusetrain.schedule.cycles:Cyclic",
        "wsd": "fusetrain.schedule.decays:WarmupStableDecay",
        "yolox": "fusetrain.schedule.decays:Yolox",
        "plateau": "fusetrain.schedule.plateau:Plateau",
        "adaptive": "fusetrain.schedule.adaptive:Adaptive",
        "sequence": "fusetrain.schedule.sequence:Sequence",
    },
    group="fusetrain.schedules",
)
