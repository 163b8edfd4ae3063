"""What users hand to a function: paths as text or Path, settings by dotted keys."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PathLike = str | os.PathLike[str]
Settings = Mapping[str, Any]
NONE: Settings = {}


def sets_of(settings: Settings) -> tuple[str, ...]:
    """Return settings as ``--set`` has them; JSON is YAML, too."""
    return tuple(f"{key}={json.dumps(value)}" for key, value in settings.items())


def path_or_none(given: PathLike | None) -> Path | None:
    """Return a path that may be left out."""
    return None if given is None else Path(given)
