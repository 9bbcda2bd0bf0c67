"""What gaits look like: published curves, and a recorded walk for what they leave out, as targets for `motion_fit`.

Ramps have no published joint curves here: level walking is bent by published effects of slope, and counts less.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from scipy.interpolate import PchipInterpolator

from .exchange.sto import read_table
from .motion import Targets, Weights
from .motion_splines import HALF, FloatArray
from .subjects import SOURCE_STATURE

PERCENT = np.arange(2 * HALF) / (2 * HALF) * 100.0
# Adults of the published curves are taken as 1.70 m tall; lengths go with stature, speeds with its root.
PUBLISHED_SCALE = 1.70 / SOURCE_STATURE
# Stride time against speed: T ~ v^-1/2 (Grieve 1968), through 1.13 s at 1.20 m/s (about 106 steps a minute).
STRIDE_TIME, STRIDE_SPEED = 1.13, 1.20
# The marker protocol of Bovi 2011 turns the ankle's neutral to about -21 deg: with it feet lie flat in midstance.
ANKLE_OFFSET = 21.0

# The recorded walk (assets/recordings/opensim_walk) fills in what the tables lack.
RECORDED_HEEL_STRIKE, RECORDED_STRIDE = 0.267, 1.1445
# The trunk is rigid on the pelvis, so it would swing with the whole recorded pelvic list and rotation; people's
# lumbar spine takes most of it up. These shares keep the trunk as steady as the recorded one.
LIST_SHARE, ROTATION_SHARE = 0.3, 0.4
LEAST_SD = {"angle": 3.0, "moment": 0.06, "ap": 0.015, "vertical": 0.04}  # deg, Nm/kg, body weights; chosen

# Change of hip, knee and ankle angle (deg) at 10 deg of slope over the gait cycle, from the figures of Lay 2006 (J
# Biomech 39:1621, +-15 and 39 % grade) and McIntosh 2006 (J Biomech 39:2491, +-5 to 10 deg), rounded.
_UPHILL = {
    0: ((0, 20), (10, 20), (30, 8), (50, 0), (60, 2), (80, 20), (100, 20)),
    3: ((0, 20), (10, 18), (30, 6), (50, 3), (70, 0), (85, 8), (100, 20)),
    4: ((0, 8), (15, 8), (40, 4), (60, 0), (75, 8), (100, 8)),
}
_DOWNHILL = {
    0: ((0, -8), (20, -2), (50, 8), (60, 5), (75, -2), (100, -8)),
    3: ((0, 0), (15, 8), (30, 10), (50, 20), (60, 10), (75, 0), (100, 0)),
    4: ((0, -3), (15, 0), (40, 3), (60, 8), (75, 2), (100, -3)),
}
_TILT = {1: -4.0, -1: 2.0}  # deg at 10 deg up and down


@cache
def published(task: str, condition: str) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Mean and standard deviation of every signal of Bovi 2011 for one task, at `PERCENT`."""
    found: dict[str, dict[str, FloatArray]] = {}
    path = files("exotwin.assets") / "normative" / f"{task}.csv"
    with path.open(encoding="utf-8") as stream:
        rows = csv.reader(stream)
        percent = np.array([float(p) for p in next(rows)[5:]])
        for source, name, _, signal, statistic, *values in rows:
            if source == "Bovi2011" and name == condition:
                curve = np.interp(PERCENT, percent, np.array(values, dtype=float))
                found.setdefault(signal, {})[statistic] = curve
    if not found:
        raise ValueError(f"{path.name} has no Bovi2011 curves of condition {condition!r}")
    return {signal: (both["mean"], both["sd"]) for signal, both in found.items()}


