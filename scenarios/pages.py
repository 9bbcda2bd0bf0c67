"""Puts what was measured into pages of Markdown, between `<!-- NAME:begin -->` and `<!-- NAME:end -->`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path


def fill(page: Path, name: str, body: str) -> None:
    """Replace what stands between the markers of this name. Raises ValueError when they are not both in the page."""
    first, last = (f"<!-- {name}:{edge} -->" for edge in ("begin", "end"))
    before, begin, rest = page.read_text(encoding="utf-8").partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end):
        raise ValueError(f"{page}: {first} and {last} are not both there")
    page.write_text(f"{before}{begin}\n\n{body}\n\n{end}{after}", encoding="utf-8")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """A table of Markdown; all columns but the first `texts` hold numbers, which stand to the right."""
    rule = ["---" if i < texts else "---:" for i in range(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))
