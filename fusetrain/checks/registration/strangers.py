"""P07: infrared images that belong to another visible image, told from how well they agree.

A true partner agrees far better than strangers of the same set do; a wrong one is a stranger.
Nothing is read here.
Shape legend: N images of a block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.findings import Finding, finding
from fusetrain.checks.registration.shifts import RegistrationFacts

# In robust standard deviations of strangers: true partners lie above 3.6, most above 6.
STRANGER_Z = 2.5
PARTNER_Z = 5.0
# So many pairs beyond doubt must be told from strangers before others are called wrong.
MIN_REFERENCES = 12
REFERENCE_Z = 4.0
MIN_PAIRS = 20
# So many infrared images one after another that fit the visible one as many places away slipped.
MIN_SLIPPED = 3
UNRELATED_SHARE = 0.1


@dataclass(frozen=True)
class Seen:
    """The pairs of a block.

    Attributes:
        split: Split of the pairs.
        rows: Their rows in the index, ascending.
        rgb_paths: N visible images.
        ir_paths: N infrared images.
        is_sure: (N,) pairs that are beyond doubt; they are not judged.
        is_clear: (N,) pairs whose images both show enough to be recognised.
    """

    split: str
    rows: Sequence[int]
    rgb_paths: Sequence[str]
    ir_paths: Sequence[str]
    is_sure: NDArray[np.bool_]
    is_clear: NDArray[np.bool_]


@dataclass(frozen=True)
class Block:
    """Standard scores of a block of pairs, seen from both of their images.

    Attributes:
        own: (N,) how far the partner stands out, the lower of both views; NaN where unknown.
        best: (N,) the pair whose infrared image fits best, if both choose each other; else -1.
        best_z: (N,) how far that one stands out.
    """

    own: NDArray[np.float64]
    best: NDArray[np.int64]
    best_z: NDArray[np.float64]


def check_unrelated(facts: Sequence[RegistrationFacts]) -> list[Finding]:
    """P07: hardly any pair of a split shows the same scene twice, as far as can be told."""
    found = []
    for split in dict.fromkeys(fact.split for fact in facts):
        known = [fact for fact in facts if fact.split == split and fact.dx_px is not None]
        sure = sum(fact.is_sure for fact in known)
        if len(known) < MIN_PAIRS or sure >= UNRELATED_SHARE * len(known):
            continue
        message = f"only {sure} of {len(known)} pairs show the same scene in both images"
        numbers = {"sure_pairs": sure, "pairs": len(known)}
        found.append(finding("P07", message, split=split, numbers=numbers))
    return found


def check_strangers(scores: NDArray[np.float64], seen: Seen) -> list[Finding]:
    """P07: pairs in doubt whose images agree no better than strangers, or better with another.

    Args:
        scores: (N, N) how well each visible image agrees with each infrared one.
        seen: Which pairs they are, and what is known of them.
    """
    block = standard_scores(scores)
    references = block.own[seen.is_sure & np.isfinite(block.own)]
    can_tell = len(references) >= MIN_REFERENCES and np.median(references) >= REFERENCE_Z
    found = []
    fits: dict[int, int] = {}
    for place in np.flatnonzero(~seen.is_sure & np.isfinite(block.own)).tolist():
        other, own_z = int(block.best[place]), float(block.own[place])
        numbers = {"own_z": round(own_z, 2), "best_z": round(float(block.best_z[place]), 2)}
        if own_z >= STRANGER_Z:
            continue
        if other not in (-1, place) and block.best_z[place] >= PARTNER_Z:
            fits[place] = other
            message = f"fits {seen.rgb_paths[other]}, not its partner {seen.rgb_paths[place]}"
        elif can_tell and seen.is_clear[place]:
            message = f"agrees with its partner {seen.rgb_paths[place]} no better than with others"
        else:
            continue
        found.append(
            finding("P07", message, split=seen.split, path=seen.ir_paths[place], numbers=numbers)
        )
    return [*_slips(fits, seen), *found]


def _slips(fits: Mapping[int, int], seen: Seen) -> Iterator[Finding]:
    """Yield, for each stretch of names that slipped, how far: what its pairs have in common.

    Args:
        fits: Place of a pair in the block to that of the pair whose visible image it fits.
        seen: The pairs.
    """
    ways = {place: seen.rows[other] - seen.rows[place] for place, other in fits.items()}
    for way, places in groupby(sorted(ways), key=lambda place: ways[place]):
        stretch = list(places)
        if len(stretch) < MIN_SLIPPED:
            continue
        first, last = (seen.ir_paths[stretch[at]] for at in (0, -1))
        message = (
            f"{len(stretch)} infrared images, to {last}, each fit the visible one "
            f"{abs(way)} {'place' if abs(way) == 1 else 'places'} "
            f"{'later' if way > 0 else 'earlier'}: an image was lost or added, and names slipped"
        )
        numbers = {"pairs": len(stretch), "places": way}
        yield finding("P07", message, split=seen.split, path=first, numbers=numbers)


def standard_scores(scores: NDArray[np.float64]) -> Block:
    """Return how far partners stand out among strangers.

    Args:
        scores: (N, N), partners on the diagonal; NaN where an image is not known.
    """
    rows = _standardised(scores)
    columns = _standardised(scores.T).T
    both = np.minimum(rows, columns)
    own = np.diag(both).copy()
    # For an infrared image (column) the visible one that fits best, and back.
    filled = np.where(np.isfinite(both), both, -np.inf)
    best = filled.argmax(axis=0)
    places = np.arange(len(scores))
    is_mutual = filled.argmax(axis=1)[best] == places
    return Block(own, np.where(is_mutual, best, -1), filled[best, places])


def _standardised(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each row in robust standard deviations of the strangers in it."""
    standard = np.full(scores.shape, np.nan)
    for place, row in enumerate(scores):
        strangers = np.delete(row, place)
        strangers = strangers[np.isfinite(strangers)]
        if not len(strangers):
            continue
        median = np.median(strangers)
        deviation = 1.4826 * np.median(np.abs(strangers - median)) + 1e-6
        standard[place] = (row - median) / deviation
    return standard
