"""Where the benchmark scripts lie, and how a test runs one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"


def run(script: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    paths = filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)},
        timeout=240,
    )
