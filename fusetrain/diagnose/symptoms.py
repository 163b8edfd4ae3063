"""The table of codes and the one type that all rules of a diagnosis return.

The order of the table is the order in which findings are told: a cause stands before what follows
from it, and what costs time stands behind what costs accuracy. A code keeps its meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Group = Literal["data", "rates", "streams", "learning", "validation", "speed"]


@dataclass(frozen=True)
class Symptom:
    """What a code stands for.

    Attributes:
        group: What it is about.
        meaning: One line for tables.
        cause: Why it does harm, as one sentence.
    """

    group: Group
    meaning: str
    cause: str


SYMPTOMS: dict[str, Symptom] = {
    "modality-swapped": Symptom(
        "data",
        "visible and infrared are swapped",
        "each stream learns from the other camera, and pretrained weights do not fit",
    ),
    "infrared-blank": Symptom(
        "data",
        "there is nothing in the infrared images that the detector is shown",
        "blank files or `augment.drop_ir` leave the infrared stream without a signal",
    ),
    "visible-blank": Symptom(
        "data",
        "there is nothing in the visible images that the detector is shown",
        "blank files or `augment.drop_rgb` leave the visible stream without a signal",
    ),
    "pairs-lost": Symptom(
        "data",
        "many images have no partner",
        "an image whose name matches none of the other camera is left out of the training",
    ),
    "pairs-changed": Symptom(
        "data",
        "the data set is not the one that was trained on",
        "pairs or boxes were added or removed since the run began",
    ),
    "pairs-left-out": Symptom(
        "data",
        "pairs were left out while training",
        "images could not be read, or killed the process that read them",
    ),
    "labels-lost": Symptom(
        "data",
        "most pairs have no box",
        "labels that are not found count as background: the detector learns to find nothing",
    ),
    "misregistered": Symptom(
        "data",
        "visible and infrared do not show the same place",
        "what is joined at one place of both images belongs to different things",
    ),
    "class-absent": Symptom(
        "data",
        "a class has no box in a split",
        "it cannot be learned without training boxes, nor be measured without validation boxes",
    ),
    "class-imbalance": Symptom(
        "data",
        "classes differ in number by more than 50 : 1",
        "the rare class hardly contributes to the loss, but counts fully in the mean",
    ),
    "rate-too-high": Symptom(
        "rates",
        "the learning rate is too high",
        "steps overshoot: the loss rises, or steps are skipped as not finite",
    ),
    "rate-too-low": Symptom(
        "rates",
        "the learning rate is too low",
        "steps are too small for the length of the run: the loss hardly falls",
    ),
    "diverged": Symptom(
        "learning",
        "steps were not finite",
        "a value too large for the precision, or labels and pixels that are not finite",
    ),
    "rate-scaled": Symptom(
        "rates",
        "the learning rate is lower than planned since a rollback",
        "each rollback after steps that were not finite halves all rates",
    ),
    "rate-left-plan": Symptom(
        "rates",
        "the logged learning rates are not those of the plan",
        "the table or the config was changed after the run, or the run is of another version",
    ),
    "period-mismatch": Symptom(
        "rates",
        "the schedule is made for another length of the run",
        "T_max or milestones beyond the end are not reached, the rate never falls as meant; before "
        "the end it climbs again",
    ),
    "rate-stuck": Symptom(
        "rates",
        "the learning-rate column does not move although the schedule does",
        "the run is shorter than one move of its schedule",
    ),
    "rate-constant": Symptom(
        "rates",
        "the schedule keeps the rate constant",
        "without a fall at the end the weights keep moving about the minimum",
    ),
    "warmup-long": Symptom(
        "rates",
        "the warmup takes more than a third of the run",
        "most steps are made at a rate below the one that was asked for",
    ),
    "warmup-missing": Symptom(
        "rates",
        "a high learning rate without a warmup",
        "the first steps at the full rate wreck weights and batch statistics",
    ),
    "warmup-short": Symptom(
        "rates",
        "the warmup is short for this set, batch or kind of training",
        "the statistics of optimizer and normalisation are not settled when the peak is reached",
    ),
    "ends-at-zero": Symptom(
        "rates", "the rate falls to 0", "the last steps change nothing and cost as much as others"
    ),
    "lr0-unusual": Symptom(
        "rates",
        "lr0 is far off what its optimizer bears, or needs",
        "values are carried over from another optimizer: SGD takes some 0.01, Adam some 0.001",
    ),
    "part-frozen": Symptom(
        "streams",
        "a part of the detector never learned",
        "it is frozen, or its rate is 0, from the first step to the last",
    ),
    "stream-dead": Symptom(
        "streams",
        "one stream hardly matters where the streams meet",
        "its activations or its gradient vanish: the detector learned without it",
    ),
    "fusion-loses": Symptom(
        "streams",
        "the fused detector is worse than a single modality",
        "fusion adds noise: misaligned pairs, a weak stream, or too few steps for more weights",
    ),
    "batch-small": Symptom(
        "learning",
        "too few pairs a step for batch normalisation",
        "mean and variance over so few pairs are noise, and differ from those of validation",
    ),
    "overfits": Symptom(
        "learning",
        "the validation loss rises while the training loss falls",
        "the detector learns the training pairs by heart",
    ),
    "stopped-too-early": Symptom(
        "learning",
        "the run was stopped early while it still learned",
        "`train.patience` is short against the noise of the metric",
    ),
    "unfinished": Symptom(
        "learning",
        "the run did not reach its end",
        "it was stopped or killed; the rate never came down to its last value",
    ),
    "val-empty": Symptom(
        "validation",
        "no validation pair has a box",
        "every metric is 0 or unknown, so that neither best weights nor patience mean anything",
    ),
    "val-tiny": Symptom(
        "validation",
        "very few validation boxes",
        "the metric jumps by chance: best weights and patience follow noise",
    ),
    "val-leaky": Symptom(
        "validation",
        "validation pairs stand in the training split",
        "the metric rewards learning by heart and tells nothing of new pairs",
    ),
    "few-steps": Symptom(
        "learning",
        "the run has very few optimizer steps",
        "a detector from scratch takes some thousands; epochs of a small set are short",
    ),
    "no-cache": Symptom(
        "speed",
        "the training waits for images that are decoded again in every epoch",
        "decoding takes longer than computing, and nothing keeps what was decoded",
    ),
    "waits-for-data": Symptom(
        "speed",
        "the training waits for its data",
        "reading and augmenting take longer than computing",
    ),
    "val-slow": Symptom(
        "speed",
        "validation takes longer than training",
        "all of the validation pairs are judged after each of the short epochs",
    ),
    "threads-many": Symptom(
        "speed",
        "more threads than cores",
        "threads that share a core wait for each other at every operation",
    ),
    "machine-busy": Symptom(
        "speed",
        "others use the machine",
        "more processes want to compute than there are cores",
    ),
    "memory-short": Symptom(
        "speed",
        "memory ran short",
        "pages are swapped to the disk and back, or a batch is computed in parts",
    ),
    "cache-too-large": Symptom(
        "speed",
        "the cache does not fit into memory",
        "pairs that do not fit are decoded again in every epoch",
    ),
}
RANK = {code: rank for rank, code in enumerate(SYMPTOMS)}


@dataclass(frozen=True)
class Diagnosis:
    """One thing that is wrong with a run.

    Attributes:
        code: Key of SYMPTOMS.
        evidence: What was seen, as one sentence with its numbers and where they stand.
        remedy: The command that mends it, or what to do first.
        numbers: What was measured.
    """

    code: str
    evidence: str
    remedy: str
    numbers: Mapping[str, float | int | str | None] = field(default_factory=dict)

    @property
    def symptom(self) -> Symptom:
        """Return what the code stands for."""
        return SYMPTOMS[self.code]
