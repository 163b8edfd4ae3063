"""Run folders as a training leaves them, made by hand in milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fusetrain.results.run_dir import CSV_COLUMNS, Row, RunDir, csv_text

MakeRun = Callable[..., Path]
FINDINGS = {"P09": 3, "L08": 1}


def history_of(scores: list[float | None]) -> list[Row]:
    return [
        {column: 1.0 / number for column in (*CSV_COLUMNS, "lr/pg0")}
        | {"epoch": number, "time": 2.5 * number, "lr0": 1e-3, "metrics/mAP50-95(B)": score}
        for number, score in enumerate(scores, start=1)
    ]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that writes a run folder with one epoch for each score."""

    def make(
        name: str = "exp",
        scores: tuple[float | None, ...] = (0.1, 0.3, 0.2),
        *,
        settings: str = "",
        last: str = "end",
        **start: Any,
    ) -> Path:
        run = RunDir(tmp_path / name)
        run.weights.mkdir(parents=True)
        epochs = f"train: {{epochs: {len(scores) or 1}}}\n"
        run.write_config(f"data: {tmp_path}/set/data.yaml\n{settings or epochs}")
        run.csv.write_text(csv_text(history_of(list(scores)), 1), encoding="utf-8")
        said: dict[str, Any] = {
            "pairs": {"train": 40, "val": 10},
            "parameters": 4_190_000,
            "machine": "CPU",
        }
        run.event(
            "start", **(said | {"findings": FINDINGS, "surroundings": {"python": "3"}}), **start
        )
        if last:
            run.event(last)
        return run.path

    return make
