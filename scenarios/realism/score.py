"""Holds mean cycles against published curves: error in SD, correlation, range, peaks, and the goals to meet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..gait_cycles import PERCENT, FloatArray
from ..normative import SOURCES, Band, level_walking, published
from .cycles import PersonCycles
from .gaits import CurveSet, Gait

LARGEST_LAG = 20  # % of the cycle, the furthest that curves are shifted against each other (chosen)


@dataclass(frozen=True, slots=True)
class Goal:
    """Limits of one signal; None: no goal of that kind. rmse_sd: at most; correlation: at least."""

    rmse_sd: float | None = None
    correlation: float | None = None


_CURVE = Goal(1.0, 0.9)
_EMG = Goal(correlation=0.7)
# A signal that is not here is shown, not judged: powers follow from the others, the pelvis's published neutral and sign
# are unknown, and the other muscles' EMG has a single source without a spread.
GOALS: dict[str, Goal] = {
    "angle/hip_flexion": _CURVE,
    "angle/knee_flexion": _CURVE,
    "angle/ankle_dorsiflexion": _CURVE,
    "moment/hip_flexion": _CURVE,
    "moment/hip_adduction": _CURVE,
    "moment/knee_flexion": Goal(1.0, 0.8),
    "moment/ankle_dorsiflexion": _CURVE,
    "grf/z": _CURVE,
    "grf/x": _CURVE,
    "emg/soleus": _EMG,
    "emg/gastroc": _EMG,
    "emg/tibant": _EMG,
    "emg/vasti": _EMG,
    "emg/rectfem": _EMG,
    "emg/hamstrings": _EMG,
    "emg/glutmax": _EMG,
    "emg/abd": _EMG,
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One goal: a value and the limits between which it is to lie (None: open). value None could not be had.

    published: what the source says of the same. source: where published value or limits come from.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    published: float | None = None
    source: str = ""

    @property
    def judged(self) -> bool:
        """Whether there is a limit."""
        return self.low is not None or self.high is not None

    @property
    def gap(self) -> float | None:
        """How far outside the limits the value lies, negative below, 0 inside; None without a value or a limit."""
        if self.value is None or not self.judged:
            return None
        if self.low is not None and self.value < self.low:
            return self.value - self.low
        return max(0.0, self.value - self.high) if self.high is not None else 0.0

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none. A value that could not be had does not meet it."""
        return bool(self.gap == 0.0) if self.judged else None


@dataclass(frozen=True, slots=True)
class Extreme:
    """A greatest or least value and where in the cycle it lies, %."""

    value: float
    at: float


@dataclass(frozen=True, slots=True)
class Shape:
    """What a curve reaches inside the window that is compared."""

    range: float
    maximum: Extreme
    minimum: Extreme


@dataclass(frozen=True, slots=True)
class Comparison:
    """One of our mean curves against a published one, inside a window of the cycle (%).

    mean, sd: ours over people, (101,); sd 0 for one person. offset: what was taken off the published curve because its
    neutral is unknown. rmse in the signal's unit and rmse_sd in the source's SD are None for EMG, whose height means
    nothing. correlation at zero lag; best_correlation at best_lag % (positive: we are later), all 0 for a flat curve.
    """

    signal: str
    legs: str
    source: str
    condition: str
    window: tuple[float, float]
    mean: FloatArray = field(repr=False)
    sd: FloatArray = field(repr=False)
    band: Band = field(repr=False)
    offset: float
    rmse: float | None
    rmse_sd: float | None
    correlation: float
    best_correlation: float
    best_lag: int
    ours: Shape
    theirs: Shape
    cells: tuple[Cell, ...]

    @property
    def judged(self) -> bool:
        """Whether goals are set to it."""
        return bool(self.cells)


def compare(gait: Gait, people: Sequence[PersonCycles]) -> list[Comparison]:
    """Every published curve of the gait against the mean over people, in the order of the gait's curve sets."""
    found: list[Comparison] = []
    judged: set[tuple[str, str]] = set()
    for curves in gait.curves:
        for signal, band in published(curves.task, curves.source, curves.condition).items():
            mine = pooled(people, signal, curves.legs)
            if mine is None:
                continue
            first = not any((signal, leg) in judged for leg in curves.legs)
            judged.update((signal, leg) for leg in curves.legs)
            found.append(_comparison(gait, curves, signal, band, *mine, GOALS.get(signal) if first else None))
    return found


def pooled(people: Iterable[PersonCycles], signal: str, legs: str) -> tuple[FloatArray, FloatArray] | None:
    """Mean and SD over people of the mean of the legs, (101,) each; None where nobody has the signal."""
    each = []
    for person in people:
        sides = [person.curves[signal, leg] for leg in legs if (signal, leg) in person.curves]
        if sides:
            each.append(np.mean(sides, axis=0))
    return (np.mean(each, axis=0), np.std(each, axis=0)) if each else None


