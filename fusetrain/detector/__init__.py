"""The dual-backbone fusion detector, from images to raw predictions to detections."""

from fusetrain.registry import Registry

BACKBONES = Registry(
    "backbone",
    {"csp": "fusetrain.detector.backbone:CspBackbone"},
    group="fusetrain.backbones",
)
