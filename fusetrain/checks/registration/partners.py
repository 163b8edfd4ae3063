"""Whether each infrared image belongs to its visible one at all (P07) and to its moment (P08).

Both compare how well a visible image agrees with its own partner and with others of its set. This
is a second pass: `partner_tasks` lists the blocks of images that are worth it.
Shape legend: N images of a block, H x W px of the working canvas.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.findings import Finding
from fusetrain.checks.registration.alignment import REACH_SHARE, canvas_fields
from fusetrain.checks.registration.correlation import correlations, fast_shape, spectra
from fusetrain.checks.registration.gradient_field import Field, on_canvas
from fusetrain.checks.registration.greys import Grey, read_greys
from fusetrain.checks.registration.out_of_step import check_clocks, check_steps
from fusetrain.checks.registration.shifts import RegistrationFacts
from fusetrain.checks.registration.strangers import Seen, check_strangers, check_unrelated
from fusetrain.checks.sequences import frame_of
from fusetrain.data.storage import AS_FILES, Storage

Purpose = Literal["P07", "P08"]

# Long side in px: scenes are told apart by what is large.
CANVAS_HW = (128, 160)
# Pairs in doubt and pairs beyond doubt of a block, and how many blocks of a split are looked at.
MAX_DOUBTFUL = 48
NUM_REFERENCES = 24
MAX_BLOCKS = 6
MIN_BLOCK = 8
# Night infrared without a warm thing in it stays below.
CLEAR_CONTRAST = 5.0
# Frames of a sequence that are compared with their neighbours, and sequences of a split.
STEP_FRAMES = 40
MIN_STEP_FRAMES = 14
MAX_SEQUENCES = 12


@dataclass(frozen=True)
class PartnerTask:
    """A block of pairs whose images are all compared with each other; picklable.

    Attributes:
        root: Absolute root of the data set.
        split: Split of the pairs.
        rows: Their rows in the index.
        rgb_paths: Their visible images, relative to the root.
        ir_paths: Their infrared images.
        purpose: P07 (partners of a set) or P08 (neighbours in a sequence).
        storage: How the pictures of the data set lie in their files.
    """

    root: str
    split: str
    rows: tuple[int, ...]
    rgb_paths: tuple[str, ...]
    ir_paths: tuple[str, ...]
    purpose: Purpose
    storage: Storage = AS_FILES


@dataclass(frozen=True)
class PartnerFacts:
    """How well the images of a block agree.

    Attributes:
        task: The block.
        scores: Row by row, the score of visible image i with infrared image j; NaN where one of
            them cannot be read.
        is_clear: Pair by pair, both images show enough to be recognised.
    """

    task: PartnerTask
    scores: tuple[tuple[float, ...], ...]
    is_clear: tuple[bool, ...]


def partner_tasks(
    facts: Sequence[RegistrationFacts], root: str, *, storage: Storage = AS_FILES
) -> list[PartnerTask]:
    """Return the blocks worth a second pass, from what the first pass found.

    Args:
        facts: What the first pass measured, of one or several splits.
        root: Absolute root of the data set.
        storage: How the pictures of the data set lie in their files.
    """
    splits: dict[str, list[RegistrationFacts]] = {}
    for fact in facts:
        if fact.dx_px is not None:
            splits.setdefault(fact.split, []).append(fact)
    tasks: list[PartnerTask] = []
    for members in splits.values():
        for purpose, blocks in (("P07", _doubtful(members)), ("P08", _stretches(members))):
            tasks += [_task(block, purpose, root, storage=storage) for block in blocks]
    return tasks


def measure_partners(task: PartnerTask) -> PartnerFacts:
    """Compare all images of a block, in a child process; never raises."""
    number = len(task.rows)
    rgb = np.zeros((number, *CANVAS_HW), np.complex64)
    ir = np.zeros((number, *CANVAS_HW), np.complex64)
    known, clear = np.zeros(number, np.bool_), np.zeros(number, np.bool_)
    for place, (rgb_path, ir_path) in enumerate(zip(task.rgb_paths, task.ir_paths, strict=True)):
        greys = read_greys(task.root, rgb_path, ir_path, storage=task.storage)
        fields = None if greys is None else canvas_fields(*greys, size_hw=CANVAS_HW)
        if greys is not None and fields is not None:
            rgb[place], ir[place] = fields
            known[place] = True
            clear[place] = min(map(_contrast, greys)) >= CLEAR_CONTRAST
    scores = np.full((number, number), np.nan)
    scores[np.ix_(known, known)] = compared(rgb[known], ir[known])
    return PartnerFacts(task, tuple(map(tuple, scores.tolist())), tuple(clear.tolist()))


def crashed_partners(task: PartnerTask) -> PartnerFacts:
    """Return the facts of a block that could not be compared."""
    number = len(task.rows)
    return PartnerFacts(task, ((float("nan"),) * number,) * number, (False,) * number)


def check_partners(
    facts: Sequence[RegistrationFacts], compared: Sequence[PartnerFacts]
) -> list[Finding]:
    """P07 and P08: partners that do not belong together, and cameras that are out of step.

    Args:
        facts: What `measure_registration` found.
        compared: What `measure_partners` found of the tasks that follow from it.
    """
    found = [*check_unrelated(facts), *check_clocks(facts)]
    sure = {(fact.split, fact.row) for fact in facts if fact.is_sure}
    for block in compared:
        task, scores = block.task, np.array(block.scores, np.float64)
        if task.purpose == "P08":
            found += check_steps(scores, split=task.split, ir_paths=task.ir_paths)
        else:
            is_sure = np.array([(task.split, row) in sure for row in task.rows])
            seen = Seen(
                task.split,
                task.rows,
                task.rgb_paths,
                task.ir_paths,
                is_sure,
                np.array(block.is_clear),
            )
            found += check_strangers(scores, seen)
    return found


def compared(rgb: Field, ir: Field) -> NDArray[np.float64]:
    """Return (N, N): how well each visible image agrees with each infrared one, -1 to 1.

    What all images of the block have in common (the frame of a camera, what stands still before a
    fixed one) is taken out first, so that only what tells them apart counts.

    Args:
        rgb: (N, H, W) gradient fields of the visible images.
        ir: (N, H, W) gradient fields of the infrared images.
    """
    if not len(rgb):
        return np.zeros((0, 0))
    height, width = rgb.shape[1:]
    reach = round(REACH_SHARE * max(height, width))
    shape = fast_shape(height + reach, width + reach)
    rgb_spectra, ir_spectra = (spectra(_own(fields), shape) for fields in (rgb, ir))
    shifts = np.arange(-reach, reach + 1)
    scores = np.empty((len(rgb), len(ir)))
    for row in range(len(rgb)):
        own = rgb_spectra[:, row : row + 1]
        sums = correlations(ir_spectra, own, width=shape[1], shifts=shifts)
        scores[row] = sums.max(axis=(1, 2))
    return scores


def _own(fields: Field) -> Field:
    """Return what each field has for itself, at length 1."""
    own = fields - fields.mean(axis=0) if len(fields) >= MIN_BLOCK else fields
    lengths = np.sqrt((np.abs(own) ** 2).sum(axis=(1, 2), keepdims=True))
    return np.asarray(own / (lengths + np.float32(1e-6)), np.complex64)


def _contrast(grey: Grey) -> float:
    """Return the difference in levels between neighbours that a tenth of the canvas exceeds."""
    down, right = np.gradient(on_canvas(grey, CANVAS_HW))
    return float(np.percentile(np.hypot(right, down), 90.0))


def _doubtful(members: Sequence[RegistrationFacts]) -> Iterator[list[RegistrationFacts]]:
    """Yield blocks of the pairs that are not sure, in order, with some that are."""
    doubtful = [fact for fact in members if not fact.is_sure]
    sure = [fact for fact in members if fact.is_sure]
    places = np.linspace(0, len(sure) - 1, min(NUM_REFERENCES, len(sure))).round().astype(int)
    references = [sure[place] for place in sorted(set(places.tolist()))]
    for start in range(0, min(len(doubtful), MAX_BLOCKS * MAX_DOUBTFUL), MAX_DOUBTFUL):
        block = [*doubtful[start : start + MAX_DOUBTFUL], *references]
        if len(block) >= MIN_BLOCK:
            yield block


def _stretches(members: Sequence[RegistrationFacts]) -> Iterator[list[RegistrationFacts]]:
    """Yield stretches of neighbouring frames, one of each sequence."""
    stretches: dict[str, list[RegistrationFacts]] = {}
    last: dict[str, RegistrationFacts] = {}
    for fact in members:
        frame = frame_of(fact.ir_path)
        if frame is None:
            continue
        stretch = stretches.setdefault(frame.run, [])
        before = last.get(frame.run)
        if len(stretch) < STEP_FRAMES and (before is None or fact.row == before.row + 1):
            stretch.append(fact)
            last[frame.run] = fact
    long = [stretch for stretch in stretches.values() if len(stretch) >= MIN_STEP_FRAMES]
    yield from long[:MAX_SEQUENCES]


def _task(
    block: Sequence[RegistrationFacts], purpose: str, root: str, *, storage: Storage
) -> PartnerTask:
    return PartnerTask(
        root,
        block[0].split,
        tuple(fact.row for fact in block),
        tuple(fact.rgb_path for fact in block),
        tuple(fact.ir_path for fact in block),
        "P07" if purpose == "P07" else "P08",
        storage,
    )
