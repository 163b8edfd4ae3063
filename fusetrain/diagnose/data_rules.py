"""Rules about the data set: pairs, labels, classes, and what validation can tell.

They compare what the run counted at its start with what lies there now.
"""

from __future__ import annotations

from collections.abc import Iterator

from fusetrain.diagnose.data_look import SplitLook
from fusetrain.diagnose.evidence import Evidence
from fusetrain.diagnose.symptoms import Diagnosis

LOST_SHARE = 0.05  # of all images; below it a frame or two are missing
EMPTY_SHARE = 0.5
MISPLACED_SHARE = 0.2  # of the pairs looked at
LEAKED_SHARE = 0.05
IMBALANCE = 50
MIN_VAL_BOXES = 20


def judge_data(evidence: Evidence) -> Iterator[Diagnosis]:
    """Yield what is wrong with the data set."""
    yield from _changed(evidence)
    yield from _left_out(evidence)
    look = evidence.data
    if look is None:
        return
    yield from _swapped(evidence)
    yield from _pairs_lost(evidence)
    yield from _labels_lost(evidence)
    yield from _misregistered(evidence)
    yield from _classes(evidence)
    yield from _validation(evidence)


def _split(evidence: Evidence, name: str) -> SplitLook:
    assert evidence.data is not None
    return evidence.data.splits[name]


def _swapped(evidence: Evidence) -> Iterator[Diagnosis]:
    assert evidence.data is not None
    found = [entry for entry in evidence.data.found("P05") if not entry.path]
    if found:
        shares = {entry.split: entry.numbers.get("share") for entry in found}
        yield Diagnosis(
            "modality-swapped",
            "; ".join(f"{entry.split}: {entry.message}" for entry in found) + " (check P05)",
            "swap the two folders in the data YAML (`ir:`), then " + evidence.train_with(),
            shares,
        )


def _pairs_lost(evidence: Evidence) -> Iterator[Diagnosis]:
    for name in ("train", "val"):
        split = _split(evidence, name)
        images = 2 * split.pairs + split.orphans
        if split.orphans > LOST_SHARE * images:
            yield Diagnosis(
                "pairs-lost",
                f"{name}: {split.orphans} of {images} images have no partner; {split.pairs} pairs "
                "are left (checks P01, P02)",
                f"{evidence.check_data()} names them; `fusetrain prepare rename` pairs them anew",
                {"split": name, "orphans": split.orphans, "images": images, "pairs": split.pairs},
            )


def _changed(evidence: Evidence) -> Iterator[Diagnosis]:
    """Compare what the newest start of the run counted with what is there."""
    starts = evidence.of_kind("start")
    if not starts or evidence.data is None:
        return
    for what in ("pairs", "boxes"):
        told = starts[-1].get(what)
        counted = told if isinstance(told, dict) else {}
        for name in ("train", "val"):
            now = getattr(_split(evidence, name), what)
            if counted.get(name) not in (None, now):
                yield Diagnosis(
                    "pairs-changed",
                    f"{name}: the run began with {counted[name]} {what}, now there are {now}",
                    f"bring the set back, or train on what it is now: {evidence.train_with()}",
                    {"split": name, "what": what, "then": counted[name], "now": now},
                )
                return


def _left_out(evidence: Evidence) -> Iterator[Diagnosis]:
    lost = evidence.of_kind("left out")
    if lost:
        first = ", ".join(
            str(lost[0][key]) for key in ("split", "path", "reason") if lost[0].get(key)
        )
        yield Diagnosis(
            "pairs-left-out",
            f"events.jsonl: {len(lost)} pairs left out, first: {first}",
            f"{evidence.check_data()} names what cannot be read",
            {"pairs": len(lost)},
        )


