"""Label formats: the table of those that a data set can be written in.

Each class has `read(path, split)`, `write(indexes, folder)` and `label_files(splits)`, see
`tree.Format`. Reading of the other formats of public sets is in `*_txt`, `voc_xml` and `coco_json`,
which all give `Annotations`.
"""

from fusetrain.registry import Registry

FORMATS = Registry(
    "format",
    {
        "yolo_txt": "fusetrain.data.formats.yolo_txt:YoloTxt",
        "coco_json": "fusetrain.data.formats.coco_tree:CocoJson",
        "voc_xml": "fusetrain.data.formats.voc_tree:VocXml",
    },
    group="fusetrain.formats",
)
