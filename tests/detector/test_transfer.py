"""Weights into fresh detectors: which streams they fill, and how much of them."""

import itertools

import pytest
import torch
from torchvision import models

from fusetrain.detector.detector import FusionDetector
from fusetrain.detector.fusion import KINDS
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.detector.transfer import convert_channels, fill

SIZE = 64
IMAGES = torch.rand(2, 3, SIZE, SIZE), torch.rand(2, 1, SIZE, SIZE)


def make(kind: str, *, seed: int, classes: int = 3, backbone: str = "csp") -> FusionDetector:
    torch.manual_seed(seed)
    return build_detector(DetectorSpec(kind, "concat", backbone, "n", 0.5, classes))


@pytest.mark.parametrize("kind", KINDS.names())
def test_same_kind_is_filled_to_the_last_value(kind: str) -> None:
    source, target = make(kind, seed=1), make(kind, seed=2)
    coverage = fill(target, source.state_dict(), source=source)
    assert all(coverage.share(part) == 1 for part in target.parts())
    assert not coverage.is_partial
    expected = source.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in target.state_dict().items())


@pytest.mark.parametrize(
    ("given", "wanted"), list(itertools.product(["rgb", "ir", "mid", "easy"], KINDS.names()))
)
def test_every_stream_is_filled_from_whichever_there_is(given: str, wanted: str) -> None:
    source, target = make(given, seed=1), make(wanted, seed=2)
    coverage = fill(target, source.state_dict(), source=source)
    for part in ("backbone", "backbone_ir"):
        if part in target.parts():
            assert coverage.share(part) == 1
    assert not coverage.is_partial


def test_streams_keep_to_their_own_modality_where_the_source_has_both() -> None:
    source, target = make("mid", seed=1), make("late", seed=2)
    fill(target, source.state_dict(), source=source)
    for part in ("backbone", "backbone_ir"):
        expected = source.parts()[part].state_dict()
        for name, value in target.parts()[part].state_dict().items():
            assert torch.equal(value, expected[name])


def test_infrared_stream_from_rgb_weights_answers_to_grey_as_rgb_does() -> None:
    source, target = make("rgb", seed=1).eval(), make("ir", seed=2).eval()
    fill(target, source.state_dict(), source=source)
    grey = torch.rand(2, 1, SIZE, SIZE)
    with torch.no_grad():
        expected = source.backbone(grey.expand(-1, 3, -1, -1))
        found = target.backbone_ir(grey)
    for own, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(own, theirs, rtol=1e-4, atol=1e-5)


def test_other_classes_leave_the_last_layers_of_the_head_alone() -> None:
    source, target = make("mid", seed=1), make("mid", seed=2, classes=5)
    before = target.state_dict()
    coverage = fill(target, source.state_dict(), source=source)
    assert coverage.share("backbone") == coverage.share("neck") == 1
    assert 0.5 < coverage.share("head") < 1
    assert before.keys() == target.state_dict().keys()


def test_wrapped_names_are_known_and_foreign_ones_fill_nothing() -> None:
    source, target = make("mid", seed=1), make("mid", seed=2)
    wrapped = {f"module.{name}": value for name, value in source.state_dict().items()}
    assert not fill(target, wrapped, source=source).is_partial
    coverage = fill(make("mid", seed=3), {"conv.weight": torch.zeros(3)}, source=None)
    assert coverage.is_partial
    assert str(coverage).startswith("backbone 0.0 %, backbone_ir 0.0 %")


@pytest.mark.parametrize("kind", ["mid", "easy", "mid-p3", "early", "data", "ir"])
@pytest.mark.parametrize("network", ["resnet18", "mobilenet_v3_small"])
def test_published_weights_fill_all_but_the_outlets(kind: str, network: str) -> None:
    torch.manual_seed(7)
    published = models.get_model(network, weights=None).state_dict()
    target = make(kind, seed=2, backbone=network)
    coverage = fill(target, published, source=None)
    assert not coverage.is_partial
    for part in ("backbone", "backbone_ir"):
        if part in target.parts():
            assert 0.9 < coverage.share(part) <= 1


def test_published_network_and_pyramid_compute_the_same() -> None:
    torch.manual_seed(7)
    network = models.get_model("resnet18", weights=None).eval()
    target = make("rgb", seed=2, backbone="resnet18").eval()
    fill(target, network.state_dict(), source=None)
    layers = torch.nn.Sequential(*list(network.children())[:-2])
    features = IMAGES[0]
    with torch.no_grad():
        for step in target.backbone.steps:
            features = step(features)
        torch.testing.assert_close(features, layers(IMAGES[0]))


@pytest.mark.parametrize(("given", "wanted"), list(itertools.product((1, 3, 4), repeat=2)))
def test_first_convolution_answers_to_grey_alike_whatever_its_channels(
    given: int, wanted: int
) -> None:
    weight = torch.rand(8, given, 3, 3)
    converted = convert_channels(weight, wanted)
    assert converted is not None
    assert converted.shape == (8, wanted, 3, 3)
    if given != 4:
        torch.testing.assert_close(converted.sum(1), weight.sum(1))
    assert convert_channels(torch.rand(8, 7, 3, 3), wanted) is None
