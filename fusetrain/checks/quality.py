"""Remarks on single images: dark, over-exposed, blurred, little in them (I06 to I09).

None of them is a fault by itself, as night is dark in the visible; so they are remarks, with limits
that only extreme images pass. They decide on what `images.py` measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fusetrain.checks.findings import Finding, finding
from fusetrain.checks.images import ImageFacts, PairFacts
from fusetrain.checks.infrared import BLANK_SPREAD
from fusetrain.checks.measures import IR_APART_PX, RGB_APART_PX


@dataclass(frozen=True)
class Limits:
    """From where on an image is remarkable.

    Attributes:
        dark_level: 95 % of the pixels are darker than this level.
        bright_level: Half of the pixels are at least this bright.
        clipped_share: Share of the pixels at the largest value.
        sharpness: See `ImageFacts`.
        entropy: Bits.
        apart_px: What ``sharpness`` compares neighbours with.
        min_side_px: Below this nothing can be said about sharpness.
    """

    dark_level: float
    bright_level: float
    clipped_share: float
    sharpness: float
    entropy: float
    apart_px: int
    min_side_px: int


# Sharp scenes reach down to 0.57 (visible); a blur of 1.6 % of the long side stays below 0.55.
VISIBLE = Limits(20.0, 248.0, 0.4, 0.555, 3.0, RGB_APART_PX, 96)
# Infrared of a cool scene is dark by nature and softer than the visible.
INFRARED = Limits(12.0, 248.0, 0.4, 0.17, 2.5, IR_APART_PX, 40)


def check_quality(facts: PairFacts) -> list[Finding]:
    """I06, I07, I08, I09: images that hardly show anything."""
    found = []
    for image, path, limits in (
        (facts.rgb, facts.rgb_path, VISIBLE),
        (facts.ir, facts.ir_path, INFRARED),
    ):
        if image is None or (image is facts.ir and image.spread <= BLANK_SPREAD):  # that is P11
            continue
        found += [
            finding(code, message, split=facts.split, path=path, numbers=numbers)
            for code, message, numbers in _remarks(image, limits)
        ]
    return found


def _remarks(image: ImageFacts, limits: Limits) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Yield code, message and numbers; the worse remark stands for the others."""
    if image.bits == 8 and image.high < limits.dark_level:
        message = f"95 % of the pixels are darker than level {image.high:g} of 255"
        yield "I06", message, {"high": image.high}
    elif image.median >= limits.bright_level or image.clipped_high > limits.clipped_share:
        message = f"median level {image.median:g}, {image.clipped_high:.0%} at the largest value"
        numbers = {"median": image.median, "clipped": round(image.clipped_high, 4)}
        yield "I07", message, numbers
    elif image.entropy < limits.entropy:
        yield "I09", f"{image.entropy:.1f} bits of entropy", {"entropy": round(image.entropy, 3)}
    elif image.sharpness < limits.sharpness and min(image.size_hw) >= limits.min_side_px:
        apart = f"pixels {limits.apart_px} apart"
        message = f"neighbours differ by {image.sharpness:.2f} of what {apart} do"
        yield "I08", message, {"sharpness": round(image.sharpness, 4)}
