"""Pictures of pairs with boxes: RGB and IR side by side, for predictions and previews.

Arrays come in, Pillow images go out; nothing is read and nothing is decided here. Colours are those
of Okabe and Ito, which colour-blind eyes tell apart; a dark outline keeps boxes visible on any
ground, and labels move inside the picture where they would leave it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fusetrain.results.lettering import lettered

PALETTE = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
    (0, 114, 178),
)
MIN_HEIGHT_PX = 320
GAP_PX = 4
SMALL_BOX_PX = 20  # below it thick lines would hide what the box holds
INK = (20, 20, 20)
WHITE = (255, 255, 255)
DARK_LUMA = 100.0
DASH_LINES = 3  # length of a dash in widths of its line


@dataclass(frozen=True)
class DrawnBox:
    """One box of a picture.

    Attributes:
        box_xyxy_px: Left, top, right, bottom in pixels of the image.
        class_number: Decides the colour.
        label: Text beside the box; may be empty.
        is_dashed: Its lines have gaps.
    """

    box_xyxy_px: tuple[float, float, float, float]
    class_number: int
    label: str
    is_dashed: bool = False


def side_by_side(
    rgb: NDArray[np.uint8], ir: NDArray[np.uint8], boxes: Sequence[DrawnBox]
) -> Image.Image:
    """Return RGB (left) and IR (right) with the same boxes on both.

    Args:
        rgb: (H, W, 3) uint8.
        ir: (h, w) uint8; it is resized to the RGB image.
        boxes: In pixels of the RGB image.
    """
    zoom = max(1.0, MIN_HEIGHT_PX / rgb.shape[0])
    return join_pair(rgb, ir, boxes, zoom=zoom)


def one_panel(
    image: NDArray[np.uint8], boxes: Sequence[DrawnBox], *, size_hw: tuple[int, int]
) -> Image.Image:
    """Return one image with boxes.

    Args:
        image: (h, w, 3) or (h, w) uint8.
        boxes: In pixels of an image of ``size_hw``, to which it is resized.
        size_hw: Height and width that the boxes belong to.
    """
    zoom = max(1.0, MIN_HEIGHT_PX / size_hw[0])
    size = (max(1, round(size_hw[1] * zoom)), max(1, round(size_hw[0] * zoom)))
    shown = Image.fromarray(np.ascontiguousarray(image))
    return _panel(shown, boxes, size=size, zoom=zoom, font_px=None)


def join_pair(
    rgb: NDArray[np.uint8],
    ir: NDArray[np.uint8],
    boxes: Sequence[DrawnBox],
    *,
    zoom: float,
    font_px: int | None = None,
    label_ir: bool = True,
) -> Image.Image:
    """Return RGB (left) and IR (right) in another size, with the same boxes on both.

    Args:
        rgb: (H, W, 3) uint8.
        ir: (h, w) uint8; it is resized to the RGB image.
        boxes: In pixels of the RGB image; those that stand first are drawn on top.
        zoom: Factor on the RGB image.
        font_px: Height of the labels; None takes a thirtieth of the picture.
        label_ir: The boxes on the IR image have their labels too.
    """
    height, width = rgb.shape[:2]
    size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
    bare = [replace(box, label="") for box in boxes]
    joined = Image.new("RGB", (2 * size[0] + GAP_PX, size[1]), "white")
    visible = Image.fromarray(np.ascontiguousarray(rgb), "RGB")
    infrared = Image.fromarray(np.ascontiguousarray(ir), "L")
    for image, left, drawn in (
        (visible, 0, boxes),
        (infrared, size[0] + GAP_PX, boxes if label_ir else bare),
    ):
        joined.paste(_panel(image, drawn, size=size, zoom=zoom, font_px=font_px), (left, 0))
    return joined


def _panel(
    image: Image.Image,
    boxes: Sequence[DrawnBox],
    *,
    size: tuple[int, int],
    zoom: float,
    font_px: int | None,
) -> Image.Image:
    """Return an image in another size (width, height) with boxes; see `join_pair`."""
    panel = image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)
    panel = panel.convert("RGB")
    _draw(panel, boxes, zoom=zoom, font_px=font_px or max(11, round(size[1] / 30)))
    return panel


def _draw(image: Image.Image, boxes: Sequence[DrawnBox], *, zoom: float, font_px: int) -> None:
    """Draw boxes that are given in pixels of the image before it was enlarged by ``zoom``."""
    draw = ImageDraw.Draw(image)
    widest = max(2, round(min(image.size) / 200))
    for box in reversed(boxes):
        left, top, right, bottom = (round(side * zoom) for side in box.box_xyxy_px)
        right, bottom = max(left, right), max(top, bottom)
        is_small = min(right - left, bottom - top) < SMALL_BOX_PX
        line = 2 if is_small else widest
        draw.rectangle((left, top, right, bottom), outline=INK, width=1 if is_small else line + 2)
        if right - left > 2 and bottom - top > 2:
            inner = (left + 1, top + 1, right - 1, bottom - 1)
            colour = colour_of(box.class_number)
            if box.is_dashed:
                _dashes(draw, inner, colour, line=line)
            else:
                draw.rectangle(inner, outline=colour, width=line)
    for box in reversed(boxes):
        if box.label:
            _label(draw, image.size, box, zoom=zoom, font_px=font_px)


def _dashes(
    draw: ImageDraw.ImageDraw,
    corners: tuple[int, int, int, int],
    colour: tuple[int, int, int],
    *,
    line: int,
) -> None:
    """Draw the outline of a box with gaps, through which the dark one below it shows."""
    left, top, right, bottom = corners
    inset, dash = line - 1, DASH_LINES * line
    for start in range(left, right + 1, 2 * dash):
        end = min(right, start + dash - 1)
        draw.rectangle((start, top, end, min(bottom, top + inset)), fill=colour)
        draw.rectangle((start, max(top, bottom - inset), end, bottom), fill=colour)
    for start in range(top, bottom + 1, 2 * dash):
        end = min(bottom, start + dash - 1)
        draw.rectangle((left, start, min(right, left + inset), end), fill=colour)
        draw.rectangle((max(left, right - inset), start, right, end), fill=colour)


def colour_of(class_number: int) -> tuple[int, int, int]:
    """Return the colour of a class; classes beyond the palette share colours."""
    return PALETTE[class_number % len(PALETTE)]


def _label(
    draw: ImageDraw.ImageDraw, size: tuple[int, int], box: DrawnBox, *, zoom: float, font_px: int
) -> None:
    """Write the label above its box, or inside it where there is no room above."""
    text, font = lettered(box.label, font_px)
    x0, y0, x1, y1 = draw.textbbox((0, 0), text, font=font)
    width, height = round(x1 - x0) + 6, round(y1 - y0) + 4
    left = min(max(0, round(box.box_xyxy_px[0] * zoom)), max(0, size[0] - width))
    top = round(box.box_xyxy_px[1] * zoom) - height
    top = min(top + height if top < 0 else top, size[1] - height)
    draw.rectangle((left, top, left + width, top + height), fill=colour_of(box.class_number))
    ink = INK if _luma(colour_of(box.class_number)) > DARK_LUMA else WHITE
    draw.text((left + 3 - x0, top + 2 - y0), text, fill=ink, font=font)


def _luma(colour: tuple[int, int, int]) -> float:
    """Return how bright a colour looks, in [0, 255] (ITU-R BT.601)."""
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue
