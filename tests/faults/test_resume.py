"""Rows 9 to 19: what a resume finds damaged, foreign, taken, or changed."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from processes import Nursery
from short_run import Home

from fusetrain.cli.app import run
from fusetrain.durable import write_durably
from fusetrain.engine.checkpoint import FORMAT, pack, read_newest, unpack
from fusetrain.errors import RunError

Capture = pytest.CaptureFixture[str]
MORE = ("--set", "train.epochs=3")


@pytest.fixture
def there(done: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A run of two epochs, with its folder as the working folder."""
    monkeypatch.chdir(done.path)
    monkeypatch.setenv("COLUMNS", "400")
    return done


@pytest.mark.fault(9)
def test_row09_checkpoint_cut_at_any_size_is_passed_over(done: Home) -> None:
    last = done.weights / "last.pt"
    data = last.read_bytes()
    chooser = random.Random(9)
    for size in [0, 1, len(data) - 1, *(chooser.randrange(len(data)) for _ in range(17))]:
        last.write_bytes(data[:size])
        _, file, reason = read_newest(done.weights)
        assert file.name == "last.prev.pt"
        assert str(last) in reason


@pytest.mark.fault(11)
def test_row11_each_of_1000_damaged_bytes_is_noticed(done: Home) -> None:
    data = bytearray((done.weights / "last.pt").read_bytes())
    chooser = random.Random(11)
    for _ in range(1000):
        place, change = chooser.randrange(len(data)), chooser.randrange(1, 256)
        data[place] ^= change
        with pytest.raises(RunError):
            unpack(bytes(data), "last.pt")
        data[place] ^= change
    unpack(bytes(data), "last.pt")


