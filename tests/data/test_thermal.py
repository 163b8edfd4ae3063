"""The window of a data set follows its policy, and no fill moves it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fusetrain.data.decode import ImageError
from fusetrain.data.image import ThermalWindow, read_ir
from fusetrain.data.thermal import thermal_window

COUNTS = np.linspace(7000, 9000, 40 * 50).reshape(40, 50)


def save(path: Path, pixels: NDArray[np.generic]) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def test_auto_window_is_raw_for_eight_bit_and_percentile_for_deeper(tmp_path: Path) -> None:
    shallow = [save(tmp_path / f"{n}.png", np.full((40, 50), n, np.uint8)) for n in range(3)]
    assert thermal_window("auto", shallow) == ThermalWindow("raw", None, None, deep_only=True)
    Image.fromarray(COUNTS.astype(np.uint16)).save(tmp_path / "deep.png")
    window = thermal_window("auto", [*shallow, tmp_path / "deep.png"])
    assert (window.policy, window.deep_only) == ("percentile", True)
    assert window.low == pytest.approx(7010, abs=2)
    assert window.high == pytest.approx(8990, abs=2)
    assert read_ir(shallow[2], window).max() == 2


@pytest.mark.parametrize(
    ("thermal", "expected"),
    [
        ("raw", ThermalWindow("raw", None, None, deep_only=True)),
        ((100.0, 200.0), ThermalWindow("range", 100.0, 200.0, deep_only=False)),
        ("percentile", ThermalWindow("percentile", 50.0, 50.0, deep_only=False)),
    ],
)
def test_window_follows_the_policy(
    tmp_path: Path, thermal: str | tuple[float, float], expected: ThermalWindow
) -> None:
    path = save(tmp_path / "a.png", np.full((40, 50), 50, np.uint8))
    assert thermal_window(thermal, [path]) == expected


def test_window_looks_at_a_bounded_number_of_images_always_the_same(tmp_path: Path) -> None:
    deep = save(tmp_path / "deep.png", COUNTS.astype(np.uint16))
    every_second = [deep, tmp_path / "never looked at.png"] * 64
    window, alone = (thermal_window("percentile", paths) for paths in (every_second, [deep]))
    assert window == thermal_window("percentile", every_second)
    assert (window.low, window.high) == pytest.approx((alone.low, alone.high), rel=1e-9)
    with pytest.raises(ImageError, match="never looked at"):
        thermal_window("percentile", every_second[1:])


@pytest.mark.parametrize("fill", [0, 65535])
def test_value_that_only_fills_does_not_move_the_window(tmp_path: Path, fill: int) -> None:
    counts = COUNTS.astype(np.uint16)
    counts[:, :10] = fill
    path = save(tmp_path / "a.png", counts)
    window = thermal_window("auto", [path])
    assert window.low == pytest.approx(7010, abs=30)
    assert window.high == pytest.approx(8990, abs=30)


def test_fills_of_both_ends_do_not_move_the_window(tmp_path: Path) -> None:
    counts = COUNTS.astype(np.float32)
    counts[0], counts[1], counts[2] = -9999.0, 1e9, np.nan
    Image.fromarray(counts).save(tmp_path / "a.tif")
    window = thermal_window("auto", [tmp_path / "a.tif"])
    assert (window.low, window.high) == pytest.approx((7000, 9000), abs=200)


def test_cold_sky_and_two_values_are_no_fill(tmp_path: Path) -> None:
    sky = COUNTS.astype(np.uint16)
    sky[:10] = 6500  # nearer than the rest is wide
    assert thermal_window("auto", [save(tmp_path / "a.png", sky)]).low == 6500
    binary = np.where(COUNTS > 8000, 900, 100).astype(np.uint16)
    window = thermal_window("auto", [save(tmp_path / "b.png", binary)])
    assert (window.low, window.high) == (100, 900)
