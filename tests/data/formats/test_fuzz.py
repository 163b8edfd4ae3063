"""Broken and hostile label files end in boxes or problems, soon, and never in a crash."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fusetrain.data.annotations import Annotations, to_labels
from fusetrain.data.formats.coco_json import CocoFile
from fusetrain.data.formats.kaist_txt import read_kaist
from fusetrain.data.formats.obb_txt import read_obb
from fusetrain.data.formats.vedai_txt import read_vedai
from fusetrain.data.formats.voc_xml import read_voc
from fusetrain.errors import DataError

MAX_SECONDS = 5.0
NUM_EACH = 120
KAIST = "% bbGt version=3\nperson 282 209 52 111 0 0 0 0 0 0 0\npeople 10 20 8 9 2 0 0 0 0 0 0\n"
VEDAI = "690.4 87.6 1.2 1 1 0 676 695 703 688 75 71 102 103\n1 2 3 23 1 0 1 9 9 1 1 1 9 9\n"
OBB = "0 0.23 0.31 0.27 0.30 0.27 0.42 0.24 0.43\n2753 2408 2861 2385 2888 2468 2805 2502 plane 0\n"
VOC = """<?xml version="1.0"?><annotation><size><width>640</width><height>512</height></size>
<object><name>car</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>
</object><object><name>bus</name><robndbox><cx>40</cx><cy>30</cy><w>6</w><h>2</h><angle>1</angle>
</robndbox></object></annotation>"""
COCO = json.dumps(
    {
        "images": [{"id": 1, "file_name": "a.png", "height": 512, "width": 640}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
    }
)


def read_coco(path: Path) -> Annotations:
    """Return the boxes of the first image."""
    found = CocoFile.read(path)
    return found.annotations(0) if len(found) else Annotations()


READERS: dict[str, tuple[Callable[[Path], Annotations], str]] = {
    "kaist": (read_kaist, KAIST),
    "vedai": (read_vedai, VEDAI),
    "obb": (read_obb, OBB),
    "voc": (read_voc, VOC),
    "coco": (read_coco, COCO),
}
TOKENS = [
    *("nan", "-inf", "1e999", "-1", "1_0", "0x10", "9" * 400, "1" * 5000, "1e-400", "1.0.0", "٣"),
    *("\0", "\x1a", "\ufeff", "\u2028", "\u00a0", "é", "%", "#", "\r", "\t\t", "\n\n", " " * 500),
    *("<", ">", "</object>", "<object>", "&lt;", "&x;", "&#0;", "<![CDATA[", "<!--", "<?pi?>"),
    *("{", "}", "[", "]", '"', "\\u0000", "null", "true", "NaN", "-Infinity", '"bbox":', ",,"),
    '<!DOCTYPE a [<!ENTITY x "y">]>',
]


def mutated(text: str, rng: random.Random) -> bytes:
    """Return the text with some bytes changed, cut, doubled or put in."""
    data = bytearray(text.encode())
    for _ in range(rng.randint(1, 6)):
        place = rng.randrange(len(data) + 1)
        end = min(len(data), place + rng.randint(1, 30))
        match rng.randrange(6):
            case 0:
                data[place:end] = b""
            case 1:
                data[place:place] = data[place:end] * rng.randint(1, 50)
            case 2:
                data[place : place + 1] = bytes([rng.randrange(256)])
            case 3:
                del data[place:]
            case _:
                data[place : rng.choice([place, end])] = rng.choice(TOKENS).encode()
    return bytes(data)


def read_and_judge(read: Callable[[Path], Annotations], path: Path) -> None:
    """Read a file, check what comes out, and that it came soon."""
    started = time.process_time()
    try:
        found = read(path)
    except DataError:
        found = Annotations()
    labels = to_labels(found, size_hw=(512, 640), class_names=("car", "person", "0"))
    assert time.process_time() - started < MAX_SECONDS
    boxes = labels.boxes_cxcywh_unit
    assert boxes.dtype == np.float32
    assert np.isfinite(boxes).all()
    assert (boxes[:, 2:] > 0).all()
    assert (np.abs(boxes[:, :2] - 0.5) + boxes[:, 2:] / 2 <= 0.5 + 2e-6).all()
    assert len(labels.classes) == len(labels.lines) == len(boxes)
    assert all(problem.code in {"L01", "L02", "L03", "L04", "L05"} for problem in labels.problems)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.fault(36)
def test_mutated_file_gives_boxes_or_problems(name: str, tmp_path: Path) -> None:
    read, text = READERS[name]
    rng = random.Random(f"seed of {name}")
    path = tmp_path / "a.file"
    for _ in range(NUM_EACH):
        path.write_bytes(mutated(text, rng))
        read_and_judge(read, path)


LONG = 400_000
FLOODS = {
    "kaist": [
        "person 1 2 3 4 " + "0 " * LONG,
        "person 1 2 3 " + "9" * LONG,
        "person 1 2 3 4\n" * 19_000,
        "% " * LONG,
        " " * LONG + "\n",
        "p\n" * 19_000,
    ],
    "vedai": ["1 2 3 " + "1" * LONG, "\t" * LONG + "1"],
    "obb": ["imagesource:" + "x" * LONG, "0 " * LONG, "\n" * 19_000 + "0 1"],
    "voc": [
        "<annotation>" + "<a/>" * (LONG // 4) + "</annotation>",
        "<annotation>" + "x&amp;\n" * (LONG // 7) + "</annotation>",
        "<annotation " + " ".join(f'a{n}="1"' for n in range(LONG // 10)) + "/>",
        "<annotation><!--" + "-" * LONG,
        "<annotation><![CDATA[" + "]" * LONG,
        "<" + "a" * LONG,
        "<annotation>" * (LONG // 12),
        "<annotation><object><name>" + "n" * LONG + "</name></object></annotation>",
        "<annotation>" + "<object><name>a</name></object>" * 10_000 + "</annotation>",
    ],
    "coco": [
        "[" * LONG,
        '{"a":' * (LONG // 5),
        '"' + "\\" * LONG,
        '{"images": [' + "1" * 4000 + ", " + "9" * 4000 + "]}",
        COCO.replace('"annotations": [', '"annotations": [' + "{}," * (LONG // 4)),
        COCO.replace('"annotations": [', '"annotations": [' + '{"image_id": 1},' * (LONG // 16)),
        COCO.replace('"bbox": [1', '"bbox": [' + "1," * LONG + "1"),
    ],
}


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name in FLOODS for number in range(len(FLOODS[name]))]
)
def test_flood_of_one_thing_ends_soon(name: str, number: int, tmp_path: Path) -> None:
    path = tmp_path / "a.file"
    path.write_text(FLOODS[name][number], encoding="utf-8")
    read_and_judge(READERS[name][0], path)
