"""The flags of `check-data`, one type each; what they mean together stands in `checking.py`."""

# No `from __future__ import annotations`: Typer needs the types themselves.

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path, typer.Argument(metavar="DATA", help="Data YAML or data-set folder.")]
Split = Annotated[
    list[str] | None, typer.Option("--split", metavar="NAME", help="Split to check; repeatable.")
]
MaxShift = Annotated[
    float,
    typer.Option("--max-shift", metavar="PX", help="Shift within a pair that is an error, in px."),
]
Registration = Annotated[
    str | None,
    typer.Option("--registration", help="Pairs whose shift is measured: sample, all or off."),
]
HeadersOnly = Annotated[
    bool, typer.Option("--headers-only", help="Do not decode images; much faster, finds less.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", help="Processes; one a core if not given.")
]
State = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="Keep what is measured; later checks reuse it."),
]
Shard = Annotated[
    str | None, typer.Option("--shard", metavar="I/N", help="Measure this part, into a file.")
]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="The file of the shard.")]
Merge = Annotated[
    Path | None, typer.Option("--merge", metavar="DIR", help="Judge the shards in this folder.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 4 on warnings too.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write a page with pictures.")
]
