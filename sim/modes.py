"""Which motion each instant of a walk over a terrain belongs to: level walking, a ramp or stairs.

The feet decide, as a person who labels a video would: a ramp's or a flight's mode begins when the first foot leaves the
ground to land on it (beyond its beginning), and ends when the last foot has landed beyond its end. So the step that
leads on to stairs and the one that leads off them belong to the stairs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .terrain import COUNT, RISE, SLOPE, X0, X1, FloatArray

SHORTEST_S = 0.08  # s; flights and touches shorter than this are bounces of the heel or scuffs of the toes (chosen)


class Stance(NamedTuple):
    """A foot's stay on the ground: first sample, first sample after it, and the world x where it pressed, m."""

    start: int
    end: int
    x: float


def stances(loaded: NDArray[np.bool_], cop_x: FloatArray, rate: float) -> list[Stance]:
    """The stances of one foot in order.

    loaded (n,): whether it carries load. cop_x (n,): its centre of pressure, m. rate: samples per second.
    """
    loaded = loaded.copy()
    shortest = round(SHORTEST_S * rate)
    for state in (False, True):
        for start, end in _runs(loaded == state):
            if start > 0 and end < len(loaded) and end - start < shortest:
                loaded[start:end] = not state
    return [Stance(start, end, float(np.nanmedian(cop_x[start:end]))) for start, end in _runs(loaded)]


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.diff(np.concatenate([[0], mask.astype(int), [0]]))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


def section_mode(row: FloatArray) -> str:
    """The mode of walking over one of `Terrain.rows`."""
    if row[COUNT]:
        return "stairs_up" if row[RISE] > 0 else "stairs_down"
    return "walk" if not row[SLOPE] else "ramp_up" if row[SLOPE] > 0 else "ramp_down"


def walking_modes(rows: FloatArray, feet: list[list[Stance]], n: int) -> NDArray[Any]:
    """(n,) modes of a walk towards +x. rows: `Terrain.rows`; feet: the stances of each foot; n: samples."""
    modes = np.full(n, "walk", dtype="<U11")
    for row in rows:
        mode = section_mode(row)
        begun = [t for t in (_leaves_for(foot, row[X0]) for foot in feet) if t is not None]
        if mode == "walk" or not begun:
            continue
        ended = [next((s.start for s in foot if s.x >= row[X1]), n) for foot in feet]
        modes[min(begun) : max(ended)] = mode
    return modes


def _leaves_for(foot: list[Stance], x: float) -> int | None:
    """Sample at which a foot leaves the ground to land at or beyond x for the first time; None if it never does."""
    for before, here in zip([None, *foot], foot, strict=False):
        if here.x >= x:
            return before.end if before else here.start
    return None
