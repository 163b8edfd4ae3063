"""A job that is restarted goes on with its own run; under SLURM it first asks for the restart.

A SLURM job asks to be warned of its end with ``#SBATCH --signal=USR1@120 --requeue``. Ranks that
torch's launcher starts again, and a job named by FUSETRAIN_JOB, find their run as well. Where there
is neither, nothing here does anything.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

from fusetrain import launched
from fusetrain.config.load import effective_yaml
from fusetrain.config.schema import Config
from fusetrain.results.run_dir import RunDir

JOB, RESTARTS = "SLURM_JOB_ID", "SLURM_RESTART_COUNT"
EVENT = "job"
SECONDS = 60.0


def note_job(run: RunDir, config: Config) -> None:
    """Write into the log of a new run which job trains it, for the time after a restart."""
    if marks := dict(mark for mark, _ in _marks()):
        run.event(EVENT, **marks, config=_digest(config))


def own_run(config: Config) -> RunDir | None:
    """Return the run that this job was training before it was restarted; None at a first start.

    Of several runs with the same settings an unfinished one counts first, then the newest.

    Args:
        config: The settings that the job asks for, as they were before the machine was looked at.
    """
    mine = {mark for mark, is_restarted in _marks() if is_restarted}
    if not mine:
        return None
    digest = _digest(config)
    named = re.compile(re.escape(config.run.name) + r"\d*")
    project = Path(config.run.project)
    found = [
        run
        for path in (project.iterdir() if project.is_dir() else ())
        if named.fullmatch(path.name) and not path.is_symlink()
        for run in [RunDir(path.absolute())]
        if run.config.is_file()
        and any(
            event.get("config") == digest and any(event.get(key) == job for key, job in mine)
            for event in run.events(EVENT)
        )
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


def _marks() -> list[tuple[tuple[str, str], bool]]:
    """Return what names this job, as (key, value), and whether that job was restarted."""
    marks = []
    if job := os.environ.get(JOB):
        marks.append((("slurm", job), os.environ.get(RESTARTS, "0") not in ("", "0")))
    if name := launched.job():
        is_restarted = launched.restarts() > 0 or bool(os.environ.get(launched.JOB))
        marks.append((("job", name), is_restarted))
    return marks


def _preference(run: RunDir) -> tuple[bool, float]:
    return not run.events("end"), run.config.stat().st_mtime


def _digest(config: Config) -> str:
    """Return what identifies settings, wherever the working folder is."""
    data = None if config.data is None else str(Path(config.data).absolute())
    text = effective_yaml(config.model_copy(update={"data": data}))
    return hashlib.sha256(text.encode()).hexdigest()
