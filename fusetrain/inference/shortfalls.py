"""What a split lacks where it is judged: images, label lines, infrared that the weights can see.

A training refuses such a set. Who judges may know and mean it; scores without a word would lie.
"""

from __future__ import annotations

from collections import Counter

from fusetrain.checks.window import unfit_infrared
from fusetrain.data.image import ThermalWindow
from fusetrain.data.index import SplitScan


def shortfalls(scan: SplitScan, window: ThermalWindow | None) -> tuple[str, ...]:
    """Return what is not judged as a user may think, a sentence each.

    Args:
        scan: The split.
        window: Of the weights; None where they do not look at infrared.
    """
    told = (*_without_partner(scan), *_unread_lines(scan))
    if window is None:
        return told
    index = scan.index
    paths = [index.ir_path(row) for row in range(len(index))]
    return (*told, *unfit_infrared(paths, window, index.storage))


def _without_partner(scan: SplitScan) -> tuple[str, ...]:
    """Return how many images take no part."""
    pairing = scan.pairing
    alone = [orphan.path for orphan in (*pairing.rgb_only, *pairing.ir_only)]
    for clash in pairing.ambiguous:
        alone += (*clash.rgb_paths, *clash.ir_paths)
    if not alone:
        return ()
    return _sentence(f"{_counted(len(alone), 'image')} without partner", alone[0])


def _unread_lines(scan: SplitScan) -> tuple[str, ...]:
    """Return how many boxes are no truth, by the codes that `check-data` gives them."""
    lost = [problem for problem in scan.label_problems if problem.is_left_out]
    if not lost:
        return ()
    codes = ", ".join(f"{count} {code}" for code, count in Counter(p.code for p in lost).items())
    place = f"{lost[0].path}:{lost[0].line}" if lost[0].line else lost[0].path
    return _sentence(f"{_counted(len(lost), 'faulty label')} ({codes})", place)


def _sentence(what: str, example: str) -> tuple[str, ...]:
    return (f"not judged: {what}, such as {example}; `fusetrain check-data` names all",)


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
