"""From the `curves` of a sequence in a config to its pieces, each on its own stretch of the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from fusetrain.config.schema import ScheduleSettings
from fusetrain.schedule.curve_time import CurveTime, KeyProblem, is_amount, length_in_steps
from fusetrain.schedule.curves import Curve
from fusetrain.schedule.sequence import Piece, Sequence

FRAME_KEYS = ("epochs", "steps", "peak")


class Make(Protocol):
    """Makes one curve of ``{name, parameters}``."""

    def __call__(self, given: Any, *, time: CurveTime) -> tuple[Curve | None, list[KeyProblem]]:
        """Return the curve, or what is wrong with it."""


def sequence_from(
    settings: ScheduleSettings, *, time: CurveTime, make: Make
) -> tuple[Curve | None, list[KeyProblem]]:
    """Return the sequence that the settings ask for, or what is wrong with it.

    Args:
        settings: Its parameters; without `curves` two thirds are constant and the rest a cosine.
        time: How epochs become steps; the sequence starts at ``time.begin`` of the run.
        make: Makes the curve of a piece.
    """
    options = settings.curve_options
    given = options.pop("curves", _default_curves(time))
    problems: list[KeyProblem] = [
        ((key,), f"unknown parameter {key!r} of schedule 'sequence'; known: curves")
        for key in options
    ]
    if not isinstance(given, list) or not given:
        rule = f"`curves` should be a list of {{name, epochs, parameters}}, not {given!r}"
        return None, [*problems, (("curves",), rule)]
    whole = round(time.epochs * time.steps_per_epoch)
    pieces: list[Piece] = []
    end = 0
    for number, entry in enumerate(given):
        begin, is_last = end, number == len(given) - 1
        length, found = _length(entry, time, is_last=is_last)
        end += max(0, whole - end) if length is None else length
        until = max(end, whole) if is_last else end
        curve = None
        if not found:
            curve, found = _curve(entry, time, span=(begin, until), make=make)
        problems += [(("curves", number, *keys), message) for keys, message in found]
        # The warmup before a sequence is taken from its first pieces.
        if curve is not None and (until > time.begin or is_last):
            at = max(0, begin - time.begin) if pieces else 0
            pieces.append(Piece(curve, at, entry.get("peak", 1.0)))
    if problems:
        return None, problems
    return Sequence(tuple(pieces), settings.unit == "epoch", _remarks(end, whole)), []


def _default_curves(time: CurveTime) -> list[dict[str, Any]]:
    return [{"name": "constant", "epochs": 2 * time.epochs / 3}, {"name": "cosine"}]


def _curve(
    entry: Mapping[str, Any], time: CurveTime, *, span: tuple[int, int], make: Make
) -> tuple[Curve | None, list[KeyProblem]]:
    """Make the curve of a piece on its stretch of the run, from and to a step."""
    begin, until = span
    own_time = CurveTime(
        epochs=max(until - begin, 1) / time.steps_per_epoch,
        steps_per_epoch=time.steps_per_epoch,
        begin=0 if begin else time.begin,
        warmup=time.warmup,
        is_known=time.is_known,
    )
    options = {key: value for key, value in entry.items() if key not in FRAME_KEYS}
    return make(options, time=own_time)


def _length(entry: Any, time: CurveTime, *, is_last: bool) -> tuple[int | None, list[KeyProblem]]:
    """Return the length of a piece in steps, None for all that is left, and what is wrong."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        return 0, [((), f"should be {{name, epochs, parameters}}, not {entry!r}")]
    peak = entry.get("peak", 1.0)
    if not is_amount(peak) or not 0 < peak <= 1:
        rule = f"`peak` should be a share of lr0 above 0, at most 1, not {peak!r}"
        return 0, [(("peak",), rule)]
    keys = [key for key in ("epochs", "steps") if key in entry]
    if not keys and is_last:
        return None, []
    if len(keys) != 1:
        return 0, [((), "give either `epochs` or `steps`; only the last curve may have none")]
    value = {"steps": entry["steps"]} if keys == ["steps"] else entry["epochs"]
    try:
        return length_in_steps(value, time.steps_per_epoch), []
    except ValueError as error:
        return 0, [((keys[0],), f"`{keys[0]}` {error}")]


def _remarks(end: int, whole: int) -> tuple[str, ...]:
    if end == whole:
        return ()
    lasts = f"the curves of the sequence last {end} steps, the run has {whole}"
    return (f"{lasts}; the last of them {'fills' if end < whole else 'ends with'} it",)
