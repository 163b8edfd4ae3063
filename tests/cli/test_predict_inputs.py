"""`predict` on one modality, on four-channel files, on films, and with two detectors."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from fusetrain.cli.app import run
from fusetrain.data.image import ThermalWindow
from fusetrain.engine.weights import load_detector
from fusetrain.results.late_fusion import joined_score

Capture = pytest.CaptureFixture[str]
RUN = "runs/exp"
RGB, IR = "set/images/val", "set/imagesIR/val"
LOW = ("--conf", "0.001", "--out", "out")


def results(home: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((home / "out/predictions.json").read_text())
    return found


def by_place(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["image_id"], row["category_id"], row["bbox"]))


def written(home: Path) -> set[str]:
    return {path.name for path in (home / "out").iterdir()}


def frames(folder: Path) -> list[Image.Image]:
    return [Image.open(path) for path in sorted(folder.iterdir())]


def film(path: Path, pictures: list[Image.Image], **options: Any) -> Path:
    pictures[0].save(path, save_all=True, append_images=pictures[1:], **options)
    return path


def flat(text: str) -> str:
    return " ".join(line.strip("│ ") for line in text.splitlines())


@pytest.mark.parametrize(("flag", "folder"), [("--rgb", RGB), ("--ir", IR)])
def test_one_modality_alone_is_grey_for_the_other(
    home: Path, capsys: Capture, flag: str, folder: str
) -> None:
    assert run(["predict", RUN, flag, folder, *LOW]) == 0
    err = capsys.readouterr().err
    assert "was not trained to do without" in err
    assert "2 images" in err
    with Image.open(home / "out/val_000.png") as picture:
        assert picture.size[0] < 2 * picture.size[1]
    alone = results(home)
    grey = home / "grey"
    grey.mkdir()
    for path in (home / folder).iterdir():
        shape = (48, 64, 3) if flag == "--ir" else (48, 64)
        Image.fromarray(np.full(shape, 114, np.uint8)).save(grey / f"{path.stem}.png")
    both = {"--rgb": RGB, "--ir": IR} | {("--ir" if flag == "--rgb" else "--rgb"): "grey"}
    words = [word for pair in both.items() for word in pair]
    assert run(["predict", RUN, *words, *LOW]) == 0
    key = [(row["category_id"], row["bbox"], row["score"]) for row in alone]
    assert key == [(row["category_id"], row["bbox"], row["score"]) for row in results(home)]
    capsys.readouterr()


def test_no_image_at_all_exits_2(home: Path, capsys: Capture) -> None:
    assert run(["predict", RUN]) == 2
    assert "--rgb PATH, --ir PATH or both" in capsys.readouterr().err


def test_one_file_of_both_modalities_is_named_twice(home: Path, capsys: Capture) -> None:
    rgb = Image.open(home / RGB / "val_000.jpg")
    ir = Image.open(home / IR / "val_000.png")
    rgb.save(home / "plain.png")
    Image.merge("RGBA", (*rgb.split(), ir)).save(home / "four.png")
    assert run(["predict", RUN, "--rgb", "four.png", "--ir", "four.png", *LOW]) == 0
    four = results(home)
    assert run(["predict", RUN, "--rgb", "plain.png", "--ir", f"{IR}/val_000.png", *LOW]) == 0
    assert [row["bbox"] for row in four] == [row["bbox"] for row in results(home)]
    capsys.readouterr()


@pytest.mark.parametrize("suffix", ["tif", "webp", "png"])
def test_frames_of_films_are_those_of_folders(home: Path, capsys: Capture, suffix: str) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    film(home / f"rgb.{suffix}", frames(home / RGB), **options)
    infrared = [image.convert("RGB") if suffix == "webp" else image for image in frames(home / IR)]
    film(home / f"ir.{suffix}", infrared, **options)
    pair = ("--rgb", f"rgb.{suffix}", "--ir", f"ir.{suffix}")
    assert run(["predict", RUN, *pair, *LOW, "--txt", "--pictures", "ir"]) == 0
    assert "2 frames" in capsys.readouterr().err
    assert {f"rgb_00000{n}.{s}" for n in (0, 1) for s in ("png", "txt")} <= written(home)
    rows = results(home)
    assert {row["frame"] for row in rows} <= {0, 1}
    for number, name in enumerate(("val_000", "val_001")):
        image = Image.open(home / RGB / f"{name}.jpg")
        image.save(home / f"{name}.png")
        files = ("--rgb", f"{name}.png", "--ir", f"{IR}/{name}.png")
        assert run(["predict", RUN, *files, *LOW]) == 0
        expected = [row["bbox"] for row in results(home)]
        assert [row["bbox"] for row in rows if row["frame"] == number] == expected
        capsys.readouterr()


def test_gif_alone_is_a_film(home: Path, capsys: Capture) -> None:
    film(home / "heat.gif", frames(home / "set/imagesIR/train"), duration=100)
    assert run(["predict", RUN, "--ir", "heat.gif", *LOW, "--pictures", "none"]) == 0
    assert "4 frames" in capsys.readouterr().err
    assert written(home) == {"predictions.json"}


def test_films_of_unequal_length_are_refused_unless_allowed(home: Path, capsys: Capture) -> None:
    film(home / "rgb.gif", frames(home / "set/images/train"))
    film(home / "ir.gif", frames(home / IR))
    words = ["predict", RUN, "--rgb", "rgb.gif", "--ir", "ir.gif", "--out", "out"]
    assert run(words) == 4
    assert "has 4 frames, the infrared one 2" in flat(capsys.readouterr().err)
    assert not (home / "out").exists()
    assert run([*words, "--allow", "shorter"]) == 0
    assert "2 frames" in capsys.readouterr().err


def test_film_beside_an_image_is_refused(home: Path, capsys: Capture) -> None:
    film(home / "ir.gif", frames(home / IR))
    assert run(["predict", RUN, "--rgb", f"{RGB}/val_000.jpg", "--ir", "ir.gif"]) == 4
    assert "ir.gif is a film" in flat(capsys.readouterr().err)


def test_film_without_its_program_says_what_to_install(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(home))
    (home / "clip.mp4").write_bytes(b"no film")
    assert run(["predict", RUN, "--rgb", "clip.mp4", "--ir", "clip.mp4.avi"]) == 4
    capsys.readouterr()
    assert run(["predict", RUN, "--rgb", "clip.mp4"]) == 6
    err = flat(capsys.readouterr().err)
    assert "needs the program ffmpeg" in err
    assert "frames/%06d.png" in err


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_films_of_ffmpeg_are_read_and_written(home: Path, capsys: Capture) -> None:
    for name, folder, pixels in (("rgb", "images", "bgr0"), ("ir", "imagesIR", "gray16le")):
        for number, image in enumerate(frames(home / f"set/{folder}/train")):
            image.save(home / f"{name}{number}.png")
        source = ("-framerate", "10", "-i", str(home / f"{name}%d.png"))
        target = ("-c:v", "ffv1", "-pix_fmt", pixels, str(home / f"{name}.mkv"))
        subprocess.run(["ffmpeg", "-loglevel", "error", *source, *target], check=True)
    assert run(["predict", RUN, "--rgb", "rgb.mkv", "--ir", "ir.mkv", *LOW]) == 0
    assert "film: out/rgb.mp4" in capsys.readouterr().err
    assert "rgb.mp4" in written(home)
    (home / "bad.mp4").write_bytes(b"no film at all")
    assert run(["predict", RUN, "--rgb", "bad.mp4"]) == 4
    assert "cannot be read as a film" in flat(capsys.readouterr().err)


def test_pictures_show_what_is_asked_for(home: Path, capsys: Capture) -> None:
    words = ["predict", RUN, "--rgb", RGB, "--ir", IR, *LOW, "--pictures"]
    sizes = {}
    for which in ("both", "rgb", "ir"):
        assert run([*words, which]) == 0
        with Image.open(home / "out/val_000.png") as picture:
            sizes[which] = (picture.size, np.asarray(picture).astype(int))
    assert sizes["rgb"][0] == sizes["ir"][0]
    assert sizes["both"][0][0] == 2 * sizes["rgb"][0][0] + 4
    assert np.abs(sizes["rgb"][1] - sizes["ir"][1]).mean() > 5
    assert run([*words, "all"]) == 2
    capsys.readouterr()


def test_two_detectors_detect_together(home: Path, capsys: Capture) -> None:
    """Two witnesses of the same: every box stays where it is, every score speaks twice."""
    words = ["predict", RUN, "--rgb", RGB, "--ir", IR, *LOW]
    assert run(words) == 0
    alone = results(home)
    assert len({row["image_id"] for row in alone}) > 1
    assert run([*words, "--with", f"{RUN}/weights/last.pt"]) == 0
    joined = results(home)
    for own, both in zip(by_place(alone), by_place(joined), strict=True):
        assert both["bbox"] == pytest.approx(own["bbox"], abs=0.01)
        assert both["score"] == pytest.approx(joined_score([own["score"]] * 2), rel=0.001)
        assert both["score"] != pytest.approx(own["score"], rel=0.1)
    assert run([*words, "--with", "nowhere"]) == 5
    capsys.readouterr()


def test_each_of_two_detectors_sees_raw_counts_through_its_own_window(
    home: Path, capsys: Capture
) -> None:
    """Whether they come as files or as frames of a film."""
    other = home / "other.safetensors"
    detector, info = load_detector(home / RUN)
    described = replace(info, window=ThermalWindow("range", 20000.0, 21000.0)).to_json()
    texts = {name: json.dumps(value) for name, value in described.items()}
    save_file(detector.state_dict(), other, texts)
    counts = np.random.Generator(np.random.PCG64(0)).integers(19000, 22000, (48, 64), np.uint16)
    Image.fromarray(counts).save(home / "ir.png")
    film(home / "ir.tif", [Image.fromarray(counts)] * 2)
    picture = Image.open(home / RGB / "val_000.jpg")
    picture.save(home / "rgb.png")
    film(home / "rgb.tif", [picture] * 2)
    found = []
    for suffix in ("png", "tif"):
        pair = ("--rgb", f"rgb.{suffix}", "--ir", f"ir.{suffix}", "--pictures", "none")
        assert run(["predict", RUN, *pair, *LOW, "--with", str(other)]) == 0
        found.append([row["bbox"] for row in results(home) if not row.get("frame")])
    assert found[0] == found[1]
    assert found[0]
    capsys.readouterr()
