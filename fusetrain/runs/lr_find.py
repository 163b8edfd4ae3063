"""Suggest a learning rate for a config: the range test on a model that is then thrown away.

No run folder is made. `engine/lr_range.py` says what the test does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path

from fusetrain import build, launched
from fusetrain.build import TrainingData
from fusetrain.config.schema import Config
from fusetrain.config.stages import run_epochs
from fusetrain.engine.lr_range import RangeTest, range_test
from fusetrain.engine.stages import stage_of
from fusetrain.errors import ResourceError, UsageError
from fusetrain.results.range_plot import save_range_figure
from fusetrain.runs.batches import BatchSource
from fusetrain.runs.session import assemble, choose_machine
from fusetrain.sample import Batch

NUM_STEPS = 100
FIRST_RATE = 1e-6
LAST_RATE = {"adamw": 1.0, "adam": 1.0}
LAST_RATE_OTHERS = 10.0
PICTURE = "lr_find.png"


def find_rate(
    config: Config, data: TrainingData, *, progress: Callable[[int, int], None]
) -> tuple[RangeTest, Path]:
    """Run the test for up to 100 steps, and draw it into the project folder.

    Args:
        config: The settings; the schedule does not matter.
        data: The splits.
        progress: Called with the number of steps done and of all.

    Returns:
        What the test saw, and its picture.

    Raises:
        UsageError: Several ranks were started.
        ResourceError: Device or memory are not there, or the picture cannot be written.
    """
    if launched.place().world_size > 1:
        raise UsageError("--lr-find runs in one process", remedy="start it without torchrun")
    machine = choose_machine(config)
    machine.apply()
    config = build.resolved(config, machine)
    session = assemble(config, data, machine)
    last = LAST_RATE.get(config.optim.name, LAST_RATE_OTHERS)
    growth = (last / FIRST_RATE) ** (1 / (NUM_STEPS - 1))
    rates = [FIRST_RATE * growth**step for step in range(NUM_STEPS)]
    steps = _steps(BatchSource(config, data, machine), config, len(data.train))
    found = range_test(
        session.runner,
        _counted(steps, progress),
        rates,
        stage=stage_of(session.phase.stages, 0),
        scales={str(part): scale for part, scale in config.optim.groups.items()},
    )
    picture = Path(config.run.project) / PICTURE
    try:
        picture.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(f"{picture.parent} cannot be made: {error.strerror}") from error
    save_range_figure(
        picture,
        rates=found.rates,
        losses=found.losses,
        smoothed=found.smoothed,
        suggested=found.suggested,
    )
    return found, picture


def _steps(source: BatchSource, config: Config, num_pairs: int) -> Iterator[list[Batch]]:
    """Yield the micro-batches of one step after another, epoch after epoch."""
    for epoch in count():
        batches = source.train(epoch % run_epochs(config), 0)
        left = build.batches_per_epoch(config, num_pairs)
        while left:
            group = list(islice(batches, min(config.train.accumulate, left)))
            left -= len(group)
            yield group


def _counted(
    steps: Iterator[list[Batch]], progress: Callable[[int, int], None]
) -> Iterator[list[Batch]]:
    for done, step in enumerate(steps):
        progress(min(done, NUM_STEPS), NUM_STEPS)
        yield step
