"""The figures of a judgement: curves, confusions and miss rates, into a folder that a user names.

They show what `judging.py` found; the figures of a run folder are made in `artifacts.py`.
"""

from __future__ import annotations

from pathlib import Path

from fusetrain.errors import ResourceError
from fusetrain.inference.judging import Judgement
from fusetrain.results.confidence_plot import save_confidence_figure, save_miss_rate_figure
from fusetrain.results.confusion_plot import save_confusion_figure
from fusetrain.results.out_place import require_folder_place
from fusetrain.results.plots import save_pr_figure

FIGURES = ("PR_curve.png", "confidence_curves.png", "confusion_matrix.png", "miss_rate.png")


def require_place(folder: Path | None) -> None:
    """Refuse a folder that cannot be one, before anything is measured; None asks for no figures.

    Raises:
        ResourceError: It is a file, or lies in one.
    """
    if folder is not None:
        require_folder_place(folder, flag="--out")


def save_figures(judgement: Judgement, folder: Path) -> None:
    """Write `FIGURES` into a folder, which is made where it is not there; older ones are replaced.

    Raises:
        ResourceError: The folder cannot be written.
    """
    metrics, names = judgement.result.metrics, judgement.info.class_names
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(
            f"{folder} cannot be written: {error.strerror}", remedy="--out FOLDER"
        ) from error
    curves, confidences, confusion, missed = (folder / name for name in FIGURES)
    save_pr_figure(curves, metrics.curves, class_names=names, ap50=metrics.per_class.ap50)
    save_confidence_figure(confidences, metrics, class_names=names)
    save_confusion_figure(
        confusion,
        judgement.confusion(),
        class_names=names,
        confidence=metrics.best_confidence,
    )
    save_miss_rate_figure(missed, judgement.miss_rates(), class_names=names)