def _labels_lost(evidence: Evidence) -> Iterator[Diagnosis]:
    split = _split(evidence, "train")
    if split.pairs and split.empty > EMPTY_SHARE * split.pairs:
        yield Diagnosis(
            "labels-lost",
            f"train: {split.empty} of {split.pairs} pairs have no box, {split.unlabelled} of them "
            "no label file (checks L09, L10)",
            f"{evidence.check_data()} says where label files are looked for",
            {"pairs": split.pairs, "empty": split.empty, "unlabelled": split.unlabelled},
        )


def _misregistered(evidence: Evidence) -> Iterator[Diagnosis]:
    assert evidence.data is not None
    found = evidence.data.found("P09")
    whole = [entry for entry in found if not entry.path]
    looked_at = sum(split.looked_at for split in evidence.data.splits.values())
    if not whole and len(found) <= MISPLACED_SHARE * max(1, looked_at):
        return
    first = (whole or found)[0]
    number = f"{len(found)} findings" if len(found) > 1 else "1 finding"
    yield Diagnosis(
        "misregistered",
        f"{first.split}: {first.message} ({number} of check P09 in {looked_at} pairs)",
        f"`fusetrain prepare align {evidence.data_words} --out ALIGNED`, then train on ALIGNED",
        {"findings": len(found), "pairs": looked_at, **first.numbers},
    )


def _classes(evidence: Evidence) -> Iterator[Diagnosis]:
    assert evidence.data is not None
    names = evidence.data.class_names
    counts = {name: _split(evidence, name).boxes_of for name in ("train", "val")}
    for split, boxes_of in counts.items():
        absent = [name for name, count in zip(names, boxes_of, strict=False) if not count]
        if absent and sum(boxes_of):
            yield Diagnosis(
                "class-absent",
                f"{split}: no box of {', '.join(absent)} (checks S01, S03)",
                f"`fusetrain prepare split {evidence.data_words} --out DIR --redo` deals anew; or "
                "take the class out of `names`",
                {"split": split, "classes": ", ".join(absent)},
            )
            break
    used = [(count, name) for count, name in zip(counts["train"], names, strict=False) if count]
    if used and max(used)[0] > IMBALANCE * min(used)[0]:
        most, least = max(used), min(used)
        yield Diagnosis(
            "class-imbalance",
            f"train: {most[0]} boxes of {most[1]}, {least[0]} of {least[1]} (check S02)",
            f"{evidence.train_with('train.balance=0.5')} shows its pairs more often; more of them "
            "are better",
            {"most": most[0], "least": least[0]},
        )


def _validation(evidence: Evidence) -> Iterator[Diagnosis]:
    assert evidence.data is not None
    split = _split(evidence, "val")
    redo = f"`fusetrain prepare split {evidence.data_words} --out DIR --redo`"
    if not split.boxes:
        yield Diagnosis(
            "val-empty",
            f"val: {split.pairs} pairs, no box; {split.unlabelled} without a label file",
            f"{evidence.check_data()} says where labels are looked for; {redo} deals anew",
            {"pairs": split.pairs, "boxes": 0},
        )
    elif split.boxes < MIN_VAL_BOXES:
        yield Diagnosis(
            "val-tiny",
            f"val: {split.pairs} pairs with {split.boxes} boxes, fewer than {MIN_VAL_BOXES}",
            f"{redo} with a larger share for validation",
            {"pairs": split.pairs, "boxes": split.boxes},
        )
    yield from _leaks(evidence, redo)


def _leaks(evidence: Evidence, redo: str) -> Iterator[Diagnosis]:
    assert evidence.data is not None
    copies = evidence.data.found("D04")
    neighbours = evidence.data.found("D05")
    looked_at = _split(evidence, "val").looked_at
    if neighbours or len(copies) > LEAKED_SHARE * max(1, looked_at):
        first = (copies or neighbours)[0]
        yield Diagnosis(
            "val-leaky",
            f"{len(copies) + len(neighbours)} findings of checks D04 and D05 in {looked_at} "
            f"validation pairs, first: {first.path} {first.message}",
            f"{redo} keeps recordings and copies together",
            {"copies": len(copies), "neighbours": len(neighbours), "pairs": looked_at},
        )
