"""Every fusion kind and operator: shapes, gradients, parts, and batches without a box."""

import copy
from typing import Literal

import pytest
import torch

from fusetrain.config.schema import PARTS
from fusetrain.detector import BACKBONES
from fusetrain.detector.backbone import SCALES
from fusetrain.detector.detector import FusionDetector
from fusetrain.detector.fusion import KINDS, OPERATORS, WITHOUT_OPERATOR
from fusetrain.detector.junctions import StreamNorms
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.engine.machine import choose_machine
from fusetrain.engine.optim import build_optimizer
from fusetrain.engine.stages import WHOLE_RUN, Inputs, shown
from fusetrain.engine.step import StepRunner
from fusetrain.errors import ConfigError
from fusetrain.loss.detection import DetectionLoss
from fusetrain.sample import Batch
from fusetrain.schedule.plan import KINDS as GROUP_KINDS
from fusetrain.schedule.plan import GroupKey

Precision = Literal[False, "bf16"]
SIZE = 64
NUM_CLASSES = 3
EXPECTED_STREAMS = {
    "rgb": {"backbone"},
    "ir": {"backbone_ir"},
    "data": {"backbone"},
    "easy": {"backbone"},
}
BOTH = {"backbone", "backbone_ir"}


def make(
    kind: str,
    operator: str = "concat",
    *,
    finest: str = "p3",
    size: str = "n",
    one_to_one: bool = False,
) -> FusionDetector:
    torch.manual_seed(0)
    spec = DetectorSpec(
        kind, operator, "csp", size, 0.5, NUM_CLASSES, one_to_one=one_to_one, finest=finest
    )
    return build_detector(spec)


def batch(*, boxes: int) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return Batch(
        pixels=torch.randint(0, 256, (2, SIZE, SIZE, 4), generator=generator, dtype=torch.uint8),
        boxes_xyxy_px=torch.tensor([8.0, 8.0, 40.0, 56.0]).expand(2, boxes, 4),
        classes=torch.ones(2, boxes, dtype=torch.int64),
        is_box=torch.ones(2, boxes, dtype=torch.bool),
        sample_ids=torch.arange(2),
        canvas_from_original=torch.tensor([[1.0, 1.0, 0.0, 0.0]] * 2),
        original_sizes_hw=torch.tensor([[SIZE, SIZE]] * 2),
    )


def trained_once(detector: FusionDetector, data: Batch) -> torch.Tensor:
    terms = DetectionLoss()(detector(data.rgb / 255, data.ir / 255), data)
    terms.total.backward()
    return terms.total.detach()


def stepped(detector: FusionDetector) -> FusionDetector:
    """Return it after one step, which opens what starts at zero."""
    optimizer = torch.optim.SGD(detector.parameters(), lr=1e-2)
    trained_once(detector, batch(boxes=1))
    optimizer.step()
    optimizer.zero_grad()
    return detector


def settled(detector: FusionDetector) -> FusionDetector:
    """Return it in evaluation mode with the statistics of random images, so that signals show."""
    detector = stepped(detector)
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        detector.train()(torch.rand(4, 3, SIZE, SIZE), torch.rand(4, 1, SIZE, SIZE))
    return detector.eval()


every_kind = pytest.mark.parametrize("kind", KINDS.names())
WITH_P2 = [kind for kind in KINDS if kind != "mid-p3"]
COMBINATIONS = [
    (kind, operator, "p3")
    for kind in KINDS
    for operator in OPERATORS
    if operator == "concat" or kind not in WITHOUT_OPERATOR
] + [(kind, "concat", "p2") for kind in WITH_P2]
every_combination = pytest.mark.parametrize(("kind", "operator", "finest"), COMBINATIONS)
STRIDES = {"p3": (8, 16, 32), "p2": (4, 8, 16, 32)}


