"""Write docs/commands/, a page for every command, from the help that the commands print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from typer.main import get_command

from fusetrain.cli.app import COMMANDS, app

FOLDER = Path(__file__).parent / "commands"
WIDTH = 90
GUIDES: Mapping[str, tuple[str, ...]] = {
    "demo": ("quickstart",),
    "check-data": ("check-data", "public-sets"),
    "prepare": ("prepare",),
    "train": ("quickstart", "schedules", "models", "distributed", "faults"),
    "resume": ("resume", "checkpoint"),
    "tune": ("tune",),
    "plot-lr": ("schedules",),
    "diagnose": ("diagnose",),
    "val": ("val",),
    "predict": ("predict",),
    "export": ("export",),
    "report": ("report",),
    "compare": ("report",),
    "models": ("models",),
    "config": ("moving", "schedules"),
}


def pages() -> dict[str, str]:
    """Return the text of every page by its file name; README.md lists them."""
    root = get_command(app)
    rows = [f"| [`{name}`]({name}.md) | {text} |" for name, (_, text) in COMMANDS.items()]
    head = "# Commands\n\n| command | does |\n|---|---|\n"
    tail = (
        "\nEvery command takes `--help`; those that report take `--json` and print one JSON\n"
        "object on stdout. Messages go to stderr. The [exit codes](../../README.md#a-run)\n"
        "are the same everywhere.\n"
    )
    found = {"README.md": head + "\n".join(rows) + "\n" + tail}
    for name in COMMANDS:
        found[f"{name}.md"] = _page(name, root.get_command(None, name))  # type: ignore[attr-defined, arg-type]
    return found


def _page(name: str, command: Any) -> str:
    guides = ", ".join(f"[{guide}](../{guide}.md)" for guide in GUIDES[name])
    parts = [f"# fusetrain {name}\n", f"{COMMANDS[name][1]} More: {guides}.\n"]
    for path, inner in _leaves((name,), command):
        if len(path) > 1:
            parts.append(f"## {' '.join(path)}\n")
        parts.append(f"```text\n{_help(path, inner)}\n```\n")
    return "\n".join(parts)


def _leaves(path: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    for name in command.list_commands(None):
        yield from _leaves((*path, name), command.get_command(None, name))


def _help(path: tuple[str, ...], command: Any) -> str:
    name = f"fusetrain {' '.join(path)}"
    context = command.make_context(name, [], resilient_parsing=True, terminal_width=WIDTH)
    return "\n".join(line.rstrip() for line in context.get_help().strip().splitlines())


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
