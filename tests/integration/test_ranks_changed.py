"""Other ranks, the same training: the pairs of each step, every kind of fusion, phases and runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fusetrain.config.stages import ADAPTER
from fusetrain.detector.fusion import KINDS, OPERATORS, WITHOUT_OPERATOR
from fusetrain.engine.checkpoint import read_newest

from .conftest import environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
HERE = Path(__file__).parent
# 10 pairs in batches of 4, the last one short: three steps an epoch, nine in all.
CONFIG = """\
data: {data}
model: {{fusion: ir, width: 0.25}}
train:
  {{epochs: 3, batch: 4, imgsz: 64, threads: 1, workers: 0, device: cpu, amp: false, patience: 0,
    val_every: 9, save_every: {{steps: 1, epochs: 1}}}}
schedule: {{warmup: {{epochs: 1}}}}
run: {{project: {project}, name: exp}}
"""
STEPS = 9


def run_script(name: str, *arguments: object) -> str:
    """Run a script beside this file to its end and return what it printed."""
    done = subprocess.run(
        [sys.executable, str(HERE / name), *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment() | {"PYTHONPATH": str(HERE.parents[1])},
        timeout=800,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def pairs_of_steps(folder: Path, part: int) -> dict[int, list[int]]:
    """Return the pairs of each step that all ranks of a part of a training came to."""
    ranks: list[dict[int, list[int]]] = []
    for path in sorted(folder.glob(f"pairs_{part}_*.csv")):
        lines = [list(map(int, line.split(","))) for line in path.read_text().splitlines()]
        ranks.append({step: rows for step, *rows in lines})
    return {
        step: sorted(row for rank in ranks for row in rank[step])
        for step in ranks[0]
        if all(step in rank for rank in ranks)
    }


@pytest.mark.fault(19)
def test_row19_other_number_of_ranks_makes_each_step_of_the_same_pairs_and_says_so(
    make_pairs: Any, tmp_path: Path
) -> None:
    data, jobs = make_pairs(train=10, val=1), []
    for name, ranks, kills in (("one", 1, []), ("changed", [2, 1, 2], [4, 7])):
        (tmp_path / name).mkdir()
        config = tmp_path / name / "train.yaml"
        config.write_text(CONFIG.format(data=data, project=tmp_path / name / "runs"))
        jobs.append({"config": str(config), "ranks": ranks, "kills": kills, "extend": None})
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    run_script("run_trainings.py", tmp_path / "jobs.json")
    one = pairs_of_steps(tmp_path / "one", 0)
    assert list(one) == list(range(STEPS))
    assert len({tuple(rows) for rows in one.values()}) > STEPS / 3, "the epochs are not mixed anew"
    changed = [pairs_of_steps(tmp_path / "changed", part) for part in range(3)]
    assert {step for steps in changed for step in steps} == set(range(STEPS))
    assert all(rows == one[step] for steps in changed for step, rows in steps.items())
    for part, told in ((1, "world_size 2 -> 1"), (2, "world_size 1 -> 2")):
        assert told in (tmp_path / "changed" / f"notes_{part}_0.txt").read_text()


def test_every_kind_uses_all_of_its_parameters_on_two_ranks(make_pairs: Any) -> None:
    """Boxes or not, and with a rank that a short batch leaves without a pair."""
    found = json.loads(run_script("step_kinds.py", make_pairs(train=8, val=1)))
    joined = [kind for kind in KINDS.names() if kind not in WITHOUT_OPERATOR]
    assert {f"{kind} {operator}" for kind in joined for operator in OPERATORS} <= set(found)
    assert {f"{kind} concat" for kind in WITHOUT_OPERATOR} <= set(found)
    assert {f"{ADAPTER} on rgb", f"{ADAPTER} on ir"} <= set(found)
    for name, (first, second) in found.items():
        assert first == second, f"{name}: the ranks are no longer equal"
        assert not any(part["unused"] for part in first), f"{name}: {first}"


def test_killed_run_of_layers_that_draw_goes_on_with_the_draws_of_each_rank(
    make_pairs: Any, tmp_path: Path
) -> None:
    """Stochastic depth draws a number a pair; of the last three pairs of an epoch one rank has one.

    So each rank is somewhere else in its draws, and the main rank cannot save them for both.
    """
    data, jobs = make_pairs(train=7, val=1), []
    for name, kills in (("whole", []), ("killed", [3])):
        (tmp_path / name).mkdir()
        config = tmp_path / name / "train.yaml"
        text = CONFIG.format(data=data, project=tmp_path / name / "runs")
        text = text.replace("fusion: ir,", "fusion: ir, backbone: efficientnet_b0,")
        config.write_text(text.replace("epochs: 3,", "epochs: 2,"))
        jobs.append({"config": str(config), "ranks": 2, "kills": kills, "extend": None})
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    run_script("run_trainings.py", tmp_path / "jobs.json")
    whole, killed = (
        read_newest(tmp_path / name / "runs" / "exp" / "weights")[0] for name in ("whole", "killed")
    )
    assert whole["state"]["slot"] == killed["state"]["slot"] == 4
    differ = [
        name for name, value in whole["model"].items() if not value.equal(killed["model"][name])
    ]
    assert not differ
