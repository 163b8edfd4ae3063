"""Learning rates are read from three layouts of results.csv, compared and written exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from fusetrain.errors import ResourceError, RunError
from fusetrain.results.lr_table import Departure, find_departures, read_lr_table, write_lr_csv

OURS = """epoch,time,train/box_loss,train/cls_loss,val/box_loss,lr0,lr/pg0,lr/pg1,lr/pg2
1,1.5,1,2,,0.00033400000000000004,0.00033400000000000004,0.000334,0.1
2,3,0.5,1.5,2.25,0.001,0.001,0.001,0.001
"""
ULTRALYTICS = """        epoch,     train/box_loss,      lr/pg0,      lr/pg1,      lr/pg2
            1,             1.8734,     {first},   0.0033296,     {third}
            2,             1.4734,       0.006,      0.0060,      0.0060
"""
YOLOV5 = """        epoch,     train/box_loss,     train/obj_loss,   x/lr0,   x/lr1,   x/lr2
            0,               0.11,               0.02,    0.07,   0.003,  0.0031
            1,               0.10,               0.01,    0.04,   0.006,   0.006
"""


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "results.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_our_layout_is_read_to_the_last_digit(tmp_path: Path) -> None:
    found = read_lr_table(table(tmp_path, OURS))
    assert found.epochs == (1, 2)
    assert list(found.rates) == ["lr0", "lr/pg0", "lr/pg1", "lr/pg2"]
    assert found.rates["lr0"] == (0.00033400000000000004, 0.001)
    assert found.main == "lr0"
    assert found.losses == {"train": (3.0, 2.0), "val": (None, 2.25)}


@pytest.mark.parametrize(
    ("first", "third", "main", "bias"),
    [("0.0033", "0.07", "lr/pg0", "lr/pg2"), ("0.07", "0.0033", "lr/pg1", "lr/pg0")],
)
def test_padded_ultralytics_tables_are_read_whichever_group_holds_the_biases(
    tmp_path: Path, first: str, third: str, main: str, bias: str
) -> None:
    found = read_lr_table(table(tmp_path, ULTRALYTICS.format(first=first, third=third)))
    assert found.epochs == (1, 2)
    assert found.main == main
    assert found.names[main] == f"{main} (decay)"
    assert found.names[bias] == f"{bias} (bias)"


def test_yolov5_counts_epochs_from_zero_and_has_its_biases_first(tmp_path: Path) -> None:
    found = read_lr_table(table(tmp_path, YOLOV5))
    assert found.epochs == (1, 2)
    assert found.main == "x/lr1"
    assert found.rates["x/lr1"] == (0.003, 0.006)
    assert found.names["x/lr0"] == "x/lr0 (bias)"


def test_a_table_without_rows_has_no_epochs(tmp_path: Path) -> None:
    found = read_lr_table(table(tmp_path, OURS.splitlines()[0] + "\n"))
    assert (found.epochs, found.rates["lr0"]) == ((), ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "no learning rates"),
        ("epoch;lr0\n1;0,1\n", "parted by semicolons"),
        ("epoch,lr0\n1,0.1\n2\n", "results.csv:3: the row has 1 cells, the header has 2"),
        ("epoch,lr0\n1,fast\n", "results.csv:2: lr0 is 'fast', no number"),
        ("epoch,lr0\n1,\n", "lr0 has empty or infinite cells"),
        ("epoch,lr0\n1,inf\n", "lr0 has empty or infinite cells"),
        ('epoch,lr0\n1,"0.1\n', "cannot be read"),
    ],
)
def test_a_broken_table_is_refused_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RunError) as caught:
        read_lr_table(table(tmp_path, text))
    assert words in str(caught.value)


def test_a_missing_or_binary_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="No such file"):
        read_lr_table(tmp_path / "results.csv")
    (tmp_path / "results.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(RunError, match="cannot be read"):
        read_lr_table(tmp_path / "results.csv")


def test_a_run_on_its_plan_has_no_departures_and_the_last_digit_counts(tmp_path: Path) -> None:
    found = read_lr_table(table(tmp_path, OURS))
    plan = {
        1: (0.00033400000000000004, 0.00033400000000000004, 0.000334, 0.1),
        2: (0.001, 0.001, 0.001, 0.0010000000000000002),
    }
    columns = tuple(found.rates)
    departures = find_departures(found, columns, plan.get)
    assert departures == [Departure(2, "lr/pg2", 0.0010000000000000002, 0.001)]
    assert str(departures[0]) == "epoch 2, lr/pg2: planned 0.0010000000000000002, logged 0.001"
    plan[2] = (0.001,) * 4
    assert find_departures(found, columns, plan.get) == []


def test_epochs_and_columns_that_one_side_lacks_are_departures(tmp_path: Path) -> None:
    found = read_lr_table(table(tmp_path, "epoch,lr0,lr/pg0\n1,0.1,0.1\n2,0.2,0.2\n"))
    departures = find_departures(found, ("lr0", "lr/pg1"), {1: (0.1, 0.3)}.get)
    assert departures == [
        Departure(1, "lr/pg1", 0.3, None),
        Departure(1, "lr/pg0", None, 0.1),
        Departure(2, "lr0", None, 0.2),
        Departure(2, "lr/pg0", None, 0.2),
    ]


def test_a_written_table_reads_back_equal(tmp_path: Path) -> None:
    rows = [(0, 1, 1 / 3, 1e-7), (1, 1, 0.1 + 0.2, 5e-324)]
    path = tmp_path / "lr.csv"
    write_lr_csv(path, ("step", "epoch", "lr0", "lr/pg0"), rows)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "step,epoch,lr0,lr/pg0"
    assert [tuple(map(float, line.split(","))) for line in lines[1:]] == rows
    with pytest.raises(ResourceError, match="cannot be written"):
        write_lr_csv(tmp_path / "nowhere" / "lr.csv", ("step",), [])
