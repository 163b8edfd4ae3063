"""Time parts of our work one by one; a process of its own, started by `parts.py`.

The answer is one JSON object in ``request["answer"]``: seconds by the clock and of the processor
for a unit of each part.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data_turns import batches_of
from part_costs import Cost, Part, cost_of, write_answer
from torch.utils.flop_counter import FlopCounterMode

from fusetrain import Detector, build
from fusetrain.allocator import keep_freed_memory
from fusetrain.checks.audit import AuditOptions, audit_path
from fusetrain.config.schema import AugmentSettings, Config
from fusetrain.data.cache import cache_for
from fusetrain.data.dataset import TrainDataset
from fusetrain.data.letterboxed import unlabelled
from fusetrain.data.loader import collate
from fusetrain.data.reader import stored_long_side
from fusetrain.engine.infer import as_columns, detect
from fusetrain.inference.loading import load_weights
from fusetrain.results.metrics import GroundTruth, ScoredBoxes, evaluate
from fusetrain.runs.batches import augmentation_of


def main() -> None:
    request = json.loads(sys.argv[1])
    torch.set_num_threads(request["threads"])
    keep_freed_memory()
    parts = dict(data_costs(request))
    evaluation, map50_95 = evaluation_cost(request)
    parts[Part.EVALUATION] = evaluation
    detection, gflops = detection_costs(request)
    parts |= detection | check_costs(request)
    write_answer(request, parts, gflops=gflops, map50_95=map50_95, about="ours")


def data_costs(request: dict[str, Any]) -> Iterator[tuple[str, Cost]]:
    """Yield what an augmented pair costs, in batches, once the memory is filled and from files."""
    data = build.open_data(Config.model_validate({"data": request["data"]}))
    augmentation = augmentation_of(AugmentSettings())
    stored = stored_long_side(request["imgsz"], augmentation.geometry.scale)
    for name, cache in (
        (Part.FROM_MEMORY, cache_for(len(data.train), stored)),
        (Part.FROM_FILES, None),
    ):
        dataset = TrainDataset(
            data.train,
            imgsz=request["imgsz"],
            augmentation=augmentation,
            window=data.window,
            cache=cache,
        )
        turn = batches_of(dataset, batch=request["batch"])
        turn()
        yield name, cost_of(turn, units=len(dataset))


def evaluation_cost(request: dict[str, Any]) -> tuple[Cost, float]:
    """Return what the evaluation of an image costs, and the mAP50-95."""
    drawn = np.load(request["boxes"])
    truth = GroundTruth(drawn["image_ids"], drawn["boxes"], drawn["classes"])
    found = ScoredBoxes(
        drawn["found_ids"], drawn["found_boxes"], drawn["found_scores"], drawn["found_classes"]
    )
    scores: list[float] = []

    def work() -> None:
        metrics = evaluate(truth, found, num_classes=request["num_classes"])
        scores.append(metrics.map50_95)

    return cost_of(work, units=request["images"]), scores[0]


def detection_costs(request: dict[str, Any]) -> tuple[dict[str, Cost], float]:
    """Return what detecting costs from arrays to boxes, and the 10^9 operations of a pair."""
    pictures, calls, batch = np.load(request["pictures"]), request["calls"], request["batch"]
    rgb, ir = pictures["rgb"], pictures["ir"]
    detector, loaded = Detector.load(request["weights"]), load_weights(Path(request["weights"]))

    def one() -> None:
        detector(rgb, ir)

    def many() -> None:
        pairs = [unlabelled(rgb, ir, imgsz=request["imgsz"], sample_id=row) for row in range(batch)]
        found = detect(
            loaded.detector, [collate(pairs)], loaded.machine, confidence=0.25, overlap=0.7
        )
        as_columns(list(found))

    torch.set_num_threads(request["threads"])  # loading takes as many as there are cores
    parts = {}
    for name, work, units in ((Part.ONE, one, 1), (Part.MANY, many, batch)):
        work()
        parts[name] = cost_of(work, units=units, calls=calls)
    canvas = torch.zeros(1, 4, request["imgsz"], request["imgsz"])
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        loaded.detector.cpu()(canvas[:, :3], canvas[:, 3:])
    return parts, counter.get_total_flops() / 1e9


def check_costs(request: dict[str, Any]) -> dict[str, Cost]:
    """Return what the check of a pair costs: of headers and labels, and of everything."""
    data, pairs = Path(request["data"]), request["pairs"]

    def check(options: AuditOptions) -> Cost:
        return cost_of(lambda: audit_path(data, workers=1, options=options), units=pairs)

    quick = AuditOptions(registration="off", headers_only=True)
    return {Part.CHECK: check(quick), Part.DEEP_CHECK: check(AuditOptions())}


if __name__ == "__main__":
    main()
