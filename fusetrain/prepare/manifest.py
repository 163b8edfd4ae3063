"""The two files that say what a new data set was made from: manifest.json and manifest.csv.

The JSON says which command made it with which options; the CSV has a row for every file.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import fusetrain
from fusetrain.prepare.plans import Plan

MANIFEST = "manifest.json"
MANIFEST_ROWS = "manifest.csv"
COLUMNS = ("target", "source", "sha256", "bytes", "change")


class ManifestRow(NamedTuple):
    """Where one new file came from.

    Attributes:
        target: Path in the new folder.
        source: Path of the old file, relative to the root of the source; empty for new text.
        sha256: Digest (hex) of the old file; empty where there is none.
        num_bytes: Size of the new file.
        change: copy, link, text, or how it was transformed.
    """

    target: str
    source: str
    sha256: str
    num_bytes: int
    change: str


def write_manifest(plan: Plan, staging: Path, rows: Sequence[ManifestRow]) -> None:
    """Write what came from where, and how."""
    document = {
        "schema": 1,
        "fusetrain": fusetrain.__version__,
        "command": f"prepare {plan.command}",
        "source": str(plan.spec.root),
        "layout": plan.spec.layout.name,
        "options": dict(plan.options),
        "pairs": dict(plan.num_pairs),
        "facts": dict(plan.facts),
        "notes": list(plan.notes),
    }
    text = json.dumps(document, indent=2, ensure_ascii=True) + "\n"
    with (staging / MANIFEST_ROWS).open(
        "x", encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(rows)
        file.flush()
        os.fsync(file.fileno())
    with (staging / MANIFEST).open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
