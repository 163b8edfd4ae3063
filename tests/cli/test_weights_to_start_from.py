"""`model.weights` as a user meets it: what is filled, what is refused, and what a resume needs."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest
import torch
from torchvision import models

from fusetrain.cli.app import run
from fusetrain.engine.weights import load_detector

Capture = pytest.CaptureFixture[str]
PLAN = ("train", "--config", "train.yaml", "--dry-run")


def told(capsys: Capture) -> str:
    return " ".join(" ".join(capsys.readouterr()).replace("│", " ").split())


@pytest.mark.parametrize("weights", ["runs/exp", "runs/exp/weights/last.pt"])
def test_weights_of_a_run_fill_a_detector_of_its_shape(
    home: Path, capsys: Capture, weights: str
) -> None:
    assert run([*PLAN, "--set", f"model.weights={weights}"]) == 0
    assert "backbone 100.0 %, backbone_ir 100.0 %, fusion 100.0 %" in told(capsys)


def test_weights_named_in_a_config_lie_beside_it(home: Path, capsys: Capture) -> None:
    folder = home / "elsewhere"
    folder.mkdir()
    shutil.copy(home / "runs/exp/weights/best.safetensors", folder / "start.safetensors")
    text = (home / "train.yaml").read_text().replace("width: 0.25", "width: 0.25, weights: WEIGHTS")
    (folder / "train.yaml").write_text(text.replace("WEIGHTS", "start.safetensors"))
    assert run(["train", "--config", str(folder / "train.yaml"), "--dry-run"]) == 0
    assert "head 100.0 %" in told(capsys)


def test_rgb_network_fills_both_streams(home: Path, capsys: Capture) -> None:
    torch.manual_seed(3)
    torch.save(models.get_model("resnet18", weights=None).state_dict(), home / "resnet18.pth")
    named = ("--set", "model.backbone=resnet18", "--set", "model.weights=resnet18.pth")
    assert run([*PLAN, *named]) == 0
    text = told(capsys)
    assert "backbone_ir 9" in text
    assert "neck 0.0 %" in text


def test_run_starts_from_the_weights_and_resumes_without_them(home: Path, capsys: Capture) -> None:
    shutil.copy(home / "runs/exp/weights/best.safetensors", home / "start.safetensors")
    words = ["train", "--config", "train.yaml", "--name", "tuned", "--set", "optim.lr0=1e-9"]
    assert run([*words, "--set", "model.weights=start.safetensors"]) == 0
    assert "weights from " in told(capsys)
    start, _ = load_detector(home / "start.safetensors")
    tuned, _ = load_detector(home / "runs/tuned")
    for own, theirs in zip(tuned.parameters(), start.parameters(), strict=True):
        torch.testing.assert_close(own, theirs, rtol=0, atol=1e-6)
    (home / "start.safetensors").unlink()
    assert run(["resume", "runs/tuned", "--set", "train.epochs=3"]) == 0


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (("model.weights=absent.pt",), "model.weights: nothing at absent.pt"),
        (("model.weights=runs/exp", "model.width=0.5"), "fills too little"),
        (("model.weights=other.pth",), "fills too little"),
        (("model.weights=empty.pth",), "holds no tensors by name"),
        (("model.weights=train.yaml",), "cannot be read as weights"),
        (("model.weights=cut.safetensors",), "cannot be read as weights"),
        (("model.weights=nan.pth",), "not finite"),
        (("model.weights=evil.pth",), "cannot be read as weights"),
    ],
)
def test_what_cannot_be_used_exits_5(
    home: Path, capsys: Capture, sets: tuple[str, ...], words: str
) -> None:
    torch.save({"conv.weight": torch.ones(3)}, home / "other.pth")
    torch.save({}, home / "empty.pth")
    torch.save({"conv.weight": torch.full((3,), float("nan"))}, home / "nan.pth")
    best = (home / "runs/exp/weights/best.safetensors").read_bytes()
    (home / "cut.safetensors").write_bytes(best[: len(best) // 2])
    (home / "evil.pth").write_bytes(pickle.dumps(Evil(home / "ran")))
    before = sorted(home.rglob("*"))
    assert run([*PLAN[:3], *(word for item in sets for word in ("--set", item))]) == 5
    text = told(capsys)
    assert words in text
    assert "bug in fusetrain" not in text
    assert sorted(home.rglob("*")) == before


class Evil:
    """Makes a file when it is unpickled without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path, bytes]]:
        return Path.write_bytes, (self.path, b"")


def test_partial_weights_are_accepted_when_asked_for(home: Path, capsys: Capture) -> None:
    sets = ("model.weights=runs/exp", "model.width=0.5", "model.partial=true")
    assert run([*PLAN, *(word for item in sets for word in ("--set", item))]) == 0
    assert "weights from" in told(capsys)


def test_foreign_names_are_mapped_into_both_streams(home: Path, capsys: Capture) -> None:
    detector, _ = load_detector(home / "runs" / "exp")
    foreign = {f"trunk.{name}": value for name, value in detector.backbone.state_dict().items()}
    torch.save(foreign, home / "foreign.pth")
    (home / "names.yaml").write_text("trunk.*: backbone.*\n")
    named = ("--set", "model.weights=foreign.pth", "--set", "model.key_map=names.yaml")
    assert run([*PLAN, *named]) == 0
    text = told(capsys)
    assert f"key map: {len(foreign)} of {len(foreign)} tensors" in text
    assert "backbone 100.0 %, backbone_ir 100.0 %, fusion 0.0 %" in text
    (home / "names.yaml").write_text("trunk.*: trunk.*\n")
    assert run([*PLAN, *named]) == 3
    assert "which is no name here" in told(capsys)
    assert run([*PLAN, *named[:2], "--set", "model.key_map=absent.yaml"]) == 5
    assert "model.key_map: nothing at absent.yaml" in told(capsys)
    assert run([*PLAN, *named, "--set", "model.weights=runs/exp"]) == 3
    assert "needs no key map" in told(capsys)
