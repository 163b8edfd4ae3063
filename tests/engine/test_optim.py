import copy

import pytest
import torch

from fusetrain.detector.detector import FusionDetector
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.engine import OPTIMIZERS
from fusetrain.engine.ema import WeightAverage
from fusetrain.engine.muon import Muon, orthogonal
from fusetrain.engine.optim import build_optimizer, restore_optimizer
from fusetrain.schedule.plan import GroupKey

KINDS = ("decay", "norm", "bias")


@pytest.fixture
def detector() -> FusionDetector:
    torch.manual_seed(0)
    return build_detector(DetectorSpec("mid", "concat", "csp", "n", 0.25, 2))


def optimizer_of(
    detector: FusionDetector, groups: list[GroupKey], *, name: str = "adamw"
) -> torch.optim.Optimizer:
    return build_optimizer(
        name, detector.parts(), groups=groups, lr=0.1, momentum=0.9, weight_decay=0.05
    )


def test_groups_hold_weights_then_norms_then_biases(detector: FusionDetector) -> None:
    optimizer = optimizer_of(detector, [GroupKey(None, kind) for kind in KINDS])
    decay, norm, bias = optimizer.param_groups
    assert all(name.endswith("weight") for name in decay["names"])
    assert all("norm.weight" in name for name in norm["names"])
    assert all(name.endswith("bias") for name in bias["names"])
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.05, 0.0, 0.0]
    counted = sum(len(group["params"]) for group in optimizer.param_groups)
    assert counted == len(list(detector.parameters()))


def test_groups_by_part_cover_every_parameter_once(detector: FusionDetector) -> None:
    keys = [GroupKey(part, kind) for part in detector.parts() for kind in KINDS]
    optimizer = optimizer_of(detector, keys)
    names = [name for group in optimizer.param_groups for name in group["names"]]
    assert len(names) == len(set(names)) == len(list(detector.parameters()))
    for group in optimizer.param_groups:
        assert all(name.startswith(group["part"] + ".") for name in group["names"])


def test_empty_group_of_an_absent_part_keeps_its_place(detector: FusionDetector) -> None:
    keys = [GroupKey("absent", "decay"), GroupKey(None, "decay")]
    optimizer = optimizer_of(detector, keys)
    assert [group["part"] for group in optimizer.param_groups] == ["absent", None]
    assert optimizer.param_groups[0]["params"] == []


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_step_that_is_not_finite_leaves_weights_and_counters(name: str) -> None:
    torch.manual_seed(0)
    small = build_detector(DetectorSpec("ir", "concat", "csp", "n", 0.25, 2))
    optimizer = optimizer_of(small, [GroupKey(None, kind) for kind in KINDS], name=name)
    before = {key: value.clone() for key, value in small.state_dict().items()}
    for parameter in small.parameters():
        parameter.grad = torch.full_like(parameter, float("nan"))
    optimizer.found_inf = torch.tensor(1.0)  # type: ignore[attr-defined]
    optimizer.step()
    assert all(torch.equal(before[key], value) for key, value in small.state_dict().items())


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_step_after_a_first_one_that_is_not_finite_is_as_without_it(name: str) -> None:
    def stepped(*gradients: float) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        small = build_detector(DetectorSpec("ir", "concat", "csp", "n", 0.25, 2))
        optimizer = optimizer_of(small, [GroupKey(None, kind) for kind in KINDS], name=name)
        for gradient in gradients:
            for parameter in small.parameters():
                parameter.grad = torch.full_like(parameter, gradient)
            # What is freed here is what new memory holds in the step.
            del [torch.full_like(parameter, 7.0) for parameter in small.parameters()][:]
            is_finite = gradient == gradient
            optimizer.found_inf = torch.tensor(float(not is_finite))  # type: ignore[attr-defined]
            optimizer.step()
        return small.state_dict()

    after_skip, plain = stepped(float("nan"), 0.5), stepped(0.5)
    assert all(torch.equal(value, after_skip[key]) for key, value in plain.items())


