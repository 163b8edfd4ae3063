"""Keep a command running when whoever reads its output goes away, and its warnings readable.

`fusetrain ... | head -1`, a terminal that is gone or a closed stdout must neither end a training
nor change an exit code: what cannot be delivered any more is dropped. Only `main` calls this.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import warnings
from pathlib import Path
from typing import Any, TextIO

READER_GONE = (errno.EPIPE, errno.EIO)
OURS = f"{Path(__file__).parents[1]}{os.sep}"


class _Tolerant(io.FileIO):
    """An open file descriptor that drops what is written once its reader has gone.

    A full disk is raised once; what comes later is dropped, so that the exit stays orderly.
    """

    is_broken = False

    def write(self, data: Any, /) -> int:
        if self.is_broken:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except OSError as error:
            self.is_broken = True
            if error.errno not in READER_GONE:
                raise
            return memoryview(data).nbytes


def survive_closed_pipes() -> None:
    """Replace stdout and stderr by streams that outlive their readers and take any file name."""
    sys.stdout = _tolerant(sys.stdout)
    sys.stderr = _tolerant(sys.stderr)


def warn_in_plain_words() -> None:
    """Write a warning of ours as a line for people; those of other packages say where they are."""
    usual = warnings.formatwarning

    def written(
        message: Warning | str, category: type[Warning], filename: str, *place: Any, **more: Any
    ) -> str:
        if filename.startswith(OURS):
            return f"warning: {message}\n"
        return usual(message, category, filename, *place, **more)

    warnings.formatwarning = written


def _tolerant(stream: TextIO | None) -> TextIO:
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")
    if os.name == "nt" and stream.isatty():
        return stream
    stream.flush()
    raw = _Tolerant(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream is sys.stderr or stream.isatty(),
    )
