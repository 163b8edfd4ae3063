"""What the pages say can be typed: every command and flag is there, every link leads somewhere."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.main import get_command

from fusetrain.cli.app import app, run

from .pages import PAGES, ROOT, code_lines, inline_of, is_synopsis, lines_of, words_of

Capture = pytest.CaptureFixture[str]


def script(name: str) -> ModuleType:
    """Return a script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def find(words: list[str]) -> tuple[Any, list[str]]:
    """Return the command that words name, and the words behind its name."""
    command: Any = get_command(app)
    while words and hasattr(command, "list_commands") and not words[0].startswith("-"):
        inner = command.get_command(None, words[0])
        assert inner is not None, f"no command {words[0]}"
        command, words = inner, words[1:]
    return command, words


def flags_of(command: Any) -> set[str]:
    return {"--help", "--traceback", *(flag for param in command.params for flag in param.opts)}


@pytest.mark.parametrize("page", PAGES)
def test_every_flag_on_the_page_is_one_of_its_command(page: str) -> None:
    for line in (*lines_of(page), *inline_of(page)):
        command, _ = find(re.sub(r"[\[\]|…]", " ", line).split()[1:])
        unknown = set(re.findall(r"(?<=[\s\[])--[a-z-]+", line)) - flags_of(command)
        assert unknown == set(), line


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_code_block_parses(page: str) -> None:
    for line in lines_of(page):
        if not is_synopsis(line) and not words_of(line)[0].startswith("-"):
            command, rest = find(words_of(line))
            with command.make_context("fusetrain", rest):
                pass


def of_others(*starts: str) -> list[str]:
    """Return the code lines of all pages that call another program than ours."""
    return [line for page in PAGES for line in code_lines(page) if line.startswith(starts)]


def test_targets_that_pages_make_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {word for line in of_others("make ") for word in line.split()[1:] if "=" not in word}
    assert len(targets) > 5
    assert {name for name in targets if not re.search(rf"^{name}:.*##", makefile, re.M)} == set()


def test_scripts_that_pages_start_are_there_and_take_these_flags() -> None:
    lines = [line.split() for line in of_others("python ") if not line.startswith("python -c")]
    assert len(lines) > 5
    for _, name, *words in lines:
        folder = (ROOT / name).parent
        text = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
        assert (ROOT / name).is_file(), name
        assert [word for word in words if word.startswith("--") and f'"{word}"' not in text] == []


def test_extras_that_pages_install_are_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {name for line in of_others("pip ") for name in re.findall(r"\[([a-z,]+)\]", line)}
    assert asked
    assert asked <= set(project["optional-dependencies"])


def test_pages_show_every_command() -> None:
    from fusetrain.cli.app import COMMANDS

    shown = {words_of(line)[0] for page in PAGES for line in lines_of(page) if words_of(line)}
    assert set(COMMANDS) <= shown


def test_no_link_between_the_pages_is_broken() -> None:
    assert list(script("build_site").broken_links()) == []


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md", "docs/report.md"])
def test_files_of_a_run_that_pages_name_are_in_its_folder(page: str, trained_home: Path) -> None:
    run = trained_home / "runs" / "exp"
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w*]+\.(?:png|jpg|csv|jsonl))`", text))
    assert named
    assert [name for name in sorted(named) if not list(run.glob(name))] == []


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    site = script("build_site")
    named = {page for pages in site.NAV.values() for page in pages}
    places = {place for place in site.sources().values() if place.endswith(".md")}
    commands = {place for place in places if re.fullmatch(r"commands/(?!README).*", place)}
    assert named == places - commands


def test_links_that_are_rewritten_for_the_site_lead_to_its_pages(tmp_path: Path) -> None:
    site = script("build_site")
    places = site.sources()
    for name, place in places.items():
        if name.endswith(".md"):
            text = site.rewritten(name, (ROOT / name).read_text(encoding="utf-8"), places)
            for _, target, _ in site.LINK.findall(site.FENCE.sub("", text)):
                if not re.match(r"[a-z]+:|#", target):
                    file = (tmp_path / place).parent / target.partition("#")[0]
                    inside = file.resolve().relative_to(tmp_path.resolve()).as_posix()
                    assert inside in places.values(), f"{name}: {target}"


def test_pages_of_commands_repeat_their_help() -> None:
    folder = ROOT / "docs" / "commands"
    pages = script("list_commands").pages()
    assert {path.name for path in folder.iterdir()} == set(pages)
    for name, text in pages.items():
        written = (folder / name).read_text(encoding="utf-8")
        assert written.split() == text.split(), "run `python docs/list_commands.py`"


@pytest.mark.parametrize(("draft", "file"), [("2020-12", "config"), ("07", "config.draft-07")])
def test_schema_that_editors_load_is_that_of_this_version(
    draft: str, file: str, capsys: Capture
) -> None:
    assert run(["config", "schema", "--draft", draft]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((ROOT / "docs" / f"{file}.schema.json").read_text("utf-8")) == printed
    assert draft.lstrip("0") in printed["$schema"]
    assert ("$defs" in json.dumps(printed)) == (draft == "2020-12")


def test_unknown_draft_exits_2(capsys: Capture) -> None:
    assert run(["config", "schema", "--draft", "4"]) == 2
    assert "2020-12 or 07" in capsys.readouterr().err
