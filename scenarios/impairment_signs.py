"""The published sign of each impairment as a number measured on a recording, and which way it should move.

A sign compares a person with an impairment with the same person without it, each at their own comfortable speed.
Hemiparetic walking is also compared with the joint angles of Winner 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..controllers.device import SIDES
from ..sim.impairments import Impairment
from .gait_cycles import FloatArray, heel_strikes, in_contact, mean_sd, rate_hz, strides, toe_offs
from .normative import published

if TYPE_CHECKING:
    from ..sim.recording import Recording

FALLS, RISES = -1, 1
Measure = Callable[["Recording", tuple[str, ...], float], float]

WINNER = ("hip_flexion", "knee_flexion", "ankle_dorsiflexion")


@dataclass(frozen=True)
class Sign:
    """A number that moves in a published direction (`FALLS` or `RISES`) when an impairment gets worse.

    measure(recording, sides, skip_s): sides are the impaired legs, skip_s the transient left out; NaN without strides.
    """

    name: str
    unit: str
    direction: int
    source: str
    measure: Measure


def walking_speed(recording: Recording, sides: tuple[str, ...], skip_s: float = 0.0) -> float:
    """Mean forward speed of the pelvis, m/s."""
    time, x = recording.columns["time"], recording.columns["pelvis/x"]
    late = time - time[0] >= skip_s
    return float((x[late][-1] - x[late][0]) / (time[late][-1] - time[late][0]))


def step_lengths(recording: Recording, skip_s: float = 0.0) -> dict[str, float]:
    """Mean step length (m) of each leg, named after the leg that lands: from the other foot's foothold to its own.

    A foothold is the mean forward centre of pressure over the first half of a stance; NaN for too few steps.
    """
    time, rate = recording.columns["time"], rate_hz(recording)
    holds: list[tuple[int, str, float]] = []
    for side in SIDES:
        contact = in_contact(recording.columns[f"grf/{side}/z"], rate)
        lifts = toe_offs(contact)
        for start in heel_strikes(contact):
            after = lifts[lifts > start]
            if after.size and time[start] - time[0] >= skip_s:
                middle = start + max(1, (after[0] - start) // 2)
                holds.append((int(start), side, float(np.nanmean(recording.columns[f"cop/{side}/x"][start:middle]))))
    holds.sort()
    steps: dict[str, list[float]] = {side: [] for side in SIDES}
    for (_, before, x0), (_, side, x1) in pairwise(holds):
        if side != before:
            steps[side].append(x1 - x0)
    return {side: float(np.mean(lengths)) if lengths else float("nan") for side, lengths in steps.items()}


def step_length_asymmetry(recording: Recording, sides: tuple[str, ...], skip_s: float = 0.0) -> float:
    """Difference of the two legs' step lengths over their sum, 0 for a symmetric gait."""
    right, left = step_lengths(recording, skip_s).values()
    return abs(right - left) / (right + left)


def step_length(recording: Recording, sides: tuple[str, ...], skip_s: float = 0.0) -> float:
    """Mean step length of both legs, m."""
    return float(np.mean(list(step_lengths(recording, skip_s).values())))


def _over_strides(column: str, take: Callable[[FloatArray, FloatArray], float], factor: float) -> Measure:
    """Mean over strides and impaired legs of take(stance, swing) of ``column/joint_side``, times factor."""

    def measure(recording: Recording, sides: tuple[str, ...], skip_s: float = 0.0) -> float:
        values = []
        for side in sides:
            signal = recording.columns[f"{column}_{side}"]
            for s in strides(recording, side, skip_s):
                values.append(take(signal[s.start : s.toe_off], signal[s.toe_off : s.end]))
        return factor * float(np.mean(values)) if values else float("nan")

    return measure


