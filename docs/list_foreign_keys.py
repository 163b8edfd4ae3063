"""Write what becomes of the keys of other trainers into docs/moving.md, from the table itself."""

from __future__ import annotations

import re
from pathlib import Path

from fusetrain.config.foreign.keys import DATA_KEYS, GROUPS

PAGE = Path(__file__).parent / "moving.md"
TABLE = re.compile(r"(<!-- keys: begin -->\n).*?(<!-- keys: end -->)", re.DOTALL)


def table() -> str:
    """Return the keys, group by group; keys with one fate share a row."""
    parts = []
    for title, keys in {**GROUPS, "Data YAML": DATA_KEYS}.items():
        fates: dict[str, list[str]] = {}
        for name, key in keys.items():
            fates.setdefault(key.says, []).append(f"`{name}`")
        rows = [f"| {' '.join(names)} | {says} |" for says, names in fates.items()]
        parts.append("\n".join([f"### {title}\n", "| there | here |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


def renewed(page: str) -> str:
    """Return the page with the table as it is now."""
    return TABLE.sub(lambda found: found[1] + table() + found[2], page)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
