from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fusetrain.inference.judging import validate_weights
from fusetrain.loss.detection import mean_items


def test_losses_do_not_depend_on_how_pairs_are_batched(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = home / "set/labels/train"
    (labels / "train_001.txt").write_text("0 0.5 0.5 0.2 0.3\n" * 5)
    (labels / "train_002.txt").write_text("")
    losses = []
    for batch in (1, 2, 3, 4):
        monkeypatch.setattr("fusetrain.inference.judging.BATCH", batch)
        judgement = validate_weights(home / "runs/exp", data=home / "set/data.yaml", split="train")
        losses.append(judgement.result.losses)
    assert min(losses[0]) > 0.1
    for each in losses[1:]:
        assert each == pytest.approx(losses[0], rel=1e-5)


def test_branches_are_normalised_each_by_its_own_targets() -> None:
    sums = torch.tensor([[4.0, 6.0, 8.0, 2.0], [3.0, 3.0, 3.0, 3.0]])
    assert mean_items(sums).tolist() == [3.0, 4.0, 5.0]


def test_without_a_target_the_class_loss_is_the_sum() -> None:
    assert mean_items(torch.tensor([[0.0, 5.0, 0.0, 0.0]])).tolist() == [0.0, 5.0, 0.0]
