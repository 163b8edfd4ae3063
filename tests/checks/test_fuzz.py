"""Mutated files end in findings, soon, and never in a crash: images, labels, data YAML."""

from __future__ import annotations

import io
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.checks.audit import audit_path
from fusetrain.checks.findings import CODES
from fusetrain.checks.flow.judging import Evidence, judge
from fusetrain.checks.images import PairTask, measure_pair
from fusetrain.data.index import scan_split
from fusetrain.data.spec import load_spec
from fusetrain.errors import DataError

MAX_SECONDS = 5.0
NUM_FAST = 240
NUM_SLOW = 2000
TARGETS = ("images/train/train_000.jpg", "imagesIR/train/train_000.png")
LABEL = "labels/train/train_000.txt"
TOKENS = (
    *(b"nan", b"-inf", b"1e999", b"1e-400", b"-1", b"9" * 400, b"0x1", b"1_0", b"\xff\xfe", b"\0"),
    *(b"&a", b"*a", b"!!python/object:os.system x", b"<<: *a", b"\t", b"{", b"[", b": :", b"---"),
    *(b"../../etc/passwd", b"/dev/zero", b"\xc3\x28", b"\r", b"\n\n\n", b"%", b"'", b'"'),
    *(b"\xff\xd8\xff", b"\xff\xd9", b"IEND", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"II*\0"),
)
Kind = Callable[[random.Random], bytes]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return data with bytes changed, cut out, doubled or put in."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 30))):
        at = rng.randrange(len(changed) + 1)
        if rng.random() < 0.4:  # most of what decides stands in the first bytes
            at = min(at, rng.randrange(1, 200))
        way = rng.randrange(5)
        if way == 0 and at < len(changed):
            changed[at] = rng.randrange(256)
        elif way == 1:
            del changed[at : at + rng.choice((1, 4, 100, 10**6))]
        elif way == 2:
            changed[at:at] = rng.choice(TOKENS)
        elif way == 3:
            changed[at:at] = changed[at : at + rng.randrange(1, 300)]
        elif at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def encodings() -> list[bytes]:
    """Return small pictures in all formats and some of their variants."""
    rng = np.random.Generator(np.random.PCG64(1))
    colour = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize((64, 48))
    deep = Image.fromarray(rng.integers(0, 65536, (48, 64), np.uint16))
    float_image = Image.fromarray(rng.normal(0, 1, (48, 64)).astype(np.float32))
    variants: list[tuple[Image.Image, str, dict[str, object]]] = [
        (colour, "JPEG", {}),
        (colour, "JPEG", {"progressive": True}),
        (colour, "JPEG", {"restart_marker_rows": 1}),
        (colour.convert("CMYK"), "JPEG", {}),
        (colour, "PNG", {}),
        (colour.convert("P"), "PNG", {}),
        (colour.convert("RGBA"), "PNG", {}),
        (deep, "PNG", {}),
        (deep, "TIFF", {"compression": "tiff_lzw"}),
        (float_image, "TIFF", {}),
        (colour, "TIFF", {"compression": "jpeg"}),
        (colour, "TIFF", {"compression": "tiff_deflate"}),
        (colour.convert("1"), "TIFF", {"compression": "group4"}),
        (colour, "BMP", {}),
        (colour, "WEBP", {}),
    ]
    encoded = []
    for image, kind, options in variants:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        encoded.append(buffer.getvalue())
    return encoded


def check(path: Path) -> list[str]:
    """Return the codes that are found, all in this process."""
    try:
        spec = load_spec(path)
    except DataError:
        return [entry.code for entry in audit_path(path, workers=1).findings]
    scans = {split: scan_split(spec, split) for split in spec.splits}
    facts = [
        measure_pair(PairTask(str(spec.root), split, row, rgb, ir, spec.storage))
        for split, scan in scans.items()
        for row, (rgb, ir) in enumerate(scan.pairing.pairs)
    ]
    return [entry.code for entry in judge(Evidence(scans, facts), imgsz=640, max_shift_px=10.0)]


def fuzz(make_pairs: Callable[..., Path], number: int, *, seed: int) -> dict[str, int]:
    path = make_pairs(train=2, val=1)
    root, clean = path.parent, path.parent.with_name("clean")
    shutil.copytree(root, clean)
    rng = random.Random(seed)
    pictures = encodings()
    counted: dict[str, int] = {}
    for turn in range(number):
        name = rng.choice((*TARGETS, *TARGETS, LABEL, LABEL, "data.yaml"))
        target = root / name
        source = rng.choice(pictures) if name in TARGETS else (clean / name).read_bytes()
        target.write_bytes(mutated(source, rng))
        started = time.perf_counter()
        found = check(path)
        seconds = time.perf_counter() - started
        assert seconds < MAX_SECONDS, (turn, name, seconds)
        assert set(found) <= set(CODES)
        for code in set(found):
            counted[code] = counted.get(code, 0) + 1
        shutil.copyfile(clean / name, target)
    return counted


@pytest.mark.fault(32, 36)
def test_mutated_files_are_survived(make_pairs: Callable[..., Path]) -> None:
    counted = fuzz(make_pairs, NUM_FAST, seed=0)
    assert {"I01", "I02", "I04", "L01", "S04"} <= set(counted)


@pytest.mark.slow
@pytest.mark.fault(32, 36)
def test_very_many_mutated_files_are_survived(make_pairs: Callable[..., Path]) -> None:
    counted = fuzz(make_pairs, NUM_SLOW, seed=1)
    assert {"I01", "I02", "I03", "I04", "L01", "L02", "L03", "L04", "S04"} <= set(counted)
