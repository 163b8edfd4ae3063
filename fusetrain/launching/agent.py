"""Start the ranks of a run on this host and watch over them, by torch's elastic agent.

Each rank is the same command in a process and a session of its own. The launcher passes signals on,
starts the group again where a rank died and may be replaced, and ends with the exit code that one
process would have. What the ranks say reaches the terminal from them, not from here.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Sequence

import torch
from torch.distributed.elastic.agent.server.api import RunResult, WorkerGroup, WorkerState
from torch.distributed.elastic.agent.server.api import WorkerSpec as RankSpec
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure
from torch.distributed.elastic.rendezvous import (
    RendezvousConnectionError,
    RendezvousParameters,
    RendezvousTimeoutError,
)
from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

from fusetrain import environment, launched
from fusetrain.errors import AbortedError, LostRankError, ResourceError, StoppedError
from fusetrain.launching.group import Group
from fusetrain.launching.network import interface_of, is_own, own_address
from fusetrain.launching.watch import Watch

# Exit codes that another try would only repeat, or that ask for no other try.
FINAL_CODES = (2, 3, 4, 5, 6, 7, StoppedError.exit_code, AbortedError.exit_code)

NO_ERROR_FILE = "<N/A>"
JOIN_SECONDS = 900
CONNECT_SECONDS = 300  # for the host of the meeting point to open it


def launch(words: Sequence[str], group: Group, *, note: Callable[[str], None]) -> int:
    """Run a command of fusetrain on every rank of a group and return its exit code.

    Args:
        words: The command line, without the program.
        group: The ranks.
        note: Is told in a sentence when the group starts again.

    Raises:
        ResourceError: There are fewer GPUs than ranks, a rank was killed, or hosts did not meet.
        StoppedError: A signal came before the ranks could note it.
    """
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    watch = Watch()
    with (
        tempfile.TemporaryDirectory(prefix="fusetrain-ranks-") as folder,
        environment.variables(_variables(group)),
        watch.listening(),
    ):
        try:
            agent = _agent(words, group, folder, watch=watch, note=note)
            result = agent.run()
        except SignalException as error:
            return 128 + error.sigval
        except (RendezvousConnectionError, RendezvousTimeoutError) as error:
            raise ResourceError(
                f"the hosts did not meet at {group.meeting_point or 'localhost'}: {error}",
                expected=f"{group.min_nodes} hosts that start the same command and reach --rdzv",
            ) from error
    return 0 if result is None or not result.is_failed() else _verdict(result, watch)


class _Agent(LocalElasticAgent):
    """torch's agent, which here passes signals on and starts again only what is worth it."""

    watch: Watch
    note: Callable[[str], None]

    def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult:
        self.watch.pids = tuple(worker.id for worker in worker_group.workers)
        self.watch.pass_on()
        result: RunResult = super()._monitor_workers(worker_group)
        if result.state == WorkerState.FAILED:
            codes = {failure.exitcode for failure in result.failures.values()}
            if self.watch.signal_number or codes.intersection(FINAL_CODES):
                self._remaining_restarts = 0
            elif self._remaining_restarts:
                most = worker_group.spec.max_restarts
                number = most - self._remaining_restarts + 1
                self.note(
                    f"{_what_happened(result.failures)}; the ranks start again, going on from "
                    f"what was saved (restart {number} of {most})"
                )
        return result


def _agent(
    words: Sequence[str],
    group: Group,
    folder: str,
    *,
    watch: Watch,
    note: Callable[[str], None],
) -> _Agent:
    """Return the agent that will run the ranks of this host."""
    endpoint = group.meeting_point or "127.0.0.1:0"
    is_host = is_own(endpoint) if group.node_rank is None else group.node_rank == 0
    parameters = RendezvousParameters(
        backend="c10d",
        endpoint=endpoint,
        run_id=f"fusetrain-{endpoint}" if group.meeting_point else uuid.uuid4().hex,
        min_nodes=group.min_nodes,
        max_nodes=group.max_nodes,
        local_addr=own_address(endpoint),
        timeout=JOIN_SECONDS,
        read_timeout=CONNECT_SECONDS,
        is_host=str(is_host),
    )
    spec = RankSpec(
        role="rank",
        local_world_size=group.num_ranks,
        entrypoint=sys.executable,
        # The agent fills in `$` variables of its own; ours are no templates.
        args=("-m", "fusetrain", *(word.replace("$", "$$") for word in words)),
        rdzv_handler=get_rendezvous_handler(parameters),
        max_restarts=group.max_restarts,
        monitor_interval=0.1,
        local_addr=own_address(endpoint),
    )
    agent = _Agent(spec, DefaultLogsSpecs(log_dir=folder))
    agent.watch, agent.note = watch, note
    return agent


def _verdict(result: RunResult, watch: Watch) -> int:
    """Return the exit code of ranks that have told why they failed; raise what none could tell.

    Raises:
        ResourceError: A rank was killed, or the ranks lost each other.
        StoppedError: The signal that came ended the ranks before they listened.
    """
    codes = [failure.exitcode for failure in result.failures.values()]
    # A rank that listens saves and ends with another code; it never gets a second SIGINT.
    if watch.signal_number and {-watch.signal_number, AbortedError.exit_code} & set(codes):
        raise watch.early()
    final = [code for code in codes if code in FINAL_CODES]
    if final:
        return final[0]
    killed = _killed(result.failures)
    told = any(failure.error_file != NO_ERROR_FILE for failure in result.failures.values())
    if not killed and told:
        return codes[0]
    kind = ResourceError if killed else LostRankError
    raise kind(
        _what_happened(result.failures),
        expected="ranks that live to the end; the kernel kills when memory runs out",
        remedy="`fusetrain resume RUN` goes on from the last save; --max-restarts N does by itself",
    )


def _what_happened(failures: dict[int, ProcessFailure]) -> str:
    killed = _killed(failures)
    if killed:
        rank, number = killed[0]
        return f"rank {rank} was killed by {signal.Signals(number).name}"
    return "a rank failed" if len(failures) == 1 else "the ranks lost each other"


def _killed(failures: dict[int, ProcessFailure]) -> list[tuple[int, int]]:
    """Return (rank, signal) of the ranks that a signal ended; those the agent ended come last."""
    found = [(rank, -failure.exitcode) for rank, failure in failures.items()]
    return sorted(
        ((rank, number) for rank, number in found if number > 0),
        key=lambda item: item[1] == signal.SIGTERM,
    )


def _variables(group: Group) -> dict[str, str]:
    """Return what the ranks find in their environment besides what the agent tells them."""
    variables = {launched.OWN_LAUNCHER: "1", "TORCHELASTIC_SIGNALS_TO_HANDLE": "SIGHUP,SIGQUIT"}
    if group.gpus:
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        names = seen.split(",") if seen else [str(n) for n in range(torch.cuda.device_count())]
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(names[number] for number in group.gpus)
    interface = interface_of(own_address(group.meeting_point)) if group.meeting_point else ""
    if interface and "GLOO_SOCKET_IFNAME" not in os.environ:
        variables["GLOO_SOCKET_IFNAME"] = interface
    return variables
