"""Films that a user names on the command line: one, or two of cameras that ran in step.

Frames are matched by their number; nothing is decoded before it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from fusetrain.data.film import Film, is_surely_film, may_be_film, open_film
from fusetrain.data.image import ThermalWindow
from fusetrain.errors import DataError
from fusetrain.inference.prediction_files import Shown


@dataclass(frozen=True)
class GivenFilms:
    """One film, or two in step.

    Attributes:
        rgb: Visible film, if any.
        ir: Infrared film, if any.
        num_frames: Frames that both have.
    """

    rgb: Film | None
    ir: Film | None
    num_frames: int

    @property
    def _main(self) -> Film:
        film = self.ir if self.rgb is None else self.rgb
        assert film is not None, "one film is there"
        return film

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return the files."""
        return tuple(film.path for film in (self.rgb, self.ir) if film is not None)

    @property
    def stem(self) -> str:
        """Return what the results are called."""
        return self._main.path.stem

    @property
    def fps(self) -> float:
        """Return the frames a second."""
        return self._main.fps

    def name(self, number: int) -> str:
        """Return the stem of the files of a frame."""
        return f"{self.stem}_{number:06d}"

    def some_frames(
        self, windows: Iterable[ThermalWindow], *, at_once: int
    ) -> Iterator[dict[ThermalWindow, list[Shown]]]:
        """Yield some frames after the others in step, the same ones through each window.

        Args:
            windows: Those of the detectors that look at the films.
            at_once: Frames that are in memory at most, for each window.

        Raises:
            DataError: A frame cannot be decoded, or a film ends before its time.
        """
        films = {window: self.frames(window) for window in windows}
        while some := {
            window: few for window, film in films.items() if (few := list(islice(film, at_once)))
        }:
            yield some

    def frames(self, window: ThermalWindow) -> Iterator[Shown]:
        """Yield the frames in step.

        Raises:
            DataError: A frame cannot be decoded, or a film ends before its time.
        """
        visible = self.rgb.visible() if self.rgb is not None else None
        infrared = self.ir.infrared(window) if self.ir is not None else None
        for number in count():
            if number == self.num_frames:
                return
            try:
                rgb = None if visible is None else next(visible)
                ir = None if infrared is None else next(infrared)
            except StopIteration:
                raise DataError(
                    f"ends after {number} frames, though it tells of {self.num_frames}",
                    where=str(self._main.path),
                    remedy="write the film again, or take it apart into images",
                ) from None
            yield Shown(self.name(number), str(self._main.path), rgb, ir, frame=number)


def find_films(rgb: Path | None, ir: Path | None, *, allow_shorter: bool) -> GivenFilms | None:
    """Return the films that paths stand for; None where they are images or folders.

    A file that may hold one picture or many is a film where it holds many and so does its partner.

    Args:
        rgb: Visible file, if any.
        ir: Infrared file, if any.
        allow_shorter: The longer film is cut instead of refused.

    Raises:
        DataError: A film cannot be read, has another partner than a film, or one of other length.
        ResourceError: A film needs ffmpeg, which is not installed.
    """
    given = [path for path in (rgb, ir) if path is not None]
    if not all(path.is_file() and may_be_film(path) for path in given) or rgb == ir:
        odd = next((path for path in given if path.is_file() and is_surely_film(path)), None)
        if odd is None or rgb == ir:
            return None
        other = next(path for path in given if path != odd)
        raise DataError(
            f"{odd.name} is a film and {other} is none",
            where=str(odd),
            expected="two films of equal length, or two images or folders",
        )
    films = [open_film(path) for path in given]
    lengths = [film.num_frames for film in films]
    if not any(is_surely_film(path) for path in given) and min(lengths) == 1:
        return None
    if len(set(lengths)) > 1 and not allow_shorter:
        raise DataError(
            f"the visible film has {lengths[0]} frames, the infrared one {lengths[1]}",
            where=f"{given[0]}, {given[1]}",
            expected="films of cameras that ran in step: as many frames in both",
            remedy="cut the longer one, or leave its end out with `--allow shorter`",
        )
    by_path = dict(zip(given, films, strict=True))
    return GivenFilms(
        by_path[rgb] if rgb is not None else None,
        by_path[ir] if ir is not None else None,
        min(lengths),
    )
