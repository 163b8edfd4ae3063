"""What users see when something is wrong: one panel each, held against what is written down.

Every case puts something wrong into a working folder of its own, types one command and compares
stderr, at 80 columns and without a terminal, with `user_errors/NAME.txt`. The faults are real:
files are cut short, disks filled (RLIMIT_FSIZE), rights taken away (as another user where this is
root).
`python tests/cli/test_user_errors.py` writes the panels anew; read what it changed.
"""

from __future__ import annotations

import os
import re
import resource
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fusetrain.cli.app import run
from fusetrain.errors import ComparisonError

PANELS = Path(__file__).with_suffix("").parent / "user_errors"
RECORD = "FUSETRAIN_RECORD_PANELS"
NOBODY = 65534
CODES = {2, 3, 4, 5, 6, 8}
CONFIG = """\
data: set/data.yaml
model: {width: 0.25}
train: {epochs: 2, batch: 2, imgsz: 64, threads: 1, device: cpu, amp: false}
schedule: {warmup: {epochs: 1}}
run: {project: runs}
"""
DATA = "path: .\ntrain: images/train\nval: images/val\nnames: [person, car]\n"
TRAIN = "train --config train.yaml"
Prepare = Callable[[], object]
Case = tuple[str, int, str, Prepare | None]


def config(text: str) -> Prepare:
    """Return what puts a config in the place of train.yaml."""
    return lambda: Path("train.yaml").write_text(text, encoding="utf-8")


def setting(text: str) -> Prepare:
    """Return what adds lines to the config."""
    return config("data: set/data.yaml\n" + text)


def data(text: str) -> Prepare:
    """Return what puts a data YAML in the place of that of the set."""
    return lambda: Path("set/data.yaml").write_text(text, encoding="utf-8")


def file(path: str, content: bytes | str) -> Prepare:
    """Return what writes a file."""
    raw = content.encode() if isinstance(content, str) else content
    return lambda: Path(path).write_bytes(raw)


def gone(path: str) -> Prepare:
    """Return what removes a file or a folder."""

    def remove() -> None:
        target = Path(path)
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    return remove


def cut(path: str, length: int) -> Prepare:
    """Return what leaves only the first bytes of a file."""
    return lambda: Path(path).write_bytes(Path(path).read_bytes()[:length])


def checkpoint(content: bytes) -> Prepare:
    """Return what leaves one checkpoint in the run, with this content."""

    def write() -> None:
        Path("runs/exp/weights/last.prev.pt").unlink(missing_ok=True)
        Path("runs/exp/weights/last.pt").write_bytes(content)

    return write


