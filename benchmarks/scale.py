"""How the data check and the index behave on large sets: rates, load times, memory.

    python benchmarks/scale.py                       # 5000 pairs of files, a million records
    python benchmarks/scale.py --pairs 50000 --records 1000000

The files are a few drawn pairs of 640 x 512 px (JPEG), linked under many names in a temporary
folder; records are drawn, without files. Every measurement is a fresh process; memory is what its
resident set grew by. Rates of files hold for files in the page cache: a disk has its own.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from measuring.drawn_pairs import BOXES_PER_PAIR, drawn_index, write_pairs
from measuring.tables import table_text

from fusetrain.checks.audit import AuditOptions, audit, scan_splits
from fusetrain.checks.flow.facts import FactsTable
from fusetrain.checks.flow.facts_file import FactsFile, read_facts, write_facts
from fusetrain.checks.flow.judging import Evidence, judge
from fusetrain.checks.flow.pool import default_workers
from fusetrain.checks.flow.tasks import list_pairs
from fusetrain.checks.images import PairFacts
from fusetrain.data.index import SplitScan, scan_split
from fusetrain.data.index_store import load_index, save_index
from fusetrain.data.labels import NO_ENTRY
from fusetrain.data.pairing import Pairing
from fusetrain.data.spec import load_spec

SHARDS = 8
SEED_ROWS = 2_000
MEGA = 2**20
Figures = list[tuple[str, str]]


def main() -> None:
    """Print one row a measurement."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--pairs", type=int, default=5_000, help="pairs of files")
    parser.add_argument("--records", type=int, default=1_000_000, help="pairs without files")
    parser.add_argument("--markdown", action="store_true")
    chosen = parser.parse_args()
    rows: Figures = []
    with tempfile.TemporaryDirectory(prefix="fusetrain-scale-") as name:
        folder = Path(name)
        write_pairs(folder / "set", chosen.pairs)
        for measure in (time_names, time_labels, time_headers, time_pixels):
            rows += alone(measure, folder / "set", 0)
        for measure in (time_saving, time_loading, time_shards, time_merging):
            rows += alone(measure, folder, chosen.records)
    print(table_text(("measured", f"on {default_workers()} cores"), rows, markdown=chosen.markdown))


