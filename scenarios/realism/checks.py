"""Single figures of a gait against published ones: peaks of force and moment, spatiotemporal values, shares of work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from ..gait_cycles import PERCENT, FloatArray
from .cycles import SPEED, STEP_LENGTH, STEP_WIDTH_OVER_LEG, STRIDE_TIME, WORK_SHARE, PersonCycles
from .gaits import Gait
from .score import Cell, first_published, mean_figures, pooled

# Goals of the project. Where the published peak of the speed lies outside, the range is widened to `BEYOND` (chosen)
# past it, because people must meet the goals.
LOADING_KNEE_NM_PER_KG = (0.4, 0.9)
VERTICAL_PEAK_BW = (1.0, 1.3)
BEYOND = 0.1
PEAK_TOLERANCE = 0.25
# Where in the cycle a peak is looked for, % (chosen: around the published ones at all speeds).
EARLY, LATE = (4.0, 32.0), (34.0, 70.0)

SPEED_TOLERANCE = 0.05  # chosen
STANCE_POINTS = 2.0  # % of the cycle: the spacing of the published points
OFF_BW = 0.05  # vertical force below which a mean curve is in swing (chosen: a mean has no sharp toe off)

# University of Maryland, Department of Kinesiology, gait data of 14 adults collected in 2011, at 1.45 m/s: stride
# frequency 1.02 (SD 0.10) Hz, stride length 1.44 (SD 0.14) m. Step length over cadence hardly depends on speed above
# 1.03 m/s (Murakami & Otaka 2017, J Phys Ther Sci 29:722), so both grow with the square root of speed.
MARYLAND = "Maryland 2011"
MARYLAND_MPS, MARYLAND_HZ, MARYLAND_M, MARYLAND_SD = 1.45, 1.02, 1.44, 0.10
# Donelan, Kram & Kuo 2001, Proc R Soc B 268:1985-1992: preferred 0.13 leg lengths; cost rises outside these.
DONELAN = "Donelan 2001"
WIDTHS, PREFERRED_WIDTH = (0.10, 0.15), 0.13

# Montgomery & Grabowski 2018, R Soc Open Sci 5:180550: share of a joint in the leg's work over stance at -9, 0 and 9
# degrees, over 1.0-1.5 m/s.
MONTGOMERY = "Montgomery 2018"
MONTGOMERY_DEG = (-9.0, 0.0, 9.0)
WORK_SHARES = {
    WORK_SHARE.format("hip", "positive"): (0.34, 0.33, 0.37),
    WORK_SHARE.format("ankle", "positive"): (0.42, 0.42, 0.42),
    WORK_SHARE.format("hip", "negative"): (0.17, 0.19, 0.29),
    WORK_SHARE.format("ankle", "negative"): (0.38, 0.42, 0.27),
}
WORK_SHARE_TOLERANCE = 0.10  # chosen

# Gast, Kram & Riemer 2019, J Exp Biol 222:jeb185447 found the least gross cost at 1.34 m/s; the range is the goal.
CHEAPEST_MPS = (1.1, 1.5)
GAST = "Gast 2019"
COST_MODEL = "umberger2010"

Curves = Mapping[str, tuple[FloatArray, FloatArray | None, str]]


def checks(gait: Gait, people: Sequence[PersonCycles], fell_early: int = 0) -> list[Cell]:
    """The checks of the gait's kind, then every other gait figure without a goal.

    fell_early: others, who fell before they gave a whole cycle.
    """
    figures = mean_figures(people)
    theirs = first_published(gait.curves)
    curves: dict[str, tuple[FloatArray, FloatArray | None, str]] = {}
    for signal in ("moment/knee_flexion", "grf/x", "grf/z"):
        mine = pooled(people, signal, "rl")
        if mine is not None:
            band, source = theirs.get(signal, (None, ""))
            curves[signal] = (mine[0], band.mean if band else None, source)
    cells = [Cell("people who fell", float(fell_early + sum(person.fell for person in people)), high=0.0)]
    for check in _CHECKS[gait.kind]:
        cells += check(gait, figures, curves)
    named = {cell.name for cell in cells}
    return cells + [Cell(name, value) for name, value in figures.items() if name not in named]


def cheapest_speed(rates: Mapping[float, float]) -> Cell:
    """Where walking costs least per distance, m/s, from the gross metabolic rate (W/kg) by speed (m/s).

    The rate is fitted by a + b v + c v^2, so cost per distance a/v + b + c v is U-shaped where a and c are positive,
    with its minimum at sqrt(a/c). Without a minimum, or with fewer than three speeds 0.1 m/s apart, the value is None.
    """
    speeds = sorted(rates)
    value = None
    if 1 + sum(b - a > 0.1 for a, b in pairwise(speeds)) >= 3:
        c, _, a = np.polyfit(speeds, [rates[v] for v in speeds], 2)
        value = float(np.sqrt(a / c)) if a > 0.0 and c > 0.0 else None
    return Cell("speed of least cost of transport (m/s)", value, *CHEAPEST_MPS, published=1.34, source=GAST)


def _speed(gait: Gait, figures: Mapping[str, float], curves: Curves) -> Iterator[Cell]:
    low, high = ((1.0 + sign * SPEED_TOLERANCE) * gait.speed_mps for sign in (-1, 1))
    yield Cell(SPEED, figures.get(SPEED), low, high, gait.speed_mps, "command")


def _stride(gait: Gait, figures: Mapping[str, float], curves: Curves) -> Iterator[Cell]:
    faster = np.sqrt(gait.speed_mps / MARYLAND_MPS)
    for name, typical in ((STRIDE_TIME, 1.0 / (MARYLAND_HZ * faster)), (STEP_LENGTH, 0.5 * MARYLAND_M * faster)):
        low, high = (1.0 - MARYLAND_SD) * typical, (1.0 + MARYLAND_SD) * typical
        yield Cell(name, figures.get(name), low, high, typical, MARYLAND)


def _width(gait: Gait, figures: Mapping[str, float], curves: Curves) -> Iterator[Cell]:
    width = figures.get(STEP_WIDTH_OVER_LEG)
    yield Cell(STEP_WIDTH_OVER_LEG, width, *WIDTHS, published=PREFERRED_WIDTH, source=DONELAN)


def _stance(gait: Gait, figures: Mapping[str, float], curves: Curves) -> Iterator[Cell]:
    ours, theirs, source = curves["grf/z"]
    if theirs is not None:
        wanted = stance_percent(theirs)
        yield Cell("stance (%)", stance_percent(ours), wanted - STANCE_POINTS, wanted + STANCE_POINTS, wanted, source)


def stance_percent(vertical: FloatArray) -> float:
    """Where a mean vertical force (101,) BW first falls below `OFF_BW` after its peak, % of the cycle; 100 if never.

    Taken from our mean curve and the published one alike, so that what averaging blurs is the same.
    """
    peak = int(np.argmax(vertical))
    off = np.flatnonzero(vertical[peak:] < OFF_BW)
    if not off.size:
        return 100.0
    last = peak + int(off[0]) - 1
    return float(last + (vertical[last] - OFF_BW) / (vertical[last] - vertical[last + 1])) if off[0] else 0.0


def _peak(
    name: str, signal: str, sign: float, window: tuple[float, float], goal: tuple[float, float] | None
) -> Callable[[Gait, Mapping[str, float], Curves], Iterator[Cell]]:
    """A check of the greatest value of sign x signal in a window: inside `goal`, or within 25 % of the published."""

    def check(gait: Gait, figures: Mapping[str, float], curves: Curves) -> Iterator[Cell]:
        if signal not in curves:
            return
        ours, theirs, source = curves[signal]
        inside = (window[0] <= PERCENT) & (window[1] >= PERCENT)
        value = float(np.max(sign * ours[inside]))
        if theirs is None:
            yield Cell(name, value)
            return
        wanted = float(np.max(sign * theirs[inside]))
        low, high = goal or ((1.0 - PEAK_TOLERANCE) * wanted, (1.0 + PEAK_TOLERANCE) * wanted)
        low = low if low <= wanted else (1.0 - BEYOND) * wanted
        high = high if high >= wanted else (1.0 + BEYOND) * wanted
        yield Cell(name, value, low, high, wanted, source)

    return check


def _work(gait: Gait, figures: Mapping[str, float], curves: Curves) -> Iterator[Cell]:
    for name, shares in WORK_SHARES.items():
        wanted = float(np.interp(gait.slope_deg, MONTGOMERY_DEG, shares))
        low, high = wanted - WORK_SHARE_TOLERANCE, wanted + WORK_SHARE_TOLERANCE
        yield Cell(name, figures.get(name), low, high, wanted, MONTGOMERY)


_BRAKING = _peak("braking peak (BW)", "grf/x", -1.0, EARLY, None)
_PROPULSION = _peak("propulsion peak (BW)", "grf/x", 1.0, LATE, None)
_FIRST = _peak("first vertical peak (BW)", "grf/z", 1.0, EARLY, VERTICAL_PEAK_BW)
_SECOND = _peak("second vertical peak (BW)", "grf/z", 1.0, LATE, VERTICAL_PEAK_BW)
_LOADING_KNEE = _peak("loading knee extension (Nm/kg)", "moment/knee_flexion", -1.0, EARLY, LOADING_KNEE_NM_PER_KG)
_KNEE = _peak("peak knee extension (Nm/kg)", "moment/knee_flexion", -1.0, (0.0, 80.0), None)
_RUN_BRAKING = _peak("braking peak (BW)", "grf/x", -1.0, (2.0, 30.0), None)
_RUN_PROPULSION = _peak("propulsion peak (BW)", "grf/x", 1.0, (12.0, 50.0), None)
_RUN_VERTICAL = _peak("vertical peak (BW)", "grf/z", 1.0, (0.0, 50.0), None)

_CHECKS: dict[str, tuple[Callable[[Gait, Mapping[str, float], Curves], Iterator[Cell]], ...]] = {
    "walk": (_speed, _stride, _width, _stance, _LOADING_KNEE, _BRAKING, _PROPULSION, _FIRST, _SECOND),
    "ramp": (_speed, _width, _work),
    "stairs": (_speed, _stance, _KNEE, _BRAKING, _PROPULSION, _FIRST, _SECOND),
    "run": (_speed, _stance, _RUN_BRAKING, _RUN_PROPULSION, _RUN_VERTICAL),
    "rise": (),
    "impaired": (_speed,),
}
