"""How the value of a foreign setting becomes one of ours, or why it cannot.

Each function takes the value as their file has it and returns dotted keys of ours with values; no
key at all where ours behaves so anyway. Which key takes which function is told in `keys.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Any

Values = dict[str, Any]
Convert = Callable[[Any], Values]
OPTIMIZERS = ("sgd", "adam", "adamw")
FUSIONS = {
    "data": "data",
    "early": "data",
    "mid": "mid",
    "middle": "mid",
    "late": "late",
    "decision": "decision",
    "rgb": "rgb",
    "ir": "ir",
}
SIZES = "nsmlx"


class NotTakenError(ValueError):
    """A value that has no counterpart here; the text says why, and what stands for it."""


def to(key: str) -> Convert:
    """Return what passes a value on under a key of ours."""
    return lambda value: {key: value}


def left(reason: str) -> Convert:
    """Return what takes no value over."""

    def refuse(value: Any) -> Values:
        raise NotTakenError(reason)

    return refuse


def only(usual: Any, reason: str) -> Convert:
    """Return what takes the one value that ours has built in, and no other."""

    def check(value: Any) -> Values:
        if value is usual or (type(value) is not bool and value == usual):
            return {}
        raise NotTakenError(reason)

    return check


def batch(value: Any) -> Values:
    """A number of images; -1 and shares of the memory ask for the largest that fits."""
    if isinstance(value, int) and value > 0:
        return {"train.batch": value}
    return {"train.batch": "auto"}


def accumulated(nominal: Any, pairs: Any) -> int | None:
    """Return how many batches a step sums up to come near a nominal batch; None if unknown."""
    if type(nominal) is int and type(pairs) is int and min(nominal, pairs) > 0:
        return max(1, round(nominal / pairs))
    return None


def cache(value: Any) -> Values:
    """True, ram, disk or false."""
    names = {True: "ram", "ram": "ram", "True": "ram", "disk": "disk", False: "none"}
    if isinstance(value, bool | str) and value in names:
        return {"train.cache": names[value]}
    raise NotTakenError("known: true, ram, disk, false")


def device(value: Any) -> Values:
    """A number, a list of numbers as a list or between commas, cpu."""
    text = value if isinstance(value, str) else ""
    numbers = [int(part) for part in text.split(",") if part.strip().isdigit()]
    if isinstance(value, list):
        numbers = [part for part in value if type(part) is int]
    if type(value) is int:
        numbers = [value]
    if text.startswith("cuda") or text == "cpu":
        return {"train.device": text}
    if len(numbers) == 1 and numbers[0] >= 0:
        return {"train.device": f"cuda:{numbers[0]}"}
    if len(numbers) > 1 and min(numbers) >= 0:
        return {"train.devices": numbers}
    raise NotTakenError("known: cpu, a number of a CUDA device, or several; none: auto")


def image_size(value: Any) -> Values:
    """A side in px, or height and width, of which the longer counts."""
    sides = value if isinstance(value, list) else [value]
    if sides and all(type(side) is int for side in sides):
        return {"train.imgsz": max(sides)}
    raise NotTakenError("expected a side in px, or height and width")


def freeze(value: Any) -> Values:
    """Numbers of layers, which mean nothing in another network."""
    if value in (0, []):
        return {}
    raise NotTakenError("layers have no numbers here; train.freeze and train.stages name parts")


def fusion(value: Any) -> Values:
    """Where two streams meet."""
    name = str(value).lower().replace("_fusion", "").replace("-fusion", "")
    if name in FUSIONS:
        return {"model.fusion": FUSIONS[name]}
    raise NotTakenError("`fusetrain models` lists the kinds of fusion")


def model_size(value: Any) -> Values:
    """The letter at the end of a model's name, such as yolo11s.pt or yolov8n-dual.yaml."""
    name = PurePath(str(value).replace("\\", "/")).stem.lower()
    head = name.split("-")[0].split("_")[0]
    if head[-1:] in SIZES and head[-2:-1].isdigit():
        return {"model.size": head[-1]}
    raise NotTakenError("no size n, s, m, l or x in this name; see model.size and model.fusion")


def optimizer(value: Any) -> Values:
    """The name of an optimizer."""
    name = str(value).lower()
    if name in OPTIMIZERS:
        return {"optim.name": name}
    if name == "auto":
        raise NotTakenError("chosen there by the length of the run; here it is adamw unless set")
    raise NotTakenError(f"known here: {', '.join(OPTIMIZERS)}")


def pretrained(value: Any) -> Values:
    """Whether the run starts from weights; their files hold other networks."""
    if value is False:
        return {}
    raise NotTakenError(
        "weights of another network do not fit, and nothing is downloaded; model.weights takes a "
        "run, or a backbone of torchvision"
    )


def save_period(value: Any) -> Values:
    """Epochs from one save to the next; theirs keeps all files, ours the last and the best."""
    return {"train.save_every": {"epochs": value}} if isinstance(value, int) and value > 0 else {}


def precision(value: Any) -> Values:
    """Mixed precision, on or off."""
    if isinstance(value, bool):
        return {"train.amp": "auto" if value else False}
    raise NotTakenError("expected true or false")


def channels(value: Any) -> Values:
    """How many channels an image file has."""
    if value in (3, 4):
        return {"channels": "rgbt"} if value == 4 else {}
    raise NotTakenError("a file holds three channels, or four with infrared")


def compiled(value: Any) -> Values:
    """Whether the network is compiled; theirs may name a mode."""
    return {"train.compile": bool(value)}


def cosine(value: Any) -> Values:
    """Whether the rate falls along a cosine; it falls along a line otherwise."""
    return {"schedule.name": "cosine" if value is True else "linear"}


def task(value: Any) -> Values:
    """What is trained."""
    if value == "detect":
        return {}
    raise NotTakenError("boxes are all that is detected here; oriented ones become upright")