@pytest.mark.fault(9, 10, 12)
@pytest.mark.parametrize("damage", ["cut", "empty", "gone"])
def test_rows09_to_12_damaged_file_is_set_aside_so_that_no_save_pushes_out_the_good_one(
    there: Home, through: Home, capsys: Capture, damage: str
) -> None:
    last, previous = there.weights / "last.pt", there.weights / "last.prev.pt"
    good, data = previous.read_bytes(), last.read_bytes()
    if damage == "gone":
        last.unlink()
    else:
        last.write_bytes(data[: 0 if damage == "empty" else len(data) // 2])
    assert run(["resume", "runs/exp"]) == 0
    assert "resuming from last.prev.pt" in capsys.readouterr().err
    there.assert_ends_like(through)
    assert previous.read_bytes() == good
    assert (there.weights / "last.damaged.pt").exists() == (damage != "gone")


def other_content(there: Home, change: Callable[[dict[str, Any]], None]) -> None:
    """Rewrite both checkpoints, digests included, as somebody might by hand."""
    for name in ("last.pt", "last.prev.pt"):
        content = unpack((there.weights / name).read_bytes(), name)
        change(content)
        write_durably(there.weights / name, pack(content))


def newer_format(content: dict[str, Any]) -> None:
    content["format"] = FORMAT + 1


def no_format(content: dict[str, Any]) -> None:
    del content["format"]


def unknown_field(content: dict[str, Any]) -> None:
    content["state"]["mood"] = 1


def text_for_a_number(content: dict[str, Any]) -> None:
    content["state"]["epoch"] = "two"


def missing_part(content: dict[str, Any]) -> None:
    del content["optimizer"]


def missing_context(content: dict[str, Any]) -> None:
    content["context"] = {}


def other_shape(content: dict[str, Any]) -> None:
    name = next(name for name, value in content["model"].items() if value.dim() == 4)
    content["model"][name] = torch.zeros(1, 2, 3, 4)


def other_names(content: dict[str, Any]) -> None:
    content["model"] = {f"old.{name}": value for name, value in content["model"].items()}


def other_groups(content: dict[str, Any]) -> None:
    content["optimizer"]["param_groups"][0]["names"].reverse()


def other_moments(content: dict[str, Any]) -> None:
    content["optimizer"]["state"][0]["exp_avg"] = torch.zeros(3)


def broken_random_state(content: dict[str, Any]) -> None:
    content["rng"]["cpu"] = torch.zeros(3, dtype=torch.uint8)


def broken_settings(content: dict[str, Any]) -> None:
    content["context"]["config"]["train"]["epochs"] = "many"


@pytest.mark.fault(15)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (newer_format, "use the newer fusetrain"),
        (no_format, "not the checkpoint of a training"),
        (unknown_field, "mood"),
        (text_for_a_number, "epoch"),
        (missing_part, "optimizer"),
        (missing_context, "config"),
        (other_shape, "(1, 2, 3, 4) saved"),
        (other_names, "tensors differ"),
        (other_groups, "holds other parameters"),
        (other_moments, "exp_avg of parameter 0"),
        (broken_random_state, "does not fit"),
        (broken_settings, "settings are of another version"),
    ],
)
def test_row15_checkpoint_of_something_else_is_refused_with_what_differs(
    there: Home, capsys: Capture, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    other_content(there, change)
    assert run(["resume", "runs/exp", *MORE]) == 5
    err = " ".join(line.strip("│ ") for line in capsys.readouterr().err.splitlines())
    assert words in err
    assert "bug in fusetrain" not in err


def leave_out_what_came_later(content: dict[str, Any]) -> None:
    del content["state"]["quarantine"], content["state"]["schedule"], content["pending_skip"]
    for name in ("numpy", "pillow", "python"):
        del content["context"][name]


@pytest.mark.fault(15)
def test_row15_checkpoint_of_the_first_version_goes_on(there: Home, capsys: Capture) -> None:
    other_content(there, leave_out_what_came_later)
    assert run(["resume", "runs/exp", *MORE]) == 0
    assert [row["epoch"] for row in there.rows()] == ["1", "2", "3"]
    assert "not bit-exact" not in capsys.readouterr().err


@pytest.mark.fault(13)
def test_row13_run_that_lost_its_checkpoints_is_not_begun_anew(
    there: Home, capsys: Capture
) -> None:
    for name in ("last.pt", "last.prev.pt"):
        (there.weights / name).unlink()
    assert run(["resume", "runs/exp"]) == 5
    assert capsys.readouterr().err.count("not there") == 2


@pytest.mark.fault(1)
def test_row01_run_that_was_killed_before_its_first_save_begins_anew(
    there: Home, through: Home, capsys: Capture
) -> None:
    shutil.rmtree(there.weights)
    there.weights.mkdir()
    for path in there.run.iterdir():
        if path.is_file() and path.name != "config.yaml":
            path.unlink()
    assert run(["resume", "runs/exp"]) == 0
    assert "has saved nothing yet: it begins anew" in capsys.readouterr().err
    there.assert_ends_like(through)


@pytest.mark.fault(1)
def test_row01_table_and_figures_are_those_of_the_checkpoint(
    there: Home, through: Home, capsys: Capture
) -> None:
    (there.run / "results.csv").write_text("epoch\n9\n")
    (there.run / "events.jsonl").write_text('{"event": "figures", "slot": 2}\n{"event": half\n')
    before = (there.run / "results.png").stat().st_mtime_ns
    assert run(["resume", "runs/exp"]) == 0
    there.assert_ends_like(through)
    assert (there.run / "results.png").stat().st_mtime_ns > before
    capsys.readouterr()


@pytest.mark.slow
@pytest.mark.fault(16)
def test_row16_two_trainers_cannot_share_a_run(nursery: Nursery, begun: Home) -> None:
    hold = {"FUSETRAIN_FAILPOINT": "last.pt:synced=SIGSTOP"}
    first = nursery.start("train", "--config", "train.yaml", cwd=begun.path, **hold)
    try:
        while not (begun.weights / ".last.pt.tmp").exists():
            assert nursery.code(first.pid) is None
            time.sleep(0.01)
        second = nursery.run("resume", "runs/exp", cwd=begun.path)
    finally:
        first.kill_group(signal.SIGKILL)
    assert second.code == 5, second.text
    assert f"process {first.pid} on this computer" in second.sentences
    assert first.wait().code == -signal.SIGKILL
    assert nursery.run("resume", "runs/exp", cwd=begun.path).code == 0


@pytest.mark.fault(17)
def test_row17_setting_that_makes_another_training_is_asked_for_first(
    there: Home, capsys: Capture
) -> None:
    config = there.run / "config.yaml"
    config.write_text(config.read_text().replace("fliplr: 0.5", "fliplr: 0.25"))
    words = ["resume", "runs/exp", *MORE, "--set", "train.batch=4"]
    assert run(words) == 3
    err = capsys.readouterr().err
    for text in ("train.batch: 2 -> 4", "augment.fliplr: 0.5 -> 0.25", "--accept-change"):
        assert text in err
    assert run([*words, "--set", "model.size=s", "--accept-change"]) == 3
    err = capsys.readouterr().err
    assert "model.size" in err
    assert "train.batch" not in err
    assert run([*words, "--accept-change"]) == 0
    err = capsys.readouterr().err
    assert "changed: train.batch: 2 -> 4" in err
    assert "steps an epoch: 1 now, 2 before" in err
    assert "plan: 2 epochs (4 steps) -> 3 epochs (3 steps); lr0 of the next step: " in err
    assert [row["epoch"] for row in there.rows()] == ["1", "2", "3"]


@pytest.mark.slow
@pytest.mark.fault(19)
@pytest.mark.parametrize("workers", [2, 4])
def test_row19_other_number_of_workers_changes_no_bit(
    nursery: Nursery, through: Home, begun: Home, workers: int
) -> None:
    stop = {"FUSETRAIN_FAILPOINT": "last.pt:durable=SIGTERM"}
    assert nursery.run("train", "--config", "train.yaml", cwd=begun.path, **stop).code == 75
    sets = ("--set", f"train.workers={workers}")
    resumed = nursery.run("resume", "runs/exp", *sets, cwd=begun.path)
    assert resumed.code == 0, resumed.text
    assert "not bit-exact" not in resumed.text
    begun.assert_ends_like(through)


@pytest.mark.fault(14)
def test_row14_code_in_a_checkpoint_is_not_run(there: Home, capsys: Capture) -> None:
    import hashlib
    import io
    import os

    from fusetrain.engine.checkpoint import MAGIC

    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(there.path / "sentinel"),)

    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "state": Payload()}, buffer)
    payload = buffer.getvalue()
    for name in ("last.pt", "last.prev.pt"):
        digest = hashlib.sha256(payload).digest()
        (there.weights / name).write_bytes(MAGIC + digest + payload)
    for words in (["resume", "runs/exp"], ["val", "runs/exp/weights/last.pt"]):
        assert run(words) == 5
        assert "holds more than tensors" in capsys.readouterr().err
    assert not (there.path / "sentinel").exists()


def test_lock_and_left_overs_of_a_killed_process_are_gone(there: Home, capsys: Capture) -> None:
    for name in (".last.pt.tmp", ".best.safetensors.tmp"):
        (there.weights / name).write_bytes(b"half")
    assert run(["resume", "runs/exp"]) == 0
    assert [path.name for path in there.run.rglob(".*")] == []
    capsys.readouterr()
