"""What an epoch costs and which parts of the detector learn: the `epoch` line of events.jsonl.

A diagnosis reads it after the run; nothing of it is saved in a checkpoint, and no bit of the
training follows from it. Clocks are read around every batch; gradients, activations and pixels are
looked at once an epoch, at its last step.
"""

from __future__ import annotations

import math
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.roles import Keeper
from fusetrain.engine.step import StepRunner
from fusetrain.launched import available_cores
from fusetrain.sample import Batch, RawPredictions

STREAMS = ("rgb", "ir")
DIGITS = 4
# Every so many-th row of an image is enough to see whether there is anything in it.
ROW_STEP = 4


class Vitals:
    """Measures the running epoch on this rank; the main rank logs it.

    Args:
        runner: Runs the steps.
        keeper: Keeps the log.
        state: Where the run stands when this process takes it up.
    """

    def __init__(self, runner: StepRunner, keeper: Keeper, state: TrainState) -> None:
        self.runner = runner
        self.keeper = keeper
        self._junction = JunctionProbe(runner)
        self._told: dict[str, Any] = {}
        self._textures: dict[str, float] = {}
        self._updates = state.updates
        self._steps = 0

    def fetch(self, source: Iterator[Batch], count: int, left: int) -> list[Batch]:
        """Take the micro-batches of a step, and note how long they were waited for.

        Args:
            source: The loader.
            count: Micro-batches.
            left: Micro-batches of the epoch that are left; at its last step tensors are looked at.
        """
        asked = time.perf_counter()
        if not self._steps:
            self._begin(asked)
        batches = [next(source) for _ in range(count)]
        self._wait += time.perf_counter() - asked
        self._pairs += sum(map(len, batches))
        self._steps += 1
        if count == left:
            self._textures = textures(batches[-1])
            self._junction.watch()
        return batches

    def trained(self, state: TrainState) -> None:
        """Note that all steps of the epoch are done; what follows is validation."""
        steps, self._steps = self._steps, 0
        updates, self._updates = state.updates - self._updates, state.updates
        if not steps:  # all of them were made before a resume
            self._told = {}
            return
        self._ended = time.perf_counter()
        self._told = {
            "epoch": state.epoch + 1,
            "steps": steps,
            "skipped": max(0, steps - updates),
            "pairs": self._pairs,
            "seconds": round(self._ended - self._begun, DIGITS),
            "wait_seconds": round(self._wait, DIGITS),
            "cpu_seconds": round(time.process_time() - self._process_seconds, DIGITS),
            "grad_share": grad_shares(self.runner.detector.parts()),
            "streams": self._junction.take(),
            "texture": self._textures,
            **_surroundings(self.runner.machine.device),
            "major_faults": resource.getrusage(resource.RUSAGE_SELF).ru_majflt - self._faults,
        }

    def log(self) -> None:
        """Write the line of the epoch, after its validation."""
        if self._told:
            seconds = time.perf_counter() - self._ended
            self.keeper.log("epoch", **self._told, val_seconds=round(seconds, DIGITS))

    def _begin(self, now: float) -> None:
        self._begun = now
        self._wait = 0.0
        self._pairs = 0
        self._textures = {}
        self._process_seconds = time.process_time()
        self._faults = resource.getrusage(resource.RUSAGE_SELF).ru_majflt


