"""Thumbnails of one pair for the page: both images with boxes, and how they lie on each other.

`draw_pair` runs in a child process, because the files it opens are the ones that were found bad; an
image that cannot be read becomes a sentence. Thumbnails are JPEG of at most 320 px.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fusetrain.data.decode import ImageError
from fusetrain.data.image import (
    RAW_WINDOW,
    ThermalWindow,
    read_counts,
    read_header,
    read_ir,
    read_rgb,
)
from fusetrain.data.storage import AS_FILES, Storage
from fusetrain.results.pictures import INK, WHITE, colour_of

THUMBNAIL_PX = 320
QUALITY = 72
# Lines one pixel wide keep their colour only where JPEG keeps all of it.
FULL_COLOUR, HALF_COLOUR = 0, 2
EDGE_SHARE = 0.08
EDGE_COLOUR = (255, 176, 0)
FLAG_COLOUR = (213, 94, 0)
FONT_PX = 13
WINDOW_PERCENT = (0.5, 99.5)
LONG_SIDE_PX = 640  # of the scale in which shifts are told


@dataclass(frozen=True)
class ThumbnailBox:
    """One box on a thumbnail.

    Attributes:
        box_cxcywh_unit: Centre and size in [0, 1] of the image.
        class_number: Decides the colour.
        label: Codes found at this box; empty for the others.
    """

    box_cxcywh_unit: tuple[float, float, float, float]
    class_number: int
    label: str = ""


@dataclass(frozen=True)
class Shift:
    """How infrared lies to visible, as registration measured it; px at a long side of 640 px.

    Attributes:
        dx_px: What is at x in the infrared image is at x + dx in the visible one.
        dy_px: The same downwards.
        rotation_deg: Clockwise turn about the centre that takes infrared to visible.
        scale: Factor about the centre that takes infrared to visible.
    """

    dx_px: float
    dy_px: float
    rotation_deg: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class DrawTask:
    """One pair to draw; picklable. A modality that is not there has an empty path.

    Attributes:
        root: Absolute root of the data set.
        rgb_path: Visible image, relative to the root.
        ir_path: Infrared image, relative to the root.
        rgb_boxes: Boxes on the visible image.
        ir_boxes: Boxes on the infrared image.
        shift: What registration measured, where it flagged the pair.
        storage: How the pictures lie in their files.
    """

    root: str
    rgb_path: str
    ir_path: str
    rgb_boxes: tuple[ThumbnailBox, ...] = ()
    ir_boxes: tuple[ThumbnailBox, ...] = ()
    shift: Shift | None = None
    storage: Storage = AS_FILES


@dataclass(frozen=True)
class Thumbnail:
    """One picture of a pair, or why there is none.

    Attributes:
        caption: What it shows.
        jpeg: The file; empty where the image cannot be shown.
        size: Width and height in px.
        reason: Why it cannot be shown.
    """

    caption: str
    jpeg: bytes = b""
    size: tuple[int, int] = (0, 0)
    reason: str = ""


def draw_pair(task: DrawTask) -> tuple[Thumbnail, ...]:
    """Return visible and infrared with their boxes, and both overlays where there is a shift."""
    images: dict[str, Image.Image] = {}
    shown = []
    for caption, path, boxes in (
        ("visible", task.rgb_path, task.rgb_boxes),
        ("infrared", task.ir_path, task.ir_boxes),
    ):
        if not path:
            shown.append(Thumbnail(caption, reason="no such file"))
            continue
        try:
            path = os.path.join(task.root, path)
            images[caption] = _read(path, caption, storage=task.storage)
        except ImageError as error:
            shown.append(Thumbnail(caption, reason=error.what))
        else:
            shown.append(_encoded(caption, _with_boxes(images[caption], boxes)))
    if task.shift is not None and len(images) == 2:
        shown += _overlays(images["visible"], images["infrared"], shift=task.shift)
    return tuple(shown)


def crashed_drawing(task: DrawTask) -> tuple[Thumbnail, ...]:
    """Return the placeholders of a pair whose decoding ended the process."""
    reason = "decoding this pair crashed the decoder"
    return (Thumbnail("visible", reason=reason), Thumbnail("infrared", reason=reason))


def _read(path: str, caption: str, *, storage: Storage) -> Image.Image:
    """Return an image as RGB of thumbnail size.

    Raises:
        ImageError: The file cannot be read.
    """
    if caption == "visible":
        pixels = read_rgb(path, target_size=LONG_SIDE_PX, storage=storage)
    else:
        window = _own_window(path, storage=storage)
        pixels = read_ir(path, window, target_size=LONG_SIDE_PX, storage=storage)
    image = Image.fromarray(pixels).convert("RGB")
    share = THUMBNAIL_PX / max(image.size)
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    return image.resize(size, Image.Resampling.BICUBIC)


def _own_window(path: str, *, storage: Storage) -> ThermalWindow:
    """Return the window that shows what one deep image holds; 8-bit images are shown as they are.

    Raises:
        ImageError: The file cannot be read.
    """
    if storage.channels == "separate" and read_header(path, storage=storage).bits == 8:
        return RAW_WINDOW
    counts = read_counts(path, storage=storage).astype(np.float64)
    finite = counts[np.isfinite(counts)]
    low, high = np.percentile(finite, WINDOW_PERCENT) if finite.size else (0.0, 1.0)
    return ThermalWindow("percentile", float(low), float(high))


def _with_boxes(image: Image.Image, boxes: tuple[ThumbnailBox, ...]) -> Image.Image:
    """Return the image with thin boxes in the colours of their classes, flagged ones thick."""
    image = image.copy()
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=FONT_PX)
    for box in sorted(boxes, key=lambda box: bool(box.label)):
        cx, cy, w, h = box.box_cxcywh_unit
        left, top = (cx - w / 2) * image.width, (cy - h / 2) * image.height
        corners = (left, top, left + w * image.width, top + h * image.height)
        colour = FLAG_COLOUR if box.label else colour_of(box.class_number)
        line = 3 if box.label else 1
        draw.rectangle(corners, outline=WHITE if box.label else INK, width=line + 2)
        inner = (corners[0] + 1, corners[1] + 1, corners[2] - 1, corners[3] - 1)
        if inner[2] > inner[0] and inner[3] > inner[1]:
            draw.rectangle(inner, outline=colour, width=line)
        if box.label:
            _write(draw, image.size, box.label, at=(left, top), font=font)
    return image


def _write(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    text: str,
    *,
    at: tuple[float, float],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Write a flag above a box, or as near as the picture has room."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    wide, high = right - left + 6, bottom - top + 4
    x = min(max(0.0, at[0]), max(0.0, size[0] - wide))
    y = min(max(0.0, at[1] - high), max(0.0, size[1] - high))
    draw.rectangle((x, y, x + wide, y + high), fill=FLAG_COLOUR)
    draw.text((x + 3 - left, y + 2 - top), text, fill=WHITE, font=font)


def _overlays(visible: Image.Image, infrared: Image.Image, *, shift: Shift) -> Iterator[Thumbnail]:
    """Yield edges of the visible image over infrared, as the files are and after the shift."""
    edges = _edges(visible)
    grey = infrared.resize(visible.size, Image.Resampling.BICUBIC)
    for caption, ground in (
        ("visible edges over infrared, as it is", grey),
        (
            f"the same, infrared moved by ({shift.dx_px:+.1f}, {shift.dy_px:+.1f}) px",
            _moved(grey, shift),
        ),
    ):
        pixels = np.asarray(ground).copy()
        pixels[edges] = EDGE_COLOUR
        yield _encoded(caption, Image.fromarray(pixels), subsampling=FULL_COLOUR)


def _edges(image: Image.Image) -> NDArray[np.bool_]:
    """Return (H, W) the strongest edges of an image."""
    grey = np.asarray(image.convert("L"), np.float32)
    slope = np.hypot(*np.gradient(grey)) if min(grey.shape) > 1 else np.zeros_like(grey)
    return np.asarray((slope >= np.quantile(slope, 1.0 - EDGE_SHARE)) & (slope > 0), np.bool_)


def _moved(image: Image.Image, shift: Shift) -> Image.Image:
    """Return the image turned, scaled and moved; what was outside is black.

    A pixel p of the result shows the source at R(-angle) (p - centre - shift) / scale + centre.
    """
    unit = max(image.size) / LONG_SIDE_PX
    cx, cy = (image.width - 1) / 2, (image.height - 1) / 2
    angle = np.deg2rad(shift.rotation_deg)
    cos, sin = float(np.cos(angle)) / shift.scale, float(np.sin(angle)) / shift.scale
    x, y = cx + shift.dx_px * unit, cy + shift.dy_px * unit
    matrix = (cos, sin, cx - cos * x - sin * y, -sin, cos, cy + sin * x - cos * y)
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR
    )


def _encoded(caption: str, image: Image.Image, *, subsampling: int = HALF_COLOUR) -> Thumbnail:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, subsampling=subsampling)
    return Thumbnail(caption, buffer.getvalue(), image.size)
