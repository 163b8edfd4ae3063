"""Time detectors in use: one pair after the other, and batches, by torch and by onnxruntime.

    python benchmarks/inference.py --threads 1                # the kinds of `--kinds`, nano, 320 px
    python benchmarks/inference.py --kinds mid --imgsz 640 --batch 16 --rounds 50

Untrained detectors, as weights do not matter here: from images in memory to boxes and scores of
all anchor points. Suppression is left out on both sides, as its time depends on the picture. torch
runs as `val` and `predict` do, onnxruntime runs what `export --dynamic --no-nms` wrote, with as
many threads. Each round runs every kind by either of them, one pair and one batch, so that all meet
the same machine; the first rounds are not counted. Processor time holds on a busy machine as well.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from measuring.tables import table_text
from safetensors.torch import save_file
from torch import Tensor, nn

from fusetrain.data.image import ThermalWindow
from fusetrain.detector.decode import decode
from fusetrain.detector.detector import FusionDetector
from fusetrain.detector.fusion import KINDS
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.engine.onnx_model import load_onnx
from fusetrain.engine.weights import WeightsInfo
from fusetrain.export.onnx_file import export_onnx
from fusetrain.inference.loading import load_weights

HEADER = ("kind", "run by", "median ms", "p95 ms", "CPU ms", "pairs/s", "CPU ms/pair", "by CPU")
DEFAULT_KINDS = ("rgb", "early", "mid", "late", "decision", "easy")
NAMES = ("person", "bicycle", "car")
WARM_UPS = 2

Run = Callable[[Tensor, Tensor], object]


@dataclass
class Timings:
    """Seconds by the clock and of the processor, of every round."""

    single: list[tuple[float, float]] = field(default_factory=list)
    batch: list[tuple[float, float]] = field(default_factory=list)


def write_weights(kind: str, folder: Path, *, size: str, width: float, imgsz: int) -> Path:
    """Write an untrained detector as a training writes its weights."""
    torch.manual_seed(0)
    spec = DetectorSpec(kind, "concat", "csp", size, width, len(NAMES))
    tensors = build_detector(spec).state_dict()
    described = WeightsInfo(spec, NAMES, imgsz, ThermalWindow()).to_json()
    path = folder / f"{kind}.safetensors"
    save_file(tensors, path, {key: json.dumps(value) for key, value in described.items()})
    return path


def runs_of(weights: Path, *, threads: int) -> dict[str, Run]:
    """Return what runs a detector: torch, and onnxruntime on what it was exported to."""
    exported = export_onnx(weights, is_dynamic=True, with_nms=False)
    loaded = load_weights(weights)
    torch.set_num_threads(threads)
    file, _ = load_onnx(exported.path)
    detector = loaded.detector.cpu()  # where onnxruntime runs, too
    assert isinstance(detector, FusionDetector)
    return {"torch": lambda rgb, ir: decode(detector(rgb, ir)), "onnxruntime": as_run(file)}


def as_run(module: nn.Module) -> Run:
    return lambda rgb, ir: module(rgb, ir)


def seconds(run: Run, pair: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """Return the time of one call, by the clock and of the processor."""
    clock, own = time.perf_counter(), time.process_time()
    run(*pair)
    return time.perf_counter() - clock, time.process_time() - own


def measure(
    runs: dict[tuple[str, str], Run], *, imgsz: int, batch: int, rounds: int
) -> dict[tuple[str, str], Timings]:
    """Time all of them in turn, round after round."""
    pairs = [pair_of(count, imgsz) for count in (1, batch)]
    timings = {name: Timings() for name in runs}
    with torch.inference_mode():
        for number in range(WARM_UPS + rounds):
            for name, run in runs.items():
                one, many = (seconds(run, pair) for pair in pairs)
                if number >= WARM_UPS:
                    timings[name].single.append(one)
                    timings[name].batch.append(many)
    return timings


def pair_of(count: int, imgsz: int) -> tuple[Tensor, Tensor]:
    """Return random images in the memory format in which batches arrive."""
    rgb, ir = (torch.rand(count, channels, imgsz, imgsz) for channels in (3, 1))
    return rgb.to(memory_format=torch.channels_last), ir.to(memory_format=torch.channels_last)


def rows_of(timings: dict[tuple[str, str], Timings], *, batch: int) -> list[tuple[str, ...]]:
    """Return the rows of the table; the last column is the speed beside torch on one pair."""
    rows = []
    for (kind, runner), times in timings.items():
        single, many = np.array(times.single).T, np.array(times.batch).T
        base = np.median([cpu for _, cpu in timings[kind, "torch"].single])
        rows.append(
            (
                kind,
                runner,
                f"{1000 * np.median(single[0]):.1f}",
                f"{1000 * np.percentile(single[0], 95):.1f}",
                f"{1000 * np.median(single[1]):.1f}",
                f"{batch / np.median(many[0]):.1f}",
                f"{1000 * np.median(many[1]) / batch:.1f}",
                f"{base / np.median(single[1]):.2f}x",
            )
        )
    return rows


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", default=list(DEFAULT_KINDS), choices=KINDS.names())
    parser.add_argument("--size", default="n")
    parser.add_argument("--width", type=float, default=1.0, help="as model.width")
    parser.add_argument("--imgsz", type=int, default=320, help="px, a multiple of 32")
    parser.add_argument("--batch", type=int, default=8, help="pairs in a batch")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of either side")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    return parser.parse_args(given)


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    runs = {}
    with tempfile.TemporaryDirectory(prefix="fusetrain-bench-") as folder:
        for kind in args.kinds:
            weights = write_weights(
                kind, Path(folder), size=args.size, width=args.width, imgsz=args.imgsz
            )
            for runner, run in runs_of(weights, threads=args.threads).items():
                runs[kind, runner] = run
        timings = measure(runs, imgsz=args.imgsz, batch=args.batch, rounds=args.rounds)
    print(
        f"size {args.size}, {args.imgsz} px, batches of {args.batch}, {args.threads} threads, "
        f"{args.rounds} rounds"
    )
    print()
    print(table_text(HEADER, rows_of(timings, batch=args.batch), markdown=args.markdown))


if __name__ == "__main__":
    main()
