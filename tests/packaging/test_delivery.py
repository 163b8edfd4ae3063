"""Images, workflows and completion: checked as far as that goes without an engine or a server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
INSTRUCTIONS = {"FROM", "ARG", "ENV", "RUN", "COPY", "USER", "WORKDIR", "ENTRYPOINT", "CMD"}


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with their arguments on one line."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in joined.splitlines()]


def test_dockerfile_copies_what_is_there_from_stages_that_are_there() -> None:
    stages: set[str] = set()
    for name, rest in instructions():
        assert name in INSTRUCTIONS
        if name == "FROM":
            base, _, stage = rest.partition(" AS ")
            assert base in stages or re.fullmatch(r"python:3\.1[1-4]-slim", base)
            stages.add(stage)
        if name == "COPY":
            words = rest.split()
            if words[0].startswith("--from="):
                assert words[0].removeprefix("--from=") in stages
            else:
                assert all((ROOT / word).exists() for word in words[:-1]), rest
    assert {"cpu", "cuda"} <= stages


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_image_runs_the_command_as_an_ordinary_user(target: str) -> None:
    steps = instructions()
    start = next(at for at, (name, rest) in enumerate(steps) if rest.endswith(f" AS {target}"))
    stop = next(
        (at for at, (name, _) in enumerate(steps) if name == "FROM" and at > start), len(steps)
    )
    stage = dict(steps[start:stop])
    assert stage["USER"] == "fuse"
    assert stage["ENTRYPOINT"] == '["fusetrain"]'


def test_image_installs_extras_that_the_project_has() -> None:
    import tomllib

    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    for _, rest in instructions():
        for names in re.findall(r"/src\[([a-z,]+)\]", rest):
            assert set(names.split(",")) <= set(extras)


def steps_of(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_cannot_be_turned_against_the_project(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    assert set(workflow[True]) <= {"push", "pull_request", "schedule"}  # YAML 1.1 reads `on` so
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 120
    for step in steps_of(workflow):
        assert "${{" not in step.get("run", "")
        if "uses" in step:
            assert re.search(r"@[0-9a-f]{40}$", step["uses"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_calls_targets_that_the_makefile_has(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    called = [step["run"].split()[1:] for step in steps_of(workflow) if "make " in step["run"]]
    assert called
    for target in (target for targets in called for target in targets):
        assert re.search(rf"^{target}:.*##", makefile, re.MULTILINE), target


def test_bash_loads_the_completion_that_is_printed() -> None:
    environment = os.environ | {"_FUSETRAIN_COMPLETE": "source_bash"}
    printed = subprocess.run(
        [sys.executable, "-m", "fusetrain"],
        env=environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    told = subprocess.run(
        ["bash", "--norc", "-c", f"{printed}\ncomplete -p fusetrain"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert told.split()[-1] == "fusetrain"
    assert "_fusetrain_completion" in told
