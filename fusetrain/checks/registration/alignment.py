"""The similarity (shift, turn, scale) that lays infrared onto visible, and how sure it is.

One pass over tiles gives the shift. Where tiles agree, their own small shifts give turn and scale;
where they do not, coarse turns and scales are tried. An estimate counts as sure when its peak
stands out and when halves and single tiles of the picture, each on its own, say the same: unrelated
pictures do that in less than one of 200 cases (`benchmarks/registration.py`).
Shape legend: H x W pixels of the working canvas, T tiles, S shifts a side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fusetrain.checks.registration.correlation import correlations, fast_shape, spectra
from fusetrain.checks.registration.gradient_field import Field, gradient_field, on_canvas
from fusetrain.checks.registration.similarities import IDENTITY, Similarity, fit_similarity, moved
from fusetrain.checks.registration.tile_scores import Scores, TileScores, score_tiles

# Long side in px of the canvas that images are compared on; more adds time, not certainty.
CANVAS_SIDE = 320
MIN_SIDE_PX = 64
# Largest shift that is looked for, as a share of the long side.
REACH_SHARE = 0.1

# A peak stands out by its height over the next one, 5 px or more away, in robust standard
# deviations of all scores; what is more than FULL_GAP says no more.
NEXT_PEAK_PX = 5
FULL_GAP = 3.0
HALVES_AGREE_PX = 2.0
TILES_AGREE_PX = 2.5
SURE = 0.43
# Of many turns and scales one fits best by chance, so it must fit better, and not at a far shift,
# where there is little left to compare.
SURE_SEARCHED = 0.55
SEARCHED_REACH_SHARE = 0.7
# A peak at the very edge of what is looked at may be the slope of one beyond.
EDGE_PX = 2

REFINEMENTS = 3
# A turn or scale that moves the corners by less is left to rounding, px of the canvas.
MIN_CORNER_PX = 2.5
# Parallax looks like a little scale: a turn or scale is taken only if it raises the peak so far.
TURN_GAIN = 1.1
SEARCHED_SCALES = (0.74, 0.79, 0.84, 0.89, 0.94, 1.0, 1.06, 1.13, 1.2, 1.28, 1.36)
SEARCHED_TURNS_DEG = (-6.0, -3.0, 0.0, 3.0, 6.0)


@dataclass(frozen=True)
class Alignment:
    """An estimate on the working canvas.

    Attributes:
        similarity: From infrared to visible, in px of the canvas.
        is_sure: Several independent estimates agree.
        score: Agreement, 0 to 1.
        has_turn: Turn and scale were measured; else they are 0 and 1 because nothing is known.
        px: Px at a long side of 640 px for one of the canvas.
    """

    similarity: Similarity
    is_sure: bool
    score: float
    has_turn: bool
    px: float


@dataclass(frozen=True)
class Transform:
    """How infrared px become visible px; infrared is first stretched to the visible size.

    A point at ``p`` from the centre of the stretched infrared image lies at
    ``scale * turn(p) + (dx, dy)`` from the centre of the visible one.

    Attributes:
        dx_px: Shift to the right, in px of the visible image.
        dy_px: Shift downwards.
        rotation_deg: Turn about the centre, clockwise as seen.
        scale: Factor; above 1 infrared shows less than it should.
        is_sure: Several independent estimates agree; if not, the numbers are worth little.
        score: Agreement, 0 to 1.
    """

    dx_px: float
    dy_px: float
    rotation_deg: float
    scale: float
    is_sure: bool
    score: float


UNKNOWN = Transform(0.0, 0.0, 0.0, 1.0, False, 0.0)


def estimate_transform(rgb_grey: NDArray[np.generic], ir_grey: NDArray[np.generic]) -> Transform:
    """Return how an infrared image lies on a visible one.

    Args:
        rgb_grey: (H, W) visible image in grey, 0 to 255.
        ir_grey: (h, w) infrared image, 0 to 255; its size may differ.
    """
    found = align(rgb_grey, ir_grey)
    if found is None:
        return UNKNOWN
    px = found.px * max(rgb_grey.shape) / 640.0
    return Transform(
        found.similarity.dx * px,
        found.similarity.dy * px,
        found.similarity.turn_deg,
        found.similarity.scale,
        found.is_sure,
        found.score,
    )


def align(rgb_grey: NDArray[np.generic], ir_grey: NDArray[np.generic]) -> Alignment | None:
    """Return how an infrared image lies on a visible one; None if one is tiny or blank."""
    fields = canvas_fields(rgb_grey, ir_grey)
    if fields is None:
        return None
    rgb, ir = fields
    px = 640.0 / max(rgb.shape)
    first = _refined(rgb, ir, IDENTITY, px=px)
    if first.is_sure:
        return first
    searched = _refined(rgb, ir, _searched(rgb, ir), px=px)
    reach = SEARCHED_REACH_SHARE * REACH_SHARE * max(rgb.shape)
    is_near = max(abs(searched.similarity.dx), abs(searched.similarity.dy)) <= reach
    return searched if is_near and searched.score >= SURE_SEARCHED else first


def canvas_fields(
    rgb_grey: NDArray[np.generic],
    ir_grey: NDArray[np.generic],
    *,
    size_hw: tuple[int, int] | None = None,
) -> tuple[Field, Field] | None:
    """Return the gradient fields of both on one canvas; None if one is tiny or blank.

    Args:
        rgb_grey: (H, W) visible image.
        ir_grey: (h, w) infrared image.
        size_hw: Size of the canvas; that of the visible image, up to CANVAS_SIDE, when None.
    """
    if min(*rgb_grey.shape, *ir_grey.shape) < MIN_SIDE_PX:
        return None
    if size_hw is None:
        share = min(1.0, CANVAS_SIDE / max(rgb_grey.shape))
        size_hw = (round(rgb_grey.shape[0] * share), round(rgb_grey.shape[1] * share))
    if min(size_hw) < MIN_SIDE_PX // 2:
        return None
    rgb = gradient_field(on_canvas(rgb_grey, size_hw))
    ir = gradient_field(on_canvas(ir_grey, size_hw))
    return None if rgb is None or ir is None else (rgb, ir)


def peak_of(scores: Scores, reach: int) -> tuple[float, float]:
    """Return dx and dy of the highest score, between pixels by a parabola."""
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    down = row + _vertex(scores[:, column], int(row))
    right = column + _vertex(scores[row], int(column))
    return float(right - reach), float(down - reach)


def _refined(rgb: Field, ir: Field, start: Similarity, *, px: float) -> Alignment:
    """Return the alignment that follows from the tiles, turn and scale included if they agree."""
    best = _judged(rgb, ir, start, px=px)
    for _ in range(REFINEMENTS):
        alignment, tiles = best
        shift = peak_of(tiles.total, tiles.reach)
        fit = fit_similarity(tiles.scores, tiles.centres_xy, shift=shift, reach=tiles.reach)
        if fit is None:
            return alignment
        best = replace(alignment, has_turn=True), tiles
        rest = fit.after(_without(alignment.similarity, shift))
        if fit.corner_px(rgb.shape) < MIN_CORNER_PX:
            return replace(best[0], similarity=rest) if alignment.has_turn else best[0]
        turned = _judged(rgb, ir, rest, px=px)
        if turned[1].total.max() <= TURN_GAIN * tiles.total.max():
            break
        best = replace(turned[0], has_turn=True), turned[1]
    return best[0]


def _without(similarity: Similarity, shift: tuple[float, float]) -> Similarity:
    """Return the similarity before the last shift was added to it."""
    return replace(similarity, dx=similarity.dx - shift[0], dy=similarity.dy - shift[1])


def _judged(rgb: Field, ir: Field, start: Similarity, *, px: float) -> tuple[Alignment, TileScores]:
    """Return the alignment that adds the best shift to a given similarity."""
    reach = round(REACH_SHARE * max(rgb.shape))
    tiles = score_tiles(rgb, ir if start == IDENTITY else moved(ir, start), reach=reach)
    shift = peak_of(tiles.total, reach)
    score = agreement(tiles, shift)
    found = replace(start, dx=start.dx + shift[0], dy=start.dy + shift[1])
    has_turn = start.turn_deg != 0.0 or start.scale != 1.0
    return Alignment(found, score >= SURE, score, has_turn, px), tiles


def agreement(tiles: TileScores, shift: tuple[float, float]) -> float:
    """Return how far peak, halves and tiles agree on a shift, 0 to 1."""
    total = tiles.total
    if max(map(abs, shift)) > tiles.reach - EDGE_PX:
        return 0.0
    halves = np.mean([_is_near(tiles.scores[half], shift, tiles) for half in _halves(tiles.grid)])
    single = np.mean(
        [_is_near(scores[None], shift, tiles, within=TILES_AGREE_PX) for scores in tiles.scores]
    )
    gap = min(_gap(total, shift, tiles.reach), FULL_GAP)
    return float((gap + 2.0 * halves + 2.0 * single) / (FULL_GAP + 4.0))


def _halves(grid: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
    """Return upper, lower, left, right half and the two colours of a chess board."""
    rows, columns = grid.T
    middle_row, middle_column = rows.max() / 2.0, columns.max() / 2.0
    chess = (rows + columns) % 2 == 0
    return [
        rows <= middle_row - 0.5,
        rows >= middle_row,
        columns <= middle_column,
        columns >= middle_column,
        chess,
        ~chess,
    ]


def _is_near(
    scores: Scores,
    shift: tuple[float, float],
    tiles: TileScores,
    *,
    within: float = HALVES_AGREE_PX,
) -> bool:
    """Say whether some tiles alone would give the same shift."""
    mean = scores.mean(axis=0)
    row, column = np.unravel_index(int(mean.argmax()), mean.shape)
    across, down = column - tiles.reach - shift[0], row - tiles.reach - shift[1]
    return bool(max(abs(across), abs(down)) <= within)


def _gap(total: Scores, shift: tuple[float, float], reach: int) -> float:
    """Return the height of the peak over the next one, in robust standard deviations."""
    median = np.median(total)
    deviation = 1.4826 * float(np.median(np.abs(total - median))) + 1e-9
    column, row = (round(value) + reach for value in shift)
    elsewhere = np.ones(total.shape, np.bool_)
    near = NEXT_PEAK_PX
    elsewhere[max(0, row - near) : row + near + 1, max(0, column - near) : column + near + 1] = (
        False
    )
    if not elsewhere.any():
        return 0.0
    return float(total.max() - total[elsewhere].max()) / deviation


def _vertex(values: Scores, place: int) -> float:
    """Return the offset of the vertex of the parabola through a peak and its neighbours."""
    if not 0 < place < len(values) - 1:
        return 0.0
    before, peak, after = values[place - 1 : place + 2]
    bend = before - 2.0 * peak + after
    return float(0.5 * (before - after) / bend) if bend < 0.0 else 0.0


def _searched(rgb: Field, ir: Field) -> Similarity:
    """Return the coarse turn and scale whose peak stands out most."""
    small_rgb, small_ir = _pooled(rgb), _pooled(ir)
    reach = round(REACH_SHARE * max(small_rgb.shape))
    shape = fast_shape(small_rgb.shape[0] + reach, small_rgb.shape[1] + reach)
    spectrum = spectra(small_rgb, shape)
    shifts = np.arange(-reach, reach + 1)
    best, found = -math.inf, IDENTITY
    for scale in SEARCHED_SCALES:
        for turn in SEARCHED_TURNS_DEG:
            start = Similarity(0.0, 0.0, turn, scale)
            other = spectra(moved(small_ir, start), shape)
            scores = correlations(other, spectrum, width=shape[1], shifts=shifts)
            height = float((scores.max() - scores.mean()) / (scores.std() + 1e-9))
            if height > best:
                best, found = height, start
    return found


def _pooled(field: Field) -> Field:
    """Return the field at half its size, averaged."""
    height, width = field.shape[0] // 2, field.shape[1] // 2
    blocks = field[: 2 * height, : 2 * width].reshape(height, 2, width, 2)
    return np.asarray(blocks.mean(axis=(1, 3)), np.complex64)
