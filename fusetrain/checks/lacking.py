"""What a split lacks by its names and labels alone: images without partner, labels with faults.

`check-data` names each; who goes on without them, as `val` and a resumed run may, tells how many.
"""

from __future__ import annotations

from collections import Counter

from fusetrain.data.index import SplitScan


def lacking(scan: SplitScan) -> tuple[str, ...]:
    """Return what of a split takes no part, with an example each; nothing where all does."""
    return tuple(filter(None, (_without_partner(scan), _unread_lines(scan))))


def _without_partner(scan: SplitScan) -> str:
    pairing = scan.pairing
    alone = [orphan.path for orphan in (*pairing.rgb_only, *pairing.ir_only)]
    for clash in pairing.ambiguous:
        alone += (*clash.rgb_paths, *clash.ir_paths)
    return f"{_counted(len(alone), 'image')} without partner, such as {alone[0]}" if alone else ""


def _unread_lines(scan: SplitScan) -> str:
    """Return how many boxes are no truth, by the codes that `check-data` gives them."""
    lost = [problem for problem in scan.label_problems if problem.is_left_out]
    if not lost:
        return ""
    codes = ", ".join(f"{count} {code}" for code, count in Counter(p.code for p in lost).items())
    place = f"{lost[0].path}:{lost[0].line}" if lost[0].line else lost[0].path
    return f"{_counted(len(lost), 'faulty label')} ({codes}), such as {place}"


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
