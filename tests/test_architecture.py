"""The house rules that a machine can check: layers, sizes, names of rooms, light packages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fusetrain"
MODULES = sorted(PACKAGE.rglob("*.py"))
LAYERS = (
    ("__main__",),
    ("cli",),
    (
        "rules",
        "launching",
        "build",
        "runs",
        "tuning",
        "inference",
        "reporting",
        "suggest",
        "api",
        "commands",
        "catalogue",
        "export",
        "diagnose",
        "prepare",
    ),
    ("engine", "checks"),
    ("data", "detector", "loss", "schedule", "results"),
    (
        "ahead",
        "allocator",
        "config",
        "distributed",
        "launched",
        "durable",
        "environment",
        "interrupts",
        "sample",
        "boxes",
        "registry",
        "failpoints",
        "errors",
    ),
)
COMPOSITION = LAYERS[2]
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
FOUNDATION = len(LAYERS) - 1
BANNED_ROOMS = {"utils", "util", "helpers", "common", "misc", "core", "tools"}
LIGHT = {"__future__", "collections", "typing"}
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _room(module: str) -> str:
    """Return the part of fusetrain that a dotted module belongs to; empty for the root itself."""
    return module.split(".")[1] if "." in module else ""


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _imports(tree: ast.AST) -> Iterator[str]:
    """Yield the modules that a tree imports at any depth, those for type checkers included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def layer_breaches(room: str, imported: list[str]) -> list[str]:
    """Return the imports that a module of ``room`` must not have."""
    breaches = []
    for module in imported:
        other = _room(module) if module.split(".")[0] == "fusetrain" else ""
        if other not in RANK or other == room:
            continue
        may_meet = room in COMPOSITION or RANK[room] == FOUNDATION
        if RANK[other] < RANK[room] or (RANK[other] == RANK[room] and not may_meet):
            breaches.append(module)
    return breaches


@pytest.mark.parametrize(
    ("room", "module", "is_breach"),
    [
        ("data", "fusetrain.engine.trainer", True),
        ("data", "fusetrain.loss", True),
        ("checks", "fusetrain.engine", True),
        ("engine", "fusetrain.build", True),
        ("config", "fusetrain.data.index", True),
        ("engine", "fusetrain.data.index", False),
        ("data", "fusetrain.data.index", False),
        ("cli", "fusetrain.build", False),
        ("runs", "fusetrain.build", False),
        ("config", "fusetrain.errors", False),
        ("data", "fusetrain", False),
        ("data", "datasets.engine", False),
    ],
)
def test_the_layer_rule_tells_up_from_down(room: str, module: str, is_breach: bool) -> None:
    assert layer_breaches(room, [module]) == ([module] if is_breach else [])


def test_every_room_has_a_layer() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    assert rooms - {"__init__"} <= set(RANK)


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_module_imports_from_below_only(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room != "__init__":
        assert layer_breaches(room, list(_imports(_parsed(path)))) == []


def _at_import(node: ast.AST) -> Iterator[str]:
    """Yield what a module imports while it is imported itself."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield from _imports(child)
        elif not (
            isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or _is_type_checking(child)
        ):
            yield from _at_import(child)


def test_no_two_modules_import_each_other() -> None:
    """Else two threads that import them at once would wait for each other."""
    names = {
        ".".join(("fusetrain", *path.relative_to(PACKAGE).with_suffix("").parts)): path
        for path in MODULES
    }
    needs = {
        name.removesuffix(".__init__"): {
            other for other in _at_import(_parsed(path)) if other in names
        }
        for name, path in names.items()
    }
    assert list(TopologicalSorter(needs).static_order())


def test_only_distributed_speaks_to_torch_distributed() -> None:
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        if any(name.startswith("torch.distributed") for name in _imports(_parsed(path)))
        or "torch.distributed" in {ast.unparse(node) for node in _attributes(_parsed(path))}
    }
    assert users <= {"distributed.py", "launching/agent.py"}  # the latter of its launcher only


def _attributes(tree: ast.AST) -> Iterator[ast.Attribute]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_files_and_functions_are_short(path: Path) -> None:
    num_lines = path.read_text(encoding="utf-8").count("\n")
    assert num_lines <= MAX_FILE_LINES
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(_parsed(path))
        if isinstance(node, functions)
        and node.end_lineno
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert long == []


def test_no_room_for_everything() -> None:
    folders = {part for path in MODULES for part in path.relative_to(PACKAGE).parts}
    assert {name.removesuffix(".py") for name in folders} & BANNED_ROOMS == set()


@pytest.mark.parametrize("path", [p for p in MODULES if p.name == "__init__.py"], ids=_name)
def test_package_imports_nothing_heavy(path: Path) -> None:
    eager = [
        name
        for node in _parsed(path).body
        if isinstance(node, ast.Import | ast.ImportFrom) and not _is_type_checking(node)
        for name in _imports(node)
    ]
    known = ("fusetrain.registry", "fusetrain.errors")
    assert [n for n in eager if not n.startswith(known) and n.split(".")[0] not in LIGHT] == []


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_module_opens_with_what_it_is_for(path: Path) -> None:
    assert len((ast.get_docstring(_parsed(path)) or "").split()) >= 5
