"""The JSON Schema of config files, for editors, in two drafts; it adds no rule to `schema.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusetrain.config.schema import Config


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of config files, for editors."""
    schema = Config.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["properties"] = {
        "extends": {"type": "string", "description": "Config to start from; relative to this one."},
        **schema["properties"],
    }
    return schema


def draft_07(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema in draft 7 of JSON Schema, which more editors read.

    What `config_schema` uses differs in the name of its definitions alone.
    """

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                "definitions" if key == "$defs" else key: renamed(item)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [renamed(item) for item in value]
        is_reference = isinstance(value, str) and value.startswith("#/$defs/")
        return value.replace("$defs", "definitions", 1) if is_reference else value

    return {**renamed(schema), "$schema": "http://json-schema.org/draft-07/schema#"}