def _comparison(
    gait: Gait, curves: CurveSet, signal: str, band: Band, mean: FloatArray, sd: FloatArray, goal: Goal | None
) -> Comparison:
    window = gait.window(signal)
    inside = (window[0] <= PERCENT) & (window[1] >= PERCENT)
    ours, theirs = mean[inside], band.mean[inside]
    offset = float(theirs.mean() - ours.mean()) if band.offset else 0.0
    rmse = rmse_sd = None
    if not signal.startswith("emg/"):
        rmse = root_mean_square(ours - theirs + offset)
        rmse_sd = rmse / spread(signal, band, inside, SOURCES[curves.source].one_person)
    zero, best, lag = correlations(ours, theirs)
    cells = []
    if goal and goal.rmse_sd is not None and rmse_sd is not None:
        cells.append(Cell(f"{signal} RMSE (SD)", rmse_sd, high=goal.rmse_sd, source=curves.source))
    if goal and goal.correlation is not None:
        cells.append(Cell(f"{signal} correlation", zero, low=goal.correlation, source=curves.source))
    return Comparison(
        signal,
        curves.legs,
        curves.source,
        curves.condition,
        window,
        mean,
        sd,
        band,
        offset,
        rmse,
        rmse_sd,
        zero,
        best,
        lag,
        shape(ours, PERCENT[inside]),
        shape(theirs - offset, PERCENT[inside]),
        tuple(cells),
    )


def root_mean_square(values: FloatArray) -> float:
    """sqrt(mean(x^2))."""
    return float(np.sqrt(np.mean(np.square(values))))


def spread(signal: str, band: Band, inside: NDArray[np.bool_], one_person: bool) -> float:
    """The SD that errors are counted in: the root mean square of the source's SD inside the window.

    One figure a curve, because point by point the SD nears zero where nobody can differ (no force in swing), and an
    error there would decide the score. For the repetitions of one person, or without SD, it is at least the spread
    between Bovi's 20 adults walking freely: people differ by no less.
    """
    own = root_mean_square(band.sd[inside]) if np.isfinite(band.sd[inside]).all() else 0.0
    if own > 0.0 and not one_person:
        return own
    between = level_walking(1.2).bands[signal].sd
    return max(own, root_mean_square(between))


def correlations(ours: FloatArray, theirs: FloatArray) -> tuple[float, float, int]:
    """Pearson's correlation at zero lag, the best within +-LARGEST_LAG samples, and that lag.

    Both (n,), one sample a percent; at a lag the overlap is correlated. Positive lag: ours comes later. 0 for a flat
    curve.
    """
    zero = _pearson(ours, theirs)
    best, lag = zero, 0
    for shift in range(1, min(LARGEST_LAG, ours.size // 2) + 1):
        for sign in (1, -1):
            one, other = (ours, theirs) if sign > 0 else (theirs, ours)
            found = _pearson(one[shift:], other[:-shift])
            if found > best:
                best, lag = found, sign * shift
    return zero, best, lag


def _pearson(a: FloatArray, b: FloatArray) -> float:
    a, b = a - a.mean(), b - b.mean()
    # Below rounding a curve is flat.
    scale = np.sqrt(np.sum(a * a) * np.sum(b * b))
    return float(np.clip(np.sum(a * b) / scale, -1.0, 1.0)) if scale > 1e-12 else 0.0


def shape(curve: FloatArray, percent: FloatArray) -> Shape:
    """Range and extremes of a curve."""
    top, bottom = int(np.argmax(curve)), int(np.argmin(curve))
    highest = Extreme(float(curve[top]), float(percent[top]))
    lowest = Extreme(float(curve[bottom]), float(percent[bottom]))
    return Shape(highest.value - lowest.value, highest, lowest)


@cache
def first_published(gait_curves: tuple[CurveSet, ...]) -> dict[str, tuple[Band, str]]:
    """Band and source of each signal in the first curve set that has it."""
    found: dict[str, tuple[Band, str]] = {}
    for curves in gait_curves:
        for signal, band in published(curves.task, curves.source, curves.condition).items():
            found.setdefault(signal, (band, curves.source))
    return found


@dataclass(frozen=True, slots=True)
class Score:
    """Goals met of those set, and the median over judged curves of the RMSE in SD (None: no such curve)."""

    goals: int
    met: int
    median_rmse_sd: float | None

    @property
    def percent(self) -> float | None:
        """Share of the goals that are met; None without goals."""
        return 100.0 * self.met / self.goals if self.goals else None


def total(cells: Iterable[Cell], comparisons: Iterable[Comparison]) -> Score:
    """The score of some cells; the cells of the comparisons must be among them."""
    judged = [cell for cell in cells if cell.judged]
    errors = [c.rmse_sd for c in comparisons if c.judged and c.rmse_sd is not None]
    return Score(len(judged), sum(bool(c.met) for c in judged), float(np.median(errors)) if errors else None)


def mean_figures(people: Sequence[PersonCycles]) -> Mapping[str, float]:
    """Mean over people of every gait figure that all of them have."""
    names = [name for name in people[0].figures if all(name in person.figures for person in people)]
    return {name: float(np.mean([person.figures[name] for person in people])) for name in names}


def all_cells(comparisons: Iterable[Comparison], checks: Iterable[Cell]) -> Iterator[Cell]:
    """The goals of the curves, then the checks."""
    for comparison in comparisons:
        yield from comparison.cells
    yield from checks
