"""Short measurements of what `cluster.Figures` asks for, and of how the costs behind them grow.

All in seconds of the processor, by one thread. Pairs are drawn, or those of a set that is named.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from measuring.cluster import Figures, ring_volume
from measuring.costs import Growth, cpu_ms, index_mib
from measuring.data_turns import PAIRS_OF_A_MOSAIC, all_turns, take_turns
from measuring.drawn_boxes import draw_boxes
from measuring.drawn_pairs import drawn_index, write_pairs
from measuring.gradient_exchange import exchange_ms
from measuring.raw_decoding import begin_check, end_check
from torch.utils.flop_counter import FlopCounterMode

from fusetrain.checks.flow.tasks import all_tasks, list_pairs
from fusetrain.data.index import scan_split
from fusetrain.data.order import EpochBatches
from fusetrain.data.spec import load_spec
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.engine.checkpoint import packed, snapshot
from fusetrain.loss.detection import DetectionLoss
from fusetrain.results.metrics import evaluate
from fusetrain.sample import Batch

DRAWN_WH = (1280, 1024)
DRAWN_PAIRS = 16
CHECKED_PAIRS = 32
JUDGED_PAIRS = 200
BOXES = 5
MEBI = 2**20


@dataclass(frozen=True)
class Asked:
    """What is to be measured.

    Attributes:
        data: Data YAML of a set; None draws pairs of DRAWN_WH.
        size: Of the detector, which is `mid`.
        imgsz: Side of the canvas, px.
        scanned: Pairs whose names and labels are read.
        folder: Where everything is written.
    """

    data: Path | None
    size: str
    imgsz: int
    scanned: int
    folder: Path


@dataclass(frozen=True)
class Check:
    """What the model says of a size that was measured, too.

    Attributes:
        what: The cost, with its unit and size.
        model: What follows from smaller sizes.
        measured: What was measured.
    """

    what: str
    model: float
    measured: float

    @property
    def deviation(self) -> float:
        """Return model / measured - 1."""
        return self.model / self.measured - 1


def figures_of(asked: Asked, *, order: Growth, index: Growth) -> Figures:
    """Measure everything on this machine.

    Args:
        asked: What is to be measured.
        order: Milliseconds of the order of an epoch over the pairs.
        index: MiB of the index over the pairs.
    """
    torch.set_num_threads(1)
    data = asked.data
    if data is None:
        data = write_pairs(asked.folder / "set", DRAWN_PAIRS, size_wh=DRAWN_WH)
    forward, step = flop_per_pair(asked.size, asked.imgsz)
    num_bytes, seconds, parameters = checkpoint_cost(asked.size, asked.folder)
    rates = sample_rates(data, asked.imgsz, asked.folder / "cache")
    cache_bytes = sum(file.stat().st_size for file in (asked.folder / "cache").iterdir())
    scan = scan_split(load_spec(data), "train").index
    return Figures(
        pair_bytes=float((scan.rgb_bytes + scan.ir_bytes).mean()),
        cached_pair_bytes=cache_bytes / len(scan),
        file_pairs_per_core_s=rates["from files"],
        cache_pairs_per_core_s=rates["from disk cache"],
        pairs_read_per_sample=PAIRS_OF_A_MOSAIC,
        step_flop_per_pair=step,
        forward_flop_per_pair=forward,
        parameters=parameters,
        index_bytes_per_pair=index.costs[-1] * MEBI / index.sizes[-1],
        order_s_per_million=predicted(order, 10**6) / 1e3,
        order_exponent=order.exponent,
        scan_pairs_s=scan_rate(asked),
        check_pairs_per_core_s=check_rate(data),
        judge_s_per_pair=judging_seconds(),
        checkpoint_bytes=num_bytes,
        checkpoint_s=seconds,
    )


def growth_over_pairs(largest: int) -> tuple[Growth, Growth]:
    """Return the cost of the order of an epoch, and of the index, up to ``largest`` pairs.

    The order, which is cheap, is looked at up to ten times as many: it grows faster where it no
    longer fits the caches of a processor.
    """
    sizes = [largest // 100, largest // 10, largest]
    more = [10 * size for size in sizes]
    begun = [cpu_ms(partial(EpochBatches(size, 16, 0, 0).keys, compose=True)) for size in more]
    held = [index_mib(drawn_index(size)) for size in sizes]
    return (
        Growth("order of an epoch, ms", "pairs", more, begun),
        Growth("index in memory, MiB", "pairs", sizes, held),
    )


def predicted(growth: Growth, size: int) -> float:
    """Return last cost x (size / last size) ^ exponent."""
    return float(growth.costs[-1] * (size / growth.sizes[-1]) ** growth.exponent)


def checks_of(order: Growth, index: Growth, *, ranks: tuple[int, ...]) -> list[Check]:
    """Compare the model at the largest sizes with what it makes of the smaller ones.

    Args:
        order: Milliseconds of the order of an epoch.
        index: MiB of the index.
        ranks: Numbers of ranks, ascending, that exchange gradients; fewer than two check nothing.
    """
    found = []
    for growth in (order, index):
        smaller = Growth(growth.cost, growth.over, growth.sizes[:-1], growth.costs[:-1])
        said, size = predicted(smaller, growth.sizes[-1]), growth.sizes[-1]
        found.append(Check(f"{growth.cost}, {size:,} pairs", said, growth.costs[-1]))
    if len(ranks) > 1:
        spent = {number: exchange_ms(number) for number in ranks}
        per_volume = spent[ranks[0]] / ring_volume(ranks[0])
        found += [
            Check(
                f"gradients exchanged, CPU ms a rank, {number} ranks",
                per_volume * ring_volume(number),
                spent[number],
            )
            for number in ranks[1:]
        ]
    return found


def flop_per_pair(size: str, imgsz: int) -> tuple[float, float]:
    """Return the operations of a forward pass, and of a step with its backward pass, of a pair."""
    with torch.device("meta"):
        detector = build_detector(DetectorSpec("mid", "concat", "csp", size, 1.0, 1)).train()
        batch = Batch(
            pixels=torch.zeros(1, imgsz, imgsz, 4, dtype=torch.uint8),
            boxes_xyxy_px=torch.zeros(1, BOXES, 4),
            classes=torch.zeros(1, BOXES, dtype=torch.int64),
            is_box=torch.zeros(1, BOXES, dtype=torch.bool),
            sample_ids=torch.zeros(1, dtype=torch.int64),
            canvas_from_original=torch.zeros(1, 4, dtype=torch.float64),
            original_sizes_hw=torch.zeros(1, 2, dtype=torch.int64),
        )
    with FlopCounterMode(display=False) as counter:
        predictions = detector(batch.rgb.float(), batch.ir.float())
        forward = counter.get_total_flops()
        DetectionLoss()(predictions, batch).total.backward()
    return float(forward), float(counter.get_total_flops())


def checkpoint_cost(size: str, folder: Path) -> tuple[float, float, float]:
    """Return bytes of a checkpoint, seconds to copy, pack and write it, and the parameters."""
    detector = build_detector(DetectorSpec("mid", "concat", "csp", size, 1.0, 1))
    optimizer = torch.optim.AdamW(detector.parameters(), fused=True)
    for parameter in detector.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    content: dict[str, Any] = {
        "model": detector.state_dict(),
        "average": detector.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    path = folder / "checkpoint"

    def save() -> None:
        with path.open("wb") as file:
            file.writelines(packed(snapshot(content)))
            file.flush()
            os.fsync(file.fileno())

    seconds = cpu_ms(save) / 1e3
    parameters = sum(parameter.numel() for parameter in detector.parameters())
    return float(path.stat().st_size), seconds, float(parameters)


def sample_rates(data: Path, imgsz: int, cache: Path) -> dict[str, float]:
    """Return the training samples a second of a core, by where the pairs come from."""
    turns = all_turns(data, imgsz, cache)
    chosen = {name: turns[name] for name in ("from files", "from disk cache")}
    return take_turns(chosen, rounds=3)


def scan_rate(asked: Asked) -> float:
    """Return the pairs a second whose names and labels one process reads."""
    data = write_pairs(asked.folder / "names", asked.scanned)
    spec = load_spec(data)
    return asked.scanned / (cpu_ms(lambda: scan_split(spec, "train")) / 1e3)


def check_rate(data: Path) -> float:
    """Return the pairs a second that a core checks, decoding all of both images."""
    spec = load_spec(data)
    tasks = list(all_tasks([list_pairs(spec, "train")]))
    tasks = (tasks * (CHECKED_PAIRS // len(tasks) + 1))[:CHECKED_PAIRS]
    spent_ms = cpu_ms(lambda: end_check([begin_check(task) for task in tasks]))
    return CHECKED_PAIRS / (spent_ms / 1e3)


def judging_seconds() -> float:
    """Return the seconds to judge the detections of a pair: 100 of them, some ten true boxes."""
    truth, found = draw_boxes(JUDGED_PAIRS, 100, num_classes=1, boxes_per_image=10.0, seed=0)
    return cpu_ms(lambda: evaluate(truth, found, num_classes=1)) / 1e3 / JUDGED_PAIRS
