"""Kill one training again and again at random instants; it must end as if nothing had happened.

`python tests/faults/kills.py --kills 200` (or `make kills`) kills it that often, resuming it each
time, and compares the end with a training that was never disturbed.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

from processes import Nursery
from short_run import CONFIG, Home

from fusetrain.data.demo import write_demo

EPOCHS_A_KILL = 4
TRAIN = ("train", "--config", "train.yaml")


def kill_often(nursery: Nursery, home: Home, *, kills: int, seed: int = 0) -> list[int]:
    """Train, killed some times by SIGKILL at random instants, and resumed each time.

    Half of the processes are killed before they save anything of their own.

    Args:
        nursery: Starts the processes.
        home: A folder with a data set and a config.
        kills: Processes that are killed.
        seed: Of the instants.

    Returns:
        The optimizer steps that were saved at each kill.
    """
    longest = 2 * _seconds_to_first_save(nursery, home)
    chooser = random.Random(seed)
    steps: list[int] = []
    while len(steps) < kills:
        is_begun = (home.run / "config.yaml").exists()
        running = nursery.start(*(("resume", "runs/exp") if is_begun else TRAIN), cwd=home.path)
        time.sleep(chooser.uniform(0.0, longest))
        if nursery.code(running.pid) is None:
            running.kill_group(signal.SIGKILL)
        ended = running.wait()
        assert ended.code == -signal.SIGKILL, f"after {len(steps)} kills: {ended}"
        if not is_begun and not (home.run / "config.yaml").exists():
            shutil.rmtree(home.path / "runs", ignore_errors=True)  # killed as it was made
        steps.append(home.steps())
    return steps


def _seconds_to_first_save(nursery: Nursery, home: Home) -> float:
    began = time.monotonic()
    running = nursery.start(*TRAIN, cwd=home.path)
    while not (home.weights / "last.pt").exists():
        assert nursery.code(running.pid) is None, running.log.read_text()
        time.sleep(0.005)
    seconds = time.monotonic() - began
    running.kill_group(signal.SIGKILL)
    running.wait()
    shutil.rmtree(home.path / "runs")
    return seconds


def make_home(folder: Path, *, epochs: int) -> Home:
    """Return a folder with eight synthetic pairs and the config of a training of some epochs."""
    home = Home(folder)
    write_demo(folder / "set", num_pairs=8)
    (folder / "train.yaml").write_text(CONFIG.replace("epochs: 2", f"epochs: {epochs}", 1))
    return home


def compare(nursery: Nursery, folder: Path, *, kills: int, seed: int = 0) -> list[int]:
    """Train twice in ``folder``, killed often and never; return the steps saved at each kill.

    Raises:
        AssertionError: The two ended otherwise.
    """
    homes = []
    for name in ("killed", "through"):
        (folder / name).mkdir()
        homes.append(make_home(folder / name, epochs=EPOCHS_A_KILL * kills))
    killed, through = homes
    steps = kill_often(nursery, killed, kills=kills, seed=seed)
    for home, words in ((killed, ("resume", "runs/exp")), (through, TRAIN)):
        ended = nursery.run(*words, cwd=home.path)
        assert ended.code == 0, ended.text
    killed.assert_ends_like(through)
    return steps


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill a training at random instants.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    nursery = Nursery()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        steps = compare(nursery, Path(folder), kills=asked.kills, seed=asked.seed)
    nursery.close()
    lost = sum(after < before for before, after in pairwise(steps))
    print(
        f"{len(steps)} kills, at {len(set(steps))} different steps, the last at step {steps[-1]}; "
        f"saved steps lost: {lost}; the end equals that of a run never killed "
        f"({time.monotonic() - began:.0f} s)"
    )
    assert lost == 0


if __name__ == "__main__":
    main()
