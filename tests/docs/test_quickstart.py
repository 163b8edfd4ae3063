"""The first ten minutes: six commands of one page lead from nothing to an ONNX file, offline."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from fusetrain.cli.app import run

from .pages import ROOT, lines_of, words_of

COMPLETION = "--install-completion"  # it changes the start files of the user's shell
PAGE = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
LINES = re.search(r"newcomer: begin.*?```sh\n(.*?)```", PAGE, re.DOTALL)
SHORT = {
    "demo": ("--pairs", "24"),
    "train": (
        *("--set", "train.epochs=1", "--set", "train.imgsz=64", "--set", "model.width=0.25"),
        *("--set", "schedule.warmup.epochs=0", "--set", "train.device=cpu"),
    ),
}


def commands() -> list[list[str]]:
    assert LINES is not None
    return [shlex.split(line) for line in LINES[1].splitlines()]


def test_six_commands_at_most_and_the_first_one_installs_what_the_last_one_needs() -> None:
    install, *rest = commands()
    assert len(rest) <= 5
    assert install[:2] == ["pip", "install"]
    name, _, extra = install[2].partition("[")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert name == project["name"]
    assert extra.removesuffix("]") in project["optional-dependencies"]
    assert {words[0] for words in rest} == {"fusetrain"}


def test_script_of_the_newcomer_takes_these_commands() -> None:
    script = ROOT / ".ci" / "newcomer"
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    _, _, rest = script.read_text(encoding="utf-8").partition("\nsed ")
    taking = "sed " + rest.partition(" >")[0].replace("$root/", "")
    shown = subprocess.run(["bash", "-c", taking], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    assert [shlex.split(line) for line in shown.stdout.decode().splitlines()] == commands()


@pytest.mark.slow
def test_commands_lead_to_an_exported_detector_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)

    connect = socket.socket.connect

    def only_on_this_host(self: socket.socket, address: Any) -> None:
        assert self.family == socket.AF_UNIX, f"{address} was called"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_on_this_host)
    lines = [line for line in lines_of("docs/quickstart.md") if COMPLETION not in line]
    assert [["fusetrain", *words_of(line)] for line in lines[:5]] == commands()[1:]
    for words in map(words_of, lines):
        assert run([*words, *SHORT.get(words[0], ())]) == 0, capsys.readouterr().err
    session = onnxruntime.InferenceSession(tmp_path / "runs/fuse/latest/weights/best.onnx")
    assert [port.name for port in session.get_inputs()] == ["rgb", "ir"]
    assert (tmp_path / "predictions" / "predictions.json").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"demo", "runs", "predictions"}