@pytest.mark.parametrize("shape", [(24, 40), (300, 160)], ids=["small", "in a short type"])
def test_muon_moves_a_matrix_as_the_reference_does(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(shape), torch.randn(4, *shape)
    own, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    options = {"lr": 0.01, "weight_decay": 0.1}
    reference = torch.optim.Muon(
        [theirs], momentum=0.9, nesterov=True, adjust_lr_fn="match_rms_adamw", **options
    )
    group = {"params": [own], "kind": "decay"}
    muon = Muon([group], betas=(0.9, 0.999), product_dtype=torch.bfloat16, **options)
    for gradient in gradients:
        own.grad, theirs.grad = gradient.clone(), gradient.clone()
        muon.step()
        reference.step()
    assert torch.equal(own.grad, gradients[-1])
    moved = (theirs - start).abs().max()
    assert moved > 1e-3
    assert (own - theirs).abs().max() < 0.01 * moved


def test_muon_takes_a_convolution_as_a_matrix_and_all_else_as_adamw_does() -> None:
    torch.manual_seed(0)
    convolution, bias = torch.randn(16, 8, 3, 3), torch.randn(16)
    values = [torch.nn.Parameter(value.clone()) for value in (convolution, bias)]
    wide, plain = torch.nn.Parameter(convolution.flatten(1)), torch.nn.Parameter(bias.clone())
    gradients = torch.randn_like(convolution), torch.randn_like(bias)
    both = [{"params": values[:1], "kind": "decay"}, {"params": values[1:], "kind": "bias"}]
    muon = Muon(both, lr=0.1, betas=(0.9, 0.999))
    flat = Muon([{"params": [wide], "kind": "decay"}], lr=0.1, betas=(0.9, 0.999))
    adamw = torch.optim.AdamW([plain], lr=0.1, betas=(0.9, 0.999))
    values[0].grad, values[1].grad = gradients
    wide.grad, plain.grad = gradients[0].flatten(1), gradients[1]
    for optimizer in (muon, flat, adamw):
        optimizer.step()
    torch.testing.assert_close(values[0].detach().flatten(1), wide.detach())
    torch.testing.assert_close(values[1].detach(), plain.detach())


def test_muon_moves_weights_alike_whatever_their_order_in_memory() -> None:
    torch.manual_seed(0)
    weights, gradient = torch.randn(2, 16, 8, 3, 3), torch.randn(2, 16, 8, 3, 3)
    moved = []
    for form in (torch.contiguous_format, torch.channels_last):
        values = [torch.nn.Parameter(each.clone(memory_format=form)) for each in weights]
        optimizer = Muon([{"params": values, "kind": "decay"}], lr=0.1)
        for value, each in zip(values, gradient, strict=True):
            value.grad = each.clone()  # in one order only
        optimizer.step()
        assert all(value.is_contiguous(memory_format=form) for value in values)
        moved.append(torch.stack([value.detach().contiguous() for value in values]))
    torch.testing.assert_close(*moved)


@pytest.mark.parametrize("shape", [(3, 12, 40), (2, 40, 12), (1, 16, 16)])
def test_orthogonal_matrices_have_equal_singular_values(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    given = torch.randn(shape)
    found = orthogonal(given)
    values = torch.linalg.svdvals(found)
    assert found.shape == given.shape
    assert ((values > 0.3) & (values < 1.3)).all()
    assert torch.linalg.svdvals(given).std() > 4 * values.std()
    left, _, right = torch.linalg.svd(given, full_matrices=False)
    assert (found * (left @ right)).sum() > 0.9 * found.norm() * (left @ right).norm()
    assert torch.equal(orthogonal(torch.zeros(shape)), torch.zeros(shape))


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_optimizer_goes_on_from_its_saved_state_to_the_last_bit(name: str) -> None:
    def built() -> tuple[FusionDetector, torch.optim.Optimizer]:
        torch.manual_seed(0)
        small = build_detector(DetectorSpec("ir", "concat", "csp", "n", 0.25, 2))
        return small, optimizer_of(small, [GroupKey(None, kind) for kind in KINDS], name=name)

    def step(small: FusionDetector, optimizer: torch.optim.Optimizer, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in small.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()

    through, optimizer = built()
    step(through, optimizer, 1)
    saved = copy.deepcopy((through.state_dict(), optimizer.state_dict()))
    step(through, optimizer, 2)
    again, other = built()
    again.load_state_dict(saved[0])
    other.load_state_dict(saved[1])
    step(again, other, 2)
    assert all(map(torch.equal, through.parameters(), again.parameters()))


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_parameters_that_are_frozen_at_first_are_trained_later(
    detector: FusionDetector, name: str
) -> None:
    optimizer = optimizer_of(detector, [GroupKey(None, kind) for kind in KINDS], name=name)
    frozen = list(detector.parts()["backbone"].parameters())
    before = [parameter.detach().clone() for parameter in frozen]
    for parameter in detector.parts()["head"].parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert all(map(torch.equal, before, frozen))
    for parameter in detector.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert not any(map(torch.equal, before, frozen))


def test_average_follows_weights_and_statistics(detector: FusionDetector) -> None:
    average = WeightAverage(detector, decay=0.5, ramp=1e-9)
    with torch.no_grad():
        for value in detector.state_dict().values():
            value += 2
    average.update(1)
    for name, value in average.model.state_dict().items():
        moved = detector.state_dict()[name]
        expected = moved - 1 if value.is_floating_point() else moved
        torch.testing.assert_close(value, expected)


def test_average_forgets_the_start_quickly_at_first(detector: FusionDetector) -> None:
    average = WeightAverage(detector)
    start = next(detector.parameters()).clone()
    with torch.no_grad():
        next(detector.parameters()).add_(1.0)
    average.update(1)
    moved = next(average.model.parameters()) - start
    assert moved.min() > 0.99


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_state_of_another_order_in_memory_goes_to_the_same_weights(name: str) -> None:
    def built(form: torch.memory_format) -> tuple[FusionDetector, torch.optim.Optimizer]:
        torch.manual_seed(0)
        spec = DetectorSpec("ir", "concat", "csp", "n", 0.25, 2)
        small = build_detector(spec).to(memory_format=form)
        return small, optimizer_of(small, [GroupKey(None, kind) for kind in KINDS], name=name)

    def step(small: FusionDetector, optimizer: torch.optim.Optimizer, seed: int) -> None:
        torch.manual_seed(seed)
        for parameter in small.parameters():
            gradient = torch.randn(parameter.shape)
            parameter.grad = torch.empty_like(parameter).copy_(gradient)
        optimizer.step()

    first, before = built(torch.channels_last)
    step(first, before, 1)
    second, after = built(torch.contiguous_format)
    second.load_state_dict(first.state_dict())
    restore_optimizer(copy.deepcopy(before.state_dict()), after)
    step(first, before, 2)
    step(second, after, 2)
    for key, value in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[key], value)
