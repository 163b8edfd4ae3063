"""Puts pairs that must not be torn apart into groups, and deals those to splits.

Recordings come from names, near duplicates from pixels. After a deal the splits are searched for
what is near across them; what is found is joined and dealt again, until nothing is left.
Shape legend: N pairs, F features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.sources import SPLITS
from fusetrain.errors import DataError
from fusetrain.prepare.dealing import deal, joined
from fusetrain.prepare.likeness import Likeness
from fusetrain.prepare.notes import counted
from fusetrain.prepare.recordings import Frame

TO_DEAL = -1
LEFT_OUT = -2
# Frames left out before a cut, so that neighbours in two splits lie three steps apart.
GUARD = 2
MAX_ROUNDS = 50


@dataclass(frozen=True)
class Dealing:
    """Where each pair goes.

    Attributes:
        splits: (N,) number in SPLITS, LEFT_OUT for pairs that go nowhere.
        num_groups: Groups that were dealt.
        num_guarded: Pairs left out because they lie beside a cut.
        num_leaks: Pairs that are kept where they are although they belong to another split's.
    """

    splits: NDArray[np.int64]
    num_groups: int
    num_guarded: int
    num_leaks: int


def deal_pairs(
    features: NDArray[np.float64],
    ratios: Sequence[float],
    *,
    fixed: NDArray[np.int64],
    recorded: Sequence[Frame],
    likeness: Likeness | None,
    block: int,
    seed: int,
) -> Dealing:
    """Deal the pairs that are free.

    Args:
        features: (N, F) what each pair brings, a one first.
        ratios: Wanted shares of the SPLITS.
        fixed: (N,) split of each pair, TO_DEAL or LEFT_OUT.
        recorded: Recording and place of each pair.
        likeness: What pairs look like; None goes by recordings alone.
        block: Frames of the pieces that recordings are cut into; 0 keeps them whole.
        seed: Decides between equally good ways.

    Raises:
        DataError: There are fewer groups than splits to fill, or nothing of a split is left beside
            the cuts.
    """
    recordings = np.array([frame.recording for frame in recorded], np.int64)
    pieces = _pieces(recorded, block)
    links = set(_chains(pieces))
    if likeness is not None:
        links |= {link for link in likeness.links() if not _is_cut(link, recordings, pieces, block)}
    for _ in range(MAX_ROUNDS):
        groups = joined(len(fixed), links)
        splits, num_groups = _dealt(features, ratios, fixed=fixed, groups=groups, seed=seed)
        across = [] if likeness is None else likeness.links_across(splits)
        new = {
            link
            for link in across
            if not _is_cut(link, recordings, pieces, block)
            and not _is_given(link, fixed)
            and link not in links
        }
        if not new:
            break
        links |= new
    num_leaks = _leaks(joined(len(fixed), links), splits)
    guarded = _beside_cuts(recorded, splits) if block else []
    dealt = np.unique(splits[splits >= 0])
    splits[guarded] = LEFT_OUT
    _require_filled(splits, dealt, block=block)
    return Dealing(splits, num_groups, len(guarded), num_leaks)


def _dealt(
    features: NDArray[np.float64],
    ratios: Sequence[float],
    *,
    fixed: NDArray[np.int64],
    groups: NDArray[np.int64],
    seed: int,
) -> tuple[NDArray[np.int64], int]:
    """Return (N,) splits and the number of groups that were free."""
    kept = sorted(set(fixed[fixed >= 0].tolist()))
    train = SPLITS.index("train")
    # Splits that are kept take nothing more; train always does.
    able = [s for s, ratio in enumerate(ratios) if ratio and (s not in kept or s == train)]
    splits = fixed.copy()
    if not (fixed == TO_DEAL).any():
        return splits, 0
    is_pinned = np.isin(groups, groups[fixed >= 0])
    # Who belongs to something that is kept cannot go elsewhere: to train, where it may.
    pinned = is_pinned & (fixed == TO_DEAL)
    splits[pinned] = train if train in able else able[0]
    free = (fixed == TO_DEAL) & ~is_pinned
    numbers, members = np.unique(groups[free], return_inverse=True)
    brought = np.zeros((len(numbers), features.shape[1]))
    np.add.at(brought, members.reshape(-1), features[free])
    given = np.array([features[splits == split].sum(axis=0) for split in able])
    wanted = np.array([ratios[split] for split in able])
    try:
        chosen = deal(brought, (wanted / wanted.sum()).tolist(), seed=seed, given=given)
    except ValueError as error:
        raise DataError(
            f"{len(fixed)} pairs form {counted(len(numbers), 'group')} that must stay together, "
            f"too few for {counted(len(able), 'split')}",
            expected="more recordings, or pairs that look less alike",
            remedy="--gap N says where one recording ends; --block N cuts recordings into pieces "
            "of N frames (neighbours of a cut are left out); a ratio of 0 makes fewer splits",
        ) from error
    splits[free] = np.array(able)[chosen][members.reshape(-1)]
    return splits, len(numbers)


def _require_filled(splits: NDArray[np.int64], dealt: NDArray[np.int64], *, block: int) -> None:
    """Raise DataError if no frame is left of a split, as all of its lie beside cuts."""
    emptied = [SPLITS[split] for split in dealt.tolist() if not (splits == split).any()]
    if emptied:
        raise DataError(
            f"--block {block} leaves nothing of {' and '.join(emptied)}: {GUARD} frames before "
            "each cut are left out",
            expected="pieces that are longer than what is left out beside a cut",
            remedy=f"--block {max(10, 4 * block)}, or a larger share of that split",
        )


def _pieces(recorded: Sequence[Frame], block: int) -> NDArray[np.int64]:
    """Return (N,) the piece of its recording that each pair is in, numbered over all."""
    order = sorted(range(len(recorded)), key=lambda row: recorded[row])
    pieces = np.zeros(len(recorded), np.int64)
    piece, count = -1, 0
    for place, row in enumerate(order):
        is_new = not place or recorded[row].recording != recorded[order[place - 1]].recording
        if is_new or (block and count == block):
            piece, count = piece + 1, 0
        pieces[row] = piece
        count += 1
    return pieces


def _chains(pieces: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield links that hold each piece together."""
    order = np.argsort(pieces, kind="stable")
    same = np.flatnonzero(np.diff(pieces[order]) == 0)
    return zip(order[same].tolist(), order[same + 1].tolist(), strict=True)


