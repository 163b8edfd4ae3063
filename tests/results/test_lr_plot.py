"""The picture of learning rates: a figure that is the same each time, a drawing that fits."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.errors import ResourceError
from fusetrain.results.figure_style import LINE_COLOURS
from fusetrain.results.lr_chart import LrChart, LrLine
from fusetrain.results.lr_plot import save_lr_figure
from fusetrain.results.lr_text import draw_lr_text

EPOCHS = [0.1 * (step + 1) for step in range(100)]
FALL = LrLine("lr0 of a.yaml", EPOCHS, [1e-3 * (1 - step / 99) for step in range(100)])
FLAT = LrLine("exp", list(range(1, 11)), [5e-4] * 10)
BIAS = LrLine("bias", EPOCHS, [0.1 / (step + 1) for step in range(100)], is_main=False)


def chart(*lines: LrLine, warmup: float = 3.0, title: str = "Learning rate") -> LrChart:
    warmups = [(0.0, warmup)] if warmup else []
    return LrChart(title=title, lines=lines, num_epochs=10, warmups=warmups)


def drawn(shown: LrChart, *, width: int = 80, is_unicode: bool = True) -> list[str]:
    return draw_lr_text(shown, width=width, is_unicode=is_unicode).plain.splitlines()


def colours(path: Path) -> set[tuple[int, int, int]]:
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    return {(int(red), int(green), int(blue)) for red, green, blue in np.unique(pixels, axis=0)}


def test_figures_show_their_lines_and_are_equal_byte_for_byte(tmp_path: Path) -> None:
    for suffix in (".png", ".svg"):
        paths = [tmp_path / f"{number}{suffix}" for number in (1, 2)]
        for path in paths:
            save_lr_figure(chart(FALL, FLAT), path)
        assert paths[0].read_bytes() == paths[1].read_bytes()
    with Image.open(tmp_path / "1.png") as image:
        assert image.size == (1080, 576)
    blue, orange = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)  # of Okabe and Ito
    assert {blue, orange} <= colours(tmp_path / "1.png")
    save_lr_figure(chart(FALL), tmp_path / "3.png")
    assert orange not in colours(tmp_path / "3.png")


def test_losses_get_an_axis_of_their_own(tmp_path: Path) -> None:
    loss = LrLine("exp: train loss", range(1, 11), [float("nan"), *range(9, 0, -1)])
    shown = LrChart(title="t", lines=[FALL], num_epochs=10, losses=[loss])
    save_lr_figure(shown, tmp_path / "lr.svg")
    save_lr_figure(chart(FALL), tmp_path / "without.svg")
    assert "<!-- loss -->" in (tmp_path / "lr.svg").read_text(encoding="utf-8")
    assert "<!-- loss -->" not in (tmp_path / "without.svg").read_text(encoding="utf-8")


def test_restarts_stages_and_momenta_are_drawn(tmp_path: Path) -> None:
    momentum = LrLine(FALL.label, EPOCHS, [0.9 - step / 1000 for step in range(100)])
    shown = LrChart(
        title="t",
        lines=[FALL],
        num_epochs=10,
        restarts=[2.5, 7.5],
        stages=[(0, 4, "RGB alone"), (4, 10, "both")],
        momenta=[momentum],
    )
    save_lr_figure(shown, tmp_path / "lr.svg")
    text = (tmp_path / "lr.svg").read_text(encoding="utf-8")
    for word in ("restart", "RGB alone", "both", "momentum"):
        assert f"<!-- {word} -->" in text
        save_lr_figure(chart(FALL), tmp_path / "plain.svg")
        assert f"<!-- {word} -->" not in (tmp_path / "plain.svg").read_text(encoding="utf-8")
    save_lr_figure(shown, tmp_path / "lr.png")
    with Image.open(tmp_path / "lr.png") as image:
        assert image.size == (1080, 744)


def test_every_colour_is_one_that_colour_blind_eyes_tell_apart(tmp_path: Path) -> None:
    lines = [LrLine(str(number), EPOCHS, [number + 1.0] * 100) for number in range(6)]
    save_lr_figure(chart(*lines, warmup=0.0), tmp_path / "lr.png")
    wanted = {tuple(bytes.fromhex(colour[1:])) for colour in LINE_COLOURS}
    assert wanted <= colours(tmp_path / "lr.png")


@pytest.mark.parametrize("label", ["_hidden", "a$b$c", "夜の走行", "\x1b[31mred", "x" * 200])
def test_any_name_can_stand_in_the_legend(tmp_path: Path, label: str) -> None:
    line = LrLine(label, EPOCHS, FALL.values)
    save_lr_figure(chart(line, FLAT, title=label), tmp_path / "lr.png")
    assert (tmp_path / "lr.png").stat().st_size > 10_000
    assert "\x1b" not in "".join(drawn(chart(line, title=label)))


def test_lines_without_points_and_with_one_can_be_drawn(tmp_path: Path) -> None:
    for values in ([], [1e-3], [0.0]):
        line = LrLine("exp", list(range(1, len(values) + 1)), values)
        save_lr_figure(chart(line, warmup=0.0), tmp_path / "lr.png")
        assert len(drawn(chart(line, warmup=0.0))) > 15


def test_a_figure_that_cannot_be_written_is_an_error_of_resources(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="cannot be written"):
        save_lr_figure(chart(FALL), tmp_path / "nowhere" / "lr.png")


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("is_unicode", [True, False])
def test_the_drawing_fits_the_terminal(width: int, is_unicode: bool) -> None:
    for lines in ((FALL,), (FALL, FLAT), (FALL, BIAS, FLAT)):
        rows = drawn(chart(*lines, title="t" * 200), width=width, is_unicode=is_unicode)
        assert max(map(len, rows)) <= width
        assert is_unicode or all(row.isascii() for row in rows)


def test_a_falling_line_runs_from_the_upper_left_to_the_lower_right() -> None:
    rows = drawn(chart(FALL, FLAT), is_unicode=False)
    assert rows[1].strip().startswith("0.001|*")
    assert rows[15].strip().startswith("0|")
    assert rows[15].endswith("*")
    half = rows[8]
    assert half.strip().startswith("0.0005|")
    assert half.count("o") > 50
    starts = [row.index("*") for row in rows[1:16] if "*" in row]
    assert starts == sorted(starts)


def test_the_time_axis_shows_the_epochs_and_the_warmup() -> None:
    axis, numbers, legend = drawn(chart(FALL, FLAT), is_unicode=False)[16:19]
    plot = axis[axis.index("+") + 1 :]
    assert plot.count("=") / len(plot) == pytest.approx(0.3, abs=0.01)
    assert numbers.split() == ["0", "5", "10"]
    assert "* lr0 of a.yaml   o exp   = warmup 3 epochs" in legend


def test_a_later_warmup_stands_on_the_time_axis_too(tmp_path: Path) -> None:
    shown = LrChart("t", [FALL, FLAT], 10, warmups=[(0.0, 1.0), (5.0, 5.5), (9.99, 10.0)])
    axis, _, legend = drawn(shown, is_unicode=False)[16:19]
    plot = axis[axis.index("+") + 1 :]
    spans = [match.span() for match in re.finditer("=+", plot)]
    found = [10 * end / len(plot) for span in spans for end in span]
    assert found == pytest.approx([0.0, 1.0, 5.0, 5.5, 9.9, 10.0], abs=0.1)
    assert "= 3 warmups" in legend
    save_lr_figure(shown, tmp_path / "lr.svg")
    assert (tmp_path / "lr.svg").read_text(encoding="utf-8").count("fill: #e6e6e6") == 3 + 1


@pytest.mark.parametrize(("is_unicode", "mark"), [(True, "┻"), (False, "^")])
def test_restarts_stand_on_the_time_axis(is_unicode: bool, mark: str) -> None:
    shown = LrChart("t", [FALL, FLAT], 10, restarts=[2.5, 5.0])
    axis, _, legend = drawn(shown, is_unicode=is_unicode)[16:19]
    plot = axis[axis.index("└" if is_unicode else "+") + 1 :]
    assert [index / len(plot) for index, cell in enumerate(plot) if cell == mark] == [
        pytest.approx(0.25, abs=0.02),
        pytest.approx(0.5, abs=0.02),
    ]
    assert f"{mark} 2 restarts" in legend


def test_a_single_line_is_drawn_in_braille() -> None:
    rows = drawn(chart(FALL))
    dots = [char for row in rows[1:16] for char in row if 0x2800 < ord(char) <= 0x28FF]
    assert len(dots) >= 60


def test_a_bias_rate_far_above_the_schedule_is_cut_off_and_named() -> None:
    rows = drawn(chart(FALL, BIAS))
    assert rows[1].strip().startswith("0.002┤")
    assert "○ bias (up to 0.1)" in "\n".join(rows)
