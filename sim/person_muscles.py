"""Muscles of the person: paths, strength and fibres scaled to a subject."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from ..controllers.device import MUSCLES
from .muscle_paths import FIBRES, FITTED, PASSIVE, STRENGTH, WRAPPED, Branch
from .proportions import SEGMENTS, mirrored, segment_origins, segment_sizes
from .subjects import Subject

# Tendons are rigid here. At push-off the Achilles tendon takes up most of the calf's shortening and its fascicles
# shorten slowly (Ishikawa 2005, J Appl Physiol 99:603; Lichtwark & Wilson 2006, J Exp Biol 209:4379): without the
# stretch, twice the greatest shortening velocity leaves these muscles their force (factor chosen).
QUICK = {"soleus": 2.0, "gastroc": 2.0}
# The rotators of the hip: greatest torque to either side (Nm; of a man of 75 kg, 1.75 m and 30 years; chosen) and delay
# (s) of their activation, between the 10 and 40 ms of muscles.
ROTATION_TORQUE, ROTATION_DELAY = 35.0, 0.02


def _source_points(source: Any, muscle: str, side: str) -> tuple[Branch, ...]:
    """The source's own straight path through its fixed sites, in mm."""
    tendon = source.actuator(f"{muscle}_r").trnid[0]
    start, count = source.tendon_adr[tendon], source.tendon_num[tendon]
    points = []
    for wrap in range(start, start + count):
        site = source.wrap_objid[wrap]
        body = source.body(source.site_bodyid[site]).name.removesuffix("_r")
        points.append((body, tuple(1e3 * source.site_pos[site])))
    return (Branch(1.0, tuple(points)),)


def _neutral_length(branches: tuple[Branch, ...], source: Any, sizes: dict[str, np.ndarray]) -> float:
    """Path length (m) with all joints at zero, where the segments' frames are parallel."""
    origins = segment_origins(source, sizes, "r")
    place = {"pelvis": np.zeros(3)}
    for above, segment in zip(("pelvis", *SEGMENTS), SEGMENTS, strict=False):
        place[segment] = place[above] + origins[segment]
    length = 0.0
    for branch in branches:
        points = np.array([place[segment] + sizes[segment] * point * 1e-3 for segment, point in branch.points])
        length += branch.weight * float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
    return length


def _length_range(
    muscle: str, original: Any, branches: tuple[Branch, ...], source: Any, subject: Subject
) -> np.ndarray:
    """MuJoCo's length range that makes optimal fibres grow with the leg and keeps what each muscle's fibres are at in
    the neutral pose, in optimal lengths.
    """
    low, high = original.gainprm[:2]
    if muscle in FIBRES:
        optimal, normalised = FIBRES[muscle].optimal * 1e-3, FIBRES[muscle].normalised
    else:
        shift = FITTED[muscle].length_shift * 1e-3 if muscle in FITTED else 0.0
        optimal = float(np.diff(original.lengthrange)[0] / (high - low))
        slack = original.lengthrange[0] + shift - low * optimal
        same = {segment: np.ones(3) for segment in ("pelvis", *SEGMENTS)}
        normalised = (_neutral_length(branches, source, same) - slack) / optimal
    optimal *= subject.scale
    slack = _neutral_length(branches, source, segment_sizes(subject)) - normalised * optimal
    return slack + np.array([low, high]) * optimal


def _hip_cylinder(
    spec: mujoco.MjSpec, muscle: str, side: str, radius: float, size: np.ndarray, hip: np.ndarray
) -> tuple[str, str]:
    """A cylinder along the hip's flexion axis that a muscle bends round behind the joint, and a site on that side.

    radius: mm at the source's size.
    """
    name, pelvis = f"{muscle}_hip_{side}", spec.body("pelvis")
    if not any(geom.name == name for geom in pelvis.geoms):
        pelvis.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            size=[radius * 1e-3 * size[0], 0.01, 0],
            pos=hip,
            mass=0.0,
            contype=0,
            conaffinity=0,
            group=4,
        )
        beside = hip + np.array([-0.1, -0.1, 0.0]) * size
        pelvis.add_site(name=f"{name}_side", pos=beside, size=[0.004, 0, 0], group=4)
    return name, f"{name}_side"


