"""Weights of another detector, or of a published network, into the streams of a fresh detector.

Every stream is filled, whichever the weights were made for, and what was filled is counted: a
detector that silently starts from chance learns, and nobody sees why it learns badly. Reading files
is the business of `engine/weights.py`; how the modules of a kind name the tensors of a plain
pyramid, that of `junctions.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fusetrain.detector.backbone import Pyramid
from fusetrain.detector.detector import FusionDetector
from fusetrain.detector.junctions import STREAMS, CutPyramid, PyramidStart, SharedPyramid

LEAST_BACKBONE_SHARE = 0.9
WRAPPERS = ("module.", "_orig_mod.")
IR_CHANNELS, RGB_CHANNELS, JOINT_CHANNELS = 1, 3, 4

Stream = dict[str, Tensor]


@dataclass(frozen=True)
class Coverage:
    """How much of each part was filled.

    Attributes:
        filled: Part to its values (weights and statistics) that were filled.
        total: Part to all of its values.
    """

    filled: Mapping[str, int]
    total: Mapping[str, int]

    def share(self, part: str) -> float:
        """Return the filled share of a part, from 0 to 1."""
        return self.filled[part] / max(1, self.total[part])

    @property
    def is_partial(self) -> bool:
        """Return whether a backbone got less than LEAST_BACKBONE_SHARE of its values."""
        return any(
            self.share(part) < LEAST_BACKBONE_SHARE for part in STREAMS if part in self.total
        )

    def __str__(self) -> str:
        """Return ``backbone 100.0 %, neck 0.0 %``, part by part."""
        return ", ".join(f"{part} {100 * self.share(part):.1f} %" for part in self.total)


def fill(
    detector: FusionDetector, tensors: Mapping[str, Tensor], *, source: FusionDetector | None
) -> Coverage:
    """Fill a detector with all that fits, and say how much that is.

    RGB weights fill the IR stream too where there are none of IR, and the other way round. A first
    convolution of other input channels is converted: IR takes the sum of the three colours, which
    is their mean times three and answers to a grey image as before; RGB takes a third of IR in
    each colour; four channels take half of either. Neck, head and fusion are filled where name and
    shape agree.

    Args:
        detector: Fresh; changed in place.
        tensors: Names to values, of a detector of ours, or of a network of torchvision or a part
            of it.
        source: A detector of the shape that ``tensors`` come from (it may be without memory); None
            where they are those of a network.
    """
    tensors = unwrapped(tensors)
    streams = _streams_of(source, tensors) if source else _published(detector, tensors)
    own = detector.state_dict(keep_vars=True)
    filled: set[str] = set()
    for stream, canonical, name in stream_places(detector):
        donor = streams.get(stream) or next(iter(streams.values()), {})
        if canonical in donor and _copied(donor[canonical], own[name]):
            filled.add(name)
    others = [name for name in own if source is not None and _part(name) not in STREAMS]
    for name in others:
        fits = name in tensors and tensors[name].shape == own[name].shape
        if fits and _copied(tensors[name], own[name]):
            filled.add(name)
    parts = detector.parts()
    return Coverage(
        *(
            {
                part: sum(own[name].numel() for name in chosen if _part(name) == part)
                for part in parts
            }
            for chosen in (filled, own)
        )
    )


def stream_places(detector: FusionDetector) -> Iterator[tuple[str, str, str]]:
    """Yield stream, name in a plain pyramid and name in this detector of all tensors of streams.

    What two streams share is that of RGB.
    """
    for part in STREAMS:
        module: nn.Module | None = getattr(detector, part)
        if isinstance(module, SharedPyramid | CutPyramid | PyramidStart):
            for stream, canonical, name in module.pyramid_names(part):
                yield stream, canonical, f"{part}.{name}"
        elif isinstance(module, Pyramid):
            yield from ((part, name, f"{part}.{name}") for name in module.state_dict())


def _streams_of(source: FusionDetector, tensors: Mapping[str, Tensor]) -> dict[str, Stream]:
    """Return the tensors of each stream that the source has, by their names in a plain pyramid."""
    streams: dict[str, Stream] = {}
    for stream, canonical, name in stream_places(source):
        if name in tensors:
            streams.setdefault(stream, {})[canonical] = tensors[name]
    for stream, values in streams.items():  # what a shared backbone has once
        streams[stream] = {**streams.get(STREAMS[0], {}), **values}
    return streams


def _published(detector: FusionDetector, tensors: Mapping[str, Tensor]) -> dict[str, Stream]:
    """Return the tensors of a published network by the names that its pyramid here gives them."""
    for part in STREAMS:
        names: Mapping[str, str] = getattr(getattr(detector, part), "published_names", {})
        if names:
            found = {name: tensors[theirs] for name, theirs in names.items() if theirs in tensors}
            return {STREAMS[0]: found}
    return {}


def _copied(value: Tensor, place: Tensor) -> bool:
    """Copy a value to its place, converted where only its input channels differ; say if it fits."""
    if value.shape != place.shape:
        is_first = value.dim() == place.dim() == 4 and value.shape[0] == place.shape[0]
        if not is_first or value.shape[2:] != place.shape[2:]:
            return False
        converted = convert_channels(value, place.shape[1])
        if converted is None:
            return False
        value = converted
    with torch.no_grad():
        place.copy_(value)
    return True


def convert_channels(weight: Tensor, channels: int) -> Tensor | None:
    """Return a first convolution (O, I, k, k) for other input channels; None where that is unknown.

    One, three and four channels are IR, RGB, and both.
    """
    given = weight.shape[1]
    if not {given, channels} <= {IR_CHANNELS, RGB_CHANNELS, JOINT_CHANNELS}:
        return None
    if given == JOINT_CHANNELS:
        rgb, ir = 2 * weight[:, :RGB_CHANNELS], 2 * weight[:, RGB_CHANNELS:]
    elif given == RGB_CHANNELS:
        rgb, ir = weight, weight.sum(1, keepdim=True)
    else:
        rgb, ir = weight.expand(-1, RGB_CHANNELS, -1, -1) / RGB_CHANNELS, weight
    return {
        IR_CHANNELS: ir,
        RGB_CHANNELS: rgb,
        JOINT_CHANNELS: torch.cat((rgb, ir), dim=1) / 2,
    }[channels]


def _part(name: str) -> str:
    return name.partition(".")[0]


def unwrapped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors by their names without what replicas and compilers put in front."""
    return {_unwrapped(name): value for name, value in tensors.items()}


def _unwrapped(name: str) -> str:
    """Return a name without what replicas and compilers put in front."""
    for wrapper in WRAPPERS:
        name = name.removeprefix(wrapper)
    return name
