"""The dual-backbone fusion detector, from images to raw predictions to detections."""

from fusetrain.registry import Registry

BACKBONES = Registry(
    "backbone",
    {
        "csp": "fusetrain.detector.backbone:CspBackbone",
        "resnet18": "fusetrain.detector.published_backbones:ResNet18",
        "resnet34": "fusetrain.detector.published_backbones:ResNet34",
        "resnet50": "fusetrain.detector.published_backbones:ResNet50",
        "mobilenet_v3_small": "fusetrain.detector.published_backbones:MobileNetV3Small",
        "mobilenet_v3_large": "fusetrain.detector.published_backbones:MobileNetV3Large",
        "convnext_tiny": "fusetrain.detector.published_backbones:ConvNeXtTiny",
        "efficientnet_b0": "fusetrain.detector.published_backbones:EfficientNetB0",
        "regnet_y_400mf": "fusetrain.detector.published_backbones:RegNetY400MF",
    },
    group="fusetrain.backbones",
)