def add_muscles(spec: mujoco.MjSpec, subject: Subject, source: Any, sizes: dict[str, np.ndarray], side: str) -> None:
    """Add the muscles of one leg to the subject's skeleton. sizes: of its segments (`segment_sizes`)."""
    hip = segment_origins(source, sizes, side)["femur"]
    for muscle in MUSCLES:
        name = f"{muscle}_{side}"
        fit = FITTED.get(muscle)
        branches = fit.branches if fit else _source_points(source, muscle, side)
        tendon = spec.add_tendon(name=name, width=0.004, rgba=[0.75, 0.2, 0.2, 1])
        for b, branch in enumerate(branches):
            if len(branches) > 1:
                tendon.wrap_pulley(1.0 / branch.weight)
            bend = WRAPPED.get(muscle)
            for i, (segment, point) in enumerate(branch.points):
                if bend and i and segment != branch.points[i - 1][0] == "pelvis":
                    tendon.wrap_geom(*_hip_cylinder(spec, muscle, side, bend, sizes["pelvis"], hip))
                body = spec.body("pelvis" if segment == "pelvis" else f"{segment}_{side}")
                position = mirrored(point, side) * 1e-3 * sizes[segment]
                site = body.add_site(name=f"{name}-{b}{i}", pos=position, size=[0.004, 0, 0], group=4)
                tendon.wrap_site(site.name)
        original = source.actuator(f"{muscle}_r")
        prm, dynamics = np.array(original.gainprm), np.array(original.dynprm)
        prm[2] *= STRENGTH[muscle] * subject.muscle_force
        prm[6] *= QUICK.get(muscle, 1.0) * (1.0 - 0.2 * subject.ageing)
        if muscle in FIBRES and FIBRES[muscle].span:
            prm[4:6] = FIBRES[muscle].span
        prm[7] = PASSIVE.get(muscle, prm[7])
        prm[8] += 0.4 * subject.ageing
        dynamics[1] *= 1.0 + 0.2 * subject.ageing
        # The source's toe muscles carry a wider force-length curve (lmin, lmax); it is kept.
        actuator = spec.add_actuator(
            name=name,
            target=name,
            trntype=mujoco.mjtTrn.mjTRN_TENDON,
            gaintype=mujoco.mjtGain.mjGAIN_MUSCLE,
            biastype=mujoco.mjtBias.mjBIAS_MUSCLE,
            dyntype=mujoco.mjtDyn.mjDYN_MUSCLE,
            ctrllimited=1,
            ctrlrange=[0, 1],
        )
        actuator.gainprm = prm
        actuator.biasprm = prm
        actuator.dynprm = dynamics
        actuator.lengthrange = _length_range(muscle, original, branches, source, subject)


def add_rotators(spec: mujoco.MjSpec, subject: Subject, side: str) -> None:
    """Add the rotators of one hip, which are not among the source's muscles: a torque to either side, delayed.

    They come after all muscles, which thereby keep their places among the actuators and activations.
    """
    actuator = spec.add_actuator(
        name=f"rotators_{side}",
        target=f"hip_rotation_{side}",
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        gaintype=mujoco.mjtGain.mjGAIN_FIXED,
        biastype=mujoco.mjtBias.mjBIAS_NONE,
        dyntype=mujoco.mjtDyn.mjDYN_FILTEREXACT,
        ctrllimited=1,
        ctrlrange=[-1, 1],
    )
    actuator.gainprm[0] = ROTATION_TORQUE * subject.muscle_force
    actuator.dynprm[0] = ROTATION_DELAY
