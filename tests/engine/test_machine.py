from pathlib import Path

import pytest
import torch

from fusetrain.engine.machine import Machine, choose_machine, describe, require_compiler
from fusetrain.errors import ResourceError
from fusetrain.launched import available_cores


def choose(**changes: object) -> Machine:
    settings = {
        "device": "cpu",
        "amp": "auto",
        "memory_format": "auto",
        "threads": None,
        "workers": None,
        "deterministic": None,
    }
    return choose_machine(**(settings | changes))  # type: ignore[arg-type]


def test_choices_are_a_fixed_function_of_the_machine() -> None:
    assert choose() == choose()


def test_cpu_defaults_are_exact_and_load_in_process() -> None:
    machine = choose()
    assert machine.deterministic
    assert machine.workers == 0
    assert machine.threads == available_cores()
    assert machine.channels_last


def test_bf16_is_chosen_only_where_it_is_native() -> None:
    capabilities = torch.cpu.get_capabilities()
    native = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    assert choose().precision == ("bf16" if native else None)
    assert choose(amp=False).precision is None
    assert choose(amp="bf16").precision == "bf16"


def test_what_the_user_sets_stays() -> None:
    machine = choose(threads=1, workers=3, deterministic=False, memory_format="contiguous")
    assert (machine.threads, machine.workers) == (1, 3)
    assert not machine.deterministic
    assert not machine.channels_last
    assert "1 threads" in describe(machine)


def test_fp16_on_a_cpu_is_refused() -> None:
    with pytest.raises(ResourceError, match="fp16"):
        choose(amp="fp16")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_absent_gpu_is_a_resource_error_with_a_remedy() -> None:
    with pytest.raises(ResourceError, match="no CUDA devices") as caught:
        choose(device="cuda:3")
    assert "train.device=cpu" in caught.value.remedy


def test_compiling_without_a_compiler_is_told_before_the_first_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("CC", "CXX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ResourceError, match="needs a compiler") as caught:
        require_compiler()
    assert "train.compile=false" in caught.value.remedy
    (tmp_path / "gcc").touch(mode=0o755)
    require_compiler()
