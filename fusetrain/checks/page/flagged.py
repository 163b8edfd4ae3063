"""Which pairs findings speak of, and which of them get thumbnails when there are too many.

Findings name files; a pair is found by its visible, infrared or label file. Files without a partner
stand for themselves. Nothing is opened here.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from fusetrain.checks.audit import AuditReport
from fusetrain.checks.findings import Finding
from fusetrain.checks.page.pictures import DrawTask, Shift, ThumbnailBox
from fusetrain.checks.registration.shifts import RegistrationFacts
from fusetrain.data.index import LabelColumns, SplitScan

NO_ROW = -1
SHIFT_CODE = "P09"
PARTNER_CODES = frozenset({"P01", "P02", "P03"})
MAX_BOXES = 200
MAX_EXAMPLES = 4


@dataclass(frozen=True)
class FlaggedPair:
    """A pair, or a file without a partner, and what was found at it.

    Attributes:
        split: Split it belongs to.
        row: Row in its index; NO_ROW for files that make no pair.
        rgb_path: Visible image, relative to the root; empty where there is none.
        ir_path: Infrared image, relative to the root; empty where there is none.
        findings: In the order of the report, the worst first.
    """

    split: str
    row: int
    rgb_path: str
    ir_path: str
    findings: list[Finding] = field(default_factory=list)


def flagged_pairs(report: AuditReport) -> list[FlaggedPair]:
    """Return every pair that a finding names, in the order of their first findings."""
    rows = {name: _rows_of(scan, _named(report, name)) for name, scan in report.scans.items()}
    pairs: dict[tuple[str, int, str], FlaggedPair] = {}
    for entry in report.findings:
        scan = report.scans.get(entry.split)
        if scan is None:
            continue
        for row in _examples(entry, report.registration):
            paths = scan.index.rgb_paths[row], scan.index.ir_paths[row]
            pair = pairs.setdefault((entry.split, row, ""), FlaggedPair(entry.split, row, *paths))
            pair.findings.append(entry)
        if not entry.path:
            continue
        found = rows[entry.split].get(entry.path)
        if found is not None:
            row = found
            paths = scan.index.rgb_paths[row], scan.index.ir_paths[row]
        elif entry.code in PARTNER_CODES:
            row, paths = NO_ROW, _without_pair(scan, entry)
        else:
            continue
        key = (entry.split, row, entry.path if row == NO_ROW else "")
        pair = pairs.setdefault(key, FlaggedPair(entry.split, row, *paths))
        pair.findings.append(entry)
    return list(pairs.values())


def chosen(pairs: Sequence[FlaggedPair], most: int) -> list[FlaggedPair]:
    """Return at most ``most`` pairs in their order, dealt to the codes of their first findings.

    A code with many findings does not crowd out the others: each gets its next pair in turn.
    """
    if len(pairs) <= most:
        return list(pairs)
    queues: dict[str, list[int]] = defaultdict(list)
    for number, pair in enumerate(pairs):
        queues[pair.findings[0].code].append(number)
    picked: list[int] = []
    depth = 0
    while len(picked) < most:
        turn = [queue[depth] for queue in queues.values() if depth < len(queue)]
        picked += turn[: most - len(picked)]
        depth += 1
    return [pairs[number] for number in sorted(picked)]


def draw_tasks(pairs: Sequence[FlaggedPair], report: AuditReport) -> list[DrawTask]:
    """Return what is drawn of each pair: its images, its boxes and its shift."""
    wanted = {(pair.split, pair.row) for pair in pairs if SHIFT_CODE in _codes(pair)}
    shifts = {
        (fact.split, fact.row): fact
        for fact in report.registration
        if (fact.split, fact.row) in wanted
    }
    return [
        _draw_task(pair, report.scans[pair.split], shifts.get((pair.split, pair.row)))
        for pair in pairs
    ]


def _examples(entry: Finding, registration: Sequence[RegistrationFacts]) -> list[int]:
    """Return rows of pairs that show the shift of a whole sequence, those that lie as it does."""
    if entry.code != SHIFT_CODE or entry.path or not {"dx_px", "dy_px"} <= set(entry.numbers):
        return []
    dx_px, dy_px = entry.numbers["dx_px"], entry.numbers["dy_px"]
    off_px = [
        (math.hypot(fact.dx_px - dx_px, fact.dy_px - dy_px), fact.row)
        for fact in registration
        if fact.split == entry.split
        and fact.is_sure
        and fact.dx_px is not None
        and fact.dy_px is not None
    ]
    return [row for _, row in sorted(off_px)[:MAX_EXAMPLES]]


def _draw_task(pair: FlaggedPair, scan: SplitScan, measured: RegistrationFacts | None) -> DrawTask:
    bare = DrawTask(scan.index.root, pair.rgb_path, pair.ir_path, storage=scan.index.storage)
    if pair.row == NO_ROW:
        return bare
    boxes = _boxes(scan, pair)
    own = [
        tuple(_column_boxes(columns, pair.row)) if columns is not None else boxes
        for columns in (scan.rgb_labels, scan.ir_labels)
    ]
    return replace(bare, rgb_boxes=own[0], ir_boxes=own[1], shift=_shift(measured))


def _named(report: AuditReport, split: str) -> set[str]:
    return {entry.path for entry in report.findings if entry.split == split and entry.path}


def _rows_of(scan: SplitScan, named: set[str]) -> dict[str, int]:
    """Return the row of each file that is named; a label file of many pairs stands for none."""
    rows: dict[str, int] = {}
    shared: set[str] = set()
    columns: Iterable[Iterable[str]] = (
        (scan.index.rgb_paths, scan.index.ir_paths, scan.label_paths) if named else ()
    )
    for paths in columns:
        for row, path in enumerate(paths):
            if path in named and rows.setdefault(path, row) != row:
                shared.add(path)
    return {path: row for path, row in rows.items() if path not in shared}


def _without_pair(scan: SplitScan, entry: Finding) -> tuple[str, str]:
    """Return the visible and the infrared file of a finding about partners; one may be missing."""
    if entry.code == "P03":
        for clash in scan.pairing.ambiguous:
            if entry.path in (*clash.rgb_paths, *clash.ir_paths):
                return next(iter(clash.rgb_paths), ""), next(iter(clash.ir_paths), "")
    return ("", entry.path) if entry.code == "P02" else (entry.path, "")


def _codes(pair: FlaggedPair) -> set[str]:
    return {entry.code for entry in pair.findings}


def _boxes(scan: SplitScan, pair: FlaggedPair) -> tuple[ThumbnailBox, ...]:
    """Return the boxes of a pair; those that a finding names by their line carry its code."""
    flags: dict[int, str] = {}
    for entry in pair.findings:
        if entry.line and entry.path == scan.label_paths[pair.row]:
            flags[entry.line] = f"{flags.get(entry.line, '')} {entry.code}".strip()
    boxes = scan.index.boxes_cxcywh_unit(pair.row)
    start = int(scan.index.box_ends[pair.row]) - len(boxes)
    lines = scan.box_lines[start : start + len(boxes)]
    labelled = [
        ThumbnailBox(_corners(box), int(number), flags.get(int(line), ""))
        for box, number, line in zip(boxes, scan.index.classes(pair.row), lines, strict=True)
    ]
    return tuple(sorted(labelled, key=lambda box: not box.label)[:MAX_BOXES])


def _column_boxes(columns: LabelColumns, row: int) -> Iterator[ThumbnailBox]:
    start = int(columns.box_ends[row - 1]) if row else 0
    part = slice(start, min(int(columns.box_ends[row]), start + MAX_BOXES))
    for box, number in zip(columns.boxes[part], columns.box_classes[part], strict=True):
        yield ThumbnailBox(_corners(box), int(number))


def _corners(box: Sequence[float]) -> tuple[float, float, float, float]:
    cx, cy, w, h = (float(value) for value in box)
    return cx, cy, w, h


def _shift(measured: RegistrationFacts | None) -> Shift | None:
    if measured is None or measured.dx_px is None or measured.dy_px is None:
        return None
    return Shift(
        measured.dx_px, measured.dy_px, measured.rotation_deg or 0.0, measured.scale or 1.0
    )
