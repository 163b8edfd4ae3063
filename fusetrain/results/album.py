"""Pictures on their way into a folder: each whole or not at all, and failures told in one sentence.

What the pictures show and how they are drawn is not known here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class Album:
    """Puts pictures into a folder and remembers which ones failed.

    Args:
        folder: Where the pictures go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._failures: dict[str, list[str]] = {}

    def has(self, name: str) -> bool:
        """Return whether a picture is there; False also where that cannot be told."""
        return os.path.exists(self._folder / name)

    def discard(self, name: str) -> None:
        """Take a picture away, if it is there.

        Raises:
            OSError: It stays.
        """
        (self._folder / name).unlink(missing_ok=True)

    @contextmanager
    def pages(self, *names: str) -> Iterator[list[Path]]:
        """Give places to write to; they get their names once the context is left without error."""
        drafts = [self._folder / f".draft.{name}" for name in names]
        try:
            yield drafts
            for draft, name in zip(drafts, names, strict=True):
                if draft.exists():
                    draft.replace(self._folder / name)
        except Exception as error:
            self._note(error, names)
            _remove(drafts)
        except BaseException:
            _remove(drafts)
            raise

    def report(self, warn: Callable[[str], None]) -> None:
        """Say in one sentence what could not be made, if anything."""
        if self._failures:
            reasons = (f"{', '.join(names)} ({why})" for why, names in self._failures.items())
            warn(f"pictures of the run could not be made: {'; '.join(reasons)}")

    def _note(self, error: Exception, names: Sequence[str]) -> None:
        lines = str(error).splitlines() or [""]
        why = lines[0] or type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            why = error.strerror
        self._failures.setdefault(why, []).extend(names)


def _remove(drafts: Sequence[Path]) -> None:
    for draft in drafts:
        try:
            draft.unlink(missing_ok=True)
        except OSError:
            return
