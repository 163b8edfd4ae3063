"""From a run folder or a config to findings, the cause before what follows from it.

What could not be looked at, such as a data set that was moved, is told beside the findings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusetrain.build import plan_for_pairs
from fusetrain.config.load import load_config
from fusetrain.diagnose.data_look import DataLook, look_at
from fusetrain.diagnose.data_rules import judge_data
from fusetrain.diagnose.evidence import Evidence
from fusetrain.diagnose.learning_rules import judge_learning
from fusetrain.diagnose.rate_rules import judge_rates
from fusetrain.diagnose.speed_rules import judge_speed
from fusetrain.diagnose.stream_rules import judge_streams
from fusetrain.diagnose.symptoms import RANK, Diagnosis
from fusetrain.errors import FusetrainError
from fusetrain.results.lr_table import read_cells
from fusetrain.results.run_dir import RunDir
from fusetrain.results.run_lock import is_held
from fusetrain.results.run_table import require_table
from fusetrain.rules import config_checks, require_data
from fusetrain.runs.logged import departures_of, open_run, plan_of_run

Look = Callable[[Path], DataLook]
RULES: tuple[Callable[[Evidence], Iterator[Diagnosis]], ...] = (
    judge_data,
    judge_rates,
    judge_streams,
    judge_learning,
    judge_speed,
)


@dataclass(frozen=True)
class Examination:
    """What a diagnosis found.

    Attributes:
        subject: The run folder or config file.
        findings: What is wrong, causes first.
        looked_at: What was looked at, in words.
        unseen: What could not be looked at, and why.
    """

    subject: Path
    findings: tuple[Diagnosis, ...]
    looked_at: tuple[str, ...]
    unseen: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON types."""
        return {
            "subject": str(self.subject),
            "findings": [
                {
                    "code": item.code,
                    "group": item.symptom.group,
                    "meaning": item.symptom.meaning,
                    "evidence": item.evidence,
                    "cause": item.symptom.cause,
                    "remedy": item.remedy,
                    "numbers": dict(item.numbers),
                }
                for item in self.findings
            ],
            "looked_at": list(self.looked_at),
            "unseen": list(self.unseen),
        }


def examine_run(path: Path, *, look: Look = look_at) -> Examination:
    """Say what is wrong with a run.

    Args:
        path: The run folder, a pointer to it or its checkpoint.
        look: Data YAML or folder to what the data set looks like.

    Raises:
        RunError: There is no run, or its table is lost or cannot be read.
        ConfigError: Its config is wrong.
    """
    run = RunDir.open(path)
    require_table(run)
    unseen: list[str] = []
    config = load_config(run.config, checks=[config_checks]).placed()
    events = run.events()
    logged = open_run(run.path) if run.csv.is_file() else None
    data = _seen_data(Path(str(config.data)), unseen, look)
    num_pairs = _pairs_at_start(events) or (data.splits["train"].pairs if data else None)
    planned = plan_of_run(logged) if logged else None
    plan = planned.plan if planned else None
    if plan is None and num_pairs:
        plan = plan_for_pairs(config, num_pairs)
    if logged is None:
        unseen.append("results.csv: no epoch was finished")
    if not any(event.get("event") == "epoch" for event in events):
        unseen.append("events.jsonl: no epoch tells what it cost, so that speed cannot be judged")
    evidence = Evidence(
        config=config,
        config_path=run.config,
        plan=plan,
        num_pairs=num_pairs,
        run=run.path,
        table=read_cells(run.csv) if logged else {},
        events=events,
        departures=departures_of(logged, planned) if logged and planned else (),
        data=data,
        is_running=is_held(run.path / ".lock"),
    )
    looked_at = [f"{evidence.num_epochs} epochs of results.csv", f"{len(events)} events"]
    return _examined(evidence, run.path, [*looked_at, *_seen(data)], unseen)


def examine_config(path: Path, sets: Sequence[str] = (), *, look: Look = look_at) -> Examination:
    """Say what can be said of a training before it begins.

    Raises:
        ConfigError: The config is wrong, or names no data set.
    """
    config = load_config(path, sets, checks=[config_checks]).placed()
    unseen: list[str] = []
    data = _seen_data(require_data(config), unseen, look)
    num_pairs = data.splits["train"].pairs if data else None
    evidence = Evidence(
        config=config,
        config_path=path,
        plan=plan_for_pairs(config, num_pairs) if num_pairs else None,
        num_pairs=num_pairs,
        data=data,
    )
    return _examined(evidence, path, ["the config", *_seen(data)], unseen)


def judged(evidence: Evidence) -> tuple[Diagnosis, ...]:
    """Return what all rules find, in the order of the table; one finding of a code is enough."""
    found: dict[str, Diagnosis] = {}
    for rule in RULES:
        for item in rule(evidence):
            found.setdefault(item.code, item)
    if "rate-too-high" in found:
        found.pop("diverged", None)  # the same steps, told once
    return tuple(sorted(found.values(), key=lambda item: RANK[item.code]))


def _examined(
    evidence: Evidence, subject: Path, looked_at: Sequence[str], unseen: Sequence[str]
) -> Examination:
    return Examination(subject, judged(evidence), tuple(looked_at), tuple(unseen))


def _seen_data(path: Path, unseen: list[str], look: Look) -> DataLook | None:
    try:
        return look(path)
    except FusetrainError as error:
        unseen.append(f"data set {path}: {error.what}")
        return None


def _seen(data: DataLook | None) -> list[str]:
    """Return how much of the data set was looked at."""
    if data is None:
        return []
    return [
        f"pixels of {split.looked_at} of {split.pairs} {name} pairs"
        for name, split in data.splits.items()
    ]


def _pairs_at_start(events: Sequence[dict[str, Any]]) -> int | None:
    """Return the training pairs that the newest start counted."""
    counts = [event["pairs"] for event in events if isinstance(event.get("pairs"), dict)]
    number = counts[-1].get("train") if counts else None
    return number if isinstance(number, int) and number > 0 else None
