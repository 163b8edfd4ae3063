"""Several processes as one: the same training, one voice, the exit codes of one process."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import fusetrain as package
from fusetrain.data.demo import write_demo
from fusetrain.engine.checkpoint import read_newest

from .conftest import TINY, Command, environment

TORCHRUN = ("-m", "torch.distributed.run", "--standalone")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def odd_config(tmp_path: Path) -> Path:
    """A config over 17 training pairs: of the last batch of four one pair is left."""
    write_demo(tmp_path / "odd", num_pairs=21)
    path = tmp_path / "train.yaml"
    path.write_text(TINY.format(data=tmp_path / "odd" / "data.yaml", project=tmp_path / "runs"))
    return path


def rows(run: Path) -> list[dict[str, float]]:
    with (run / "results.csv").open() as file:
        return [{key: float(cell) for key, cell in row.items()} for row in csv.DictReader(file)]


def history(run: Path) -> list[dict[str, float]]:
    content, _, _ = read_newest(run / "weights")
    return list(content["state"]["history"])


def test_two_ranks_equal_one_with_shared_batch_statistics(
    odd_config: Path, tmp_path: Path, fusetrain: Command
) -> None:
    words = (
        *("train", "--config", odd_config, "--set", "train.amp=false"),
        *("--set", "train.sync_bn=true", "--set", "train.epochs=2"),
        *("--set", "schedule.warmup.epochs=2"),
        # What is rounded otherwise grows with each step, on some processors beyond 1e-5 at 1e-3.
        *("--set", "optim.lr0=1e-4"),
    )
    one = fusetrain(*words, "--name", "one", timeout=600)
    two = fusetrain(*words, "--name", "two", "--devices", "2", timeout=600)
    assert one.returncode == two.returncode == 0, one.stderr + two.stderr
    assert two.stderr.count("pairs: 17 train") == 1
    alone, shared = (history(tmp_path / "runs" / name) for name in ("one", "two"))
    for term in ("box", "cls", "dfl"):
        assert shared[0][f"train/{term}_loss"] == pytest.approx(
            alone[0][f"train/{term}_loss"], rel=1e-5
        )
    for row, other in zip(alone, shared, strict=True):
        for column in (name for name in row if name.startswith("lr")):
            assert row[column] == other[column]


VALIDATE = """
import json, sys
from pathlib import Path
from fusetrain import build, distributed
from fusetrain.runs import batches
from fusetrain.config.load import load_config
from fusetrain.runs.session import assemble, choose_machine, loss_of

config = load_config(Path(sys.argv[1])).placed()
machine = choose_machine(config)
machine.apply()
config = build.resolved(config, machine)
data = build.open_data(config)
with distributed.process_group(machine.device):
    session = assemble(config, data, machine)
    judge = batches.BatchSource(config, data, machine).validator(loss_of(config))
    found = judge(session.detector, "both", lambda: False)
    metrics = found.metrics
    numbers = [metrics.precision, metrics.recall, metrics.map50, metrics.map50_95, *found.losses]
    if distributed.is_main():
        print(json.dumps([numbers, sorted(found.found.scores.tolist())[-500:]]))
