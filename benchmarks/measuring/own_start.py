"""Run one command of ours to its end, or a training to its first step; started by `startup.py`.

The command is run as from the command line. The answer in ``request["answer"]`` says when the first
step was done, and which of the modules that are asked for had been imported.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from fusetrain.cli.app import main as run_command

STEP_MODULE = "fusetrain.engine.step"


class EndAfterFirstStep(MetaPathFinder):
    """Lets the process answer and end when its first optimizer step is done.

    Training steps are changed once the command has imported them: imported before it, they would
    bring PyTorch, which the command imports while its child processes look at the data.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Find the module of training steps as all others would, and change what it runs."""
        if fullname != STEP_MODULE:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        assert spec is not None
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def execute_and_change(module: ModuleType) -> None:
            execute(module)
            self.change(module)

        spec.loader.exec_module = execute_and_change  # type: ignore[method-assign]
        return spec

    def change(self, module: Any) -> None:
        """Let the first step of a training be its last."""
        step = module.StepRunner.step

        def first_step(*args: Any, **options: Any) -> None:
            step(*args, **options)
            answer(self.request)
            os._exit(0)

        module.StepRunner.step = first_step


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
        sys.meta_path.insert(0, EndAfterFirstStep(request))
    sys.argv = ["fusetrain", *request["arguments"]]
    try:
        run_command()
    except SystemExit:
        answer(request)


if __name__ == "__main__":
    main()
