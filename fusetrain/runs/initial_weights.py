"""What fills a fresh detector: weights that the config names, or the base of an adapter.

What was filled is told part by part; too little is an error. How values of one detector become
those of another is told in `detector/transfer.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from fusetrain.config.schema import BASES, Config
from fusetrain.config.stages import ADAPTER
from fusetrain.detector.detector import FusionDetector
from fusetrain.detector.key_map import mapped, read_key_map
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.detector.singles import MODALITIES
from fusetrain.detector.transfer import LEAST_BACKBONE_SHARE, fill, unwrapped
from fusetrain.engine.weights import WeightsInfo, load_detector, load_source
from fusetrain.errors import ConfigError, RunError


def fill_at_start(
    detector: FusionDetector, config: Config, *, class_names: Sequence[str]
) -> list[str]:
    """Fill a fresh detector with what the config names; return what a user should know.

    Raises:
        RunError: The weights cannot be used, or fill too little.
        ConfigError: The key map does not fit.
    """
    model = config.model
    if model.fusion == ADAPTER and model.base not in BASES:
        return [_fill_from_run(detector, Path(model.base), class_names=class_names)]
    if model.weights is None:
        return []
    return [_fill_from_weights(detector, config, num_classes=len(class_names))]


def frozen_parts(spec: DetectorSpec) -> tuple[str, ...]:
    """Return the parts of an adapter that are its base."""
    return ("backbone_ir" if spec.base == "ir" else "backbone", "neck", "head")


def load_base(path: Path) -> tuple[FusionDetector, WeightsInfo]:
    """Return the detector of a run that an adapter builds on.

    Raises:
        RunError: It is damaged, or of several modalities.
    """
    detector, info = load_detector(path)
    if info.detector.kind not in MODALITIES:
        raise RunError(
            f"an adapter cannot build on a detector of the kind {info.detector.kind}",
            where=str(path),
            expected="`model.base`: auto, rgb, ir, or a run of `model.fusion` rgb or ir",
        )
    return detector, info


def _fill_from_run(detector: FusionDetector, path: Path, *, class_names: Sequence[str]) -> str:
    """Put the detector of a run into a fresh adapter as its base, and its stream into the other."""
    base, info = load_base(path)
    if info.class_names != tuple(class_names):
        raise RunError(
            f"the base knows the classes {', '.join(info.class_names)}",
            where=str(path),
            expected=f"those of the data set: {', '.join(class_names)}",
        )
    coverage = fill(detector, base.state_dict(), source=base)
    parts = frozen_parts(replace(info.detector, base=info.detector.kind))
    if any(coverage.share(part) < 1 for part in parts):
        found = info.detector
        raise RunError(
            f"the base is of another shape: {coverage}",
            where=str(path),
            expected="`model.backbone`, `size`, `width`, `finest`, `one_to_one` as in the base",
            remedy=f"--set model.backbone={found.backbone} --set model.size={found.size} "
            f"--set model.width={found.width:g} --set model.finest={found.finest} "
            f"--set model.one_to_one={str(found.one_to_one).lower()}",
        )
    return f"base: {info.detector.kind}, from {path}"


def _fill_from_weights(detector: FusionDetector, config: Config, *, num_classes: int) -> str:
    """Fill a fresh detector with the weights that a config names; return what was filled."""
    path = Path(str(config.model.weights))
    tensors, source = load_source(path)
    used = ""
    if config.model.key_map is not None:
        if source is not None:
            raise ConfigError(
                f"{path} is of a fusetrain run, which needs no key map",
                remedy="take `model.key_map` out",
            )
        given = len(tensors)
        source = _plain(config, num_classes)
        tensors = _renamed(tensors, Path(config.model.key_map), source)
        used = f" (key map: {len(tensors)} of {given} tensors)"
    coverage = fill(detector, tensors, source=source)
    if coverage.is_partial and not config.model.partial:
        raise RunError(
            f"{path} fills too little: {coverage}",
            expected=f"at least {LEAST_BACKBONE_SHARE:.0%} of each backbone",
            remedy="choose `model.backbone` and `model.size` as the weights have them, or accept "
            "it with --set model.partial=true",
        )
    return f"weights from {path}{used}: {coverage}"


def _plain(config: Config, num_classes: int) -> FusionDetector:
    """Return a `mid` detector of a config, without memory: a key map speaks of its names."""
    shape = config.model
    spec = DetectorSpec("mid", shape.operator, shape.backbone, shape.size, shape.width, num_classes)
    with torch.device("meta"):
        return build_detector(spec)


def _renamed(
    tensors: Mapping[str, Tensor], key_map: Path, plain: FusionDetector
) -> dict[str, Tensor]:
    return mapped(read_key_map(key_map), unwrapped(tensors), known=plain.state_dict())
