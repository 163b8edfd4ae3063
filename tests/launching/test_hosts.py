"""Which hosts and ranks a command asks for, and who starts them."""

from __future__ import annotations

from typing import Any

import pytest

from fusetrain.config.schema import Config
from fusetrain.errors import ConfigError, FusetrainError, ResourceError, UsageError
from fusetrain.launching.group import Group, group_of
from fusetrain.launching.hosts import Hosts, is_to_launch

TWO = Hosts(2, 2, "node1:29400")


def config_with(**train: Any) -> Config:
    return Config.model_validate({"train": {"device": "cpu"} | train})


def test_hosts_are_named_by_their_flags() -> None:
    assert Hosts.named(None, None, None) == Hosts()
    assert Hosts.named("2", "node1:29400", 1) == Hosts(2, 2, "node1:29400", 1)
    assert Hosts.named("1:4", "[::1]:29400", None) == Hosts(1, 4, "[::1]:29400")


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        (("0", None, None), ConfigError),
        (("3:2", "a:1", None), ConfigError),
        (("two", "a:1", None), ConfigError),
        (("2", "node1", None), ConfigError),
        (("2", "node1:29400", 2), ConfigError),
        (("2", None, None), UsageError),
    ],
)
def test_impossible_hosts_are_refused(flags: Any, kind: type[FusetrainError]) -> None:
    with pytest.raises(kind):
        Hosts.named(*flags)


@pytest.mark.parametrize(
    ("train", "hosts", "launcher", "is_asked", "expected"),
    [
        ({}, Hosts(), "", False, False),
        ({"devices": 1}, Hosts(), "", True, False),
        ({"devices": 2}, Hosts(), "", False, True),
        ({"devices": [0]}, Hosts(), "", False, True),
        ({"max_restarts": 1}, Hosts(), "", False, True),
        ({}, TWO, "", False, True),
        ({"devices": 2}, Hosts(), "WORLD_SIZE", False, False),
        ({"devices": 2}, Hosts(), "WORLD_SIZE", True, False),
        ({"devices": 2}, Hosts(), "SLURM_PROCID", False, False),
        ({"devices": 2}, Hosts(), "SLURM_PROCID", True, True),
        ({"devices": 2}, TWO, "SLURM_PROCID", False, True),
    ],
)
def test_ranks_are_started_once(
    monkeypatch: pytest.MonkeyPatch,
    train: Any,
    hosts: Hosts,
    launcher: str,
    is_asked: bool,
    expected: bool,
) -> None:
    if launcher:
        monkeypatch.setenv(launcher, "1")
        monkeypatch.setenv("SLURM_NTASKS", "2")
    assert is_to_launch(config_with(**train), hosts, is_asked=is_asked) == expected


def test_group_has_the_ranks_of_the_config() -> None:
    assert group_of(config_with(devices=2, max_restarts=3), Hosts()) == Group(2, (), 3)
    group = group_of(config_with(devices=4), Hosts(1, 2, "node1:29400", 1))
    assert (group.num_ranks, group.min_nodes, group.max_nodes, group.node_rank) == (4, 1, 2, 1)


@pytest.mark.parametrize(
    ("train", "hosts", "kind", "word"),
    [
        ({"devices": 3}, Hosts(), ConfigError, "over 3 ranks"),
        ({"devices": 3}, TWO, ConfigError, "over 6 ranks"),
        ({"devices": [0, 1]}, Hosts(), ConfigError, "asks for 2 GPUs"),
        ({"devices": 2, "device": "cuda:0"}, Hosts(), ConfigError, "train.device for cuda:0"),
        ({"devices": [0, 999], "device": "cuda"}, Hosts(), ResourceError, "is not there"),
    ],
)
def test_group_that_cannot_be_is_refused(
    train: Any, hosts: Hosts, kind: type[FusetrainError], word: str
) -> None:
    with pytest.raises(kind, match=word):
        group_of(config_with(**train), hosts)
