"""The optimizer and its parameter groups: one a part and kind, in the order of the LR columns.

Weights of convolutions and linear layers decay; weights of normalisation layers and all biases do
not. A group names its part, its kind and its parameters, so that a checkpoint cannot be loaded into
groups that mean something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from fusetrain.engine import OPTIMIZERS
from fusetrain.errors import RunError
from fusetrain.schedule.plan import GroupKey

# Taken from a checkpoint: what the schedule writes, and the parameters, which stay the own ones.
SAVED_OPTIONS = ("params", "lr", "momentum", "betas")
_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm)


def build_optimizer(
    name: str,
    parts: Mapping[str, nn.Module],
    *,
    groups: Sequence[GroupKey],
    lr: float,
    momentum: float,
    weight_decay: float,
    product_dtype: torch.dtype = torch.float32,
) -> torch.optim.Optimizer:
    """Return the optimizer over ``parts`` with one parameter group for each of ``groups``.

    Args:
        name: adamw, sgd, adam or muon.
        parts: Part name to its module.
        groups: Keys in the order of the columns; a key without a part spans all parts.
        lr: Learning rate before the schedule first sets it.
        momentum: SGD momentum (Nesterov's form), beta1 of Adam, or both of Muon.
        weight_decay: Decay of the groups of kind ``decay``.
        product_dtype: Type of the matrix products of Muon.
    """
    members = _members(parts)
    param_groups = []
    for key in groups:
        chosen = [
            (parameter_name, parameter)
            for part, kind, parameter_name, parameter in members
            if kind == key.kind and key.part in (None, part)
        ]
        param_groups.append(
            {
                "params": [parameter for _, parameter in chosen],
                "names": [parameter_name for parameter_name, _ in chosen],
                "part": key.part,
                "kind": key.kind,
                "weight_decay": weight_decay if key.kind == "decay" else 0.0,
            }
        )
    options: dict[str, Any] = {"lr": lr, "fused": True}
    if name == "sgd":
        options |= {"momentum": momentum, "nesterov": momentum > 0}
    else:
        options["betas"] = (momentum, 0.999)
    if name == "muon":
        options["product_dtype"] = product_dtype
    optimizer: torch.optim.Optimizer = OPTIMIZERS.get(name)(param_groups, **options)
    if options.get("momentum"):
        _start_momentum(optimizer)
    return optimizer


def restore_optimizer(saved: dict[str, Any], optimizer: torch.optim.Optimizer) -> None:
    """Load the state of an optimizer, but keep the options that no schedule writes as they are.

    Args:
        saved: What ``state_dict`` of an optimizer of the same parameters returned.
        optimizer: Gets the state; tensors take the order in memory of their parameters.

    Raises:
        RunError: The state is that of other parameters, or of other shapes.
    """
    own = [{key: value for key, value in group.items()} for group in optimizer.param_groups]
    for mine, theirs in zip(own, saved["param_groups"], strict=False):
        if mine["names"] != theirs.get("names"):
            raise RunError(
                f"parameter group {mine['part'] or 'all'}/{mine['kind']} of the checkpoint "
                "holds other parameters"
            )
    if len(own) != len(saved["param_groups"]):
        raise RunError("the checkpoint has another number of parameter groups")
    _refuse_other_moments(saved["state"], own)
    optimizer.load_state_dict(saved)
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if value.shape == parameter.shape:
                # Of another order in memory, a moment would be taken for that of other weights.
                values[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
    for group, mine in zip(optimizer.param_groups, own, strict=True):
        group.update({key: value for key, value in mine.items() if key not in SAVED_OPTIONS})


def _refuse_other_moments(
    saved: Mapping[int, Mapping[str, Any]], groups: Sequence[Mapping[str, Any]]
) -> None:
    """Raise if the optimizer's tensors have not the shapes of their parameters."""
    parameters = [parameter for group in groups for parameter in group["params"]]
    for number, values in saved.items():
        for name, value in values.items():
            if value.dim() and value.shape != parameters[number].shape:
                raise RunError(
                    f"{name} of parameter {number} of the optimizer has the shape "
                    f"{tuple(value.shape)}, the parameter {tuple(parameters[number].shape)}"
                )


def _start_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Let all momentum start at zero, from which the first step is what it would be without any.

    The fused SGD leaves a new buffer as memory happens to be where its first step is skipped, and
    cannot make one for a parameter that is trained later than others of its group.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def _members(parts: Mapping[str, nn.Module]) -> list[tuple[str, str, str, nn.Parameter]]:
    """Return (part, kind, full name, parameter) of every parameter that is trained."""
    members = []
    for part, root in parts.items():
        for module_name, module in root.named_modules():
            for leaf, parameter in module.named_parameters(recurse=False):
                if parameter.requires_grad:
                    full_name = ".".join(filter(None, (part, module_name, leaf)))
                    members.append((part, _kind(module, leaf), full_name, parameter))
    return members


def _kind(module: nn.Module, leaf: str) -> str:
    if leaf == "bias":
        return "bias"
    return "norm" if isinstance(module, _NORMS) or leaf != "weight" else "decay"
