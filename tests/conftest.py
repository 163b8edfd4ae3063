"""Fixtures that several folders of tests share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"
MakePairs = Callable[..., Path]
TINY_CONFIG = """\
data: {home}/set/data.yaml
model: {{width: 0.25}}
train: {{epochs: 2, batch: 2, imgsz: 64, threads: 1, device: cpu, amp: false}}
schedule: {{warmup: {{epochs: 1}}}}
run: {{project: {home}/runs}}
"""


def _write_pair(root: Path, split: str, stem: str, *, rng: np.random.Generator) -> None:
    """Write one 64 x 48 pair of unrelated textures with a box of class 0 and one of class 1."""
    rgb = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize((64, 48))
    ir = Image.fromarray(rng.integers(0, 256, (12, 16), np.uint8)).resize((64, 48))
    for part, image in (("images", rgb), ("imagesIR", ir)):
        (root / part / split).mkdir(parents=True, exist_ok=True)
        image.save(root / part / split / f"{stem}.{'jpg' if part == 'images' else 'png'}")
    (root / "labels" / split).mkdir(parents=True, exist_ok=True)
    lines = "0 0.25 0.5 0.25 0.5\n1 0.75 0.5 0.3 0.6\n"
    (root / "labels" / split / f"{stem}.txt").write_text(lines, encoding="ascii")


def _write_set(root: Path, *, train: int, val: int) -> Path:
    rng = np.random.Generator(np.random.PCG64(7))
    for split, count in (("train", train), ("val", val)):
        for number in range(count):
            _write_pair(root, split, f"{split}_{number:03d}", rng=rng)
    path = root / "data.yaml"
    text = "path: .\ntrain: images/train\nval: images/val\nnames: [person, car]\n"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def make_pairs(tmp_path: Path) -> MakePairs:
    """Return a function that writes a clean data set and returns its data YAML."""

    def make(name: str = "set", *, train: int = 4, val: int = 2) -> Path:
        return _write_set(tmp_path / name, train=train, val=val)

    return make


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set `set` of 4 + 2 pairs, `train.yaml` and the run `runs/exp` of it.

    It is made once and never changed; `home` is a copy.
    """
    from fusetrain.cli.app import run

    home = tmp_path_factory.mktemp("trained")
    _write_set(home / "set", train=4, val=2)
    config = home / "train.yaml"
    config.write_text(TINY_CONFIG.format(home=home), encoding="utf-8")
    assert run(["train", "--config", str(config)]) == 0
    return home


@pytest.fixture
def home(trained_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a copy of `trained_home` of its own, data set, config and run."""
    copy = tmp_path / "home"
    shutil.copytree(trained_home, copy, symlinks=True)
    for path in (copy / "train.yaml", copy / "runs" / "exp" / "config.yaml"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(str(trained_home), str(copy)), encoding="utf-8")
    monkeypatch.chdir(copy)
    monkeypatch.setenv("COLUMNS", "200")
    return copy


@pytest.fixture(scope="session")
def samples() -> Path:
    """Folder with some files of each public set, in the layout of that set."""
    folder = REAL_DATA / "native-samples"
    if not folder.is_dir():
        pytest.skip("the samples of public sets are not on this machine")
    return folder
