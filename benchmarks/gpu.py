"""What a GPU makes of training and detecting: times, and the share of what it can do.

    python benchmarks/gpu.py                              # 640 px, batches of 16, 32 and 64
    python benchmarks/gpu.py --variants auto --workers 0 8
    python benchmarks/gpu.py --device cpu --quick         # the same measurements, tiny, on a CPU

Training steps of `mid` are split as by `step_split.py`, on the time line of the GPU: nothing in a
step waits for it, and `data` is the time that it has nothing to do. The limits are a product of
large matrices and a 3x3 convolution with 256 channels, forward and backward, measured in the same
run and precision (fp32 as PyTorch has it: convolutions in TF32, products not). `waits` counts how
often a step makes the host wait. Then come whole steps by the clock with loader processes, the
update of the weights fused and not, and detecting. On a CPU all times but those of whole steps are
of the processor, by one thread. Without a GPU there is nothing to measure, which is said and is no
failure.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from measuring.device_work import (
    convolution_rate,
    detecting_seconds,
    matmul_rate,
    peak_mib,
    update_seconds,
    waits,
)
from measuring.split_steps import PARTS, SplitSteps, precision_of
from measuring.tables import table_text

from fusetrain.config.schema import Config
from fusetrain.engine.machine import describe
from fusetrain.errors import ResourceError
from fusetrain.runs.session import choose_machine

VARIANTS: dict[str, dict[str, Any]] = {
    "auto": {},
    "bf16": {"amp": "bf16"},
    "fp16": {"amp": "fp16"},
    "fp32": {"amp": False},
    "contiguous": {"memory_format": "contiguous"},
    "compiled": {"compile": True},
}
ON_GPU = tuple(VARIANTS)
ON_CPU = ("auto", "fp32", "contiguous")  # fp16 is not trained with there, compiling takes minutes
PARTS_HEADER = ("variant", "batch", *(f"{part} ms" for part in PARTS), "step ms", "pairs/s")
SHARES_HEADER = ("variant", "batch", "precision", "GFLOP/s", "of matmul", "of conv", "MiB", "waits")
WHOLE_HEADER = ("loader processes", "batch", "step ms", "pairs/s", "of it waiting for data")
UPDATE_HEADER = ("update of the weights", "ms")
DETECT_HEADER = ("detecting", "batch", "ms", "pairs/s")


@dataclass(frozen=True)
class Setting:
    """What all measurements of one run share.

    Attributes:
        device: As `train.device`.
        imgsz: Side of the canvas, px.
        batches: Sizes of a batch.
        variants: Names in `VARIANTS`.
        workers: Numbers of loader processes.
        steps: Steps that are timed, of each.
        side: Of the matrices that are multiplied.
        reference_pairs: Batch of the reference convolution.
        folder: Where the pairs are written.
    """

    device: str
    imgsz: int
    batches: tuple[int, ...]
    variants: tuple[str, ...]
    workers: tuple[int, ...]
    steps: int
    side: int
    reference_pairs: int
    folder: Path

    def steps_of(self, batch: int, **settings: Any) -> SplitSteps:
        """Return the training of one row, after what was left of the one before is gone."""
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        num_pairs = 5 * max(12, *self.batches) // 2
        own = {"threads": 1} if self.device == "cpu" else {}
        return SplitSteps(
            self.folder / "set",
            imgsz=self.imgsz,
            batch=batch,
            num_pairs=num_pairs,
            reference_pairs=self.reference_pairs,
            **{"device": self.device, "workers": 0, **own, **settings},
        )


def main() -> None:
    args = arguments()
    device = args.device or ("cuda" if torch.cuda.is_available() else None)
    if device is None:
        print("no CUDA device on this machine: nothing is measured (--device cpu does it here)")
        return
    with tempfile.TemporaryDirectory(prefix="fusetrain-bench-") as name:
        for title, header, rows in tables(setting_of(args, device, Path(name))):
            print(f"{title}\n\n{table_text(header, rows, markdown=args.markdown)}\n", flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", help="cuda, cuda:N or cpu; default: the GPU, if there is one")
    parser.add_argument("--imgsz", type=int, help="px; default: 640, with --quick 64")
    parser.add_argument("--batches", type=int, nargs="+", help="default: 16 32 64, with --quick 2")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, help="default: all that can run")
    parser.add_argument("--workers", type=int, nargs="+", help="loader processes; default: 0 and 8")
    parser.add_argument("--steps", type=int, help="of each row; default: 30, with --quick 2")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that all runs")
    parser.add_argument("--markdown", action="store_true")
    return parser.parse_args()


def setting_of(args: argparse.Namespace, device: str, folder: Path) -> Setting:
    """Return what the arguments ask for."""
    is_cpu, quick = device == "cpu", args.quick
    return Setting(
        device=device,
        imgsz=args.imgsz or (64 if quick else 640),
        batches=tuple(args.batches or ((2,) if quick else (16, 32, 64))),
        variants=tuple(args.variants or (ON_CPU if is_cpu else ON_GPU)),
        workers=tuple(args.workers if args.workers is not None else ((0,) if quick else (0, 8))),
        steps=args.steps or (2 if quick else 30),
        side=256 if quick or is_cpu else 8192,
        reference_pairs=2 if quick or is_cpu else 64,
        folder=folder,
    )


Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]


def tables(setting: Setting) -> Iterator[Table]:
    """Yield title, header and rows of every table, each as soon as it is measured."""
    split, shares, places, refused = [], [], set(), []
    for variant in setting.variants:
        for batch in setting.batches if variant == "auto" else setting.batches[:1]:
            try:
                times, share, waited_at = step_rows(setting, variant=variant, batch=batch)
            except ResourceError as error:
                refused.append((variant, str(batch), error.what))
                continue
            split.append(times)
            shares.append(share)
            places.update(waited_at)
    about, updates = update_rows(setting)
    yield f"{about}; {setting.imgsz} px; medians of {setting.steps} steps", PARTS_HEADER, split
    yield "shares of what the device can do, and memory that tensors take", SHARES_HEADER, shares
    if refused:
        yield "what cannot be measured here", ("variant", "batch", "why"), refused
    if places:
        yield "where a step waits", ("place",), [(place,) for place in sorted(places)]
    yield "AdamW alone", UPDATE_HEADER, updates
    yield "whole steps by the clock", WHOLE_HEADER, whole_rows(setting)
    yield "one call, from images on the device to boxes", DETECT_HEADER, detect_rows(setting)


def step_rows(
    setting: Setting, *, variant: str, batch: int
) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    """Return the row of times of one training, its row of shares, and where a step waits."""
    steps = setting.steps_of(batch, **VARIANTS[variant])
    device, dtype = steps.machine.device, steps.machine.dtype
    marks: list[Any] = []
    memory = peak_mib(lambda: marks.extend(steps.marked() for _ in range(setting.steps)), device)
    seen = [each.seconds(steps.clock) for each in marks]
    middle = [statistics.median(each[part] for each in seen) for part in PARTS]
    seconds = statistics.median(sum(each.values()) for each in seen)
    rate = steps.gflop / seconds
    matmul = matmul_rate(device, dtype, side=setting.side, rounds=setting.steps)
    convolution = convolution_rate(steps.yardstick, rounds=setting.steps)
    row = (variant, str(batch), *(f"{1e3 * part:.2f}" for part in middle))
    row += (f"{1e3 * seconds:.2f}", f"{batch / seconds:.1f}" if steps.fits else "does not fit")
    waited_at = waits(steps.marked, device)
    steps.close()
    share = (
        variant,
        str(batch),
        precision_of(dtype),
        f"{rate:,.0f}",
        f"{rate / matmul:.0%}",
        f"{rate / convolution:.0%}",
        "-" if memory is None else f"{memory:,.0f}",
        "-" if device.type != "cuda" else str(len(waited_at)),
    )
    return row, share, waited_at


def update_rows(setting: Setting) -> tuple[str, list[tuple[str, ...]]]:
    """Return how the device is used, and what an update takes, fused as in trainings and not."""
    steps = setting.steps_of(setting.batches[0])
    rows = [
        (name, f"{1e3 * update_seconds(steps.parameters, fused=fused, rounds=setting.steps):.3f}")
        for name, fused in (("fused", True), ("foreach", False))
    ]
    steps.close()
    return describe(steps.machine), rows


def whole_rows(setting: Setting) -> list[tuple[str, ...]]:
    """Return whole steps, with each number of loader processes."""
    return [whole_row(setting, workers, batch=setting.batches[0]) for workers in setting.workers]


def whole_row(setting: Setting, workers: int, *, batch: int) -> tuple[str, ...]:
    """Return what a step takes with a number of loader processes."""
    steps = setting.steps_of(batch, workers=workers)
    whole = steps.whole(setting.steps)
    steps.close()
    numbers = (f"{1e3 * whole.seconds:.2f}", f"{batch / whole.seconds:.1f}", f"{whole.waited:.1%}")
    return (str(workers), str(batch), *numbers)


def detect_rows(setting: Setting) -> list[tuple[str, ...]]:
    """Return what detecting takes, one pair and a batch at a time."""
    config = Config.model_validate({"data": "none", "train": {"device": setting.device}})
    machine = choose_machine(config)
    rows = []
    for batch in dict.fromkeys((1, setting.batches[-1])):
        seconds = detecting_seconds(
            machine,
            kind="mid",
            size="n",
            imgsz=setting.imgsz,
            batch=batch,
            rounds=setting.steps,
        )
        precision = precision_of(machine.dtype)
        rows.append(
            (f"mid n, {precision}", str(batch), f"{1e3 * seconds:.2f}", f"{batch / seconds:.1f}")
        )
    return rows


if __name__ == "__main__":
    main()
