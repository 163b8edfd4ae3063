"""Where and how the two streams meet: the tables of kinds and operators."""

from fusetrain.registry import Registry

KINDS = Registry(
    "fusion",
    {
        "rgb": "fusetrain.detector.kinds:rgb",
        "ir": "fusetrain.detector.kinds:ir",
        "mid": "fusetrain.detector.kinds:mid",
    },
    group="fusetrain.fusions",
)

OPERATORS = Registry(
    "operator",
    {"concat": "fusetrain.detector.fusion.elementwise:Concat"},
    group="fusetrain.operators",
)
