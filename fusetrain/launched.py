"""What the launcher of this process says about its place among the ranks, from the environment.

torchrun, `fusetrain train --devices` and Kubernetes operators set RANK and WORLD_SIZE; srun sets
SLURM_PROCID and SLURM_NTASKS. Nothing here imports torch or opens a connection; `distributed.py`
does.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from fusetrain.errors import ConfigError

OWN_LAUNCHER = "FUSETRAIN_LAUNCHER"
JOB = "FUSETRAIN_JOB"
FIRST_PORT = 20_000
NUM_PORTS = 20_000
SIGNAL_AT_END_OF_PARENT = 1  # PR_SET_PDEATHSIG of Linux
UNNAMED = ("", "none")  # what torchrun calls a job without an id of its own


@dataclass(frozen=True)
class Place:
    """The place of this process among the ranks.

    Attributes:
        rank: 0-based number of this process.
        world_size: Number of processes.
        local_rank: 0-based number among those on this host.
        local_world_size: Processes on this host that share its cores.
        address: Host of rank 0; empty in a world of one.
        port: Port there.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1
    address: str = ""
    port: int = 0

    @property
    def is_main(self) -> bool:
        """Return whether this rank writes and prints."""
        return self.rank == 0


def place(variables: Mapping[str, str] | None = None) -> Place:
    """Return the place that the environment gives to this process; alone, where it gives none.

    Args:
        variables: The environment; None takes that of this process.

    Raises:
        ConfigError: The variables contradict each other, or some are missing.
    """
    variables = os.environ if variables is None else variables
    if variables.get("WORLD_SIZE"):
        return _from_torchrun(variables)
    if _is_task_of_srun(variables):
        return _from_slurm(variables)
    return Place()


def launcher(variables: Mapping[str, str] | None = None) -> str:
    """Return who started this process as a rank: `fusetrain`, `torchrun`, `srun`; empty: nobody."""
    variables = os.environ if variables is None else variables
    if variables.get(OWN_LAUNCHER):
        return "fusetrain"
    if variables.get("WORLD_SIZE"):
        return "torchrun"
    return "srun" if _is_task_of_srun(variables) else ""


def restarts(variables: Mapping[str, str] | None = None) -> int:
    """Return how often torch's launcher has started this group of ranks anew."""
    variables = os.environ if variables is None else variables
    return _number(variables, "TORCHELASTIC_RESTART_COUNT", 0)


def job(variables: Mapping[str, str] | None = None) -> str:
    """Return the name of the job that this process belongs to, the same after a restart of it.

    FUSETRAIN_JOB names one; else torch's launcher does. Empty where there is none.
    """
    variables = os.environ if variables is None else variables
    if variables.get(JOB):
        return variables[JOB]
    run_id = variables.get("TORCHELASTIC_RUN_ID", "")
    return "" if run_id in UNNAMED else run_id


def available_cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cores_of_this_rank(available: int) -> int:
    """Return how many of the cores that this process may use are its share.

    A task of srun with `--cpus-per-task` is bound to cores of its own; else the ranks of a host
    share all of them.
    """
    if launcher() == "srun" and os.environ.get("SLURM_CPUS_PER_TASK"):
        return max(1, min(available, _number(os.environ, "SLURM_CPUS_PER_TASK", available)))
    return max(1, available // place().local_world_size)


def end_with_launcher() -> None:
    """Have this process stopped, resumable, should the launcher of ours that began it be killed."""
    if launcher() == "fusetrain" and sys.platform == "linux":
        ctypes.CDLL(None).prctl(SIGNAL_AT_END_OF_PARENT, signal.SIGTERM)


def first_host(node_list: str) -> str:
    """Return the first host of a SLURM node list such as ``node[03-05,9],login1``."""
    match = re.match(r"([^\[,]*)(?:\[(\d+)[^\]]*\]([^,]*))?", node_list)
    return "".join(part or "" for part in match.groups()) if match else ""


def _from_torchrun(variables: Mapping[str, str]) -> Place:
    world = _number(variables, "WORLD_SIZE", 1)
    rank = _number(variables, "RANK", 0 if world == 1 else None)
    found = Place(
        rank=rank,
        world_size=world,
        local_rank=_number(variables, "LOCAL_RANK", 0),
        local_world_size=_number(variables, "LOCAL_WORLD_SIZE", 1),
        address=variables.get("MASTER_ADDR", ""),
        port=_number(variables, "MASTER_PORT", 0),
    )
    if world > 1 and not (found.address and found.port):
        raise ConfigError(
            f"WORLD_SIZE is {world}, but MASTER_ADDR or MASTER_PORT is not set",
            where="environment",
            expected="host and port of rank 0, as torchrun sets them",
        )
    return _checked(found)


def _from_slurm(variables: Mapping[str, str]) -> Place:
    world = _number(variables, "SLURM_STEP_NUM_TASKS", None, "SLURM_NTASKS")
    job_id = _number(variables, "SLURM_JOB_ID", 0)
    nodes = variables.get("SLURM_STEP_NODELIST") or variables.get("SLURM_JOB_NODELIST", "")
    return _checked(
        Place(
            rank=_number(variables, "SLURM_PROCID", None),
            world_size=world,
            local_rank=_number(variables, "SLURM_LOCALID", 0),
            local_world_size=_slurm_local_world(variables, world),
            address=variables.get("MASTER_ADDR") or first_host(nodes) or "127.0.0.1",
            port=_number(variables, "MASTER_PORT", FIRST_PORT + job_id % NUM_PORTS),
        )
    )


def _is_task_of_srun(variables: Mapping[str, str]) -> bool:
    """Return whether srun started this process as one of several.

    The script of an allocation has the variables of the whole job as well, but no step.
    """
    tasks = variables.get("SLURM_STEP_NUM_TASKS") or variables.get("SLURM_NTASKS", "1")
    is_step = "SLURM_STEP_ID" in variables or "SLURM_JOB_ID" not in variables
    return tasks != "1" and "SLURM_PROCID" in variables and is_step


def _slurm_local_world(variables: Mapping[str, str], world: int) -> int:
    """Return the tasks of the step on this host, of which ``2(x3),1`` lists all hosts."""
    listed = variables.get("SLURM_STEP_TASKS_PER_NODE") or variables.get("SLURM_TASKS_PER_NODE", "")
    counts: list[int] = []
    for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", listed):
        counts += [int(count)] * int(times or 1)
    node = _number(variables, "SLURM_NODEID", 0)
    return counts[node] if node < len(counts) else world


def _number(variables: Mapping[str, str], name: str, default: int | None, instead: str = "") -> int:
    """Return a count of the environment; a default of None makes it, or ``instead``, required."""
    text = variables.get(name) or variables.get(instead) or ""
    if text.isdecimal():
        return int(text)
    if not text and default is not None:
        return default
    raise ConfigError(
        f"{name} is {text!r}" if text else f"{name} is not set",
        where="environment",
        expected="a whole number, as a launcher of several processes sets it",
    )


def _checked(found: Place) -> Place:
    for name, number, count in (
        ("rank", found.rank, found.world_size),
        ("local rank", found.local_rank, found.local_world_size),
    ):
        if not (number < count or (name == "local rank" and found.local_world_size == 1)):
            raise ConfigError(
                f"{name} {number} of {count} ranks does not exist",
                where="environment",
                expected=f"0 to {count - 1}",
            )
    return found
