"""Take from a decoded image the few pixels that its numbers are made of, so that it can go.

This is done image by image, as it is decoded; `measures.py` makes the numbers of many at once.
Shape legend: h x w pixels of the small copy, R rows of the image with W pixels, H its rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fusetrain.checks.lines import spaced
from fusetrain.data.image import BITS

MAX_SMALL_SIDE = 88
MIN_SMALL_SIDE = 24
NEAREST = Image.Resampling.NEAREST
MAX_DEEP_SAMPLES = 20_000
DEEP_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class Deep:
    """What levels do not tell of counts of more than 8 bits.

    Attributes:
        spread: From the 0.5 to the 99.5 percentile, in counts.
        clipped: Shares of the pixels at the smallest and at the largest value.
        step: Levels between neighbouring counts, from 1; more where the counts are few, as those
            made of 8 bits.
    """

    spread: float
    clipped: tuple[float, float]
    step: float = 1.0


class Samples(NamedTuple):
    """Pixels of one image, all of 8 bits.

    Attributes:
        small: The small copy, grey or RGB.
        grey: Its luma, the same bytes where it is grey.
        size: Width and height of the small copy.
        extents: How many of its pixels the picture takes along the width and the height, as the
            last may stand for fewer pixels of the image.
        rows: (R, W) some rows of an infrared image, NUM_LINES where it has as many; None for a
            visible one.
        columns: (H, NUM_LINES) some columns of an infrared image; None for a visible one.
        colours: As many pixels as the small copy has, none of them a mean; infrared in RGB only.
        deep: More about counts of more than 8 bits; None for others.
    """

    small: bytes
    grey: bytes
    size: tuple[int, int]
    extents: tuple[float, float]
    rows: NDArray[np.uint8] | None = None
    columns: NDArray[np.uint8] | None = None
    colours: bytes | None = None
    deep: Deep | None = None

    @property
    def levels(self) -> NDArray[np.uint8]:
        """Return the luma of the small copy as (h, w)."""
        return np.frombuffer(self.grey, np.uint8).reshape(self.size[1], self.size[0])


def take_samples(image: Image.Image, size_hw: tuple[int, int], *, is_ir: bool) -> Samples:
    """Return what is kept of an image.

    Args:
        image: Decoded; maybe reduced.
        size_hw: Height and width in px before it was reduced.
        is_ir: It is infrared; lines are taken as well.
    """
    deep = None
    if image.mode in BITS:
        image, deep = _as_levels(np.asarray(image))
    elif image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode in ("1", "LA") else "RGB")
    longer, shorter = max(image.size), min(image.size)
    factor = min(-(-longer // MAX_SMALL_SIDE), max(1, shorter // MIN_SMALL_SIDE))
    small = image.reduce(factor) if factor > 1 else image
    data = small.tobytes()
    is_grey = image.mode == "L"
    factor *= round(max(size_hw) / longer)
    rows, columns = _infrared_lines(image) if is_ir else (None, None)
    return Samples(
        data,
        data if is_grey else small.convert("L").tobytes(),
        small.size,
        (size_hw[1] / factor, size_hw[0] / factor),
        rows,
        columns,
        image.resize(small.size, NEAREST).tobytes() if is_ir and not is_grey else None,
        deep,
    )


def _infrared_lines(image: Image.Image) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return (R, W) rows and (H, C) columns, NUM_LINES of each where there are as many."""
    grey = image if image.mode == "L" else image.convert("L")
    levels = np.frombuffer(grey.tobytes(), np.uint8).reshape(grey.height, grey.width)
    return levels.take(spaced(grey.height), axis=0), levels.take(spaced(grey.width), axis=1)


@np.errstate(invalid="ignore", over="ignore")  # damaged files hold any float
def _as_levels(counts: NDArray[np.generic]) -> tuple[Image.Image, Deep]:
    """Map counts of more than 8 bits to levels, from their 0.5 to 99.5 percentile."""
    step = max(1, int((counts.size / MAX_DEEP_SAMPLES) ** 0.5))
    sample = counts[::step, ::step].astype(np.float64).ravel()
    finite = sample[np.isfinite(sample)]
    if not finite.size:
        return Image.new("L", counts.shape[::-1]), Deep(0.0, (0.0, 0.0))
    low, high = np.percentile(finite, DEEP_PERCENTILES)
    gain = np.float32(255.0 / max(high - low, 1e-12))
    scaled = np.clip((counts.astype(np.float32) - np.float32(low)) * gain, 0.0, 255.0)
    levels = np.nan_to_num(scaled, nan=0.0).astype(np.uint8)
    clipped = float((finite == finite.min()).mean()), float((finite == finite.max()).mean())
    inside = np.unique(finite)
    num_steps = int(np.count_nonzero((inside >= low) & (inside <= high))) - 1
    levels_a_step = max(1.0, 255.0 / max(num_steps, 1))
    return Image.fromarray(levels), Deep(float(high - low), clipped, levels_a_step)
