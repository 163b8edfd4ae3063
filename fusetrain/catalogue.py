"""Every detector that a config can ask for, with what it costs: the rows of `fusetrain models`.

Parameters and operations are counted on detectors without memory; only speed needs real ones.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from fusetrain.detector.backbone import SCALES
from fusetrain.detector.folding import folded
from fusetrain.detector.fusion import KINDS, OPERATORS, WITHOUT_OPERATOR, WITHOUT_P2
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.engine.machine import Machine

STRIDE_PX = 32
WARM_UPS = 1
ROUNDS = 3
NO_OPERATOR = "concat"


@dataclass(frozen=True)
class Entry:
    """One detector and its cost.

    Attributes:
        spec: Its shape.
        params: Number of parameters.
        flops: Floating-point operations of a forward pass on one pair; a multiplication and the
            addition after it count as two.
        seconds: Median of a forward pass on one pair here; None where it was not timed.
    """

    spec: DetectorSpec
    params: int
    flops: float
    seconds: float | None = None

    @property
    def operator(self) -> str:
        """Return the operator, or a dash where the kind has none."""
        return "-" if self.spec.kind in WITHOUT_OPERATOR else self.spec.operator


def specs(
    kinds: Sequence[str],
    sizes: Sequence[str],
    *,
    backbone: str,
    width: float,
    num_classes: int,
    finest: str = "p3",
) -> list[DetectorSpec]:
    """Return the kinds with every operator that they take, in the sizes; empty is all of them."""
    every = [kind for kind in KINDS if finest != "p2" or kind not in WITHOUT_P2]
    return [
        DetectorSpec(kind, operator, backbone, size, width, num_classes, finest=finest)
        for size in sizes or SCALES
        for kind in kinds or every
        for operator in (OPERATORS if kind not in WITHOUT_OPERATOR else (NO_OPERATOR,))
    ]


def entries(wanted: Sequence[DetectorSpec], *, imgsz: int) -> Iterator[Entry]:
    """Yield the cost of each detector on a square canvas of ``imgsz`` px, rounded up to 32."""
    side = canvas(imgsz)
    for spec in wanted:
        with torch.device("meta"):
            detector = build_detector(spec).eval()
            pair = torch.zeros(1, 3, side, side), torch.zeros(1, 1, side, side)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            detector(*pair)
        params = sum(parameter.numel() for parameter in detector.parameters())
        yield Entry(spec, params, float(counter.get_total_flops()))


def canvas(imgsz: int) -> int:
    """Return the side that a canvas of ``imgsz`` px has."""
    return -(-imgsz // STRIDE_PX) * STRIDE_PX


def timed(entry: Entry, machine: Machine, *, imgsz: int) -> Entry:
    """Return the entry with the time of a forward pass on one pair, as `predict` runs it."""
    detector = folded(build_detector(entry.spec)).to(machine.device)
    detector = detector.to(memory_format=machine.memory_format)
    side = canvas(imgsz)
    pair = [
        torch.rand(1, channels, side, side, device=machine.device).to(
            machine.dtype, memory_format=machine.memory_format
        )
        for channels in (3, 1)
    ]
    with torch.inference_mode(), machine.autocast():
        seconds = [_seconds(lambda: detector(*pair), machine) for _ in range(WARM_UPS + ROUNDS)]
    return replace(entry, seconds=statistics.median(seconds[WARM_UPS:]))


def _seconds(run: Callable[[], object], machine: Machine) -> float:
    started = time.perf_counter()
    run()
    if machine.device.type == "cuda":
        torch.cuda.synchronize(machine.device)
    return time.perf_counter() - started
