"""What 8, 64 or 512 GPUs would need of storage, cores, memory and network: a model, no measurement.

    python benchmarks/cluster_model.py
    python benchmarks/cluster_model.py --size l --peak-tflops 989 --share 0.4 --gpus 16 128
    python benchmarks/cluster_model.py --data llvip/data.yaml --set pair_bytes=225e3

Costs of a pair, a core, a checkpoint are measured here, on one core, within a minute; `--set` puts
a figure of yours in the place of any of them. A GPU is taken to make its largest rate times a share
that you assume. The formulas stand in `measuring/cluster.py`, what they leave out in
docs/scaling.md. Where costs were measured at several sizes, the model is held against the largest.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path

from measuring.cluster import Cluster, Figures, Needs, Training
from measuring.cluster_inputs import Asked, checks_of, figures_of, growth_over_pairs
from measuring.tables import Row, table_text

from fusetrain.allocator import keep_freed_memory

SETS = {
    "LLVIP, 15,488 pairs": Training(train_pairs=12_025, val_pairs=3_463),
    "100 million pairs": Training(train_pairs=99_950_000, val_pairs=50_000),
}
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
QUANTITIES: dict[str, Callable[[Needs], str]] = {
    "hosts": lambda needs: f"{needs.cluster.hosts}",
    "pairs/s": lambda needs: f"{needs.pairs_per_gpu_s * needs.cluster.gpus:,.0f}",
    "an epoch": lambda needs: time_text(needs.epoch_s),
    "storage, images": lambda needs: bytes_text(needs.storage_bytes),
    "storage, decoded pairs, a host": lambda needs: bytes_text(needs.cache_bytes),
    "read from files, a second": lambda needs: bytes_text(needs.file_read_bytes_s),
    "cores a GPU, from files": lambda needs: f"{needs.cores_per_gpu_from_files:,.1f}",
    "cores a GPU, decoded pairs": lambda needs: f"{needs.cores_per_gpu_from_cache:,.1f}",
    "memory of a host": lambda needs: bytes_text(needs.host_memory_bytes),
    "index sent to each rank": lambda needs: bytes_text(needs.index_bytes),
    "start: names, labels, check": lambda needs: time_text(needs.start_s),
    "order of an epoch, each rank": lambda needs: time_text(needs.order_s),
    "step without exchange": lambda needs: time_text(needs.step_s),
    "gradients of a step": lambda needs: bytes_text(needs.gradient_bytes),
    "exchange, ring, 100 Gb/s": lambda needs: time_text(needs.ring_s(100)),
    "exchange, ring, 400 Gb/s": lambda needs: time_text(needs.ring_s(400)),
    "exchange, trees, 100 Gb/s": lambda needs: time_text(needs.tree_s(100)),
    "exchange, trees, 400 Gb/s": lambda needs: time_text(needs.tree_s(400)),
    "validation": lambda needs: time_text(needs.validation_s),
    "a checkpoint": lambda needs: bytes_text(needs.figures.checkpoint_bytes),
    "its making, beside the steps": lambda needs: time_text(needs.figures.checkpoint_s),
}


def main() -> None:
    args = arguments()
    keep_freed_memory()
    order, index = growth_over_pairs(args.largest)
    with tempfile.TemporaryDirectory(prefix="fusetrain-bench-") as name:
        asked = Asked(args.data, args.size, args.imgsz, args.scanned, Path(name))
        figures = replace(figures_of(asked, order=order, index=index), **dict(args.set))
    checks = checks_of(order, index, ranks=tuple(args.ranks))
    given = {name for name, _ in args.set}

    def show(title: str, header: Row, rows: Sequence[Row]) -> None:
        print(f"{title}\n\n{table_text(header, rows, markdown=args.markdown)}\n")

    show("figures of this machine", ("figure", "value", "from"), figure_rows(figures, given))
    show(
        "the model beside what was measured",
        ("cost", "model", "measured", "deviation"),
        [
            (each.what, f"{each.model:.3g}", f"{each.measured:.3g}", f"{each.deviation:+.0%}")
            for each in checks
        ],
    )
    clusters = [
        Cluster(gpus=gpus, peak_tflops=args.peak_tflops, share=args.share) for gpus in args.gpus
    ]
    told = f"mid {args.size}, {args.imgsz} px, {args.peak_tflops:g} TFLOP/s, share {args.share:g}"
    for title, training in SETS.items():
        training = replace(training, imgsz=args.imgsz, batch_per_gpu=args.batch)
        needs = [Needs(figures, cluster, training) for cluster in clusters]
        header = (f"{title}: {told}", *(f"{gpus} GPUs" for gpus in args.gpus))
        rows = [(name, *map(text, needs)) for name, text in QUANTITIES.items()]
        show(title, ("quantity", *header[1:]), rows)
    show(f"one GPU over the share of its peak that a step reaches ({told})", *share_table(needs[0]))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gpus", type=positive, nargs="+", default=[8, 64, 512])
    parser.add_argument("--peak-tflops", type=float, default=312.0, help="of a GPU, in bf16")
    parser.add_argument("--share", type=float, default=0.3, help="of it that a step reaches")
    parser.add_argument("--size", default="n", choices=("n", "s", "m", "l", "x"), help="of `mid`")
    parser.add_argument("--imgsz", type=positive, default=640, help="px")
    parser.add_argument("--batch", type=positive, default=16, help="pairs of a step, of a GPU")
    parser.add_argument("--data", type=Path, help="data YAML; default: drawn, 1280 x 1024 px")
    parser.add_argument("--ranks", type=int, nargs="*", default=[2, 4], help="that are measured")
    parser.add_argument("--largest", type=positive, default=10**6, help="pairs of a measured index")
    parser.add_argument("--scanned", type=positive, default=2000, help="pairs of measured scans")
    parser.add_argument(
        "--set", type=own_figure, action="append", default=[], metavar="FIGURE=VALUE"
    )
    parser.add_argument("--markdown", action="store_true")
    args = parser.parse_args()
    if not 0 < args.share <= 1:
        parser.error(f"--share {args.share:g} is not above 0 and at most 1")
    return args


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def own_figure(text: str) -> tuple[str, float]:
    """Return name and value of FIGURE=VALUE."""
    name, _, value = text.partition("=")
    known = [each.name for each in fields(Figures)]
    if name not in known:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
    return name, float(value)


def figure_rows(figures: Figures, given: set[str]) -> list[Row]:
    """Return every figure, and where it comes from."""
    return [
        (
            each.name,
            f"{getattr(figures, each.name):,.4g}",
            "given" if each.name in given else "measured",
        )
        for each in fields(Figures)
    ]


def share_table(needs: Needs) -> tuple[Row, list[Row]]:
    """Return what one GPU asks for, over the share of its peak that a step reaches."""
    header = ("share", "pairs/s", "step", "cores, from files", "cores, decoded", "MB/s from files")
    rows = []
    for share in SHARES:
        one = replace(needs, cluster=replace(needs.cluster, share=share, gpus=1))
        rows.append(
            (
                f"{share:g}",
                f"{one.pairs_per_gpu_s:,.0f}",
                time_text(one.step_s),
                f"{one.cores_per_gpu_from_files:,.1f}",
                f"{one.cores_per_gpu_from_cache:,.1f}",
                f"{one.file_read_bytes_s / 1e6:,.0f}",
            )
        )
    return header, rows


def bytes_text(count: float) -> str:
    """Return a number of bytes for people, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"


def time_text(seconds: float) -> str:
    """Return a time for people."""
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.3g} {unit}"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


if __name__ == "__main__":
    main()