def _is_cut(
    link: tuple[int, int], recordings: NDArray[np.int64], pieces: NDArray[np.int64], block: int
) -> bool:
    """Return whether a link joins two pieces of one recording, which the user wants cut."""
    one, other = link
    return bool(block and recordings[one] == recordings[other] and pieces[one] != pieces[other])


def _is_given(link: tuple[int, int], fixed: NDArray[np.int64]) -> bool:
    """Return whether a link changes nothing: both pairs stay where they are."""
    return bool(fixed[link[0]] != TO_DEAL and fixed[link[1]] != TO_DEAL)


def _leaks(groups: NDArray[np.int64], splits: NDArray[np.int64]) -> int:
    """Return how many pairs of groups that reach over splits are not in the group's first one."""
    used = splits >= 0
    first: dict[int, int] = {}
    leaks = 0
    for group, split in zip(groups[used].tolist(), splits[used].tolist(), strict=True):
        leaks += first.setdefault(group, split) != split
    return leaks


def _beside_cuts(recorded: Sequence[Frame], splits: NDArray[np.int64]) -> list[int]:
    """Return the last frames before each place where a recording goes over to another split."""
    order = [row for row in sorted(range(len(recorded)), key=lambda row: recorded[row])]
    order = [row for row in order if splits[row] >= 0]
    guarded = []
    for place in range(1, len(order)):
        before, row = order[place - 1], order[place]
        same = recorded[before].recording == recorded[row].recording
        if same and splits[before] != splits[row]:
            last = order[max(0, place - GUARD) : place]
            guarded += [r for r in last if recorded[r].recording == recorded[row].recording]
    return sorted(set(guarded))
