"""Which charts an audit gets: classes, boxes, image sizes, brightness and shifts, as SVG text.

Everything is taken from the report; no file is opened. Long lists are thinned evenly, so that a set
of a million pairs is drawn in seconds, and the chart says so.
Shape legend: N pairs, M boxes, C classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.audit import AuditReport
from fusetrain.checks.images import PairFacts
from fusetrain.checks.registration.shifts import RegistrationFacts
from fusetrain.results.page.svg_axes import Axis
from fusetrain.results.page.svg_chart import ASPECT, Series, bars, cloud, heat_map, histogram

MAX_CLASSES = 24
MAX_SIZES = 8
MAX_FACTS = 20_000
MAX_POINTS = 1_000
CELLS = 32
BRIGHTNESS_EDGES = np.arange(0, 257, 8)
SMALLEST_SIDE = 0.002
RINGS_PX = (5.0, 10.0)
MIN_SHIFT_SPAN_PX = 12.0

Item = TypeVar("Item")


@dataclass(frozen=True)
class Chart:
    """One chart of the page.

    Attributes:
        title: Line above it.
        svg: The picture.
        note: Sentence below it; may be empty.
    """

    title: str
    svg: str
    note: str = ""


def charts(report: AuditReport) -> Iterator[Chart]:
    """Yield the charts that the report has numbers for."""
    if any(len(scan.index.boxes) for scan in report.scans.values()):
        yield _classes(report)
        yield _box_sizes(report)
        yield _box_centres(report)
        yield _boxes_a_pair(report)
    facts = [fact for fact in _thinned(report.facts, MAX_FACTS)]
    note = _thinning_note(len(facts), len(report.facts), "pairs")
    yield from _image_sizes(facts, note)
    brightness = _brightness(facts)
    if brightness:
        yield Chart("Brightness", brightness, note)
    if any(fact.dx_px is not None for fact in report.registration):
        yield _shifts(report.registration)


def _classes(report: AuditReport) -> Chart:
    """Draw how many boxes of each class a split has; of many classes the most frequent."""
    scans = list(report.scans.values())
    names = scans[0].index.class_names
    counts = [np.bincount(scan.index.box_classes, minlength=len(names)) for scan in scans]
    total = np.sum(counts, axis=0)
    chosen = np.sort(np.argsort(-total, kind="stable")[:MAX_CLASSES])
    series = [
        Series(scan.index.split, count[chosen]) for scan, count in zip(scans, counts, strict=True)
    ]
    svg = bars([names[number] for number in chosen], series, title="Boxes by class and split")
    note = f"The {MAX_CLASSES} largest of {len(names)} classes." if len(chosen) < len(names) else ""
    return Chart("Boxes by class", svg, note)


def _box_sizes(report: AuditReport) -> Chart:
    boxes = _boxes(report)
    sides = np.clip(boxes[:, 2:], SMALLEST_SIDE, 1.0)
    edges = np.geomspace(SMALLEST_SIDE, 1.0, CELLS + 1)
    edges[-1] = 1.0
    cells, _, _ = np.histogram2d(sides[:, 1], sides[:, 0], bins=(edges, edges))
    across = Axis("width / image width", SMALLEST_SIDE, 1.0, is_log=True)
    up = Axis("height / image height", SMALLEST_SIDE, 1.0, is_log=True)
    middle = np.median(boxes[:, 2:], axis=0)
    note = f"Median {100 * middle[0]:.1f} % x {100 * middle[1]:.1f} % of the image."
    return Chart("Box sizes", heat_map(cells, across, up, title="Box sizes"), note)


def _box_centres(report: AuditReport) -> Chart:
    boxes = _boxes(report)
    edges = np.linspace(0.0, 1.0, CELLS + 1)
    cells, _, _ = np.histogram2d(boxes[:, 1], boxes[:, 0], bins=(edges, edges))
    across, down = Axis("x / image width", 0.0, 1.0), Axis("y / image height", 0.0, 1.0)
    return Chart("Box centres", heat_map(cells, across, down, title="Box centres"))


def _boxes_a_pair(report: AuditReport) -> Chart:
    series = [
        Series(name, np.diff(scan.index.box_ends, prepend=0)) for name, scan in report.scans.items()
    ]
    most = max(int(one.values.max(initial=0)) for one in series)
    step = -(-(most + 1) // CELLS)
    edges = np.arange(0, most + 1 + step, step) - 0.5
    svg = histogram(series, edges, x="boxes", y="pairs", title="Boxes a pair")
    counts = np.concatenate([one.values for one in series])
    note = f"Mean {counts.mean():.1f}, most {most}; {(counts == 0).sum()} pairs without a box."
    return Chart("Boxes a pair", svg, note)


def _image_sizes(facts: Sequence[PairFacts], note: str) -> Iterator[Chart]:
    """Draw the most frequent sizes; nothing where no image could be read."""
    counted = [
        Counter(image.size_hw for image in images if image is not None)
        for images in ([fact.rgb for fact in facts], [fact.ir for fact in facts])
    ]
    total = counted[0] + counted[1]
    chosen = [size for size, _ in total.most_common(MAX_SIZES)]
    labels = [f"{width} x {height}" for height, width in chosen]
    series = [
        Series(name, np.array([count[size] for size in chosen]))
        for name, count in zip(("visible", "infrared"), counted, strict=True)
    ]
    if len(total) > len(chosen):
        note = f"The {len(chosen)} most frequent of {len(total)} sizes. {note}"
    if chosen:
        yield Chart("Image sizes", bars(labels, series, title="Image sizes in px"), note)


def _brightness(facts: Sequence[PairFacts]) -> str:
    """Draw the median luma of the images; empty where none was decoded."""
    series = [
        Series(
            name,
            # An image that was not decoded (headers only) has no digest.
            np.array([image.median for image in images if image is not None and image.picture]),
        )
        for name, images in (
            ("visible", [fact.rgb for fact in facts]),
            ("infrared", [fact.ir for fact in facts]),
        )
    ]
    if not any(len(one.values) for one in series):
        return ""
    return histogram(
        series, BRIGHTNESS_EDGES, x="median luma, 0 to 255", y="images", title="Brightness"
    )


def _shifts(registration: Sequence[RegistrationFacts]) -> Chart:
    """Draw how far pairs are apart, surely measured ones and the others."""
    measured = [fact for fact in registration if fact.dx_px is not None]
    shown = _thinned(measured, MAX_POINTS)
    series = [
        Series(name, _shift_points(shown, is_sure=is_sure))
        for name, is_sure in (("sure", True), ("not sure", False))
    ]
    far = max(float(np.abs(one.values).max(initial=0.0)) for one in series)
    span = max(MIN_SHIFT_SPAN_PX, 1.1 * far)
    across = Axis("to the right (dx), px at 640", -ASPECT * span, ASPECT * span)
    up = Axis("up (-dy), px at 640", -span, span)
    svg = cloud(series, across, up, rings=RINGS_PX, title="Shift of infrared to visible")
    note = f"{len(measured)} of {len(registration)} pairs could be measured. "
    return Chart(
        "Shift between the images of a pair",
        svg,
        note + _thinning_note(len(shown), len(measured), "pairs"),
    )


def _shift_points(facts: Sequence[RegistrationFacts], *, is_sure: bool) -> NDArray[np.float64]:
    """Return shifts as they look in the image: upwards is up, where dy is negative."""
    points = [(fact.dx_px, fact.dy_px) for fact in facts if fact.is_sure == is_sure]
    return np.array(points, np.float64).reshape(-1, 2) * (1.0, -1.0)


def _boxes(report: AuditReport) -> NDArray[np.floating[Any]]:
    return np.concatenate([scan.index.boxes for scan in report.scans.values()])


def _thinned(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most ``most`` items, evenly apart."""
    step = max(1, -(-len(items) // most))
    return [items[number] for number in range(0, len(items), step)]


def _thinning_note(shown: int, total: int, what: str) -> str:
    return f"Drawn from {shown} of {total} {what}." if shown < total else ""
