"""Eight pairs learned by heart: the whole chain from files to metrics has to work for that.

The pairs are shown as they are, without augmentation, and share one canvas: a network that knows
them by heart knows where they lie on it, too.
"""

import csv
import shutil
from pathlib import Path

import pytest

from fusetrain.data.demo import write_demo
from fusetrain.data.image import read_header
from fusetrain.data.transforms import letterbox_size
from fusetrain.inference.judging import validate_weights
from fusetrain.inference.loading import OVERLAP

from ..coco_judge import assert_equal_to_the_judge
from .conftest import Command

CANVAS_HW = (192, 320)
SHARED = Path(__file__).parents[3] / "shared" / "data" / "roadscene-flir"
CONFIG = """\
data: {data}
model: {model}
train: {{epochs: {steps}, batch: 8, imgsz: {imgsz}, patience: 0, val_every: {val_every},
        cache: ram, save_every: {{epochs: {steps}}}}}
optim: {{lr0: 2.0e-3}}
schedule: {{warmup: {{steps: 20}}}}
augment: {{mosaic: 0, fliplr: 0, scale: 0, translate: 0, hsv_h: 0, hsv_s: 0, hsv_v: 0, ir_gain: 0}}
run: {{project: {project}}}
"""


@pytest.fixture
def eight_pairs(tmp_path: Path) -> Path:
    """Eight real pairs, the same for training and validation."""
    if not SHARED.is_dir():
        pytest.skip("the RoadScene pairs are not on this machine")
    folder = tmp_path / "eight"
    images = sorted((SHARED / "images" / "train").iterdir())
    alike = [path for path in images if letterbox_size(read_header(path).size_hw, 320) == CANVAS_HW]
    stems = [path.stem for path in alike[:: len(alike) // 8][:8]]
    for name in ("images", "imagesIR", "labels"):
        (folder / name / "train").mkdir(parents=True)
        for stem in stems:
            (file,) = (SHARED / name / "train").glob(f"{stem}.*")
            shutil.copy(file, folder / name / "train")
    (folder / "data.yaml").write_text(
        "train: images/train\nval: images/train\nnames: [person, bicycle, car]\n"
    )
    return folder / "data.yaml"


@pytest.fixture
def eight_scenes(tmp_path: Path) -> Path:
    """Eight drawn pairs, the same for training and validation."""
    write_demo(tmp_path / "demo", num_pairs=10)  # a fifth of them is for validation
    data = tmp_path / "demo" / "eight.yaml"
    data.write_text("train: images/train\nval: images/train\nnames: [person, car, animal]\n")
    return data


def trained(fusetrain: Command, folder: Path, *words: str, **settings: object) -> Path:
    """Train from scratch, with further words on the command line, and return the run folder."""
    config = folder / "train.yaml"
    config.write_text(CONFIG.format(project=folder / "runs", **settings))
    done = fusetrain("train", "--config", config, *words, timeout=850)
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "exp"


def assert_known_by_heart(run: Path, data: Path, *, overlap: float | None) -> None:
    """What a real run finds, down to the lowest scores, is judged as pycocotools judges it."""
    judgement = validate_weights(run, data=data, split="train", overlap=overlap)
    found, num_classes = judgement.result, len(judgement.info.class_names)
    metrics = assert_equal_to_the_judge(found.truth, found.found, num_classes=num_classes)
    assert metrics.map50 >= 0.95
    assert len(found.found.scores) > 2 * len(found.truth.classes)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_eight_real_pairs_are_learned_by_heart(
    eight_pairs: Path, tmp_path: Path, fusetrain: Command
) -> None:
    model = "{size: n, fusion: mid}"
    steps = {"steps": 290, "val_every": 29}
    run = trained(fusetrain, tmp_path, data=eight_pairs, model=model, imgsz=320, **steps)
    with (run / "results.csv").open() as file:
        scores = [row["metrics/mAP50-95(B)"] for row in csv.DictReader(file)]
    # A pixel between where pairs lie in training and in validation costs more than a tenth.
    assert max(float(score) for score in scores if score) >= 0.93
    assert_known_by_heart(run, eight_pairs, overlap=OVERLAP)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_eight_scenes_are_learned_by_heart_without_suppression(
    eight_scenes: Path, tmp_path: Path, fusetrain: Command
) -> None:
    model = "{size: n, fusion: mid, width: 0.5, one_to_one: true}"
    steps = {"steps": 174, "val_every": 58}
    words = ("--set", "train.threads=1")  # more only wait for each other on so small a canvas
    run = trained(fusetrain, tmp_path, *words, data=eight_scenes, model=model, imgsz=128, **steps)
    for overlap in (OVERLAP, None):
        assert_known_by_heart(run, eight_scenes, overlap=overlap)
