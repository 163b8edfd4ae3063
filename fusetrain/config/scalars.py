"""What an unquoted word means: the scalars of YAML 1.2, a little stricter.

`no`, `off`, `12:30` and dates are text, as in YAML 1.2. Numbers with leading zeros are text as
well, because the two versions of YAML read them differently.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

CONSTANTS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,99})|0x[0-9a-fA-F]{1,16}|0o[0-7]{1,21}")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def scalar_value(text: str) -> str | int | float | bool | None:
    """Return what a plain scalar means in YAML 1.2; numbers with leading zeros stay text."""
    if text in CONSTANTS:
        return CONSTANTS[text]
    if INTEGER.fullmatch(text):
        return int(text, 0)
    if FLOAT.fullmatch(text):
        return float(text)
    if SPECIAL_FLOAT.fullmatch(text):
        return math.nan if "n" in text.lower()[-3::2] else float(text.replace(".", ""))
    return text
