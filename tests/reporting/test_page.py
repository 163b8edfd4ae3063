"""The page of runs: complete, escaped, small, and as a browser sees it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.reporting.page import MAX_BYTES, write_report
from fusetrain.reporting.records import read_run
from fusetrain.results.run_dir import RunDir

from ..html_page import Page

MakeRun = Callable[..., Path]
HOSTILE = "<img src=x onerror=alert(1)>\"&'.jpg"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def leave_worst(run: Path, names: list[str]) -> None:
    """Write a sheet of worst pairs and its table into a run folder."""
    noise = np.random.default_rng(0).integers(0, 256, (100 * len(names), 800, 3), np.uint8)
    Image.fromarray(noise).save(run / "worst_pairs.jpg", quality=95)
    pairs = [
        {"rgb": name, "missed": 2, "found": 1, "place": [0, 100 * n, 800, 100 * n + 90]}
        for n, name in enumerate(names)
    ]
    told = {"schema": 1, "confidence": 0.3, "pairs": pairs}
    (run / "worst_pairs.json").write_text(json.dumps(told), encoding="utf-8")


def judge(run: Path, *names: str) -> None:
    classes = [{"name": name, "num_truth": 4, "ap50": 0.75, "ap50_95": None} for name in names]
    RunDir(run).event("judged", map50=0.75, classes=classes)


def page_of(*runs: Path, out: Path) -> Page:
    write_report([read_run(run) for run in runs], out)
    return Page(out.read_text(encoding="utf-8"))


def test_page_of_a_run_tells_outcome_curves_classes_pairs_data_and_environment(
    make_run: MakeRun, tmp_path: Path
) -> None:
    run = make_run()
    judge(run, "person")
    leave_worst(run, ["images/val/7.jpg"])
    Image.new("RGB", (40, 30)).save(run / "PR_curve.png")
    gain = {"scores": {"fused": {"map50": 0.8}, "rgb": {"map50": 0.5}, "ir": {"map50": 0.6}}}
    gain["gain"] = {"map50": 0.2}
    (run / "fusion_gain.json").write_text(json.dumps(gain), encoding="utf-8")
    page = page_of(run, out=tmp_path / "r.html")
    for words in (
        "Run exp",
        "finished : mAP50-95 0.300",
        "best epoch 2",
        "pairs, train and val 40, 10",
        "4.19 M",
        "mean average precision",
        "gain over the better one alone +0.200",
        "person 4 - 0.750 - -",
        "images/val/7.jpg 2 missed, 1 found",
        "Precision over recall",
        "P09 warn 3",
        "machine CPU",
        "python 3",
        "optim.lr0 0.001",
    ):
        assert words in page.text, words
    assert len([tag for tag, _ in page.seen if tag == "img"]) == 2


def test_page_of_several_runs_sets_them_side_by_side(make_run: MakeRun, tmp_path: Path) -> None:
    runs = [make_run(f"r{n}", scores=(0.1, 0.1 * n)) for n in range(8)]
    page = page_of(*runs, out=tmp_path / "all.html")
    assert "8 runs: r0, r1" in page.text
    assert "All settings are equal." in page.text
    assert "0.700 ★" in page.text
    curves = [a for tag, a in page.seen if tag == "path" and a.get("class", "").startswith("l")]
    assert len(curves) == 8 + 8 * 11  # the key, and a line of each run in eleven charts


def test_names_of_users_are_text_and_nothing_else(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("<script>x & y", settings='train: {epochs: 3}\nrun: {project: "<b>p"}\n')
    judge(run, HOSTILE, "\x1b[31m")
    leave_worst(run, [HOSTILE])
    page = page_of(run, out=tmp_path / "r.html")
    assert {tag for tag, _ in page.seen} & {"script", "link", "iframe", "b>p"} == set()
    assert not [name for _, entry in page.seen for name in entry if name.startswith("on")]
    assert HOSTILE in page.text
    assert "\x1b" not in page.text


def test_nothing_is_loaded_from_elsewhere(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    leave_worst(run, ["a.jpg"])
    page_of(run, out=tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert re.findall(r"""(?:src|href)=["'](?!data:image/|#)[^"']*""", text) == []


def test_page_stays_small_and_says_what_it_leaves_out(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    leave_worst(run, [f"{number}.jpg" for number in range(12)])
    heavy = np.random.default_rng(1).integers(0, 256, (900, 900, 3), np.uint8)
    for name in ("PR_curve.png", "labels.png"):
        Image.fromarray(heavy).save(run / name)
    page = page_of(run, out=tmp_path / "r.html")
    assert (tmp_path / "r.html").stat().st_size < MAX_BYTES
    assert re.search(r"\d+ pictures are left out to keep the page small", page.text)


@pytest.mark.parametrize("damage", ["gone", "no image", "no table", "places outside"])
def test_damaged_gallery_leaves_the_rest(make_run: MakeRun, tmp_path: Path, damage: str) -> None:
    run = make_run()
    leave_worst(run, ["a.jpg"])
    if damage == "gone":
        (run / "worst_pairs.jpg").unlink()
    elif damage == "no image":
        (run / "worst_pairs.jpg").write_bytes(b"no image")
    elif damage == "no table":
        (run / "worst_pairs.json").write_text("[", encoding="utf-8")
    else:
        told = {"pairs": [{"place": [0, 0, 9000, 9]}, {"place": "x"}, 3, {"place": [0, 0, 1.5, 2]}]}
        (run / "worst_pairs.json").write_text(json.dumps(told), encoding="utf-8")
    page = page_of(run, out=tmp_path / "r.html")
    assert "Worst pairs" not in page.text
    assert "What came out" in page.text


def test_run_without_an_epoch_has_a_page(make_run: MakeRun, tmp_path: Path) -> None:
    page = page_of(make_run(scores=(), last=""), out=tmp_path / "r.html")
    assert "running or killed : no epoch was validated yet" in page.text
    assert "Curves" not in page.text


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_shows_the_page_without_complaint(make_run: MakeRun, tmp_path: Path) -> None:
    runs = [make_run(name) for name in ("one", "two")]
    for run in runs:
        leave_worst(run, ["a.jpg"])
    page_of(*runs, out=tmp_path / "r.html")
    frame = f'<body style="margin:0"><iframe src="{tmp_path}/r.html" style="{{}}border:0"></iframe>'
    for width, height in ((390, 1500), (1280, 1500)):
        page = tmp_path / f"{width}.html"
        page.write_text(frame.format(f"width:{width}px;height:{height}px;"), encoding="utf-8")
        picture = tmp_path / f"{width}.png"
        done = subprocess.run(
            [
                str(CHROMIUM),
                *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                f"--user-data-dir={tmp_path}/profile",
                "--enable-logging=stderr",
                f"--window-size={max(500, width)},{height}",
                f"--screenshot={picture}",
                page.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert "CONSOLE" not in done.stderr
        with Image.open(picture) as image:
            shown = np.asarray(image.convert("L"))[:, :width]
        assert (shown < 128).any(axis=1).mean() > 0.2  # text and lines all over, not a blank page
        assert (shown[:, -3:] > 200).mean() > 0.9  # nothing runs out of the window
