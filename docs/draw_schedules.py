"""Draw the picture of every schedule for docs/schedules.md, as `fusetrain plot-lr` draws it.

    python docs/draw_schedules.py

Thirty epochs of twenty steps, a warmup of three epochs where a schedule has none of its own.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from fusetrain.cli.app import run
from fusetrain.schedule import SCHEDULES

PICTURES = Path(__file__).parent / "pictures"
EPOCHS, STEPS = 30, 20
# Parameters without which a picture would show less than the schedule can do.
SHOWN = {
    "cosine_restarts": "t_mult: 2, t0: 4, decay: 0.8",
    "cyclic": "mode: triangular2, step_size_up: 3",
    "inverse_sqrt": "timescale: 3",
    "sequence": "curves: [{name: linear, epochs: 12, lrf: 0.5}, {name: cosine}]",
    "wsd": "decay: sqrt",
}


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in SCHEDULES.names():
            config = Path(folder, f"{name}.yaml")
            options = f", {SHOWN[name]}" if name in SHOWN else ""
            config.write_text(
                f"train: {{epochs: {EPOCHS}}}\nschedule: {{name: {name}{options}}}\n",
                encoding="utf-8",
            )
            words = ["plot-lr", "--config", str(config), "--steps-per-epoch", str(STEPS)]
            code = run([*words, "--no-terminal", "--out", str(PICTURES / f"{name}.svg")])
            if code:
                sys.exit(code)


if __name__ == "__main__":
    main()
