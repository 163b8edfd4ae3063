"""What a range test makes of the losses it saw."""

import math

import pytest

from fusetrain.engine.lr_range import judged, smooth

RATES = [1e-6 * (1e6 ** (1 / 99)) ** step for step in range(100)]


def bowl(rate: float, *, steep: float, torn: float) -> float:
    """A loss that falls around ``steep`` and climbs again from ``torn`` on."""
    fall = 1 / (1 + (rate / steep) ** 1.5)
    return 2 + 8 * fall + 3 * max(0.0, math.log(rate / torn))


@pytest.mark.parametrize("steep", [1e-4, 1e-3, 1e-2])
def test_steepest_fall_is_found_within_a_factor(steep: float) -> None:
    found = judged(RATES, [bowl(rate, steep=steep, torn=30 * steep) for rate in RATES])
    assert found.suggested is not None
    assert found.lowest is not None
    assert steep / 2 < found.suggested < 2 * steep
    assert found.suggested < found.lowest


@pytest.mark.parametrize("losses", [[5.0] * 100, [5.0 + 0.01 * step for step in range(100)], []])
def test_nothing_is_suggested_where_nothing_falls(losses: list[float]) -> None:
    found = judged(RATES[: len(losses)], losses)
    assert (found.suggested, found.lowest) == (None, None)


def test_average_neither_lags_nor_moves_what_is_constant() -> None:
    assert smooth([4.0] * 5) == pytest.approx([4.0] * 5)
    ramp = smooth([float(step) for step in range(101)])
    assert ramp[50] == pytest.approx(50.0)
    assert smooth([4.0, 2.0]) == pytest.approx([(4 + 0.8 * 2) / 1.8, (2 + 0.8 * 4) / 1.8])
