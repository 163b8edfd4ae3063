"""Kinds of defects in labels: single lines, and whole exports by another convention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from measuring.corpus import Kind, Planter, Set
from PIL import Image

Box = Sequence[float]


def add(make: Callable[[Set, str], str]) -> Planter:
    """Return a planter that adds a line to a label file."""

    def plant(data: Set) -> Path:
        pair = data.take()
        lines = pair.lines()
        pair.write_lines([*lines, make(data, lines[0])])
        return pair.label

    return plant


def rewrite(change: Callable[[int, Box, tuple[int, int]], tuple[int, Box]]) -> Planter:
    """Return a planter that rewrites all labels of a set: class, box and size of the image."""

    def plant(data: Set) -> None:
        for pair in data.pairs():
            with Image.open(pair.rgb) as image:
                size = image.size
            lines = []
            for line in pair.lines():
                number, *box = line.split()
                new_class, values = change(int(number), [float(value) for value in box], size)
                lines.append(" ".join([str(new_class), *(f"{value:.6g}" for value in values)]))
            pair.write_lines(lines)

    return plant


def remove_label(data: Set) -> Path:
    pair = data.take()
    pair.label.unlink()
    return pair.label


def remove_images(data: Set) -> Path:
    pair = data.take()
    pair.rgb.unlink()
    pair.ir.unlink()
    return pair.label


def write_again(data: Set) -> Path:
    pair = data.take()
    again = pair.label.with_suffix(".TXT")
    again.write_text(pair.label.read_text(encoding="utf-8"), encoding="utf-8")
    return pair.label  # capitals come first


def empty_most(data: Set) -> None:
    for pair in data.pairs():
        if data.rng.random() < 0.9:
            pair.write_lines([])


def not_text(data: Set) -> Path:
    pair = data.take()
    text = pair.label.read_text(encoding="utf-8")
    pair.label.write_bytes(
        data.rng.choice((text.encode("utf-16"), b"\xff\xfe\x00\xd8" + data.rng.randbytes(50)))
    )
    return pair.label


def second_set(change: Callable[[Set, str], str | None]) -> Planter:
    """Return a planter that adds labels of the infrared images, made from the others."""

    def plant(data: Set) -> None:
        yaml = data.root / "data.yaml"
        yaml.write_text(yaml.read_text() + "ir_labels: {imagesIR: labelsIR}\n", encoding="utf-8")
        for pair in data.pairs():
            folder = data.root / "labelsIR" / pair.label.parent.name
            folder.mkdir(parents=True, exist_ok=True)
            lines = [new for line in pair.lines() if (new := change(data, line)) is not None]
            (folder / pair.label.name).write_text("".join(f"{line}\n" for line in lines))

    return plant


def moved(data: Set, line: str) -> str:
    number, x, y, w, h = line.split()
    return f"{number} {min(1.0, float(x) + 0.02):.5f} {y} {w} {h}"


def top_left(number: int, box: Box, size: tuple[int, int]) -> tuple[int, Box]:
    x, y, w, h = box
    return number, (max(0.0, x - w / 2), max(0.0, y - h / 2), w, h)


def two_corners(number: int, box: Box, size: tuple[int, int]) -> tuple[int, Box]:
    x, y, w, h = box
    return number, (max(0.0, x - w / 2), max(0.0, y - h / 2), x + w / 2, y + h / 2)


def pixels(number: int, box: Box, size: tuple[int, int]) -> tuple[int, Box]:
    return number, [value * size[place % 2] for place, value in enumerate(box)]


LABEL_KINDS = (
    Kind("four columns", ("L01",), "error", add(lambda data, line: " ".join(line.split()[:4]))),
    Kind("a name, not a number", ("L01",), "error", add(lambda data, line: f"car{line[1:]}")),
    Kind("decimal comma", ("L01",), "error", add(lambda data, line: line.replace(".", ","))),
    Kind("no UTF-8 text", ("L01",), "error", not_text),
    Kind("class outside names", ("L02",), "error", add(lambda data, line: f"3{line[1:]}")),
    Kind("negative class", ("L02",), "error", add(lambda data, line: f"-1{line[1:]}")),
    Kind("not a number (nan)", ("L03",), "error", add(lambda data, line: "0 0.5 nan 0.1 0.1")),
    Kind("infinite", ("L03",), "error", add(lambda data, line: "0 0.5 0.5 inf 0.1")),
    Kind("one box in px", ("L04",), "error", add(lambda data, line: "0 240 120 30 60")),
    Kind("box without area", ("L05",), "warn", add(lambda data, line: "0 0.5 0.5 0 0.1")),
    Kind(
        "box outside the image",
        ("L05", "L04"),
        "warn",
        add(lambda d, line: "0 1.005 0.5 0.002 0.1"),
    ),
    Kind("box of 1 px", ("L06",), "info", add(lambda data, line: "0 0.5 0.5 0.002 0.002")),
    Kind("box of the whole image", ("L07",), "info", add(lambda data, line: "0 0.5 0.5 1 1")),
    Kind("the same box twice", ("L08",), "warn", add(lambda data, line: line)),
    Kind("label file missing", ("L09",), "warn", remove_label),
    Kind("label file without its images", ("L13",), "warn", remove_images),
    Kind("two label files of a pair", ("L13",), "warn", write_again),
    Kind("most label files empty", ("L10",), "info", empty_most, whole_set=True),
    Kind("all boxes in px", ("L04",), "error", rewrite(pixels), whole_set=True),
    Kind(
        "classes counted from 1",
        ("L02",),
        "error",
        rewrite(lambda number, box, size: (number + 1, box)),
        whole_set=True,
        num_pairs=24,
    ),
    Kind(
        "corner and size",
        ("L12",),
        "warn",
        rewrite(top_left),
        whole_set=True,
        num_pairs=40,
        only_real=True,
    ),
    Kind("two corners", ("L12",), "warn", rewrite(two_corners), whole_set=True, num_pairs=24),
    Kind("infrared labels moved", ("L11",), "warn", second_set(moved), whole_set=True),
    Kind(
        "a third of the boxes in infrared alone",
        ("L11",),
        "warn",
        second_set(lambda data, line: None if data.rng.random() < 0.3 else line),
        whole_set=True,
    ),
)
