from __future__ import annotations

from pathlib import Path

import pytest

from fusetrain.data.annotations import to_labels
from fusetrain.data.formats.voc_xml import DRONEVEHICLE_NAMES, parse_voc, read_voc
from fusetrain.data.formats.xml_tree import MAX_DEPTH, XmlFault, parse_xml
from fusetrain.data.labels import ANY_CLASS

LLVIP = b"""<?xml version="1.0" encoding="utf-8"?>
<annotation>
\t<folder>visible</folder>
\t<size><width>1280</width><height>1024</height><depth>3</depth></size>
\t<object>
\t\t<name>person</name><difficult>0</difficult>
\t\t<bndbox><xmin>0</xmin><ymin>383</ymin><xmax>66</xmax><ymax>613</ymax></bndbox>
\t</object>
\t<object>
\t\t<name> person </name>
\t\t<bndbox><xmin>10.5</xmin><ymin>20</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>
\t</object>
</annotation>
"""
DRONEVEHICLE = b"""<annotation><size><width>840</width><height>712</height></size>
<object><name>feright car</name><polygon><x1>254</x1><y1>259</y1><x2>256</x2><y2>321</y2>
<x3>279</x3><y3>318</y3><x4>275</x4><y4>258</y4></polygon></object>
<object><name>truvk</name>
<bndbox><xmin>300</xmin><ymin>300</ymin><xmax>340</xmax><ymax>380</ymax></bndbox></object>
<object><name>bus</name><robndbox><cx>400</cx><cy>300</cy><w>60</w><h>20</h><angle>1.5707963267948966</angle>
</robndbox></object>
<object><name>car</name><point><x>100</x><y>100</y></point></object>
<object><name>*</name><point><x>1</x><y>1</y></point></object>
<object><name>*</name>
<bndbox><xmin>90</xmin><ymin>120</ymin><xmax>160</xmax><ymax>150</ymax></bndbox></object>
</annotation>"""


def with_object(text: str) -> bytes:
    return f"<annotation>\n<object>\n{text}\n</object>\n</annotation>".encode()


def test_corners_are_taken_as_they_are() -> None:
    found = parse_voc(LLVIP, name="010001.xml")
    assert found.boxes_xyxy_px.tolist() == [[0, 383, 66, 613], [10.5, 20, 30, 40]]
    assert (found.names, found.lines.tolist()) == (("person", "person"), [5, 9])
    assert (found.size_hw, found.problems, found.path) == ((1024, 1280), (), "010001.xml")


def test_one_based_files_count_from_one_and_include_the_last_pixel() -> None:
    assert parse_voc(LLVIP, one_based=True).boxes_xyxy_px[0].tolist() == [-1, 382, 66, 613]


def test_shapes_of_dronevehicle_are_enclosed_and_its_spellings_mended() -> None:
    found = parse_voc(DRONEVEHICLE, renamed=DRONEVEHICLE_NAMES)
    assert found.names == ("freight car", "truck", "bus")
    expected = [[254, 258, 279, 321], [300, 300, 340, 380], [390, 270, 410, 330]]
    assert found.boxes_xyxy_px.tolist() == [pytest.approx(box) for box in expected]
    assert [(p.code, p.line) for p in found.problems] == [("L05", 8)]
    assert found.ignored_names == ("",)  # of any class; a point has no area to look away from
    labels = to_labels(found, size_hw=None, class_names=found.names, border_px=100)
    assert labels.regions.classes.tolist() == [ANY_CLASS]
    left_in_view = [30 / 640, 35 / 512, 60 / 640, 30 / 512]
    assert labels.regions.boxes_cxcywh_unit[0] == pytest.approx(left_in_view)
    assert labels.boxes_cxcywh_unit[1] == pytest.approx([220 / 640, 240 / 512, 40 / 640, 80 / 512])


@pytest.mark.parametrize(("text", "is_difficult"), [("False", 0), ("no", 0), ("True", 1), ("", 0)])
def test_difficult_is_spelt_in_several_ways(text: str, is_difficult: int) -> None:
    data = LLVIP.replace(b"<difficult>0<", f"<difficult>{text}<".encode())
    assert (
        parse_voc(data).num_ignored
        == is_difficult * parse_voc(LLVIP.replace(b"<difficult>0<", b"<difficult>1<")).num_ignored
    )