"""


def test_validation_of_the_same_weights_is_the_same_on_any_number_of_ranks(
    odd_config: Path, tmp_path: Path
) -> None:
    data = tmp_path / "odd" / "data.yaml"
    data.write_text(data.read_text().replace("val: images/val", "val: images/train"))
    script = tmp_path / "validate.py"
    script.write_text(VALIDATE)
    found = []
    for launcher in ((), (*TORCHRUN, "--nproc-per-node=2")):
        done = subprocess.run(
            [sys.executable, *launcher, script, odd_config],
            env=environment() | {"PYTHONPATH": str(Path(package.__file__).parents[1])},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    (one, scores), (two, other_scores) = found
    assert one[4] > 0
    assert len(scores) > 100
    assert two == pytest.approx(one, rel=1e-9, abs=1e-12)
    assert other_scores == scores


@contextmanager
def launched(config: Path, *words: object) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Start a training on two ranks that saves each step; yield it once it has saved, and ranks."""
    command = [
        *(sys.executable, "-m", "fusetrain", "train", "--config", str(config), "--devices", "2"),
        *("--set", "train.save_every={steps: 1, epochs: 1}", *map(str, words)),
    ]
    process = subprocess.Popen(
        command, env=environment(), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 400
        while not (config.parent / "runs" / "exp" / "weights" / "last.prev.pt").exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline, "no checkpoint came"
            time.sleep(0.02)
        yield process, ranks_of(process)
    finally:
        process.kill()
        process.communicate()


def ranks_of(process: subprocess.Popen[str]) -> list[int]:
    """Return the processes of the ranks, in their order."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    places = {}
    for child in map(int, children):
        variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        found = [value[5:] for value in variables if value.startswith(b"RANK=")]
        if found:
            places[int(found[0])] = child
    return [pid for _, pid in sorted(places.items())]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_to_the_launcher_stops_all_ranks_resumable(
    tiny_config: Path, fusetrain: Command, number: signal.Signals
) -> None:
    with launched(tiny_config, "--set", "train.epochs=40") as (process, ranks):
        assert len(ranks) == 2
        os.killpg(process.pid, number)
        _, message = process.communicate(timeout=120)
    assert process.returncode == 75, message
    assert message.count("Stopped") == 1
    assert message.count("stopping after this step") == 1
    assert not any(Path(f"/proc/{rank}").exists() for rank in ranks)


def test_second_interrupt_ends_all_ranks_at_once(tiny_config: Path) -> None:
    with launched(tiny_config, "--set", "train.epochs=40") as (process, ranks):
        os.kill(ranks[1], signal.SIGSTOP)  # no step will ever end
        os.kill(process.pid, signal.SIGINT)
        time.sleep(1)
        os.kill(process.pid, signal.SIGINT)
        _, message = process.communicate(timeout=60)
    assert process.returncode == 130, message
    content, _, _ = read_newest(tiny_config.parent / "runs" / "exp" / "weights")
    assert content["state"]["slot"] >= 1


def test_launcher_that_is_killed_leaves_no_ranks_and_a_run_to_resume(tiny_config: Path) -> None:
    with launched(tiny_config, "--set", "train.epochs=40") as (process, ranks):
        process.kill()
        deadline = time.monotonic() + 60
        while any(Path(f"/proc/{rank}").exists() for rank in ranks):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    content, _, _ = read_newest(tiny_config.parent / "runs" / "exp" / "weights")
    assert content["state"]["slot"] >= 1


def test_error_of_one_rank_is_told_once_and_passes_through_the_launcher(tmp_path: Path) -> None:
    write_demo(tmp_path / "set", num_pairs=20)
    config = tmp_path / "train.yaml"
    config.write_text(TINY.format(data=tmp_path / "set" / "data.yaml", project=tmp_path / "runs"))
    reads_each_time = ("--set", "train.cache=none")  # so that the lost picture is missed
    words = ("--set", "train.epochs=40", "--max-restarts", "2", *reads_each_time)
    with launched(config, *words) as (process, _):
        gone = next((tmp_path / "set" / "images" / "train").iterdir())
        gone.unlink()
        started = time.monotonic()
        _, message = process.communicate(timeout=200)
    assert process.returncode == 4, message
    assert time.monotonic() - started < 120
    assert message.count("─ Data") == 1
    assert gone.name in message
    assert "Traceback" not in message


def test_part_that_a_stage_freezes_is_the_same_on_all_ranks_and_after_a_stop(
    tiny_config: Path, fusetrain: Command
) -> None:
    """A part that stands still normalises by its statistics, which the ranks gathered alone."""
    stages = "train.stages=[{epochs: 1}, {epochs: 2, freeze: [backbone_ir]}]"
    words = ("--set", stages, "--set", "train.amp=false")
    whole = fusetrain(
        *("train", "--config", tiny_config, "--devices", "2", "--name", "whole", *words),
        timeout=600,
    )
    assert whole.returncode == 0, whole.stderr
    runs = tiny_config.parent / "runs"
    with launched(tiny_config, *words) as (process, _):
        while not in_last_epoch(runs / "exp"):
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGTERM)
        _, message = process.communicate(timeout=120)
    assert process.returncode == 75, message
    rest = fusetrain("resume", runs / "exp", "--devices", "2", timeout=600)
    assert rest.returncode == 0, rest.stderr
    one, other = (read_newest(runs / name / "weights")[0]["model"] for name in ("whole", "exp"))
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def in_last_epoch(run: Path) -> bool:
    """Return whether a run of three epochs has saved a step of the last one."""
    state = read_newest(run / "weights")[0]["state"]
    return bool(state["epoch"] == 2 and state["batches"])


def test_divergence_exits_7_as_in_one_process(tiny_config: Path, fusetrain: Command) -> None:
    done = fusetrain(
        *("train", "--config", tiny_config, "--devices", "2", "--set", "optim.lr0=1e30"),
        *("--set", "train.epochs=20", "--set", "train.clip_norm=0"),
        timeout=600,
    )
    assert done.returncode == 7, done.stderr
    assert done.stderr.count("─ Diverged") == 1


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_tasks_of_srun_train_together_and_go_on_with_one_less(
    tiny_config: Path, tmp_path: Path, fusetrain: Command
) -> None:
    port = free_port()

    def task(number: int) -> subprocess.Popen[str]:
        variables = {
            **{"SLURM_STEP_ID": "0", "SLURM_PROCID": str(number), "SLURM_NTASKS": "2"},
            **{"SLURM_LOCALID": str(number), "SLURM_TASKS_PER_NODE": "2", "SLURM_JOB_ID": "77"},
            **{"SLURM_JOB_NODELIST": "127.0.0.1", "MASTER_PORT": str(port)},
        }
        command = [sys.executable, "-m", "fusetrain", "train", "--config", str(tiny_config)]
        return subprocess.Popen(
            [*command, "--set", "train.epochs=1"],
            env=environment() | variables,
            stderr=subprocess.PIPE,
            text=True,
        )

    tasks = [task(number) for number in (0, 1)]
    messages = [process.communicate(timeout=400)[1] for process in tasks]
    assert [process.returncode for process in tasks] == [0, 0], messages
    assert "pairs: 16 train" in messages[0]
    assert messages[1] == ""
    more = fusetrain("resume", tmp_path / "runs" / "exp", "--set", "train.epochs=2", timeout=400)
    assert more.returncode == 0, more.stderr
    assert "world_size 2 -> 1" in more.stderr
    assert [row["epoch"] for row in rows(tmp_path / "runs" / "exp")] == [1, 2]


@contextmanager
def two_hosts() -> Iterator[list[tuple[list[str], list[str]]]]:
    """For each of two hosts what a command starts with, and where the hosts meet.

    They are two network namespaces with a cable between them, 10.77.0.1 and 10.77.0.2; where these
    are refused, two nodes that meet on the loopback, each with an agent of its own.
    """
    names = (f"fuse{os.getpid()}a", f"fuse{os.getpid()}b")
    steps = [
        *(f"netns add {name}" for name in names),
        f"link add {names[0]} type veth peer name {names[1]}",
        *(f"link set {name} netns {name}" for name in names),
        *(f"-n {name} addr add 10.77.0.{n}/24 dev {name}" for n, name in enumerate(names, 1)),
        *(f"-n {name} link set {dev} up" for name in names for dev in ("lo", name)),
    ]
    made = False
    try:
        for step in steps:
            made = (
                shutil.which("ip") is not None
                and not subprocess.run(
                    ["ip", *step.split()], capture_output=True, check=False
                ).returncode
            )
            if not made:
                break
        if not made:
            point = ["--rdzv", f"127.0.0.1:{free_port()}", "--node-rank"]
            yield [([], [*point, str(number)]) for number in (0, 1)]
            return
        for name in names:  # no name server answers there, and waiting for one takes minutes
            files = Path("/etc/netns") / name
            files.mkdir(parents=True)
            (files / "hosts").write_text("127.0.0.1 localhost\n10.77.0.1 one\n10.77.0.2 two\n")
            (files / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        meeting = ["--rdzv", "10.77.0.1:29400"]
        yield [(["ip", "netns", "exec", name], meeting) for name in names]
    finally:
        for name in names if shutil.which("ip") else ():
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
            shutil.rmtree(Path("/etc/netns") / name, ignore_errors=True)


def test_two_hosts_train_together(tiny_config: Path, tmp_path: Path) -> None:
    with two_hosts() as places:
        hosts = [
            subprocess.Popen(
                [
                    *(*prefix, sys.executable, "-m", "fusetrain", "train"),
                    *("--config", str(tiny_config), "--set", "train.epochs=1"),
                    *("--devices", "1", "--nnodes", "2", *meeting),
                ],
                env=environment(),
                stderr=subprocess.PIPE,
                text=True,
            )
            for prefix, meeting in places
        ]
        messages = [process.communicate(timeout=600)[1] for process in hosts]
    assert [process.returncode for process in hosts] == [0, 0], messages
    assert sum("pairs: 16 train" in message for message in messages) == 1
    assert [path.name for path in (tmp_path / "runs").iterdir() if path.is_dir()].count("exp") == 1
    content, _, _ = read_newest(tmp_path / "runs" / "exp" / "weights")
    assert content["context"]["world_size"] == 2
