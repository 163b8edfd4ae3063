"""Text on its way into HTML or SVG, safe whatever a user called files, splits and classes.

Every string that did not come from this package passes through `escaped`.
"""

from __future__ import annotations

import html
import unicodedata

# Characters that turn the direction of text, and with it what a file name seems to say.
DIRECTION_MARKS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
HIDDEN_CATEGORIES = ("Cc", "Cs", "Zl", "Zp", "Cn")


def escaped(text: object) -> str:
    r"""Return text for a page or an attribute in quotes; control characters show as ``\x1b``.

    Bytes of a file name that are no UTF-8 (lone surrogates in Python) become visible too, so that
    the page can always be encoded.
    """
    return html.escape("".join(_shown(char) for char in str(text)), quote=True)


def _shown(char: str) -> str:
    is_hidden = char in DIRECTION_MARKS or unicodedata.category(char) in HIDDEN_CATEGORIES
    return char.encode("unicode_escape").decode("ascii") if is_hidden else char
