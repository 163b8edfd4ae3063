"""Tables of timed training steps: what they cost, and how variants compare round by round."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from measuring.tables import promise
from measuring.turns import Turn

COSTS = (
    "training",
    "threads",
    "params M",
    "GFLOP",
    "step ms",
    "pairs/s",
    "pairs/s x GFLOP",
    "CPU s/pair",
    "peak MiB",
    "of training",
)
RATIOS = (
    "ours / other",
    "pairs/s",
    "by CPU",
    "pairs/s x GFLOP",
    "by CPU",
    "peak memory",
    "of training/GFLOP",
)
# What is wanted at one thread and equal memory settings.
SPEED_PER_GFLOP = {320: 2.3, 640: 2.6}  # image side, px -> at least
SPEED_AGAINST_TWO = 3.0  # at least
MEMORY_PER_GFLOP = 1.1  # at most

Turns = Mapping[str, Sequence[Turn]]


@dataclass(frozen=True)
class Ratios:
    """How the turns of one variant compare with those of another, one value a round.

    More is better, but for memory.

    Attributes:
        speed: Pairs a second.
        by_cpu: Pairs a second of processor time.
        gflops: Operations of a pair.
        memory: Peak memory; empty where the system does not tell.
        training_memory: What training takes of it; likewise.
    """

    speed: Sequence[float]
    by_cpu: Sequence[float]
    gflops: float
    memory: Sequence[float]
    training_memory: Sequence[float]

    @classmethod
    def of(cls, turns: Turns, ours: str, other: str) -> Ratios:
        """Compare two variants by their names."""
        rounds = list(zip(turns[ours], turns[other], strict=True))
        return cls(
            speed=[theirs.seconds / mine.seconds for mine, theirs in rounds],
            by_cpu=[theirs.cpu_seconds / mine.cpu_seconds for mine, theirs in rounds],
            gflops=rounds[0][0].gflops / rounds[0][1].gflops,
            memory=[mine.peak_mib / theirs.peak_mib for mine, theirs in rounds if theirs.peak_mib],
            training_memory=[
                mine.training_mib / theirs.training_mib
                for mine, theirs in rounds
                if theirs.peak_mib
            ],
        )

    @property
    def speed_per_gflop(self) -> list[float]:
        """Return the ratios of pairs a second times the operations of a pair."""
        return [speed * self.gflops for speed in self.speed]

    @property
    def memory_per_gflop(self) -> float | None:
        """Return the median ratio of training memory divided by the operations of a pair."""
        if not self.training_memory:
            return None
        return statistics.median(self.training_memory) / self.gflops


def cost_row(name: str, turns: Sequence[Turn], *, batch: int) -> list[str]:
    """Return the row of one variant: medians over its rounds."""
    middle = statistics.median
    answer, gflops = turns[0].answer, turns[0].gflops
    rate = batch / middle(turn.seconds for turn in turns)
    peak_mib = middle(turn.peak_mib for turn in turns)
    return [
        name,
        str(answer["threads"]),
        f"{answer['parameters'] / 1e6:.2f}",
        f"{gflops:.2f}",
        f"{1000 * batch / rate:.0f}",
        f"{rate:.1f}",
        f"{rate * gflops:.1f}",
        f"{middle(turn.cpu_seconds for turn in turns) / batch:.3f}",
        f"{peak_mib:.0f}" if peak_mib else "-",
        f"{middle(turn.training_mib for turn in turns):.0f}" if peak_mib else "-",
    ]


def ratio_rows(turns: Turns, compared: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Return one row for each two variants that are set against each other."""
    rows = []
    for ours, other in compared:
        found = Ratios.of(turns, ours, other)
        by_cpu, memory = statistics.median(found.by_cpu), found.memory_per_gflop
        rows.append(
            [
                f"{ours} / {other}",
                spread(found.speed),
                f"{by_cpu:.2f}x",
                spread(found.speed_per_gflop),
                f"{by_cpu * found.gflops:.2f}x",
                f"{statistics.median(found.memory):.2f}x" if found.memory else "-",
                f"{memory:.2f}x" if memory else "-",
            ]
        )
    return rows


def spread(values: Sequence[float]) -> str:
    """Return the median of some ratios, with their range."""
    return f"{statistics.median(values):.2f}x ({min(values):.2f}-{max(values):.2f})"


def promise_lines(turns: Turns, imgsz: int, *, peer: str, twice: str) -> Iterator[str]:
    """Yield how far what is wanted is reached, a line each.

    Speed is judged in processor time: at one thread it is what the clock of a quiet machine says.

    Args:
        turns: Those of ``mid`` and ``early``, and of the peer.
        imgsz: Side of the images, px; some are wanted at certain sizes only.
        peer: The peer on pairs.
        twice: The peer on one modality after the other.
    """
    for ours in ("mid", "early"):
        found = Ratios.of(turns, ours, peer)
        if imgsz in SPEED_PER_GFLOP:
            speed = statistics.median(found.by_cpu) * found.gflops
            wanted = SPEED_PER_GFLOP[imgsz]
            yield promise(f"{ours} / {peer}: pairs/s x GFLOP by CPU", speed, least=wanted)
        if (memory := found.memory_per_gflop) is not None:
            what = f"{ours} / {peer}: memory of training/GFLOP"
            yield promise(what, memory, most=MEMORY_PER_GFLOP)
    speed = statistics.median(Ratios.of(turns, "mid", twice).by_cpu)
    yield promise(f"mid / {twice}: pairs/s by CPU", speed, least=SPEED_AGAINST_TWO)