def edited(key: str, value: str) -> Prepare:
    """Return what changes a line of the config of the run."""

    def edit() -> None:
        path = Path("runs/exp/config.yaml")
        text = re.sub(rf"(?m)^( *{key}): .*$", rf"\1: {value}", path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")

    return edit


def folder(path: str) -> Prepare:
    """Return what makes a folder with a file in it."""

    def make() -> None:
        Path(path).mkdir(parents=True)
        Path(path, "note.md").write_text("mine\n", encoding="utf-8")

    return make


CASES: dict[str, Case] = {
    # The command line.
    "usage-unknown-command": ("trian --config train.yaml", 2, "", None),
    "usage-unknown-flag": ("train --confg train.yaml", 2, "", None),
    "usage-missing-argument": ("check-data", 2, "", None),
    "usage-missing-option": ("train", 2, "", None),
    "usage-unknown-subcommand": ("prepare splitt set --out new", 2, "", None),
    "usage-no-number": ("demo new --pairs many", 2, "", None),
    "usage-no-assignment": (f"{TRAIN} --set optim.lr0", 2, "", None),
    "usage-unknown-format": ("export runs/exp --format tflite", 2, "", None),
    "usage-nothing-to-draw": ("plot-lr", 2, "", None),
    "usage-no-images": ("predict runs/exp", 2, "", None),
    "usage-empty-argument": (f"{TRAIN} --data ''", 2, "", None),
    "usage-option-without-value": ("train --config", 2, "", None),
    "usage-stray-config": ("train train.yaml", 2, "", None),
    "usage-stray-setting": (f"{TRAIN} epochs=3 batch=2", 2, "", None),
    "usage-plan-and-range-test": (f"{TRAIN} --lr-find --dry-run", 2, "", None),
    "usage-number-that-is-none": ("prepare cache set --scale nan", 2, "", None),
    "usage-unknown-modality": ("val runs/exp --blank thermal", 2, "", None),
    "usage-unknown-level": ("models --finest p4", 2, "", None),
    "config-level-before-the-streams-meet": (
        f"{TRAIN} --set model.fusion=mid-p3 --set model.finest=p2", 3, "", None
    ),
    "usage-unknown-question": ("val runs/exp --by moon", 2, "", None),
    "usage-unknown-code": (f"{TRAIN} --allow X99", 2, "", None),
    "usage-code-that-blocks": (f"{TRAIN} --allow I01", 2, "", None),
    "config-bad-devices": (f"{TRAIN} --devices two", 3, "", None),
    "usage-run-and-config": ("diagnose", 2, "", None),
    # The config.
    "config-missing": ("train --config trian.yaml", 3, "", None),
    "config-empty": (TRAIN, 3, "", config("")),
    "config-is-a-folder": ("train --config set", 3, "", None),
    "config-is-an-image": (TRAIN, 3, "", file("train.yaml", b"\x89PNG\r\n\x1a\n\x00\x00\xff")),
    "config-not-readable": (TRAIN, 3, "no rights", lambda: Path("train.yaml").chmod(0)),
    "config-is-a-list": (TRAIN, 3, "", config("- train\n- val\n")),
    "config-indentation": (TRAIN, 3, "", config("train:\n  epochs: 3\n batch: 2\n")),
    "config-tab": (TRAIN, 3, "", config("train:\n\tepochs: 3\n")),
    "config-duplicate-key": (TRAIN, 3, "", setting("optim: {lr0: 0.1}\noptim: {lr0: 0.2}\n")),
    "config-python-tag": (TRAIN, 3, "", config("data: !!python/object/apply:os.system [ls]\n")),
    "config-unknown-key": (TRAIN, 3, "", setting("train: {epoch: 3}\n")),
    "config-key-of-another-group": (TRAIN, 3, "", setting("lr0: 0.01\n")),
    "config-many-faults": (
        TRAIN, 3, "",
        setting("optim: {name: lion, lr: 0.1}\ntrain: {epochs: 0, imgsz: big}\nmdl: {size: q}\n"),
    ),
    "config-not-a-number": (TRAIN, 3, "", setting("optim: {lr0: .nan, weight_decay: 1e999}\n")),
    "config-number-as-key": (TRAIN, 3, "", setting("1: 2\ntrain: {2: 3}\n")),
    "config-huge-seed": (f"{TRAIN} --set train.seed=99999999999999999999", 3, "", None),
    "config-unknown-device": (TRAIN, 3, "", setting("train: {device: gpu}\n")),
    "config-extends-itself": (TRAIN, 3, "", setting("extends: train.yaml\n")),
    "config-alias-in-itself": (TRAIN, 3, "", setting("train: &train {epochs: *train}\n")),
    "config-merge-key": (TRAIN, 3, "", setting("train: {<<: {epochs: 3}}\n")),
    "config-utf-16": (TRAIN, 3, "", file("train.yaml", CONFIG.encode("utf-16"))),
    "config-two-documents": (TRAIN, 3, "", setting("---\ntrain: {epochs: 3}\n")),
    "config-brackets": (TRAIN, 3, "", config("[" * 999)),
    "config-wrong-type": (TRAIN, 3, "", setting("train: {epochs: ten}\n")),
    "config-image-too-small": (TRAIN, 3, "", setting("train: {imgsz: 16}\n")),
    "config-unknown-fusion": (TRAIN, 3, "", setting("model: {fusion: middle}\n")),
    "config-unknown-schedule": (TRAIN, 3, "", setting("schedule: {name: cosin}\n")),
    "config-unknown-optimizer": (TRAIN, 3, "", setting("optim: {name: adamax}\n")),
    "config-unknown-size": (TRAIN, 3, "", setting("model: {size: xl}\n")),
    "config-option-of-another-curve": (TRAIN, 3, "", setting("schedule: {name: step, t0: 3}\n")),
    "config-code-not-installed": (TRAIN, 3, "", setting("schedule: {name: 'mine.curves:Fall'}\n")),
    "config-two-lengths": (TRAIN, 3, "", setting("schedule: {warmup: {epochs: 1, steps: 9}}\n")),
    "config-stages-too-long": (
        TRAIN, 3, "", setting("train: {epochs: 3, stages: [{epochs: 2}, {epochs: 2}]}\n")
    ),
    "config-no-modality-left": (TRAIN, 3, "", setting("augment: {drop_rgb: 0.6, drop_ir: 0.6}\n")),
    "config-name-with-slash": (TRAIN, 3, "", setting("run: {name: a/b}\n")),
    "config-base-missing": (TRAIN, 3, "", setting("extends: presets/yolox.yaml\n")),
    "config-is-a-data-yaml": ("train --config set/data.yaml", 3, "", None),
    "config-of-another-trainer": (
        "train --config args.yaml", 3, "", file("args.yaml", "task: detect\nmode: train\nimgsz: 9")
    ),
    "config-import-impossible": (
        "config import args.yaml", 3, "", file("args.yaml", "epochs: 0\nimgsz: 8\nname: a/b\n")
    ),
    "config-import-of-ours": ("config import train.yaml", 3, "", None),
    "machine-import-over-a-file": (
        "config import args.yaml --out train.yaml", 6, "", file("args.yaml", "epochs: 3\n")
    ),
    "config-without-data": (TRAIN, 3, "", config("train: {epochs: 3}\n")),
    "config-bad-set": (f"{TRAIN} --set 'optim.lr0=[1'", 3, "", None),
    "config-batch-over-ranks": (f"{TRAIN} --devices 2 --set train.batch=3", 3, "", None),
    "config-single-with-baselines": (
        f"{TRAIN} --with-baselines --set model.fusion=ir", 3, "", None
    ),
    "config-unknown-in-space": (
        "tune --config train.yaml --trials 1 --space space.yaml", 3, "",
        file("space.yaml", "optim.lr: {low: 0.1, high: 0.2}\n"),
    ),
    "config-nothing-to-choose-in-space": (
        "tune --config train.yaml --trials 1 --space space.yaml", 3, "",
        file("space.yaml", "optim.lr0: []\n"),
    ),
    # Data sets and images.
    "data-missing": (f"{TRAIN} --data sett", 4, "", None),
    "data-yaml-without-names": (TRAIN, 4, "", data("train: images/train\nval: images/val\n")),
    "data-unknown-key": (TRAIN, 4, "", data(DATA + "classes: 2\n")),
    "data-split-missing": (TRAIN, 4, "", data(DATA.replace("images/val", "images/vla"))),
    "data-list-is-no-text": (
        TRAIN, 4, "",
        lambda: [file("set/val.txt", b"\x89PNG")(), data(DATA.replace("images/val", "val.txt"))()],
    ),
    "data-outside-root": (TRAIN, 4, "", data(DATA.replace("images/train", "../other"))),
    "data-key-of-another-task": (TRAIN, 4, "", data(DATA + "kpt_shape: [17, 3]\n")),
    "data-without-pairs": ("check-data notes", 4, "", folder("notes")),
    "data-is-an-image": (f"{TRAIN} --data set/images/train/train_000.jpg", 4, "", None),
    "data-without-infrared": (TRAIN, 4, "", gone("set/imagesIR")),
    "data-lost-partner": (TRAIN, 4, "", gone("set/imagesIR/train/train_001.png")),
    "data-truncated-image": (TRAIN, 4, "", cut("set/images/train/train_002.jpg", 300)),
    "data-page-as-image": (TRAIN, 4, "", file("set/images/val/val_000.jpg", "<html>404</html>")),
    "data-bad-label-lines": (
        TRAIN, 4, "", file("set/labels/train/train_000.txt", "0 .5 .5 .1\n7 .5 .5 .1 .1\n")
    ),
    "data-unknown-split": ("check-data set/data.yaml --split tset", 4, "", None),
    "data-folder-not-empty": ("demo notes", 4, "", folder("notes")),
    "data-new-set-exists": ("prepare split set --out notes", 4, "", folder("notes")),
    "data-no-such-image": ("predict runs/exp --rgb a.jpg --ir b.png", 4, "", None),
    "data-image-without-partner": (
        "predict runs/exp --rgb set/images/train --ir set/imagesIR/val", 4, "", None
    ),
    "data-changed-since-start": (
        "resume runs/exp --set train.epochs=3", 4, "", gone("set/labels/train/train_000.txt")
    ),
    # Runs and weights.
    "run-missing": ("resume runs/exp7", 5, "", None),
    "run-is-a-data-set": ("resume set", 5, "", None),
    "run-without-checkpoint": ("resume runs/exp", 5, "", gone("runs/exp/weights")),
    "run-checkpoint-damaged": (
        "resume runs/exp --set train.epochs=3", 5, "", checkpoint(b"fusetrain checkpoint 1\nab")
    ),
    "run-weights-are-a-pickle": (
        "val runs/exp/weights/last.pt", 5, "", checkpoint(b"\x80\x04cos\nsystem\n(S'ls'\ntR.")
    ),
    "run-weights-are-an-image": ("val set/images/val/val_000.jpg", 5, "", None),
    "run-weights-to-start-from-missing": (f"{TRAIN} --set model.weights=resnet.pth", 5, "", None),
    "run-table-is-no-text": ("plot-lr runs/exp", 5, "", file("runs/exp/results.csv", b"\xff\x00")),
    "run-without-table": ("plot-lr runs/exp", 5, "", gone("runs/exp/results.csv")),
    "run-to-compare-missing": ("compare runs/exp runs/exp2", 5, "", None),
    "run-fixed-setting-changed": ("resume runs/exp", 3, "", edited("lr0", "0.5")),
    "run-setting-to-confirm": ("resume runs/exp --set train.batch=4", 3, "", None),
    "run-left-its-plan": (
        "plot-lr --config train.yaml runs/exp --no-terminal", 8, "",
        config(CONFIG + "optim: {lr0: 0.01}\n"),
    ),
    # The machine.
    "machine-no-gpu": (f"{TRAIN} --set train.device=cuda", 6, "", None),
    "machine-too-little-memory": (f"{TRAIN} --dry-run --set model.width=1e11", 6, "", None),
    "machine-disk-full": ("demo new --pairs 4", 6, "full disk", None),
    "machine-disk-full-figure": ("plot-lr runs/exp --out lr.png", 6, "full disk", None),
    "machine-no-permission": ("demo new --pairs 4", 6, "no rights", None),
    "machine-file-in-the-way": (TRAIN, 6, "", setting("run: {project: train.yaml}\n")),
    "machine-no-place-for-figure": ("plot-lr runs/exp --out absent/lr.png", 6, "", None),
}  # fmt: skip


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file grow beyond 100 bytes; this holds for root too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def no_rights() -> Iterator[None]:
    """Take the right to write into the working folder, from root by being nobody."""
    Path().chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        Path().chmod(0o755)


@contextmanager
def as_it_is() -> Iterator[None]:
    """Change nothing about the machine."""
    yield


MACHINES = {"": as_it_is, "full disk": full_disk, "no rights": no_rights}


@pytest.fixture
def folder_of_a_user(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder with data set, config and run, all named by relative paths."""
    Path("train.yaml").write_text(CONFIG, encoding="utf-8")

    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.mark.usefixtures("folder_of_a_user")
@pytest.mark.parametrize("name", CASES)
def test_one_panel_says_what_is_wrong(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, code, machine, prepare = CASES[name]
    if prepare:
        prepare()
    capsys.readouterr()
    with MACHINES[machine]():
        assert run(shlex.split(words)) == code
    out, err = capsys.readouterr()
    shown = f"$ fusetrain {words}\n{err}exit {code}\n"
    written = PANELS / f"{name}.txt"
    if os.environ.get(RECORD):
        written.write_text(shown, encoding="utf-8")
    assert err.count("╭") == err.count("╰") == 1
    assert "Traceback" not in err
    assert "this is a bug" not in err
    assert max(map(len, err.splitlines())) <= 80
    assert out == "" or code == ComparisonError.exit_code
    assert written.read_text(encoding="utf-8") == shown


def test_sixty_faults_and_no_panel_too_many() -> None:
    assert len(CASES) >= 60
    assert {path.stem for path in PANELS.iterdir()} == set(CASES)
    assert {code for _, code, _, _ in CASES.values()} == CODES


if __name__ == "__main__":
    os.environ[RECORD] = "1"
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider"]))
