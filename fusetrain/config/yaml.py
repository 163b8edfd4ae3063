"""Read and write YAML strictly: what a file says is what a run gets, or an error with its place.

Scalars follow YAML 1.2 (`no`, `off`, `12:30`, `010` are text, `1e-4` is a number), duplicate keys
and tags are errors, size, depth and aliases are capped. This file knows nothing of any setting;
`validate` hands a document to a pydantic model and reports every fault with line and column.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel

from fusetrain.config.faults import Keys, located_problems
from fusetrain.config.scalars import scalar_value
from fusetrain.errors import ConfigError, FusetrainError, Problem

MAX_BYTES = 2**20
MAX_DEPTH = 64
MAX_ALIASES = 100
MAX_NODES = 200_000
UNICODE_BREAKS = frozenset("\x85\u2028\u2029")

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class YamlDocument:
    """A parsed file and the place of everything in it.

    Attributes:
        path: The file, as it was named; the name of the text where there is no file.
        value: Mappings, lists, text, numbers, booleans and None.
        positions: Keys from the root to 1-based (line, column) of the key or list item.
    """

    path: Path
    value: Any
    positions: Mapping[Keys, tuple[int, int]]

    def where(self, keys: Keys) -> str:
        """Return ``file:line:column`` of the keys, or of the nearest parent that is written."""
        for length in range(len(keys), 0, -1):
            if place := self.positions.get(keys[:length]):
                return f"{self.path}:{place[0]}:{place[1]}"
        return str(self.path)


def read_yaml(
    path: Path, *, error: type[FusetrainError] = ConfigError, remedy: str = ""
) -> YamlDocument:
    """Read one YAML file; an empty file has the value None.

    Args:
        path: The file.
        error: Class of the exception, which decides the exit code.
        remedy: What to type when there is no such file.

    Raises:
        FusetrainError: It is missing, no regular file, too large, not UTF-8 or not strict YAML;
            of the class ``error``.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise error("not a file", where=str(path), expected="the path of a YAML file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as missing:
        expected = _nearest_file(path)
        raise error("no such file", where=str(path), expected=expected, remedy=remedy) from missing
    except (OSError, ValueError) as failure:
        reason = failure.strerror if isinstance(failure, OSError) else failure
        raise error(f"cannot be read: {reason}", where=str(path)) from failure
    try:
        text = data[:MAX_BYTES].decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        line = data.count(b"\n", 0, failure.start) + 1
        raise error("not UTF-8 text", where=f"{path}:{line}", expected="YAML in UTF-8") from failure
    if len(data) > MAX_BYTES:
        raise error(f"larger than {MAX_BYTES // 2**20} MiB", where=str(path))
    return read_yaml_text(text, str(path), error=error)


def read_yaml_text(
    text: str, name: str, *, error: type[FusetrainError] = ConfigError
) -> YamlDocument:
    """Read YAML from a string; ``name`` stands for the file in messages.

    Raises:
        FusetrainError: It is not strict YAML; of the class ``error``, with all places.
    """
    try:
        root = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as failure:
        mark = failure.problem_mark or failure.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise error(f"not valid YAML: {_reason(failure)}", where=f"{name}{place}") from failure
    except yaml.reader.ReaderError as failure:
        line = text.count("\n", 0, failure.position) + 1
        column = failure.position - text.rfind("\n", 0, failure.position)
        what = f"character U+{int(failure.character):04X} is not allowed in YAML"
        raise error(what, where=f"{name}:{line}:{column}") from failure
    builder = _Builder(name)
    value = builder.build(root, ()) if root else None
    if len(builder.problems) == 1:
        raise error(builder.problems[0].message, where=builder.problems[0].where)
    if builder.problems:
        raise error(f"{len(builder.problems)} faults in the YAML", problems=builder.problems)
    return YamlDocument(Path(name), value, builder.positions)


def validate(
    model: type[Model],
    document: YamlDocument,
    *,
    what: str,
    error: type[FusetrainError] = ConfigError,
) -> Model:
    """Return the document as an instance of ``model``; types are strict, nothing is converted.

    Args:
        model: The settings to fill.
        document: What was read.
        what: What the file is, as messages call it, such as "config".
        error: Class of the exception, which decides the exit code.

    Raises:
        FusetrainError: One of the class ``error`` with every fault of the document.
    """
    require_mapping(document, what, error=error)
    found = located_problems(model, document.value, where=document.where)
    found.sort(key=lambda entry: document.positions.get(entry[0], (0, 0)))
    if found:
        raise fault_error([problem for _, problem in found], what, error=error)
    return model.model_validate(document.value, strict=True)


def require_mapping(
    document: YamlDocument,
    what: str,
    *,
    error: type[FusetrainError] = ConfigError,
    expected: str = "`key: value` lines",
) -> None:
    """Refuse a document that is empty or not a mapping.

    Raises:
        FusetrainError: Of the class ``error``.
    """
    if not isinstance(document.value, dict):
        kind = "is empty" if document.value is None else "is not a mapping"
        raise error(f"the {what} {kind}", where=str(document.path), expected=expected)


def fault_error(
    problems: Sequence[Problem], what: str, *, error: type[FusetrainError] = ConfigError
) -> FusetrainError:
    """Return the one error that carries all problems of a file."""
    count = "a fault" if len(problems) == 1 else f"{len(problems)} faults"
    return error(f"the {what} has {count}", problems=problems)


def dump_yaml(value: Any) -> str:
    """Return block YAML that `read_yaml_text` reads back as an equal value."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf")
    )
    return text


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with caps on depth and aliases, and without tags."""

    depth = 0
    aliases = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            self.aliases += 1
        elif getattr(event, "tag", None) is not None:
            raise _fault(
                f"tag {event.tag!r} is not allowed; quote the value to keep it as text", event
            )
        if self.aliases > MAX_ALIASES:
            raise _fault(f"more than {MAX_ALIASES} aliases", event)
        if self.depth >= MAX_DEPTH:
            raise _fault(f"nested deeper than {MAX_DEPTH} levels", event)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Builder:
    """Turns nodes into values, and collects places and faults on the way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.positions: dict[Keys, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self._nodes = 0
        self._open: set[int] = set()

    def build(self, node: yaml.Node, keys: Keys) -> Any:
        """Return the value of a node; faults go to ``problems``."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            if self._nodes == MAX_NODES + 1:
                self._report(f"more than {MAX_NODES} values once its aliases are expanded", node)
            return None
        if id(node) in self._open:
            self._report("an alias that contains itself", node)
            return None
        if isinstance(node, yaml.ScalarNode):
            return scalar_value(node.value) if node.style is None else node.value
        self._open.add(id(node))
        is_mapping = isinstance(node, yaml.MappingNode)
        value = self._mapping(node, keys) if is_mapping else self._sequence(node, keys)
        self._open.discard(id(node))
        return value

    def _mapping(self, node: yaml.Node, keys: Keys) -> dict[str | int, Any]:
        value: dict[str | int, Any] = {}
        for key_node, value_node in node.value:
            is_scalar = isinstance(key_node, yaml.ScalarNode)
            key = self.build(key_node, keys) if is_scalar else None
            if isinstance(key, bool) or not isinstance(key, str | int):
                self._report("a key must be text or a whole number", key_node)
                continue
            if key == "<<" and key_node.style is None:
                self._report("merge keys (`<<`) are not read; write the settings out", key_node)
                continue
            path = (*keys, key)
            if key in value:
                first = self.positions[path][0]
                self._report(f"duplicate key {key!r}; it stands in line {first} already", key_node)
                continue
            self.positions[path] = _place(key_node)
            value[key] = self.build(value_node, path)
        return value

    def _sequence(self, node: yaml.Node, keys: Keys) -> list[Any]:
        for index, item in enumerate(node.value):
            self.positions[*keys, index] = _place(item)
        return [self.build(item, (*keys, index)) for index, item in enumerate(node.value)]

    def _report(self, message: str, node: yaml.Node) -> None:
        line, column = _place(node)
        self.problems.append(Problem(message, f"{self.name}:{line}:{column}"))


class _Dumper(yaml.SafeDumper):
    """PyYAML's writer without aliases, which quotes what either YAML version takes for no text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None if isinstance(scalar_value(text), str) else "'"
    style = '"' if set(text) & UNICODE_BREAKS else style  # only escaped they are not folded
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _fault(problem: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def _reason(failure: yaml.MarkedYAMLError) -> str:
    problem = " ".join(str(failure.problem or failure.context).split())
    if problem.startswith("but "):
        problem = f"{failure.context}, {problem}"
    if "'\\t'" in problem:
        return "a tab where YAML wants spaces"
    return problem


def _nearest_file(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix in (".yaml", ".yml")]
    except OSError:
        return "the path of a YAML file"
    near = get_close_matches(path.name, names, n=1)
    return f"a YAML file, such as {path.parent / near[0]}" if near else "the path of a YAML file"