def alone(measure: Callable[[Path, int], Figures], folder: Path, records: int) -> Figures:
    """Return what a measurement gives in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        return executor.submit(measure, folder, records).result()


def time_names(root: Path, _: int) -> Figures:
    """Time the pairing of names."""
    spec = load_spec(root / "data.yaml")
    with timed() as passed:
        count = len(list_pairs(spec, "train"))
    return [("names paired, pairs/s", f"{count / passed():,.0f}")]


def time_labels(root: Path, _: int) -> Figures:
    """Time the reading of label files, here and in processes."""
    spec = load_spec(root / "data.yaml")
    with timed() as passed:
        count = len(scan_split(spec, "train").index)
    with timed() as in_processes:
        scan_splits(spec, ["train"], workers=default_workers())
    return [
        ("names and labels, one process, pairs/s", f"{count / passed():,.0f}"),
        ("names and labels, as a check reads them, pairs/s", f"{count / in_processes():,.0f}"),
    ]


def time_headers(root: Path, _: int) -> Figures:
    """Time a check of headers alone."""
    return [("check of headers alone, pairs/s", rate(root, AuditOptions("off", headers_only=True)))]


def time_pixels(root: Path, _: int) -> Figures:
    """Time a check that decodes everything."""
    return [("check that decodes all, pairs/s", rate(root, AuditOptions("off")))]


def rate(root: Path, options: AuditOptions) -> str:
    """Return pairs a second from the first measured block to the last."""
    seen: list[tuple[float, int]] = []
    audit(
        load_spec(root / "data.yaml"),
        options=options,
        progress=lambda done, total: seen.append((time.perf_counter(), done)),
    )
    (first_s, first), (last_s, last) = seen[0], seen[-1]
    return f"{(last - first) / (last_s - first_s):,.0f}"


def time_saving(folder: Path, records: int) -> Figures:
    """Time the saving of an index."""
    index = drawn_index(records)
    with timed() as passed:
        save_index(index, folder / "index")
    size = (folder / "index").stat().st_size / MEGA
    return [
        (f"index of {records:,} pairs saved, s", f"{passed():.2f}"),
        ("its file, MiB", f"{size:.0f}"),
    ]


def time_loading(folder: Path, records: int) -> Figures:
    """Time the loading of an index, and what it adds to the memory."""
    before = resident_bytes()
    with timed() as passed:
        index = load_index(folder / "index")
    after = resident_bytes()
    for row in np.random.default_rng(0).integers(0, records, 10_000).tolist():
        index.rgb_path(row), index.boxes_cxcywh_unit(row), index.classes(row)
    return [
        ("loaded and verified, s", f"{passed():.2f}"),
        ("memory that it adds, MiB", f"{(after - before) / MEGA:.0f}"),
        ("the same after 10,000 random rows, MiB", f"{(resident_bytes() - before) / MEGA:.0f}"),
    ]


def time_shards(folder: Path, records: int) -> Figures:
    """Write the facts of all records as shards."""
    table = drawn_facts(records)
    bounds = np.linspace(0, records, SHARDS + 1).astype(int).tolist()
    for number, (start, stop) in enumerate(pairwise(bounds)):
        part = FactsTable.join(PairFacts, [as_table(table, start, stop)])
        write_facts(FactsFile({}, part.arrays()), folder / f"{number}.npz")
    return [(f"facts of {records:,} pairs in memory, MiB", f"{table.num_bytes / MEGA:.0f}")]


def time_merging(folder: Path, records: int) -> Figures:
    """Time the joining of shards, and the judging of all their facts."""
    before = resident_bytes()
    with timed() as loading:
        parts = [read_facts(folder / f"{number}.npz").arrays for number in range(SHARDS)]
        table = FactsTable.join_arrays(PairFacts, parts)
    after = resident_bytes()
    scan = drawn_scan(records)
    with timed() as judging:
        found = judge(Evidence({"train": scan}, table), imgsz=640, max_shift_px=10.0)
    return [
        (f"{SHARDS} shards read and joined, s", f"{loading():.1f}"),
        ("memory that they add, MiB", f"{(after - before) / MEGA:.0f}"),
        (f"all facts and labels judged ({len(found):,} findings), s", f"{judging():.0f}"),
    ]


def drawn_scan(count: int) -> SplitScan:
    """Return a scan of such an index."""
    index = drawn_index(count)
    lines = np.tile(np.arange(1, BOXES_PER_PAIR + 1, dtype=np.int64), count)
    return SplitScan(index, Pairing(()), (), lines, index.keys, np.full(len(index), NO_ENTRY))


def drawn_facts(count: int) -> FactsTable[PairFacts]:
    """Return facts of pairs that all differ: those of the drawn files, with other digests."""
    with tempfile.TemporaryDirectory() as name:
        write_pairs(Path(name) / "set", SEED_ROWS)
        report = audit(load_spec(Path(name) / "set/data.yaml"), options=AuditOptions("off"))
    seed = FactsTable.pack(PairFacts, list(report.facts))
    whole = FactsTable.join(PairFacts, [seed] * -(-count // SEED_ROWS))
    table = FactsTable.join(PairFacts, [as_table(whole, 0, count)])
    arrays = table.arrays()
    rng = np.random.default_rng(1)
    for column, array in arrays.items():
        if column.endswith(("picture.blob", "hash.blob", "means.blob")):
            arrays[column] = rng.integers(0, 256, len(array), np.uint8)
    index = drawn_index(count)
    for column, paths in (("rgb_path", index.rgb_paths), ("ir_path", index.ir_paths)):
        arrays[f"{column}.blob"] = np.frombuffer(paths.blob, np.uint8)
        arrays[f"{column}.ends"] = paths.ends
    arrays["row"] = np.arange(count)
    return FactsTable.restore(PairFacts, arrays)


def as_table(table: FactsTable[PairFacts], start: int, stop: int) -> FactsTable[PairFacts]:
    """Return a part of a table as one."""
    part = table[start:stop]
    assert isinstance(part, FactsTable)
    return part


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def timed() -> Iterator[Callable[[], float]]:
    """Time a block; what it yields tells the seconds afterwards."""
    started, ended = time.perf_counter(), [0.0]
    yield lambda: ended[0] - started
    ended[0] = time.perf_counter()


if __name__ == "__main__":
    main()
