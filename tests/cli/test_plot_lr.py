"""`plot-lr`: a config before training, runs after it, and whether they agree."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fusetrain
from fusetrain.build import plan_from_config
from fusetrain.cli.app import run
from fusetrain.config.load import effective_yaml, load_config
from fusetrain.results.run_dir import CSV_COLUMNS, csv_text
from fusetrain.schedule.following import Decision
from fusetrain.schedule.plan import SchedulePlan

CONFIG = """
train: {epochs: 6, batch: 2}
optim: {lr0: 0.002, groups: {backbone: 0.1}}
schedule:
  name: cosine
  warmup: {epochs: 1, bias_lr: 0.01, momentum: 0.8}
"""
SPLIT_OFF = """
import sys
from fusetrain.cli.app import run
code = run(sys.argv[1:])
heavy = sorted({"torch", "torchvision", "cv2", "numpy", "matplotlib", "PIL"} & set(sys.modules))
print("loaded", heavy, file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(fusetrain.__file__).parents[1]))


def write_config(name: str = "train.yaml", text: str = CONFIG) -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


def write_run(
    folder: str, config: Path, *, steps_per_epoch: int = 5, num_epochs: int | None = None
) -> SchedulePlan:
    """Write the run folder that a training with this config leaves, but for its weights."""
    settings = load_config(config).config
    plan = plan_from_config(settings, steps_per_epoch=steps_per_epoch)
    history = []
    for epoch in range(num_epochs or plan.epochs):
        row: dict[str, Any] = dict.fromkeys(CSV_COLUMNS, 1.0 / (1 + epoch)) | {"epoch": epoch + 1}
        history.append(
            row | dict(zip(plan.columns, plan.row(plan.last_step_of(epoch)), strict=True))
        )
    path = Path(folder)
    path.mkdir(exist_ok=True)
    (path / "config.yaml").write_text(effective_yaml(settings), encoding="utf-8")
    (path / "results.csv").write_text(csv_text(history, len(plan.groups)), encoding="utf-8")
    event = {"time": 1.0, "event": "start", "batches_per_epoch": steps_per_epoch}
    (path / "events.jsonl").write_text(json.dumps(event) + "\n", encoding="utf-8")
    return plan


