"""Training: the step, the epochs, the state that a resumed run needs, inference over a loader."""

from fusetrain.registry import Registry

OPTIMIZERS = Registry(
    "optimizer",
    {
        "adamw": "torch.optim:AdamW",
        "sgd": "torch.optim:SGD",
        "adam": "torch.optim:Adam",
        "muon": "fusetrain.engine.muon:Muon",
    },
    group="fusetrain.optimizers",
)
