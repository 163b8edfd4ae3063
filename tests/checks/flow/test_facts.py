from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pytest

from fusetrain.checks.findings import finding
from fusetrain.checks.flow.facts import FactsTable, facts_schema
from fusetrain.checks.flow.packing import pack
from fusetrain.checks.images import ImageFacts, PairFacts
from fusetrain.checks.registration.shifts import RegistrationFacts


@dataclass(frozen=True)
class Inner:
    size: tuple[int, int]
    share: float


@dataclass(frozen=True)
class Everything:
    name: str
    level: Literal["error", "warn"]
    count: int
    is_good: bool
    share: float
    digest: bytes
    inner: Inner | None
    maybe: float | None
    many: tuple[float, ...]
    nested: tuple[tuple[int, ...], ...]
    parts: tuple[Inner, ...]
    numbers: Mapping[str, float] = field(default_factory=dict)


ROWS = [
    Everything("", "warn", 0, False, 0.0, b"", None, None, (), (), ()),
    Everything(
        "Größe/\udce4.jpg",
        "error",
        -(2**63),
        True,
        1 / 3,
        b"\x00\xff",
        Inner((1080, 1920), 0.1),
        -0.0,
        (1e300, 2.5),
        ((1, 2), (), (3,)),
        (Inner((1, 2), 0.5), Inner((3, 4), 1e-45)),
        {"a": 1, "b": 0.1},
    ),
    Everything(
        "x", "warn", 2**63 - 1, True, math.inf, b"0", Inner((0, 0), 0.0), 5e-324, (7.0,), (), ()
    ),
]


def make_pair(row: int) -> PairFacts:
    rgb = ImageFacts((480 + row, 640), 8, row % 256, row / 7, 3, 1.5)
    found = (finding("I04", "x", path="a", line=row, numbers={"n": row}),) if row % 5 == 0 else ()
    return PairFacts("train", row, f"images/{row}.jpg", f"ir/{row}.png", rgb, findings=found)


def test_every_kind_of_value_comes_back_as_it_was() -> None:
    table = FactsTable.pack(Everything, ROWS * 3)
    assert list(table) == ROWS * 3
    assert [table[row] for row in range(len(table))] == ROWS * 3
    assert str(table[1].maybe) == "-0.0"
    assert type(table[1].numbers["a"]) is int
    assert type(table[1].is_good) is bool


def test_nan_survives() -> None:
    table = FactsTable.pack(Inner, [Inner((1, 1), math.nan), Inner((1, 1), 0.1)])
    assert math.isnan(table[0].share)
    assert table[1].share == 0.1


def test_table_is_a_sequence_with_parts_that_are_no_copies() -> None:
    pairs = [make_pair(row) for row in range(9_000)]  # more than two blocks
    table = FactsTable.pack(PairFacts, iter(pairs))
    assert len(table) == 9_000
    assert list(table) == pairs
    assert table[-1] == pairs[-1]
    part = table[4_000:8_500]
    assert isinstance(part, FactsTable)
    assert list(part) == pairs[4_000:8_500]
    assert part[10:20][3] == pairs[4_013]
    assert list(table[5:5]) == list(table[7:3]) == []
    assert list(table[10:0:-4]) == pairs[10:0:-4]
    assert part.num_bytes == table.num_bytes
    for row in (9_000, -9_001):
        with pytest.raises(IndexError):
            table[row]


def test_arrays_of_a_table_and_of_its_part_restore_it() -> None:
    pairs = [make_pair(row) for row in range(50)]
    table = FactsTable.pack(PairFacts, pairs)
    assert list(FactsTable.restore(PairFacts, table.arrays())) == pairs
    part = table[7:20]
    assert isinstance(part, FactsTable)
    assert list(FactsTable.restore(PairFacts, part.arrays())) == pairs[7:20]


def test_tables_join_in_the_order_given() -> None:
    pairs = [make_pair(row) for row in range(300)]
    parts = [
        FactsTable.pack(PairFacts, pairs[a:b]) for a, b in ((0, 5), (5, 5), (5, 290), (290, 300))
    ]
    assert list(FactsTable.join(PairFacts, parts)) == pairs
    assert list(parts[0]) == pairs[:5]
    assert list(FactsTable.join(PairFacts, [])) == []


def test_a_million_pairs_would_take_less_than_600_megabytes() -> None:
    rng = np.random.Generator(np.random.PCG64(0))

    def image() -> ImageFacts:
        values: dict[str, Any] = {}
        for name, kind in facts_schema_of_image().items():
            values[name] = {
                "float": lambda: float(np.float32(rng.random())),
                "int": lambda: int(rng.integers(0, 1000)),
                "str": lambda: "JPEG",
                "bytes": lambda: rng.bytes(16),
            }[kind]()
        return ImageFacts(
            **{**values, "size_hw": (1024, 1280), "checksum": int(rng.integers(-(2**31), 2**31))}
        )

    paths = "images/train/sequence_0001/frame_0000001"
    pairs = [
        PairFacts("train", row, f"{paths}.jpg", f"{paths}.png", image(), image(), 1.0)
        for row in range(2_000)
    ]
    assert FactsTable.pack(PairFacts, pairs).num_bytes / 2_000 < 600


def facts_schema_of_image() -> dict[str, str]:
    return {
        name: str(kind)
        for name, kind in ImageFacts.__annotations__.items()
        if name not in ("size_hw", "checksum")
    }


@pytest.mark.parametrize("kind", [PairFacts, RegistrationFacts])
def test_facts_of_this_project_can_stand_in_columns(kind: type[Any]) -> None:
    assert len(FactsTable.pack(kind, [])) == 0
    assert facts_schema(kind).startswith("{split: str, row: int, ")


@pytest.mark.parametrize("hint", [tuple[int, str], int | str, list[int], object])
def test_type_without_columns_is_a_mistake_of_ours(hint: Any) -> None:
    with pytest.raises(AssertionError, match="cannot stand in columns"):
        pack(hint, [])


def drop(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda arrays: arrays.pop(name)


def put(name: str, array: Any) -> Callable[[dict[str, Any]], object]:
    return lambda arrays: arrays.update({name: np.array(array)})


@pytest.mark.parametrize(
    "damage",
    [
        drop("row"),
        drop("rgb.item.checksum"),
        put("row", [1, 2]),
        put("row", [0.0, 1.0, 2.0]),
        put("row", [[0, 1, 2]]),
        put("split.ends", [5, 4, 15]),
        put("split.ends", [5, 10, 16]),
        put("rgb.ends", [1, 2, 4]),
    ],
)
def test_arrays_that_do_not_fit_are_refused(damage: Callable[[dict[str, Any]], object]) -> None:
    arrays = FactsTable.pack(PairFacts, [make_pair(row) for row in range(3)]).arrays()
    damage(arrays)
    with pytest.raises((ValueError, KeyError)):
        FactsTable.restore(PairFacts, arrays)
