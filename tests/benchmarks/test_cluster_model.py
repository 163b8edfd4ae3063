"""The model of a cluster: its arithmetic by hand, what it refuses, and the tables it prints."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .conftest import BENCHMARKS, run


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("measuring.cluster")


@pytest.fixture
def inputs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("measuring.cluster_inputs")


@pytest.fixture
def needs(cluster: ModuleType) -> Any:
    figures = cluster.Figures(
        pair_bytes=1e5,
        cached_pair_bytes=1e6,
        file_pairs_per_core_s=20.0,
        cache_pairs_per_core_s=200.0,
        pairs_read_per_sample=4,
        step_flop_per_pair=3e10,
        forward_flop_per_pair=1e10,
        parameters=5e6,
        index_bytes_per_pair=250.0,
        order_s_per_million=0.02,
        order_exponent=1.5,
        scan_pairs_s=1e4,
        check_pairs_per_core_s=100.0,
        judge_s_per_pair=1e-4,
        checkpoint_bytes=7e7,
        checkpoint_s=0.2,
    )
    machines = cluster.Cluster(gpus=16, cores_per_host=50, peak_tflops=300.0, share=0.2)
    training = cluster.Training(train_pairs=4_000_000, val_pairs=6_000, imgsz=100)
    return cluster.Needs(figures, machines, training)


def test_rates_follow_from_peak_share_and_operations(needs: Any) -> None:
    assert needs.cluster.hosts == 2
    assert needs.pairs_per_gpu_s == pytest.approx(2000)
    assert needs.step_s == pytest.approx(0.008)
    assert needs.epoch_s == pytest.approx(4_000_000 / 16 / 2000)
    assert needs.cores_per_gpu_from_files == pytest.approx(100)
    assert needs.cores_per_gpu_from_cache == pytest.approx(10)
    assert needs.file_read_bytes_s == pytest.approx(2000 * 16 * 4 * 1e5)


def test_storage_and_memory_follow_from_the_pairs(needs: Any) -> None:
    assert needs.storage_bytes == pytest.approx(4_006_000 * 1e5)
    assert needs.cache_bytes == pytest.approx(4_006_000 * 1e6)
    own = 4_006_000 * 250 + 4_000_000 * 8 + 2 * 8 * 16 * 100 * 100 * 4
    assert needs.host_memory_bytes == pytest.approx(8 * own)
    assert needs.order_s == pytest.approx(0.02 * 8)
    assert needs.start_s == pytest.approx(400.6 + 801.2)
    assert needs.validation_s == pytest.approx(6e13 / (16 * 6e13) + 0.6)


def test_exchange_is_volume_over_bandwidth_and_latencies(needs: Any, cluster: ModuleType) -> None:
    assert needs.gradient_bytes == pytest.approx(2e7)
    assert [cluster.ring_volume(ranks) for ranks in (1, 2, 4)] == [0.0, 1.0, 1.5]
    assert needs.ring_s(100) == pytest.approx(1.875 * 2e7 / 12.5e9 + 30 * 20e-6)
    assert needs.tree_s(100) == pytest.approx(2 * 2e7 / 12.5e9 + 8 * 20e-6)


def test_a_single_gpu_exchanges_nothing(needs: Any, cluster: ModuleType) -> None:
    alone = cluster.Needs(needs.figures, cluster.Cluster(gpus=1), needs.training)
    assert alone.ring_s(100) == alone.tree_s(100) == 0.0


def test_a_check_compares_the_largest_size_with_what_smaller_ones_say(inputs: ModuleType) -> None:
    order = inputs.Growth("order, ms", "pairs", [10, 100, 1000], [1.0, 10.0, 80.0])
    index = inputs.Growth("index, MiB", "pairs", [10, 100, 1000], [1.0, 10.0, 100.0])
    first, second = inputs.checks_of(order, index, ranks=())
    assert first.what == "order, ms, 1,000 pairs"
    assert (first.model, first.measured) == (pytest.approx(100.0), 80.0)
    assert first.deviation == pytest.approx(0.25)
    assert second.deviation == pytest.approx(0.0)


def test_a_step_costs_some_three_forward_passes(inputs: ModuleType) -> None:
    forward, step = inputs.flop_per_pair("n", 64)
    assert 2.8 < step / forward < 3.1
    larger, _ = inputs.flop_per_pair("n", 128)
    assert larger / forward == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--set", "pair_byte=3"), "'pair_byte' is none of pair_bytes, "),
        (("--share", "0"), "--share 0 is not above 0"),
        (("--gpus", "0"), "0 is not above 0"),
    ],
)
def test_what_cannot_be_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    told: str,
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr("sys.argv", ["cluster_model.py", *words])
    with pytest.raises(SystemExit) as ended:
        import_module("cluster_model").arguments()
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.slow
def test_the_tables_are_printed_and_figures_can_be_given(tmp_path: Path) -> None:
    tiny = ("--imgsz", "64", "--largest", "1000", "--scanned", "20", "--ranks", "2", "--gpus", "2")
    ended = run("cluster_model.py", *tiny, "--set", "pair_bytes=1e6", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    rows = [" ".join(line.split()) for line in ended.stdout.splitlines()]
    assert "pair_bytes 1e+06 given" in rows
    assert "storage, images 15.5 GB" in rows
    assert "storage, images 100 TB" in rows
    assert [row for row in rows if row.startswith("index in memory, MiB, 1,000 pairs")]
    assert list(tmp_path.iterdir()) == []
