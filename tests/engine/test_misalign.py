from __future__ import annotations

import torch

from fusetrain.engine.misalign import misaligned
from fusetrain.sample import Batch


def batch_of(ir: torch.Tensor, *, scale: float = 1.0, offset: tuple[int, int] = (0, 0)) -> Batch:
    height, width = ir.shape
    pixels = torch.full(
        (1, height + 2 * offset[1], width + 2 * offset[0], 4), 114, dtype=torch.uint8
    )
    pixels[0, offset[1] : offset[1] + height, offset[0] : offset[0] + width, 3] = ir
    return Batch(
        pixels=pixels,
        boxes_xyxy_px=torch.zeros(1, 0, 4),
        classes=torch.zeros(1, 0, dtype=torch.int64),
        is_box=torch.zeros(1, 0, dtype=torch.bool),
        sample_ids=torch.zeros(1, dtype=torch.int64),
        canvas_from_original=torch.tensor([[scale, scale, *offset]], dtype=torch.float64),
        original_sizes_hw=torch.tensor([[round(height / scale), round(width / scale)]]),
    )


RAMP = torch.arange(40, dtype=torch.uint8).repeat(8, 1) * 4


def moved(batch: Batch, shift: tuple[float, float]) -> torch.Tensor:
    (result,) = misaligned([batch], shift)
    assert torch.equal(result.pixels[..., :3], batch.pixels[..., :3])
    return result.pixels[0, ..., 3]


def test_infrared_moves_right_and_its_border_is_repeated() -> None:
    ir = moved(batch_of(RAMP), (3.0, 0.0))
    assert torch.equal(ir[:, 3:], RAMP[:, :-3])
    assert (ir[:, :3] == 0).all()
    assert torch.equal(moved(batch_of(RAMP), (-3.0, 0.0))[:, :-3], RAMP[:, 3:])


def test_infrared_moves_down() -> None:
    ir = moved(batch_of(RAMP.T.contiguous()), (0.0, 2.0))
    assert torch.equal(ir[2:], RAMP.T[:-2])


def test_shift_counts_pixels_of_the_original_and_parts_are_interpolated() -> None:
    ir = moved(batch_of(RAMP, scale=0.5), (3.0, 0.0))
    assert torch.equal(ir[:, 2:].int(), RAMP[:, 2:].int() - 6)


def test_padding_stays_and_no_shift_changes_nothing() -> None:
    batch = batch_of(RAMP, offset=(4, 6))
    ir = moved(batch, (5.0, 0.0))
    assert (ir[:6] == 114).all()
    assert (ir[:, :4] == 114).all()
    assert (ir[:, -4:] == 114).all()
    assert torch.equal(ir[6:-6, 9:-4], RAMP[:, :-5])
    assert moved(batch, (0.0, 0.0)) is not None
    assert torch.equal(moved(batch, (0.0, 0.0)), batch.pixels[0, ..., 3])
