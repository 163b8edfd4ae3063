"""Rules about the two streams: blank images, frozen parts, a stream that does not matter, the gain.

They read what the run logged of its last steps of each epoch, and the runs beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from fusetrain.config.load import load_config
from fusetrain.config.stages import ADAPTER, base_epochs
from fusetrain.diagnose.evidence import Evidence
from fusetrain.diagnose.symptoms import Diagnosis
from fusetrain.errors import FusetrainError
from fusetrain.results.history import best_scores
from fusetrain.results.run_dir import FUSION_GAIN
from fusetrain.rules import SINGLE

BLANK_SHARE = 0.5  # of the pairs looked at, or of the samples that a modality is dropped from
NO_TEXTURE = 0.03  # of the pixels that differ from their neighbour
LEAST_RELEVANCE = 0.02
SIGNS = {
    "ir": ("infrared-blank", "drop_ir", "infrared"),
    "rgb": ("visible-blank", "drop_rgb", "visible"),
}
# Steps at the full rate after which what enters an adapter through zeros must matter; with SGD, the
# slowest to leave them, it took fewer than 60.
STEPS_TO_MATTER = 100
PART_OF = {"rgb": "backbone", "ir": "backbone_ir"}


def judge_streams(evidence: Evidence) -> Iterator[Diagnosis]:
    """Yield which stream or part does not learn, and whether fusion is worth it."""
    blank = list(_blank(evidence))
    frozen = list(_frozen(evidence))
    yield from blank
    yield from frozen
    if not blank and not frozen:
        yield from _dead(evidence)
    yield from _gain(evidence)


def _blank(evidence: Evidence) -> Iterator[Diagnosis]:
    """Find a modality without a signal: dropped by the augmentation, or blank on the disk."""
    seen: tuple[str, ...] = ("rgb", "ir")
    if evidence.config.model.fusion in SINGLE:
        seen = (evidence.config.model.fusion,)
    for stream in seen:
        code, key, word = SIGNS[stream]
        dropped = getattr(evidence.config.augment, key)
        why, remedy = "", ""
        if dropped > BLANK_SHARE:
            why = f"augment.{key} is {dropped:g}: {word} is missing from {dropped:.0%} of samples"
            remedy = evidence.train_with(f"augment.{key}=0.1")
        elif found := _blank_files(evidence, stream):
            why, remedy = found, f"{evidence.check_data()} names the files"
        else:
            values = [
                event["texture"][stream]
                for event in evidence.epoch_events
                if stream in event.get("texture", {})
            ]
            if values and median(values) < NO_TEXTURE:
                why = (
                    f"events.jsonl: {median(values):.1%} of the {word} pixels differ from their "
                    "neighbour (texture, median over epochs)"
                )
                remedy = f"{evidence.check_data()}; look at train_batch0.jpg in the run folder"
        if why:
            yield Diagnosis(code, why, remedy, {"dropped": dropped})


def _blank_files(evidence: Evidence, stream: str) -> str:
    """Return what the quick look says of blank infrared files; visible ones are told by texture."""
    if evidence.data is None or stream != "ir":
        return ""
    looked_at = sum(split.looked_at for split in evidence.data.splits.values())
    found = len({entry.path for entry in evidence.data.found("P11")})
    if found <= BLANK_SHARE * max(1, looked_at):
        return ""
    return f"{found} of {looked_at} infrared images looked at are blank (check P11)"


def _still_parts(evidence: Evidence) -> list[str]:
    """Return the parts whose rate is 0 at the end of every epoch."""
    plan = evidence.plan
    if plan is None:
        return []
    rates: dict[str, float] = {}
    for group in plan.groups:
        if group.part is not None:
            ends = (plan.lr(group, plan.last_step_of(epoch)) for epoch in range(plan.epochs))
            rates[group.part] = max(*ends, rates.get(group.part, 0.0))
    return sorted(part for part, rate in rates.items() if rate == 0.0)


def _frozen(evidence: Evidence) -> Iterator[Diagnosis]:
    """Find parts that stand still from untrained weights; trained ones are frozen on purpose."""
    still, plan = _still_parts(evidence), evidence.plan
    model = evidence.config.model
    if not still or plan is None or model.weights is not None or model.fusion == ADAPTER:
        return
    columns = [f"lr/pg{number}" for number, group in enumerate(plan.groups) if group.part in still]
    frozen = [part for part in still if part in evidence.config.train.freeze]
    groups = {part: rate for part, rate in evidence.config.optim.groups.items() if rate}
    sets = ["train.freeze=[]"] if frozen else []
    sets += ["optim.groups={" + ", ".join(f"{k}: {v:g}" for k, v in groups.items()) + "}"]
    yield Diagnosis(
        "part-frozen",
        f"{', '.join(still)}: rate 0 in every epoch ({', '.join(columns)} in results.csv), from "
        "untrained weights",
        evidence.train_with(*sets),
        {"parts": ", ".join(still)},
    )


def _dead(evidence: Evidence) -> Iterator[Diagnosis]:
    """Find a stream whose relevance or gradient has vanished in the later half of the run."""
    later, still = _later_epochs(evidence), _still_parts(evidence)
    is_adapter = evidence.config.model.fusion == ADAPTER  # its base stands still on purpose
    bases = {event.get("base") for event in evidence.of_kind("base")}
    for stream, part in PART_OF.items():
        if part in still or stream in bases:
            continue
        logged = [event.get("streams", {}).get(stream, {}) for event in later]
        relevance = [entry["relevance"] for entry in logged if entry.get("relevance") is not None]
        gradient = [
            event["grad_share"][part]
            for event in later
            if event.get("grad_share", {}).get(part) is not None and not is_adapter
        ]
        values = [median(seen) for seen in (relevance, gradient) if seen]
        if values and min(values) < LEAST_RELEVANCE:
            told = [
                f"{name} {median(seen):.2%}"
                for name, seen in (("relevance", relevance), ("gradient share", gradient))
                if seen
            ]
            yield Diagnosis(
                "stream-dead",
                f"events.jsonl: the {stream} stream has {' and '.join(told)} in epochs "
                f"{later[0]['epoch']} to {later[-1]['epoch']} (median)",
                _revived(evidence, stream),
                {"stream": stream, "least": min(values)},
            )


def _later_epochs(evidence: Evidence) -> list[Mapping[str, Any]]:
    """Return the epochs in which both streams have to matter; none in a run by stages.

    They are the later half; of an adapter those in which both streams meet, and there the later
    half of what follows once the stream that enters through zeros had time to leave them.
    """
    events, plan = evidence.epoch_events, evidence.plan
    if evidence.config.train.stages:
        return []
    if evidence.config.model.fusion == ADAPTER:
        if plan is None:
            return []
        start = base_epochs(evidence.config) * plan.steps_per_epoch
        ready = max([start, *(end for _, end in plan.warmups)]) + STEPS_TO_MATTER
        events = [event for event in events if plan.last_step_of(event["epoch"] - 1) >= ready]
    return events[len(events) // 2 :] if len(events) > 1 else []


def _revived(evidence: Evidence, stream: str) -> str:
    """Return what lets a stream matter that does not."""
    if evidence.config.model.fusion == ADAPTER:
        groups = evidence.config.optim.groups
        faster = {**groups, "fusion": 10 * groups.get("fusion", 1.0)}
        told = ", ".join(f"{part}: {scale:g}" for part, scale in faster.items())
        return "let it in faster: " + evidence.train_with(f"optim.groups={{{told}}}")
    alone = evidence.train_with(f"model.fusion={stream}", f"run.name={stream}-alone")
    return f"learn it alone first: {alone}; then start from its weights"


def _gain(evidence: Evidence) -> Iterator[Diagnosis]:
    """Compare with the single modalities: `--with-baselines`, or runs beside this one."""
    if evidence.run is None or evidence.config.model.fusion in SINGLE:
        return
    scores = _told_scores(evidence.run) or _beside(evidence)
    singles = {kind: scores[kind] for kind in SINGLE if kind in scores}
    if "fused" not in scores or not singles:
        return
    kind = max(singles, key=lambda name: singles[name]["map50_95"])
    fused, best = scores["fused"]["map50_95"], singles[kind]["map50_95"]
    if fused < best:
        is_adapter = evidence.config.model.fusion == ADAPTER
        start = f"model.{'base' if is_adapter else 'weights'}={_told_run(evidence.run, kind)}"
        yield Diagnosis(
            "fusion-loses",
            f"mAP50-95 {fused:.4g} fused, {best:.4g} with {kind} alone: gain {fused - best:+.4g}",
            f"{evidence.check_data()} --registration all; then start the streams from the single "
            f"run: {evidence.train_with(start)}",
            {"fused": fused, "best": best, "single": kind},
        )


def _told_scores(run: Path) -> dict[str, dict[str, float]]:
    try:
        told = json.loads((run / FUSION_GAIN).read_text(encoding="utf-8"))
        return dict(told["scores"] or {})
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _told_run(run: Path, kind: str) -> str:
    """Return the folder of a baseline of `--with-baselines`, or a word for any such run."""
    try:
        told = json.loads((run / FUSION_GAIN).read_text(encoding="utf-8"))
        return str(run.parent / told["baselines"][kind])
    except (OSError, ValueError, KeyError, TypeError):
        return "RUN"


def _beside(evidence: Evidence) -> dict[str, dict[str, float]]:
    """Return the scores of runs of one modality in the same folder, data and length being equal."""
    assert evidence.run is not None
    scores: dict[str, dict[str, float]] = {}
    own = evidence.config
    try:
        scores["fused"] = best_scores(evidence.run / "results.csv")
    except FusetrainError:
        return {}
    for path in sorted(evidence.run.parent.glob("*/config.yaml")):
        try:
            loaded = load_config(path)
            other = loaded.placed()
            is_same = other.train.epochs == own.train.epochs and other.train.imgsz == (
                own.train.imgsz
            )
            is_same &= Path(str(other.data)).resolve() == Path(str(own.data)).resolve()
            if other.model.fusion in SINGLE and is_same:
                found = best_scores(path.parent / "results.csv")
                known = scores.get(other.model.fusion, found)
                scores[other.model.fusion] = max(found, known, key=lambda item: item["map50_95"])
        except FusetrainError:
            continue
    return scores
