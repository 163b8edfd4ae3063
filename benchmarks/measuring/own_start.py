"""Run one command of ours to its end, or a training to its first step; started by `startup.py`.

The command is run as from the command line. The answer in ``request["answer"]`` says when the first
step was done, and which of the modules that are asked for had been imported.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from fusetrain.cli.app import main as run_command


def end_after_first_step(request: dict[str, Any]) -> None:
    """Let the process answer and end when its first optimizer step is done."""
    from fusetrain.engine.step import StepRunner

    step = StepRunner.step

    def first_step(*args: Any, **options: Any) -> None:
        step(*args, **options)
        answer(request)
        os._exit(0)

    StepRunner.step = first_step  # type: ignore[method-assign,assignment]


def answer(request: dict[str, Any]) -> None:
    """Write the time on the clock, the processor time of this process, and what is imported."""
    cpu_seconds = time.process_time()
    told = {
        "ends": [(0, time.perf_counter(), cpu_seconds)],
        "imported": [name for name in request["modules"] if name in sys.modules],
    }
    Path(request["answer"]).write_text(json.dumps(told), encoding="utf-8")


def main() -> None:
    request = json.loads(sys.argv[1])
    if request["is_training"]:
        end_after_first_step(request)
    sys.argv = ["fusetrain", *request["arguments"]]
    try:
        run_command()
    except SystemExit:
        answer(request)


if __name__ == "__main__":
    main()
