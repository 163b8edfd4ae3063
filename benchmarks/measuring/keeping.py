"""What a script keeps in a folder, to go on after it was broken off, and to take nothing else.

Beside each thing that is kept stands a note of what it was made from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def note(thing: Path, made_from: Mapping[str, Any]) -> None:
    """Write down what a thing is made from, before it is made.

    Args:
        thing: What will be kept, with or without a suffix; it may be there already.
        made_from: Plain values. Paths in the folder of the thing count from there, so that it may
            be moved; other files are best named by `digest`.

    Raises:
        SystemExit: It was made, or begun, from something else, or nobody knows from what.
    """
    noted = thing.with_name(f"{thing.name}.made-from.json")
    folder = f"{thing.parent.absolute()}/"
    text = json.dumps(dict(made_from), indent=1, sort_keys=True).replace(folder, "")
    if noted.exists():
        if noted.read_text(encoding="utf-8") != text:
            raise SystemExit(f"{thing}: made otherwise, see {noted.name}; keep this elsewhere")
    elif thing.exists():
        raise SystemExit(f"{thing}: nobody noted how it was made; keep this elsewhere")
    else:
        noted.write_text(text, encoding="utf-8")


def digest(path: Path) -> str:
    """Return the name of a file and the start of the SHA-256 of what is in it."""
    return f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
