"""Write the tables of docs/resume.md: what may change on resume, and what a training survives.

    python docs/list_overrides.py

The faults are filled in by `make faults`, which tries each of them.
"""

from __future__ import annotations

from pathlib import Path

from fusetrain.runs.overrides import TABLE

PAGE = Path(__file__).with_name("resume.md")
BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"


def table() -> str:
    """Return the table of settings in Markdown; a group stands for the rest of it."""
    groups = {name.partition(".")[0] for name in TABLE if "." in name}
    lines = ["| setting | may change | why |", "|---|---|---|"]
    for name, (change, why) in TABLE.items():
        shown = f"others of `{name}`" if name in groups else f"`{name}`"
        if name in ("model", "loss", "augment", "run"):
            shown = f"`{name}.*`"
        lines.append(f"| {shown} | {change.value.replace('free', 'yes')} | {why} |")
    return "\n".join(lines)


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    head, tail = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(f"{head}{BEGIN}\n{table()}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
