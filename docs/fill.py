"""Puts the tables of a Markdown file into a page: `python docs/fill.py docs/realism.md realism/realism.md`.

They go between `<!-- NAME:begin -->` and `<!-- NAME:end -->`, where NAME is what the file is called, without its title
and with every other heading one level lower.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from exotwin.scenarios.pages import fill


def main() -> None:
    """Fill one page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("tables", type=Path)
    options = parser.parse_args()
    body = re.sub(r"\A# .*\n", "", options.tables.read_text(encoding="utf-8"))
    fill(options.page, options.tables.stem, re.sub(r"^#", "##", body, flags=re.MULTILINE).strip())


if __name__ == "__main__":
    main()
