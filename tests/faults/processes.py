"""Real processes of the command line, quickly: forked from one that has imported everything.

A test needs dozens of processes that are killed; importing torch in each would take longer than
what is tested. Run as a script, this file is the process that forks.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from fusetrain.launched import SIGNAL_AT_END_OF_PARENT

IMPORTED = (
    "fusetrain.cli.live",
    "fusetrain.runs.resuming",
    "fusetrain.checks.audit",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "torch._dynamo",  # of which every optimizer makes use
)
ROOT = Path(__file__).parents[2]


class Nursery:
    """Starts processes of the command line, each in a session of its own."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        )

    def start(self, *words: object, cwd: Path, **env: str) -> Running:
        """Start ``fusetrain WORDS``; what it prints goes to a file."""
        log = cwd / f".output.{time.monotonic_ns()}"
        order = {
            "words": [str(word) for word in words],
            "cwd": str(cwd),
            "env": dict(os.environ) | {"NO_COLOR": "1", "COLUMNS": "400"} | env,
            "log": str(log),
        }
        return Running(self, self._ask(order)["pid"], log)

    def run(self, *words: object, cwd: Path, **env: str) -> Ended:
        """Run ``fusetrain WORDS`` to its end."""
        return self.start(*words, cwd=cwd, **env).wait()

    def start_ranks(self, *words: object, cwd: Path, ranks: int = 2, **env: str) -> list[Running]:
        """Start ``fusetrain WORDS`` on some ranks, told their places as torchrun does."""
        with socket.socket() as port:
            port.bind(("127.0.0.1", 0))
            env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port.getsockname()[1])}
        env |= {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks)}
        return [
            self.start(*words, cwd=cwd, **env, RANK=str(rank), LOCAL_RANK=str(rank))
            for rank in range(ranks)
        ]

    def code(self, pid: int) -> int | None:
        """Return the exit code of a process, negative for a signal; None while it runs."""
        code: int | None = self._ask({"poll": pid})["code"]
        return code

    def close(self) -> None:
        self._server.communicate()

    def _ask(self, order: dict[str, Any]) -> Any:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, negative for a signal, and what it printed."""

    code: int
    text: str

    @property
    def sentences(self) -> str:
        """What was printed without the line breaks and edges of panels."""
        return " ".join(line.strip("│ ") for line in self.text.splitlines())


@dataclass(frozen=True)
class Running:
    """A process that was started."""

    nursery: Nursery
    pid: int
    log: Path

    def kill_group(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # it was only just forked, and has no group of its own yet
            os.kill(self.pid, number)

    def wait(self, seconds: float = 280) -> Ended:
        deadline = time.monotonic() + seconds
        while (code := self.nursery.code(self.pid)) is None:
            if time.monotonic() > deadline:
                self.kill_group(signal.SIGKILL)
                raise TimeoutError(self.log.read_text())
            time.sleep(0.01)
        self.log.touch()  # of a process that was killed before it wrote one
        text = self.log.read_text(encoding="utf-8", errors="replace")
        self.log.unlink()
        return Ended(code, text)


def serve() -> None:
    """Fork a process for each order on stdin; tell how one ended when asked."""
    for name in IMPORTED:
        import_module(name)
    from fusetrain.cli.app import run

    ended: dict[int, int] = {}
    for line in sys.stdin:
        order = json.loads(line)
        if "poll" in order:
            pid = order["poll"]
            if pid not in ended:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    ended[pid] = os.waitstatus_to_exitcode(status)
            answer = {"code": ended.get(pid)}
        else:
            pid = os.fork()
            if not pid:
                _become(order)
                code = run(order["words"])
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
            answer = {"pid": pid}
        print(json.dumps(answer), flush=True)


def _become(order: dict[str, Any]) -> None:
    """Turn this forked process into one of a user: own session, folder, environment, output.

    It is killed with the process that forked it.
    """
    os.setsid()
    ctypes.CDLL(None).prctl(SIGNAL_AT_END_OF_PARENT, signal.SIGKILL)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    log = os.open(order["log"], os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, target)


if __name__ == "__main__":
    serve()
