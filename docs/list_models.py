"""List every detector of size n in docs/models.md, as `fusetrain models` counts it.

python docs/list_models.py
"""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

from fusetrain.cli.app import run

PAGE = Path(__file__).parent / "models.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"


def main() -> None:
    table = io.StringIO()
    with contextlib.redirect_stdout(table):
        code = run(["models", "--size", "n", "--markdown"])
    if code:
        sys.exit(code)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{table.getvalue()}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
