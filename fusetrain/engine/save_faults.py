"""Saves that fail: told at once, tried again at the next one, too many in a row end the run.

The state that was saved before is never touched by one that fails.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from fusetrain.errors import ResourceError


class SaveFaults:
    """Counts the saves that failed in a row.

    Args:
        folder: The folder of checkpoints.
        most: How many may fail in a row; one more would be too many.
        warn: Is told in a sentence.
    """

    def __init__(self, folder: Path, *, most: int, warn: Callable[[str], None]) -> None:
        self._folder = folder
        self._most = most
        self._warn = warn
        self.in_a_row = 0

    def passed(self) -> None:
        """Note a save that is on the disk."""
        self.in_a_row = 0

    def failed(self, error: ResourceError) -> None:
        """Note one that is not.

        Raises:
            ResourceError: It is one too many, or the folder itself is gone.
        """
        self.in_a_row += 1
        if not self._folder.is_dir():
            self._warn(f"the run folder is gone: {self._folder}")
            raise ResourceError(
                f"{self._folder} is gone while the run goes on",
                expected="a run folder that stays where it is",
                remedy="put it back and `fusetrain resume` it, or start again",
            ) from error
        told = f"{error.what}; {self._free_bytes()} bytes are free"
        if self.in_a_row >= self._most:
            raise ResourceError(
                f"{told} ({self.in_a_row} saves failed in a row)", remedy=error.remedy
            ) from error
        self._warn(
            f"not saved, {self.in_a_row} of {self._most} times in a row: {told}; the last saved "
            "state is kept, the next save tries again"
        )

    def _free_bytes(self) -> int:
        try:
            return shutil.disk_usage(self._folder).free
        except OSError:
            return 0
