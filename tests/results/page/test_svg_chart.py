from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from fusetrain.results.page.svg_axes import Axis
from fusetrain.results.page.svg_chart import Series, bars, cloud, heat_map, histogram

HOSTILE = "<b>\"&'</svg>"


def elements(svg: str, tag: str, **attributes: str) -> list[ET.Element]:
    root = ET.fromstring(svg)
    return [
        element
        for element in root.iter(tag)
        if all(element.get(name) == value for name, value in attributes.items())
    ]


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis("", 0.0, 1.0), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (Axis("", 0.0, 2.1, is_count=True), [0.0, 1.0, 2.0]),
        (Axis("", -12.0, 12.0), [-10.0, -5.0, 0.0, 5.0, 10.0]),
        (Axis("", 0.01, 1.0, is_log=True), [0.01, 0.03, 0.1, 0.3, 1.0]),
        (Axis("", 1.0, 1e6, is_log=True), [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6]),
    ],
)
def test_ticks_are_round_and_on_the_axis(axis: Axis, ticks: list[float]) -> None:
    assert axis.ticks() == pytest.approx(ticks)
    assert all(0.0 <= axis.share(tick) <= 1.0 + 1e-9 for tick in axis.ticks())


def test_bars_are_as_long_as_their_values() -> None:
    svg = bars(
        ["a", HOSTILE],
        [Series("train", np.array([10, 5])), Series("val", np.array([0, 10]))],
        title=HOSTILE,
    )
    bodies = [r for r in elements(svg, "rect") if r.get("x") == "110"]
    widths = [float(r.get("width", "")) for r in bodies]
    assert widths[0] == pytest.approx(2 * widths[2], abs=0.2)
    assert widths[0] == widths[3]
    assert widths[1] == 0.0
    assert ET.fromstring(svg).get("aria-label") == HOSTILE


def test_histogram_outline_has_the_height_of_the_counts() -> None:
    values = np.array([0, 0, 0, 1])
    svg = histogram(
        [Series("a", values), Series("b", values + 1)],
        np.array([-0.5, 0.5, 1.5, 2.5]),
        x="boxes",
        y="pairs",
        title="t",
    )
    (outline,) = [p for p in elements(svg, "path", **{"class": "l0"}) if "H" in p.get("d", "")]
    tops = [float(step.split("H")[0]) for step in outline.get("d", "").split("V")[1:]]
    base = tops[-1]
    assert (base - tops[0]) / (base - tops[1]) == pytest.approx(3.0, abs=0.05)
    assert tops[2] == base
    dashed = elements(svg, "path", **{"class": "l1"})
    assert all(path.get("stroke-dasharray") for path in dashed)


def test_heat_map_puts_the_first_row_on_top_and_on_a_log_axis_at_the_bottom() -> None:
    cells = np.array([[4, 0], [0, 1]])
    image = heat_map(cells, Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0), title="t")
    first, second = elements(image, "rect")
    assert float(first.get("y", "")) < float(second.get("y", ""))
    assert float(first.get("fill-opacity", "")) == 1.0
    assert float(second.get("fill-opacity", "")) == pytest.approx(0.54)
    log = heat_map(
        cells, Axis("x", 0.1, 1.0, is_log=True), Axis("y", 0.1, 1.0, is_log=True), title="t"
    )
    first, second = elements(log, "rect")
    assert float(first.get("y", "")) > float(second.get("y", ""))


def test_cloud_places_points_and_rings_around_zero() -> None:
    points = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    axis = Axis("dx", -20.0, 20.0)
    svg = cloud(
        [Series("sure", points), Series("not sure", points[:0])],
        axis,
        axis,
        rings=(10.0,),
        title="t",
    )
    (ring,) = elements(svg, "ellipse")
    centre, right, up = elements(svg, "circle")
    assert centre.get("cx") == ring.get("cx")
    assert float(right.get("cx", "")) == pytest.approx(
        float(ring.get("cx", "")) + float(ring.get("rx", "")), abs=0.1
    )
    assert float(up.get("cy", "")) == pytest.approx(
        float(ring.get("cy", "")) - float(ring.get("ry", "")), abs=0.1
    )


def test_empty_charts_are_still_charts() -> None:
    nothing = Series("none", np.zeros(0))
    for svg in (
        histogram([nothing], np.array([0.0, 1.0]), x="x", y="y", title="t"),
        heat_map(np.zeros((4, 4)), Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0), title="t"),
        bars([], [nothing], title="t"),
    ):
        assert ET.fromstring(svg).get("role") == "img"


@pytest.mark.parametrize(
    ("span", "labels"),
    [(12.0, ["10 px", "5 px"]), (100.0, ["5, 10 px"])],
)
def test_labels_of_rings_never_lie_on_each_other(span: float, labels: list[str]) -> None:
    axis = Axis("d", -span, span)
    svg = cloud([Series("a", np.zeros((1, 2)))], axis, axis, rings=(5.0, 10.0), title="t")
    texts = elements(svg, "text", **{"class": "small over"})
    assert [text.text for text in texts] == labels
    assert len(elements(svg, "ellipse")) == 2
