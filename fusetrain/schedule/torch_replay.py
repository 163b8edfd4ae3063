"""Any scheduler class of torch, as a curve: `schedule.name: torch:StepLR` with its own options.

The class runs from step 0 on a dummy optimizer whose rate is lr0, once, and what it did is written
down; a run asks that record. torch is imported only when such a name is used. Classes are looked up
in `torch.optim.lr_scheduler` and nowhere else, and no option is evaluated.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from fusetrain.config.faults import shown
from fusetrain.errors import did_you_mean, nearest
from fusetrain.schedule.curves import Compose, no_setting

PREFIX = "torch:"
GIVEN = ("self", "optimizer", "last_epoch", "verbose")
MADE_OF_OTHERS = "is made of other schedulers; `sequence` runs curves one after another"
INSTEAD = {
    "ReduceLROnPlateau": "needs a metric; `plateau` is the same schedule with one",
    "SequentialLR": MADE_OF_OTHERS,
    "ChainedScheduler": MADE_OF_OTHERS,
}
KeyProblems = list[tuple[tuple[str | int, ...], str]]


@dataclass(frozen=True)
class TorchReplay:
    """What a torch scheduler does, recorded from step 0.

    With `unit: epoch` the class is stepped once an epoch, with `unit: step` once a step; its
    options mean what torch's documentation says, in these units, and rates are absolute.

    Attributes:
        factors: Share of lr0 at each step of the class.
        momenta: Momentum at each of them; empty where the class leaves it alone.
        every: Optimizer steps of one step of the class.
    """

    compose: ClassVar[Compose] = "overlap"

    factors: tuple[float, ...] = field(metadata=no_setting())
    momenta: tuple[float, ...] = field(default=(), metadata=no_setting())
    every: int = field(default=1, metadata=no_setting())

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor on the base rate; see `Curve.factor`."""
        return self.factors[min(step // self.every, len(self.factors) - 1)]

    @property
    def moves_momentum(self) -> bool:
        """Return whether the class moves the momentum."""
        return bool(self.momenta)

    def momentum(self, step: int, total_steps: int) -> float | None:
        """Return the momentum; None where the class leaves it alone."""
        if not self.momenta:
            return None
        return self.momenta[min(step // self.every, len(self.momenta) - 1)]


def class_problem(name: str) -> str | None:
    """Return why ``torch:<class>`` cannot be used, or None."""
    from torch.optim import lr_scheduler

    wanted = name.removeprefix(PREFIX)
    if wanted in INSTEAD:
        return INSTEAD[wanted]
    base = lr_scheduler.LRScheduler
    known = [
        key
        for key, value in vars(lr_scheduler).items()
        if isinstance(value, type) and issubclass(value, base) and not key.startswith("_")
    ]
    if wanted in known and getattr(lr_scheduler, wanted) is not base:
        return None
    near = nearest(wanted, known)
    hint = f"; did you mean {PREFIX + near!r}?" if near else ""
    return f"is no scheduler class of torch.optim.lr_scheduler{hint}"


def replay(
    name: str, options: Mapping[str, Any], *, lr0: float, length: int, every: int
) -> tuple[TorchReplay | None, KeyProblems]:
    """Run a scheduler class and record what it does, or say why that is not possible.

    Args:
        name: ``torch:<class>``, known to `class_problem`.
        options: Keyword arguments of the class.
        lr0: Rate of the optimizer at the start.
        length: Steps of the class.
        every: Optimizer steps of one step of the class.
    """
    from torch.optim import lr_scheduler

    scheduler_class = getattr(lr_scheduler, name.removeprefix(PREFIX))
    if problems := _option_problems(name, scheduler_class, options):
        return None, problems
    try:
        rates, momenta = _run(scheduler_class, options, lr0=lr0, length=length)
    # A class of torch may raise anything for options that do not suit it.
    except Exception as error:
        given = ", ".join(f"{key}: {shown(value)}" for key, value in options.items())
        what = f"{name} cannot be run for {length} steps" + (f" with {given}" if given else "")
        return None, [(("name",), f"{what}; torch says: {type(error).__name__}: {error}")]
    if not all(math.isfinite(rate) and rate >= 0.0 for rate in rates):
        return None, [(("name",), f"{name} gives rates that are negative or not finite")]
    factors = tuple(rate / lr0 for rate in rates)
    return TorchReplay(factors, tuple(momenta), every), []


def _option_problems(name: str, scheduler_class: Any, options: Mapping[str, Any]) -> KeyProblems:
    parameters = {
        key: value
        for key, value in inspect.signature(scheduler_class.__init__).parameters.items()
        if key not in GIVEN
    }
    problems: KeyProblems = []
    for key in options:
        if key not in parameters:
            hint = did_you_mean(key, parameters) or f"known: {', '.join(parameters)}"
            problems.append(((key,), f"unknown parameter {key!r} of {name}; {hint}"))
    missing = [
        key
        for key, value in parameters.items()
        if value.default is inspect.Parameter.empty and key not in options
    ]
    if missing:
        problems.append((("name",), f"{name} needs {', '.join(f'`{key}`' for key in missing)}"))
    return problems


def _run(
    scheduler_class: Any, options: Mapping[str, Any], *, lr0: float, length: int
) -> tuple[list[float], list[float]]:
    """Return the rates before each step, and the momenta where the class moves them."""
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr0, momentum=0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of options that torch will drop one day
        scheduler = scheduler_class(optimizer, **options)
        group = optimizer.param_groups[0]
        moves = "max_momentum" in group
        rates: list[float] = []
        momenta: list[float] = []
        for number in range(length):
            if number:
                optimizer.step()
                scheduler.step()
            rates.append(float(group["lr"]))
            if moves:
                momenta.append(float(group["momentum"]))
    return rates, momenta
