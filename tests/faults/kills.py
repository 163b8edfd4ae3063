"""Kill one training again and again at random instants; it must end as if nothing had happened.

`python tests/faults/kills.py --kills 200` (or `make kills`) kills it that often, resuming it each
time, and compares what it has come to with a training that was never disturbed. With `--folder` it
can be stopped itself at any time, and goes on with what it left there. `--set` changes what is
trained: `--set model.fusion=mid --set train.amp=bf16 --set train.workers=2`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

import yaml
from processes import Nursery
from short_run import CONFIG, Home

from fusetrain.data.demo import write_demo
from fusetrain.errors import StoppedError
from fusetrain.failpoints import VARIABLE

EPOCHS = 10_000  # never reached
TRAIN = ("train", "--config", "train.yaml")
RESUME = ("resume", "runs/exp")
A_DAY = 86_400.0
KILLS_A_LINE = 10
LONGEST_AFTER_SAVE = 1.0  # seconds: some steps, their saves and a validation


@dataclass
class Progress:
    """How far the killing has come; it is kept in a file, so that it can be stopped.

    Attributes:
        steps: Optimizer steps that were saved at each kill.
        seconds: What the last process that saved needed to its first save; 0 before there is one.
    """

    steps: list[int] = field(default_factory=list)
    seconds: float = 0.0

    @classmethod
    def of(cls, path: Path) -> Progress:
        """Return what stands in a file, or that nothing is done yet."""
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def keep(self, path: Path) -> None:
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self)))
        new.replace(path)


def kill_often(nursery: Nursery, home: Home, *, kills: int, seed: int = 0) -> list[int]:
    """Train, killed some times by SIGKILL at random instants, and resumed each time.

    Args:
        nursery: Starts the processes.
        home: A folder with a data set and a config; a training that was begun in it goes on.
        kills: Processes that are killed in all.
        seed: Of the instants.

    Returns:
        The optimizer steps that were saved at each kill.
    """
    path = home.path / "progress.json"
    done = Progress.of(path)
    while (number := len(done.steps)) < kills:
        # Half of the processes are killed before they save anything of their own.
        instant = random.Random(f"{seed} {number}").uniform(0.0 if done.seconds else 1.0, 2.0)
        done.seconds = kill_once(nursery, home, instant=instant, seconds=done.seconds)
        done.steps.append(home.steps())
        done.keep(path)
        if len(done.steps) % KILLS_A_LINE == 0:
            print(f"{len(done.steps)} kills, {done.steps[-1]} steps", flush=True)
    return done.steps


def kill_once(nursery: Nursery, home: Home, *, instant: float, seconds: float) -> float:
    """Start or resume, and kill at an instant: below 1 of the time to the first save, or after it.

    Args:
        nursery: Starts the process.
        home: Where it trains.
        instant: In [0, 2]: below 1 in times of ``seconds``; from 1 on as long after its first save,
            in times of LONGEST_AFTER_SAVE.
        seconds: From the start of a process to its first save, as known so far.

    Returns:
        The same, as it is known now.
    """
    is_begun, before, began = (home.run / "config.yaml").exists(), last_save(home), time.monotonic()
    running = nursery.start(*(RESUME if is_begun else TRAIN), cwd=home.path)
    if instant >= 1:
        while last_save(home) == before:
            assert nursery.code(running.pid) is None, running.log.read_text()
            time.sleep(0.005)
        seconds = time.monotonic() - began
        time.sleep((instant - 1) * LONGEST_AFTER_SAVE)
    else:
        time.sleep(instant * seconds)
    if nursery.code(running.pid) is None:
        running.kill_group(signal.SIGKILL)
    ended = running.wait()
    assert ended.code == -signal.SIGKILL, ended
    if not is_begun and not (home.run / "config.yaml").exists():
        shutil.rmtree(home.path / "runs", ignore_errors=True)  # killed as it was made
    return seconds


def last_save(home: Home) -> tuple[int, int] | None:
    """Return what tells one save of a run from another; None before the first."""
    with contextlib.suppress(FileNotFoundError):
        found = (home.weights / "last.pt").stat()
        return found.st_ino, found.st_mtime_ns
    return None


def train_up_to(nursery: Nursery, home: Home, step: int) -> None:
    """Train or resume until an optimizer step is done, and stop there."""
    left = step - home.steps()
    if not left:
        return
    # A step of the demo's six pairs has always two.
    stop = {VARIABLE: f"step of 2 pairs=SIGTERM@{left}", "PYTEST_CURRENT_TEST": "kills"}
    is_begun = (home.run / "config.yaml").exists()
    ended = nursery.start(*(RESUME if is_begun else TRAIN), cwd=home.path, **stop).wait(A_DAY)
    assert ended.code == StoppedError.exit_code, ended.text
    assert home.steps() == step


def home_in(folder: Path, settings: Sequence[str] = ()) -> Home:
    """Return a folder with eight synthetic pairs and the config of a long training.

    Args:
        folder: Made where it holds no config yet.
        settings: KEY=VALUE, with a dot between section and key.
    """
    home = Home(folder)
    if not (folder / "train.yaml").exists():
        shutil.rmtree(folder, ignore_errors=True)
        write_demo(folder / "set", num_pairs=8)
        config = yaml.safe_load(CONFIG)
        for setting in (f"train.epochs={EPOCHS}", *settings):
            key, _, value = setting.partition("=")
            section, _, name = key.partition(".")
            config.setdefault(section, {})[name] = yaml.safe_load(value)
        (folder / "train.yaml").write_text(yaml.safe_dump(config))
    return home


def compare(
    nursery: Nursery, folder: Path, *, kills: int, seed: int = 0, settings: Sequence[str] = ()
) -> list[int]:
    """Train twice in ``folder``, killed often and never; return the steps saved at each kill.

    Raises:
        AssertionError: The two came to something else.
    """
    killed, through = (home_in(folder / name, settings) for name in ("killed", "through"))
    steps = kill_often(nursery, killed, kills=kills, seed=seed)
    for home in (killed, through):
        train_up_to(nursery, home, steps[-1] + 1)
    killed.assert_trained_like(through)
    killed.assert_nothing_half_done()
    return steps


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill a training at random instants.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="kept until all is done, and gone on with")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    asked = parser.parse_args()
    nursery, began = Nursery(), time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        steps = compare(
            nursery,
            folder.absolute(),
            kills=asked.kills,
            seed=asked.seed,
            settings=asked.settings,
        )
    nursery.close()
    lost = sum(after < before for before, after in pairwise(steps))
    print(
        f"{len(steps)} kills, at {len(set(steps))} different steps, the last at step {steps[-1]}; "
        f"saved steps lost: {lost}; what it has come to equals a run never killed "
        f"({time.monotonic() - began:.0f} s)"
    )
    assert lost == 0
    if asked.folder:
        shutil.rmtree(asked.folder)


if __name__ == "__main__":
    main()
