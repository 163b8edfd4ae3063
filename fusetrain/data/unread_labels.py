"""Which files among the labels of a split are not read: lost images, other names, second files.

Names only: nothing is opened here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fusetrain.data.label_rows import LabelRow
from fusetrain.data.listing import LabelListing, UnreadLabel
from fusetrain.data.pairing import Pairing, pair_key
from fusetrain.data.sources import LabelSet, Source
from fusetrain.data.spec import DataSpec


def unread_labels(
    spec: DataSpec,
    source: Source,
    pairing: Pairing,
    rows: Mapping[LabelSet, Sequence[LabelRow]],
    *,
    files: LabelListing,
) -> tuple[UnreadLabel, ...]:
    """Return the files in the label folders of a source that nothing is read from.

    Where a list picks the images, or others have labels in the same folder, nobody can say of a
    file that its image is missing; of two with one key the second is told all the same.
    """
    unread: list[UnreadLabel] = []
    for labels, own in rows.items():
        if files.count(labels) == sum(bool(row.label_path) for row in own):
            continue
        speaks_alone = is_alone(spec, source, labels)
        found = files.unread(labels, image_stems(source, pairing))
        unread += (label for label in found if label.is_double or speaks_alone)
    return tuple(sorted(unread, key=lambda label: label.path))


def image_stems(source: Source, pairing: Pairing) -> dict[str, str]:
    """Return stem, and key, of all images of a source to the key, whether in a pair or not."""
    rgb = [path for path, _ in pairing.pairs] + [orphan.path for orphan in pairing.rgb_only]
    ir = [path for _, path in pairing.pairs] + [orphan.path for orphan in pairing.ir_only]
    for clash in pairing.ambiguous:
        rgb += clash.rgb_paths
        ir += clash.ir_paths
    stems, keys = {}, set()
    for paths, folder, suffix in (
        ([*rgb, *pairing.foreign], source.rgb_folder, source.rgb_suffix),
        ([*ir, *pairing.foreign], source.ir_folder, source.ir_suffix),
    ):
        for path in paths:
            key = pair_key(path, folder, suffix=suffix)
            keys.add(key)
            stems[pair_key(path, folder)] = key
    return stems | {key: key for key in keys}


def is_alone(spec: DataSpec, source: Source, labels: LabelSet) -> bool:
    """Say whether a folder of labels belongs to all images of one source and to nothing else."""
    others = [other for split in spec.splits for other in spec.sources(split)]
    sets = [own for other in others for own in (other.label_set, other.ir_labels) if own]
    overlapping = [own for own in sets if _overlap(own.place, labels.place)]
    return source.names is None and len(overlapping) == 1


def _overlap(first: str | None, second: str | None) -> bool:
    """Say whether one of two folders, relative to the root, is the other or lies in it."""
    if first is None or second is None:
        return False
    shorter, longer = sorted((first, second), key=len)
    return not shorter or f"{longer}/".startswith(f"{shorter}/")
