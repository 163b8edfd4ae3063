"""The part of the page that lists findings: the table of codes, and for each code pairs and rows.

Every string of a user is escaped here; pictures arrive ready.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fusetrain.checks.audit import AuditReport
from fusetrain.checks.findings import CODES, Finding
from fusetrain.checks.page.flagged import FlaggedPair
from fusetrain.checks.page.pictures import Thumbnail
from fusetrain.checks.report import documentation, grouped, place, untold_numbers
from fusetrain.results.page.markup import escaped

MAX_ROWS = 500
MAX_CARD_FINDINGS = 12
# Levels are told by word and shape too, not by colour alone.
SHAPES = {"error": "✖", "warn": "▲", "info": "●", "ok": "✔"}


@dataclass(frozen=True)
class Card:
    """A flagged pair with its pictures.

    Attributes:
        anchor: Name of its place on the page.
        pair: The pair and its findings.
        thumbnails: Its pictures.
    """

    anchor: str
    pair: FlaggedPair
    thumbnails: Sequence[Thumbnail]


def level_badge(level: str) -> str:
    """Return a level as shape and word."""
    return f'<b class="badge {level}"><span aria-hidden="true">{SHAPES[level]} </span>{level}</b>'


def counts_table(report: AuditReport) -> str:
    """Return the table of codes found, each linked to its section."""
    groups = grouped(report)
    if not groups:
        return "<p>Nothing was found.</p>"
    rows = "".join(
        f"<tr><td>{level_badge(group.level)}</td>"
        f'<td><a href="#{group.code.lower()}">{group.code}</a></td>'
        f'<td class="number">{len(group.findings)}</td><td>{escaped(group.meaning)}</td></tr>'
        for group in groups
    )
    return (
        '<table class="counts"><thead><tr><th scope="col">level</th><th scope="col">code</th>'
        '<th scope="col" class="number">count</th><th scope="col">meaning</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def code_sections(report: AuditReport, cards: Sequence[Card]) -> Iterator[str]:
    """Yield for each code its meaning, its remedy, the pairs shown for it and its rows."""
    findings: dict[str, list[Finding]] = {}
    for entry in report.findings:
        findings.setdefault(entry.code, []).append(entry)
    anchors = {id(entry): card.anchor for card in cards for entry in card.pair.findings}
    for code, entries in findings.items():
        own = [card for card in cards if card.pair.findings[0].code == code]
        yield "\n".join(_section(code, entries, cards=own, anchors=anchors))


def _section(
    code: str, entries: Sequence[Finding], *, cards: Sequence[Card], anchors: Mapping[int, str]
) -> Iterator[str]:
    yield f'<section id="{code.lower()}"><h2>{code}: {escaped(CODES[code].meaning)}</h2>'
    yield (
        f"<p><b>next:</b> {escaped(CODES[code].remedy)} "
        f'<span class="soft">Explained in <code>{escaped(documentation(code))}</code>.</span></p>'
    )
    if cards:
        yield f'<div class="cards">{"".join(_card(card) for card in cards)}</div>'
    here = {id(entry) for card in cards for entry in card.pair.findings[:MAX_CARD_FINDINGS]}
    others = [entry for entry in entries if id(entry) not in here]
    if others:
        yield from _rows(code, others, anchors=anchors)
    yield "</section>"


def _rows(code: str, entries: Sequence[Finding], *, anchors: Mapping[int, str]) -> Iterator[str]:
    """Yield the table of the findings that no picture of this section tells."""
    yield f'<div class="rows" tabindex="0" role="region" aria-label="findings of {code}"><table>'
    yield (
        '<thead><tr><th scope="col">level</th><th scope="col">place</th>'
        '<th scope="col">what</th></tr></thead><tbody>'
    )
    yield from (_row(entry, anchors.get(id(entry))) for entry in entries[:MAX_ROWS])
    yield "</tbody></table></div>"
    if len(entries) > MAX_ROWS:
        yield (
            f'<p class="soft">{MAX_ROWS} of {len(entries)} rows; <code>--json</code> lists all.</p>'
        )


def _row(entry: Finding, anchor: str | None) -> str:
    where = escaped(place(entry))
    if anchor is not None:
        where = f'<a href="#{anchor}">{where}</a>'
    split = f"{escaped(entry.split)}: " if entry.split and entry.path else ""
    return (
        f"<tr><td>{level_badge(entry.level)}</td><td>{split}{where}</td>"
        f'<td class="message">{_message(entry)}</td></tr>'
    )


def _card(card: Card) -> str:
    pair = card.pair
    name = escaped(pair.rgb_path or pair.ir_path)
    shown = pair.findings[:MAX_CARD_FINDINGS]
    lines = [
        f'<li><b class="{entry.level}">{SHAPES[entry.level]} {entry.level} {entry.code}</b>'
        f"{f' line {entry.line}' if entry.line else ''}: {_message(entry)}</li>"
        for entry in shown
    ]
    if len(pair.findings) > len(shown):
        lines.append(f"<li>… and {len(pair.findings) - len(shown)} more</li>")
    pictures = "".join(_figure(picture, pair) for picture in card.thumbnails)
    return (
        f'<article class="card" id="{card.anchor}"><h3>{escaped(pair.split)}: {name}</h3>'
        f'<div class="pictures">{pictures}</div><ul>{"".join(lines)}</ul></article>'
    )


def _figure(picture: Thumbnail, pair: FlaggedPair) -> str:
    """Return one picture, or a placeholder that says why there is none."""
    caption = escaped(picture.caption)
    if not picture.jpeg:
        return (
            f'<figure class="gap"><div class="missing">{escaped(picture.reason)}</div>'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    path = pair.ir_path if picture.caption == "infrared" else pair.rgb_path
    width, height = picture.size
    data = base64.b64encode(picture.jpeg).decode("ascii")
    return (
        f'<figure><img alt="{caption}, {escaped(path)}" width="{width}" height="{height}" '
        f'loading="lazy" src="data:image/jpeg;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _message(entry: Finding) -> str:
    numbers = untold_numbers(entry)
    return escaped(entry.message) + (
        f' <span class="soft">({escaped(numbers)})</span>' if numbers else ""
    )
