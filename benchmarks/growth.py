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
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from measuring.costs import HEADER, ROUNDS, Growth, cpu_ms, index_mib
from measuring.drawn_pairs import drawn_index
from measuring.gradient_exchange import exchange_ms
from measuring.split_steps import SplitSteps
from measuring.tables import table_text

from fusetrain.allocator import keep_freed_memory
from fusetrain.data.order import EpochBatches, class_weights
from fusetrain.loss.detection import DetectionLoss
from fusetrain.sample import Batch, RawPredictions

BATCH = 8
STRIDES = (8, 16, 32)
LOSS_PX = 320


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
    return [
        Growth("gradients exchanged, CPU ms a rank", "ranks", sizes, [*map(exchange_ms, sizes)])
    ]


MEASURES: dict[str, Callable[[int], list[Growth]]] = {
    "pairs": over_pairs,
    "size": over_image_size,
    "batch": over_batch,
    "classes": over_classes,
    "boxes": over_boxes,
    "ranks": over_ranks,
}


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


if __name__ == "__main__":
    main()
