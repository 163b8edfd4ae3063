"""What a search has found so far: its trials, the best of them, and which settings mattered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fusetrain.errors import ResourceError
from fusetrain.results.search_plot import SearchPoint, save_search_figure
from fusetrain.tuning.study import METRIC, Study, TrialRow


@dataclass(frozen=True)
class SearchReport:
    """A search, as far as it has come.

    Attributes:
        study: The SQLite file.
        trials: All trials, by number.
        best: The complete trial with the highest score; None while there is none.
        importances: Setting to its share in the differences of scores, adding up to 1; empty with
            fewer than two complete trials.
        picture: The figure; None where it could not be written.
    """

    study: Path
    trials: tuple[TrialRow, ...]
    best: TrialRow | None
    importances: Mapping[str, float]
    picture: Path | None

    def to_json(self) -> dict[str, Any]:
        """Return the report as `tune --json` prints it."""
        return {
            "study": str(self.study),
            "metric": METRIC,
            "trials": [asdict(trial) for trial in self.trials],
            "best": None if self.best is None else asdict(self.best),
            "importances": dict(self.importances),
            "picture": None if self.picture is None else str(self.picture),
        }


def report_of(study: Study) -> SearchReport:
    """Return what a study knows, and draw it beside its file."""
    trials = tuple(study.rows())
    complete = [trial for trial in trials if trial.state == "complete" and trial.score is not None]
    best = max(complete, key=lambda trial: (trial.score or 0.0, -trial.number), default=None)
    importances = study.importances()
    picture: Path | None = study.path.with_suffix(".png")
    points = [
        SearchPoint(trial.number, trial.score, trial.state == "complete")
        for trial in trials
        if trial.score is not None
    ]
    try:
        assert picture is not None
        save_search_figure(picture, points, importances=importances, metric=METRIC)
    except ResourceError:
        picture = None
    return SearchReport(study.path, trials, best, importances, picture)
