"""TensorBoard: event files in the run folder, for `tensorboard --logdir PROJECT`.

A resumed run writes a further file, which takes back what a killed process wrote of epochs that are
trained again.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from fusetrain.results.trackers.tracker import Ending, TrackedRun

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of packages below, which nobody here can mend
    from torch.utils.tensorboard import SummaryWriter

FLUSH_SECONDS = 10


class TensorBoard:
    """Writes event files into the run folder."""

    def start(self, run: TrackedRun) -> str:
        """Open a new event file; those of the run so far stay."""
        first = run.epochs_done + 1
        self._writer = SummaryWriter(
            log_dir=str(run.folder),
            purge_step=first if run.epochs_done else None,
            flush_secs=FLUSH_SECONDS,
        )
        if not run.known_as:
            settings = json.dumps(dict(run.settings), indent=2, ensure_ascii=False)
            self._writer.add_text("settings", f"```\n{settings}\n```", first)
        return run.name

    def metrics(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write a scalar for every number."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def picture(self, epoch: int, name: str, path: Path) -> None:
        """Write the pixels of a picture of our own."""
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        self._writer.add_image(name, pixels, epoch, dataformats="HWC")

    def note(self, epoch: int, text: str) -> None:
        """Write a text."""
        self._writer.add_text("notes", text, epoch)

    def finish(self, ending: Ending) -> None:
        """Write what is left and close the file."""
        self._writer.close()
