"""A page of HTML as one file: its template, its place, and writing it whole or not at all.

The page needs no network and no script; its policy forbids both to the browser. What stands in it
is decided elsewhere.
"""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from string import Template

from fusetrain.errors import ResourceError, UsageError

SUFFIXES = (".html", ".htm")


def require_page_name(path: Path, *, flag: str) -> None:
    """Refuse a file name that is none of a page.

    Raises:
        UsageError: It does not end in .html, or is that of a folder.
    """
    if path.suffix.lower() not in SUFFIXES or path.is_dir():
        raise UsageError(f"{flag} {path}", expected="a file name that ends in .html")


def require_page_place(path: Path, *, flag: str) -> None:
    """Refuse a place where nothing can be written, before anything is done for the page.

    Raises:
        ResourceError: Nothing can be written there.
    """
    place = Path(os.path.realpath(path))
    folder = next(folder for folder in place.parents if folder.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ResourceError(
            f"the report {path} cannot be written: {folder} is no folder that can be written to",
            remedy=f"choose another place for {flag}",
        )


def write_page(path: Path, *, title: str, body: str, flag: str) -> None:
    """Write a page that appears complete or not at all.

    Args:
        path: File to write; its folders are made, one that is there is replaced.
        title: Of the page, escaped.
        body: Its elements, with all text escaped.
        flag: What the user names the file by.

    Raises:
        ResourceError: It cannot be written.
    """
    template = files("fusetrain.results.page").joinpath("page.html").read_text(encoding="utf-8")
    text = Template(template).substitute(title=title, body=body)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        raise ResourceError(
            f"the report {path} cannot be written: {error.strerror}",
            remedy=f"choose another place for {flag}",
        ) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
