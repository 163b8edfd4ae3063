"""Eight pairs learned by heart: the whole chain from files to metrics has to work for that.

The pairs are shown as they are, without augmentation, and share one canvas: a network that knows
them by heart knows where they lie on it, too.
"""

import csv
import shutil
from pathlib import Path

import pytest

from fusetrain.data.image import read_header
from fusetrain.data.transforms import letterbox_size
from fusetrain.inference.judging import validate_weights

from ..coco_judge import assert_equal_to_the_judge
from .conftest import Command

CANVAS_HW = (192, 320)
SHARED = Path(__file__).parents[3] / "shared" / "data" / "roadscene-flir"
STEPS = 290
CONFIG = """\
data: {data}
model: {{size: n, fusion: mid}}
train: {{epochs: {steps}, batch: 8, imgsz: 320, patience: 0, val_every: 29, cache: ram,
        save_every: {{epochs: {steps}}}}}
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


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_eight_real_pairs_are_learned_by_heart(
    eight_pairs: Path, tmp_path: Path, fusetrain: Command
) -> None:
    config = tmp_path / "train.yaml"
    config.write_text(CONFIG.format(data=eight_pairs, steps=STEPS, project=tmp_path / "runs"))
    done = fusetrain("train", "--config", config, timeout=850)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "runs" / "exp" / "results.csv").open() as file:
        scores = [row["metrics/mAP50(B)"] for row in csv.DictReader(file)]
    assert max(float(score) for score in scores if score) >= 0.95
    # What a real run finds, down to the lowest scores, is judged as pycocotools judges it.
    judgement = validate_weights(tmp_path / "runs" / "exp", data=eight_pairs, split="train")
    found, num_classes = judgement.result, len(judgement.info.class_names)
    metrics = assert_equal_to_the_judge(found.truth, found.found, num_classes=num_classes)
    assert metrics.map50 >= 0.95
    assert len(found.found.scores) > 2 * len(found.truth.classes)
