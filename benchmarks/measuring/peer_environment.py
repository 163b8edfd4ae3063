"""Make the environment of the peer, apart from ours: `benchmarks/.env`.

Ultralytics is under the AGPL. It is installed from the package index and run as a program of its
own; nothing of it is imported by, or copied into, this project.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".env"
SAME_AS_OURS = ("torch", "torchvision")
# What `fusetrain` sets for itself: glibc keeps blocks that were freed, in huge pages.
KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "1099511627776",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}


def peer_python(pip_args: str) -> Path:
    """Return the interpreter of the peer's environment, made on first use.

    It gets the torch and torchvision of this environment, so that both sides compute with the same
    kernels.

    Args:
        pip_args: Further arguments of ``pip install``, as a shell would write them.
    """
    same = [f"{name}=={version(name).partition('+')[0]}" for name in SAME_AS_OURS]
    packages = [*same, "ultralytics"]
    python = FOLDER / "bin" / "python"
    ready = FOLDER / ".ready"
    wanted = "\n".join(packages)
    if not ready.is_file() or ready.read_text(encoding="utf-8") != wanted:
        print(f"installing {', '.join(packages)} into {FOLDER}", file=sys.stderr)
        make = [sys.executable, "-m", "venv", "--clear", str(FOLDER)]
        fill = [str(python), "-m", "pip", "install", *shlex.split(pip_args), *packages]
        for command in (make, fill):
            subprocess.run(command, check=True, stdout=sys.stderr)
        ready.write_text(wanted, encoding="utf-8")
    return python


def offline(home: Path) -> dict[str, str]:
    """Return the variables with which the peer stays offline and leaves nothing in our home.

    Args:
        home: Folder for its settings; made if it is not there.
    """
    home.mkdir(parents=True, exist_ok=True)
    return {
        "YOLO_OFFLINE": "true",
        "YOLO_AUTOINSTALL": "false",
        "YOLO_CONFIG_DIR": str(home),
        "MPLCONFIGDIR": str(home),
        "WANDB_MODE": "disabled",
    }
