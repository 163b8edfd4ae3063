"""Build the documentation site into build/site/html, and check every link and anchor of it.

The pages are those of the repository; only links between them are rewritten, as the site has them
in one folder. Zensical turns them into HTML (`pip install 'fusetrain[docs]'`). `--check` looks at
the links of the repository alone and builds nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import yaml

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "site"
OUTSIDE: Mapping[str, str] = {
    "README.md": "index.md",
    "datasets/README.md": "datasets.md",
    "benchmarks/README.md": "benchmarks.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "LICENSE": "license.txt",
}
NAV: Mapping[str, tuple[str, ...]] = {
    "Start": ("index.md", "quickstart.md", "moving.md"),
    "Data": ("datasets.md", "public-sets.md", "check-data.md", "prepare.md"),
    "Training": (
        "models.md",
        "augmentation.md",
        "schedules.md",
        "tune.md",
        "resume.md",
        "faults.md",
    ),
    "Many processes": ("distributed.md", "trackers.md", "scaling.md"),
    "Looking": ("report.md", "diagnose.md", "val.md"),
    "Using": ("predict.md", "export.md", "python.md"),
    "Reference": ("commands/README.md", "checkpoint.md", "benchmarks.md", "README.md"),
    "Project": ("security.md", "contributing.md", "changelog.md"),
}
LINK = re.compile(r"(!?\[(?:[^\]\[]|\[[^\]]*\])*\]\()([^)\s]+)(\))")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def sources() -> dict[str, str]:
    """Return every file of the site: its path in the repository to its path in the site."""
    found = dict(OUTSIDE)
    for path in sorted((ROOT / "docs").rglob("*")):
        if path.is_file() and path.suffix in (
            ".md",
            ".svg",
            ".png",
            ".jpg",
            ".json",
            ".sh",
            ".sbatch",
            ".yaml",
        ):
            name = path.relative_to(ROOT).as_posix()
            found[name] = name.removeprefix("docs/")
    return found


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.*?) *$", FENCE.sub("", text), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    return {*plain, *(f"{name}-{plain.count(name) - 1}" for name in plain)}


def broken_links() -> Iterator[str]:
    """Yield every link between pages of the repository that leads nowhere."""
    for name in sources():
        if not name.endswith(".md"):
            continue
        text = FENCE.sub("", (ROOT / name).read_text(encoding="utf-8"))
        for _, target, _ in LINK.findall(text):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (ROOT / name).parent / unquote(path) if path else ROOT / name
            if not file.exists():
                yield f"{name}: {target}: no such file"
            elif anchor and anchor not in anchors(file.read_text(encoding="utf-8")):
                yield f"{name}: {target}: no such heading"


def rewritten(name: str, text: str, places: Mapping[str, str]) -> str:
    """Return a page with its links as they are in the site."""
    here = PurePosixPath(places[name]).parent

    def moved(found: re.Match[str]) -> str:
        path, hash_, anchor = found[2].partition("#")
        if not path or re.match(r"[a-z]+:", path):
            return found[0]
        target = os.path.normpath(PurePosixPath(name).parent / path).replace(os.sep, "/")
        target = f"{target}/README.md" if f"{target}/README.md" in places else target
        if target not in places:
            raise SystemExit(f"{name}: {path} has no place in the site")
        link = os.path.relpath(places[target], here).replace(os.sep, "/")
        return f"{found[1]}{link}{hash_}{anchor}{found[3]}"

    parts = re.split(r"(^(?:```|~~~).*?^(?:```|~~~))", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if index % 2 else LINK.sub(moved, part) for index, part in enumerate(parts))


def write_sources() -> None:
    """Write the pages and the settings of the site into the build folder."""
    shutil.rmtree(BUILD, ignore_errors=True)
    places = sources()
    for name, place in places.items():
        target = BUILD / "pages" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".md"):
            text = rewritten(name, (ROOT / name).read_text(encoding="utf-8"), places)
            target.write_text(text, encoding="utf-8")
        else:
            shutil.copyfile(ROOT / name, target)
    commands = sorted(place for place in places.values() if place.startswith("commands/"))
    nav = [{title: list(pages)} for title, pages in NAV.items()]
    nav.insert(-1, {"Commands": [page for page in commands if not page.endswith("README.md")]})
    settings = {
        "site_name": "fusetrain",
        "docs_dir": "pages",
        "site_dir": "html",
        "use_directory_urls": False,
        "theme": {"name": "material", "font": False, "features": ["navigation.top"]},
        "markdown_extensions": [
            "tables", "attr_list", "pymdownx.superfences",
            {"toc": {"permalink": True}},
        ],
        "nav": nav,
    }  # fmt: skip
    (BUILD / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


class _Page(HTMLParser):
    """Collects the links and the anchors of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what the tag links to and what it is called."""
        for key, value in attrs:
            if key == "id" and value:
                self.anchors.add(value)
            if value and key in ("href", "src") and tag != "form":
                self.links.append(value)


def broken_in_site(html: Path) -> Iterator[str]:
    """Yield every link of the built pages that leads nowhere, or out for a script or a style."""
    pages = {}
    for path in sorted(html.rglob("*.html")):
        pages[path.resolve()] = page = _Page()
        page.feed(path.read_text(encoding="utf-8"))
    for path, page in pages.items():
        if path.name == "404.html":
            continue
        for link in page.links:
            if re.match(r"(https?|mailto|data|javascript):|//", link):
                continue
            target, _, anchor = link.partition("#")
            file = (path.parent / unquote(target.partition("?")[0])).resolve() if target else path
            if file.is_dir():
                file = file / "index.html"
            if not file.exists():
                yield f"{path.relative_to(html.resolve())}: {link}: no such file"
            elif anchor and file in pages and unquote(anchor) not in pages[file].anchors:
                yield f"{path.relative_to(html.resolve())}: {link}: no such anchor"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="check the links, build nothing")
    broken = list(broken_links())
    if not broken and not parser.parse_args().check:
        write_sources()
        command = [sys.executable, "-m", "zensical", "build", "-f", "mkdocs.yml"]
        subprocess.run(command, cwd=BUILD, check=True)
        broken = list(broken_in_site(BUILD / "html"))
    if broken:
        raise SystemExit("\n".join(broken))
    print("no broken links")


if __name__ == "__main__":
    main()
