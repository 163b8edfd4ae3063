"""Labels in the XML of PASCAL VOC, one file an image: LLVIP, M3FD, FLIR-aligned, DroneVehicle.

Read are `size`, and of each `object` its `name`, `difficult` and the first of `bndbox`, `polygon`
(x1, y1 to x4, y4) and `robndbox` (cx, cy, w, h, angle) that is there; the last two give the upright
box around them. `voc_tree.py` writes the format.

VOC itself counts pixels from 1 and includes the last one. The visible-infrared sets that use its
files were not drawn so: labelling tools write plain corners, and the converters that come with the
sets (LLVIP's for one) pass the numbers on without an offset, so published results rest on that.
Hence they are taken as they are; ``one_based`` is there for files that mean it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

from fusetrain.data.annotations import Annotations, is_set
from fusetrain.data.files import read_bytes
from fusetrain.data.formats.text_lines import (
    Box,
    LabelLine,
    LineFault,
    Token,
    annotations_of,
    enclosing,
    unreadable,
)
from fusetrain.data.formats.xml_tree import Element, XmlFault, parse_xml
from fusetrain.data.labels import LabelProblem

CORNERS = ("xmin", "ymin", "xmax", "ymax")
ROTATED = ("cx", "cy", "w", "h", "angle")
MAX_SIDE_PX = 1_000_000
MAX_XML_BYTES = 8 * 2**20
# DroneVehicle's XML spells one class in four ways and another in two; `*` stands for no class.
DRONEVEHICLE_NAMES = {
    "feright car": "freight car",
    "feright_car": "freight car",
    "freight_car": "freight car",
    "feright": "freight car",
    "truvk": "truck",
    "*": "",
}
NO_NAMES: Mapping[str, str] = {}


def read_voc(
    path: str | os.PathLike[str],
    *,
    name: str = "",
    one_based: bool = False,
    keep_difficult: bool = False,
    renamed: Mapping[str, str] = NO_NAMES,
) -> Annotations:
    """Read an XML file; one without an object is background.

    Args:
        path: The file.
        name: How problems call the file; the path when empty.
        one_based: `bndbox` counts pixels from 1 and includes the last one.
        keep_difficult: Take objects that are marked difficult; VOC leaves them out of training and
            scoring, and so they count as ignored.
        renamed: Class names to put in place of others; an empty one excludes the box, whatever the
            class.
    """
    name = name or os.fspath(path)
    try:
        data = read_bytes(path, max_bytes=MAX_XML_BYTES)
    except OSError as error:
        return unreadable(f"cannot be read: {error.strerror}", name=name)
    return parse_voc(
        data, name=name, one_based=one_based, keep_difficult=keep_difficult, renamed=renamed
    )


def parse_voc(
    data: bytes,
    *,
    name: str = "",
    one_based: bool = False,
    keep_difficult: bool = False,
    renamed: Mapping[str, str] = NO_NAMES,
) -> Annotations:
    """Parse the bytes of an XML file; see `read_voc`."""
    try:
        root = parse_xml(data)
    except XmlFault as fault:
        return unreadable(str(fault), name=name, line=fault.line, column=fault.column)
    if root.tag != "annotation":
        text = f"the document is a <{root.tag[:40]}>, expected an <annotation>"
        return unreadable(text, name=name, line=root.line, column=root.column)
    found: list[tuple[int, LabelLine]] = []
    problems: list[LabelProblem] = []
    for element in root.all("object"):
        is_ignored = False
        try:
            label = _label(element)
            label = renamed.get(label, label)
            is_ignored = not label or (not keep_difficult and _is_marked(element, "difficult"))
            box = _box(element, shift=1.0 if one_based else 0.0)
        except LineFault as fault:
            if not is_ignored:
                problems.append(fault.problem(name, element.line))
            continue
        found.append((element.line, LabelLine(label, box, is_ignored)))
    return annotations_of(found, problems=problems, size_hw=_size_hw(root), name=name)


def _label(element: Element) -> str:
    name = element.first("name")
    if name is None or not name.text:
        raise LineFault("L01", element.column, "object without a name")
    return name.text


def _is_marked(element: Element, tag: str) -> bool:
    mark = element.first(tag)
    return mark is not None and is_set(mark.text)


def _box(element: Element, *, shift: float) -> Box:
    """Return the box of an object.

    Raises:
        LineFault: It has none, or one that is not four finite numbers.
    """
    if (corners := element.first("bndbox")) is not None:
        left, top, right, bottom = (_number(corners, tag) for tag in CORNERS)
        return left - shift, top - shift, right, bottom
    if (polygon := element.first("polygon")) is not None:
        tags = [f"{axis}{number}" for number in range(1, 5) for axis in "xy"]
        return enclosing([_number(polygon, tag) for tag in tags])
    if (rotated := element.first("robndbox")) is not None:
        return _around(*(_number(rotated, tag) for tag in ROTATED))
    if element.first("point") is not None:
        raise LineFault("L05", element.column, "object is a point, it has no area")
    raise LineFault("L01", element.column, "object without bndbox, polygon or robndbox")


def _number(element: Element, tag: str) -> float:
    child = element.first(tag)
    if child is None:
        raise LineFault("L01", element.column, f"{element.tag} without {tag}", line=element.line)
    return Token(child.text, child.column, child.line).number(tag)


def _around(cx: float, cy: float, width: float, height: float, angle: float) -> Box:
    """Return the upright box around a rectangle turned by ``angle`` radians."""
    cosine, sine = abs(math.cos(angle)), abs(math.sin(angle))
    half_width = (width * cosine + height * sine) / 2.0
    half_height = (width * sine + height * cosine) / 2.0
    return cx - half_width, cy - half_height, cx + half_width, cy + half_height


def _size_hw(root: Element) -> tuple[int, int] | None:
    """Return the size that the file says; None where it says none, or zero as some tools do."""
    size = root.first("size")
    if size is None:
        return None
    try:
        height, width = _number(size, "height"), _number(size, "width")
    except LineFault:
        return None
    if not (1 <= height <= MAX_SIDE_PX and 1 <= width <= MAX_SIDE_PX):
        return None
    return int(height), int(width)
