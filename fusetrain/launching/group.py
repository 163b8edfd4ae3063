"""The ranks to start on this host, and whether it has what they need."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fusetrain import build
from fusetrain.config.schema import Config
from fusetrain.errors import ConfigError, ResourceError
from fusetrain.launching.hosts import Hosts


@dataclass(frozen=True)
class Group:
    """The ranks to start here, and the hosts that they meet.

    Attributes:
        num_ranks: Ranks on this host.
        gpus: GPUs to use; empty takes them from the first on.
        max_restarts: How often the group is started again after a rank died.
        min_nodes: Hosts without which the group does not start.
        max_nodes: Hosts at most.
        meeting_point: ``host:port`` that every host can reach; empty for one host.
        node_rank: Number of this host; 0 opens the meeting point. None: whoever has its address.
    """

    num_ranks: int
    gpus: tuple[int, ...] = ()
    max_restarts: int = 0
    min_nodes: int = 1
    max_nodes: int = 1
    meeting_point: str = ""
    node_rank: int | None = None


def group_of(config: Config, hosts: Hosts) -> Group:
    """Return the ranks that a config asks for on this host.

    Raises:
        ConfigError: The batch cannot be dealt out over them, or GPUs are named and not used.
        ResourceError: There are fewer GPUs than ranks.
    """
    train = config.train
    gpus = tuple(train.devices) if isinstance(train.devices, list) else ()
    ranks = len(gpus) if gpus else int(train.devices or 1)  # type: ignore[arg-type]
    group = Group(
        ranks,
        gpus,
        max_restarts=train.max_restarts,
        min_nodes=hosts.fewest,
        max_nodes=hosts.most,
        meeting_point=hosts.meeting_point,
        node_rank=hosts.node_rank,
    )
    _require_devices(group, train.device)
    build.require_dealt_batch(config, ranks * hosts.most)
    return group


def _require_devices(group: Group, device: str) -> None:
    """Check that each rank can have a device of its own.

    Raises:
        ConfigError: GPUs are named, but training runs on a CPU or on one GPU.
        ResourceError: There are fewer GPUs than are asked for.
    """
    count = torch.cuda.device_count() if device != "cpu" else 0
    on_gpus = device == "cuda" or (device == "auto" and count > 0)
    if ":" in device or (group.gpus and not on_gpus):
        raise ConfigError(
            f"train.devices asks for {group.num_ranks} GPUs, train.device for {device}"
            if ":" in device or device == "cpu"
            else "train.devices lists GPUs, but there are none",
            expected="train.device: auto or cuda; or, on a CPU, a number of processes",
        )
    missing = [number for number in group.gpus or range(group.num_ranks) if number >= count]
    if on_gpus and missing:
        raise ResourceError(
            f"GPU {missing[0]} is not there: {count or 'no'} CUDA devices are visible",
            remedy=f"--devices {count or 1}, or --set train.device=cpu",
        )
