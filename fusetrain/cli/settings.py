"""The commands about settings: `config show` prints them, `config schema` what they may be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fusetrain.config.load import LoadedConfig

config = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    help="Show all settings of a config, or their schema.\n\nExample: fusetrain config schema",
)


@config.command("show")
def config_show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Config file.")],
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a value; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Print every setting and where it was set.

    The output loads again as a config.

    Example: fusetrain config show configs/demo.yaml --set optim.lr0=3e-4
    """
    from fusetrain.cli.console import print_json
    from fusetrain.config.load import load_config
    from fusetrain.rules import config_checks

    loaded = load_config(file, sets or (), checks=[config_checks])
    if as_json:
        values = {"config": loaded.config.model_dump(), "sources": loaded.sources}
        print_json({"path": str(file), **values})
    else:
        typer.echo(annotated_yaml(loaded), nl=False)


@config.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of configs, for editors.

    Example: fusetrain config schema > fusetrain.schema.json
    """
    import json

    from fusetrain.config import load

    typer.echo(json.dumps(load.config_schema(), indent=2))


def annotated_yaml(loaded: LoadedConfig) -> str:
    """Return all settings as YAML, each value with its source in a comment."""
    from fusetrain.cli.console import visible
    from fusetrain.config.faults import dotted
    from fusetrain.config.keys import value_at
    from fusetrain.config.load import effective_yaml
    from fusetrain.config.yaml import read_yaml_text

    text, values = effective_yaml(loaded.config), loaded.config.model_dump()
    lines = text.splitlines()
    for keys, (line, _) in read_yaml_text(text, "config").positions.items():
        source = loaded.sources.get(dotted(keys))
        if source and "\n" not in str(value_at(values, keys)):
            lines[line - 1] = f"{lines[line - 1]:<32}  # {visible(source)}"
    return "\n".join(lines) + "\n"
