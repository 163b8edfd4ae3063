"""Weights & Biases: one run of a project that is named like the project folder, offline.

Nothing leaves the machine unless WANDB_MODE=online is set: files are written into the run folder,
and `wandb sync` uploads them. Nobody is asked to log in, and neither output nor code nor the state
of the machine is recorded.
"""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Mapping
from pathlib import Path

os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_ERROR_REPORTING", "false")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of packages below, which nobody here can mend
    import wandb

from fusetrain.results.trackers.tracker import Ending, TrackedRun


class WeightsAndBiases:
    """Logs to files in the run folder, or online where the user asked for that."""

    def start(self, run: TrackedRun) -> str:
        """Begin a run, or a further part of the known one, which `wandb sync` joins."""
        quiet = wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            save_code=False,
            x_disable_stats=True,
            x_disable_meta=True,
        )
        self._run = wandb.init(
            project=run.project,
            name=run.name,
            id=run.known_as or uuid.uuid4().hex[:12],
            resume="allow",
            dir=str(run.folder),
            config=dict(run.settings),
            settings=quiet,
        )
        self._notes: list[str] = []
        return str(self._run.id)

    def metrics(self, epoch: int, values: Mapping[str, float]) -> None:
        """Log all numbers of an epoch."""
        self._run.log({"epoch": epoch, **values}, step=epoch)

    def picture(self, epoch: int, name: str, path: Path) -> None:
        """Copy a picture into the run."""
        self._run.log({name: wandb.Image(str(path))}, step=epoch)

    def note(self, epoch: int, text: str) -> None:
        """Keep a remark in the summary."""
        self._notes.append(f"epoch {epoch}: {text}")
        self._run.summary["notes"] = self._notes

    def finish(self, ending: Ending) -> None:
        """End the run; a code other than 0 marks one that did not finish."""
        self._run.finish(exit_code=0 if ending == "finished" else 1)
