"""The decorator of all compiled functions: numba without the interpreter lock, cached by the content of this package.

Numba's own cache notices a change in the function's file only, not in the files of the functions it calls, and would
go on running old physics after an update. Here any change to any source of `exotwin.sim` starts a new cache.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import config, njit

settings: Any = config
KEPT = 4  # caches of other versions that stay


def _cache_folder() -> Path:
    # Numba files what it compiled by the path of the source, so two copies of the package share nothing.
    digest = hashlib.sha256(str(Path(__file__).parent).encode())
    here = Path(__file__).parent
    for source in sorted(here.rglob("*.py")):
        digest.update(source.relative_to(here).as_posix().encode())
        digest.update(source.read_bytes())
    name = digest.hexdigest()[:16]
    try:
        shelf = Path.home() / ".cache" / "exotwin"
        (shelf / name).mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        shelf = Path(tempfile.gettempdir()) / "exotwin-cache"
        (shelf / name).mkdir(parents=True, exist_ok=True)
    others = sorted((p for p in shelf.iterdir() if p.name != name), key=lambda p: p.stat().st_mtime)
    for old in others[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return shelf / name


CACHE = _cache_folder()


def is_fresh() -> bool:
    """Whether nothing has been compiled yet, so that the first run takes some 20 s longer."""
    return not any(CACHE.rglob("*.nbc"))


def compiled(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """``njit(nogil=True)`` with this package's cache; options go to numba (``inline="always"``)."""

    def decorate(inner: Callable[..., Any]) -> Any:
        # Numba decides where to cache when it decorates.
        before = settings.CACHE_DIR
        settings.CACHE_DIR = str(CACHE)
        try:
            return njit(nogil=True, cache=True, **options)(inner)
        finally:
            settings.CACHE_DIR = before

    return decorate(function) if function else decorate
