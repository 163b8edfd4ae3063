"""Which visible file belongs to which infrared file where their names differ, by names and times.

Nothing is guessed: a partner is only taken where it is the one candidate on both sides. Pairing by
plain order is a choice of the user. Nothing here looks at pixels.
"""

from __future__ import annotations

import bisect
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from fusetrain.data.pairing import pair_key

# Words by which names tell the modality; they are no part of what both files share.
MODALITY_WORDS = frozenset(
    (
        *("rgb", "vis", "visible", "vi", "visual", "color", "colour", "co", "eo", "optical", "cam"),
        *("ir", "tir", "lwir", "infrared", "infra", "thermal", "therm", "nir", "fir", "t"),
        *("previewdata", "radiometric"),
    )
)
EPOCH_DIGITS = {10: 1.0, 13: 1e3, 16: 1e6, 19: 1e9}
DATE = re.compile(
    r"(?<!\d)(20\d\d)[-_.]?(\d\d)[-_.]?(\d\d)[-_.T ]?(\d\d)[-_.:h]?(\d\d)[-_.:m]?(\d\d)"
    r"(?:[-_.,]?(\d{1,9}))?(?!\d)"
)
EPOCH = re.compile(r"(?<!\d)(1\d{9}|1\d{12}|1\d{15}|1\d{18})(?:[._](\d{1,9}))?(?!\d)")
WORDS = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Matching:
    """Files of one folder and their partners; all are paths relative to their folders.

    Attributes:
        pairs: Visible and infrared file of each pair, in the order of the visible names.
        rgb_left: Visible files without a partner.
        ir_left: Infrared files without a partner.
    """

    pairs: tuple[tuple[str, str], ...]
    rgb_left: tuple[str, ...] = ()
    ir_left: tuple[str, ...] = ()


def match_by_key(rgb: Iterable[str], ir: Iterable[str]) -> Matching:
    """Match by name: the very stem first, then without case, then without words of a modality."""
    rgb_left, ir_left = set(rgb), set(ir)
    pairs: list[tuple[str, str]] = []
    for key in (lambda name: name, _stem, pair_key, shared_key):
        found = _unique_pairs(rgb_left, ir_left, key)
        pairs += found
        rgb_left -= {one for one, _ in found}
        ir_left -= {other for _, other in found}
    return _matching(pairs, rgb_left, ir_left)


def match_by_order(rgb: Sequence[str], ir: Sequence[str]) -> Matching:
    """Match the first with the first and so on, numbers in names counted as numbers.

    Raises:
        ValueError: There are not equally many.
    """
    if len(rgb) != len(ir):
        raise ValueError(f"{len(rgb)} visible and {len(ir)} infrared images")
    ordered = (sorted(names, key=_natural) for names in (rgb, ir))
    return _matching(list(zip(*ordered, strict=True)), set(), set())


def match_by_time(
    rgb: Mapping[str, float | None], ir: Mapping[str, float | None], *, max_gap_s: float
) -> Matching:
    """Match images that are each other's nearest in time.

    Args:
        rgb: Visible file to its time in seconds, None where it is not known.
        ir: Infrared file to its time.
        max_gap_s: Largest difference within a pair, s.
    """
    there = _nearest(rgb, ir, max_gap_s)
    back = _nearest(ir, rgb, max_gap_s)
    pairs = [(one, other) for one, other in there.items() if back.get(other) == one]
    matched = {name for pair in pairs for name in pair}
    return _matching(pairs, set(rgb) - matched, set(ir) - matched)


def shared_key(name: str) -> str:
    """Return what the names of both modalities share: a key without the words of a modality."""
    folder, _, stem = pair_key(unicodedata.normalize("NFKC", name)).rpartition("/")
    words = WORDS.findall(stem)
    kept = [word for word in words if word not in MODALITY_WORDS] or words
    return f"{folder}/{'-'.join(kept)}"