@every_combination
def test_logits_stand_for_every_anchor_point(kind: str, operator: str, finest: str) -> None:
    detector = make(kind, operator, finest=finest)
    raw = detector(torch.rand(2, 3, SIZE, SIZE), torch.rand(2, 1, SIZE, SIZE))
    points = sum((SIZE // stride) ** 2 for stride in STRIDES[finest])
    assert raw.class_logits.shape == (2, points, NUM_CLASSES)
    assert raw.distance_logits.shape == (2, points, 4, 16)
    assert raw.anchors_xy_px.shape == (points, 2)
    assert raw.anchors_xy_px[0].tolist() == [STRIDES[finest][0] / 2] * 2
    assert set(raw.strides_px.tolist()) == set(map(float, STRIDES[finest]))


@every_combination
def test_gradient_reaches_every_stream_of_the_kind(kind: str, operator: str, finest: str) -> None:
    detector = stepped(make(kind, operator, finest=finest))
    trained_once(detector, batch(boxes=1))
    streams = EXPECTED_STREAMS.get(kind, BOTH)
    assert {name for name in detector.parts() if name in BOTH} == streams
    for name in streams:
        gradients = [parameter.grad for parameter in detector.parts()[name].parameters()]
        assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
        assert any(gradient.abs().sum() > 0 for gradient in gradients)


@every_combination
def test_batch_without_a_box_has_finite_loss_and_uses_every_parameter(
    kind: str, operator: str, finest: str
) -> None:
    detector = make(kind, operator, finest=finest)
    assert trained_once(detector, batch(boxes=0)).isfinite()
    unused = [name for name, value in detector.named_parameters() if value.grad is None]
    assert unused == []


@pytest.mark.parametrize("amp", [False, "bf16"])
@every_combination
def test_training_that_is_resumed_after_its_first_step_goes_on_to_the_last_bit(
    kind: str, operator: str, finest: str, amp: Precision
) -> None:
    data = [batch(boxes=1), batch(boxes=0)]

    def made() -> FusionDetector:
        return make(kind, operator, finest=finest, one_to_one=bool(amp))

    def run(runner: StepRunner, updates: int) -> None:
        runner.enter(WHOLE_RUN)
        runner.step([data[updates]], updates=updates)
        assert runner.take_counts()["skipped"] == 0

    first = runner_of(made(), amp=amp)
    run(first, 0)
    saved = copy.deepcopy((first.detector.state_dict(), first.optimizer.state_dict()))
    run(first, 1)
    again = runner_of(made(), amp=amp)
    again.detector.load_state_dict(saved[0])
    again.optimizer.load_state_dict(saved[1])
    run(again, 1)
    values = again.detector.state_dict()
    for name, value in first.detector.state_dict().items():
        assert torch.equal(value, values[name]), name
        assert value.isfinite().all(), name
    assert any(not torch.equal(value, values[name]) for name, value in saved[0].items())


def runner_of(detector: FusionDetector, *, amp: Precision = False) -> StepRunner:
    """Return what trains a detector as a run does."""
    parts = detector.parts()
    groups = [GroupKey(None, kind) for kind in GROUP_KINDS]
    optimizer = build_optimizer(
        "adamw", parts, groups=groups, lr=1e-3, momentum=0.9, weight_decay=5e-4
    )
    machine = choose_machine(
        device="cpu",
        amp=amp,
        memory_format="auto",
        threads=1,
        workers=0,
        deterministic=None,
    )
    return StepRunner(
        detector, DetectionLoss(), optimizer, average=None, machine=machine, clip_norm=10.0
    )


@every_kind
@pytest.mark.parametrize("inputs", ["rgb", "ir"])
def test_one_image_alone_is_judged_beside_a_grey_one(kind: str, inputs: Inputs) -> None:
    """What stands in for a missing image is what a pair without it was trained with."""
    detector = settled(make(kind))
    rgb, ir = torch.rand(1, 3, SIZE, SIZE), torch.rand(1, 1, SIZE, SIZE)
    other = torch.rand_like(rgb), torch.rand_like(ir)
    with torch.no_grad():
        found = detector(*shown(rgb, ir, inputs)).class_logits
        given = (rgb, other[1]) if inputs == "rgb" else (other[0], ir)
        same = detector(*shown(*given, inputs)).class_logits
    assert found.isfinite().all()
    assert torch.equal(found, same)


@every_kind
def test_parts_hold_all_parameters_under_the_known_names(kind: str) -> None:
    detector = make(kind)
    parts = detector.parts()
    assert list(parts) == [name for name in PARTS if name in parts]
    counted = sum(value.numel() for part in parts.values() for value in part.parameters())
    assert counted == sum(value.numel() for value in detector.parameters())


@every_kind
def test_same_seed_gives_the_same_weights(kind: str) -> None:
    first, second = make(kind).state_dict(), make(kind).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_sizes_grow() -> None:
    counts = [
        sum(value.numel() for value in make("mid", size=size).parameters()) for size in SCALES
    ]
    assert counts == sorted(counts)
    assert len(set(counts)) == len(SCALES)


@pytest.mark.parametrize(
    ("kind", "operator", "finest"), [each for each in COMBINATIONS if each[0] not in ("rgb", "ir")]
)
def test_fused_detector_sees_both_images(kind: str, operator: str, finest: str) -> None:
    detector = settled(make(kind, operator, finest=finest))
    rgb, ir = torch.rand(2, 3, SIZE, SIZE), torch.rand(2, 1, SIZE, SIZE)
    with torch.no_grad():
        lit = detector(rgb, ir).class_logits
        assert not torch.equal(lit, detector(rgb, torch.zeros_like(ir)).class_logits)
        assert not torch.equal(lit, detector(torch.zeros_like(rgb), ir).class_logits)


@pytest.mark.parametrize("kind", ["rgb", "ir"])
def test_single_detector_sees_one_image(kind: str) -> None:
    detector = settled(make(kind))
    rgb, ir = torch.rand(2, 3, SIZE, SIZE), torch.rand(2, 1, SIZE, SIZE)
    with torch.no_grad():
        own = detector(rgb, ir).class_logits
        no_rgb = detector(torch.zeros_like(rgb), ir).class_logits
        no_ir = detector(rgb, torch.zeros_like(ir)).class_logits
    assert torch.equal(own, no_ir) == (kind == "rgb")
    assert torch.equal(own, no_rgb) == (kind == "ir")


@every_combination
def test_a_pair_is_judged_by_itself_on_a_canvas_of_any_shape(
    kind: str, operator: str, finest: str
) -> None:
    detector = settled(make(kind, operator, finest=finest))
    rgb, ir = torch.rand(3, 3, 64, 160), torch.rand(3, 1, 64, 160)
    with torch.no_grad():
        together = detector(rgb, ir).class_logits
        alone = detector(rgb[1:2], ir[1:2]).class_logits
    assert together.std() > 1e-3
    assert together.shape[1] == sum(64 * 160 // stride**2 for stride in STRIDES[finest])
    assert (together[1:2] - alone).abs().max() < 0.02 * together.std()


@pytest.mark.parametrize("backbone", BACKBONES.names())
@pytest.mark.parametrize(
    ("kind", "finest"),
    [(kind, "p3") for kind in ("mid", "mid-p3", "easy", "data", "ir")]
    + [(kind, "p2") for kind in ("mid", "early", "easy", "data", "ir")],
)
def test_every_backbone_is_cut_where_the_kind_wants_it(
    kind: str, finest: str, backbone: str
) -> None:
    torch.manual_seed(0)
    spec = DetectorSpec(kind, "concat", backbone, "n", 1.0, NUM_CLASSES, finest=finest)
    detector = build_detector(spec)
    assert trained_once(detector, batch(boxes=1)).isfinite()
    unused = [name for name, value in detector.named_parameters() if value.grad is None]
    assert unused == []
    raw = detector(torch.rand(2, 3, SIZE, 96), torch.rand(2, 1, SIZE, 96))
    assert raw.class_logits.shape[1] == sum(SIZE * 96 // side**2 for side in STRIDES[finest])


def test_streams_that_meet_behind_p2_cannot_give_it_out() -> None:
    with pytest.raises(ConfigError, match="meet behind P2"):
        make("mid-p3", finest="p2")


def test_shared_backbone_has_one_set_of_weights_and_two_of_statistics() -> None:
    detector, single = make("easy"), make("rgb")
    convolutions = {
        name: sum(value.numel() for value in part["backbone"].parameters() if value.dim() == 4)
        for name, part in (("easy", detector.parts()), ("rgb", single.parts()))
    }
    own_entry = sum(
        value.numel() for value in detector.backbone.enter_ir.parameters() if value.dim() == 4
    )
    assert convolutions["easy"] == convolutions["rgb"] + own_entry
    detector(torch.zeros(2, 3, SIZE, SIZE), torch.rand(2, 1, SIZE, SIZE))
    norm = next(m for m in detector.backbone.steps.modules() if isinstance(m, StreamNorms))
    assert not torch.equal(norm.visible.running_mean, norm.infrared.running_mean)
