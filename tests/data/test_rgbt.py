"""Files that hold both modalities, in every form that is read, and those that are refused."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusetrain.data.decode import ImageError
from fusetrain.data.image import read_counts, read_header, read_ir, read_rgb
from fusetrain.data.index import count_pairs, scan_split
from fusetrain.data.reader import PairReader
from fusetrain.data.rgbt import decode_rgbt, holds_infrared, infrared_mode
from fusetrain.data.spec import load_spec
from fusetrain.data.storage import Storage
from fusetrain.data.thermal import thermal_window
from fusetrain.errors import DataError

RGBT = Storage(channels="rgbt")
RNG = np.random.default_rng(3)
RGB = RNG.integers(0, 256, (40, 60, 3), np.uint8)
IR = np.add.outer(np.arange(40) * 3, np.arange(60)).astype(np.uint8)
FOUR = np.dstack([RGB, IR])


def written(folder: Path, kind: str) -> Path:
    """Write RGB and IR as one file of the kind."""
    visible, infrared = Image.fromarray(RGB), Image.fromarray(IR)
    path = folder / f"{kind}.{'png' if 'png' in kind else 'webp' if 'webp' in kind else 'tiff'}"
    if kind == "png":
        Image.fromarray(FOUR, "RGBA").save(path)
    elif kind == "webp":
        Image.fromarray(FOUR, "RGBA").save(path, lossless=True, exact=True)
    elif kind == "tiff-rgba":
        Image.fromarray(FOUR, "RGBA").save(path)
    elif kind == "tiff-rgbx":
        Image.fromarray(FOUR, "RGBX").save(path)
    elif kind == "tiff-lzw":
        Image.fromarray(FOUR, "RGBA").save(path, compression="tiff_lzw")
    elif kind == "tiff-cmyk":
        Image.fromarray(FOUR, "CMYK").save(path)
    elif kind == "tiff-associated":
        path.write_bytes(tiff_with_associated_alpha())
    elif kind == "two-pages":
        visible.save(path, save_all=True, append_images=[infrared])
    elif kind == "four-pages":
        visible.getchannel(0).save(
            path, save_all=True, append_images=[*visible.split()[1:], infrared]
        )
    return path


def tiff_with_associated_alpha() -> bytes:
    """Return a TIFF whose fourth channel is marked as alpha that the colours are multiplied by."""
    height, width = IR.shape
    entries = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, 4, 8 + 2 + 12 * 10 + 4),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 8 + 2 + 12 * 10 + 4 + 8),
        (277, 3, 1, 4),
        (278, 3, 1, height),
        (279, 4, 1, height * width * 4),
        (338, 3, 1, 1),
    ]
    out = io.BytesIO()
    out.write(struct.pack("<2sHI", b"II", 42, 8))
    out.write(struct.pack("<H", len(entries)))
    for tag, kind, count, value in entries:
        packed = (
            struct.pack("<HH", value, 0) if kind == 3 and count == 1 else struct.pack("<I", value)
        )
        out.write(struct.pack("<HHI", tag, kind, count) + packed)
    out.write(struct.pack("<I", 0) + struct.pack("<4H", 8, 8, 8, 8) + FOUR.tobytes())
    return out.getvalue()


KINDS = (
    "png",
    "webp",
    "tiff-rgba",
    "tiff-rgbx",
    "tiff-lzw",
    "tiff-cmyk",
    "tiff-associated",
    "two-pages",
    "four-pages",
)


@pytest.mark.parametrize("kind", KINDS)
def test_both_modalities_come_back_unchanged(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, kind)
    np.testing.assert_array_equal(read_rgb(path, storage=RGBT), RGB)
    np.testing.assert_array_equal(read_ir(path, storage=RGBT), IR)
    assert read_header(path, storage=RGBT).size_hw == (40, 60)
    assert holds_infrared(path)


def test_border_is_cut_from_both(tmp_path: Path) -> None:
    path = written(tmp_path, "two-pages")
    storage = Storage(border_px=7, channels="rgbt")
    np.testing.assert_array_equal(read_rgb(path, storage=storage), RGB[7:-7, 7:-7])
    np.testing.assert_array_equal(read_ir(path, storage=storage), IR[7:-7, 7:-7])
    assert read_header(path, storage=storage).size_hw == (26, 46)
    with pytest.raises(ImageError, match="leaves nothing"):
        read_rgb(path, storage=Storage(border_px=20))


def test_exif_rotation_turns_both(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(FOUR, "RGBA").save(tmp_path / "a.png", exif=exif)
    rgb, ir = decode_rgbt(tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(rgb), np.rot90(RGB, -1))
    np.testing.assert_array_equal(np.asarray(ir), np.rot90(IR, -1))


def test_deep_infrared_page_keeps_its_counts(tmp_path: Path) -> None:
    counts = IR.astype(np.uint16) * 20 + 7000
    path = tmp_path / "a.tiff"
    Image.fromarray(RGB).save(path, save_all=True, append_images=[Image.fromarray(counts)])
    np.testing.assert_array_equal(read_counts(path, storage=RGBT), counts)
    window = thermal_window("auto", [path], storage=RGBT)
    assert window.policy == "percentile"
    assert window.low is not None
    assert 7000 <= window.low < 7500
    assert read_ir(path, window, storage=RGBT).max() == 255


def test_16_bit_pages_of_colour_are_scaled_to_8(tmp_path: Path) -> None:
    pages = [Image.fromarray(RGB[..., band].astype(np.uint16) * 257) for band in range(3)]
    pages.append(Image.fromarray(IR))
    pages[0].save(tmp_path / "a.tiff", save_all=True, append_images=pages[1:])
    assert np.abs(read_rgb(tmp_path / "a.tiff", storage=RGBT).astype(int) - RGB).max() <= 1


@pytest.mark.parametrize("kind", ["rgb", "jpeg", "grey-pages", "16-bit"])
def test_file_without_infrared_is_an_image_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("a.jpg" if kind == "jpeg" else "a.png" if kind == "16-bit" else "a.tiff")
    if kind == "16-bit":
        path.write_bytes(png_with_16_bit_alpha())
    elif kind == "grey-pages":
        Image.fromarray(IR).save(path, save_all=True, append_images=[Image.fromarray(IR)])
    else:
        Image.fromarray(FOUR, "CMYK" if kind == "jpeg" else "RGBA").convert(
            "CMYK" if kind == "jpeg" else "RGB"
        ).save(path)
    with pytest.raises(ImageError) as caught:
        read_ir(path, storage=RGBT)
    words = "16 bits" if kind == "16-bit" else "holds no infrared"
    assert words in str(caught.value)
    if kind != "16-bit":
        assert infrared_mode(path) is None


def png_with_16_bit_alpha() -> bytes:
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + (FOUR[row].astype(">u2") * 257).tobytes() for row in range(40))
    head = struct.pack(">IIBBBBB", 60, 40, 16, 6, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("value", [0, 255, 128])
def test_alpha_that_only_masks_is_no_infrared(tmp_path: Path, value: int) -> None:
    alpha = np.full((40, 60), 255, np.uint8)
    alpha[:20] = value
    Image.fromarray(np.dstack([RGB, alpha]), "RGBA").save(tmp_path / "a.png")
    assert holds_infrared(tmp_path / "a.png") == (value == 128)


def test_folder_of_four_channel_files_is_a_data_set(tmp_path: Path) -> None:
    for split, kind in (("train", "png"), ("val", "two-pages")):
        for part in ("images", "labels"):
            (tmp_path / part / split).mkdir(parents=True)
        path = written(tmp_path / "images" / split, kind)
        (tmp_path / "labels" / split / f"{path.stem}.txt").write_text("0 .5 .5 .2 .2\n")
    spec = load_spec(tmp_path)
    assert (spec.layout.name, spec.storage) == ("rgbt", RGBT)
    for split in ("train", "val"):
        index = scan_split(spec, split).index
        assert index.rgb_paths[0] == index.ir_paths[0]
        assert len(index.boxes) == count_pairs(spec, split) == 1
        pixels, size_hw = PairReader(index, lambda size: size).read(0)
        np.testing.assert_array_equal(pixels, FOUR)
        assert size_hw == (40, 60)


def test_folder_of_cut_out_pictures_is_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    alpha = np.where(IR > 80, 255, 0).astype(np.uint8)
    Image.fromarray(np.dstack([RGB, alpha]), "RGBA").save(tmp_path / "images" / "a.png")
    with pytest.raises(DataError, match="no known layout"):
        load_spec(tmp_path)
    yaml = tmp_path / "data.yaml"
    yaml.write_text("train: images\nchannels: rgbt\nnames: [car]\n")
    assert len(scan_split(load_spec(yaml), "train").index) == 1
