"""List what fusetrain needs as it is installed here: a bill of materials in CycloneDX 1.6 JSON.

    python .ci/sbom.py --out build/sbom.json

The list starts at the dependencies and extras of pyproject.toml and follows those of every
distribution. What is not installed is left out; `tests/packaging` refuses licences on the way.
"""

from __future__ import annotations

import argparse
import json
import re
import tomllib
import uuid
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LICENCE = "License :: "


def normal(name: str) -> str:
    """Return the name of a distribution as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(extras: Sequence[str]) -> dict[str, Distribution]:
    """Return all installed distributions that the project needs, by name.

    Args:
        extras: Optional groups of pyproject.toml to start from, besides the core.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = project["optional-dependencies"]
    waiting = [(text, "") for text in project["dependencies"]]
    waiting += [(text, "") for extra in extras for text in groups[extra]]
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    while waiting:
        text, extra = waiting.pop()
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = normal(requirement.name)
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                waiting += [(inner, wanted) for inner in found[name].requires or ()]
    return dict(sorted(found.items()))


def licence(package: Distribution) -> str:
    """Return what a distribution says about its licence, as one line; empty if it says nothing."""
    data = package.metadata
    classified = [line for line in data.get_all("Classifier") or () if line.startswith(LICENCE)]
    told = data.get("License-Expression") or "; ".join(
        line.rpartition(" :: ")[2] for line in classified
    )
    return told or " ".join((data.get("License") or "").split("\n")[0].split())


def components(packages: dict[str, Distribution]) -> Iterator[dict[str, Any]]:
    """Yield every distribution as CycloneDX describes a library."""
    for name, package in packages.items():
        described: dict[str, Any] = {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{package.version}",
            "name": name,
            "version": package.version,
            "purl": f"pkg:pypi/{name}@{package.version}",
        }
        if text := licence(package):
            described["licenses"] = [{"license": {"name": text}}]
        yield described


def document(extras: Sequence[str]) -> dict[str, Any]:
    """Return the bill of materials; equal installations give equal documents."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = list(components(closure(extras)))
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(listed, sort_keys=True))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": project["name"],
                "name": project["name"],
                "version": project["version"],
                "licenses": [{"license": {"id": project["license"]}}],
            }
        },
        "components": listed,
        "dependencies": [
            {"ref": project["name"], "dependsOn": [entry["bom-ref"] for entry in listed]}
        ],
    }


def main() -> None:
    """Write the bill of materials."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--extra", action="append", default=[], help="optional group; repeatable")
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(document(given.extra), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
