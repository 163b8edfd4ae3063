from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from fusetrain.data import worker_process
from fusetrain.data.worker_process import Slot
from fusetrain.data.workers import Patience, read_ahead, read_here
from fusetrain.errors import DataError, FusetrainError, ResourceError
from fusetrain.sample import Batch

HEIGHT, WIDTH = 32, 64
SLOT_BYTES = 2 * HEIGHT * WIDTH * 4


@dataclass(frozen=True)
class Numbers:
    """Batches of two samples that hold their number; some of them do harm when they are read.

    Attributes:
        harm: Batch number to what is done: kill, crash, hang, refuse or break.
        times: How often harm is done; what was done is counted in files of ``folder``.
        may_leave_out: A pair at which workers are lost twice does no harm any more.
        told: What `learn` was told.
    """

    folder: Path
    num_batches: int = 9
    harm: dict[int, str] = field(default_factory=dict)
    times: int = 1
    may_leave_out: bool = False
    told: list[list[int]] = field(default_factory=list)

    def __len__(self) -> int:
        return self.num_batches

    def name(self, row: int) -> str:
        return f"pair-{row}"

    def take_news(self) -> list[int]:
        return [int(path.name) for path in self.folder.glob("[0-9]") if path.stat().st_size == 0]

    def learn(self, news: list[int]) -> None:
        self.told.append(news)

    def leave_out(self, row: int, fault: str) -> None:
        if not self.may_leave_out:
            raise DataError(f"workers were lost twice: {fault}", where=self.name(row))
        del self.harm[row // 2]  # a forked worker has the new dictionary

    def read(self, number: int, slot: Slot | None = None) -> Batch | FusetrainError:
        if slot is not None:
            slot.reached[0] = 2 * number + 1
        if number in self.harm and (error := self._do(number, self.harm[number])):
            return error
        pixels = np.full((2, HEIGHT, WIDTH, 4), number, np.uint8)
        if slot is not None:
            slot.pixels[: pixels.size] = pixels.reshape(-1)
            pixels = slot.pixels[: pixels.size].reshape(pixels.shape)
        return Batch(
            pixels=torch.from_numpy(pixels),
            boxes_xyxy_px=torch.full((2, 1, 4), float(number)),
            classes=torch.zeros(2, 1, dtype=torch.int64),
            is_box=torch.ones(2, 1, dtype=torch.bool),
            sample_ids=torch.tensor([2 * number, 2 * number + 1]),
            canvas_from_original=torch.ones(2, 4, dtype=torch.float64),
            original_sizes_hw=torch.ones(2, 2, dtype=torch.int64),
        )

    def _do(self, number: int, what: str) -> FusetrainError | None:
        done = len(list(self.folder.glob(f"{number}-*")))
        if done >= self.times:
            return None
        (self.folder / f"{number}-{done}").touch()
        if what in ("kill", "crash"):
            os.kill(os.getpid(), signal.SIGKILL if what == "kill" else signal.SIGSEGV)
        if what == "hang":
            time.sleep(60)
        if what == "break":
            raise ValueError("our own fault")
        return DataError("refused", where=f"file-{number}")


def numbers_of(results: list[Batch | FusetrainError]) -> list[int]:
    seen = []
    for result in results:
        assert isinstance(result, Batch)
        assert (result.pixels == result.pixels[0, 0, 0, 0]).all()
        seen.append(int(result.pixels[0, 0, 0, 0]))
        assert result.sample_ids[0] == 2 * seen[-1]
    return seen


def run(source: Numbers, num_workers: int = 2, **patience: float) -> list[Batch | FusetrainError]:
    results = read_ahead(
        source,
        workers=num_workers,
        slot_bytes=SLOT_BYTES,
        pin_memory=False,
        patience=Patience(**patience),  # type: ignore[arg-type]
    )
    return list(results)


@pytest.mark.parametrize("num_workers", [1, 2, 5, 20])
def test_batches_come_in_order_and_stay_as_they_were(tmp_path: Path, num_workers: int) -> None:
    assert numbers_of(run(Numbers(tmp_path), num_workers)) == list(range(9))
    assert not multiprocessing.active_children()


def test_no_batches_need_no_workers(tmp_path: Path) -> None:
    assert run(Numbers(tmp_path, num_batches=0)) == []


@pytest.mark.parametrize("victim", [0, 1, 4, 8])
def test_a_killed_worker_is_replaced_and_nothing_is_lost(tmp_path: Path, victim: int) -> None:
    with pytest.warns(RuntimeWarning, match=rf"ended with code -9 at pair-{2 * victim + 1}; it is"):
        results = run(Numbers(tmp_path, harm={victim: "kill"}))
    assert numbers_of(results) == list(range(9))


def test_a_silent_worker_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "LEAVE_SECONDS", 0.1)
    with pytest.warns(RuntimeWarning, match=r"was silent for 0.5 s at pair-7"):
        results = run(Numbers(tmp_path, harm={3: "hang"}), silent_seconds=0.5)
    assert numbers_of(results) == list(range(9))
    assert not multiprocessing.active_children()


