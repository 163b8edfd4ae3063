"""The place of a process among the ranks, as torchrun, srun and Kubernetes describe it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fusetrain.config.schema import Config
from fusetrain.errors import ConfigError
from fusetrain.launched import Place, cores_of_this_rank, first_host, job, launcher, place, restarts
from fusetrain.results.run_dir import RunDir
from fusetrain.runs.requeue import note_job, own_run

TORCHRUN = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "node1",
    "MASTER_PORT": "29500",
}
SLURM = {
    "SLURM_JOB_ID": "123456",
    "SLURM_STEP_ID": "0",
    "SLURM_PROCID": "3",
    "SLURM_NTASKS": "5",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_TASKS_PER_NODE": "2(x2),1",
    "SLURM_JOB_NODELIST": "gpu[07-09],login1",
}


def without(variables: dict[str, str], *names: str, **changed: str) -> dict[str, str]:
    return {key: value for key, value in variables.items() if key not in names} | changed


def test_process_without_a_launcher_is_alone() -> None:
    assert place({}) == Place()
    assert (launcher({}), restarts({}), job({})) == ("", 0, "")


def test_torchrun_is_understood() -> None:
    assert place(TORCHRUN) == Place(3, 4, 1, 2, "node1", 29500)
    assert launcher(TORCHRUN) == "torchrun"
    assert launcher(TORCHRUN | {"FUSETRAIN_LAUNCHER": "1"}) == "fusetrain"


def test_operator_of_kubernetes_names_neither_local_rank_nor_local_world() -> None:
    pod = without(TORCHRUN, "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    assert place(pod) == Place(3, 4, 0, 1, "node1", 29500)


def test_srun_is_understood() -> None:
    assert place(SLURM) == Place(3, 5, 1, 2, "gpu07", 20_000 + 123456 % 20_000)
    assert launcher(SLURM) == "srun"
    assert place(SLURM | {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "4000"}).address == "10.0.0.1"


def test_script_of_an_allocation_is_no_task_of_srun() -> None:
    script = without(SLURM, "SLURM_STEP_ID", SLURM_PROCID="0")
    assert place(script) == Place()
    assert place(without(SLURM, SLURM_NTASKS="1")) == Place()


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu[07-09],login1", "gpu07"),
        ("login1,gpu[07-09]", "login1"),
        ("node7", "node7"),
        ("a[3,5]-x", "a3-x"),
        ("rack-1-[02,04-05].cluster", "rack-1-02.cluster"),
        ("127.0.0.1", "127.0.0.1"),
        ("", ""),
    ],
)
def test_first_host_of_a_node_list(nodes: str, first: str) -> None:
    assert first_host(nodes) == first


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        (without(TORCHRUN, "RANK"), "RANK is not set"),
        (without(TORCHRUN, RANK="4"), "rank 4 of 4"),
        (without(TORCHRUN, RANK="-1"), "RANK is '-1'"),
        (without(TORCHRUN, WORLD_SIZE="many"), "WORLD_SIZE is 'many'"),
        (without(TORCHRUN, "MASTER_ADDR"), "MASTER_ADDR"),
        (without(SLURM, SLURM_PROCID="5"), "rank 5 of 5"),
    ],
)
def test_contradictions_are_errors_of_the_environment(variables: dict[str, str], word: str) -> None:
    with pytest.raises(ConfigError, match=word) as caught:
        place(variables)
    assert caught.value.where == "environment"


def test_ranks_of_a_host_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cores_of_this_rank(8) == 8
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    assert cores_of_this_rank(8) == 4
    assert cores_of_this_rank(1) == 1


def test_task_of_srun_has_cores_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    assert cores_of_this_rank(8) == 4
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "6")
    assert cores_of_this_rank(8) == 6
    assert cores_of_this_rank(2) == 2


@pytest.mark.parametrize(
    ("variables", "is_found"),
    [
        ({}, False),
        ({"TORCHELASTIC_RUN_ID": "abc", "TORCHELASTIC_RESTART_COUNT": "0"}, False),
        ({"TORCHELASTIC_RUN_ID": "abc", "TORCHELASTIC_RESTART_COUNT": "1"}, True),
        ({"TORCHELASTIC_RUN_ID": "other", "TORCHELASTIC_RESTART_COUNT": "1"}, False),
        ({"FUSETRAIN_JOB": "abc"}, True),
        ({"FUSETRAIN_JOB": "other"}, False),
    ],
)
def test_ranks_that_start_again_find_the_run_of_their_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, Any], is_found: bool
) -> None:
    config = Config.model_validate({"run": {"project": str(tmp_path)}})
    run = RunDir.create(tmp_path, "exp")
    run.write_config("")
    with monkeypatch.context() as first:
        first.setenv("FUSETRAIN_JOB", "abc")
        note_job(run, config)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = own_run(config)
    assert (found is not None and found.path == run.path) == is_found
