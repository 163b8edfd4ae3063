"""Films that Pillow does not read, through the program ffmpeg, where it is installed.

Frames come as a stream of PNM pictures, which say their own size and depth, so that one program
suffices and no film is held in memory. Only local files are opened: ffmpeg's own network protocols
are shut off. Nothing here decides what the pixels mean.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from fusetrain.data.decode import MAX_PIXELS
from fusetrain.errors import DataError, ResourceError

SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".m4v", ".webm", ".mpg", ".mpeg", ".wmv", ".ts")
DEFAULT_FPS = 25.0
MAX_TOKEN_BYTES = 12


def program(path: Path) -> str:
    """Return the program that reads a film.

    Raises:
        ResourceError: It is not installed.
    """
    found = shutil.which("ffmpeg")
    if found is None:
        raise ResourceError(
            f"{path.name} needs the program ffmpeg, which is not installed",
            where=str(path),
            expected="ffmpeg on the PATH; GIF, WebP and TIFF with several pages need no program",
            remedy="install ffmpeg, or make images of the film elsewhere: "
            "`ffmpeg -i FILM frames/%06d.png`",
        )
    return found


def count_frames(path: Path) -> int:
    """Return how many frames a film has, from its packets; nothing is decoded.

    Raises:
        DataError: The file is no film.
        ResourceError: ffmpeg is not installed.
    """
    words = ["-map", "0:v:0", "-c", "copy", "-f", "null", "-progress", "pipe:1", "-"]
    done = subprocess.run(
        [*_opening(path), *words], capture_output=True, text=True, errors="replace", check=False
    )
    counts = re.findall(r"^frame=\s*(\d+)", done.stdout, re.MULTILINE)
    if done.returncode or not counts or not int(counts[-1]):
        raise _no_film(path, done.stderr)
    return int(counts[-1])


def frames_per_second(path: Path) -> float:
    """Return the frame rate that ffmpeg tells of a film, or `DEFAULT_FPS`."""
    words = [program(path), "-nostdin", "-hide_banner", "-i", _local(path)]
    told = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    found = re.search(r"([\d.]+) fps", told.stderr)
    return float(found.group(1)) if found and float(found.group(1)) > 0 else DEFAULT_FPS


def read_frames(path: Path, *, is_colour: bool) -> Iterator[NDArray[np.generic]]:
    """Yield frames as (H, W, 3) uint8 in colour, else as (H, W) uint8, or uint16 of deeper films.

    Raises:
        DataError: The film cannot be decoded.
        ResourceError: ffmpeg is not installed.
    """
    codec = "ppm" if is_colour else "pgm"
    depth = ["-pix_fmt", "rgb24"] if is_colour else []
    words = [*_opening(path), "-map", "0:v:0", "-fps_mode", "passthrough", *depth]
    with _running([*words, "-c:v", codec, "-f", "image2pipe", "-"], path) as stream:
        while (frame := _read_pnm(stream, path)) is not None:
            yield frame


def _opening(path: Path) -> list[str]:
    return [
        *(program(path), "-nostdin", "-hide_banner", "-loglevel", "error"),
        *("-protocol_whitelist", "file,pipe", "-i", _local(path)),
    ]


def _local(path: Path) -> str:
    return f"file:{os.path.abspath(path)}"


@contextmanager
def _running(words: list[str], path: Path) -> Iterator[IO[bytes]]:
    """Give the output of a program; it is ended with the block, and asked how it went."""
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        assert process.stdout is not None
        try:
            yield process.stdout
        except BaseException:
            process.kill()
            raise
        if process.wait():
            errors.seek(0)
            raise _no_film(path, errors.read().decode(errors="replace"))


def _read_pnm(stream: IO[bytes], path: Path) -> NDArray[np.generic] | None:
    """Return the next picture of a stream of PNM (P5, P6); None at its end."""
    kind = stream.read(2)
    if not kind:
        return None
    if kind not in (b"P5", b"P6"):
        raise _no_film(path, "unexpected output of ffmpeg")
    width, height, largest = (_token(stream, path) for _ in range(3))
    if width * height > MAX_PIXELS:
        raise DataError(f"frames of {width} x {height} px are too large", where=str(path))
    channels = 3 if kind == b"P6" else 1
    dtype = np.dtype(">u2") if largest > 255 else np.dtype(np.uint8)
    data = stream.read(width * height * channels * dtype.itemsize)
    if len(data) != width * height * channels * dtype.itemsize:
        raise _no_film(path, "a frame is cut off")
    pixels = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="))
    return pixels.reshape((height, width, 3) if channels == 3 else (height, width))


def _token(stream: IO[bytes], path: Path) -> int:
    """Return the next number of a PNM header and read the white space behind it."""
    digits = b""
    while len(digits) < MAX_TOKEN_BYTES:
        byte = stream.read(1)
        if byte.isdigit():
            digits += byte
        elif digits:
            return int(digits)
        elif not byte.isspace():
            break
    raise _no_film(path, "unexpected output of ffmpeg")


def _no_film(path: Path, told: str) -> DataError:
    reason = told.strip().splitlines()[-1:] or ["no frame in it"]
    return DataError(
        f"cannot be read as a film: {reason[0]}",
        where=str(path),
        expected="a film that the installed ffmpeg decodes",
    )


class FilmWriter:
    """Writes RGB pictures of one size as a film; without ffmpeg nothing is written.

    Args:
        path: The .mp4 file.
        fps: Frames a second.
    """

    def __init__(self, path: Path, *, fps: float) -> None:
        self.path = path
        self._fps = fps
        self._program = shutil.which("ffmpeg")
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, pixels: NDArray[np.uint8]) -> None:
        """Append a picture (H, W, 3)."""
        if self._program is None:
            return
        if self._process is None:
            height, width = pixels.shape[:2]
            self._process = subprocess.Popen(
                [
                    *(self._program, "-nostdin", "-loglevel", "error", "-y"),
                    *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"),
                    *(
                        "-r",
                        f"{self._fps:g}",
                        "-i",
                        "pipe:0",
                        "-vf",
                        "pad=ceil(iw/2)*2:ceil(ih/2)*2",
                    ),
                    *("-c:v", "mpeg4", "-q:v", "3", "-pix_fmt", "yuv420p", _local(self.path)),
                ],
                stdin=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(np.ascontiguousarray(pixels).tobytes())
        except BrokenPipeError:  # it cannot write; the frames are there all the same
            self._program = None

    def close(self) -> bool:
        """Finish the film; return whether there is one."""
        if self._process is None or self._process.stdin is None:
            return False
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        return self._process.wait() == 0
