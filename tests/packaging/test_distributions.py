"""What is published holds the files of the repository and nothing else, and needs no GPL."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
COPYLEFT = re.compile(r"(?<!L)(?<!Lesser )\bA?GPL|(?<!Lesser )General Public License|Affero", re.I)
MEGABYTE = 1_000_000


def tracked(*folders: str) -> set[str]:
    """Return the files that git knows, as they are now."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *folders], cwd=ROOT, capture_output=True, check=True
    ).stdout
    names = {name.decode() for name in listed.split(b"\0") if name}
    return {name for name in names if (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheel and sdist, built from a copy of the tracked files, without a network."""
    pytest.importorskip("hatchling")
    source = tmp_path_factory.mktemp("source")
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    target = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(target)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.mark.slow
def test_wheel_is_small_and_holds_exactly_the_tracked_files_of_the_package(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert wheel.stat().st_size < MEGABYTE
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        contents = {name: archive.read(name) for name in names}
        info = {name.rpartition("/")[2] for name in archive.namelist() if ".dist-info/" in name}
    assert names == tracked("fusetrain")
    assert "fusetrain/py.typed" in names
    assert {"METADATA", "LICENSE", "entry_points.txt"} <= info
    assert all(content == (ROOT / name).read_bytes() for name, content in contents.items())


@pytest.mark.slow
def test_sdist_holds_tracked_files_only_and_all_that_users_read(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers()}
    assert names - tracked() <= {"PKG-INFO"}
    wanted = tracked("fusetrain", "configs", "docs", "tests", "benchmarks", "datasets")
    assert wanted | {"README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "Makefile"} <= names


def bill() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sbom", ROOT / ".ci" / "sbom.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXTRAS = [name for name in PROJECT["project"]["optional-dependencies"] if name != "dev"]


def test_no_distribution_that_users_get_is_under_gpl_or_agpl() -> None:
    found = bill().closure(EXTRAS)
    assert {"torch", "typer", "pillow"} <= set(found)
    told = {name: bill().licence(package) for name, package in found.items()}
    assert {name: text for name, text in told.items() if COPYLEFT.search(text)} == {}


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("AGPL-3.0", True),
        ("GPL-3.0-only", True),
        ("GNU General Public License v3 (GPLv3)", True),
        ("GNU Affero General Public License v3", True),
        ("LGPL-2.1-or-later", False),
        ("GNU Lesser General Public License v3", False),
        ("MIT", False),
        ("Apache-2.0", False),
    ],
)
def test_gate_knows_a_copyleft_licence(text: str, refused: bool) -> None:
    assert bool(COPYLEFT.search(text)) == refused


def test_core_stays_small() -> None:
    assert len(PROJECT["project"]["dependencies"]) <= 10
    assert not any("<" in text or "==" in text for text in PROJECT["project"]["dependencies"])


def test_bill_of_materials_lists_what_is_installed_and_is_repeatable(tmp_path: Path) -> None:
    out = tmp_path / "bill" / "sbom.json"
    command = [sys.executable, str(ROOT / ".ci" / "sbom.py"), "--out", str(out), "--extra", "tune"]
    subprocess.run(command, check=True)
    first = json.loads(out.read_text(encoding="utf-8"))
    assert (first["bomFormat"], first["specVersion"]) == ("CycloneDX", "1.6")
    by_name = {entry["name"]: entry for entry in first["components"]}
    assert by_name["numpy"]["purl"] == f"pkg:pypi/numpy@{by_name['numpy']['version']}"
    assert len(by_name) == len(first["components"]) > len(PROJECT["project"]["dependencies"])
    assert {entry for edge in first["dependencies"] for entry in edge["dependsOn"]} == {
        entry["bom-ref"] for entry in first["components"]
    }
    assert bill().document(["tune"]) == first
