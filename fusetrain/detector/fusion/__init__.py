"""Where and how the two streams meet: the tables of kinds and operators."""

from fusetrain.registry import Registry

KINDS = Registry(
    "fusion",
    {
        "rgb": "fusetrain.detector.kinds:rgb",
        "ir": "fusetrain.detector.kinds:ir",
        "data": "fusetrain.detector.kinds:data",
        "early": "fusetrain.detector.kinds:early",
        "mid": "fusetrain.detector.kinds:mid",
        "mid-p3": "fusetrain.detector.kinds:mid_p3",
        "late": "fusetrain.detector.kinds:late",
        "decision": "fusetrain.detector.kinds:decision",
        "easy": "fusetrain.detector.kinds:easy",
        "adapter": "fusetrain.detector.kinds:adapter",
    },
    group="fusetrain.fusions",
)

# Kinds in which no two feature maps are joined by an operator.
WITHOUT_OPERATOR = ("rgb", "ir", "data", "decision", "adapter")

# Kinds whose streams have not met yet at stride 4.
WITHOUT_P2 = ("mid-p3",)

OPERATORS = Registry(
    "operator",
    {
        "concat": "fusetrain.detector.fusion.elementwise:Concat",
        "add": "fusetrain.detector.fusion.elementwise:Add",
        "gate": "fusetrain.detector.fusion.gating:Gate",
        "channel-gate": "fusetrain.detector.fusion.gating:ChannelGate",
        "light": "fusetrain.detector.fusion.gating:Light",
        "cross-attention": "fusetrain.detector.fusion.attention:CrossAttention",
        "deyolo": "fusetrain.detector.fusion.attention:MutualGates",
    },
    group="fusetrain.operators",
)
