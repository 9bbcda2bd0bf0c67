"""Finds what is shipped in the assets by name, or takes a path to something else of the same kind."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from ..controllers.interface import closest


def find_shipped(kind: str, folder: str, suffix: str, name_or_path: str | Path) -> Path:
    """The path itself if it ends in suffix, else ``assets/<folder>/<name><suffix>``.

    Raises ValueError that names the nearest shipped one.
    """
    path = Path(name_or_path)
    if path.suffix == suffix:
        return path
    shelf = Path(str(files("exotwin.assets"))) / folder
    path = shelf / f"{name_or_path}{suffix}"
    if not path.exists():
        known = sorted(p.stem for p in shelf.glob(f"*{suffix}"))
        raise ValueError(f"no {kind} {str(name_or_path)!r}{closest(str(name_or_path), known)}")
    return path
