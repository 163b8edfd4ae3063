"""Measure a pair by the headers of its two files alone, many times faster than decoding it.

Size, bit depth and format are known then; all that needs pixels is left empty, and the checks that
look at it are not run.
"""

from __future__ import annotations

import os
from dataclasses import fields
from functools import cache
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from fusetrain.checks.findings import Finding, finding
from fusetrain.checks.images import FAULT_CODES, ImageFacts, PairFacts, PairTask, check_file
from fusetrain.data.decode import ImageError
from fusetrain.data.image import read_header

UNKNOWN: dict[Any, Any] = {
    bool: False,
    int: 0,
    float: float("nan"),
    str: "",
    bytes: b"",
    tuple: (),
}


def measure_headers(task: PairTask) -> PairFacts:
    """Read both headers of a pair; runs in a child process and never raises."""
    rgb, rgb_found = _measure(task, task.rgb_path)
    ir, ir_found = _measure(task, task.ir_path)
    return PairFacts(
        task.split,
        task.row,
        task.rgb_path,
        task.ir_path,
        rgb,
        ir,
        findings=(*rgb_found, *ir_found),
    )


def _measure(task: PairTask, relative: str) -> tuple[ImageFacts | None, list[Finding]]:
    try:
        header = read_header(os.path.join(task.root, relative), storage=task.storage)
    except ImageError as error:
        code = FAULT_CODES[error.fault]
        return None, [finding(code, error.what, split=task.split, path=relative)]
    known = {"size_hw": header.size_hw, "bits": header.bits, "format": header.format}
    return ImageFacts(**{**_unknown_image(), **known}), check_file(task, relative, header)


@cache
def _unknown_image() -> dict[str, Any]:
    """Return a value for each fact of an image that says nothing, by the type of the fact."""
    hints = get_type_hints(ImageFacts)
    return {entry.name: _unknown(hints[entry.name]) for entry in fields(ImageFacts)}


def _unknown(hint: Any) -> Any:
    if NoneType in get_args(hint):
        return None
    return UNKNOWN[get_origin(hint) or hint]
