"""docs/check-data.md explains every code, and its JSON Schema is what the command prints.

What the page repeats from the table of codes is written by running this file as a script; the rest
of the page is written by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from fusetrain.checks.audit import audit_path
from fusetrain.checks.findings import CODES
from fusetrain.checks.report import documentation
from fusetrain.cli.app import run

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "check-data.md"
SCHEMA = ROOT / "docs" / "check-data.schema.json"
DATASETS = ROOT / "datasets" / "README.md"
SECTION = re.compile(r"^### ([A-Z]\d\d)\n\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
PARTS = ("Found:", "Matters:", "Do:", "Example:")
# Where the page tells a threshold: code, module and name, and how it is written.
THRESHOLDS = (
    ("P04", "pairs:ASPECT_TOLERANCE", "by {percent:g} %"),
    ("P05", "pairs:SWAPPED_SHARE", "{percent:g} % of the pairs"),
    ("P05", "pairs:ODD_SHARE", "up to {percent:g} %"),
    ("P06", "pairs:SAME_CORRELATION", "at least {value:g}"),
    ("P06", "pairs:SAME_DIFFERENCE", "{value:g} levels"),
    ("P07", "registration.strangers:STRANGER_Z", "Under {value:g} the partner"),
    ("P07", "registration.strangers:PARTNER_Z", "({value:g} and more)"),
    ("P07", "registration.strangers:UNRELATED_SHARE", "under {percent:g} %"),
    ("P08", "registration.out_of_step:MAX_STEPS", "up to {value:g} before"),
    ("P08", "registration.out_of_step:PREFERRING_SHARE", "at least {percent:g} %"),
    ("P08", "registration.out_of_step:MAX_CLOCK_S", "more than {value:g} s"),
    ("P09", "registration.shifts:WARN_SHIFT_PX", "Over {value:g} px is a warning"),
    ("P09", "registration.shifts:MIN_SEQUENCE", "at least {value:g} of its pairs"),
    ("P09", "registration.shifts:MIN_SURE_SHARE", "{percent:g} % of them"),
    ("P10", "infrared:GREY_CHROMA", "above {value:g} levels"),
    ("P10", "pairs:COLOUR_MAP_COLOURS", "most {value:g} different colours"),
    ("P10", "infrared:COLOURED_SHARE", "more than {percent:g} %"),
    ("P11", "infrared:BLANK_SPREAD", "within {value:g} counts"),
    ("P12", "infrared:MIN_STUCK_FRAMES", "at least {value:g} infrared"),
    ("P13", "infrared:PATTERN_LEVELS", "above {value:g} levels"),
    ("P14", "infrared:FEW_LEVELS", "{value:g} different levels"),
    ("P14", "infrared:CLIPPED_HIGH", "more than {percent:g} %"),
    ("P14", "infrared:CLIPPED_LOW", "{percent:g} % at the smallest"),
    ("P14", "infrared:STRETCHED_SHARE", "at least {percent:g} % of the 8-bit"),
    ("P16", "window:PIXEL_SHARE", "if {percent:g} % of the pixels"),
    ("P16", "window:FEW_LEVELS", "{value:g} of the 256 levels"),
    ("P16", "window:NO_LEVELS", "an error at {value:g} levels"),
    ("I05", "images:MIN_SIDE_PX", "under {value:g} px"),
    ("I06", "quality:VISIBLE.dark_level", "level {value:g} (visible)"),
    ("I06", "quality:INFRARED.dark_level", "{value:g} (infrared)"),
    ("I07", "quality:VISIBLE.bright_level", "at least {value:g}"),
    ("I07", "quality:VISIBLE.clipped_share", "more than {percent:g} %"),
    ("I08", "quality:VISIBLE.sharpness", "{value:g} (visible)"),
    ("I08", "quality:INFRARED.sharpness", "{value:g} (infrared)"),
    ("I09", "quality:VISIBLE.entropy", "{value:g} bits (visible)"),
    ("I09", "quality:INFRARED.entropy", "{value:g} bits (infrared)"),
    ("L06", "labels:TINY_BOX_PX", "under {value:g} px"),
    ("L07", "labels:WHOLE_IMAGE", "{percent:g} % of the image"),
    ("L08", "labels:DUPLICATE_IOU", "above {value:g}"),
    ("L11", "boxes:MATCH_IOU", "at least {value:g}"),
    ("L11", "boxes:UNMATCHED_SHARE", "More than {percent:g} %"),
    ("L11", "boxes:SHIFT_PX", "above {value:g} px"),
    ("L12", "boxes:MIN_BOXES", "{value:g} boxes a split"),
    ("D02", "duplicates:SAME_LEVELS", "within {value:g} level"),
    ("D03", "similarity:MAX_DISTANCE", "at most {value:g} bits"),
    ("D03", "similarity:MAX_MEAN_DIFFERENCE", "at most {value:g} levels"),
    ("D05", "leakage:FREE_NEIGHBOURS", "more than {value:g} "),
    ("D05", "leakage:NEIGHBOUR_SHARE", "at least {percent:g} %"),
    ("S02", "splits:IMBALANCE", "more than {value:g} times"),
)
TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "null": lambda value: value is None,
}
KEYWORDS = {
    "type",
    "const",
    "enum",
    "pattern",
    "minimum",
    "required",
    "properties",
    "propertyNames",
    "additionalProperties",
    "items",
    "description",
    "title",
    "$schema",
}


def summary(code: str) -> str:
    """Return the first line of a section."""
    entry = CODES[code]
    blocks = ", never accepted" if entry.blocks else ""
    return f"**{entry.level}{blocks}**: {entry.meaning}."


def remedy(code: str) -> str:
    """Return the line of a section about the remedy."""
    return f"- Do: {CODES[code].remedy}"


def overview() -> str:
    """Return the table of all codes."""
    rows = [
        f"| [{code}](#{code.lower()}) | {entry.level} | {entry.meaning} |"
        for code, entry in CODES.items()
    ]
    return "\n".join(["| code | level | meaning |", "|---|---|---|", *rows])


def renewed(page: str) -> str:
    """Return the page with all that it repeats from the table of codes."""

    def section(match: re.Match[str]) -> str:
        code, body = match[1], match[2]
        if code not in CODES:
            return match[0]
        lines = [summary(code), "", *body[body.index("- Found:") :].split("\n")]
        lines = [remedy(code) if line.startswith("- Do:") else line for line in lines]
        return f"### {code}\n\n" + "\n".join(lines)

    page = SECTION.sub(section, page)
    table = re.compile(r"^\| code \| level \| meaning \|\n(?:\|.*\n)*", re.MULTILINE)
    return table.sub(lambda _: overview() + "\n", page, count=1)


def faults(value: Any, schema: Mapping[str, Any], place: str = "$") -> Iterator[str]:
    """Yield where a document departs from a schema, for the keywords that the schema uses."""
    assert set(schema) <= KEYWORDS, set(schema) - KEYWORDS
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(TYPES[kind](value) for kind in kinds):
        yield f"{place}: {value!r} is not {kinds}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{place}: {value!r} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value!r} is none of {schema['enum']}"
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{place}: {value!r} does not match"
    if "minimum" in schema and value is not None and value < schema["minimum"]:
        yield f"{place}: {value!r} is too small"
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from faults(item, schema.get("items", {}), f"{place}[{number}]")
    if isinstance(value, dict):
        yield from (
            f"{place}: {key} is missing" for key in schema.get("required", ()) if key not in value
        )
        for key, item in value.items():
            yield from faults(key, schema.get("propertyNames", {}), f"{place} key")
            inner = schema.get("properties", {}).get(key, schema.get("additionalProperties", {}))
            yield from faults(item, inner, f"{place}.{key}")


def sections() -> dict[str, str]:
    return {match[1]: match[2] for match in SECTION.finditer(PAGE.read_text(encoding="utf-8"))}


def test_every_code_has_its_section_and_no_section_is_left_over() -> None:
    assert list(sections()) == list(CODES)


@pytest.mark.parametrize("code", CODES)
def test_section_says_how_it_is_found_why_it_matters_and_what_to_do(code: str) -> None:
    body = sections()[code]
    lines = [line for line in body.splitlines() if line.startswith("- ")]
    assert [line.split()[1] for line in lines] == list(PARTS)
    assert all(len(line) > 16 for line in lines), lines
    assert "`" in lines[-1]


def test_page_repeats_the_table_of_codes_as_it_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert renewed(page) == page, f"run `python {Path(__file__).name}` to renew it"


@pytest.mark.parametrize(("code", "name", "written"), THRESHOLDS)
def test_page_tells_the_thresholds_that_are_used(code: str, name: str, written: str) -> None:
    module, _, constant = name.partition(":")
    value = attrgetter(constant)(import_module(f"fusetrain.checks.{module}"))
    assert written.format(value=value, percent=100 * value) in sections()[code]


@pytest.mark.parametrize("code", CODES)
def test_findings_link_to_a_heading_of_the_page(code: str) -> None:
    file, _, anchor = documentation(code).partition("#")
    page = (ROOT / file).read_text(encoding="utf-8")
    assert f"\n### {anchor.upper()}\n" in page


def test_page_of_data_sets_names_every_code_and_links_here() -> None:
    text = DATASETS.read_text(encoding="utf-8")
    assert "../docs/check-data.md" in text
    table = text.split("## Codes of `check-data`")[1].split("\n## ")[0]
    assert set(re.findall(r"\b[PILDS]\d\d\b", table)) == set(CODES)


def test_links_of_the_page_lead_somewhere() -> None:
    page = PAGE.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)]*)\)", page):
        file, _, anchor = target.partition("#")
        assert not file or (PAGE.parent / file).is_file(), target
        assert file or anchor in anchors, target


def test_output_of_the_command_follows_the_schema(
    make_pairs: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_pairs()
    (path.parent / "imagesIR/val/val_001.png").write_bytes(b"")
    (path.parent / "labels/train/train_000.txt").write_text("0 .5 .5 .1 .1\n0 2 .5 .1 .1\n")
    path.write_text(path.read_text().replace("car]", "car, boat]"))
    unusable = path.with_name("unusable.yaml")
    unusable.write_text("train: nowhere\nnames: [person]\n")
    for data in (path, unusable, path.parent / "images", path.parent / "absent"):
        capsys.readouterr()
        run(["check-data", str(data), "--json", "--workers", "1"])
        document = json.loads(capsys.readouterr().out)
        assert list(faults(document, json.loads(SCHEMA.read_text(encoding="utf-8")))) == []
        assert document["findings"]


def test_schema_names_every_key_that_is_printed(make_pairs: Callable[..., Path]) -> None:
    from fusetrain.checks.report import to_json

    path = make_pairs()
    (path.parent / "labels/train/train_000.txt").unlink()
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    document = {"schema": 1, **to_json(audit_path(path, workers=1))}
    assert set(document) == set(schema["properties"]) == set(schema["required"])
    entry = schema["properties"]["findings"]["items"]
    assert set(document["findings"][0]) == set(entry["properties"]) == set(entry["required"])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"schema": 2}, "$.schema"),
        ({"verdict": "fine"}, "$.verdict"),
        ({"counts": {"P1": 1}}, "$.counts key"),
        ({"counts": {"P01": 0}}, "$.counts.P01"),
        ({"pairs": {"train": "9"}}, "$.pairs.train"),
        ({"findings": [{"code": "P01"}]}, "$.findings[0]"),
    ],
)
def test_schema_refuses_other_documents(change: dict[str, Any], fault: str) -> None:
    good = {
        "schema": 1,
        "verdict": "ok",
        "layout": "",
        "notes": [],
        "pairs": {},
        "counts": {},
        "registration": {},
        "findings": [],
    }
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert list(faults(good, schema)) == []
    assert any(text.startswith(fault) for text in faults({**good, **change}, schema))


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
