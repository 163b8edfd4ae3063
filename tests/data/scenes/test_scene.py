"""A scene needs both cameras: what each of them shows is measured in the pixels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fusetrain.data.scenes.kinds import CLASS_NAMES, KINDS
from fusetrain.data.scenes.scene import Scene, draw_scene
from fusetrain.data.scenes.surface import HEIGHT, WIDTH

NUM_SCENES = 120


def _draw(kind: str, number: int, **options: int) -> Scene:
    return draw_scene(np.random.default_rng([7, number]), kind, **options)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    kinds = list(KINDS)
    return [_draw(kinds[number % len(kinds)], number) for number in range(NUM_SCENES)]


def _all(scenes: list[Scene], field: str) -> NDArray[np.generic]:
    return np.concatenate([getattr(scene, field) for scene in scenes])


def _contrast(image: NDArray[np.uint8], box_xyxy_px: NDArray[np.float32]) -> float:
    """Return the share of the pixels in the middle of a box that none around the box resembles."""
    pixels = image.reshape(HEIGHT, WIDTH, -1).astype(np.float32)
    x1, y1, x2, y2 = box_xyxy_px.astype(int)
    height, width = y2 - y1, x2 - x1
    around = np.zeros((HEIGHT, WIDTH), np.bool_)
    around[max(0, y1 - 6) : y2 + 6, max(0, x1 - 6) : x2 + 6] = True
    around[y1:y2, x1:x2] = False
    low, high = np.percentile(pixels[around], (2, 98), axis=0)
    middle = pixels[y1 + height // 6 : y2 - height // 6, x1 + width // 4 : x2 - width // 4]
    return float(((middle < low - 3) | (middle > high + 3)).any(axis=-1).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_equal_generators_draw_equal_bytes(kind: str) -> None:
    first, again, other = _draw(kind, 1), _draw(kind, 1), _draw(kind, 2)
    assert first.rgb.tobytes() == again.rgb.tobytes()
    assert first.ir.tobytes() == again.ir.tobytes()
    assert first.boxes_xyxy_px.tobytes() == again.boxes_xyxy_px.tobytes()
    assert first.rgb.tobytes() != other.rgb.tobytes()
    assert first.ir.tobytes() != other.ir.tobytes()


def test_images_and_boxes_have_the_promised_shapes(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.rgb.shape == (HEIGHT, WIDTH, 3)
        assert scene.ir.shape == (HEIGHT, WIDTH)
        assert scene.rgb.dtype == scene.ir.dtype == np.uint8
        assert 1 <= len(scene.classes) <= 5
        assert scene.boxes_xyxy_px.shape == (len(scene.classes), 4)
        assert (scene.boxes_xyxy_px[:, :2] >= 0).all()
        assert (scene.boxes_xyxy_px[:, 2:] <= (WIDTH, HEIGHT)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_may_be_empty(kind: str) -> None:
    scene = _draw(kind, 0, num_objects=0)
    assert scene.boxes_xyxy_px.shape == (0, 4)
    assert scene.classes.shape == (0,)


def test_objects_are_large_enough_and_apart(scenes: list[Scene]) -> None:
    sizes = _all(scenes, "boxes_xyxy_px")[:, 2:] - _all(scenes, "boxes_xyxy_px")[:, :2]
    classes = _all(scenes, "classes")
    limits = {"person": (12, 42, 34, 96), "car": (48, 136, 20, 56), "animal": (26, 68, 20, 48)}
    for number, name in enumerate(CLASS_NAMES):
        narrow, wide, low, high = limits[name]
        width, height = sizes[classes == number].T
        assert width.min() >= narrow
        assert width.max() <= wide
        assert height.min() >= low
        assert height.max() <= high
    for scene in scenes:
        low_xy, high_xy = scene.boxes_xyxy_px[:, :2], scene.boxes_xyxy_px[:, 2:]
        overlap = np.minimum(high_xy[:, None], high_xy) - np.maximum(low_xy[:, None], low_xy)
        both = (overlap > 0).all(axis=2)
        assert both.sum() == len(scene.classes)


def test_boxes_are_tight_around_what_infrared_shows() -> None:
    """A warm object before the cold sky or on the ground fills its box to the edges."""
    empty_sides = []
    for number in range(20):
        scene = _draw("night", number)
        for box, seen in zip(scene.boxes_xyxy_px.astype(int), scene.seen_ir, strict=True):
            if not seen:
                continue
            x1, y1, x2, y2 = box
            inside = scene.ir[y1:y2, x1:x2].astype(np.float32)
            level = np.median(scene.ir[y2 - 3 : y2 + 1, max(0, x1 - 8) : x2 + 8])
            filled = np.abs(inside - level) > 12
            empty_sides += [not side.any() for side in (filled[:4], filled[:, :6], filled[:, -6:])]
    assert len(empty_sides) > 90
    assert np.mean(empty_sides) < 0.05


def test_every_object_is_seen_by_a_camera_and_a_quarter_by_one_alone(scenes: list[Scene]) -> None:
    seen_rgb, seen_ir = _all(scenes, "seen_rgb"), _all(scenes, "seen_ir")
    classes = _all(scenes, "classes")
    assert (seen_rgb | seen_ir).all()
    for number in range(len(CLASS_NAMES)):
        own = classes == number
        assert 0.2 < np.mean(~seen_rgb[own]) < 0.42
        assert 0.2 < np.mean(~seen_ir[own]) < 0.42


def test_pixels_show_what_a_camera_sees_and_nothing_of_what_it_misses(scenes: list[Scene]) -> None:
    for image, field in (("rgb", "seen_rgb"), ("ir", "seen_ir")):
        seen = _all(scenes, field)
        contrast = np.array(
            [_contrast(getattr(s, image), box) for s in scenes for box in s.boxes_xyxy_px]
        )
        assert np.median(contrast[seen]) > 0.6
        assert np.percentile(contrast[seen], 10) > 0.15
        assert np.percentile(contrast[~seen], 90) < 0.1


def test_each_kind_troubles_the_visible_camera_in_its_own_way(scenes: list[Scene]) -> None:
    def mean_of(kind: str, measure: str) -> float:
        images = np.stack([scene.rgb for scene in scenes if scene.kind == kind]).astype(np.float32)
        if measure == "level":
            return float(images.mean())
        return float((images.min(axis=-1) >= 254).mean())

    assert mean_of("night", "level") < 40 < mean_of("dusk", "level") < mean_of("day", "level")
    assert mean_of("glare", "white") > 0.05
    assert mean_of("day", "white") < 0.005


def test_infrared_shows_a_cold_sky_at_every_hour(scenes: list[Scene]) -> None:
    for kind in KINDS:
        images = np.stack([scene.ir for scene in scenes if scene.kind == kind]).astype(np.float32)
        assert images[:, :20].mean() < 25
        assert 60 < images[:, 200:].mean() < 130


def test_hot_decoys_stand_outside_the_boxes(scenes: list[Scene]) -> None:
    num_with_decoys = 0
    for scene in scenes:
        rest = scene.ir.copy()
        for x1, y1, x2, y2 in scene.boxes_xyxy_px.astype(int):
            rest[y1:y2, x1:x2] = 0
        num_with_decoys += int(np.count_nonzero(rest > np.median(scene.ir[140:]) + 35) > 150)
    assert num_with_decoys > 0.4 * len(scenes)