def _middle(swing: FloatArray) -> FloatArray:
    return swing[swing.size // 4 : max(swing.size // 4 + 1, 3 * swing.size // 4)]


def peak_plantarflexion_moment(recording: Recording, sides: tuple[str, ...], skip_s: float = 0.0) -> float:
    """Mean peak internal (biological) plantarflexion moment of stance, Nm/kg."""
    measure = _over_strides("torque/biological/ankle_dorsiflexion", lambda stance, swing: float(-stance.min()), 1.0)
    return measure(recording, sides, skip_s) / float(recording.meta["subject"]["mass_kg"])


DEGREES = 180.0 / np.pi
swing_knee_flexion = _over_strides("angle/knee_flexion", lambda stance, swing: float(swing.max()), DEGREES)
contact_knee_flexion = _over_strides("angle/knee_flexion", lambda stance, swing: float(stance[0]), DEGREES)
stance_knee_flexion = _over_strides("angle/knee_flexion", lambda stance, swing: float(stance.mean()), DEGREES)
loading_knee_flexion = _over_strides(
    "angle/knee_flexion", lambda stance, swing: float(stance[: max(1, stance.size * 2 // 5)].max()), DEGREES
)
swing_dorsiflexion = _over_strides(
    "angle/ankle_dorsiflexion", lambda stance, swing: float(_middle(swing).mean()), DEGREES
)
stance_dorsiflexion = _over_strides("angle/ankle_dorsiflexion", lambda stance, swing: float(stance.max()), DEGREES)

STROKE = "Balaban & Tok 2014, PM&R 6:635 (review of gait after stroke)"
ONG = "Ong 2019, PLoS Comput Biol 15:e1006993 (simulation)"
STEELE = "Steele 2012, J Biomech 45:2564; Hicks 2008, J Biomech 41:960"
SIGNS: dict[str, tuple[Sign, ...]] = {
    "hemiparesis": (
        Sign("walking speed", "m/s", FALLS, STROKE, walking_speed),
        Sign(
            "step-length asymmetry",
            "1",
            RISES,
            "Clark 2010, J Neurophysiol 103:844 (fewer modules, more asymmetry)",
            step_length_asymmetry,
        ),
        Sign("peak knee flexion in swing", "deg", FALLS, STROKE, swing_knee_flexion),
    ),
    "crouch_gait": (
        Sign("walking speed", "m/s", FALLS, "chosen: weak and more costly, so slower", walking_speed),
        Sign("knee flexion at contact", "deg", RISES, STEELE, contact_knee_flexion),
        Sign("mean knee flexion in stance", "deg", RISES, STEELE, stance_knee_flexion),
    ),
    "plantarflexor_weakness": (
        Sign("walking speed", "m/s", FALLS, ONG, walking_speed),
        Sign("peak plantarflexion moment", "Nm/kg", FALLS, ONG, peak_plantarflexion_moment),
        Sign("peak dorsiflexion in stance", "deg", RISES, ONG, stance_dorsiflexion),
    ),
    "foot_drop": (
        Sign(
            "ankle dorsiflexion in mid-swing",
            "deg",
            FALLS,
            "Wiszomirska 2017 (PMC5405572), drop foot",
            swing_dorsiflexion,
        ),
    ),
    "equinus": (
        Sign("walking speed", "m/s", FALLS, ONG, walking_speed),
        Sign(
            "ankle dorsiflexion in mid-swing",
            "deg",
            FALLS,
            "Jansen 2014, J NeuroEng Rehabil 11:78 (simulation)",
            swing_dorsiflexion,
        ),
    ),
    "ageing": (
        Sign("walking speed", "m/s", FALLS, "Song & Geyer 2018, J Physiol 596:1199 (simulation)", walking_speed),
        Sign("step length", "m", FALLS, "DeVita & Hortobagyi 2000, J Appl Physiol 88:1804", step_length),
    ),
    "knee_extensor_weakness": (
        Sign(
            "peak knee flexion in loading response",
            "deg",
            FALLS,
            "Perry & Burnfield 2010, Gait Analysis: weak quadriceps are spared",
            loading_knee_flexion,
        ),
    ),
}


def measure_signs(recording: Recording, impairment: Impairment, skip_s: float = 3.0) -> dict[str, float]:
    """The numbers of the signs of an impairment, by name; a healthy person is measured with severity 0."""
    return {sign.name: sign.measure(recording, impairment.sides, skip_s) for sign in SIGNS[impairment.kind]}


def as_published(kind: str, before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, bool]:
    """For each sign of a kind, whether it moved in the published direction from one `measure_signs` to a worse one."""
    return {s.name: s.direction * (after[s.name] - before[s.name]) > 0.0 for s in SIGNS[kind]}


@dataclass(frozen=True)
class AngleMatch:
    """How a mean joint angle compares with a published one: RMSE in deg and in the source's SD, and correlation."""

    rmse_deg: float
    rmse_sd: float
    correlation: float


def compare_hemiparetic(
    recording: Recording, side: str, condition: str = "fastest", skip_s: float = 3.0
) -> dict[str, AngleMatch]:
    """Joint angles of a hemiparetic walker against the stroke survivors of Winner 2023 (PLoS Comput Biol 19:e1011556).

    side: the paretic one. condition: ``fastest`` (0.64 m/s in the mean) or ``slowest`` (0.43) of their treadmill
    speeds. Keys ``paretic/knee_flexion``, ``nonparetic/...``. ValueError for a leg without strides.
    """
    matches = {}
    for leg, which in ((side, "paretic"), ("l" if side == "r" else "r", "nonparetic")):
        cycles = strides(recording, leg, skip_s)
        if not cycles:
            raise ValueError(f"no whole stride of the {which} leg ({leg!r})")
        bands = published("hemiparetic_gait", "Winner2023", f"{condition} {which}")
        for joint in WINNER:
            mean, _ = mean_sd(np.degrees(recording.columns[f"angle/{joint}_{leg}"]), cycles)
            band = bands[f"angle/{joint}"]
            error = mean - band.mean
            matches[f"{which}/{joint}"] = AngleMatch(
                float(np.sqrt(np.mean(error**2))),
                float(np.sqrt(np.mean((error / band.sd) ** 2))),
                float(np.corrcoef(mean, band.mean)[0, 1]),
            )
    return matches
