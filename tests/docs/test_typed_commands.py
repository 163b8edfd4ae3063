"""Every command of README and docs is typed, page by page, in a folder that has what they name.

Trainings get a short config and few, small pictures; nothing else is changed. What cannot run here
is listed with the reason.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from glob import glob
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.cli.app import run

from ..data.layouts.conftest import Tree
from ..integration import test_layouts as layouts
from .pages import PAGES, ROOT, is_synopsis, lines_of, python_of, words_of

NOT_HERE: Mapping[str, str] = {
    r"street\.mp4": "needs ffmpeg; tests/cli/test_predict_inputs.py makes films where it is there",
    r"--devices 0,2": "needs three GPUs",
    r"--devices [24]": "starts several processes; tests/integration/test_ranks.py does",
    r"--nnodes": "needs two hosts",
}
ELSEWHERE = {"docs/quickstart.md": "tests/docs/test_quickstart.py types it from an empty folder"}
PLACES: Mapping[str, str] = {
    "FILE": "train.yaml",
    "DATA": "my_set",
    "FOLDER": "my_set",
    "RUN": "runs/fuse/exp",
}
TINY = ("train.imgsz=64", "model.width=0.25", "model.size=n", "train.threads=1", "train.amp=false")
SHORT: Mapping[str, tuple[str, ...]] = {
    "demo": ("--pairs", "24"),
    "check-data": ("--workers", "1"),
    "models": ("--size", "n", "--imgsz", "64", "--width", "0.25", "--fusion", "rgb"),
    "train": tuple(
        word
        for value in (*TINY, "train.epochs=1", "train.batch=2", "schedule.warmup.epochs=0")
        for word in ("--set", value)
    ),
    "tune": tuple(word for value in (*TINY, "train.epochs=1") for word in ("--set", value)),
}
CONFIG = """\
data: tested/data.yaml
model: {width: 0.25}
train: {epochs: 2, batch: 4, imgsz: 64, threads: 1, device: cpu, amp: false}
schedule: {warmup: {epochs: 1}}
"""
SETS = {
    "LLVIP": layouts.llvip,
    "KAIST": layouts.kaist,
    "FLIR": layouts.flir_aligned,
    "M3FD": layouts.m3fd,
    "DroneVehicle": layouts.dronevehicle,
    "VEDAI": layouts.vedai,
}


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the pages name: data sets, configs, runs of one training, images."""
    home = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        assert run(["demo", "demo", "--pairs", "24"]) == 0
        for name in ("my_set", "tested"):
            shutil.copytree("demo", name)
        _deal_test_split(Path("tested"))
        for name in ("train.yaml", "a.yaml", "b.yaml"):
            Path(name).write_text(CONFIG, encoding="utf-8")
        Path("args.yaml").write_text("epochs: 3\nshear: 1.0\n", encoding="utf-8")
        shutil.copytree(ROOT / "configs", "configs")
        assert run(["train", "--config", "train.yaml"]) == 0
        for name in ("exp2", "rgb", "ir"):
            shutil.copytree("runs/fuse/exp", f"runs/fuse/{name}")
        for name in ("last.pt", "best.safetensors"):
            shutil.copy(f"runs/fuse/exp/weights/{name}", name)
        _write_images()
        for name, make in SETS.items():
            make(Tree(home / name))
    return home


def _deal_test_split(root: Path) -> None:
    """Give a set with train and val a test split: the last two pairs of val."""
    for part in ("images", "imagesIR", "labels"):
        (root / part / "test").mkdir()
        for path in sorted((root / part / "val").iterdir())[-2:]:
            path.rename(root / part / "test" / path.name)
    data = root / "data.yaml"
    data.write_text(data.read_text("utf-8") + "test: images/test\n", encoding="utf-8")


def _write_images() -> None:
    """Write the images that `predict` is shown: folders, one pair, and files with four channels."""
    for part in ("images", "imagesIR"):
        shutil.copytree(f"demo/{part}", part)
    Path("pairs").mkdir()
    for number, path in enumerate(sorted(Path("images/val").iterdir())):
        infrared = next(Path("imagesIR/val").glob(f"{path.stem}.*"))
        visible, heat = Image.open(path).convert("RGB"), Image.open(infrared).convert("L")
        if not number:
            visible.save("day.jpg")
            heat.save("heat.png")
        four = np.dstack([np.asarray(visible), np.asarray(heat.resize(visible.size))])
        Image.fromarray(four, "RGBA").save(f"pairs/{path.stem}.png")


def typed(line: str) -> list[str]:
    """Return the words of a line as they are typed here: names in place of placeholders, short."""
    line = line.replace("train.epochs=200", "train.epochs=3").replace("--trials 20", "--trials 2")
    words = [PLACES.get(word, word) for word in words_of(line)]
    words = [found for word in words for found in (sorted(glob(word)) if "*" in word else [word])]
    if words[:3] == ["prepare", "split", "my_set"]:  # the demo is one recording
        words += ["--block", "4", "--names-only", "--redo"]
    return [*words, *SHORT.get(words[0], ())]


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES if lines_of(page) and page not in ELSEWHERE]
)
def test_commands_of_a_page_do_what_they_say(
    page: str,
    furnished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home = tmp_path / "home"
    shutil.copytree(furnished, home, symlinks=True)
    monkeypatch.chdir(home)
    monkeypatch.setenv("FUSETRAIN_CACHE", str(tmp_path / "cache"))
    for line in lines_of(page):
        if is_synopsis(line) or any(re.search(pattern, line) for pattern in NOT_HERE):
            continue
        words = typed(line)
        if words[0] == "demo":
            shutil.rmtree(words[1], ignore_errors=True)
        if words[0] == "config" and "--out" in words:
            Path(words[-1]).unlink(missing_ok=True)
        # The infrared images of the painted sets are copies of the visible ones.
        is_painted = bool({*SETS, "m3fd-split"} & set(words))
        words += ["--allow", "P06"] if is_painted and words[0] == "train" else []
        codes = {0, 4} if is_painted and words[0] == "check-data" else {0}
        assert run(words) in codes, f"{line}\n{capsys.readouterr().err}"


def test_every_reason_not_to_type_a_command_concerns_one() -> None:
    lines = [line for page in PAGES for line in lines_of(page)]
    unused = [pattern for pattern in NOT_HERE if not any(re.search(pattern, x) for x in lines)]
    assert unused == []


@pytest.mark.slow
def test_checkpoint_is_verified_by_the_lines_of_its_page(
    furnished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(furnished)
    exec(compile(python_of("docs/checkpoint.md"), "checkpoint.md", "exec"), {})
    assert capsys.readouterr().out.startswith("sound: ")