def test_a_pair_that_kills_twice_is_named_and_never_read_here(tmp_path: Path) -> None:
    source = Numbers(tmp_path, harm={3: "kill"}, times=5)
    with (
        pytest.warns(RuntimeWarning, match="pair-7"),
        pytest.raises(DataError, match="pair-7: workers were lost twice: ended with code -9"),
    ):
        run(source)
    assert not multiprocessing.active_children()


def test_a_pair_that_may_be_left_out_is_and_counts_no_more(tmp_path: Path) -> None:
    harm = dict.fromkeys((1, 4, 6), "crash")
    source = Numbers(tmp_path, harm=harm, times=5, may_leave_out=True)
    with pytest.warns(RuntimeWarning, match="a loader worker ended with code -11") as caught:
        results = run(source, max_restarts=1)
    left_out = [one for one in caught if "the pair is left out" in str(one.message)]
    assert len(left_out) == 3
    assert numbers_of(results) == list(range(9))
    assert len(list(tmp_path.iterdir())) == 6


def test_what_reading_finds_out_is_told_with_its_batch(tmp_path: Path) -> None:
    source = Numbers(tmp_path)
    (tmp_path / "7").touch()
    assert numbers_of(run(source)) == list(range(9))
    assert source.told == [[7]] * 9


def test_after_many_losses_the_rest_is_read_in_this_process(tmp_path: Path) -> None:
    source = Numbers(tmp_path, harm=dict.fromkeys((1, 2, 4, 6), "kill"))
    with pytest.warns(RuntimeWarning, match="a loader worker ended") as caught:
        results = run(source, 1)
    assert [str(one.message).split("; ")[1] for one in caught] == [
        *["it is replaced"] * 3,
        "reading in this process from now on",
    ]
    assert numbers_of(results) == list(range(9))


def test_workers_that_break_down_by_themselves_end_the_reading(tmp_path: Path) -> None:
    """To read in this process what broke four of them down would risk the run."""
    source = Numbers(tmp_path, harm={1: "kill", 2: "crash"})
    with (
        pytest.warns(RuntimeWarning, match="a loader worker ended"),
        pytest.raises(ResourceError, match="2 loader workers were lost") as caught,
    ):
        run(source, max_restarts=1)
    assert [problem.where for problem in caught.value.problems] == ["pair-3", "pair-5"]
    assert not multiprocessing.active_children()


def test_without_memory_to_share_there_are_no_workers(tmp_path: Path) -> None:
    with pytest.warns(RuntimeWarning, match="no memory to share with 2 loader workers"):
        results = list(read_ahead(Numbers(tmp_path), workers=2, slot_bytes=2**50, pin_memory=False))
    assert numbers_of(results) == list(range(9))


def test_what_a_user_can_mend_comes_back_as_a_value(tmp_path: Path) -> None:
    results = run(Numbers(tmp_path, harm={5: "refuse"}))
    refused = results.pop(5)
    assert isinstance(refused, DataError)
    assert refused.where == "file-5"
    assert numbers_of(results) == [0, 1, 2, 3, 4, 6, 7, 8]


def test_a_fault_of_our_own_shows_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="our own fault"):
        run(Numbers(tmp_path, harm={2: "break"}))
    assert not multiprocessing.active_children()


def test_reading_here_gives_the_same_batches(tmp_path: Path) -> None:
    results = list(read_here(Numbers(tmp_path), pin_memory=False, first=4))
    assert numbers_of(results) == [4, 5, 6, 7, 8]


SCRIPT = """
    import os, signal, sys
    sys.path.insert(0, {folder!r})
    from pathlib import Path
    from test_workers import SLOT_BYTES, Numbers
    from fusetrain.data.workers import read_ahead
    import multiprocessing
    batches = read_ahead(Numbers(Path({tmp!r})), workers=2, slot_bytes=SLOT_BYTES, pin_memory=False)
    next(batches)
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    {ending}
"""


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", -9),
        ("sys.kept = batches; raise SystemExit(3)", 3),
    ],
)
def test_workers_never_outlive_the_main_process(tmp_path: Path, ending: str, code: int) -> None:
    script = SCRIPT.format(folder=str(Path(__file__).parent), tmp=str(tmp_path), ending=ending)
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == code
    pids = [int(pid) for pid in process.stdout.split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 20
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _runs(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
