"""Rows 7, 8, 23, 27 and 44: disk, folder, memory and figures that fail while a training runs."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import Nursery
from short_run import Home
from trainings import Training

from fusetrain.errors import ResourceError

SMALL = 200_000  # bytes; a checkpoint of the tiny detector has more than a million


def allow_files_of(num_bytes: int) -> None:
    """Limit the size of any file that this process writes, as a full disk does."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))


@pytest.fixture(autouse=True)
def _no_limit_stays() -> object:
    yield
    allow_files_of(resource.RLIM_INFINITY)


def full_between(training: Training, first: int, last: int) -> Callable[[int], None]:
    def harm(slot: int) -> None:
        if slot == first:
            training.keeper.wait()
            allow_files_of(SMALL)
        if slot == last:
            allow_files_of(resource.RLIM_INFINITY)

    return harm


EACH_STEP = {"save_every": {"steps": 1}, "epochs": 2}


@pytest.mark.fault(7)
def test_saves_that_fail_are_told_and_made_up_for(training: Training) -> None:
    plain = training(train=EACH_STEP)
    done = training(full_between(training, 3, 5), train=EACH_STEP)
    told = [note for note in done.notes if note.startswith("not saved")]
    # The second write may still be under way when there is room again.
    assert [note.split(" times")[0] for note in told] in (
        ["not saved, 1 of 3"],
        ["not saved, 1 of 3", "not saved, 2 of 3"],
    )
    assert "bytes): " in told[0]
    assert "bytes are free" in told[0]
    assert done.weights_digest() == plain.weights_digest()


@pytest.mark.fault(7)
def test_disk_that_stays_full_ends_the_run_and_loses_nothing(training: Training) -> None:
    with pytest.raises(ResourceError, match="3 saves failed in a row") as caught:
        training(full_between(training, 3, 99), train=EACH_STEP)
    assert caught.value.exit_code == 6
    allow_files_of(resource.RLIM_INFINITY)
    left = training.last
    assert left.state["slot"] == 2
    assert training(saved=left, train=EACH_STEP).state["slot"] == 10


@pytest.mark.fault(7)
def test_disk_that_is_full_at_the_start_ends_the_run_before_its_first_step(
    training: Training,
) -> None:
    steps: list[int] = []

    def harm(slot: int) -> None:
        steps.append(slot)
        allow_files_of(SMALL)

    with pytest.raises(ResourceError, match=r"good\.pt cannot be written"):
        training(harm)
    assert steps == [0]


@pytest.mark.fault(8)
@pytest.mark.filterwarnings("ignore:the log of")
def test_run_folder_that_vanishes_ends_the_run_with_one_warning(training: Training) -> None:
    def harm(slot: int) -> None:
        if slot == 3:
            training.keeper.wait()
            shutil.rmtree(training.last.run.path)

    with pytest.raises(ResourceError, match="is gone while the run goes on") as caught:
        training(harm, train=EACH_STEP)
    assert caught.value.exit_code == 6
    assert [note for note in training.last.notes if "gone" in note] == training.last.notes


@pytest.mark.fault(44)
def test_log_and_table_that_cannot_be_written_are_one_warning_each(training: Training) -> None:
    def harm(slot: int) -> None:
        if slot == 1:
            for name in ("events.jsonl", "results.csv"):
                (training.last.run.path / name).unlink(missing_ok=True)
                (training.last.run.path / name).mkdir()

    plain = training()
    with pytest.warns(RuntimeWarning, match="the log of .* is incomplete") as caught:
        done = training(harm)
    assert len(caught) == 1
    assert len([note for note in done.notes if "results.csv is not up to date" in note]) == 1
    assert done.weights_digest() == plain.weights_digest()


OUT_OF_MEMORY = """
import re, resource, sys
from pathlib import Path
import torch
from fusetrain.sample import Batch
from trainings import Training

def virtual_bytes():
    return int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

home, room = Path(sys.argv[1]), int(sys.argv[2]) * 2**20
training = Training(home, home / "set" / "data.yaml")
def harm(slot):
    if slot == 0 and sys.argv[3:]:
        # As after some steps of three pairs: room for those, and little more.
        pixels = torch.zeros(3, 640, 640, 4, dtype=torch.uint8)
        boxes, flags = torch.zeros(3, 0, 4), torch.zeros(3, 0)
        rest = (torch.zeros(3), torch.zeros(3, 4), torch.zeros(3, 2))
        three = Batch(pixels, boxes, flags.long(), flags.bool(), *rest)
        training.session.detector.train()
        training.session.runner.step([three], updates=0)
    if slot == 0:
        resource.setrlimit(resource.RLIMIT_AS, (virtual_bytes() + room, -1))
    if slot == 1:
        resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
train = {"batch": 5, "imgsz": 640, "epochs": 2}
done = training(harm, train=train, augment={"mosaic": 0.0})
print(done.state["micro_batch"], done.state["slot"], *done.notes)
print([event["micro_batch"] for event in done.events("memory")])
"""


