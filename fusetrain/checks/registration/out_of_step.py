"""P08: one camera of a sequence is some frames or seconds behind the other.

Nothing is read here; frames were compared by `partners.py`, times taken from EXIF by `greys.py`.
Shape legend: N frames of a sequence, in order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.findings import Finding, finding
from fusetrain.checks.registration.shifts import RegistrationFacts

MAX_STEPS = 5
# Frames that both a step and no step can be judged on, and the share that must prefer the step.
MIN_FRAMES = 8
PREFERRING_SHARE = 0.8
# EXIF times are whole seconds on many cameras, so one second is no news.
MAX_CLOCK_S = 2.0
MIN_CLOCKS = 5


def check_steps(
    scores: NDArray[np.float64], *, split: str, ir_paths: Sequence[str]
) -> list[Finding]:
    """P08: the infrared frames of a sequence agree better with other visible frames.

    Args:
        scores: (N, N) how well visible frame i agrees with infrared frame j.
        split: Split of the sequence.
        ir_paths: N infrared images in their order.
    """
    steps = best_step(scores)
    if steps == 0:
        return []
    when = "late" if steps > 0 else "early"
    message = (
        f"infrared is {abs(steps)} frame{'s' * (abs(steps) > 1)} {when} "
        f"from this frame to {ir_paths[-1]}"
    )
    numbers = {"frames": steps}
    return [finding("P08", message, split=split, path=ir_paths[0], numbers=numbers)]


def best_step(scores: NDArray[np.float64]) -> int:
    """Return k such that visible frame t and infrared frame t + k were taken together; else 0.

    A step counts if nearly all frames, each on its own, agree better at it than at no step.
    """
    own = np.diag(scores)
    best, gain = 0, 0.0
    for step in range(-MAX_STEPS, MAX_STEPS + 1):
        frames = np.arange(max(0, -step), len(scores) - max(0, step))
        gains = scores[frames, frames + step] - own[frames]
        gains = gains[np.isfinite(gains)]
        if step == 0 or len(gains) < MIN_FRAMES or np.mean(gains > 0.0) < PREFERRING_SHARE:
            continue
        if np.median(gains) > gain:
            best, gain = step, float(np.median(gains))
    return best


def check_clocks(facts: Sequence[RegistrationFacts]) -> list[Finding]:
    """P08: the times in the EXIF data of a pair differ otherwise than those of the other pairs."""
    found = []
    for split in dict.fromkeys(fact.split for fact in facts):
        timed = [f for f in facts if f.split == split and f.seconds_apart is not None]
        if len(timed) < MIN_CLOCKS:
            continue
        usual = float(np.median([fact.seconds_apart for fact in timed]))
        for fact in timed:
            off_s = (fact.seconds_apart or 0.0) - usual
            if abs(off_s) <= MAX_CLOCK_S:
                continue
            message = f"taken {abs(off_s):.1f} s {'after' if off_s > 0 else 'before'} its partner"
            numbers = {"seconds": round(off_s, 3)}
            found.append(finding("P08", message, split=split, path=fact.ir_path, numbers=numbers))
    return found
