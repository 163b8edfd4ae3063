"""What a training asks of a cluster: storage, cores, memory, network, time. Arithmetic only.

Everything follows from figures of one machine (`Figures`), the set and the number of GPUs by the
formulas below; each says its units. Nothing here is measured, and nothing is rounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

GIGA = 1e9


@dataclass(frozen=True)
class Figures:
    """What one pair, one core, one step and one checkpoint cost.

    Attributes:
        pair_bytes: Both images of a pair on disk, bytes.
        cached_pair_bytes: A pair in the disk cache of decoded pairs, bytes.
        file_pairs_per_core_s: Training samples a second that a core makes from image files.
        cache_pairs_per_core_s: The same from the disk cache.
        pairs_read_per_sample: Pairs that are read for a sample from files (a mosaic takes four).
        step_flop_per_pair: Operations of forward and backward pass of a pair.
        forward_flop_per_pair: Of the forward pass alone.
        parameters: Of the detector.
        index_bytes_per_pair: Memory of the index, bytes.
        order_s_per_million: Seconds of the processor that the order of 10^6 pairs takes.
        order_exponent: How these seconds grow with the pairs.
        scan_pairs_s: Pairs a second whose names and labels a process reads at the start.
        check_pairs_per_core_s: Pairs a second that a core checks before a training starts.
        judge_s_per_pair: Seconds of the processor to judge the detections of a validation pair.
        checkpoint_bytes: Size of a checkpoint, bytes.
        checkpoint_s: Seconds of the processor to copy, pack and write one.
    """

    pair_bytes: float
    cached_pair_bytes: float
    file_pairs_per_core_s: float
    cache_pairs_per_core_s: float
    pairs_read_per_sample: float
    step_flop_per_pair: float
    forward_flop_per_pair: float
    parameters: float
    index_bytes_per_pair: float
    order_s_per_million: float
    order_exponent: float
    scan_pairs_s: float
    check_pairs_per_core_s: float
    judge_s_per_pair: float
    checkpoint_bytes: float
    checkpoint_s: float


@dataclass(frozen=True)
class Cluster:
    """Machines of a kind.

    Attributes:
        gpus: All of them.
        gpus_per_host: In one machine.
        cores_per_host: Of a processor, in one machine.
        peak_tflops: Largest rate of a GPU in the precision of the training, 10^12 operations/s.
        share: Of it that a training step reaches, in (0, 1].
        workers: Loader processes of a GPU.
        latency_s: Of one message between two ranks, s.
    """

    gpus: int
    gpus_per_host: int = 8
    cores_per_host: int = 96
    peak_tflops: float = 312.0
    share: float = 0.3
    workers: int = 8
    latency_s: float = 20e-6

    @property
    def hosts(self) -> int:
        """Return the machines that are needed."""
        return -(-self.gpus // self.gpus_per_host)


@dataclass(frozen=True)
class Training:
    """A set and how it is trained.

    Attributes:
        train_pairs: Pairs of an epoch.
        val_pairs: Pairs that are validated after each.
        batch_per_gpu: Pairs of a step on one GPU.
        imgsz: Side of the canvas, px.
    """

    train_pairs: int
    val_pairs: int
    batch_per_gpu: int = 16
    imgsz: int = 640


@dataclass(frozen=True)
class Needs:
    """What one training needs of one cluster.

    Args:
        figures: Costs of the parts.
        cluster: The machines.
        training: The set.
    """

    figures: Figures
    cluster: Cluster
    training: Training

    @property
    def pairs_per_gpu_s(self) -> float:
        """Return peak x share / operations of a pair: pairs a second of a GPU."""
        rate = self.cluster.peak_tflops * 1e12 * self.cluster.share
        return rate / self.figures.step_flop_per_pair

    @property
    def step_s(self) -> float:
        """Return batch of a GPU / its pairs a second: seconds of a step without any waiting."""
        return self.training.batch_per_gpu / self.pairs_per_gpu_s

    @property
    def epoch_s(self) -> float:
        """Return steps of an epoch x seconds of a step."""
        batch = self.training.batch_per_gpu * self.cluster.gpus
        return -(-self.training.train_pairs // batch) * self.step_s

    @property
    def pairs(self) -> int:
        """Return the pairs of both splits."""
        return self.training.train_pairs + self.training.val_pairs

    @property
    def storage_bytes(self) -> float:
        """Return pairs x bytes of a pair."""
        return self.pairs * self.figures.pair_bytes

    @property
    def cache_bytes(self) -> float:
        """Return pairs x bytes of a decoded pair: of the disk cache, on each host."""
        return self.pairs * self.figures.cached_pair_bytes

    @property
    def file_read_bytes_s(self) -> float:
        """Return samples a second x pairs read for a sample x bytes of a pair, over all GPUs."""
        samples = self.pairs_per_gpu_s * self.cluster.gpus
        return samples * self.figures.pairs_read_per_sample * self.figures.pair_bytes

    @property
    def cores_per_gpu_from_files(self) -> float:
        """Return pairs a second of a GPU / of a core that decodes and augments."""
        return self.pairs_per_gpu_s / self.figures.file_pairs_per_core_s

    @property
    def cores_per_gpu_from_cache(self) -> float:
        """Return pairs a second of a GPU / of a core that augments decoded pairs."""
        return self.pairs_per_gpu_s / self.figures.cache_pairs_per_core_s

    @property
    def host_memory_bytes(self) -> float:
        """Return what the data path holds in the memory of a host.

        Each rank has an index of its own, which its forked loader processes share, an order of the
        epoch (8 bytes a pair), and two batches (4 bytes a pixel) for each loader process.
        Interpreters and libraries, some 0.5 GB a rank, come on top.
        """
        training, cluster = self.training, self.cluster
        order = 8.0 * training.train_pairs
        batches = 2.0 * cluster.workers * training.batch_per_gpu * training.imgsz**2 * 4
        return min(cluster.gpus, cluster.gpus_per_host) * (self.index_bytes + order + batches)

    @property
    def order_s(self) -> float:
        """Return the seconds at 10^6 pairs x (pairs / 10^6) ^ exponent: on each rank, an epoch."""
        millions = self.training.train_pairs / 1e6
        return self.figures.order_s_per_million * millions**self.figures.order_exponent

    @property
    def gradient_bytes(self) -> float:
        """Return 4 x parameters: gradients in float32."""
        return 4.0 * self.figures.parameters

    def ring_s(self, gbit_s: float) -> float:
        """Return the seconds of an all-reduce around a ring of N ranks, at ``gbit_s`` a GPU.

        2 (N - 1) / N x bytes / bandwidth + 2 (N - 1) x latency (Patarasuk and Yuan 2009).
        """
        ranks = self.cluster.gpus
        volume = ring_volume(ranks) * self.gradient_bytes
        return volume / (gbit_s * GIGA / 8) + 2 * (ranks - 1) * self.cluster.latency_s

    def tree_s(self, gbit_s: float) -> float:
        """Return the same over two trees that complement each other.

        2 x bytes / bandwidth + 2 log2 N x latency (Sanders, Speck and Traeff 2009); NCCL does so
        among many ranks.
        """
        depth = math.ceil(math.log2(max(1, self.cluster.gpus)))
        volume = 2 * self.gradient_bytes if depth else 0.0
        return volume / (gbit_s * GIGA / 8) + 2 * depth * self.cluster.latency_s

    @property
    def validation_s(self) -> float:
        """Return forward passes on all GPUs + the judging, which is done on one core.

        Validation pairs are read like those of training; that is not in here.
        """
        rate = self.cluster.peak_tflops * 1e12 * self.cluster.share
        flop = self.training.val_pairs * self.figures.forward_flop_per_pair
        judging = self.training.val_pairs * self.figures.judge_s_per_pair
        return flop / (rate * self.cluster.gpus) + judging

    @property
    def start_s(self) -> float:
        """Return the seconds of reading names and labels, and of checking all images.

        pairs / scan rate + pairs / (check rate of a core x cores of a host): the first rank does
        both, on its host alone, while the others wait, and sends them the index.
        """
        figures = self.figures
        checking = figures.check_pairs_per_core_s * self.cluster.cores_per_host
        return self.pairs / figures.scan_pairs_s + self.pairs / checking

    @property
    def index_bytes(self) -> float:
        """Return pairs x bytes of a pair: what the first rank sends to each other one."""
        return self.pairs * self.figures.index_bytes_per_pair


def ring_volume(ranks: int) -> float:
    """Return 2 (N - 1) / N: what a rank sends in an all-reduce, in sizes of what is reduced."""
    return 2 * (ranks - 1) / ranks