def test_difficult_objects_count_as_ignored_unless_wanted() -> None:
    data = LLVIP.replace(b"<difficult>0<", b"<difficult>1<")
    found = parse_voc(data)
    assert (len(found), found.ignored_names) == (1, ("person",))
    assert found.ignored_boxes_xyxy_px.tolist() == [[0, 383, 66, 613]]
    assert len(parse_voc(data, keep_difficult=True)) == 2


@pytest.mark.parametrize(
    "size", ["<size></size>", "<size><width>0</width><height>0</height></size>"]
)
def test_size_that_says_nothing_is_not_believed(size: str) -> None:
    assert parse_voc(f"<annotation>{size}</annotation>".encode()).size_hw is None


@pytest.mark.parametrize(
    ("text", "code", "line", "column", "words"),
    [
        ("<name>a</name>", "L01", 2, 1, "without bndbox"),
        ("<name></name><bndbox/>", "L01", 2, 1, "without a name"),
        ("<bndbox/>", "L01", 2, 1, "without a name"),
        ("<name>a</name>\n <bndbox><xmin>1</xmin></bndbox>", "L01", 4, 2, "without ymin"),
        ("<name>a</name><bndbox><xmin>x</xmin></bndbox>", "L01", 3, 23, "not a number"),
        ("<name>a</name><bndbox><xmin>nan</xmin></bndbox>", "L03", 3, 23, "not finite"),
        ("<name>a</name><polygon><x1>1</x1></polygon>", "L01", 3, 15, "without y1"),
        ("<name>a</name><point/>", "L05", 2, 1, "point"),
    ],
)
def test_bad_object_is_reported_with_its_place(
    text: str, code: str, line: int, column: int, words: str
) -> None:
    (problem,) = parse_voc(with_object(text), name="a.xml").problems
    assert (problem.code, problem.line, problem.column) == (code, line, column)
    assert words in problem.message


LAUGHS = b"""<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol1 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;">
]><annotation>&lol1;</annotation>"""
OUTSIDE = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>'


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (LAUGHS, "entities are not read"),
        (OUTSIDE, "entities are not read"),
        (b"<!DOCTYPE annotation SYSTEM 'voc.dtd'><annotation/>", "entities are not read"),
        (b"<annotation>&undefined;</annotation>", "undefined entity"),
        (b"<annotation><object>", "no element found"),
        (b"<annotation></object></annotation>", "mismatched tag"),
        (b"", "no element found"),
        (b"not xml", "not well-formed"),
        (b"<a/>" * 2, "junk after"),
        (b"<VOC></VOC>", "expected an <annotation>"),
        (b"<?xml version='1.0' encoding='nonsense'?><annotation/>", "encoding"),
        (b"<?xml version='1.0' encoding='gb2312'?><annotation>\xb0\xa1</annotation>", "encoding"),
        (b"<annotation>\xff</annotation>", "not well-formed"),
        (b"<annotation>" * 100 + b"</annotation>" * 100, "deeper"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_whole_file_that_cannot_be_used_is_one_problem(data: bytes, words: str) -> None:
    found = parse_voc(data, name="a.xml")
    (problem,) = found.problems
    assert (problem.code, problem.path, len(found)) == ("L01", "a.xml", 0)
    assert words in problem.message


def test_fault_of_a_document_has_its_place() -> None:
    with pytest.raises(XmlFault) as caught:
        parse_xml(b"<a>\n  <b>\n</a>")
    assert (caught.value.line, caught.value.column) == (3, 3)
    deep = b"<a>" * (MAX_DEPTH - 1) + b"</a>" * (MAX_DEPTH - 1)
    assert parse_xml(deep).tag == "a"


def test_file_is_read_and_a_missing_one_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(LLVIP)
    assert len(read_voc(tmp_path / "a.xml")) == 2
    (problem,) = read_voc(tmp_path / "b.xml", name="b.xml").problems
    assert (problem.code, problem.path) == ("L01", "b.xml")
    assert "No such file" in problem.message
