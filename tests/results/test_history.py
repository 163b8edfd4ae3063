"""results.csv read back, and the best epoch in it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fusetrain.errors import RunError
from fusetrain.results.history import BEST_COLUMN, best_row, best_scores, read_history
from fusetrain.results.run_dir import CSV_COLUMNS, Row, csv_text

ROW: Row = {column: 0.25 for column in (*CSV_COLUMNS, "lr/pg0")}


def row(epoch: int, score: float | None) -> Row:
    return {**ROW, "epoch": epoch, BEST_COLUMN: score}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    history = [row(1, None), row(2, 0.5)]
    path = tmp_path / "results.csv"
    path.write_text(csv_text(history, 1), encoding="utf-8")
    assert read_history(path) == history


def test_scores_of_the_best_epoch_want_one_that_was_validated(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text(csv_text([row(1, 0.5), row(2, 0.5), row(3, 0.1)], 1), encoding="utf-8")
    assert best_scores(path) == {"map50": 0.25, "map50_95": 0.5}
    path.write_text(csv_text([row(1, None)], 1), encoding="utf-8")
    with pytest.raises(RunError, match="validated"):
        best_scores(path)


def test_run_without_an_epoch_has_no_rows(tmp_path: Path) -> None:
    assert read_history(tmp_path / "results.csv") == []
    assert best_row([]) is None
    assert best_row([row(1, None), row(2, float("nan"))]) is None


def test_earlier_epoch_is_the_best_at_a_tie() -> None:
    best = best_row([row(1, 0.1), row(2, 0.3), row(3, None), row(4, 0.3)])
    assert best is not None
    assert best["epoch"] == 2


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "\x00", csv_text([row(1, 0.1)], 1) + "x,y\n"])
def test_foreign_or_damaged_table_is_an_error_of_the_run(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=r"results\.csv cannot be read"):
        read_history(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace(",", ";"), "parted by semicolons"),
        (lambda text: text.replace("0.25", "fast"), "in line 2 time is 'fast', no number"),
    ],
)
def test_unreadable_table_says_why_and_what_writes_it_anew(
    tmp_path: Path, change: Callable[[str], str], words: str
) -> None:
    path = tmp_path / "results.csv"
    path.write_text(change(csv_text([row(1, 0.1)], 1)), encoding="utf-8")
    with pytest.raises(RunError, match=words) as caught:
        read_history(path)
    assert caught.value.remedy == ""
    (tmp_path / "weights").mkdir()
    for name in ("config.yaml", "weights/last.pt"):
        (tmp_path / name).touch()
    with pytest.raises(RunError, match=words) as caught:
        read_history(path)
    assert caught.value.remedy == f"`fusetrain resume {tmp_path}` writes it anew"


def test_byte_order_mark_of_a_spreadsheet_is_no_part_of_the_header(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text(csv_text([row(1, 0.1)], 1), encoding="utf-8-sig")
    assert read_history(path) == [row(1, 0.1)]
