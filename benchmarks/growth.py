"""How the cost of a training grows with the pairs, the pictures, the batch, classes, boxes, ranks.

    python benchmarks/growth.py
    python benchmarks/growth.py --only pairs boxes

Every cost is measured at several sizes, in seconds of the processor by one thread (ranks: of one of
them), and fitted as size ^ exponent over the upper half of the sizes: 0 does not grow, 1 grows in
proportion. Records are drawn, without files; pictures are the synthetic ones.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from measuring.drawn_pairs import drawn_index
from measuring.gradient_exchange import exchange
from measuring.split_steps import SplitSteps
from measuring.tables import table_text

from fusetrain.data.index import DatasetIndex, PackedPaths
from fusetrain.data.order import EpochBatches, class_weights
from fusetrain.engine.machine import keep_freed_memory
from fusetrain.loss.detection import DetectionLoss
from fusetrain.sample import Batch, RawPredictions

BATCH = 8
STRIDES = (8, 16, 32)
LOSS_PX = 320
ROUNDS = 3
HEADER = ("cost", "over", "from", "to", "at first", "at last", "exponent")


@dataclass(frozen=True)
class Growth:
    """What a cost is at several sizes.

    Attributes:
        cost: What is measured, with its unit.
        over: What grows.
        sizes: How large that is, ascending.
        costs: What it costs.
    """

    cost: str
    over: str
    sizes: Sequence[int]
    costs: Sequence[float]

    @property
    def exponent(self) -> float:
        """Return the slope of the logarithms over the upper half of the sizes."""
        half = min(len(self.sizes) // 2, len(self.sizes) - 2)
        sizes, costs = np.log(self.sizes[half:]), np.log(np.maximum(self.costs[half:], 1e-9))
        return float(np.polyfit(sizes, costs, 1)[0])

    def row(self) -> tuple[str, ...]:
        """Return the row of the table."""
        ends = (f"{size:,}" for size in (self.sizes[0], self.sizes[-1]))
        costs = (f"{cost:.3g}" for cost in (self.costs[0], self.costs[-1]))
        return (self.cost, self.over, *ends, *costs, f"{self.exponent:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--largest", type=int, default=10**6, help="pairs of the largest set")
    parser.add_argument("--markdown", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    rows = [growth.row() for name in args.only for growth in MEASURES[name](args.largest)]
    print(table_text(HEADER, rows, markdown=args.markdown))


def over_pairs(largest: int) -> list[Growth]:
    """Measure what an epoch and its order take beside the pixels."""
    sizes = [10**power for power in range(2, len(str(largest)))]
    begun, shown, weighed, memory = [], [], [], []
    for size in sizes:
        index = drawn_index(size)
        epoch = EpochBatches(size, BATCH, 0, 0)
        begun.append(cpu_ms(partial(epoch.keys, compose=True)))
        keys = epoch.keys(compose=True)
        few = range(0, len(keys), -(-len(keys) // 100))
        shown.append(cpu_ms(lambda keys=keys, few=few: [keys[number] for number in few]) / len(few))
        weighed.append(cpu_ms(partial(class_weights, index, 0.5)))
        memory.append(index_mib(index))
    return [
        Growth("order of an epoch, ms", "pairs", sizes, begun),
        Growth("keys of a batch, ms", "pairs", sizes, shown),
        Growth("weights for train.balance, ms", "pairs", sizes, weighed),
        Growth("index in memory, MiB", "pairs", sizes, memory),
    ]


def over_image_size(_: int) -> list[Growth]:
    """Measure data and step at growing image sizes."""
    sizes = [160, 320, 640]
    return _steps("image side, px", sizes, lambda size: (size, 2))


def over_batch(_: int) -> list[Growth]:
    """Measure data and step at growing batches."""
    sizes = [1, 2, 4, 8, 16]
    return _steps("pairs of a batch", sizes, lambda size: (160, size))


def over_classes(_: int) -> list[Growth]:
    """Measure the loss with growing numbers of classes."""
    sizes = [1, 10, 100, 1000]
    costs = [loss_ms(num_classes=size, num_boxes=10) for size in sizes]
    return [Growth("loss and its gradient, ms", "classes", sizes, costs)]


def over_boxes(_: int) -> list[Growth]:
    """Measure the loss with growing numbers of boxes in a picture."""
    sizes = [1, 10, 100, 1000]
    none = loss_ms(num_classes=3, num_boxes=0)
    costs = [loss_ms(num_classes=3, num_boxes=size) for size in sizes]
    return [
        Growth(f"loss and its gradient, ms (none: {none:.3g})", "boxes a picture", sizes, costs)
    ]


def over_ranks(_: int) -> list[Growth]:
    """Measure the exchange of the gradients of a nano detector."""
    sizes = [1, 2, 4]
    return [Growth("gradients exchanged, CPU ms a rank", "ranks", sizes, [*map(_exchanged, sizes)])]


MEASURES: dict[str, Callable[[int], list[Growth]]] = {
    "pairs": over_pairs,
    "size": over_image_size,
    "batch": over_batch,
    "classes": over_classes,
    "boxes": over_boxes,
    "ranks": over_ranks,
}


def index_mib(index: DatasetIndex) -> float:
    """Return the memory of the arrays of an index, packed paths among them."""
    total = 0
    for name in index.__dataclass_fields__:
        column = getattr(index, name)
        for part in (column.blob, column.ends) if isinstance(column, PackedPaths) else (column,):
            total += len(part) if isinstance(part, bytes) else getattr(part, "nbytes", 0)
    return total / 2**20


def cpu_ms(work: Callable[[], object]) -> float:
    """Return the median milliseconds of the processor that a piece of work takes."""
    seconds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return 1e3 * statistics.median(seconds)


def loss_ms(*, num_classes: int, num_boxes: int) -> float:
    """Return what loss and backward take for drawn predictions of two pictures."""
    generator = torch.Generator().manual_seed(0)
    predictions = drawn_predictions(num_classes, generator)
    corners = torch.rand(2, num_boxes, 2, generator=generator) * LOSS_PX * 0.8
    boxes = torch.cat((corners, corners + 20.0), dim=-1)
    batch = Batch(
        pixels=torch.zeros(2, 1, 1, 4, dtype=torch.uint8),
        boxes_xyxy_px=boxes,
        classes=torch.randint(0, num_classes, boxes.shape[:2], generator=generator),
        is_box=torch.ones(boxes.shape[:2], dtype=torch.bool),
        sample_ids=torch.arange(2),
        canvas_from_original=torch.ones(2, 4, dtype=torch.float64),
        original_sizes_hw=torch.full((2, 2), LOSS_PX),
    )
    loss = DetectionLoss()
    return cpu_ms(lambda: loss(predictions, batch).total.backward())


def drawn_predictions(num_classes: int, generator: torch.Generator) -> RawPredictions:
    """Return random predictions of two pictures of LOSS_PX."""
    centres, strides = [], []
    for stride in STRIDES:
        places = (torch.arange(LOSS_PX // stride) + 0.5) * stride
        grid = torch.stack(torch.meshgrid(places, places, indexing="xy"), dim=-1).reshape(-1, 2)
        centres.append(grid)
        strides.append(torch.full((len(grid),), float(stride)))
    anchors = torch.cat(centres)
    shape = (2, len(anchors))
    return RawPredictions(
        class_logits=torch.randn(*shape, num_classes, generator=generator).requires_grad_(),
        distance_logits=torch.randn(*shape, 4, 16, generator=generator).requires_grad_(),
        anchors_xy_px=anchors,
        strides_px=torch.cat(strides),
    )


def _steps(
    over: str, sizes: Sequence[int], shape_of: Callable[[int], tuple[int, int]]
) -> list[Growth]:
    """Measure the data of a pair and the whole step; ``shape_of`` gives image side and batch."""
    data, whole = [], []
    with tempfile.TemporaryDirectory(prefix="fusetrain-bench-") as name:
        for size in sizes:
            imgsz, batch = shape_of(size)
            steps = SplitSteps(Path(name) / "set", imgsz=imgsz, batch=batch)
            seen = [steps.step() for _ in range(ROUNDS)]
            data.append(1e3 * statistics.median(each["data"] for each in seen) / batch)
            whole.append(1e3 * statistics.median(sum(each.values()) for each in seen))
    return [Growth("data of a pair, ms", over, sizes, data), Growth("step, ms", over, sizes, whole)]


def _exchanged(ranks: int) -> float:
    with (
        tempfile.TemporaryDirectory(prefix="fusetrain-bench-") as name,
        get_context("spawn").Pool(ranks) as pool,
    ):
        place = str(Path(name) / "meeting")
        asked = [(rank, ranks, place, ROUNDS) for rank in range(ranks)]
        return 1e3 * statistics.median(pool.starmap(exchange, asked, chunksize=1))


if __name__ == "__main__":
    main()
