"""Draw the picture at the top of README.md: pairs of the demo with what a detector found on them.

    fusetrain demo demo && fusetrain train --config demo/train.yaml
    python docs/draw_pairs.py --run runs/fuse/latest --data demo

The pairs are those of the validation split that differ most in brightness: day, dusk, night, smoke.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from fusetrain.cli.app import run

PICTURE = Path(__file__).parent / "pictures" / "pairs.jpg"
SHOWN = 6
WIDTH_PX = 620


def chosen(folder: Path) -> list[Path]:
    """Return some visible images from the darkest to the brightest, at even steps."""
    paths = sorted(folder.iterdir())
    brightness = [float(np.asarray(Image.open(path).convert("L")).mean()) for path in paths]
    order = np.argsort(brightness, kind="stable")
    return [paths[order[at]] for at in np.linspace(0, len(paths) - 1, SHOWN).round().astype(int)]


def main() -> None:
    """Predict on the chosen pairs and write them into one picture, two in a row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run of the demo")
    parser.add_argument("--data", type=Path, required=True, help="the demo")
    given = parser.parse_args()
    tiles = []
    with tempfile.TemporaryDirectory() as folder:
        for path in chosen(given.data / "images" / "val"):
            (infrared,) = (given.data / "imagesIR" / "val").glob(f"{path.stem}.*")
            out = Path(folder, path.stem)
            words = ["predict", given.run, "--rgb", path, "--ir", infrared, "--out", out]
            if code := run([str(word) for word in words]):
                sys.exit(code)
            tile = Image.open(out / f"{path.stem}.png").convert("RGB")
            tiles.append(tile.resize((WIDTH_PX, round(tile.height * WIDTH_PX / tile.width))))
    height = max(tile.height for tile in tiles)
    whole = Image.new("RGB", (2 * WIDTH_PX + 8, len(tiles) // 2 * (height + 8) - 8), "white")
    for number, tile in enumerate(tiles):
        whole.paste(tile, (number % 2 * (WIDTH_PX + 8), number // 2 * (height + 8)))
    whole.save(PICTURE, quality=82, optimize=True)


if __name__ == "__main__":
    main()
