"""Finds what is shipped in the assets by name, or takes a path to something else of the same kind; tells it apart."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from ..controllers.interface import closest

TRAINED = ("policies", "gait")  # folders of what decides how people move


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


@cache
def trained_versions() -> dict[str, str]:
    """Short SHA-256 of each shipped policy and reference gait, by folder and name.

    They are trained anew without a change of version.
    """
    shelves = [Path(str(files("exotwin.assets"))) / folder for folder in TRAINED]
    found = [path for shelf in shelves for path in sorted(shelf.glob("*.npz"))]
    return {f"{path.parent.name}/{path.stem}": sha256(path.read_bytes()).hexdigest()[:12] for path in found}