def report(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Run the command with --json, and return what it reports."""
    assert run(["plot-lr", *arguments, "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def in_a_process_of_its_own(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command, which says on stderr what heavy packages it has loaded."""
    command = [sys.executable, "-c", SPLIT_OFF, "plot-lr", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_a_config_alone_is_drawn_at_once_and_without_heavy_packages() -> None:
    write_config()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = in_a_process_of_its_own("--config", "train.yaml", "--steps-per-epoch", "5")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "loaded []" in done.stderr
    assert "30 steps, warmup 5" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert sorted(path.name for path in Path().iterdir()) == ["train.yaml"]
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < 1.5, "processor time of the command"


@pytest.mark.parametrize(
    ("arguments", "loaded"),
    [
        (["--config", "train.yaml", "--out", "lr.png"], ["PIL", "matplotlib", "numpy"]),
        (["--config", "train.yaml"], ["PIL", "numpy"]),
        (["--config", "exp/config.yaml", "exp", "--csv", "lr.csv"], []),
        (["exp", "exp"], []),
    ],
)
def test_packages_are_loaded_for_what_is_asked_only(
    arguments: list[str], loaded: list[str], make_pairs: Callable[..., Path]
) -> None:
    """A figure needs matplotlib, pairs to be counted numpy; nothing needs torch."""
    write_config(text=f"data: {make_pairs('set', train=7)}\n{CONFIG}")
    write_run("exp", Path("train.yaml"), steps_per_epoch=4)
    assert f"loaded {loaded}" in in_a_process_of_its_own(*arguments).stderr


def test_a_figure_is_written_where_one_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    write_run("exp", write_config(), num_epochs=4)
    assert report(["exp"], capsys)["figure"] is None
    assert not Path("exp/lr.png").exists()
    assert report(["exp", "--out", "mine.png"], capsys)["figure"] == "mine.png"
    assert Path("mine.png").read_bytes().startswith(b"\x89PNG")
    assert report(["exp", "exp", "--with-loss"], capsys)["figure"] == "lr.png"
    assert report(["exp/results.csv", "--with-loss"], capsys)["figure"] == "results_lr.png"
    command = ["plot-lr", "--config", "train.yaml", "--steps-per-epoch", "5", "--with-loss"]
    assert run(command) == 0
    assert "--with-loss is ignored: there is no run" in capsys.readouterr().err


def test_a_terminal_without_unicode_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    write_config()
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    command = [sys.executable, "-m", "fusetrain", "plot-lr", "--config", "train.yaml"]
    done = subprocess.run([*command, "--steps-per-epoch", "5"], capture_output=True, check=True)
    text = done.stdout.decode("ascii")
    assert "=" in text
    assert "*" in text


def test_the_table_equals_the_plan_to_the_last_digit() -> None:
    plan = plan_from_config(load_config(write_config()).config, steps_per_epoch=5)
    command = ["plot-lr", "--config", "train.yaml", "--steps-per-epoch", "5", "--no-terminal"]
    assert run([*command, "--csv", "lr.csv", "--out", "lr.svg"]) == 0
    header, *rows = Path("lr.csv").read_text(encoding="utf-8").splitlines()
    groups = ",".join(f"lr/pg{number}" for number in range(15))
    assert header == f"step,epoch,lr0,{groups},momentum"
    assert rows == [
        ",".join(map(repr, (step, step // 5 + 1, *plan.row(step), plan.momentum(step))))
        for step in range(30)
    ]
    assert Path("lr.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_the_pairs_of_the_data_set_are_counted(
    make_pairs: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_pairs("set", train=7)
    write_config(text=f"data: {data}\n{CONFIG}")
    plan = report(["--config", "train.yaml"], capsys)["plan"]
    assert (plan["steps_per_epoch"], plan["total_steps"]) == (4, 24)


def test_a_clamped_warmup_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    write_config(text="train: {epochs: 3}\n")
    assert run(["plot-lr", "--config", "train.yaml", "--steps-per-epoch", "4"]) == 0
    assert "cut from 12 to 10 of 12 steps" in capsys.readouterr().err


def test_a_run_is_drawn_into_its_folder_with_its_losses(capsys: pytest.CaptureFixture[str]) -> None:
    write_run("exp", write_config(), num_epochs=4)
    found = report(["exp", "--with-loss"], capsys)
    assert found["schema"] == 1
    assert Path(found["figure"]).resolve() == Path("exp/lr.png").resolve()
    assert Path("exp/lr.png").is_file()
    assert found["plan"]["total_steps"] == 30
    assert found["runs"] == [
        {"name": "exp", "csv": str(Path("exp/results.csv").resolve()), "epochs": 4}
    ]


def test_runs_are_drawn_over_one_another(capsys: pytest.CaptureFixture[str]) -> None:
    write_run("exp", write_config())
    write_run("exp2", write_config("other.yaml", CONFIG.replace("cosine", "linear")))
    assert run(["plot-lr", "exp", "exp2"]) == 0
    assert "exp   ○ exp2" in capsys.readouterr().out


@pytest.mark.parametrize("header", ["epoch,lr/pg0,lr/pg1,lr/pg2", " epoch,  x/lr0,  x/lr1,  x/lr2"])
def test_runs_of_other_systems_are_drawn(header: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("theirs").mkdir()
    Path("theirs/results.csv").write_text(f"{header}\n 1, 0.07, 0.003, 0.003\n", encoding="utf-8")
    found = report(["theirs"], capsys)
    assert found["plan"] is None
    assert [entry["epochs"] for entry in found["runs"]] == [1]
    assert [entry["name"] for entry in report(["theirs/results.csv"], capsys)["runs"]] == [
        "results"
    ]


def test_a_run_that_followed_its_plan_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    write_run("exp", write_config(), num_epochs=4)
    assert run(["plot-lr", "--config", "train.yaml", "exp"]) == 0
    assert "the run followed its plan" in capsys.readouterr().out
    (entry,) = report(["--config", "train.yaml", "exp"], capsys)["runs"]
    assert (entry["equal"], entry["departures"]) == (True, [])


def test_a_run_that_was_extended_follows_its_own_config() -> None:
    plans = "plans: [{from_step: 0, epochs: 3}, {from_step: 15, epochs: 6}]"
    write_run("exp", write_config(text=f"{CONFIG}  {plans}\n"))
    assert run(["plot-lr", "--config", "exp/config.yaml", "exp", "--no-terminal"]) == 0
    write_config(text=CONFIG)
    assert run(["plot-lr", "--config", "train.yaml", "exp", "--no-terminal"]) == 8


def test_a_run_that_left_the_plan_ends_with_code_8(capsys: pytest.CaptureFixture[str]) -> None:
    plan = write_run("exp", write_config())
    path = Path("exp/results.csv")
    lines = path.read_text(encoding="utf-8").splitlines()
    logged = repr(plan.row(19)[0])
    assert lines[4].count(logged) >= 1
    other = repr(float(logged) * (1 + 2**-52))
    lines[4] = lines[4].replace(logged, other, 1)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with Path("exp/events.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"event": "rollback", "slot": 17, "lr_scale": 0.5}\n{"cut sho')
    assert run(["plot-lr", "--config", "train.yaml", "exp", "--json"]) == 8
    shown = capsys.readouterr()
    (entry,) = json.loads(shown.out)["runs"]
    assert entry["departures"] == [
        {"epoch": 4, "column": "lr0", "planned": float(logged), "logged": float(other)}
    ]
    panel = " ".join(shown.err.replace("│", " ").split())
    assert f"epoch 4, lr0: planned {logged}, logged {other}" in panel
    assert "rollback" in panel


def test_another_batch_in_the_config_counts_the_pairs_anew(
    make_pairs: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_pairs("set", train=8)
    config = write_config(text=f"data: {data}\n{CONFIG}")
    write_run("exp", config, steps_per_epoch=4)
    assert report(["--config", "train.yaml", "exp"], capsys)["plan"]["steps_per_epoch"] == 4
    write_config("other.yaml", f"data: {data}\n{CONFIG}".replace("batch: 2", "batch: 4"))
    assert run(["plot-lr", "--config", "other.yaml", "exp", "--json"]) == 8
    assert json.loads(capsys.readouterr().out)["plan"]["steps_per_epoch"] == 2


def test_a_run_whose_plan_is_not_known_any_more_is_drawn_all_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_run("exp", write_config())
    Path("exp/events.jsonl").unlink()
    assert report(["exp"], capsys)["plan"] is None
    assert run(["plot-lr", "exp", "--csv", "lr.csv"]) == 5


def test_a_run_before_its_first_epoch_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    write_run("exp", write_config())
    path = Path("exp/results.csv")
    path.write_text(path.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    assert [entry["epochs"] for entry in report(["exp"], capsys)["runs"]] == [0]
    assert run(["plot-lr", "exp", "exp"]) == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["exp", "--steps-per-epoch", "5"], 2),
        (["--config", "train.yaml", "--steps-per-epoch", "0"], 2),
        (["--config", "train.yaml", "--steps-per-epoch", "5", "--out", "lr.gif"], 2),
        (["exp", "exp", "--csv", "lr.csv"], 2),
        (["--config", "missing.yaml"], 3),
        (["--config", "typo.yaml"], 3),
        (["--config", "train.yaml"], 3),
        (["--config", "lost.yaml"], 4),
        (["nowhere"], 5),
        (["."], 5),
        (["--config", "train.yaml", "--steps-per-epoch", "5", "--out", "no/lr.png"], 6),
        (["--config", "train.yaml", "--steps-per-epoch", "5", "--csv", "no/lr.csv"], 6),
    ],
)
def test_what_cannot_be_drawn_ends_with_its_exit_code(arguments: list[str], code: int) -> None:
    write_run("exp", write_config())
    write_config("typo.yaml", "schedule: {lfr: 0.1}\n")
    write_config("lost.yaml", "data: nowhere/data.yaml\n")
    assert run(["plot-lr", *arguments]) == code


def test_a_wrong_parameter_is_shown_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    write_config(text="schedule:\n  name: cosine\n  lfr: 0.1\n")
    assert run(["plot-lr", "--config", "train.yaml"]) == 3
    panel = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "train.yaml:3:3" in panel
    assert "did you mean 'lrf'?" in panel


def test_configs_are_drawn_over_one_another(capsys: pytest.CaptureFixture[str]) -> None:
    write_config("a.yaml")
    write_config("b.yaml", CONFIG.replace("cosine", "linear"))
    command = ["a.yaml", "b.yaml", "--steps-per-epoch", "5"]
    found = report(command, capsys)
    assert (found["plan"]["name"], [plan["name"] for plan in found["others"]]) == (
        "cosine",
        ["linear"],
    )
    assert run(["plot-lr", *command]) == 0
    shown = capsys.readouterr().out
    assert "● lr0 of a.yaml   ○ lr0 of b.yaml" in shown
    assert shown.count("30 steps, warmup 5") == 2
    assert run(["plot-lr", *command, "--csv", "lr.csv"]) == 2
    assert run(["plot-lr", "a.yaml", "--steps-per-epoch", "5", "--csv", "lr.csv"]) == 0


def test_a_config_beside_runs_is_drawn_and_not_compared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_run("exp", write_config())
    write_config("other.yaml", CONFIG.replace("cosine", "linear"))
    found = report(["exp", "other.yaml"], capsys)
    assert found["plan"]["name"] == "linear"
    assert found["runs"] == [
        {"name": "exp", "csv": str(Path("exp/results.csv").resolve()), "epochs": 6}
    ]


def test_restarts_and_momentum_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    write_config(text="train: {epochs: 6}\nschedule: {name: cosine_restarts, t0: 2}\n")
    plan = report(["--config", "train.yaml", "--steps-per-epoch", "5"], capsys)["plan"]
    assert (plan["restarts"], plan["momentum"]) == ([25], False)
    write_config(text="train: {epochs: 6}\nschedule: {name: onecycle}\n")
    command = ["--config", "train.yaml", "--steps-per-epoch", "5", "--csv", "lr.csv"]
    assert report(command, capsys)["plan"]["momentum"]
    header, first, *_ = Path("lr.csv").read_text(encoding="utf-8").splitlines()
    assert header.endswith(",momentum")
    assert first.endswith(",0.95")


PLATEAU = """
train: {epochs: 6, batch: 2}
schedule: {name: plateau, gamma: 0.5, warmup: {epochs: 1}}
"""


def test_what_may_become_of_a_schedule_that_follows_the_run_is_drawn(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_config(text=PLATEAU.replace("gamma: 0.5", "gamma: 0.5, patience: 1"))
    assert run(["plot-lr", "--config", "train.yaml", "--steps-per-epoch", "5"]) == 0
    shown = capsys.readouterr()
    assert "○ if the metric never gets better" in shown.out
    assert "follows the run: what is planned holds until it decides" in shown.err


def write_following_run(*events: dict[str, Any]) -> None:
    """Write a run of the plateau config whose rates were halved from step 10, then from 20."""
    config = write_config(text=PLATEAU)
    plan = write_run("exp", config)
    decisions = [Decision(10, "lower", 0.5), Decision(20, "lower", 0.25)]
    plan = plan.decided(decisions)
    history = []
    for epoch in range(6):
        row: dict[str, Any] = dict.fromkeys(CSV_COLUMNS, 1.0) | {"epoch": epoch + 1}
        rates = plan.row(plan.last_step_of(epoch))
        history.append(row | dict(zip(plan.columns, rates, strict=True)))
    Path("exp/results.csv").write_text(csv_text(history, 3), encoding="utf-8")
    with Path("exp/events.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)


LOWER = {"event": "schedule", "what": "lower"}
FIRST, SECOND = LOWER | {"step": 10, "value": 0.5}, LOWER | {"step": 20, "value": 0.25}


def test_what_a_run_decided_is_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    write_following_run(FIRST, SECOND)
    assert run(["plot-lr", "--config", "train.yaml", "exp", "--csv", "lr.csv"]) == 0
    assert "the run followed its plan" in capsys.readouterr().out
    rates = [row.split(",")[2] for row in Path("lr.csv").read_text().splitlines()[1:]]
    assert [rates[step] for step in (9, 10, 20, 29)] == ["0.001", "0.0005", "0.00025", "0.00025"]
    assert report(["exp"], capsys)["plan"]["last"] == 0.00025


def test_what_a_killed_run_decided_after_its_last_save_is_forgotten() -> None:
    lost = LOWER | {"step": 15, "value": 0.1}
    resumed = {"event": "start", "slot": 12}
    write_following_run(FIRST, lost, resumed, SECOND)
    assert run(["plot-lr", "--config", "train.yaml", "exp", "--no-terminal"]) == 0
    write_following_run(FIRST, lost, SECOND)
    assert run(["plot-lr", "--config", "train.yaml", "exp", "--no-terminal"]) == 8


@pytest.mark.parametrize(
    "broken", [{"step": "10"}, {"step": 10}, LOWER, LOWER | {"step": True, "value": 1}]
)
def test_an_event_that_says_nothing_is_passed_over(broken: dict[str, Any]) -> None:
    write_following_run(LOWER | broken, FIRST, SECOND)
    assert run(["plot-lr", "--config", "train.yaml", "exp", "--no-terminal"]) == 0


def test_data_set_that_is_not_there_can_be_done_without(capsys: pytest.CaptureFixture[str]) -> None:
    path = write_config(text="data: nowhere/data.yaml\n" + CONFIG)
    assert run(["plot-lr", "--config", str(path), "--no-terminal"]) == 4
    assert "--steps-per-epoch N" in capsys.readouterr().err
    assert run(["plot-lr", "--config", str(path), "--steps-per-epoch", "5", "--no-terminal"]) == 0


@pytest.mark.parametrize("option", ["--csv", "--out"])
@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["exp"], "exp/results.csv"),
        (["exp"], "other/results.csv"),
        (["exp/results.csv"], "exp/results.csv"),
        (["exp"], "exp/config.yaml"),
        (["--config", "train.yaml", "--steps-per-epoch", "5"], "train.yaml"),
    ],
)
def test_nothing_that_is_read_is_overwritten(
    arguments: list[str], file: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config()
    write_run("exp", config, num_epochs=4)
    write_run("other", config, num_epochs=4)
    before = Path(file).read_bytes()
    assert run(["plot-lr", *arguments, option, file]) == 2
    assert Path(file).read_bytes() == before
    assert file in capsys.readouterr().err
