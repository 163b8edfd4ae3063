"""The exceptions a user can meet, as a tree with one exit code a branch.

Raise one of these for anything that the user can mend; the command line prints it as a single
panel. Our own broken invariants stay ``assert``s and end with exit code 1.

    FusetrainError            1  our bug, when nothing below fits
    ├── UsageError            2  unknown command or flag, missing argument
    ├── ConfigError           3  config file missing, malformed, unknown key, bad value
    ├── DataError             4  data set, image or folder missing, bad or refused
    ├── RunError              5  run folder or weights missing, damaged, locked, of another model
    ├── ResourceError         6  device not there, memory, disk
    │   └── LostRankError     6  another rank of the run is gone
    ├── DivergedError         7  training diverged
    ├── ComparisonError       8  a comparison that was asked for failed
    ├── StoppedError         75  stopped on a signal, resumable
    └── AbortedError        130  aborted by a second SIGINT
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, where it stands, and what was expected instead.

    Attributes:
        message: What is wrong, as one sentence without the place.
        where: ``file``, ``file:line`` or ``file:line:column`` (1-based); empty when there is none.
        hint: What was expected, or the nearest known name; empty when nothing is known.
    """

    message: str
    where: str = ""
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}; {self.hint}" if self.hint else text


class FusetrainError(Exception):
    """Anything a user can mend: what is wrong, where, what was expected, what to type next.

    Args:
        what: One sentence that says what is wrong.
        problems: Every single fault, where there are several; all are reported at once.
        where: ``file:line:column`` of the fault, as far as known.
        expected: What would have been right.
        remedy: The command, or the action, that mends it.
    """

    exit_code: ClassVar[int] = 1
    title: ClassVar[str] = "Error"

    def __init__(
        self,
        what: str,
        *,
        problems: Sequence[Problem] = (),
        where: str = "",
        expected: str = "",
        remedy: str = "",
    ) -> None:
        super().__init__(what)
        self.what = what
        self.problems = tuple(problems)
        self.where = where
        self.expected = expected
        self.remedy = remedy

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        lines = [head, *(f"  {problem}" for problem in self.problems)]
        if self.expected:
            lines.append(f"expected: {self.expected}")
        if self.remedy:
            lines.append(f"next: {self.remedy}")
        return "\n".join(lines)


def reason(error: Exception) -> str:
    """Return why a file could not be read or written, in plain words and without its name."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8 text"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that another one is nearest to, whatever its case; empty if none is."""
    folded = {other.casefold(): other for other in known}
    near = get_close_matches(name.casefold(), folded, n=1)
    return folded[near[0]] if near else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question after the nearest known name; empty where none is near."""
    near = nearest(name, known)
    return f"did you mean {near!r}?" if near else ""


class UsageError(FusetrainError):
    """The command line itself is wrong."""

    exit_code = 2
    title = "Usage"


class ConfigError(FusetrainError):
    """The config cannot be read or holds a wrong key or value."""

    exit_code = 3
    title = "Config"


class DataError(FusetrainError):
    """A data set, image or folder is missing, bad or refused."""

    exit_code = 4
    title = "Data"


class RunError(FusetrainError):
    """A run folder or weights file is missing, damaged, locked or of another model."""

    exit_code = 5
    title = "Run"


class ResourceError(FusetrainError):
    """A device, memory or disk space is not there."""

    exit_code = 6
    title = "Resources"


class LostRankError(ResourceError):
    """Another rank of the run is gone, or did not answer in time."""


class DivergedError(FusetrainError):
    """The training diverged: loss or weights are not finite any more."""

    exit_code = 7
    title = "Diverged"


class ComparisonError(FusetrainError):
    """A comparison that was asked for failed: the two sides differ."""

    exit_code = 8
    title = "Comparison"


class StoppedError(FusetrainError):
    """A signal stopped the run; everything is saved and it can be resumed."""

    exit_code = 75
    title = "Stopped"


class AbortedError(FusetrainError):
    """A second SIGINT ended the run at once."""

    exit_code = 130
    title = "Aborted"