@cache
def recorded() -> dict[str, FloatArray]:
    """Frontal and transverse angles (rad) of the recorded walk at `PERCENT`, legs averaged."""
    table = read_table(Path(str(files("exotwin.assets") / "recordings" / "opensim_walk" / "coordinates.sto")))
    phase = ((table["time"] - RECORDED_HEEL_STRIKE) / RECORDED_STRIDE) % 1.0

    def harmonics(x: FloatArray, y: FloatArray, order: int = 6) -> FloatArray:
        def basis(p: FloatArray) -> FloatArray:
            angle = np.outer(p, 2 * np.pi * np.arange(1, order + 1))
            return np.concatenate([np.ones((len(p), 1)), np.cos(angle), np.sin(angle)], axis=1)

        return np.asarray(basis(PERCENT / 100.0) @ np.linalg.lstsq(basis(x), y, rcond=None)[0])

    out = {}
    twice = np.concatenate([phase, (phase + 0.5) % 1.0])
    for name in ("hip_adduction", "hip_rotation"):
        out[name] = harmonics(twice, np.concatenate([table[f"{name}_r"], table[f"{name}_l"]]))
    for name in ("pelvis_list", "pelvis_rotation"):
        out[name] = harmonics(twice, np.concatenate([table[name], -table[name]]))
    return out


def _halves(whole: FloatArray) -> FloatArray:
    """(100, n) of one leg to (50, 2 n): right leg, and left leg half a cycle ahead."""
    return np.concatenate([whole[:HALF], whole[HALF:]], axis=1)


def published_targets(task: str, condition: str, half_time: float, lengths: tuple[float, float]) -> Targets:
    """Targets of a published gait of Bovi 2011."""
    curves, frontal = published(task, condition), recorded()
    angles, angle_sd = np.zeros((2 * HALF, 6)), np.full((2 * HALF, 6), 4.0)
    moments, moment_sd = np.zeros((2 * HALF, 6)), np.full((2 * HALF, 6), np.inf)
    for joint, signal in ((0, "hip_flexion_angle_deg"), (3, "knee_flexion_angle_deg"),
                          (4, "ankle_dorsiflexion_angle_LAMBoffset_deg")):  # fmt: skip
        mean, sd = curves[signal]
        angles[:, joint] = mean + (ANKLE_OFFSET if joint == 4 else 0.0)
        angle_sd[:, joint] = np.maximum(sd, LEAST_SD["angle"])
    angle_sd[:, 5] = 15.0  # the toes bend as they must
    angles, angle_sd = np.deg2rad(angles), np.deg2rad(angle_sd)
    angles[:, 1], angles[:, 2] = frontal["hip_adduction"], frontal["hip_rotation"]
    for joint, name in ((0, "hip_extension"), (1, "hip_abduction"), (3, "knee_extension"), (4, "ankle_plantarflexion")):
        mean, sd = curves[f"{name}_moment_Nm_per_kg"]
        moments[:, joint], moment_sd[:, joint] = -mean, np.maximum(sd, LEAST_SD["moment"])
    forces, force_sd = np.zeros((2 * HALF, 2)), np.zeros((2 * HALF, 2))
    for k, name in enumerate(("ap", "vertical")):
        mean, sd = curves[f"grf_{name}_BW"]
        forces[:, k], force_sd[:, k] = mean, np.maximum(sd, LEAST_SD[name])
    forces[forces[:, 1] < 0.02] = 0.0
    tilt = curves["pelvis_tilt_angle_LAMB_deg"][0]
    root = np.zeros((HALF, 6))
    root[:, 3] = np.deg2rad(tilt[:HALF] + tilt[HALF:]) / 2.0
    root[:, 4] = LIST_SHARE * frontal["pelvis_list"][:HALF]
    root[:, 5] = ROTATION_SHARE * frontal["pelvis_rotation"][:HALF]
    scale = np.array([0.5, 0.03, 0.1, *np.deg2rad([4.0, 2.0, 3.0])])
    return Targets(
        _halves(angles), _halves(angle_sd), _halves(moments), _halves(moment_sd),
        np.stack([forces[:HALF], forces[HALF:]], axis=1), np.stack([force_sd[:HALF], force_sd[HALF:]], axis=1),
        root, np.tile(scale, (HALF, 1)), half_time, lengths,
    )  # fmt: skip


def stride_time(speed: float) -> float:
    """s, of a source-sized walker at a speed in m/s."""
    at = STRIDE_SPEED / np.sqrt(PUBLISHED_SCALE)
    return float(STRIDE_TIME / np.sqrt(PUBLISHED_SCALE) * (speed / at) ** -0.5)


