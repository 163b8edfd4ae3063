"""Single pieces of work on a device: the largest rates it reaches, an update of weights, detecting.

Whole training steps are in `split_steps.py`.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable, Sequence

import torch
from measuring.clocks import clock_of, wait_for
from measuring.reference_convolution import ReferenceConvolution
from torch import Tensor

from fusetrain.detector.decode import decode
from fusetrain.detector.folding import folded
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.engine.machine import Machine

WARM_UPS = 3
SYNC = "called a synchronizing CUDA operation"


def median_seconds(work: Callable[[], object], device: torch.device, *, rounds: int) -> float:
    """Return the median time of a piece of work, of the processor or on the GPU, after warm-up."""
    clock = clock_of(device)
    for _ in range(WARM_UPS):
        work()
    spans = []
    for _ in range(rounds):
        begun = clock.mark()
        work()
        spans.append((begun, clock.mark()))
    return statistics.median(clock.seconds(*span) for span in spans)


def matmul_rate(device: torch.device, dtype: torch.dtype, *, side: int, rounds: int) -> float:
    """Return the operations a second, in 10^9, of a product of square matrices (2 side^3 each)."""
    one, other = (torch.ones(side, side, dtype=dtype, device=device) for _ in range(2))
    one.normal_()
    other.normal_()
    seconds = median_seconds(lambda: one @ other, device, rounds=rounds)
    return 2 * side**3 / seconds / 1e9


def convolution_rate(yardstick: ReferenceConvolution, *, rounds: int) -> float:
    """Return the operations a second, in 10^9, of the reference convolution and its gradients."""
    seconds = median_seconds(yardstick.run, yardstick.device, rounds=rounds)
    return yardstick.flop / seconds / 1e9


def update_seconds(parameters: Sequence[Tensor], *, fused: bool, rounds: int) -> float:
    """Return the time of one AdamW update of copies of ``parameters``, fused or by lists."""
    copies = [each.detach().clone().requires_grad_() for each in parameters]
    for each in copies:
        each.grad = torch.zeros_like(each)
    optimizer = torch.optim.AdamW(copies, lr=1e-3, fused=fused, foreach=not fused)
    return median_seconds(optimizer.step, copies[0].device, rounds=rounds)


def detecting_seconds(
    machine: Machine, *, kind: str, size: str, imgsz: int, batch: int, rounds: int
) -> float:
    """Return the time from ``batch`` pairs on the device to boxes and scores of all points.

    Weights are untrained and folded as for `predict`; suppression is left out.
    """
    torch.manual_seed(0)
    detector = folded(build_detector(DetectorSpec(kind, "concat", "csp", size, 1.0, 3)).eval())
    detector = detector.to(machine.device).to(memory_format=machine.memory_format)
    rgb, ir = (
        torch.rand(batch, channels, imgsz, imgsz, device=machine.device).contiguous(
            memory_format=machine.memory_format
        )
        for channels in (3, 1)
    )

    def detect() -> object:
        with machine.autocast():
            return decode(detector(rgb, ir))

    with torch.inference_mode():
        return median_seconds(detect, machine.device, rounds=rounds)


def waits(work: Callable[[], object], device: torch.device) -> list[str]:
    """Return the places at which a piece of work makes the host wait for a GPU.

    torch tells of reads and of blocking copies; waiting for an event, which the step does for the
    copy of a flag of the step before, is not among them.
    """
    if device.type != "cuda":
        return []
    wait_for(device)
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            work()
    finally:
        torch.cuda.set_sync_debug_mode(before)
    return [f"{each.filename}:{each.lineno}" for each in told if SYNC in str(each.message)]


def peak_mib(work: Callable[[], object], device: torch.device) -> float | None:
    """Return the most memory that tensors took while a piece of work ran, MiB; None on a CPU."""
    if device.type != "cuda":
        work()
        return None
    torch.cuda.reset_peak_memory_stats(device)
    work()
    wait_for(device)
    return torch.cuda.max_memory_allocated(device) / 2**20
