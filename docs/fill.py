"""Puts the tables of a Markdown file into a page: `python docs/fill.py docs/realism.md realism/realism.md`.

They go between `<!-- NAME:begin -->` and `<!-- NAME:end -->`, where NAME is what the file is called, without its title
and with every other heading one level lower.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path


def fill(page: Path, tables: Path) -> None:
    """Replace what stands between the markers. Raises ValueError when they are not both there."""
    begin, end = (f"<!-- {tables.stem}:{edge} -->" for edge in ("begin", "end"))
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page}: {begin} and {end} are not both there")
    body = re.sub(r"\A# .*\n", "", tables.read_text(encoding="utf-8"))
    body = re.sub(r"^#", "##", body, flags=re.MULTILINE).strip()
    page.write_text(f"{before}{begin}\n\n{body}\n\n{end}{after}", encoding="utf-8")


def main() -> None:
    """Fill one page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("tables", type=Path)
    options = parser.parse_args()
    fill(options.page, options.tables)


if __name__ == "__main__":
    main()
