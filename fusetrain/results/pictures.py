"""Pictures of pairs with boxes: RGB and IR side by side, for predictions and previews.

Arrays come in, Pillow images go out; nothing is read and nothing is decided here. Colours are those
of Okabe and Ito, which colour-blind eyes tell apart; a dark outline keeps boxes visible on any
ground, and labels move inside the picture where they would leave it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

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
INK = (20, 20, 20)


@dataclass(frozen=True)
class DrawnBox:
    """One box of a picture.

    Attributes:
        box_xyxy_px: Left, top, right, bottom in pixels of the image.
        class_number: Decides the colour.
        label: Text beside the box; may be empty.
    """

    box_xyxy_px: tuple[float, float, float, float]
    class_number: int
    label: str


def side_by_side(
    rgb: NDArray[np.uint8], ir: NDArray[np.uint8], boxes: Sequence[DrawnBox]
) -> Image.Image:
    """Return RGB (left) and IR (right) with the same boxes on both.

    Args:
        rgb: (H, W, 3) uint8.
        ir: (h, w) uint8; it is resized to the RGB image.
        boxes: In pixels of the RGB image.
    """
    visible = Image.fromarray(np.ascontiguousarray(rgb), "RGB")
    infrared = Image.fromarray(np.ascontiguousarray(ir), "L").convert("RGB").resize(visible.size)
    zoom = max(1.0, MIN_HEIGHT_PX / visible.height)
    size = (round(visible.width * zoom), round(visible.height * zoom))
    picture = Image.new("RGB", (2 * size[0] + GAP_PX, size[1]), "white")
    for image, left in ((visible, 0), (infrared, size[0] + GAP_PX)):
        panel = image.resize(size, Image.Resampling.BICUBIC) if zoom > 1 else image
        _draw(panel, boxes, zoom)
        picture.paste(panel, (left, 0))
    return picture


def _draw(image: Image.Image, boxes: Sequence[DrawnBox], zoom: float) -> None:
    """Draw boxes that are given in pixels of the image before it was enlarged by ``zoom``."""
    draw = ImageDraw.Draw(image)
    line = max(2, round(min(image.size) / 200))
    font = ImageFont.load_default(size=max(11, round(image.height / 30)))
    for box in reversed(boxes):
        colour = PALETTE[box.class_number % len(PALETTE)]
        left, top, right, bottom = (round(side * zoom) for side in box.box_xyxy_px)
        right, bottom = max(left, right), max(top, bottom)
        draw.rectangle((left, top, right, bottom), outline=INK, width=line + 2)
        draw.rectangle((left + 1, top + 1, right - 1, bottom - 1), outline=colour, width=line) if (
            right - left > 2 and bottom - top > 2
        ) else None
    for box in reversed(boxes):
        if box.label:
            colour = PALETTE[box.class_number % len(PALETTE)]
            _label(draw, image.size, box, zoom=zoom, colour=colour, font=font)


def _label(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    box: DrawnBox,
    *,
    zoom: float,
    colour: tuple[int, int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Write the label above its box, or inside it where there is no room above."""
    x0, y0, x1, y1 = draw.textbbox((0, 0), box.label, font=font)
    width, height = round(x1 - x0) + 6, round(y1 - y0) + 4
    left = min(max(0, round(box.box_xyxy_px[0] * zoom)), max(0, size[0] - width))
    top = round(box.box_xyxy_px[1] * zoom) - height
    top = min(top + height if top < 0 else top, size[1] - height)
    draw.rectangle((left, top, left + width, top + height), fill=colour)
    draw.text((left + 3 - x0, top + 2 - y0), box.label, fill=INK, font=font)
