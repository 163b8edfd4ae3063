"""Both single modalities beside a fused run, under the same budget, and what fusion gains by them.

A fused detector that is worse than its best single stream is the commonest failure of the field,
and its tables leave that row out. `fusion_gain.json` in the folder of the fused run says which runs
belong together from the first step on, so that whichever of them was stopped can be taken up.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusetrain import distributed
from fusetrain.build import TrainingData
from fusetrain.config.load import load_config
from fusetrain.config.schema import Config, ModelSettings
from fusetrain.config.stages import for_one_image, run_epochs
from fusetrain.errors import RunError, StoppedError
from fusetrain.results.history import METRICS, best_scores
from fusetrain.results.run_dir import FUSION_GAIN, RunDir
from fusetrain.rules import SINGLE, config_checks
from fusetrain.runs.reporters import RunReporter
from fusetrain.runs.resuming import resume
from fusetrain.runs.training import train


@dataclass(frozen=True)
class FusionGain:
    """What fusion gains.

    Attributes:
        scores: fused, rgb and ir to their metrics at the best epoch, map50 and map50_95.
        gain: The fused metric minus that of the best single modality, for each metric.
    """

    scores: dict[str, dict[str, float]]
    gain: dict[str, float]

    def __str__(self) -> str:
        """Return the gain as one line."""
        best = {name: max(self.scores[kind][name] for kind in SINGLE) for name in METRICS}
        parts = (
            f"{title} {self.gain[name]:+.3f} ({self.scores['fused'][name]:.3f} - {best[name]:.3f})"
            for name, title in (("map50", "mAP50"), ("map50_95", "mAP50-95"))
        )
        return f"fusion gain = fused - best single: {', '.join(parts)}"


def baseline_config(config: Config, kind: str, *, name: str, project: Path) -> Config:
    """Return the config of a baseline: the same budget, one modality, no operator.

    The one image it has is shown in all stages, and nothing that harms only a detector of one image
    is done to it.
    """
    values = config.model_dump()
    values["model"] |= {
        "fusion": kind,
        "operator": ModelSettings().operator,
        "base": ModelSettings().base,
    }
    stages = [stage | {"inputs": "both"} for stage in values["train"]["stages"]]
    values["train"] |= {"epochs": run_epochs(config), "stages": stages}
    values["augment"] = for_one_image(config.augment).model_dump()
    values["schedule"] |= {"plans": []}
    values["run"] |= {"name": name, "project": str(project)}
    return Config.model_validate(values)


def mark(run: RunDir) -> None:
    """Write down that a run is to be compared with its baselines."""
    if distributed.is_main():
        _write(run, {"schema": 1, "baselines": {}, "scores": None, "gain": None})


def fused_run_of(run: RunDir) -> RunDir | None:
    """Return the fused run that a run belongs to, itself or one beside it; None without."""
    if (run.path / FUSION_GAIN).is_file():
        return run
    for path in sorted(run.path.parent.glob(f"*/{FUSION_GAIN}")):
        if run.path.name in _read(RunDir(path.parent))["baselines"].values():
            return RunDir(path.parent)
    return None


def train_baselines(
    run: RunDir,
    config: Config,
    data: TrainingData,
    *,
    reporter: Callable[[], RunReporter],
    done: RunDir | None = None,
) -> FusionGain:
    """Train what is not yet trained of both baselines beside a finished fused run; compare.

    Args:
        run: The fused run, marked and finished.
        config: Its settings, the data set as it is reached from here.
        data: The splits.
        reporter: Returns who is told how one run goes.
        done: A run that was just taken up to its end.

    Raises:
        StoppedError: A signal came; `resume` of the fused run goes on.
    """
    try:
        for kind in SINGLE:
            _train_one(run, kind, config, data, reporter=reporter(), done=done)
    except StoppedError as error:
        again = f"`fusetrain resume {shlex.quote(str(run.path))}`"
        raise StoppedError(f"baselines: {error.what}", remedy=again) from None
    return compare(run)


def compare(run: RunDir) -> FusionGain:
    """Return what fusion gains, and write it into the folder of the fused run.

    Raises:
        RunError: A baseline was not trained, or has no validated epoch.
    """
    told = _read(run)
    folders = {"fused": run.path} | {
        kind: run.path.parent / name for kind, name in told["baselines"].items()
    }
    scores = {kind: best_scores(folder / "results.csv") for kind, folder in folders.items()}
    gain = {
        name: scores["fused"][name] - max(scores[kind][name] for kind in SINGLE) for name in METRICS
    }
    if distributed.is_main():
        _write(run, told | {"scores": scores, "gain": gain})
        run.event("fusion gain", **gain)
    return FusionGain(scores, gain)


def _train_one(
    run: RunDir,
    kind: str,
    config: Config,
    data: TrainingData,
    *,
    reporter: RunReporter,
    done: RunDir | None,
) -> None:
    """Train one baseline, or what is left of it; an empty folder is left behind."""
    folder = run.path.parent / str(_read(run)["baselines"].get(kind))
    if done is not None and done.path == folder:
        return
    if (folder / "config.yaml").is_file():
        epochs = f"train.epochs={run_epochs(config)}"
        wanted = load_config(folder / "config.yaml", [epochs], checks=[config_checks])
        resume(RunDir.open(folder), wanted, reporter=reporter)
        return
    name = f"{run.path.name}-{kind}"
    wanted_config = baseline_config(config, kind, name=name, project=run.path.parent)
    train(
        wanted_config, data, reporter=reporter, on_folder=lambda made: _enter(run, kind, made.path)
    )


def _enter(run: RunDir, kind: str, folder: Path) -> None:
    """Write down which folder a baseline is trained in; the fused run stays the latest one."""
    if distributed.is_main():
        with suppress(OSError):  # a pointer is not worth a training
            run.become_latest()
        told = _read(run)
        _write(run, told | {"baselines": told["baselines"] | {kind: folder.name}})


def _read(run: RunDir) -> dict[str, Any]:
    """Return what fusion_gain.json says.

    Raises:
        RunError: It is damaged.
    """
    try:
        told: dict[str, Any] = json.loads((run.path / FUSION_GAIN).read_text(encoding="utf-8"))
        told["baselines"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{run.path / FUSION_GAIN} cannot be read: {error}") from error
    return told


def _write(run: RunDir, told: dict[str, Any]) -> None:
    temporary = run.path / f".{FUSION_GAIN}.tmp"
    temporary.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    temporary.replace(run.path / FUSION_GAIN)
