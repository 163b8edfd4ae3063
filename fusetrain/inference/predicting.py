"""Let trained weights detect on images or films that a user names, outside of a training run.

Images are looked at all before anything is written; films are written frame by frame, so that they
take the memory of a few frames. One modality may be missing, and two detectors may be joined.
Printing is left to the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fusetrain.data.ffmpeg import FilmWriter
from fusetrain.data.image import read_both, read_ir, read_rgb
from fusetrain.data.letterboxed import ValDataset, unlabelled
from fusetrain.data.loader import collate, val_batches
from fusetrain.engine.infer import as_columns, detect
from fusetrain.engine.stages import Inputs
from fusetrain.errors import UsageError
from fusetrain.inference.given_films import GivenFilms, find_films
from fusetrain.inference.given_pairs import (
    GivenPairs,
    aspect_note,
    find_pairs,
    given_alone,
    index_of,
    output_names,
)
from fusetrain.inference.loading import BATCH, Loaded, Progress, counted, load_weights, load_with
from fusetrain.inference.prediction_files import (
    Pictures,
    PredictionFiles,
    Shown,
    refuse_foreign,
    refuse_inputs,
)
from fusetrain.results.late_fusion import join_detections
from fusetrain.results.matching import ScoredBoxes
from fusetrain.results.overlaps import Bools

FRAMES_AT_ONCE = 4
Note = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """How to detect, and what to write of it.

    Attributes:
        confidence: Lowest score that counts, in [0, 1].
        overlap: IoU above which the lower score of a class is dropped, in [0, 1]; None drops none
            and asks the head that needs no suppression.
        pictures: Which images are drawn.
        write_txt: Also write YOLO text.
        allow_shorter: A film may be shorter than its partner; the rest of that is left out.
    """

    confidence: float = 0.25
    overlap: float | None = 0.7
    pictures: Pictures = "both"
    write_txt: bool = False
    allow_shorter: bool = False


@dataclass(frozen=True)
class Predicted:
    """What came of it.

    Attributes:
        num_images: Images, pairs or frames.
        num_objects: Detections on them.
        what: What they are: image, pair or frame.
        film: The annotated film, where one was written.
    """

    num_images: int
    num_objects: int
    what: str
    film: Path | None = None


@given_alone()
def predict(
    path: Path,
    *,
    rgb: Path | None,
    ir: Path | None,
    out: Path,
    wanted: Wanted | None = None,
    partner: Path | None = None,
    progress: Progress = lambda done, total: None,
    note: Note = lambda text: None,
) -> Predicted:
    """Detect objects on images, folders of them, or films.

    Writes ``NAME.png`` with the images side by side for each pair or frame, ``predictions.json``
    (COCO results with the file name beside the number of the image) and, if asked for, ``NAME.txt``
    with lines ``class cx cy w h score``; of films also an annotated one, where ffmpeg is installed.

    Args:
        path: Run folder or weights file.
        rgb: Visible image, folder or film; None detects on infrared alone.
        ir: Infrared image, folder or film; None detects on the visible alone; the same path as
            ``rgb`` where its files hold both modalities.
        out: Folder to write to.
        wanted: How to detect, and what to write.
        partner: Weights of a second detector of the same classes to join with.
        progress: Called with the number of images done and of all.
        note: Gets one sentence about whatever is left out, stretched or missing.

    Raises:
        RunError: The weights cannot be used.
        DataError: An image or film is missing or unreadable, or they do not fit each other.
        UsageError: ``out`` holds files of these names that were not written here, or the detector
            does not look at what is given.
        ResourceError: ``out`` cannot be written, or a program is missing.
    """
    wanted = wanted or Wanted()
    inputs: Inputs = "both" if rgb and ir else "rgb" if rgb else "ir"
    films = find_films(rgb, ir, allow_shorter=wanted.allow_shorter)
    given = films if films is not None else _told_pairs(rgb, ir, note)
    if isinstance(given, GivenFilms):
        names, files = [given.name(0)], given.paths
    else:
        names = output_names([file for file, _ in given.pairs])
        files = tuple(file for pair in given.pairs for file in pair)
    refuse_inputs(out, files)
    refuse_foreign(out, names, suffixes=_suffixes(wanted))
    first = load_weights(path, confidence=wanted.confidence, overlap=wanted.overlap)
    detectors = load_with(first, partner, overlap=wanted.overlap)
    check_inputs(detectors, inputs, note)
    run = _Prediction(detectors, inputs, wanted, out, progress)
    if isinstance(given, GivenFilms):
        return run.on_films(given)
    inside = given.without_border(first.info.border_px)
    is_thermal = first.info.detector.kind != "rgb"
    for text in inside.oddities(first.info.window if is_thermal else None):
        note(text)
    return run.on_pairs(inside, names)


def check_inputs(detectors: Sequence[Loaded], inputs: Inputs, note: Note) -> None:
    """Refuse what the detectors cannot look at; note what they were not trained for.

    Raises:
        UsageError: A detector of one modality alone gets the other one.
    """
    if inputs == "both":
        return
    missing = "ir" if inputs == "rgb" else "rgb"
    for one in detectors:
        kind = one.info.detector.kind
        if kind == missing:
            if len(detectors) > 1:
                continue
            raise UsageError(
                f"the detector looks at {missing} alone, and --{missing} is not given",
                expected=f"--{missing} PATH",
            )
        if kind == inputs:
            continue
        training = one.info.training
        share = getattr(training, f"drop_{missing}") if training is not None else None
        if not share:
            known = "was not trained" if share is not None else "may not have been trained"
            note(
                f"the detector ({kind}) {known} to do without {missing}: expect it to miss more "
                f"(`augment.drop_{missing}` trains for it, `val --blank {missing}` measures it)"
            )


def _suffixes(wanted: Wanted) -> list[str]:
    written = ((".png", wanted.pictures != "none"), (".txt", wanted.write_txt))
    return [suffix for suffix, is_wanted in written if is_wanted]


def _told_pairs(rgb: Path | None, ir: Path | None, note: Note) -> GivenPairs:
    """Return the pairs of files or folders, after saying what is odd about them."""
    given = find_pairs(rgb, ir)
    for text in filter(None, (given.note, aspect_note(given.pairs))):
        note(text)
    return given


class _Prediction:
    """One call of `predict`, after all is checked that needs no pixels."""

    def __init__(
        self,
        detectors: Sequence[Loaded],
        inputs: Inputs,
        wanted: Wanted,
        out: Path,
        progress: Progress,
    ) -> None:
        self.detectors = [one for one in detectors if _looks(one, inputs)]
        self.inputs = inputs
        self.wanted = wanted
        self.progress = progress
        self.info = detectors[0].info
        self.files = PredictionFiles(
            out, self.info.class_names, pictures=wanted.pictures, write_txt=wanted.write_txt
        )

    def on_pairs(self, given: GivenPairs, names: Sequence[str]) -> Predicted:
        """Detect on images, all of them before any result is written."""
        inside = self._joined([self._on_index(one, given) for one in self.detectors])
        found = replace(inside, boxes_xyxy_px=inside.boxes_xyxy_px + given.storage.border_px)
        starts = np.searchsorted(found.image_ids, np.arange(len(given.pairs) + 1))
        with self.files as files:
            spans = zip(names, starts[:-1], starts[1:], strict=True)
            for row, (name, start, stop) in enumerate(spans):
                files.add(self._shown(name, given, row), _rows(found, slice(start, stop)))
        what = "pair" if self.inputs == "both" else "image"
        return Predicted(files.num_images, files.num_objects, what)

    def on_films(self, films: GivenFilms) -> Predicted:
        """Detect on films, a few frames at a time."""
        film = FilmWriter(self.files.out / f"{films.stem}.mp4", fps=films.fps)
        done, has_film = 0, False
        with self.files as files:
            try:
                windows = {self.info.window, *(one.info.window for one in self.detectors)}
                for some in films.some_frames(windows, at_once=FRAMES_AT_ONCE):
                    found = self._joined(
                        [self._on_frames(one, some[one.info.window]) for one in self.detectors]
                    )
                    own_frames = some[self.info.window]
                    for row, shown in enumerate(own_frames):
                        own = _rows(found, found.image_ids == row)
                        picture = files.add(shown, own)
                        if picture is not None:
                            film.add(np.asarray(picture))
                    done += len(own_frames)
                    self.progress(done, films.num_frames)
            finally:
                has_film = film.close()
        written = film.path if has_film else None
        return Predicted(files.num_images, files.num_objects, "frame", written)

    def _on_index(self, one: Loaded, given: GivenPairs) -> ScoredBoxes:
        index = index_of(given.pairs, self.info.class_names, storage=given.storage)
        dataset = ValDataset(index, imgsz=one.info.imgsz, window=one.info.window)
        batches = counted(val_batches(dataset, batch=BATCH), len(index), self.progress)
        found = detect(
            one.detector,
            batches,
            one.machine,
            confidence=self.wanted.confidence,
            overlap=self.wanted.overlap,
            inputs=self.inputs,
        )
        return as_columns(sorted(found, key=lambda item: item[0]))

    def _on_frames(self, one: Loaded, frames: Sequence[Shown]) -> ScoredBoxes:
        samples = [
            unlabelled(frame.rgb, frame.ir, imgsz=one.info.imgsz, sample_id=row)
            for row, frame in enumerate(frames)
        ]
        found = detect(
            one.detector,
            [collate(samples)],
            one.machine,
            confidence=self.wanted.confidence,
            overlap=self.wanted.overlap,
            inputs=self.inputs,
        )
        return as_columns(list(found))

    def _joined(self, found: Sequence[ScoredBoxes]) -> ScoredBoxes:
        return found[0] if len(found) == 1 else join_detections(found)

    def _shown(self, name: str, given: GivenPairs, row: int) -> Shown:
        """Read the images of a pair for its picture."""
        rgb_path, ir_path = given.pairs[row]
        storage, window = replace(given.storage, border_px=0), self.info.window
        if storage.channels == "rgbt":
            return Shown(name, str(rgb_path), *read_both(rgb_path, window, storage=storage))
        return Shown(
            name,
            str(rgb_path),
            None if storage.channels == "ir" else read_rgb(rgb_path),
            None if storage.channels == "rgb" else read_ir(ir_path, window),
        )


def _looks(one: Loaded, inputs: Inputs) -> bool:
    """Return whether a detector sees anything of what is given."""
    kind = one.info.detector.kind
    return inputs == "both" or kind not in ("rgb", "ir") or kind == inputs


def _rows(found: ScoredBoxes, rows: slice | Bools) -> ScoredBoxes:
    return ScoredBoxes(
        found.image_ids[rows], found.boxes_xyxy_px[rows], found.scores[rows], found.classes[rows]
    )
