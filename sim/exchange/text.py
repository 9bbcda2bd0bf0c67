"""What every text table is held to: its size, its numbers and its time. Errors name file, line and column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...controllers.interface import FloatArray

MAX_BYTES = 2**30  # of a file; an hour of 100 columns at 200 Hz has some 0.7 GB as text (chosen)
RATE_HZ = (10.0, 50_000.0)  # slower is no motion capture but time in another unit, as is faster (chosen)
MAX_GAP = 5.0  # times the usual step


def checked_size(path: Path) -> Path:
    """The path itself. Raises FileNotFoundError; ValueError for a folder or a file too large to be read whole."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if not path.is_file():
        raise ValueError(f"{path}: not a file")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"{path}: {size / 1e9:.1f} GB is too large to import, at most {MAX_BYTES / 1e9:.1f}: cut it")
    return path


def checked_number(path: Path, line: int, column: str, cell: str) -> float:
    """The number in a cell; NaN and infinity pass. Raises ValueError naming the place."""
    try:
        # Python would take 1_000 and digits of other scripts, which no other program means as numbers.
        if "_" in cell or not cell.isascii():
            raise ValueError
        return float(cell)
    except ValueError:
        raise ValueError(f"{path}: line {line}, column {column!r}: {cell[:40]!r} is not a number") from None


def checked_time(path: Path, column: str, time: FloatArray, lines: NDArray[np.int64]) -> None:
    """ValueError unless time (n,) s is finite, increases without gaps and at the rate of a recording."""
    steps = np.diff(time)
    bad = np.flatnonzero(~np.isfinite(time))
    if len(bad):
        raise ValueError(f"{path}: line {lines[bad[0]]}, column {column!r}: {time[bad[0]]} is not a finite number")
    bad = np.flatnonzero(~(steps > 0))
    if len(bad):
        raise ValueError(f"{path}: line {lines[bad[0] + 1]}, column {column!r}: time does not increase")
    usual = float(np.median(steps))
    if not 1.0 / RATE_HZ[1] <= usual <= 1.0 / RATE_HZ[0]:
        raise ValueError(f"{path}: column {column!r}: time steps by {usual:.4g} s: another unit than seconds?")
    if steps.max() > MAX_GAP * usual:
        worst = int(np.argmax(steps))
        raise ValueError(f"{path}: line {lines[worst + 1]}, column {column!r}: time jumps by {steps[worst]:.4g} s")
