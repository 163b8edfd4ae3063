"""The commands that README and the pages of docs/ tell a user to type."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "datasets/README.md",
    "benchmarks/README.md",
    *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").glob("*.md"))),
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# The first line of a checkpoint file reads like a command, too.
INLINE = re.compile(r"`(fusetrain (?!checkpoint)[a-z][^`]*)`")


def code_lines(page: str) -> list[str]:
    """Return the lines of the code blocks of a page that are for a shell, without comments."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = "\n".join(block for language, block in FENCE.findall(text) if language in ("", "sh"))
    indented = [line for line in FENCE.sub("", text).splitlines() if line.startswith("    ")]
    joined = re.sub(r"\n {2,}(?=[\[-])", " ", blocks)
    lines = [line.strip() for line in (*indented, *joined.splitlines())]
    return [re.split(r"\s+# ", line)[0] for line in lines]


def python_of(page: str) -> str:
    """Return the only block of Python of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    (code,) = (block for language, block in FENCE.findall(text) if language == "python")
    return code


def lines_of(page: str) -> list[str]:
    """Return the commands of ours in the code blocks of a page, in their order."""
    return [line for line in code_lines(page) if line.startswith("fusetrain ")]


def is_synopsis(line: str) -> bool:
    """Return whether a line shows what may stand in a command rather than a command."""
    return bool(re.search(r"\[-|…|\w\|\w", line))


def words_of(line: str) -> list[str]:
    """Return the arguments of a command line; where its output goes is left out."""
    return shlex.split(line.split(" > ")[0].split(" && ")[0])[1:]


def inline_of(page: str) -> list[str]:
    """Return the commands between backticks in the text of a page."""
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    return [" ".join(found.split()) for found in INLINE.findall(text)]
