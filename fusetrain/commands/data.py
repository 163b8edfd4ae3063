"""Data sets from Python: a demo, their check, and new sets made from old ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from fusetrain.checks.audit import AS_USUAL, AuditOptions, AuditReport, audit_path
from fusetrain.checks.flow.pool import default_workers
from fusetrain.commands.given import PathLike, path_or_none
from fusetrain.data.demo import DemoSummary, write_demo
from fusetrain.data.spec import load_spec
from fusetrain.prepare.align import BoxesOn, plan_align
from fusetrain.prepare.convert import plan_convert
from fusetrain.prepare.estimates import Per
from fusetrain.prepare.plans import Plan
from fusetrain.prepare.rename import MAX_GAP_S, By, plan_rename
from fusetrain.prepare.split import Wish, plan_split
from fusetrain.prepare.writing import Link, WrittenSet, check_target, write_plan

AS_COMMON = Wish()


def demo(
    folder: PathLike, *, num_pairs: int = 240, seed: int = 0, with_defects: bool = False
) -> DemoSummary:
    """Write a small synthetic data set, as `demo` does; see `write_demo`."""
    return write_demo(Path(folder), num_pairs=num_pairs, seed=seed, with_defects=with_defects)


def check_data(
    data: PathLike, *, splits: Sequence[str] = (), options: AuditOptions = AS_USUAL
) -> AuditReport:
    """Validate the pairs of a data set, as `check-data` does; see docs/check-data.md.

    Args:
        data: Data YAML or folder.
        splits: Splits to look at; all when empty.
        options: What is measured and how it is judged.

    Raises:
        DataError: There is no data set, or no such split.
    """
    return audit_path(Path(data), only_splits=splits, options=options)


def prepare_rename(
    data: PathLike,
    out: PathLike,
    *,
    by: By = "key",
    max_gap_s: float = MAX_GAP_S,
    drop: Collection[str] = (),
    link: Link = "none",
) -> WrittenSet:
    """Give both files of every pair one plain name, as `prepare rename` does; see docs/prepare.md.

    Args:
        data: Data YAML or folder.
        out: New folder.
        by: Find partners by key, by order (wrong where a frame is missing) or by time.
        max_gap_s: Seconds within a pair (by time).
        drop: Images to leave out first, relative to the root of the set.
        link: hard or symbolic links files instead of copying them.

    Raises:
        DataError: The set cannot be used, or the target is in use or inside it.
        ResourceError: The target cannot be written.
    """
    _check(data, out)
    return _written(plan_rename(Path(data), by=by, max_gap_s=max_gap_s, drop=drop), out, link)


def prepare_split(
    data: PathLike, out: PathLike, wish: Wish = AS_COMMON, *, link: Link = "none"
) -> WrittenSet:
    """Deal pairs to train, val and test, as `prepare split` does; see docs/prepare.md.

    Args:
        data: Data YAML or folder.
        out: New folder.
        wish: Shares, seed and what may be cut.
        link: hard or symbolic links files instead of copying them.

    Raises:
        DataError: The set cannot be used, or the target is in use or inside it.
        ResourceError: The target cannot be written.
    """
    _check(data, out)
    return _written(plan_split(Path(data), wish), out, link)


def prepare_align(
    data: PathLike,
    out: PathLike,
    *,
    transform: PathLike | None = None,
    per: Per = "sequence",
    crop: bool = False,
    boxes_on: BoxesOn | None = None,
    link: Link = "none",
) -> WrittenSet:
    """Warp infrared images onto their visible ones, as `prepare align` does; see docs/prepare.md.

    Args:
        data: Data YAML or folder.
        out: New folder.
        transform: JSON of 3 x 3 matrices from infrared to visible px; None estimates.
        per: One estimate for each sequence, each pair, or the set.
        crop: Cut both images to what both show.
        boxes_on: Images that the boxes were drawn on; None takes what the set says.
        link: hard or symbolic links files that stay as they are.

    Raises:
        DataError: The set cannot be used, or the target is in use or inside it.
        ResourceError: The target cannot be written.
    """
    _check(data, out)
    plan = plan_align(
        Path(data), transform=path_or_none(transform), per=per, crop=crop, boxes_on=boxes_on
    )
    return _written(plan, out, link)


def prepare_convert(
    data: PathLike, out: PathLike, to: str = "fusetrain", *, link: Link = "none"
) -> WrittenSet:
    """Write the same pairs and boxes in another layout, as `prepare convert` does.

    Args:
        data: Data YAML or folder.
        out: New folder.
        to: fusetrain, yolo, coco or voc.
        link: hard or symbolic links files instead of copying them.

    Raises:
        DataError: The set cannot be used, or the target is in use or inside it.
        ResourceError: The target cannot be written.
    """
    _check(data, out)
    return _written(plan_convert(Path(data), to), out, link)


def _check(data: PathLike, out: PathLike) -> None:
    """Refuse what cannot end well before anything is measured."""
    check_target(Path(out), load_spec(Path(data)).root)


def _written(plan: Plan, out: PathLike, link: Link) -> WrittenSet:
    return write_plan(plan, Path(out), link=link, workers=default_workers())
