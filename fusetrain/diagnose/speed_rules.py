"""Rules about time: waiting for data, threads, other processes, memory, validation, the cache.

They read the cost of each epoch; the first one, in which caches fill and libraries warm up, only
counts where there is no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from fusetrain.build import batch_size, cache_kind, cached_bytes
from fusetrain.data.cache import MEMORY_SHARE, free_memory_bytes
from fusetrain.diagnose.evidence import Evidence
from fusetrain.diagnose.symptoms import Diagnosis
from fusetrain.launched import available_cores

WAIT_SHARE = 0.4
MIN_SECONDS = 1.0  # of an epoch; less is not worth a remedy, nor told from a busy machine
BUSY_LOAD = 1.5  # running processes a core, more than this one's threads
STARVED_SHARE = 0.7  # of the time of its threads that this process computed
FAULTS_A_STEP = 1.0
SWAPPED_MIB = 64


def judge_speed(evidence: Evidence) -> Iterator[Diagnosis]:
    """Yield what makes the run slow."""
    yield from _threads(evidence)
    yield from _cache(evidence)
    events = evidence.epoch_events[1:] or evidence.epoch_events
    if not events:
        return
    yield from _wait(evidence, events)
    yield from _validation(evidence, events)
    yield from _neighbours(events)
    yield from _memory(evidence, events)


def _middle(events: list[Mapping[str, Any]], key: str) -> float:
    """Return the median over epochs of a number; 0 where it was not logged."""
    return float(median(float(event.get(key) or 0.0) for event in events))


def _wait(evidence: Evidence, events: list[Mapping[str, Any]]) -> Iterator[Diagnosis]:
    train = evidence.config.train
    wait, seconds = _middle(events, "wait_seconds"), _middle(events, "seconds")
    if wait < max(MIN_SECONDS, WAIT_SHARE * seconds):
        return
    pairs = _middle(events, "pairs")
    evidence_text = (
        f"events.jsonl: {wait:.3g} of {seconds:.3g} s of an epoch wait for data "
        f"({wait / seconds:.0%}, median), {pairs / seconds:.3g} pairs a second, train.workers "
        f"{train.workers}, train.cache {train.cache}"
    )
    numbers = {"wait_seconds": wait, "seconds": seconds, "workers": train.workers or 0}
    num_pairs = evidence.num_pairs or 0
    if cache_kind(evidence.config, num_pairs) == "none":
        fits = cached_bytes(evidence.config, num_pairs) < MEMORY_SHARE * free_memory_bytes()
        kind = "ram" if fits else "disk"
        yield Diagnosis(
            "no-cache", evidence_text, evidence.train_with(f"train.cache={kind}"), numbers
        )
    else:
        workers = min(8, max(2, available_cores()))
        lighter = ["augment.mosaic=0.5"] if train.workers else [f"train.workers={workers}"]
        yield Diagnosis("waits-for-data", evidence_text, evidence.train_with(*lighter), numbers)


def _validation(evidence: Evidence, events: list[Mapping[str, Any]]) -> Iterator[Diagnosis]:
    seconds, judging = _middle(events, "seconds"), _middle(events, "val_seconds")
    every = evidence.config.train.val_every
    if judging > max(MIN_SECONDS, seconds):
        wanted = every * max(2, round(judging / seconds) * 2)
        yield Diagnosis(
            "val-slow",
            f"events.jsonl: {judging:.3g} s of validation after {seconds:.3g} s of training "
            "(median of an epoch)",
            evidence.train_with(f"train.val_every={wanted}"),
            {"val_seconds": judging, "seconds": seconds, "val_every": every},
        )


def _threads(evidence: Evidence) -> Iterator[Diagnosis]:
    logged = evidence.epoch_events[-1:]
    threads = logged[0].get("threads") if logged else evidence.config.train.threads
    cores = logged[0].get("cores") if logged else available_cores()
    if threads and cores and threads > cores:
        yield Diagnosis(
            "threads-many",
            f"{threads} threads on {cores} cores",
            evidence.train_with(f"train.threads={cores}"),
            {"threads": threads, "cores": cores},
        )


def _neighbours(events: list[Mapping[str, Any]]) -> Iterator[Diagnosis]:
    load, cores = _middle(events, "load"), _middle(events, "host_cores")
    threads, seconds = _middle(events, "threads"), _middle(events, "seconds")
    computed = _middle(events, "cpu_seconds")
    is_starved = 0 < computed < STARVED_SHARE * threads * seconds
    if cores and load > max(BUSY_LOAD * cores, threads + 1) and is_starved:
        yield Diagnosis(
            "machine-busy",
            f"events.jsonl: load {load:.3g} on {cores:g} cores, this process computed "
            f"{computed:.3g} s in {seconds:.3g} s with {threads:g} threads "
            "(median of an epoch)",
            "end or move the other processes (`top` names them)",
            {"load": load, "cores": cores, "cpu_seconds": computed},
        )


def _memory(evidence: Evidence, events: list[Mapping[str, Any]]) -> Iterator[Diagnosis]:
    swapped, faults = _middle(events, "swapped_mib"), _middle(events, "major_faults")
    halved = evidence.of_kind("memory")
    steps = max(1.0, _middle(events, "steps"))
    smaller = max(1, batch_size(evidence.config) // 2)
    remedy = evidence.train_with(f"train.batch={smaller}", "train.accumulate=2")
    if swapped > SWAPPED_MIB and faults > FAULTS_A_STEP * steps:
        yield Diagnosis(
            "memory-short",
            f"events.jsonl: {swapped:g} MiB of this process are swapped out, {faults / steps:.3g} "
            "pages a step are read back from the disk",
            remedy
            if evidence.config.train.cache not in ("auto", "ram")
            else evidence.train_with("train.cache=disk"),
            {"swapped_mib": swapped, "major_faults": faults},
        )
    elif halved:
        micro = halved[-1].get("micro_batch")
        yield Diagnosis(
            "memory-short",
            f"events.jsonl: memory ran out {len(halved)} times, {micro} pairs are computed at once",
            remedy,
            {"times": len(halved), "micro_batch": micro},
        )


def _cache(evidence: Evidence) -> Iterator[Diagnosis]:
    if evidence.config.train.cache != "ram" or evidence.num_pairs is None:
        return
    needed = cached_bytes(evidence.config, evidence.num_pairs)
    free = MEMORY_SHARE * free_memory_bytes()
    if needed > free:
        yield Diagnosis(
            "cache-too-large",
            f"train.cache ram: up to {needed / 1e9:.3g} GB for {evidence.num_pairs} training "
            f"pairs, at most {free / 1e9:.3g} GB are taken",
            evidence.train_with("train.cache=disk"),
            {"needed_gb": round(needed / 1e9, 3), "free_gb": round(free / 1e9, 3)},
        )
