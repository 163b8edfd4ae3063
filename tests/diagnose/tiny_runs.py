"""Tiny trainings and their data sets, each made once, broken on purpose or healthy."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from fusetrain import build
from fusetrain.config.load import load_config
from fusetrain.diagnose.data_look import DataLook, look_at
from fusetrain.diagnose.examine import Examination, examine_run
from fusetrain.errors import DivergedError
from fusetrain.results.run_dir import RunDir
from fusetrain.rules import config_checks
from fusetrain.runs.reporters import RunReporter
from fusetrain.runs.training import train

NUM_TRAIN, BATCH = 16, 4
CONFIG = """\
data: {data}
model: {{width: 0.25}}
train: {{epochs: 3, batch: 4, imgsz: 32, threads: 1, device: cpu, amp: false, cache: ram}}
schedule: {{warmup: {{epochs: 1}}}}
run: {{project: {project}}}
"""
Damage = Callable[[Path], None]


class Silent(RunReporter):
    """Is told how a run goes, and keeps quiet."""

    def on_step(self, *about: object) -> None:
        pass

    def on_epoch(self, *about: object) -> None:
        pass


@functools.cache
def looked_at(path: Path) -> DataLook:
    """Look at a data set once, however many runs of it are diagnosed."""
    return look_at(path)


def diagnosed(run: RunDir) -> Examination:
    """Diagnose a run; its data set is looked at once."""
    return examine_run(run.path, look=looked_at)


def codes(found: Examination) -> list[str]:
    """Return what was found, but for what else runs on this machine, which is no fault of a run."""
    return [item.code for item in found.findings if item.code != "machine-busy"]


def keep_pairs(root: Path, num_train: int = NUM_TRAIN) -> Path:
    """Delete all but the first training pairs of a demo; return its data YAML."""
    for folder in ("images", "imagesIR", "labels"):
        for path in sorted((root / folder / "train").iterdir())[num_train:]:
            path.unlink()
    return root / "data.yaml"


def train_run(*sets: str, data: Path, project: Path) -> RunDir:
    """Train with some settings; a run that diverges is a run too."""
    project.mkdir(parents=True, exist_ok=True)
    path = project / "train.yaml"
    path.write_text(CONFIG.format(data=data, project=project))
    config = load_config(path, sets, checks=[config_checks]).placed()
    with contextlib.suppress(DivergedError):
        train(config, build.open_data(config), reporter=Silent())
    return RunDir.open(project / "latest")


def each_image(folder: Path, change: Callable[[Image.Image], Image.Image]) -> None:
    """Write every image of a folder anew."""
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            changed = change(image.copy())
        changed.save(path)


def rolled(image: Image.Image, columns: int) -> Image.Image:
    """Return an image moved to the right; what leaves it comes in from the left."""
    return Image.fromarray(np.roll(np.asarray(image), columns, axis=1))
