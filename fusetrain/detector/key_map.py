"""Names of foreign weights as names of ours, by a file of patterns that a user writes.

The file is YAML (or JSON): patterns of foreign names to names here, the first that fits counts. A
`*` stands for any text, and each `*` on the right is what the `*` of the same place on the left
stood for. Names here are those of a `mid` detector: ``backbone.steps.0.0.conv.weight``,
``backbone_ir.…``, ``fusion.…``, ``neck.…``, ``head.…``; what is given for ``backbone`` alone fills
both streams.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from fusetrain.config.yaml import read_yaml, require_mapping
from fusetrain.errors import ConfigError, Problem

STAR = "*"
EXAMPLE = "`layers.*.weight: backbone.steps.*.weight`"
MAX_SHOWN = 8


@dataclass(frozen=True)
class Rule:
    """One line of a key map.

    Attributes:
        theirs: Pattern of foreign names.
        ours: Name here, or its pattern.
        where: Its place in the file.
    """

    theirs: str
    ours: str
    where: str

    def apply(self, name: str) -> str | None:
        """Return the name here of a foreign one; None where the rule does not fit."""
        pattern = "(.*)".join(map(re.escape, self.theirs.split(STAR)))
        found = re.fullmatch(pattern, name)
        if found is None:
            return None
        texts = self.ours.split(STAR)
        return "".join(
            text + (found[number] if number < len(texts) else "")
            for number, text in enumerate(texts, start=1)
        )


def read_key_map(path: Path) -> list[Rule]:
    """Read a key map.

    Raises:
        ConfigError: It is missing, no mapping of names to names, or a rule has more stars on the
            right; all problems at once.
    """
    document = read_yaml(path)
    require_mapping(document, "key map", expected=EXAMPLE)
    rules, problems = [], []
    for theirs, ours in document.value.items():
        where = document.where((theirs,))
        if not isinstance(theirs, str) or not isinstance(ours, str):
            problems.append(Problem(f"{theirs!r}: {ours!r} maps no name to a name", where))
        elif ours.count(STAR) > theirs.count(STAR):
            problems.append(Problem(f"{ours!r} has more stars than {theirs!r}", where))
        else:
            rules.append(Rule(theirs, ours, where))
    if problems:
        raise ConfigError("the key map is wrong", problems=problems, expected=EXAMPLE)
    return rules


def mapped(
    rules: Iterable[Rule], tensors: Mapping[str, Tensor], *, known: Iterable[str]
) -> dict[str, Tensor]:
    """Return the tensors that the rules name, by their names here.

    Args:
        rules: The key map; the first rule that fits a name counts.
        tensors: Foreign names to values; those that no rule fits are left out.
        known: Names that a detector here has.

    Raises:
        ConfigError: A rule fits no foreign name, makes a name that is not known, or makes one
            twice; all problems at once.
    """
    rules, names = list(rules), set(known)
    found: dict[str, Tensor] = {}
    used: set[Rule] = set()
    problems = []
    for theirs, value in tensors.items():
        hits = ((rule, rule.apply(theirs)) for rule in rules)
        rule, ours = next(((rule, ours) for rule, ours in hits if ours is not None), (None, None))
        if rule is None or ours is None:
            continue
        used.add(rule)
        if ours not in names:
            problems.append(Problem(f"{theirs} becomes {ours}, which is no name here", rule.where))
        elif ours in found:
            problems.append(Problem(f"{theirs} becomes {ours}, as another name does", rule.where))
        else:
            found[ours] = value
    unused = (rule for rule in rules if rule not in used)
    problems += [
        Problem(f"{rule.theirs} fits no name of the weights", rule.where) for rule in unused
    ]
    if problems:
        more = len(problems) - MAX_SHOWN
        raise ConfigError(
            "the key map does not fit" + (f"; {more} more problems" if more > 0 else ""),
            problems=problems[:MAX_SHOWN],
            expected="names of the weights on the left, of a `mid` detector on the right",
        )
    return found
