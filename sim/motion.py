"""A motion to be fitted and one that has been: what is asked of it, how much each wish counts, and what came out."""

from __future__ import annotations

from dataclasses import dataclass, field

from .motion_splines import FloatArray


@dataclass
class Weights:
    """How much each kind of residual counts; published curves are in standard deviations."""

    angle: float = 1.0
    moment: float = 1.0
    force: float = 1.0
    prior: float = 0.3
    root: float = 100.0
    contact: float = 6.0
    slip: float = 4.0
    clear: float = 10.0
    negative: float = 30.0
    passive: float = 2.0
    smooth: float = 2e-3
    load_smooth: float = 0.6
    place: float = 5.0
    land: float = 6.0


@dataclass
class Targets:
    """What a motion should look like over a half cycle, told from the leading (right) leg.

    angles, moments: (HALF, 12) rad and Nm/kg, right leg then left; their scales (HALF, 12), inf where nothing is
    published. root: (HALF, 6) prior of tilt, list, rotation, ... with scale. forces: (HALF, 2, 2) forward and upward
    force of each foot in body weights with scale. half_time: s. lengths, rise: from the trailing foothold to the
    leading one and from there to the next, m. slope: rad of the ground. heel_from_edge: heel's middle ahead of its
    tread's rear edge, m. planted: part of the half cycle during which the leading heel must stay in place. landed:
    share of the half cycle, from its start, during which that heel must be on the ground.
    """

    angles: FloatArray
    angle_scale: FloatArray
    moments: FloatArray
    moment_scale: FloatArray
    forces: FloatArray
    force_scale: FloatArray
    root: FloatArray
    root_scale: FloatArray
    half_time: float
    lengths: tuple[float, float]
    rise: tuple[float, float] = (0.0, 0.0)
    slope: float = 0.0
    heel_from_edge: float = 0.0
    clearance: float = 0.035
    planted: tuple[float, float] = (0.15, 0.5)
    landed: float = 0.0
    weights: Weights = field(default_factory=Weights)


@dataclass(frozen=True)
class Motion:
    """A fitted half cycle at the source's size: values at HALF + 1 instants, the last one the start of the next half.

    q, dq, ddq: (HALF + 1, 18) root (x ahead of the leading heel's foothold, y, z above that foothold, tilt, list,
    rotation) then right (leading) and left leg; rad, m and their rates by time. moments: (HALF + 1, 12) Nm/kg.
    loads: (HALF + 1, 2, 3) ground force of right and left foot in body weights.
    """

    q: FloatArray
    dq: FloatArray
    ddq: FloatArray
    moments: FloatArray
    loads: FloatArray
    half_time: float
    length: float
    slope: float
    rise: float
    residual: dict[str, float]
