"""What a config must obey beyond the types of its values: known names, values that fit.

Only tables of names are imported here, no numpy, no torch, so that a wrong config is answered at
once. What the settings are turned into is the business of `build.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from fusetrain.config.schema import BASES, Config, ModelSettings
from fusetrain.config.stages import ADAPTER, run_stages
from fusetrain.detector import BACKBONES
from fusetrain.detector.fusion import KINDS, OPERATORS, WITHOUT_OPERATOR
from fusetrain.engine import OPTIMIZERS
from fusetrain.errors import ConfigError, Problem, ResourceError, RunError
from fusetrain.results.run_dir import LATEST
from fusetrain.results.trackers import NEEDED, TRACKERS
from fusetrain.schedule.options import KeyProblem, curve_problems

PARTS_OF_SINGLE = {"rgb": ("backbone", "neck", "head"), "ir": ("backbone_ir", "neck", "head")}
SINGLE = tuple(PARTS_OF_SINGLE)
DEFAULT_OPERATOR = ModelSettings().operator


def config_checks(config: Config) -> Iterator[KeyProblem]:
    """Yield what is wrong with the names in a config and with the parameters of its schedule."""
    named = (
        (("model", "fusion"), KINDS, config.model.fusion),
        (("model", "operator"), OPERATORS, config.model.operator),
        (("model", "backbone"), BACKBONES, config.model.backbone),
        (("optim", "name"), OPTIMIZERS, config.optim.name),
        *((("run", "trackers"), TRACKERS, name) for name in config.run.trackers),
    )
    for keys, registry, name in named:
        if problem := registry.problem(name):
            yield (keys, problem)
    operator = config.model.operator
    if config.model.fusion in WITHOUT_OPERATOR and operator != DEFAULT_OPERATOR:
        message = f"fusion {config.model.fusion!r} joins no feature maps and takes no operator"
        yield (("model", "operator"), message)
    yield from _adapter_problems(config)
    for below, message in curve_problems(config.schedule):
        yield (("schedule", *below), message)
    if not _is_folder_name(config.run.name):
        yield (
            ("run", "name"),
            f"{config.run.name!r} cannot name a run folder; expected one folder name other than "
            f"{LATEST!r}, without a slash (`run.project` says where it goes)",
        )
    if "\0" in config.run.project:
        yield (("run", "project"), f"{config.run.project!r} cannot name a folder")


def _adapter_problems(config: Config) -> Iterator[KeyProblem]:
    """Yield which settings do not go together with an adapter, or only with one."""
    model, train = config.model, config.train
    if model.key_map is not None and model.weights is None:
        yield (("model", "key_map"), "maps the names of `model.weights`, which names nothing")
    if model.fusion != ADAPTER:
        if model.base != BASES[0]:
            message = f"fusion {model.fusion!r} has no base; only {ADAPTER!r} builds on one"
            yield (("model", "base"), message)
        return
    if model.base not in BASES and model.weights is not None:
        message = f"the base {model.base!r} brings all weights; `weights` would fill nothing"
        yield (("model", "weights"), message)
    for key in ("stages", "freeze"):
        if getattr(train, key):
            message = f"fusion {ADAPTER!r} has phases of its own, in which its base is frozen"
            yield (("train", key), message)


def require_fusion(config: Config) -> None:
    """Check that there is something to compare, before the first of three runs.

    Raises:
        ConfigError: The config trains a single modality itself, or would leave a baseline nothing
            to train.
    """
    kind = config.model.fusion
    if kind in SINGLE:
        raise ConfigError(
            f"--with-baselines makes no sense for fusion {kind!r}: it is a baseline itself",
            expected="a `model.fusion` that looks at both images, such as mid",
            remedy="take --with-baselines out, or name another fusion: --set model.fusion=mid",
        )
    still = [
        single
        for single, parts in PARTS_OF_SINGLE.items()
        if any(set(parts) <= set(stage.freeze) for stage in run_stages(config))
    ]
    if still:
        raise ConfigError(
            f"--with-baselines has nothing to train for {' and '.join(still)}: every part of it "
            "is frozen",
            expected="`train.freeze` and `freeze` of each stage leave it a part that learns",
            remedy="take --with-baselines out, or a part out of `freeze`",
        )


def require_data(config: Config) -> Path:
    """Return the path of the data set.

    Raises:
        ConfigError: The config names none.
    """
    if config.data is None:
        raise ConfigError(
            "the config names no data set",
            expected="a line `data: PATH`, a data YAML or a folder",
            remedy="write that line; `train` takes --data PATH, `plot-lr` --steps-per-epoch N",
        )
    return Path(config.data)


def require_weights(config: Config) -> None:
    """Check that what the model is to start from is there, before anything is read.

    Raises:
        RunError: The weights, their key map or the base of an adapter are missing.
    """
    missing = [
        Problem(f"nothing at {path}", where=f"model.{key}")
        for key, path in config.model.paths.items()
        if not Path(path).exists()
    ]
    if missing:
        raise RunError(
            "the model cannot start from what it names",
            problems=missing,
            expected="`weights`: a run folder, its weights, or a state_dict; `key_map`: a YAML "
            "file; `base`: auto, rgb, ir, or a run folder",
        )


def require_trackers(config: Config) -> None:
    """Check that the packages of the trackers are there, before anything is trained.

    Raises:
        ResourceError: One is not.
    """
    for name in config.run.trackers:
        missing = [module for module in NEEDED.get(name, ()) if not _is_installed(module)]
        if missing:
            raise ResourceError(
                f"tracker {name}: {' and '.join(missing)} not installed",
                remedy=f"pip install 'fusetrain[{name}]', or --set run.trackers=[]",
            )


def _is_installed(module: str) -> bool:
    """Return whether a package is there; a folder of that name, such as W&B leaves, is none."""
    spec = find_spec(module)
    return spec is not None and spec.origin is not None


def _is_folder_name(name: str) -> bool:
    return name not in (".", "..", LATEST) and not set(name) & set("/\\\0")
