"""Letters for pictures: a font that has those of a text, whatever script it is in.

The font that comes with Pillow has Latin letters. For others the fonts of the system are looked
through; letters that none of them has are written as their code, never as empty boxes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
    "C:/Windows/Fonts",
)
SUFFIXES = (".ttf", ".ttc", ".otf", ".otc")
# Fonts of many scripts, looked into first.
LIKELY = ("notosanscjk", "sourcehan", "wqy", "pingfang", "hiragino", "msyh", "dejavusans.ttf")
MAX_FONTS = 600
NO_LETTER = "\U0010ffff"
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def lettered(text: str, size_px: int) -> tuple[str, Font]:
    """Return a text as it can be drawn, and the font to draw it with.

    Args:
        text: What is to be drawn.
        size_px: Height of the letters.
    """
    own = ImageFont.load_default(size=size_px)
    missing = _missing(text, own)
    if not missing:
        return text, own
    path = font_file(missing)
    if path is not None:
        return text, ImageFont.truetype(path, size=size_px)
    return with_codes(text, own), own


def with_codes(text: str, font: Font) -> str:
    """Return a text in which the letters that a font lacks are written as their code."""
    missing = _missing(text, font)
    return "".join(_code(char) if char in missing else char for char in text)


@lru_cache(maxsize=1)
def plotting_font() -> Font:
    """Return the font that figures are lettered with."""
    return ImageFont.truetype(_plotting_fonts() / "DejaVuSans.ttf", size=16)


@lru_cache(maxsize=256)
def font_file(letters: frozenset[str]) -> str | None:
    """Return a font file of the system that has all of some letters; None where there is none."""
    for path in _font_files():
        try:
            font = ImageFont.truetype(path, size=16)
            if _has_latin(font) and not _missing("".join(letters), font):
                return path
        except OSError:  # not a font after all
            continue
    return None


@lru_cache(maxsize=1)
def _font_files() -> tuple[str, ...]:
    found = sorted(set(_walk()), key=lambda path: (_likelihood(path), path))
    return tuple(found[:MAX_FONTS])


def _walk() -> Iterator[str]:
    """Yield the fonts of the system, and those that come with matplotlib."""
    for folder in (*FOLDERS, str(_plotting_fonts())):
        for place, _, names in os.walk(os.path.expanduser(folder)):
            for name in names:
                if name.lower().endswith(SUFFIXES):
                    yield os.path.join(place, name)


def _plotting_fonts() -> Path:
    plotting = find_spec("matplotlib")
    assert plotting is not None
    assert plotting.origin is not None, "matplotlib is a dependency"
    return Path(plotting.origin).parent / "mpl-data" / "fonts" / "ttf"


def _likelihood(path: str) -> int:
    name = os.path.basename(path).lower()
    return next((rank for rank, part in enumerate(LIKELY) if part in name), len(LIKELY))


def _has_latin(font: Font) -> bool:
    """Return whether a font tells Latin letters apart, as scores need; some know symbols alone."""
    return len({_drawn(char, font) for char in f"ab19{NO_LETTER}"}) == 5


def _missing(text: str, font: Font) -> frozenset[str]:
    """Return the letters beyond ASCII that a font draws as it draws what is no letter."""
    nothing = _drawn(NO_LETTER, font)
    odd = {char for char in text if not char.isascii() and not char.isspace()}
    return frozenset(char for char in odd if _drawn(char, font) == nothing)


def _drawn(char: str, font: Font) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(char)
    return mask.size, bytes(mask)


def _code(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
