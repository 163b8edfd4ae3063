import hashlib
import io
import os
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from fusetrain.durable import write_durably
from fusetrain.engine.background import Writer
from fusetrain.engine.checkpoint import (
    MAGIC,
    TrainState,
    pack,
    read_newest,
    unpack,
)
from fusetrain.errors import ResourceError, RunError

CONTENT: dict[str, Any] = {
    "tensor": torch.arange(12.0).reshape(3, 4),
    "nested": {"list": [1, 2.5, None, "text"], "flag": True},
}


def test_content_comes_back_equal_and_with_its_strides() -> None:
    strided = torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last)
    back = unpack(pack(CONTENT | {"strided": strided}), "test")
    assert torch.equal(back["tensor"], CONTENT["tensor"])
    assert back["nested"] == CONTENT["nested"]
    assert back["strided"].stride() == strided.stride()


@pytest.mark.fault(11)
def test_every_single_flipped_bit_is_noticed() -> None:
    data = bytearray(pack(CONTENT))
    chooser = random.Random(0)
    for _ in range(300):
        place, bit = chooser.randrange(len(data)), 1 << chooser.randrange(8)
        data[place] ^= bit
        with pytest.raises(RunError):
            unpack(bytes(data), "test")
        data[place] ^= bit
    unpack(bytes(data), "test")


@pytest.mark.parametrize("size", [0, 1, len(MAGIC), len(MAGIC) + 40, -1])
@pytest.mark.fault(9)
def test_truncated_file_is_noticed(size: int) -> None:
    with pytest.raises(RunError):
        unpack(pack(CONTENT)[:size], "test")


@pytest.mark.fault(14)
def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    sentinel = tmp_path / "sentinel"

    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(sentinel),)

    buffer = io.BytesIO()
    torch.save({"evil": Payload()}, buffer)
    data = MAGIC + hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue()
    with pytest.raises(RunError, match="refused"):
        unpack(data, "test")
    assert not sentinel.exists()


def test_other_types_than_tensors_and_json_are_not_packed() -> None:
    with pytest.raises(AssertionError, match="Path"):
        pack({"nested": [Path("somewhere")]})


def test_second_save_keeps_the_first_as_previous(tmp_path: Path) -> None:
    last, previous = tmp_path / "last.pt", tmp_path / "last.prev.pt"
    for number in range(3):
        write_durably(last, pack({"number": number}), previous=previous)
    assert unpack(last.read_bytes(), "last")["number"] == 2
    assert unpack(previous.read_bytes(), "previous")["number"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.prev.pt", "last.pt"]


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "remove"])
@pytest.mark.fault(9, 10, 11, 12)
def test_damaged_newest_file_is_passed_over_and_named(tmp_path: Path, damage: str) -> None:
    last, previous = tmp_path / "last.pt", tmp_path / "last.prev.pt"
    write_durably(last, pack({"number": 1}), previous=previous)
    write_durably(last, pack({"number": 2}), previous=previous)
    data = bytearray(last.read_bytes())
    if damage == "flip":
        data[-100] ^= 4
        last.write_bytes(data)
    elif damage == "remove":
        last.unlink()
    else:
        last.write_bytes(data[: 0 if damage == "empty" else len(data) // 2])
    content, file, reason = read_newest(tmp_path)
    assert content["number"] == 1
    assert file == previous
    assert "last.pt" in reason


@pytest.mark.fault(13)
def test_no_sound_file_names_every_reason(tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"junk")
    with pytest.raises(RunError, match=r"last\.pt.*last\.prev\.pt"):
        read_newest(tmp_path)


def test_full_disk_keeps_the_old_file_and_says_how_much_was_needed(tmp_path: Path) -> None:
    import resource

    last = tmp_path / "last.pt"
    write_durably(last, pack({"number": 1}))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    large = pack({"tensor": torch.zeros(100_000)})
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(ResourceError, match=f"{len(large)} bytes"):
            write_durably(last, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert unpack(last.read_bytes(), "last")["number"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_writer_raises_what_its_job_raised() -> None:
    writer = Writer()

    def fail() -> None:
        raise ResourceError("full")

    writer.submit(fail)
    with pytest.raises(ResourceError, match="full"):
        writer.close()


@pytest.mark.fault(15)
def test_state_survives_as_json_and_refuses_other_versions() -> None:
    state = TrainState(epoch=3, loss_sums=[1.0, 2.0, 3.0, 4.0], history=[{"epoch": 1}])
    assert TrainState.from_json(state.to_json()) == state
    with pytest.raises(RunError, match="another version"):
        TrainState.from_json({"epoch": 3})
