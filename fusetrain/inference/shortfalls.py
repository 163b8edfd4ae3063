"""What a split lacks where it is judged: images, label lines, infrared that the weights can see.

A training refuses such a set. Who judges may know and mean it; scores without a word would lie.
"""

from __future__ import annotations

from fusetrain.checks.lacking import lacking
from fusetrain.checks.window import unfit_infrared
from fusetrain.data.image import ThermalWindow
from fusetrain.data.index import SplitScan


def shortfalls(scan: SplitScan, window: ThermalWindow | None) -> tuple[str, ...]:
    """Return what is not judged as a user may think, a sentence each.

    Args:
        scan: The split.
        window: Of the weights; None where they do not look at infrared.
    """
    told = tuple(f"not judged: {what}; `fusetrain check-data` names all" for what in lacking(scan))
    if window is None:
        return told
    index = scan.index
    paths = [index.ir_path(row) for row in range(len(index))]
    return (*told, *unfit_infrared(paths, window, index.storage))