class JunctionProbe:
    """Looks once at what each stream brings to where they meet, and at the gradient it gets.

    The relevance of a stream is the sum of |activation * gradient|: to first order, what taking
    it away would change in the loss (Molchanov et al. 2017, "Pruning convolutional neural networks
    for resource efficient inference").
    """

    def __init__(self, runner: StepRunner) -> None:
        self.runner = runner
        self._handles: list[RemovableHandle] = []
        self._activation: dict[str, Tensor] = {}
        self._relevance: dict[str, list[Tensor]] = {}

    def watch(self) -> None:
        """Look at the next forward and backward pass; a compiled detector is left alone."""
        inner = getattr(self.runner.model, "module", self.runner.model)
        if not hasattr(inner, "_orig_mod"):
            hook = self.runner.detector.fusion.register_forward_pre_hook(self._see)
            self._handles.append(hook)

    def take(self) -> dict[str, dict[str, float | None]]:
        """Return root mean square of the activations and share of relevance, stream by stream."""
        self._let_go()
        sums = {name: float(sum(parts)) for name, parts in self._relevance.items() if parts}
        total = sum(sums.values())
        told = {
            name: {
                "activation": _finite(float(value)),
                "relevance": _finite(sums[name] / total) if name in sums and total else None,
            }
            for name, value in self._activation.items()
        }
        self._activation, self._relevance = {}, {}
        return told

    def _see(self, fusion: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._let_go()
        for name, levels in zip(STREAMS, inputs, strict=False):
            tensors = _tensors(levels)
            if not tensors:
                continue
            squares = [tensor.detach().float().square().mean() for tensor in tensors]
            self._activation[name] = torch.stack(squares).mean().sqrt()
            seen = self._relevance.setdefault(name, [])
            for tensor in tensors:
                if tensor.requires_grad:
                    _note_relevance(tensor, seen)

    def _let_go(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []


def grad_shares(parts: dict[str, nn.Module]) -> dict[str, float | None]:
    """Return the gradient norm of each part over that of all; 0 for a part without gradients.

    Args:
        parts: Name of the part to the part, its gradients those of the last step.
    """
    norms = {}
    for name, part in parts.items():
        grads = [value.grad for value in part.parameters() if value.grad is not None]
        norms[name] = float(nn.utils.get_total_norm(grads)) if grads else 0.0
    total = math.sqrt(sum(norm * norm for norm in norms.values()))
    return {name: _finite(norm / total) if total else None for name, norm in norms.items()}


def textures(batch: Batch) -> dict[str, float]:
    """Return, for both images, the share of pixels that differ from their right neighbour.

    Padding and blank images have none, the noise of a camera makes it large.
    """
    if not len(batch):
        return {}
    rows = batch.pixels[:, ::ROW_STEP]
    differs = (rows[:, :, 1:] != rows[:, :, :-1]).float()
    shares = {"rgb": differs[..., :3].amax(-1), "ir": differs[..., 3]}
    return {name: round(float(share.mean()), DIGITS) for name, share in shares.items()}


def _note_relevance(tensor: Tensor, seen: list[Tensor]) -> None:
    value = tensor.detach()

    def note(gradient: Tensor) -> None:
        seen.append((gradient.detach().float() * value.float()).abs().sum())

    tensor.register_hook(note)


def _tensors(levels: object) -> list[Tensor]:
    """Return the tensors of what a stream brings: a map, levels, or predictions."""
    if isinstance(levels, Tensor):
        return [levels]
    if isinstance(levels, RawPredictions):
        return [levels.class_logits]
    if isinstance(levels, list | tuple):
        return [tensor for level in levels for tensor in _tensors(level)]
    return []


def _surroundings(device: torch.device) -> dict[str, Any]:
    """Return what this process takes of the machine, and what others leave of it."""
    told: dict[str, Any] = {
        "threads": torch.get_num_threads(),
        "cores": available_cores(),
        "host_cores": os.cpu_count(),
    }
    with suppress(OSError):
        told["load"] = round(os.getloadavg()[0], 2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told["memory_mib"] = round(peak / (2**20 if sys.platform == "darwin" else 2**10))
    with suppress(OSError, ValueError, IndexError):
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        told["swapped_mib"] = int(lines.get("VmSwap", "0").split()[0]) // 2**10
    if device.type == "cuda":
        told["gpu_memory_mib"] = torch.cuda.max_memory_allocated(device) // 2**20
    return told


def _finite(value: float) -> float | None:
    return round(value, DIGITS) if math.isfinite(value) else None
