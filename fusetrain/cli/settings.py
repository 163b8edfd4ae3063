"""The commands about settings: `config show`, `schema`, `suggest`, and `import` of others'."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from fusetrain.config.foreign.translate import Translation
    from fusetrain.config.load import LoadedConfig

config = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    help="Show settings and their schema, suggest some, or import another's.\n\n"
    "Example: fusetrain config suggest demo/data.yaml",
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
def config_schema(
    draft: Annotated[
        str, typer.Option("--draft", metavar="2020-12|07", help="Version of JSON Schema.")
    ] = "2020-12",
) -> None:
    """Print the JSON Schema of configs, for editors.

    Example: fusetrain config schema > fusetrain.schema.json
    """
    import json

    from fusetrain.config.json_schema import config_schema as schema_2020
    from fusetrain.config.json_schema import draft_07
    from fusetrain.errors import UsageError

    if draft not in ("2020-12", "07"):
        raise UsageError(f"no such --draft: {draft}", expected="2020-12 or 07")
    schema = schema_2020()
    typer.echo(json.dumps(draft_07(schema) if draft == "07" else schema, indent=2))


@config.command("suggest")
def config_suggest(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Data YAML or folder.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="New file; else stdout.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Write a config to begin with, from the pairs, images and boxes of a data set.

    Example: fusetrain config suggest demo/data.yaml --out train.yaml
    """
    from dataclasses import asdict

    from fusetrain.cli.console import print_json, stderr_console, visible
    from fusetrain.suggest import facts_of, suggest, suggested_yaml

    facts = facts_of(data)
    suggestions = suggest(facts)
    text = suggested_yaml(facts, suggestions, data)
    if out:
        _write_new(out, text)
    if as_json:
        told = [{"values": dict(one.values), "reason": one.reason} for one in suggestions]
        print_json({"path": str(data), "facts": asdict(facts), "suggestions": told})
    elif not out:
        typer.echo(text, nl=False)
    if out:
        next_line = f"next: fusetrain train --config {shlex.quote(str(out))}"
        stderr_console().print(visible(next_line), markup=False, soft_wrap=True)


@config.command("import")
def config_import(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="args.yaml, hyp.yaml or data.yaml of another.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="New file; else stdout.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Turn a config or data YAML of Ultralytics or YOLOFuse into ours, key by key.

    Example: fusetrain config import args.yaml --out train.yaml
    """
    from fusetrain.cli.console import print_json, stderr_console, visible
    from fusetrain.config.foreign.translate import translate
    from fusetrain.rules import config_checks

    translation = translate(file, checks=[config_checks])
    if out:
        _write_new(out, translation.to_yaml())
    if as_json:
        print_json(translation_json(translation))
    elif not out:
        typer.echo(translation.to_yaml(), nl=False)
    console = stderr_console()
    for line in fate_lines(translation):
        console.print(visible(line), markup=False, soft_wrap=True)
    if out:
        check = "check-data" if translation.kind == "data" else "config show"
        console.print(visible(f"next: fusetrain {check} {out}"), markup=False, soft_wrap=True)


def translation_json(translation: Translation) -> dict[str, Any]:
    """Return an import for scripts: what it is, the settings, and the fate of every key."""
    return {
        "path": str(translation.path),
        "kind": translation.kind,
        "settings": translation.settings,
        "keys": [
            {"key": fate.key, "line": fate.line, "values": fate.values, "left_out": fate.reason}
            for fate in translation.fates
        ],
    }


def fate_lines(translation: Translation) -> list[str]:
    """Return what became of each key of theirs, a line each."""
    import json

    lines = []
    for fate in translation.fates:
        told = ", ".join(f"{key}: {json.dumps(value)}" for key, value in fate.values.items())
        what = f"left out: {fate.reason}" if fate.reason else told or "as it is here anyway"
        lines.append(f"  {fate.line:>4}  {fate.key:<18} {what}")
    left, all_keys = len(translation.left), len(translation.fates)
    kind = "config" if translation.kind == "config" else "data YAML"
    return [f"{translation.path}: a {kind}, {all_keys - left} of {all_keys} keys taken", *lines]


def _write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet.

    Raises:
        ResourceError: It is there, or cannot be written.
    """
    from fusetrain.errors import ResourceError

    try:
        with path.open("x", encoding="utf-8", newline="\n") as opened:
            opened.write(text)
    except OSError as error:
        raise ResourceError(
            f"{path} cannot be written: {error.strerror}", expected="the name of a new file"
        ) from error


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
