"""What stands at the end of a training: where its files are, and what can be done with them."""

from __future__ import annotations

import shlex
from pathlib import Path

from fusetrain.cli.ranks import say

FILES = (
    "weights/best.safetensors",
    "results.csv",
    "results.png",
    "PR_curve.png",
    "confusion_matrix.png",
    "worst_pairs.jpg",
)


def print_end(run: Path, example: tuple[Path, Path] | None) -> None:
    """Print where the run is, as it is reached from here, what it left and what can follow.

    Args:
        run: Its folder.
        example: RGB and infrared image to detect on, for the command that does.
    """
    word = _word(run)
    left = [name for name in FILES if (run / name).exists()]
    commands = [f"val {word}"]
    if example is not None:
        rgb, ir = map(_word, example)
        commands.append(f"predict {word} --rgb {rgb} --ir {ir}")
    commands += [f"export {word} --format onnx", f"report {word}", f"plot-lr {word}"]
    say(f"run folder: {_shown(run)}")
    if left:
        say(f"files: {', '.join(left)}")
    for number, command in enumerate(commands):
        say(f"{'      ' if number else 'next: '}fusetrain {command}")


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _word(path: Path) -> str:
    return shlex.quote(_shown(path))