def in_a_child(home: Path, room_mib: int, *, warm: bool = True) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY, str(home), str(room_mib), *(["warm"] * warm)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{root}:{Path(__file__).parent}"},
        cwd=root,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.slow
@pytest.mark.fault(23)
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the address space")
def test_memory_that_does_not_suffice_for_one_pair_ends_the_run(
    training: Training, tmp_path: Path
) -> None:
    done = in_a_child(tmp_path, 8, warm=False)
    assert done.returncode == 1
    assert "ResourceError" in done.stderr
    assert "memory" in done.stderr


MEMORY_FOR_ONE = {"FUSETRAIN_FAILPOINT": "step of 2 pairs=MEMORY"}


@pytest.mark.fault(23)
def test_memory_that_runs_out_halves_the_parts_of_a_step_for_good(
    nursery: Nursery, through: Home, begun: Home, tmp_path: Path
) -> None:
    """PyTorch is asked for more than there is whenever two pairs would be computed at once."""
    calm = Home(shutil.copytree(begun.path, tmp_path / "calm"))
    told = "memory ran out at step 1: from now on 1 pairs are computed at once"
    whole = nursery.run("train", "--config", "train.yaml", cwd=calm.path, **MEMORY_FOR_ONE)
    assert whole.code == 0, whole.text
    assert whole.text.count(told) == 1
    running = nursery.start("train", "--config", "train.yaml", cwd=begun.path, **MEMORY_FOR_ONE)
    while not (begun.weights / "last.pt").exists():
        assert nursery.code(running.pid) is None, running.log.read_text()
        time.sleep(0.005)
    running.kill_group(signal.SIGKILL)
    assert running.wait().code == -signal.SIGKILL
    resumed = nursery.run("resume", "runs/exp", cwd=begun.path, **MEMORY_FOR_ONE)
    assert resumed.code == 0, resumed.text
    assert told not in resumed.text, "the smaller parts were not kept"
    begun.assert_ends_like(calm)
    memory = [(event["slot"], event["micro_batch"]) for event in begun.events("memory")]
    assert memory == [(0, 1)]
    assert begun.steps() == through.steps(), "a step no longer learns from all of its pairs"


@pytest.mark.fault(23)
def test_smaller_parts_are_kept_by_a_resumed_run(training: Training) -> None:
    train = {"batch": 4, "save_every": {"steps": 1}, "epochs": 2}

    def smaller(slot: int) -> None:
        if slot == 1:
            training.session.runner.micro_batch = 2

    whole = training(smaller, train=train)
    assert whole.state["micro_batch"] == 2
    stopped = training.stopped_at(2, smaller, train=train)
    assert training(saved=stopped, train=train).weights_digest() == whole.weights_digest()
    assert training(train=train).weights_digest() != whole.weights_digest()


@pytest.mark.fault(27)
@pytest.mark.slow
def test_workers_need_no_room_under_dev_shm(training: Training) -> None:
    """They share anonymous memory: a container's /dev/shm of 64 kB changes nothing."""
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("a small /dev/shm needs a mount namespace")
    root = Path(__file__).parents[2]
    script = (
        "import sys; from pathlib import Path; from trainings import Training; "
        "home = Path(sys.argv[1]); t = Training(home, home / 'set' / 'data.yaml'); "
        "print(t(train={'workers': 2, 'imgsz': 320}).weights_digest())"
    )
    mount = 'mount -t tmpfs -o size=64k tmpfs /dev/shm && exec "$@"'
    command = [sys.executable, "-c", script, str(training.home)]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, "sh", *command],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{root}:{Path(__file__).parent}"},
        cwd=root,
        capture_output=True,
        text=True,
        timeout=240,
    )
    if "mount" in done.stderr and done.returncode in (1, 32):
        pytest.skip("mounting is not allowed here")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == training(train={"imgsz": 320}).weights_digest()
