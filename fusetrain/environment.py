"""What processes started meanwhile find: environment variables, and not the program that runs here.

What the variables mean stands where they are set.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while; afterwards they are what they were."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def without_main() -> Iterator[None]:
    """Keep processes of multiprocessing that are started meanwhile from running this program anew.

    They would, for functions that it may hold: a script without ``if __name__ == "__main__"`` would
    then begin again in each of them. Functions of modules need nothing of the kind.
    """
    names = vars(sys.modules["__main__"])
    hidden: dict[str, Any] = {
        name: names.pop(name) for name in ("__file__", "__spec__") if name in names
    }
    names["__spec__"] = None
    try:
        yield
    finally:
        names.update(hidden)