def clean_stem(name: str) -> str:
    """Return a path without suffix that every system can hold: ASCII letters, digits, ``._-``.

    Words of a modality at either end of the name are taken off, accents too.
    """
    path = PurePosixPath(name)
    stem = path.name[: -len(path.suffix)] if path.suffix else path.name
    words = re.split(r"([-_. ]+)", stem)
    while len(words) > 2 and words[-1].casefold() in MODALITY_WORDS:
        words = words[:-2]
    while len(words) > 2 and words[0].casefold() in MODALITY_WORDS:
        words = words[2:]
    parts = [*path.parent.parts, "".join(words)]
    return "/".join(_ascii(part) for part in parts)


def unique_stems(stems: Sequence[str]) -> list[str]:
    """Return the stems, each unlike all others even where case does not count."""
    taken = {stem.casefold() for stem in stems}
    seen: set[str] = set()
    result = []
    for stem in stems:
        chosen, number = stem, 1
        while chosen.casefold() in seen or (number > 1 and chosen.casefold() in taken):
            number += 1
            chosen = f"{stem}-v{number}"
        seen.add(chosen.casefold())
        result.append(chosen)
    return result


def time_in_name(name: str) -> float | None:
    """Return the moment that a file name states, in seconds; None where it states none."""
    stem = PurePosixPath(name).stem
    if (found := DATE.search(stem)) is not None:
        *fields, fraction = found.groups()
        try:
            moment = datetime(*(int(value) for value in fields))  # type: ignore[arg-type]
        except ValueError:
            return None
        seconds = (moment - datetime(2000, 1, 1)).total_seconds()
        return seconds + (float(f"0.{fraction}") if fraction else 0.0)
    if (found := EPOCH.search(stem)) is not None:
        digits, fraction = found.groups()
        seconds = int(digits) / EPOCH_DIGITS[len(digits)]
        return seconds + (float(f"0.{fraction}") if fraction and len(digits) == 10 else 0.0)
    return None


def _unique_pairs(
    rgb: Iterable[str], ir: Iterable[str], key: Callable[[str], str]
) -> list[tuple[str, str]]:
    """Return the files that are alone with their key on both sides."""
    ours, theirs = _by_key(rgb, key), _by_key(ir, key)
    return [
        (names[0], theirs[shared][0])
        for shared, names in ours.items()
        if len(names) == 1 and len(theirs.get(shared, ())) == 1
    ]


def _by_key(names: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(key(name), []).append(name)
    return found


def _matching(pairs: Sequence[tuple[str, ...]], rgb: set[str], ir: set[str]) -> Matching:
    ordered = sorted(((one, other) for one, other in pairs), key=lambda pair: _natural(pair[0]))
    return Matching(tuple(ordered), tuple(sorted(rgb)), tuple(sorted(ir)))


def _nearest(
    names: Mapping[str, float | None], others: Mapping[str, float | None], max_gap_s: float
) -> dict[str, str]:
    """Return for each name the nearest other one in time, where it is near enough."""
    timed = sorted((time, name) for name, time in others.items() if time is not None)
    times = [time for time, _ in timed]
    found = {}
    for name, time in names.items():
        if time is None:
            continue
        place = bisect.bisect_left(times, time)
        near = [n for n in (place - 1, place) if 0 <= n < len(times)]
        if near and abs(times[(best := min(near, key=lambda n: abs(times[n] - time)))] - time) <= (
            max_gap_s
        ):
            found[name] = timed[best][1]
    return found


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key in which frame2 stands before frame10."""
    parts = re.split(r"(\d+)", unicodedata.normalize("NFC", name).casefold())
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts)


def _ascii(part: str) -> str:
    plain = unicodedata.normalize("NFKD", part).encode("ascii", "ignore").decode()
    kept = re.sub(r"[^A-Za-z0-9._-]+", "_", plain).strip("._ ")
    return kept or "pair"
