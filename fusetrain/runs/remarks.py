"""Settings that do nothing for the detector of a run, or harm it, in a sentence each.

None of them is an error: one config may serve several kinds of fusion. What a schedule leaves out
is told by the plan itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fusetrain.config.schema import Config
from fusetrain.config.stages import ADAPTER, run_stages
from fusetrain.schedule.plan_notes import absent_notes


def remarks(config: Config, parts: Sequence[str]) -> list[str]:
    """Return what a user should know of the settings, given the parts of the detector."""
    return [*_absent_parts(config, parts), *_lost_images(config)]


def _absent_parts(config: Config, parts: Sequence[str]) -> list[str]:
    """Name the parts that are spoken of and that the detector does not have."""
    if config.model.fusion == ADAPTER:  # in the end it has them all
        return []
    warmup = config.schedule.warmup
    named = [*config.optim.groups, *(warmup.parts if warmup is not None else ())]
    for stage in run_stages(config):
        named += [*stage.freeze, *stage.lr_scale]
    return absent_notes(named, parts)


def _lost_images(config: Config) -> Iterator[str]:
    """Tell what takes away the one image that a detector sees, or moves it from its boxes."""
    kind, augment = config.model.fusion, config.augment
    dropped = {"rgb": augment.drop_rgb, "ir": augment.drop_ir}.get(kind, 0.0)
    if dropped:
        yield (
            f"augment.drop_{kind} takes the one image that {kind} sees from {dropped:.0%} of the "
            "samples, boxes stay: that teaches it nothing"
        )
    if kind == "ir" and augment.ir_shift:
        yield (
            "augment.ir_shift moves the one image that ir sees away from its boxes: that teaches "
            "it nothing"
        )
