"""Rows 3 to 6: a signal at any time leaves a run that goes on as if none had come."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import ROOT, Nursery
from short_run import Home

from fusetrain.errors import AbortedError, StoppedError

TRAIN = ("train", "--config", "train.yaml")
STOPPED = StoppedError.exit_code


def wait_for(path: Path, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.fault(3)
@pytest.mark.parametrize("workers", [0, 2, 4])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_row03_signal_to_the_whole_group_spares_the_loader_workers(
    nursery: Nursery, through: Home, begun: Home, workers: int, number: signal.Signals
) -> None:
    running = nursery.start(*TRAIN, "--set", f"train.workers={workers}", cwd=begun.path)
    wait_for(begun.weights / "last.pt")
    running.kill_group(number)
    ended = running.wait()
    assert ended.code == STOPPED, ended.text
    assert "loader worker" not in ended.text
    resumed = nursery.run("resume", "runs/exp", cwd=begun.path)
    assert resumed.code == 0, resumed.text
    begun.assert_ends_like(through)


@pytest.mark.slow
@pytest.mark.fault(4)
@pytest.mark.parametrize(("presses", "code"), [(1, STOPPED), (2, AbortedError.exit_code)])
def test_row04_control_c_on_a_terminal(
    nursery: Nursery, through: Home, begun: Home, presses: int, code: int
) -> None:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ON_TERMINAL, *TRAIN],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=begun.path,
        start_new_session=True,
        env=os.environ | {"TERM": "xterm", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    os.close(theirs)
    wait_for(begun.weights / "last.pt")
    for _ in range(presses):
        os.write(ours, b"\x03")
        time.sleep(0.03)  # two signals that are pending at once are one
    shown = b""
    while process.poll() is None or shown[-1:] != b"":
        try:
            shown += os.read(ours, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
    os.close(ours)
    assert process.wait(60) == code, shown.decode()
    resumed = nursery.run("resume", "runs/exp", cwd=begun.path)
    assert resumed.code == 0, resumed.text
    begun.assert_ends_like(through)


# A session leader without a terminal takes the one that it opens first.
ON_TERMINAL = """
import os, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))
from fusetrain.cli.app import run
sys.exit(run(sys.argv[1:]))
"""

WHERE = {
    "training:begun": "before the first step",
    "validation:pair": "in the validation of an epoch",
    "last.pt:synced@2": "while a checkpoint is written",
    "best.safetensors:half-written": "while the best weights are written",
    "results.csv:renamed@3": "while the table is written",
    "validation:pair@5": "in the validation of the best weights",
    "figures:begun": "before the last figures",
    "figures:done": "after the last figures",
}
QUICK = ("figures:begun",)


@pytest.mark.fault(6)
@pytest.mark.parametrize(
    "point", [p if p in QUICK else pytest.param(p, marks=pytest.mark.slow) for p in WHERE]
)
def test_row06_signal_at_an_awkward_moment(
    nursery: Nursery, through: Home, stopped: Home, point: str
) -> None:
    name, at, count = point.partition("@")
    wanted = f"{name}=SIGTERM{at}{count}"
    words = ("resume", "runs/exp")
    ended = nursery.run(*words, cwd=stopped.path, FUSETRAIN_FAILPOINT=wanted)
    assert ended.code == STOPPED, ended.text
    assert "fusetrain resume" in ended.text
    resumed = nursery.run(*words, cwd=stopped.path)
    assert resumed.code == 0, resumed.text
    stopped.assert_ends_like(through)


@pytest.mark.slow
@pytest.mark.fault(6)
def test_row06_signal_before_the_first_step_of_a_new_run(
    nursery: Nursery, through: Home, begun: Home
) -> None:
    early = {"FUSETRAIN_FAILPOINT": "training:begun=SIGTERM"}
    assert nursery.run(*TRAIN, cwd=begun.path, **early).code == STOPPED
    assert begun.steps() == 1
    assert nursery.run("resume", "runs/exp", cwd=begun.path).code == 0
    begun.assert_ends_like(through)


@pytest.mark.slow
@pytest.mark.fault(6)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", [0.0, 0.2, 0.4, 0.6, 0.9])
def test_row06_signal_while_pairs_are_checked_and_torch_is_imported(
    begun: Home, number: signal.Signals, delay: float
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "fusetrain", *TRAIN, "--name", "early"],
        cwd=begun.path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("data: ")
    time.sleep(delay)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == STOPPED, told
    assert f"{number.name} came: nothing was begun" in told
    assert "Traceback" not in told
    assert "Exception ignored" not in told
    assert not (begun.path / "runs" / "early").exists()


@pytest.fixture
def scontrol(tmp_path: Path) -> Path:
    """A folder with a `scontrol` that writes down how it was called; and the file it writes to."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "scontrol"
    script.write_text(f'#!/bin/sh\necho "$@" >> "{folder}/calls"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return folder / "calls"


@pytest.mark.slow
@pytest.mark.fault(5)
def test_row05_slurm_job_is_put_back_once_and_goes_on_with_its_own_run(
    nursery: Nursery, through: Home, begun: Home, scontrol: Path
) -> None:
    job = {"SLURM_JOB_ID": "4711", "PATH": f"{scontrol.parent}:{os.environ['PATH']}"}
    warned = {"FUSETRAIN_FAILPOINT": "validation:pair=SIGUSR1"}
    ended = nursery.run(*TRAIN, cwd=begun.path, **job, **warned)
    assert ended.code == STOPPED, ended.text
    assert scontrol.read_text() == "requeue 4711\n"
    assert "job 4711 is back in the queue" in ended.text
    again = nursery.run(*TRAIN, cwd=begun.path, SLURM_RESTART_COUNT="1", **job)
    assert again.code == 0, again.text
    assert "this job was restarted; it goes on with" in again.text
    assert sorted(path.name for path in (begun.path / "runs").iterdir()) == ["exp", "latest"]
    assert scontrol.read_text() == "requeue 4711\n"
    begun.assert_ends_like(through)


@pytest.mark.slow
@pytest.mark.fault(5)
@pytest.mark.parametrize("difference", ["job", "settings", "first start"])
def test_row05_run_of_another_job_or_of_other_settings_is_left_alone(
    nursery: Nursery, begun: Home, difference: str
) -> None:
    stop = {"FUSETRAIN_FAILPOINT": "training:begun=SIGTERM", "SLURM_JOB_ID": "1"}
    assert nursery.run(*TRAIN, cwd=begun.path, **stop).code == STOPPED
    again = stop | {"SLURM_RESTART_COUNT": "1"}
    changed: tuple[str, ...] = ()
    if difference == "job":
        again["SLURM_JOB_ID"] = "2"
    elif difference == "settings":
        changed = ("--set", "train.seed=3")
    else:
        again["SLURM_RESTART_COUNT"] = "0"
    assert nursery.run(*TRAIN, *changed, cwd=begun.path, **again).code == STOPPED
    assert (begun.path / "runs" / "exp2").is_dir()


@pytest.mark.slow
@pytest.mark.fault(5)
def test_row05_scontrol_that_fails_is_told_and_loses_nothing(
    nursery: Nursery, begun: Home, scontrol: Path
) -> None:
    (scontrol.parent / "scontrol").write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    job = {"SLURM_JOB_ID": "4711", "PATH": f"{scontrol.parent}:{os.environ['PATH']}"}
    warned = {"FUSETRAIN_FAILPOINT": "validation:pair=SIGUSR1"}
    ended = nursery.run(*TRAIN, cwd=begun.path, **job, **warned)
    assert ended.code == STOPPED
    assert "could not be put back into the queue: not today" in ended.text
    assert begun.content()["state"]["batches"] == 2
