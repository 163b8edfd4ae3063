"""Several processes at once: the flags of `train` and `resume` for them, and who prints.

What a launcher says in the environment is read by `launched.py`; ranks are started by
`launching.py`.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fusetrain.cli.console import stderr_console, visible
from fusetrain.config.schema import Config
from fusetrain.launched import place
from fusetrain.launching.hosts import Hosts, is_to_launch

Devices = Annotated[
    str | None,
    typer.Option("--devices", metavar="N|LIST", help="Processes on this host, or its GPUs: 0,2."),
]
MaxRestarts = Annotated[
    int | None,
    typer.Option("--max-restarts", metavar="N", help="Start killed processes again, and go on."),
]
Nodes = Annotated[
    str | None,
    typer.Option("--nnodes", metavar="N|MIN:MAX", help="Hosts that run this same command."),
]
MeetingPoint = Annotated[
    str | None, typer.Option("--rdzv", metavar="HOST:PORT", help="Where the hosts meet.")
]
NodeRank = Annotated[
    int | None,
    typer.Option("--node-rank", metavar="N", help="Number of this host; 0 opens the --rdzv."),
]


def launch_ranks(context: typer.Context, settings: Config, hosts: Hosts) -> None:
    """Run this same command on every rank, and end with the exit code of them all."""
    from fusetrain.launching.agent import launch
    from fusetrain.launching.group import group_of

    group = group_of(settings, hosts)
    raise typer.Exit(launch(context.find_root().obj, group, note=lambda text: say(f"note: {text}")))


def ranks_in_all(settings: Config, hosts: Hosts) -> int:
    """Return how many processes would train together if this command did train."""
    if not is_to_launch(settings, hosts, is_asked=True):
        return place().world_size
    from fusetrain.launching.group import group_of

    group = group_of(settings, hosts)
    return group.num_ranks * group.max_nodes


def as_sets(name: str | None, devices: str | None, max_restarts: int | None) -> list[str]:
    """Return the settings that have a flag of their own."""
    sets = [] if name is None else [f"run.name={json.dumps(name, ensure_ascii=False)}"]
    if devices is not None:
        sets.append(f"train.devices={f'[{devices}]' if ',' in devices else devices}")
    return sets if max_restarts is None else [*sets, f"train.max_restarts={max_restarts}"]


def say(text: str) -> None:
    """Print a line on the main rank, which no width of the terminal breaks."""
    if place().is_main:
        stderr_console().print(visible(text), markup=False, soft_wrap=True)
