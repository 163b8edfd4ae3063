from __future__ import annotations

import codecs
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusetrain.data.labels import parse_labels, read_labels


def test_lines_become_boxes_with_the_numbers_of_the_file() -> None:
    labels = parse_labels("0 0.5 0.25 0.1 0.2\n\n1 .9 .9 .2 .2\n", 2)
    expected = np.array([[0.5, 0.25, 0.1, 0.2], [0.9, 0.9, 0.2, 0.2]], np.float32)
    np.testing.assert_array_equal(labels.boxes_cxcywh_unit, expected)
    assert labels.classes.tolist() == [0, 1]
    assert labels.lines.tolist() == [1, 3]
    assert labels.problems == ()


def test_box_past_the_edge_is_clipped_to_the_image() -> None:
    labels = parse_labels("0 0.9 0.5 0.4 0.5", 1)
    np.testing.assert_allclose(labels.boxes_cxcywh_unit, [[0.85, 0.5, 0.3, 0.5]], rtol=1e-6)
    assert labels.problems == ()


@pytest.mark.parametrize(
    ("line", "code", "column", "words"),
    [
        ("0 .5 .5 .1", "L01", 1, "4 columns"),
        ("0 .5 .5 .1 .1 .9", "L01", 1, "6 columns"),
        ("car .5 .5 .1 .1", "L01", 1, "'car'"),
        ("0 .5 .5,1 .1 .1", "L01", 6, "cy is '.5,1'"),
        ("1_0 .5 .5 .1 .1", "L01", 1, "not a number"),
        ("0.5 .5 .5 .1 .1", "L01", 1, "whole number"),
        ("2 .5 .5 .1 .1", "L02", 1, "class 2"),
        ("-1 .5 .5 .1 .1", "L02", 1, "class -1"),
        ("0 nan .5 .1 .1", "L03", 3, "cx is 'nan'"),
        ("0 .5 .5 .1 inf", "L03", 12, "h is 'inf'"),
        ("0 1.3 .5 .1 .1", "L04", 3, "cx is 1.3"),
        ("0 .5 -0.02 .1 .1", "L04", 6, "cy is -0.02"),
        ("0 320 240 64 48", "L04", 3, "cx is 320"),
        ("0 .5 .5 0 .1", "L05", 9, "w is 0"),
        ("0 .5 .5 .1 -.1", "L05", 12, "h is -0.1"),
        ("0 1.01 .5 .01 .1", "L05", 1, "outside the image"),
    ],
)
@pytest.mark.fault(36)
def test_bad_line_is_left_out_and_reported_with_its_place(
    line: str, code: str, column: int, words: str
) -> None:
    labels = parse_labels(f"0 .5 .5 .1 .1\n{line}\n", 2, name="a.txt")
    (problem,) = labels.problems
    assert (problem.code, problem.path, problem.line, problem.column) == (code, "a.txt", 2, column)
    assert words in problem.message
    assert problem.is_left_out
    assert labels.lines.tolist() == [1]


def test_value_just_outside_is_clipped_and_kept() -> None:
    labels = parse_labels("0 0.5 0.5 1.005 0.5", 1)
    assert labels.boxes_cxcywh_unit.tolist() == [[0.5, 0.5, 1.0, 0.5]]
    (problem,) = labels.problems
    assert problem.code == "L04"
    assert not problem.is_left_out


@pytest.mark.parametrize(
    "data", [b"", b"\n \r\n", codecs.BOM_UTF8], ids=["no bytes", "blank lines", "mark alone"]
)
def test_empty_file_is_background(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    labels = read_labels(tmp_path / "a.txt", 2)
    assert labels.boxes_cxcywh_unit.shape == (0, 4)
    assert labels.problems == ()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.fault(36)
def test_line_ends_and_byte_order_mark_do_not_matter(tmp_path: Path, end: str) -> None:
    text = f"0 .5 .5 .1 .1{end}1 .5 .5 .1 x{end}"
    (tmp_path / "a.txt").write_bytes(codecs.BOM_UTF8 + text.encode())
    labels = read_labels(tmp_path / "a.txt", 2)
    assert labels.classes.tolist() == [0]
    assert [(problem.line, problem.column) for problem in labels.problems] == [(2, 12)]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("0 .5 .5 .1 .1".encode("utf-16"), "UTF-16"),
        (b"0 .5 \xff .1 .1", "byte 5 is not UTF-8"),
    ],
)
@pytest.mark.fault(36)
def test_file_that_is_no_text_is_one_problem(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    (problem,) = read_labels(tmp_path / "a.txt", 2).problems
    assert problem.code == "L01"
    assert words in problem.message


def test_special_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    (problem,) = read_labels(tmp_path / "a.txt", 2).problems
    assert "not a regular file" in problem.message


@given(st.text(max_size=200))
def test_any_text_gives_boxes_inside_the_image_or_problems(text: str) -> None:
    labels = parse_labels(text, 3)
    boxes = labels.boxes_cxcywh_unit
    assert np.isfinite(boxes).all()
    assert (boxes[:, 2:] > 0).all()
    assert (boxes[:, :2] - boxes[:, 2:] / 2 >= -2e-6).all()
    assert (boxes[:, :2] + boxes[:, 2:] / 2 <= 1 + 2e-6).all()
    lines = {*labels.lines.tolist(), *(problem.line for problem in labels.problems)}
    written = text.replace("\r\n", "\n").split("\n")
    assert lines == {number for number, line in enumerate(written, 1) if line.strip()}
