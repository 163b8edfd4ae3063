"""An adapter begins as the detector of its base, and from there on learns to use the other one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fusetrain.detector.detector import FusionDetector
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.detector.singles import MODALITIES, Modality, OneOfTwo, SideBySide, renamed
from fusetrain.detector.transfer import fill
from fusetrain.errors import ConfigError

PAIR = torch.rand(2, 3, 64, 96), torch.rand(2, 1, 64, 96)
every_base = pytest.mark.parametrize("base", MODALITIES)


def make(kind: str, *, base: str = "", seed: int = 0) -> FusionDetector:
    torch.manual_seed(seed)
    detector = build_detector(DetectorSpec(kind, "concat", "csp", "n", 0.25, 3, base=base))
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.running_mean, std=0.1)
    return detector.eval()


def logits(detector: torch.nn.Module, pair: tuple[Tensor, Tensor] = PAIR) -> Tensor:
    with torch.no_grad():
        raw = detector(*pair)
    return torch.cat((raw.class_logits, raw.distance_logits.flatten(2)), dim=2)


@every_base
def test_fresh_adapter_on_a_single_detector_is_that_detector_to_the_last_bit(base: str) -> None:
    single, adapter = make(base, seed=1), make("adapter", base=base, seed=2)
    coverage = fill(adapter, single.state_dict(), source=single)
    assert (
        coverage.share("backbone") == coverage.share("backbone_ir") == coverage.share("head") == 1
    )
    assert torch.equal(logits(adapter), logits(single))


@every_base
def test_adapter_on_one_of_two_is_that_one_and_keeps_the_stream_of_the_other(
    base: Modality,
) -> None:
    both, adapter = make("decision", seed=1), make("adapter", base=base, seed=2)
    fill(adapter, renamed(both.state_dict(), base), source=both)
    assert torch.equal(logits(adapter), logits(OneOfTwo(both, base)))
    for part in ("backbone", "backbone_ir"):
        for name, value in getattr(both, part).state_dict().items():
            assert torch.equal(getattr(adapter, part).state_dict()[name], value)


def test_two_side_by_side_know_nothing_of_each_other() -> None:
    both = make("decision")
    visible, infrared = SideBySide(both)(*PAIR)
    assert torch.equal(visible.class_logits, OneOfTwo(both, "rgb")(*PAIR).class_logits)
    assert torch.equal(infrared.class_logits, OneOfTwo(both, "ir")(*PAIR).class_logits)
    visible.class_logits.sum().backward()
    assert all(value.grad is None for value in both.backbone_ir.parameters())
    assert all(value.grad is not None for value in both.backbone.parameters())


@every_base
def test_every_opened_adapter_lets_the_other_modality_in(base: str) -> None:
    other = (torch.rand_like(PAIR[0]), PAIR[1]) if base == "ir" else (PAIR[0], PAIR[1].flip(3))
    for name, value in make("adapter", base=base).fusion.named_parameters():
        adapter = make("adapter", base=base)
        before = logits(adapter)
        assert torch.equal(logits(adapter, other), before)
        place = adapter.fusion.get_parameter(name)
        torch.nn.init.constant_(place, 0.5)
        assert value.count_nonzero() == 0
        assert not torch.equal(logits(adapter), before)
        assert torch.equal(logits(adapter, other), logits(adapter)) == name.endswith("bias")


def test_adapter_on_something_else_is_refused() -> None:
    with pytest.raises(ConfigError, match="builds on rgb or ir"):
        make("adapter", base="auto")
