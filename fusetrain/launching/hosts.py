"""Which hosts and processes a command asks for, and whether it has to start them itself.

Only settings and the environment are looked at; `launching.py` starts what is asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fusetrain import launched
from fusetrain.config.schema import Config
from fusetrain.errors import ConfigError, UsageError


@dataclass(frozen=True)
class Hosts:
    """The hosts that run a command together.

    Attributes:
        fewest: Hosts without which nothing starts.
        most: Hosts at most.
        meeting_point: ``host:port`` that all of them reach; empty for one host.
        node_rank: Number of this host; 0 opens the meeting point. None: whoever has its address.
    """

    fewest: int = 1
    most: int = 1
    meeting_point: str = ""
    node_rank: int | None = None

    @classmethod
    def named(cls, nnodes: str | None, rdzv: str | None, node_rank: int | None) -> Hosts:
        """Return the hosts that ``--nnodes``, ``--rdzv`` and ``--node-rank`` describe.

        Raises:
            ConfigError: A value is not possible.
            UsageError: Several hosts have no meeting point, or one host has one.
        """
        match = re.fullmatch(r"([1-9]\d*)(?::([1-9]\d*))?", nnodes or "1")
        fewest, most = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= fewest <= most:
            raise ConfigError(
                f"--nnodes {nnodes!r} is no number of hosts", expected="N or MIN:MAX, such as 2"
            )
        if rdzv is not None and not re.fullmatch(r"\S+:\d{1,5}", rdzv):
            raise ConfigError(f"--rdzv {rdzv!r} is no place to meet", expected="HOST:PORT")
        if node_rank is not None and not 0 <= node_rank < most:
            raise ConfigError(
                f"--node-rank {node_rank} of {most} hosts", expected=f"0 to {most - 1}"
            )
        if most > 1 and rdzv is None:
            raise UsageError("several hosts need a place to meet", remedy="--rdzv HOST:PORT")
        return cls(fewest, most, rdzv or "", node_rank)


def is_to_launch(config: Config, hosts: Hosts, *, is_asked: bool) -> bool:
    """Return whether this process starts ranks, rather than being one or running alone.

    Args:
        config: The settings.
        hosts: The hosts.
        is_asked: Whether ``--devices`` was given; then a task of srun starts ranks, too.
    """
    launcher = launched.launcher()
    if launcher in ("fusetrain", "torchrun"):
        return False
    if launcher == "srun" and not is_asked and not hosts.meeting_point:
        return False
    wants_several = config.train.devices not in (None, 1) or hosts.meeting_point != ""
    return wants_several or config.train.max_restarts > 0
