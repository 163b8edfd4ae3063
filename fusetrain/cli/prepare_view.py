"""Prints the plan of a `prepare` command, has it carried out, and says what came of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fusetrain.cli.console import (
    print_json,
    progress,
    stderr_console,
    stdout_console,
    table,
    visible,
)
from fusetrain.errors import UsageError

if TYPE_CHECKING:
    from fusetrain.config.schema import Config
    from fusetrain.prepare.plans import Plan

NUM_EXAMPLES = 5
LINKS = ("none", "hard", "symbolic")

Choice = TypeVar("Choice", bound=str)


@dataclass(frozen=True)
class Order:
    """What all `prepare` commands are told.

    Attributes:
        out: New folder; may only be missing in a dry run.
        dry_run: Print the plan and write nothing.
        link: none, hard or symbolic.
        workers: Processes; None takes one a core.
        as_json: One JSON object on stdout.
    """

    out: Path | None
    dry_run: bool
    link: str
    workers: int | None
    as_json: bool

    def __post_init__(self) -> None:
        one_of("--link", self.link, LINKS)
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers {self.workers}", expected="a whole number from 1")


def one_of(flag: str, value: str, known: Sequence[Choice]) -> Choice:
    """Return a value that is one of those known.

    Raises:
        UsageError: It is not.
    """
    for choice in known:
        if choice == value:
            return choice
    raise UsageError(f"{flag} {value}", expected=", ".join(known))


def begin(data: Path, order: Order) -> None:
    """Refuse what cannot end well before anything is read or measured.

    Raises:
        UsageError: There is no --out.
        DataError: There is no data set, or the target is in use or inside it.
    """
    from fusetrain.data.spec import load_spec
    from fusetrain.prepare.writing import check_target

    if order.out is not None:
        check_target(order.out, load_spec(data).root)
    elif not order.dry_run:
        raise UsageError("there is no --out", expected="--out DIR, or --dry-run")


def carry_out(plan: Plan, order: Order) -> None:
    """Print a plan, or write the new data set and say where it is.

    Raises:
        DataError: The target is in use or inside the source, or a file cannot be read.
        ResourceError: The disk is full.
    """
    from fusetrain.checks.flow.pool import default_workers
    from fusetrain.prepare.writing import LINKS as LINK_KINDS
    from fusetrain.prepare.writing import write_plan

    if order.out is None or order.dry_run:
        _print_plan(plan, order)
        return
    with progress("writing files") as advance:
        written = write_plan(
            plan,
            order.out,
            link=one_of("--link", order.link, LINK_KINDS),
            workers=order.workers or default_workers(),
            progress=advance,
        )
    if order.as_json:
        outcome = {"out": str(written.folder), "files": written.num_files}
        print_json({**_summary(plan), **outcome, "bytes": written.num_bytes, "dry_run": False})
        return
    _print_shares(plan)
    size = f"{written.num_files} files, {_size(written.num_bytes)}"
    _print_lines(
        *(f"note: {note}" for note in plan.notes),
        f"{written.folder}: {_pairs(plan)}, {size}",
        f"next: fusetrain check-data {shlex.quote(str(order.out))}",
    )


def cache_config(data: Path, *, imgsz: int, scale: float) -> Config:
    """Return a config with the settings that decide on cache files.

    Raises:
        UsageError: A number is out of range.
    """
    from fusetrain.config.faults import located_problems
    from fusetrain.config.schema import Config

    values = {"data": str(data), "train": {"imgsz": imgsz}, "augment": {"scale": scale}}
    for keys, problem in located_problems(Config, values, where=lambda keys: ""):
        given = imgsz if keys[-1] == "imgsz" else f"{scale:g}"
        raise UsageError(f"--{keys[-1]} {given}", expected=problem.hint.removeprefix("expected "))
    return Config.model_validate(values)


def carry_out_cache(config: Config, order: Order) -> None:
    """Print what cache files a training takes, or make them.

    Raises:
        DataError: The data set cannot be used, or the folder is inside it.
        ResourceError: The disk is full.
    """
    from fusetrain.checks.flow.pool import default_workers
    from fusetrain.prepare.cache import make_caches, plan_cache

    plan = plan_cache(config, folder=order.out)
    files: dict[str, dict[str, Any]] = {}
    if order.dry_run:
        sizes = plan.num_bytes()
        files = {
            split: {"pairs": len(reader.index), "bytes": sizes[split]}
            for split, reader in plan.readers.items()
        }
    else:
        with progress("decoding pairs") as advance:
            made = make_caches(plan, workers=order.workers or default_workers(), progress=advance)
        for split, built in made.items():
            files[split] = {"pairs": len(built.cache), "bytes": built.cache.num_bytes}
            files[split] |= {"file": str(built.cache.path), "was_there": built.was_there}
    if order.as_json:
        print_json({"out": str(plan.folder), "splits": files, "dry_run": order.dry_run})
        return
    rows = [
        (split, entry["pairs"], _size(entry["bytes"]), _state(entry))
        for split, entry in files.items()
    ]
    columns = ("split", "pairs", "size", "state")
    stdout_console().print(table(columns, rows, right=("pairs", "size")))
    _print_lines(f"{plan.folder}: used by `train.cache: disk` with FUSETRAIN_CACHE set to it")


def _state(entry: dict[str, Any]) -> str:
    if "file" not in entry:
        return "to be made"
    return "was there" if entry["was_there"] else "made"


def _print_plan(plan: Plan, order: Order) -> None:
    if order.as_json:
        shown = {"files": len(plan.files), "bytes": plan.num_bytes, "dry_run": True}
        print_json({**_summary(plan), "out": str(order.out or ""), **shown})
        return
    console = stdout_console()
    rows = [
        ("from", str(plan.spec.path)),
        ("layout", plan.spec.layout.sentence),
        ("pairs", _pairs(plan)),
        ("files", f"{len(plan.files)}, about {_size(plan.num_bytes)}"),
        *(("note", note) for note in plan.notes),
    ]
    console.print(table(("plan", f"prepare {plan.command}"), rows))
    _print_shares(plan)
    console.print(table(("new file", "from"), _examples(plan)))
    more = len(plan.files) - NUM_EXAMPLES
    console.print(f"… and {more} more; nothing was written" if more > 0 else "nothing was written")


def _examples(plan: Plan) -> Iterator[tuple[str, str]]:
    root = f"{plan.spec.root}/"
    for file in plan.files[:NUM_EXAMPLES]:
        change = f" ({file.transform})" if file.transform is not None else ""
        yield file.target, f"{file.source.removeprefix(root)}{change}"


def _print_shares(plan: Plan) -> None:
    """Print what each split got, where a plan deals them."""
    splits = plan.facts.get("splits")
    if not splits:
        return
    names = list(next(iter(splits.values()))["boxes"])
    totals = {name: sum(entry["boxes"][name] for entry in splits.values()) or 1 for name in names}
    rows = [
        (
            split,
            entry["pairs"],
            f"{entry['share']:.1%}",
            f"{entry['dark']:.0%}",
            " ".join(f"{name} {entry['boxes'][name] / totals[name]:.0%}" for name in names),
        )
        for split, entry in splits.items()
    ]
    columns = ("split", "pairs", "share", "dark", "boxes of each class")
    stdout_console().print(table(columns, rows, right=("pairs", "share", "dark")))


def _summary(plan: Plan) -> dict[str, Any]:
    return {
        "command": f"prepare {plan.command}",
        "source": str(plan.spec.path),
        "layout": plan.spec.layout.name,
        "pairs": dict(plan.num_pairs),
        "options": dict(plan.options),
        **plan.facts,
        "notes": list(plan.notes),
    }


def _pairs(plan: Plan) -> str:
    counts = [f"{number} {split}" for split, number in plan.num_pairs.items()]
    return f"{' and '.join([', '.join(counts[:-1]), counts[-1]] if counts[1:] else counts)} pairs"


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"


def _print_lines(*lines: str) -> None:
    for line in lines:
        stderr_console().print(visible(line), markup=False, soft_wrap=True)
