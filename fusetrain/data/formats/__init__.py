"""Label formats: the table of readers."""

from fusetrain.registry import Registry

FORMATS = Registry(
    "format",
    {"yolo_txt": "fusetrain.data.formats.yolo_txt:YoloTxt"},
    group="fusetrain.formats",
)
