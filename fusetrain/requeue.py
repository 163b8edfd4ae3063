"""SLURM: a job that is warned of its end goes back into the queue, and goes on with its own run.

A job asks for the warning with ``#SBATCH --signal=USR1@120 --requeue``. Where there is no SLURM,
nothing here does anything.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

from fusetrain.config.load import effective_yaml
from fusetrain.config.schema import Config
from fusetrain.results.run_dir import RunDir

JOB, RESTARTS = "SLURM_JOB_ID", "SLURM_RESTART_COUNT"
EVENT = "job"
SECONDS = 60.0


def note_job(run: RunDir, config: Config) -> None:
    """Write into the log of a new run which job trains it, for the time after a restart."""
    if job := os.environ.get(JOB):
        run.event(EVENT, slurm=job, config=_digest(config))


def own_run(config: Config) -> RunDir | None:
    """Return the run that this job was training before it was restarted; None at a first start.

    Of several runs with the same settings an unfinished one counts first, then the newest.

    Args:
        config: The settings that the job asks for, as they were before the machine was looked at.
    """
    restarts, job = os.environ.get(RESTARTS, "0"), os.environ.get(JOB)
    if job is None or restarts in ("", "0"):
        return None
    mine = {"slurm": job, "config": _digest(config)}
    named = re.compile(re.escape(config.run.name) + r"\d*")
    project = Path(config.run.project)
    found = [
        run
        for path in (project.iterdir() if project.is_dir() else ())
        if named.fullmatch(path.name) and not path.is_symlink()
        for run in [RunDir(path.absolute())]
        if run.config.is_file()
        and any(mine.items() <= event.items() for event in run.events(EVENT))
    ]
    return max(found, key=_preference, default=None)


def requeue() -> str:
    """Put this job back into the queue; call it once, when all is saved.

    Returns:
        What there is to be said; empty where there is no SLURM.
    """
    job = os.environ.get(JOB)
    if job is None:
        return ""
    try:
        done = subprocess.run(
            ["scontrol", "requeue", job],
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"SLURM job {job} could not be put back into the queue: {error}"
    if done.returncode:
        return f"SLURM job {job} could not be put back into the queue: {done.stderr.strip()}"
    return f"SLURM job {job} is back in the queue; it will go on with this run"


def _preference(run: RunDir) -> tuple[bool, float]:
    return not run.events("end"), run.config.stat().st_mtime


def _digest(config: Config) -> str:
    """Return what identifies settings, wherever the working folder is."""
    data = None if config.data is None else str(Path(config.data).absolute())
    text = effective_yaml(config.model_copy(update={"data": data}))
    return hashlib.sha256(text.encode()).hexdigest()
