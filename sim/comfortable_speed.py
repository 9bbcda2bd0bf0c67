"""The speed a person chooses: the least effort per metre, rest included, among those its muscles can keep up.

People walk at the speed of least cost per distance, of which a part is there without walking (Ralston 1958, Int Z
Angew Physiol 17:277). Here the cost is muscle effort, a power of activation, as Ackermann & van den Bogert 2010
(J Biomech 43:1055) predict gait with, and a constant for rest. A weak muscle must be more active for the same force, so
effort outweighs rest at a lower speed, and its owner walks slower.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Activation's power is that of muscles' endurance (Crowninshield & Brand 1981, J Biomech 14:793). Rest is chosen: with
# it eight healthy people have their least cost at 1.28 m/s (people choose 1.2 to 1.4), of which rest is then two
# fifths. Ralston's adults have half of theirs at 1.23 m/s.
POWER, REST = 3.0, 0.009
SATURATED = 0.95  # activation from which a muscle is at its limit; chosen
LONGEST_SATURATION = 0.2  # share of the time that the busiest muscle may be at its limit; chosen
NEIGHBOURHOOD = 0.25  # m/s to either side of the least measured cost, over which the cost is smoothed; chosen


def effort_per_metre(activation: FloatArray, speed: float, power: float = POWER, rest: float = REST) -> float:
    """Rest and the mean of activation ** power over time and muscles, over the speed (m/s): s/m.

    activation: (n, n_muscles), 0..1, equally spaced. ValueError for a speed that is not positive.
    """
    if speed <= 0.0:
        raise ValueError(f"effort per metre needs a forward speed, not {speed} m/s")
    return float((rest + np.mean(np.asarray(activation) ** power)) / speed)


def saturation(activation: FloatArray) -> float:
    """Share of the time that the busiest muscle spends at its limit; activation as for `effort_per_metre`."""
    return float(np.max(np.mean(np.asarray(activation) >= SATURATED, axis=0)))


def comfortable_speed(
    speeds: Sequence[float],
    effort: Sequence[float],
    saturated: Sequence[float],
    longest: float = LONGEST_SATURATION,
) -> float:
    """The speed (m/s) of least effort per metre, from curves measured at `speeds` (rising, m/s).

    effort: `effort_per_metre` at each speed, NaN where the person fell. saturated: `saturation` at each. Only speeds at
    which the person did not fall and no muscle was at its limit for longer than the share `longest` are possible;
    where there is none, the one with the least saturation is taken. A parabola through the possible speeds near the
    least cost smooths it. ValueError for curves of different lengths, speeds that do not rise, or a person who fell at
    every speed.
    """
    v, cost, limit = (np.asarray(x, dtype=float) for x in (speeds, effort, saturated))
    if not v.shape == cost.shape == limit.shape or v.ndim != 1:
        raise ValueError(f"{v.size} speeds, {cost.size} efforts and {limit.size} saturations do not belong together")
    if np.any(np.diff(v) <= 0.0):
        raise ValueError("speeds must rise")
    walked = np.isfinite(cost) & np.isfinite(limit)
    if not walked.any():
        raise ValueError("the person fell at every speed")
    possible = walked & (limit <= longest)
    if not possible.any():
        return float(v[np.argmin(np.where(walked, limit, np.inf))])
    best = float(v[np.argmin(np.where(possible, cost, np.inf))])
    near = possible & (np.abs(v - best) <= NEIGHBOURHOOD)
    if near.sum() < 3:
        return best
    a, b, _ = np.polyfit(v[near], cost[near], 2)
    # A parabola that opens downwards has its least value at an end.
    return float(np.clip(-b / (2.0 * a), v[near].min(), v[near].max())) if a > 0.0 else best
