"""What a plan says of labels and images that do not go into the new data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fusetrain.prepare.plans import SourceSet


def label_notes(source: SourceSet, *, with_excluded: bool = False) -> list[str]:
    """Return what of the labels does not go into the new set.

    Args:
        source: The old set.
        with_excluded: The new labels can tell which boxes the authors excluded.
    """
    left_out = sum(
        problem.is_left_out for scan in source.scans.values() for problem in scan.label_problems
    )
    notes = []
    if left_out:
        notes.append(
            f"{counted(left_out, 'label')} that cannot be used will be missing (`check-data` lists "
            "them)"
        )
    if any(scan.ir_labels is not None for scan in source.scans.values()):
        notes.append(
            "the two modalities have labels of their own; written are those of label_source "
            f"{source.spec.label_source}"
        )
    excluded = sum(len(scan.index.ignored_boxes) for scan in source.scans.values())
    if excluded and not with_excluded:
        notes.append(
            f"{counted(excluded, 'excluded box')} will be missing: YOLO text cannot tell them; "
            "`prepare convert --to coco` and `voc` can"
        )
    orphans = sum(
        len(scan.pairing.rgb_only) + len(scan.pairing.ir_only) for scan in source.scans.values()
    )
    if orphans:
        notes.append(f"{counted(orphans, 'image')} without a partner will be left out")
    return notes


def counted(number: int, noun: str) -> str:
    """Return ``1 pair`` or ``2 pairs``."""
    plural = f"{noun}es" if noun.endswith("x") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"
