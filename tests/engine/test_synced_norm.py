"""Batch statistics of three ranks, one of them without a pair, are those of the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import fusetrain
from fusetrain.engine.synced_norm import SyncedNorm, with_synced_norms

ON_A_RANK = """
import copy, torch
from torch import nn
from fusetrain import distributed
from fusetrain.engine.synced_norm import count_share, with_synced_norms

torch.manual_seed(0)
pairs, gradient = torch.randn(3, 4, 5, 6) * 3 + 7, torch.randn(3, 4, 5, 6)
alone = nn.Sequential(nn.BatchNorm2d(4))
nn.init.uniform_(alone[0].weight)
shared = with_synced_norms(copy.deepcopy(alone))
whole = pairs.clone().requires_grad_()
expected = alone(whole)
(expected * gradient).sum().backward()
with distributed.process_group(torch.device("cpu"), timeout_seconds=60):
    rank = distributed.rank()
    share = (slice(0, 2), slice(2, 3), slice(0, 0))[rank]
    own = (pairs[share] if rank < 2 else torch.zeros(1, 4, 2, 2)).requires_grad_()
    count_share([shared[0]], counts=rank < 2)
    out = shared(own)
    (out * (gradient[share] if rank < 2 else 0.0)).sum().backward()
    close = lambda one, other: torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    if rank < 2:
        close(out, expected[share])
        close(own.grad, whole.grad[share])
    else:
        assert not own.grad.any()
    for name in ("weight", "bias"):
        summed = distributed.sum_over_ranks(getattr(shared[0], name).grad)
        close(summed, getattr(alone[0], name).grad)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        close(getattr(shared[0], name), getattr(alone[0], name))
    assert distributed.on_any_rank(rank == 1, False) == (True, False)
    assert distributed.from_main(lambda: rank) == 0
"""

TWICE_ON_A_RANK = """
import sys, torch
from torch import nn
from fusetrain import distributed

torch.manual_seed(0)
layers = [layer for _ in range(6) for layer in (nn.Linear(300, 300), nn.Tanh())]
with distributed.process_group(torch.device("cpu"), timeout_seconds=60):
    model = nn.Sequential(*layers)
    exact = sys.argv[1] == "exact"
    ranks = distributed.replicate(model, torch.device("cpu"), exact=exact)
    torch.manual_seed(1 + distributed.rank())
    inputs, found = torch.randn(5, 300), []
    for _ in range(2):  # the first step of a process, and one that is not its first
        model.zero_grad()
        ranks(inputs).square().mean().backward()
        found.append([value.grad.clone() for value in model.parameters()])
    assert all(map(torch.equal, *found)) == exact
"""


@pytest.mark.slow
def test_three_ranks_have_the_statistics_of_one(tmp_path: Path) -> None:
    on_three_ranks(ON_A_RANK, tmp_path)


@pytest.mark.slow
def test_three_ranks_sum_in_their_first_step_as_in_all_others(tmp_path: Path) -> None:
    on_three_ranks(TWICE_ON_A_RANK, tmp_path, "exact")


def on_three_ranks(code: str, folder: Path, *words: str) -> None:
    script = folder / "rank.py"
    script.write_text(code, encoding="utf-8")
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3"]
    done = subprocess.run(
        [sys.executable, *command, str(script), *words],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(fusetrain.__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr


def test_replaced_norms_keep_their_tensors_and_answer_as_plain_ones() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4)))
    before = dict(model.state_dict(keep_vars=True))
    features = torch.randn(2, 3, 4, 4)
    expected = model(features)
    model[1][0].reset_running_stats()
    assert with_synced_norms(with_synced_norms(model)) is model
    assert isinstance(model[1][0], SyncedNorm)
    assert all(model.state_dict(keep_vars=True)[name] is value for name, value in before.items())
    torch.testing.assert_close(model(features), expected)
