"""The commands that make a new data set from an old one: `prepare rename`, `split` and so on.

Each makes a plan and hands it to `prepare_view.py`, which prints it or has it carried out. The old
set is never edited.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fusetrain.cli.prepare_view import Order, begin, carry_out, one_of
from fusetrain.errors import UsageError

prepare = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    help="Make a new data set from an old one, which stays as it is.\n\n"
    "Example: fusetrain prepare rename demo --out demo-renamed",
)

Data = Annotated[Path, typer.Argument(metavar="DATA", help="Data YAML or data-set folder.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="New folder to write to.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and write nothing.")]
Link = Annotated[
    str, typer.Option("--link", help="none, hard or symbolic: link files instead of copying them.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", help="Processes; one a core if not given.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@prepare.command("rename")
def prepare_rename(
    data: Data,
    out: Out = None,
    by: Annotated[str, typer.Option("--by", help="Find partners by key, order or time.")] = "key",
    accept_order: Annotated[
        bool, typer.Option("--accept-order", help="Say that no frame is missing (--by order).")
    ] = False,
    max_gap: Annotated[
        float, typer.Option("--max-gap", metavar="S", help="Seconds within a pair (--by time).")
    ] = 0.05,
    drop: Annotated[
        list[str] | None,
        typer.Option("--drop", metavar="IMAGE", help="Leave an image out first; repeatable."),
    ] = None,
    dry_run: DryRun = False,
    link: Link = "none",
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Give both files of every pair one plain name.

    Example: fusetrain prepare rename demo --out demo-renamed
    """
    order = Order(out, dry_run, link, workers, as_json)
    begin(data, order)
    from fusetrain.prepare.rename import BYS, plan_rename

    chosen = one_of("--by", by, BYS)
    if chosen == "order" and not (accept_order or dry_run):
        raise UsageError(
            "--by order pairs the first image with the first, whatever they show",
            expected="--accept-order as well, if no frame is missing on either side",
            remedy="look at the pairs of --dry-run first",
        )
    if not max_gap >= 0:
        raise UsageError(f"--max-gap {max_gap:g}", expected="seconds, 0 or more")
    carry_out(plan_rename(data, by=chosen, max_gap_s=max_gap, drop=drop or ()), order)


@prepare.command("split")
def prepare_split(
    data: Data,
    out: Out = None,
    ratios: Annotated[
        tuple[float, float, float],
        typer.Option("--ratios", help="Shares of train, val and test; 0 makes no such split."),
    ] = (0.8, 0.1, 0.1),
    seed: Annotated[int, typer.Option("--seed", help="Decides between equal choices.")] = 0,
    lists: Annotated[
        list[Path] | None,
        typer.Option("--lists", metavar="FILE", help="List of a split by names; repeatable."),
    ] = None,
    redo: Annotated[
        bool, typer.Option("--redo", help="Deal all pairs anew; the splits there are do not stay.")
    ] = False,
    block: Annotated[
        int, typer.Option("--block", metavar="N", help="Cut recordings into N frames; 0 does not.")
    ] = 0,
    gap: Annotated[
        int, typer.Option("--gap", metavar="N", help="Leap in numbers between recordings; 0: auto.")
    ] = 0,
    names_only: Annotated[
        bool, typer.Option("--names-only", help="Go by names; look for no duplicates.")
    ] = False,
    dry_run: DryRun = False,
    link: Link = "none",
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Deal pairs to train, val and test so that no recording and no duplicate is in two.

    Example: fusetrain prepare split demo --out demo-split --redo --block 20
    """
    order = Order(out, dry_run, link, workers, as_json)
    begin(data, order)
    _check_ratios(ratios)
    for flag, number in (("--block", block), ("--seed", seed), ("--gap", gap)):
        if number < 0:
            raise UsageError(f"{flag} {number}", expected="a whole number from 0")
    from fusetrain.cli.console import progress
    from fusetrain.prepare.split import Wish, plan_split

    wish = Wish(
        ratios,
        seed=seed,
        gap=gap,
        block=block,
        looks_at_pixels=not names_only,
        keeps_splits=not redo,
        lists=tuple(lists or ()),
    )
    with progress("looking at pairs") as advance:
        plan = plan_split(data, wish, workers=workers, progress=advance)
    carry_out(plan, order)


@prepare.command("align")
def prepare_align(
    data: Data,
    out: Out = None,
    transform: Annotated[
        Path | None,
        typer.Option("--transform", metavar="FILE", help="JSON of 3 x 3 matrices, IR to RGB px."),
    ] = None,
    per: Annotated[
        str, typer.Option("--per", help="One estimate for each sequence, each pair, or the set.")
    ] = "sequence",
    crop: Annotated[
        bool, typer.Option("--crop", help="Cut both images to what both show.")
    ] = False,
    boxes: Annotated[
        str | None, typer.Option("--boxes", help="Images the boxes were drawn on: rgb or ir.")
    ] = None,
    dry_run: DryRun = False,
    link: Link = "none",
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Warp infrared images onto their visible ones, by estimated or given transforms.

    Example: fusetrain prepare align demo --out demo-aligned
    """
    order = Order(out, dry_run, link, workers, as_json)
    begin(data, order)
    from fusetrain.cli.console import progress
    from fusetrain.prepare.align import BOXES_ON, plan_align
    from fusetrain.prepare.estimates import PERS

    with progress("measuring pairs") as advance:
        plan = plan_align(
            data,
            transform=transform,
            per=one_of("--per", per, PERS),
            crop=crop,
            boxes_on=None if boxes is None else one_of("--boxes", boxes, BOXES_ON),
            workers=workers,
            progress=advance,
        )
    carry_out(plan, order)


@prepare.command("convert")
def prepare_convert(
    data: Data,
    out: Out = None,
    to: Annotated[str, typer.Option("--to", help="fusetrain, yolo, coco or voc.")] = "fusetrain",
    dry_run: DryRun = False,
    link: Link = "none",
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Write the same pairs and boxes in another layout.

    Example: fusetrain prepare convert demo --to coco --out demo-coco
    """
    order = Order(out, dry_run, link, workers, as_json)
    begin(data, order)
    from fusetrain.prepare.convert import NAMES, plan_convert

    carry_out(plan_convert(data, one_of("--to", to, tuple(NAMES))), order)


@prepare.command("cache")
def prepare_cache(
    data: Data,
    imgsz: Annotated[int, typer.Option("--imgsz", help="`train.imgsz` of the training.")] = 640,
    scale: Annotated[float, typer.Option("--scale", help="Its `augment.scale`.")] = 0.5,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="FUSETRAIN_CACHE, else ~/.cache/fusetrain."),
    ] = None,
    dry_run: DryRun = False,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Decode all pairs once into the files that `train.cache: disk` reads.

    Example: fusetrain prepare cache demo --imgsz 320
    """
    from fusetrain.cli.prepare_view import cache_config, carry_out_cache

    config = cache_config(data, imgsz=imgsz, scale=scale)
    carry_out_cache(config, Order(out, dry_run, "none", workers, as_json))


def _check_ratios(ratios: tuple[float, float, float]) -> None:
    if not all(0.0 <= ratio <= 1.0 for ratio in ratios) or abs(sum(ratios) - 1.0) > 1e-6:
        raise UsageError(
            f"--ratios {' '.join(f'{ratio:g}' for ratio in ratios)}",
            expected="three shares from 0 to 1 whose sum is 1, such as 0.8 0.1 0.1",
        )
