"""What a run leaves to look at: which pictures are written into its folder, and when.

Figures are drawn in `results/`, from the numbers and batches that are brought together here. A
picture that cannot be made is a warning; the training goes on. Nothing here draws random numbers or
changes what the training will see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import numpy as np

from fusetrain import build, distributed
from fusetrain.build import TrainingData
from fusetrain.config.stages import run_epochs
from fusetrain.data.index import DatasetIndex
from fusetrain.data.loader import collate
from fusetrain.data.order import EpochBatches
from fusetrain.data.quarantine import LeftOutError
from fusetrain.engine.infer import Validation
from fusetrain.results.album import Album
from fusetrain.results.label_plot import LabelArrays, save_labels_figure
from fusetrain.results.lr_chart import LrChart, LrLine
from fusetrain.results.lr_plot import save_lr_figure
from fusetrain.results.plots import save_results_figure
from fusetrain.results.run_dir import Row, RunDir
from fusetrain.runs.batches import BatchSource
from fusetrain.runs.val_pictures import (
    NUM_BATCHES,
    VAL_PICTURES,
    save_sheet,
    true_pairs,
    write_validation,
)
from fusetrain.sample import Batch
from fusetrain.schedule.plan import SchedulePlan

TRAIN_PAIRS = 8  # of a batch; each may be a mosaic of four
TRAIN_SHEETS = tuple(f"train_batch{number}.jpg" for number in range(NUM_BATCHES))
END_PICTURES = ("results.png", "lr.png", *VAL_PICTURES)
MAX_PLAN_POINTS = 800
MAX_LOGGED_POINTS = 60

Warn = Callable[[str], None]


def write_start(run: RunDir, source: BatchSource, data: TrainingData, *, warn: Warn) -> None:
    """Write what the run is about to learn from: labels.png and train_batch*.jpg.

    Pictures that are there already stay, so that a resumed run only gets what it lacks. The pairs
    of a batch beyond the first TRAIN_PAIRS are not shown, and not read.

    Args:
        run: The folder.
        source: The loaders of the run; their order and draws are left as they are.
        data: The splits.
        warn: Gets one sentence if something could not be made.
    """
    if not distributed.is_main():
        return
    album = Album(run.path)
    if not album.has("labels.png"):
        with album.pages("labels.png") as (path,):
            save_labels_figure(path, _labels_of(data.train), title=_title_of(data.train))
    if not album.has(TRAIN_SHEETS[0]):
        with album.pages(*TRAIN_SHEETS) as paths:
            for number, (path, batch) in enumerate(
                zip(paths, first_train_batches(source), strict=False)
            ):
                save_sheet(
                    path,
                    true_pairs(batch, data.train.class_names),
                    title=f"Training batch {number + 1} of epoch 1, pairs 1 to {len(batch)}",
                    class_names=data.train.class_names,
                )
    album.report(warn)


def write_end(
    run: RunDir,
    source: BatchSource,
    *,
    plan: SchedulePlan,
    history: Sequence[Row],
    validation: Validation | None,
    warn: Warn,
) -> None:
    """Write how the run went: results.png, lr.png, PR_curve.png and what belongs to the validation.

    Args:
        run: The folder.
        source: The loaders of the run.
        plan: The learning rates.
        history: Rows of results.csv.
        validation: Of the weights that the run leaves; None writes only what needs none.
        warn: Gets one sentence if something could not be made.
    """
    if not distributed.is_main():
        return
    album = Album(run.path)
    with album.pages("results.png") as (path,):
        save_results_figure(
            path,
            history,
            warmups=plan.warmup_spans(),
            stages=plan.stage_spans(),
        )
    with album.pages("lr.png") as (path,):
        save_lr_figure(lr_chart(plan, history, name=run.path.name), path)
    if validation is not None:
        write_validation(album, source, validation)
    album.report(warn)


def has_end_pictures(run: RunDir) -> bool:
    """Return whether all that `write_end` makes of a validated run is there."""
    return all((run.path / name).is_file() for name in END_PICTURES)


def lr_chart(plan: SchedulePlan, history: Sequence[Row], *, name: str) -> LrChart:
    """Return the chart of the planned rates, step by step, with the logged ones as points.

    Parameter groups are shown where they depart from the schedule itself.
    """
    last = plan.total_steps - 1
    steps = {last * point // (MAX_PLAN_POINTS - 1) for point in range(MAX_PLAN_POINTS)}
    steps |= {min(last, end + offset) for _, end in plan.warmups for offset in (-1, 0, 1)}
    steps |= {start + offset for start in plan.restarts[:MAX_PLAN_POINTS] for offset in (-1, 0)}
    ordered = sorted(steps)
    main, *others = zip(*(plan.row(step) for step in ordered), strict=True)
    groups: dict[tuple[float, ...], list[str]] = {}
    for rates, column, group in zip(others, plan.columns[1:], plan.groups, strict=True):
        if rates != main:
            label = " ".join(filter(None, (column[3:], group.part, group.kind)))
            groups.setdefault(rates, []).append(label)
    epochs = [(step + 1) / plan.steps_per_epoch for step in ordered]
    every = -(-len(history) // MAX_LOGGED_POINTS) or 1
    points = [(row["epoch"] or 0, row["lr0"] or 0.0) for row in history[::-every]][::-1]
    logged_epochs, logged = zip(*points, strict=True) if points else ((), ())
    return LrChart(
        title=f"Learning rate of {name}, {plan.epochs} epochs of {plan.steps_per_epoch} steps",
        lines=[
            LrLine("lr0 as planned", epochs, main),
            *(
                LrLine(", ".join(labels), epochs, rates, is_main=False)
                for rates, labels in groups.items()
            ),
            LrLine("lr0 as logged", logged_epochs, logged, is_points=True),
        ],
        num_epochs=plan.epochs,
        warmups=plan.warmup_spans(),
        restarts=[step / plan.steps_per_epoch for step in plan.restarts],
        stages=plan.stage_spans(),
    )


def first_train_batches(source: BatchSource) -> Iterator[Batch]:
    """Yield the first TRAIN_PAIRS pairs of the first batches of epoch 0, read anew."""
    config, dataset = source.config, source.train_data
    compose = run_epochs(config) > build.close_mosaic(config)
    order = EpochBatches(
        len(dataset), build.batch_size(config), dataset.seed, epoch=0, weights=dataset.weights
    )
    keys = order.keys(compose=compose)
    for number in range(min(NUM_BATCHES, len(keys))):
        samples = []
        for key in keys[number][:TRAIN_PAIRS]:
            with suppress(LeftOutError):
                samples.append(dataset[key])
        yield collate(samples)


def _labels_of(index: DatasetIndex) -> LabelArrays:
    return LabelArrays(
        boxes_cxcywh_unit=index.boxes,
        classes=index.box_classes,
        boxes_per_pair=np.diff(index.box_ends, prepend=0),
        class_names=index.class_names,
    )


def _title_of(index: DatasetIndex) -> str:
    return f"Labels of {index.split}: {len(index)} pairs, {len(index.box_classes)} boxes"
