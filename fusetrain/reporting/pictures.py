"""Pictures of a run inside a page: its worst pairs one by one, its figures, all as data URIs.

The worst pairs are cut out of the sheet that the run left. What does not fit the budget, or cannot
be read, is left out.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from fusetrain.reporting.records import read_object
from fusetrain.results.page.markup import escaped

SHEET, TABLE = "worst_pairs.jpg", "worst_pairs.json"
FIGURES = {
    "PR_curve.png": "Precision over recall",
    "confusion_matrix.png": "Which class was taken for which",
    "confidence_curves.png": "Precision, recall and F1 over confidence",
    "labels.png": "Labels that were trained on",
    "lr.png": "Learning rate as planned and as logged",
}
MAX_WIDTH_PX = 900
QUALITY = 80
PNG = b"\x89PNG\r\n\x1a\n"
MARKUP_BYTES = 20_000
COUNTS = ("missed", "false_alarms", "wrong_class", "found")


class Budget:
    """Bytes that the pictures of a run may take on the page.

    Attributes:
        left_out: Pictures that did not fit.
    """

    def __init__(self, num_bytes: int) -> None:
        self._left = num_bytes
        self.left_out = 0

    @classmethod
    def beside(cls, text_bytes: int, most: int, *, runs: int) -> Budget:
        """Return the share of a run in what the text leaves of a page of ``most`` bytes."""
        return cls(max(0, most - text_bytes - MARKUP_BYTES * (1 + runs)) // runs)

    def share(self) -> Budget:
        """Return a budget of this size for another run."""
        return Budget(self._left)

    def takes(self, uri: str) -> bool:
        """Return whether a picture still fits; it is then counted."""
        fits = len(uri) <= self._left
        if fits:
            self._left -= len(uri)
        else:
            self.left_out += 1
        return fits


def gallery(folder: Path, budget: Budget) -> str:
    """Return the worst pairs of a run as cards; empty where it left none."""
    told = read_object(folder / TABLE)
    cards = "".join(_cards(folder / SHEET, told.get("pairs", []), budget))
    if not cards:
        return ""
    confidence = told.get("confidence")
    score = f" with a score of {confidence:.3g} or more" if isinstance(confidence, float) else ""
    return (
        f'<p class="soft">RGB left, IR right; detections{score}. Orange and dashed: missed; blue: '
        "false alarm; yellow: wrong class; green: found.</p>"
        f'<div class="cards">{cards}</div>'
    )


def run_figures(folder: Path, budget: Budget) -> str:
    """Return the figures of a run; empty where it left none."""
    found = []
    for name, caption in FIGURES.items():
        try:
            data = (folder / name).read_bytes()
        except OSError:
            continue
        uri = f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"
        if data.startswith(PNG) and budget.takes(uri):
            found.append(
                f'<figure><img alt="{escaped(caption)}" loading="lazy" src="{uri}">'
                f"<figcaption>{escaped(caption)}</figcaption></figure>"
            )
    return f'<div class="figures">{"".join(found)}</div>' if found else ""


def _cards(sheet: Path, pairs: Any, budget: Budget) -> Iterator[str]:
    """Yield a card for each pair that can be cut out of the sheet."""
    try:
        with Image.open(sheet, formats=("JPEG",)) as opened:
            image = opened.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return
    for pair in pairs if isinstance(pairs, list) else []:
        place = _place(pair, image.size)
        if place is None:
            continue
        uri, (width, height) = _cut(image, place)
        if budget.takes(uri):
            name = escaped(pair.get("rgb", ""))
            yield (
                f'<article class="card"><h3>{name}</h3><img alt="{name}, RGB and IR with errors" '
                f'width="{width}" height="{height}" loading="lazy" src="{uri}">'
                f"<p>{escaped(_counts(pair))}</p></article>"
            )


def _place(pair: Any, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Return left, top, right and bottom of a pair on the sheet; None where it names no place."""
    sides = pair.get("place") if isinstance(pair, dict) else None
    if not isinstance(sides, list) or len(sides) != 4:
        return None
    if not all(isinstance(side, int) for side in sides):
        return None
    left, top, right, bottom = sides
    is_inside = 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
    return (left, top, right, bottom) if is_inside else None


def _cut(image: Image.Image, place: tuple[int, int, int, int]) -> tuple[str, tuple[int, int]]:
    shown = image.crop(place)
    shown.thumbnail((MAX_WIDTH_PX, MAX_WIDTH_PX))
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=QUALITY, subsampling="4:4:4")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/jpeg;base64,{data}", shown.size


def _counts(pair: Mapping[str, Any]) -> str:
    parts = [f"{pair[key]} {key.replace('_', ' ')}" for key in COUNTS if pair.get(key)]
    return ", ".join(parts)
