"""How a run uses its machine: device, precision, memory layout, threads, allocator.

Everything is a fixed function of what the machine can do and of the settings, never of a timing, so
that two fresh runs of one config on one machine are bit-equal. What was chosen is printed, written
into the run's config and reused by `resume`.
"""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from typing import Literal

import numpy as np
import PIL
import torch
from torch.utils import deterministic

from fusetrain import launched
from fusetrain.allocator import keep_freed_memory
from fusetrain.errors import ResourceError

Precision = Literal["bf16", "fp16"] | None

COMPILERS = ("g++", "clang++", "c++", "gcc", "clang", "cc", "cl")


@dataclass(frozen=True)
class Machine:
    """The choices for one run.

    Attributes:
        device: Where the detector runs.
        precision: Type of the convolutions under autocast; None keeps float32.
        channels_last: Whether images and weights lie with their channels innermost.
        threads: CPU threads of this rank.
        workers: Loader processes of this rank.
        deterministic: Whether reruns are bit-equal.
    """

    device: torch.device
    precision: Precision
    channels_last: bool
    threads: int
    workers: int
    deterministic: bool

    @property
    def dtype(self) -> torch.dtype:
        """Return the type in which images enter the detector."""
        return {"bf16": torch.bfloat16, "fp16": torch.float16, None: torch.float32}[self.precision]

    @property
    def memory_format(self) -> torch.memory_format:
        """Return the layout of images and weights."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def autocast(self) -> torch.autocast:
        """Return the context of forward passes."""
        enabled = self.precision is not None
        dtype = self.dtype if enabled else None
        return torch.autocast(self.device.type, dtype=dtype, enabled=enabled)

    def apply(self) -> None:
        """Set threads, determinism and allocator of this process."""
        torch.set_num_threads(self.threads)
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
            torch.backends.cudnn.benchmark = not self.deterministic
            torch.use_deterministic_algorithms(self.deterministic, warn_only=True)
            if self.deterministic:  # read by cuBLAS at its first use; else its sums may vary
                os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
                for enable in (  # the other kernels of attention sum in no fixed order
                    torch.backends.cuda.enable_flash_sdp,
                    torch.backends.cuda.enable_mem_efficient_sdp,
                    torch.backends.cuda.enable_cudnn_sdp,
                ):
                    enable(False)
            # Off: it costs a pass over every new tensor and fills what nobody reads.
            setattr(deterministic, "fill_uninitialized_memory", False)  # noqa: B010 - untyped
        else:
            # On a CPU every operation used here repeats its bits for a given number of threads;
            # the switch would change nothing but load torch's compiler, which takes seconds.
            keep_freed_memory()


def choose_machine(
    *,
    device: str,
    amp: str | bool,
    memory_format: str,
    threads: int | None,
    workers: int | None,
    deterministic: bool | None,
) -> Machine:
    """Return the choices for the given settings (see `config.schema.TrainSettings`).

    Raises:
        ResourceError: The device is not there, or cannot compute in the precision asked for.
    """
    place = _device(device)
    on_cpu = place.type == "cpu"
    cores = launched.cores_of_this_rank(launched.available_cores())
    return Machine(
        device=place,
        precision=_precision(amp, place),
        channels_last=memory_format != "contiguous",
        threads=threads or cores,
        workers=workers if workers is not None else (0 if on_cpu else min(8, cores)),
        deterministic=deterministic if deterministic is not None else on_cpu,
    )


def require_compiler() -> None:
    """Make sure that `torch.compile` can build what it writes; only its first step would tell.

    Raises:
        ResourceError: There is no compiler for C or C++.
    """
    named = (os.environ.get("CXX"), os.environ.get("CC"))
    names = [name for name in (*named, *COMPILERS) if name]
    if not any(map(shutil.which, names)):
        raise ResourceError(
            "train.compile needs a compiler for C and C++, and there is none",
            expected=f"one of {', '.join(COMPILERS)} on the PATH, or named by CC and CXX",
            remedy="install one, or --set train.compile=false",
        )


def default_machine() -> Machine:
    """Return the choices for work outside of a training: float32, everything else by itself."""
    return choose_machine(
        device="auto",
        amp=False,
        memory_format="auto",
        threads=None,
        workers=0,
        deterministic=True,
    )


def describe(machine: Machine) -> str:
    """Return one line for people: where and how the detector runs."""
    precision = machine.precision or "fp32"
    layout = "channels_last" if machine.channels_last else "contiguous"
    name = torch.cuda.get_device_name(machine.device) if machine.device.type == "cuda" else "CPU"
    exact = ", bit-equal reruns" if machine.deterministic else ""
    return (
        f"{name} ({machine.device}), {precision}, {layout}, {machine.threads} threads, "
        f"{machine.workers} loader processes{exact}"
    )


def surroundings(machine: Machine) -> dict[str, str | int]:
    """Return what the bits of a training depend on beside its settings and data."""
    return {
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "python": platform.python_version(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": machine.threads,
        "device": machine.device.type,
        **(_gpu(machine.device) if machine.device.type == "cuda" else {}),
    }


def _gpu(device: torch.device) -> dict[str, str | int]:
    """Return what the bits of a training on a GPU depend on."""
    return {
        "gpu": torch.cuda.get_device_name(device),
        "cuda": str(torch.version.cuda),
        "cudnn": torch.backends.cudnn.version() or 0,
    }


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    # srun may show each task no GPU but its own, as number 0.
    is_own = count == 1 and launched.launcher() == "srun"
    index = int(name.partition(":")[2] or (0 if is_own else launched.place().local_rank))
    if index >= count:
        raise ResourceError(
            f"device {name} is not there: {count or 'no'} CUDA devices are visible",
            remedy="--set train.device=cpu, or auto",
        )
    return torch.device("cuda", index)


def _precision(amp: str | bool, device: torch.device) -> Precision:
    if amp is False:
        return None
    native_bf16 = _native_bf16(device)
    if amp == "bf16":
        return "bf16"
    if amp == "fp16":
        if device.type == "cpu":
            raise ResourceError(
                "fp16 is slower than fp32 on CPUs and not trained with there",
                remedy="--set train.amp=auto",
            )
        return "fp16"
    if device.type == "cuda":
        return "bf16" if native_bf16 else "fp16"
    return "bf16" if native_bf16 else None


def _native_bf16(device: torch.device) -> bool:
    """Return whether the device multiplies bf16 matrices in hardware."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
