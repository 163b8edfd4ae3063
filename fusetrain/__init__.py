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
    from fusetrain.commands.data import (
        check_data,
        demo,
        prepare_align,
        prepare_convert,
        prepare_rename,
        prepare_split,
    )
    from fusetrain.commands.exporting import export_onnx
    from fusetrain.commands.reports import (
        compare,
        diagnose_config,
        diagnose_run,
        plot_lr,
        report,
    )
    from fusetrain.commands.training import find_lr, resume, train, tune

__version__ = "0.1.0"
__all__ = [
    "Detector",
    "Found",
    "__version__",
    "check_data",
    "compare",
    "demo",
    "diagnose_config",
    "diagnose_run",
    "export_onnx",
    "find_lr",
    "plot_lr",
    "predict",
    "prepare_align",
    "prepare_convert",
    "prepare_rename",
    "prepare_split",
    "report",
    "resume",
    "train",
    "tune",
    "val",
]
_MODULES = {
    "api": ("Detector", "Found", "predict", "val"),
    "commands.data": (
        "check_data",
        "demo",
        "prepare_align",
        "prepare_convert",
        "prepare_rename",
        "prepare_split",
    ),
    "commands.exporting": ("export_onnx",),
    "commands.reports": ("compare", "diagnose_config", "diagnose_run", "plot_lr", "report"),
    "commands.training": ("find_lr", "resume", "train", "tune"),
}


def __getattr__(name: str) -> Any:
    """Import the names for users when they are first asked for: some of them need torch."""
    for module, names in _MODULES.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(f"fusetrain.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
