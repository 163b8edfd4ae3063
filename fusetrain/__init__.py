"""Train object detectors on aligned RGB-infrared pairs.

Data goes one way: ``config -> index -> loader -> detector -> loss -> engine -> results``.

- `checks`: the validator of pairs            - `detector`: the dual-backbone fusion detector
- `engine`: training steps, state, machine    - `schedule`: learning-rate curves
- `data`: files to batches                    - `loss`: assignment and losses
- `results`: metrics, run folder, figures     - `config`: typed settings
- `build`: a config to data and schedule      - `runs`: a run from first line to last figure
- `launching`: processes on one or many hosts - `inference`: judging and detecting
- `prepare`: new data sets from old ones      - `tuning`: a search for settings
- `export`: to ONNX, and its parity           - `reporting`: runs told side by side
- `diagnose`: why a run does not learn        - `cli`: the commands
- `api`, `commands`: the same for Python
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusetrain.api import Detector, Found, predict, val
    from fusetrain.commands import check_data, export_onnx, plot_lr, resume, train, tune

__version__ = "0.1.0"
__all__ = [
    "Detector",
    "Found",
    "__version__",
    "check_data",
    "export_onnx",
    "plot_lr",
    "predict",
    "resume",
    "train",
    "tune",
    "val",
]
_API = ("Detector", "Found", "predict", "val")


def __getattr__(name: str) -> Any:
    """Import the names for users when they are first asked for: they need torch."""
    if name in __all__:
        from importlib import import_module

        module = "fusetrain.api" if name in _API else "fusetrain.commands"
        return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
