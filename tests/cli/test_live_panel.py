"""The view of a running epoch and the lines of the epochs, at every width."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from fusetrain.cli.epoch_lines import epoch_line, header
from fusetrain.cli.live_panel import Glance, clock, panel, sparkline
from fusetrain.results.run_dir import CSV_COLUMNS, Row

GLANCE = Glance(
    epoch=3,
    epochs=120,
    batches=31,
    batches_per_epoch=310,
    losses=(1.25, 0.5, 1.0),
    trail=tuple(4.0 - 0.01 * number for number in range(200)),
    rates=(("decay +1", 1e-3), ("bias", 1e-2)),
    pairs_per_second=34.25,
    waited_share=0.123,
    memory_bytes=3 * 2**30,
    seconds_left=18_123.0,
    best=(2, 0.4321),
)
ROW: Row = {column: 0.25 for column in CSV_COLUMNS} | {"epoch": 7, "lr0": 1e-3}


def shown(glance: Glance, width: int, *, is_unicode: bool = True) -> list[str]:
    return panel(glance, width=width, is_unicode=is_unicode).plain.splitlines()


@pytest.mark.parametrize("is_unicode", [True, False])
@pytest.mark.parametrize("width", [20, 39, 79, 199])
def test_view_says_everything_and_fits(width: int, is_unicode: bool) -> None:
    lines = shown(GLANCE, width, is_unicode=is_unicode)
    assert max(map(cell_len, lines)) <= width
    assert lines[0].startswith("epoch 3/120 ")
    text = "\n".join(lines)
    words = ["box 1.250", "34.2 pairs/s", "data wait 12%", "memory 3.0 GiB", "5:02:03 left"]
    words += ["lr 1.00e-03 decay +1", "lr 1.00e-02 bias"] if width > 20 else []
    assert [word for word in words if word not in text] == []
    assert is_unicode or text.isascii()


def test_wide_view_takes_few_lines_and_a_narrow_one_more() -> None:
    assert len(shown(GLANCE, 199)) == 3
    assert len(shown(GLANCE, 79)) < len(shown(GLANCE, 39)) < len(shown(GLANCE, 20)) < 15


def test_bar_and_word_of_the_validation() -> None:
    assert shown(GLANCE, 79, is_unicode=False)[0] == f"epoch 3/120 ####{'.' * 36} 31/310"
    over = shown(replace(GLANCE, batches=310), 79, is_unicode=False)[0]
    assert over == f"epoch 3/120 {'#' * 40} 310/310 validation"


def test_what_is_not_known_is_left_out() -> None:
    bare = replace(
        GLANCE,
        losses=(),
        trail=(),
        rates=(("", 1e-3),),
        pairs_per_second=None,
        memory_bytes=None,
        seconds_left=None,
        best=None,
    )
    assert shown(bare, 79)[1:] == ["lr 1.00e-03"]


def test_sparkline_falls_with_the_loss() -> None:
    assert sparkline([8, 7, 6, 5, 4, 3, 2, 1], width=30) == "█▇▆▅▄▃▂▁"
    assert sparkline([1.0] * 100, width=5) == "▁▁▁▁▁"
    assert sparkline([0.0, 1.0] * 50, width=2) == "▁▁"
    assert sparkline([], width=5) == ""


@pytest.mark.parametrize(("seconds", "text"), [(42, "0:42"), (200, "3:20"), (18_120, "5:02:00")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200, None])
def test_epoch_lines_fit_and_stand_below_their_heads(width: int | None) -> None:
    head = header(width)
    line = epoch_line(ROW, 100, 12.34, is_best=True, width=width)
    assert width is None or max(len(head), len(line)) <= width
    assert line.startswith("   7/100")
    assert line.endswith("*")
    ends = {name: head.index(name) + len(name) for name in head.split() if name[0] != "*"}
    assert "mAP50-95" in ends
    assert line[: ends["mAP50-95"]].endswith(" 0.250")
    if width is None or width >= 80:
        assert (
            head == "   epoch     box   cls   dfl   mAP50 mAP50-95        lr    time  *best so far"
        )
        assert line == "   7/100   0.250  0.25  0.25   0.250    0.250  1.00e-03  12.3 s*"


def test_epoch_without_validation_has_dashes() -> None:
    row = ROW | {"metrics/mAP50(B)": None, "metrics/mAP50-95(B)": None}
    line = epoch_line(row, 100, 1.0, is_best=False, width=None)
    assert line == "   7/100   0.250  0.25  0.25       -        -  1.00e-03   1.0 s"
