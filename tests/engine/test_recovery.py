import pytest
import torch

from fusetrain.engine.recovery import all_finite

LARGEST = torch.finfo(torch.float32).max


def test_finite_numbers_are_finite_even_where_their_sum_is_not() -> None:
    tensors = [torch.full((3, 4), LARGEST), torch.tensor(7), torch.zeros(0), torch.tensor(-1.5)]
    assert not tensors[0].sum().isfinite()
    assert all_finite(tensors)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [0, 4999, 9999])
def test_one_number_that_is_not_finite_is_found(value: float, place: int) -> None:
    broken = torch.zeros(10_000)
    broken[place] = value
    assert not all_finite([torch.ones(3), broken, torch.tensor(1)])


def test_infinities_that_cancel_each_other_are_found() -> None:
    assert not all_finite([torch.tensor([float("inf"), -float("inf")])])
