"""Sheets of many pairs: a batch as the network sees it, with true or detected boxes.

Arrays come in, a Pillow image goes out. Every pair is RGB (left) and IR (right); a strip above the
sheet says what is shown and which colour is which class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fusetrain.results.lettering import lettered
from fusetrain.results.pictures import INK, PALETTE, DrawnBox, colour_of, join_pair

MAX_PAIRS = 16
SHEET_WIDTH_PX = 2600
SHEET_HEIGHT_PX = 1900
MIN_LONG_SIDE_PX = 480
MARGIN_PX = 10
STRIP_FONT_PX = 20
LABEL_FONT_PX = 13
CAPTION_FONT_PX = 16
MAX_NAME_CHARS = 30


@dataclass(frozen=True)
class SheetPair:
    """One pair of a sheet.

    Attributes:
        pixels: (H, W, 4) uint8; channels R, G, B, IR.
        boxes: In pixels of it; those that stand first are drawn on top.
        caption: Line above it; a sheet of pairs without one leaves no room for it.
    """

    pixels: NDArray[np.uint8]
    boxes: Sequence[DrawnBox]
    caption: str = ""


@dataclass(frozen=True)
class Sheet:
    """A sheet, and where its pairs are.

    Attributes:
        picture: The sheet.
        places: Left, top, right and bottom of each pair in pixels of it, without its caption.
    """

    picture: Image.Image
    places: Sequence[tuple[int, int, int, int]]


def pair_sheet(
    pairs: Sequence[SheetPair], *, title: str, class_names: Sequence[str]
) -> Image.Image:
    """Return up to MAX_PAIRS pairs in a grid, as large as a sheet allows.

    Args:
        pairs: At least one; what is beyond MAX_PAIRS is left out.
        title: What the sheet shows.
        class_names: For the colours named in the strip.
    """
    return keyed_sheet(pairs, title=title, key=colour_key(class_names)).picture


def keyed_sheet(pairs: Sequence[SheetPair], *, title: str, key: Sequence[tuple[str, int]]) -> Sheet:
    """Return up to MAX_PAIRS pairs in a grid, as large as a sheet allows, and where they are.

    Labels stand on the RGB images alone, so that the IR images show what is below them.

    Args:
        pairs: At least one; what is beyond MAX_PAIRS is left out.
        title: What the sheet shows.
        key: What a colour of boxes means and its number, in the order in which the strip says it.
    """
    shown = list(pairs[:MAX_PAIRS])
    sizes = [pair.pixels.shape[:2] for pair in shown]
    pair_size = (2 * max(width for _, width in sizes), max(height for height, _ in sizes))
    columns, zoom = _layout(len(shown), pair_size)
    joined = [
        join_pair(
            pair.pixels[..., :3],
            pair.pixels[..., 3],
            pair.boxes,
            zoom=zoom,
            font_px=LABEL_FONT_PX,
            label_ir=False,
        )
        for pair in shown
    ]
    captions = [pair.caption for pair in shown]
    strip = _strip(title, key, min_width=columns * (joined[0].width + MARGIN_PX))
    return _tiled(joined, captions, columns=columns, strip=strip)


def has_colour_key(class_names: Sequence[str]) -> bool:
    """Return whether each class has a colour of its own, which the strip explains."""
    return len(class_names) <= len(PALETTE)


def colour_key(class_names: Sequence[str]) -> list[tuple[str, int]]:
    """Return what the strip says of each class, and its number; nothing where colours repeat."""
    names = class_names if has_colour_key(class_names) else ()
    return [
        (name if mark == name else f"{mark} {name}".strip(), number)
        for number, (mark, name) in enumerate(zip(short_names(names), names, strict=True))
    ]


def short_names(class_names: Sequence[str]) -> list[str]:
    """Return what stands beside a box of each class, so that it is told without colour too.

    The number in the strip, which is that of the label files; nothing where there is one class
    alone; the name where there are more classes than colours.
    """
    if not has_colour_key(class_names):
        return list(class_names)
    return [str(number) if len(class_names) > 1 else "" for number in range(len(class_names))]


def _layout(num_pairs: int, pair_size: tuple[int, int]) -> tuple[int, float]:
    """Return the number of columns that shows pairs (width, height) largest, and their zoom."""
    width, height = pair_size
    enlarged = max(1.0, MIN_LONG_SIDE_PX / max(width / 2, height))

    def zoom(columns: int) -> float:
        rows = math.ceil(num_pairs / columns)
        across = SHEET_WIDTH_PX / columns / (width + MARGIN_PX)
        return min(across, SHEET_HEIGHT_PX / rows / (height + MARGIN_PX), enlarged)

    # Among equals the grid nearest to a square.
    best = max(
        range(1, num_pairs + 1),
        key=lambda columns: (zoom(columns), -abs(columns * width - num_pairs / columns * height)),
    )
    return best, zoom(best)


def _tiled(
    pictures: Sequence[Image.Image],
    captions: Sequence[str],
    *,
    columns: int,
    strip: Image.Image,
) -> Sheet:
    head = STRIP_FONT_PX + MARGIN_PX if any(captions) else 0
    cell_width = max(picture.width for picture in pictures) + MARGIN_PX
    cell_height = max(picture.height for picture in pictures) + MARGIN_PX + head
    rows = math.ceil(len(pictures) / columns)
    width = max(columns * cell_width + MARGIN_PX, strip.width)
    sheet = Image.new("RGB", (width, strip.height + rows * cell_height), "white")
    sheet.paste(strip, (0, 0))
    draw = ImageDraw.Draw(sheet)
    places = []
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        row, column = divmod(number, columns)
        left, top = MARGIN_PX + column * cell_width, strip.height + row * cell_height + head
        sheet.paste(picture, (left, top))
        places.append((left, top, left + picture.width, top + picture.height))
        if caption:
            text, font = lettered(_fitting(caption, picture.width), CAPTION_FONT_PX)
            draw.text((left, top - head + 4), text, fill=INK, font=font)
    return Sheet(sheet, places)


def _fitting(caption: str, width_px: int) -> str:
    """Return a caption that is not wider than its picture: its start gives way."""
    most = max(8, round(width_px / (0.62 * CAPTION_FONT_PX)))
    return caption if len(caption) <= most else f"...{caption[3 - most :]}"


def _strip(title: str, key: Sequence[tuple[str, int]], *, min_width: int) -> Image.Image:
    """Return the strip above a sheet: the title, and what each colour means."""
    words = [
        (*lettered(f"{title}; RGB left, IR right", STRIP_FONT_PX), -1),
        *((*lettered(_on_one_line(name), STRIP_FONT_PX), n) for name, n in key),
    ]
    widths = [math.ceil(font.getlength(text)) for text, font, _ in words]
    places, (width, height) = _flow(widths, max_width=min_width)
    strip = Image.new("RGB", (max(min_width, width), height), "white")
    draw = ImageDraw.Draw(strip)
    for (text, font, number), (left, top) in zip(words, places, strict=True):
        if number >= 0:
            square = (left, top + 4, left + STRIP_FONT_PX - 4, top + STRIP_FONT_PX)
            draw.rectangle(square, fill=colour_of(number), outline=INK)
            left += STRIP_FONT_PX + 2
        draw.text((left, top), text, fill=INK, font=font)
    return strip


def _on_one_line(name: str) -> str:
    shown = "".join(char if char.isprintable() else "?" for char in name)
    return shown if len(shown) <= MAX_NAME_CHARS else f"{shown[: MAX_NAME_CHARS - 3]}..."


def _flow(
    widths: Sequence[int], *, max_width: int
) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """Return where texts of these widths stand, in as few lines as fit, and their extent."""
    gap = 2 * MARGIN_PX
    left, top, right = MARGIN_PX, MARGIN_PX, 0
    places: list[tuple[int, int]] = []
    for text_width in widths:
        width = text_width + STRIP_FONT_PX + 2
        if places and left + width > max_width:
            left, top = MARGIN_PX, top + STRIP_FONT_PX + MARGIN_PX
        places.append((left, top))
        right = max(right, left + width)
        left += width + gap
    return places, (right, top + STRIP_FONT_PX + MARGIN_PX)
