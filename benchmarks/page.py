"""Puts the table of a benchmark into a page of the docs, between `<!-- NAME:begin -->` and `<!-- NAME:end -->`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path


def markers(name: str) -> tuple[str, str]:
    """What stands before and behind the table called name."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def put_table(page: Path, name: str, head: Sequence[str], numbers: range, rows: Iterable[Sequence[str]]) -> None:
    """Replace what stands between the markers. numbers: the columns that are. SystemExit where a marker is missing."""
    first, last = markers(name)
    before, begin, rest = page.read_text(encoding="utf-8").partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end):
        raise SystemExit(f"{page}: {first} and {last} are not both there")
    rule = ("---:" if i in numbers else "---" for i in range(len(head)))
    table = "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))
    page.write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}", encoding="utf-8")
