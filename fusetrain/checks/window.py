"""What the thermal window of a training leaves of the counts of infrared images (P16).

The window is the one that a training on the set would take, and some images of each split are read
through it, in a child process. Images of 8 bits that are taken as they are need no look.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.findings import Finding, finding
from fusetrain.checks.flow.facts import as_table
from fusetrain.checks.images import PairFacts
from fusetrain.data.decode import ImageError
from fusetrain.data.image import ThermalWindow, infrared_levels
from fusetrain.data.index import SplitScan
from fusetrain.data.spec import DataSpec
from fusetrain.data.storage import AS_FILES, Storage
from fusetrain.data.thermal import is_deep, sampled_counts, thermal_window, window_rows

MAX_IMAGES = 16
# Share of the pixels of an image whose levels are counted: a rim or a hot spot are no picture.
PIXEL_SHARE = 0.9
# Through a window that fits, deep counts of real scenes fill 30 levels and more.
FEW_LEVELS = 8
NO_LEVELS = 2


@dataclass(frozen=True)
class WindowTask:
    """Images to be read through the window of a data set; picklable.

    Attributes:
        root: Absolute root of the data set.
        thermal: Policy of the data set, as in `DataSpec`.
        sources: Infrared images that the window is taken from.
        seen: Split to the infrared images that are read through it.
        storage: How the pictures of the data set lie in their files.
    """

    root: str
    thermal: str | tuple[float, float]
    sources: tuple[str, ...]
    seen: Mapping[str, tuple[str, ...]]
    storage: Storage = AS_FILES


@dataclass(frozen=True)
class WindowFacts:
    """What the window leaves of a split.

    Attributes:
        split: The split.
        window: The window of the set.
        images: How many images were read.
        levels: Levels that PIXEL_SHARE of the pixels of an image take, median of the images.
        counts: Between which raw counts PIXEL_SHARE of all pixels lie.
    """

    split: str
    window: ThermalWindow
    images: int
    levels: int
    counts: tuple[float, float]


def window_tasks(
    spec: DataSpec, scans: Mapping[str, SplitScan], facts: Sequence[PairFacts]
) -> list[WindowTask]:
    """Return one task, or none where all images are taken as they are.

    Args:
        spec: The data set.
        scans: Split name to its names, in the order of the splits.
        facts: What each pair measures, in the order of the splits and their rows.
    """
    bits = as_table(PairFacts, facts).numbers("ir", "bits")
    shallow = spec.thermal in ("auto", "raw")
    seen: dict[str, tuple[str, ...]] = {}
    start = 0
    for name, scan in scans.items():
        own = bits[start : start + len(scan.index)]
        start += len(scan.index)
        rows = np.flatnonzero(own > 8 if shallow else ~np.isnan(own))
        chosen = rows[:: max(1, -(-len(rows) // MAX_IMAGES))].tolist()
        if chosen:
            seen[name] = tuple(scan.index.ir_paths[row] for row in chosen)
    if not seen:
        return []
    first = scans["train"] if "train" in scans else next(iter(scans.values()))
    sources = tuple(first.index.ir_paths[row] for row in window_rows(len(first.index)))
    return [WindowTask(str(spec.root), spec.thermal, sources, seen, spec.storage)]


def measure_window(task: WindowTask) -> tuple[WindowFacts, ...]:
    """Read images through the window; none where one of them cannot be read."""
    try:
        sources = [os.path.join(task.root, path) for path in task.sources]
        window = thermal_window(task.thermal, sources, storage=task.storage)
        return tuple(
            _through(window, split, [os.path.join(task.root, path) for path in paths], task.storage)
            for split, paths in task.seen.items()
        )
    except ImageError:
        return ()


def crashed_window(task: WindowTask) -> tuple[WindowFacts, ...]:
    """Return what is known where the decoder crashed: nothing, and I01 tells why."""
    del task
    return ()


def check_window(facts: WindowFacts) -> list[Finding]:
    """P16: the window of the training leaves levels enough to see something by."""
    if facts.levels > FEW_LEVELS:
        return []
    low, high = facts.counts
    return [
        finding(
            "P16",
            f"through `thermal: {_shown(facts.window)}` {_narrowness(facts)}",
            split=facts.split,
            numbers={"levels": facts.levels, "counts_low": low, "counts_high": high},
            level="error" if facts.levels <= NO_LEVELS else "warn",
        )
    ]


def unfit_infrared(
    paths: Sequence[str | os.PathLike[str]], window: ThermalWindow, storage: Storage = AS_FILES
) -> tuple[str, ...]:
    """Return a sentence where hardly a level is left of images seen through a window of weights.

    Args:
        paths: Infrared images; up to MAX_IMAGES of them, evenly spaced, are looked at.
        window: Of the weights.
        storage: How the pictures lie in their files.
    """
    try:
        some = paths[:: max(1, -(-len(paths) // MAX_IMAGES))]
        seen = [path for path in some if not window.deep_only or is_deep(path, storage)]
        facts = _through(window, "", seen, storage) if seen else None
    except ImageError:  # told where the images are read
        return ()
    if facts is None or facts.levels > FEW_LEVELS:
        return ()
    text = f"through the window of the weights ({_shown(window)}) {_narrowness(facts)}"
    return (f"infrared is not as in training: {text}",)


def _narrowness(facts: WindowFacts) -> str:
    low, high = facts.counts
    return (
        f"{PIXEL_SHARE:.0%} of the pixels take {facts.levels} of 256 levels, as most counts lie "
        f"between {low:,.6g} and {high:,.6g} (median of {facts.images} images)"
    )


def _through(
    window: ThermalWindow, split: str, paths: Sequence[str | os.PathLike[str]], storage: Storage
) -> WindowFacts:
    """Return what the window leaves of some images."""
    samples = [sampled_counts(path, storage)[None] for path in paths]
    levels = [_levels_taken(infrared_levels(counts, window)) for counts in samples]
    finite = np.concatenate([counts[np.isfinite(counts)].astype(np.float64) for counts in samples])
    rim = (1 - PIXEL_SHARE) / 2 * 100
    low, high = np.percentile(finite, (rim, 100 - rim)) if finite.size else (0.0, 0.0)
    return WindowFacts(split, window, len(paths), int(np.median(levels)), (float(low), float(high)))


def _levels_taken(levels: NDArray[np.uint8]) -> int:
    """Return how many levels, the most frequent ones, PIXEL_SHARE of the pixels take."""
    counts = np.sort(np.bincount(levels.ravel(), minlength=256))[::-1].cumsum()
    return int(np.searchsorted(counts, PIXEL_SHARE * counts[-1])) + 1


def _shown(window: ThermalWindow) -> str:
    if window.low is None or window.high is None:
        return window.policy
    return f"{window.policy} {window.low:,.6g} to {window.high:,.6g}"
