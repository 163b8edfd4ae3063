"""The recipes for several processes are commands of this version, and say what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from fusetrain.cli.app import run

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "distributed.md").read_text(encoding="utf-8")
RECIPES = sorted((DOCS / "recipes").iterdir())


def words_of(recipe: Path, config: Path) -> list[str]:
    """Return the fusetrain command of a recipe, without the launcher before it."""
    text = recipe.read_text(encoding="utf-8")
    if recipe.suffix == ".yaml":
        (container,) = list(yaml.safe_load_all(text))[1]["spec"]["template"]["spec"]["containers"]
        line = shlex.join([*container["command"], *container["args"]])
        line = line.replace("'$(JOB_COMPLETION_INDEX)'", "1").replace("/runs", str(config.parent))
    else:
        joined = text.replace("\\\n", " ")
        (line,) = (line for line in joined.splitlines() if "fusetrain train" in line)
        line = line.replace('"$1"', str(config)).replace('"$2"', "2")
    words = shlex.split(line.replace("/data/train.yaml", str(config)))
    return words[words.index("train") :]


def test_page_names_every_recipe() -> None:
    assert RECIPES
    for recipe in RECIPES:
        assert f"recipes/{recipe.name}" in PAGE


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_command_of_the_recipe_runs_dry(
    home: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in (home / "runs").iterdir())
    batch = ["--set", "train.batch=8"]
    assert run([*words_of(recipe, home / "train.yaml"), *batch, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "as planned" in out
    assert sorted(path.name for path in (home / "runs").iterdir()) == before
    if "--devices" in words_of(recipe, home / "train.yaml"):
        assert re.search(r"processes\s+\d", out)


def test_slurm_is_asked_for_what_a_requeue_needs() -> None:
    text = (DOCS / "recipes" / "slurm.sbatch").read_text(encoding="utf-8")
    assert "#SBATCH --signal=USR1@120" in text
    assert "#SBATCH --requeue" in text


def test_flags_of_the_page_are_flags_of_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    known = ""
    for command in ("train", "resume"):
        assert run([command, "--help"]) == 0
        known += capsys.readouterr().out
    for flag in ("--devices", "--max-restarts", "--nnodes", "--rdzv", "--node-rank"):
        assert flag in PAGE
        assert known.count(f"{flag} ") >= 2