def walking(speed: float, condition: str, slope_deg: float = 0.0) -> Targets:
    """Walking at a speed (m/s, of the source's size) on a slope, from the published speed named `condition`."""
    half = stride_time(speed) / 2.0
    t = published_targets("level_walking", condition, half, (speed * half,) * 2)
    t.landed, t.weights.moment = 0.1, 1.2
    if not slope_deg:
        return t
    change = _UPHILL if slope_deg > 0 else _DOWNHILL
    size = abs(slope_deg) / 10.0
    for joint, points in change.items():
        x, y = np.array(points, dtype=float).T
        bend = np.deg2rad(size * np.interp(PERCENT, x, y))
        t.angles[:, joint] += bend[:HALF]
        t.angles[:, 6 + joint] += bend[HALF:]
    t.root[:, 3] += np.deg2rad(size * _TILT[1 if slope_deg > 0 else -1])
    # The effects are read off figures, and moments of level walking only keep ramps from wild ones.
    t.angle_scale *= 1.5
    t.moment_scale *= 3.0
    t.force_scale *= 2.0
    t.slope = float(np.deg2rad(slope_deg))
    return t


# Stride times on stairs, s: as people climb at ease (Riener 2002, Gait Posture 15:32: 1.41 up, 1.19 down), a little
# slower. The published curves are of slower climbers (0.27 m/s up, 0.35 down), who balance on one leg for long.
STAIR_TIME = {1: 1.5, -1: 1.35}


def heel_from_edge(direction: int, tread: float) -> float:
    """Where the heel's middle is put ahead of the tread's rear edge, m: the whole foot on the tread where it fits."""
    if direction > 0:
        # The toes end 0.25 m ahead of the heel's middle and stay 2 cm short of the next riser.
        return float(np.clip(tread - 0.27, 0.0, 0.045))
    # Going down, the heel must clear the edge it came over, in people with short thighs too, and the toes may stand out
    # over the next one: by a fifth of the shoe on the steepest stairs.
    return float(np.clip(0.06 + 0.85 * (tread - 0.25), 0.06, 0.11))


_NEXT_TREAD_UP = {0: ((78, 35), (86, 58), (94, 68)), 3: ((74, 62), (83, 88), (92, 82)), 4: ((80, -2), (90, 8))}
_NEXT_TREAD_DOWN = {0: ((92, 30),), 3: ((92, 45),), 4: ((94, -10),)}


def stairs(rise: float, tread: float) -> Targets:
    """Climbing (rise > 0) or descending stairs step over step, m of the source's size."""
    up = rise > 0
    task, condition = ("stair_ascent", "ascending") if up else ("stair_descent", "descending")
    t = published_targets(task, condition, STAIR_TIME[1 if up else -1] / 2.0, (tread, tread))
    t.rise = (rise, rise)
    t.heel_from_edge = heel_from_edge(1 if up else -1, tread)
    t.clearance = 0.035
    # The published strides end on a landing, so their last part is not periodic. Climbing step over step the swinging
    # leg goes on to the next tread, with hip and knee as McFadyen & Winter 1988 (J Biomech 21:733) show them.
    for joint, points in (_NEXT_TREAD_UP if up else _NEXT_TREAD_DOWN).items():
        at, value = np.array(points, dtype=float).T
        whole = np.concatenate([t.angles[:, joint], t.angles[:, 6 + joint]])
        known = np.rad2deg(np.interp([at[0] - 4.0, 100.0], np.append(PERCENT, 100.0), np.append(whole, whole[0])))
        curve = PchipInterpolator([at[0] - 4.0, *at, 100.0], np.deg2rad([known[0], *value, known[1]]))
        late = at[0] - 4.0 < PERCENT
        t.angles[:, 6 + joint] = np.where(late, curve(PERCENT), whole)[HALF:]
    # Angles were measured on other treads: the foot's place on this one decides.
    t.angle_scale *= 1.3
    t.weights = Weights(place=10.0)
    return t
