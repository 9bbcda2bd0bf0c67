"""How the person compares with anatomy: muscle paths against their targets, isometric strength against people.

Angles are in rad by joint name without side, right leg, joints not named at zero. A moment arm is positive where
tension drives the coordinate up.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..controllers.device import JOINTS, MUSCLES
from ..controllers.interface import closest
from .person import build_person
from .proportions import source_model, thigh_and_shank
from .subjects import GRAVITY, SOURCE_STATURE, THIGH_SHARE, Subject

FloatArray = NDArray[np.float64]

# Ranges of walking, running and stairs (deg) over which paths are held to their targets.
GAIT_RANGE = {
    "hip_flexion": (-20.0, 60.0),
    "hip_adduction": (-15.0, 15.0),
    "knee_flexion": (0.0, 100.0),
    "ankle_dorsiflexion": (-25.0, 25.0),
}
STEP = 2.5  # deg
CROSSES = 1.0  # mm; a muscle with smaller arms does not count as crossing the joint
# Our joint in the source: its name and the sign of the coordinate.
SOURCE_JOINT = {
    "hip_flexion": ("hip_flexion_r", 1.0),
    "hip_adduction": ("hip_adduction_r", 1.0),
    "hip_rotation": ("hip_rotation_r", 1.0),
    "knee_flexion": ("knee_angle_r", -1.0),
    "ankle_dorsiflexion": ("ankle_angle_r", 1.0),
}


@dataclass(frozen=True)
class ArmRow:
    """One muscle about one joint over the gait range: mean target arm and rms errors (mm, % of the rms target arm).

    length_error_mm is that of the change of length; the constant offset is taken up by the fibres' length range.
    """

    muscle: str
    joint: str
    target: str
    arm_mm: float
    arm_error_mm: float
    arm_error_percent: float
    length_error_mm: float

    @property
    def close(self) -> bool:
        """Within 5 % or 2 mm."""
        return self.arm_error_percent <= 5.0 or self.arm_error_mm <= 2.0


@dataclass(frozen=True)
class Strength:
    """Isometric joint torques in one pose, Nm: the most the muscles can drive the coordinate up and down, and the
    torque of their passive force.
    """

    up: float
    down: float
    passive: float


@dataclass(frozen=True)
class StrengthRow:
    """Greatest isometric torque of one movement over its test range against people (Nm, low to high)."""

    movement: str
    pose: str
    model_nm: float
    angle_deg: float
    published_low_nm: float
    published_high_nm: float
    source: str


@dataclass(frozen=True)
class _Test:
    """A dynamometer test: which way, the joints held (deg), the angles tried, published torque over scale."""

    movement: str
    joint: str
    up: bool
    held: Mapping[str, float]
    angles: tuple[float, float]
    published: tuple[float, float]
    by_height: bool
    source: str


ANDERSON = "Anderson 2007, J Biomech 40:3105, men 18-25, mean +- sd of C1"
SARABON = "Sarabon 2021, Front Physiol 12:767941, men, 95 % interval"
# Isokinetic, measured standing: 1.05-1.53 Nm/kg. People press 30 % harder lying on the side, where the pelvis is held
# (Cerda Vega 2018, PLoS ONE 13:e0202248).
SUGIMOTO = "Sugimoto 2014, Clin J Sport Med 24:422, male athletes at 60 deg/s, mean +- sd, x 1.3 for side-lying"
# Per body mass (Nm/kg), or per body weight x height where by_height.
TESTS = (
    _Test("hip extension", "hip_flexion", False, {"knee_flexion": 90}, (0, 90), (0.112, 0.210), True, ANDERSON),
    _Test("hip flexion", "hip_flexion", True, {"knee_flexion": 90}, (0, 60), (0.088, 0.138), True, ANDERSON),
    _Test("hip abduction", "hip_adduction", False, {}, (0, 0), (1.37, 1.99), False, SUGIMOTO),
    _Test("knee extension", "knee_flexion", False, {"hip_flexion": 80}, (10, 90), (0.123, 0.203), True, ANDERSON),
    _Test("knee extension", "knee_flexion", False, {"hip_flexion": 80}, (60, 60), (2.92, 3.45), False, SARABON),
    # Its curve is cos(1.258 (angle - 1.135 rad)): 0.72 of the greatest at 100 deg, where people rise from a seat.
    _Test("knee extension", "knee_flexion", False, {"hip_flexion": 80}, (100, 100), (0.089, 0.146), True, ANDERSON),
    _Test("knee flexion", "knee_flexion", True, {"hip_flexion": 80}, (10, 90), (0.072, 0.102), True, ANDERSON),
    _Test("knee flexion", "knee_flexion", True, {"hip_flexion": 80}, (60, 60), (1.15, 1.62), False, SARABON),
    _Test(
        "plantarflexion", "ankle_dorsiflexion", False, {"knee_flexion": 10}, (-30, 20), (0.073, 0.117), True, ANDERSON
    ),
    _Test("dorsiflexion", "ankle_dorsiflexion", True, {"knee_flexion": 10}, (-20, 10), (0.028, 0.038), True, ANDERSON),
)


class Leg:
    """The right leg's muscles of one person, posed at will."""

    def __init__(self, subject: Subject) -> None:
        self.model = build_person(subject).compile()
        self.data = mujoco.MjData(self.model)
        self._dof = [self.model.joint(f"{joint}_r").dofadr[0] for joint in JOINTS]
        self._actuator = [self.model.actuator(f"{muscle}_r").id for muscle in MUSCLES]

    def pose(self, angles: Mapping[str, float]) -> None:
        """Set the right leg's angles (rad); raises ValueError for an unknown joint."""
        self.data.qpos[:] = self.model.qpos0
        for joint, angle in angles.items():
            if joint not in JOINTS:
                raise ValueError(f"no joint {joint!r}{closest(joint, JOINTS)}")
            self.data.qpos[self.model.joint(f"{joint}_r").qposadr[0]] = angle
        for stage in (mujoco.mj_kinematics, mujoco.mj_comPos, mujoco.mj_tendon, mujoco.mj_transmission):
            stage(self.model, self.data)

    def lengths(self, angles: Mapping[str, float]) -> FloatArray:
        """Path lengths (13,) in m, in the order of MUSCLES."""
        self.pose(angles)
        return np.array(self.data.actuator_length[self._actuator])

    def arms(self, angles: Mapping[str, float]) -> FloatArray:
        """Moment arms (13, 6) in m, muscles by joints in the orders of MUSCLES and JOINTS, from MuJoCo's Jacobian."""
        self.pose(angles)
        moment = np.zeros((self.model.nu, self.model.nv))
        d = self.data
        mujoco.mju_sparse2dense(moment, d.actuator_moment, d.moment_rownnz, d.moment_rowadr, d.moment_colind)
        return -moment[np.ix_(self._actuator, self._dof)]

    def forces(self, angles: Mapping[str, float]) -> tuple[FloatArray, FloatArray]:
        """Isometric tension (N) at full activation without the passive part, and the passive part, each (13,)."""
        lengths = self.lengths(angles)
        active, passive = np.zeros(len(MUSCLES)), np.zeros(len(MUSCLES))
        for m, i in enumerate(self._actuator):
            reach, acc0 = self.model.actuator_lengthrange[i], float(self.model.actuator_acc0[i])
            gain, bias = self.model.actuator_gainprm[i][:9], self.model.actuator_biasprm[i][:9]
            active[m] = -mujoco.mju_muscleGain(lengths[m], 0.0, reach, acc0, gain)
            passive[m] = -mujoco.mju_muscleBias(lengths[m], reach, acc0, bias)
        return active, passive

    def strength(self, joint: str, angles: Mapping[str, float]) -> Strength:
        """Greatest isometric torques about one joint, antagonists silent."""
        active, passive = self.forces(angles)
        arms = self.arms(angles)[:, JOINTS.index(joint)]
        torque = arms * active
        return Strength(
            up=float(torque[torque > 0].sum()),
            down=float(-torque[torque < 0].sum()),
            passive=float(arms @ passive),
        )


class SourceLeg:
    """The source's right leg with every coupled coordinate exactly on its equality polynomial."""

    def __init__(self) -> None:
        self.model = source_model()[1]
        self.data = mujoco.MjData(self.model)
        self._tendon = [self.model.actuator(f"{muscle}_r").trnid[0] for muscle in MUSCLES]
        self._couplings = np.flatnonzero(self.model.eq_type == mujoco.mjtEq.mjEQ_JOINT)

    def lengths(self, angles: Mapping[str, float]) -> FloatArray:
        """Path lengths (13,) in m, in the order of MUSCLES."""
        m, d = self.model, self.data
        d.qpos[:] = m.qpos0
        for joint, angle in angles.items():
            name, sign = SOURCE_JOINT[joint]
            d.qpos[m.joint(name).qposadr[0]] = sign * angle
        for e in self._couplings:
            follower, leader = m.jnt_qposadr[m.eq_obj1id[e]], m.jnt_qposadr[m.eq_obj2id[e]]
            offset = np.polynomial.polynomial.polyval(d.qpos[leader] - m.qpos0[leader], m.eq_data[e][:5])
            d.qpos[follower] = m.qpos0[follower] + offset
        for stage in (mujoco.mj_kinematics, mujoco.mj_comPos, mujoco.mj_tendon):
            stage(m, d)
        return np.array(d.ten_length[self._tendon])

    def arms(self, joint: str, angles: Mapping[str, float], step: float = 1e-4) -> FloatArray:
        """Moment arms (13,) in m: the negated total derivative of length by the joint, couplings included."""
        here = angles.get(joint, 0.0)
        above = self.lengths({**angles, joint: here + step})
        below = self.lengths({**angles, joint: here - step})
        return (below - above) / (2.0 * step)


@functools.cache
def gait2392() -> dict[tuple[str, str], FloatArray]:
    """Group means of gait2392 by (muscle, joint): columns angle (deg), length (mm), arm (mm)."""
    rows: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    text = (files("exotwin.assets") / "anatomy" / "gait2392.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        point = tuple(float(row[name]) for name in ("angle_deg", "length_mm", "arm_mm"))
        rows.setdefault((row["muscle"], row["joint"]), []).append(point)
    return {key: np.array(points) for key, points in rows.items()}


def source_body() -> Subject:
    """A man with the source's lengths, whose thigh is long beside its shank."""
    thigh, shank = thigh_and_shank()
    share = thigh / (thigh + shank)
    return Subject("source", height_m=SOURCE_STATURE, thigh_ratio=share / THIGH_SHARE["male"])


def arm_table() -> list[ArmRow]:
    """Every muscle about every joint it crosses, over the gait range, against its target, at the source's size."""
    leg, source = Leg(source_body()), SourceLeg()
    rows = []
    for joint, (low, high) in GAIT_RANGE.items():
        degrees = np.arange(low, high + STEP / 2, STEP)
        poses = [{joint: angle} for angle in np.radians(degrees)]
        arm = 1e3 * np.array([leg.arms(pose)[:, JOINTS.index(joint)] for pose in poses])
        length = 1e3 * np.array([leg.lengths(pose) for pose in poses])
        source_arm = 1e3 * np.array([source.arms(joint, pose) for pose in poses])
        source_length = 1e3 * np.array([source.lengths(pose) for pose in poses])
        for m, muscle in enumerate(MUSCLES):
            table = gait2392().get((muscle, joint))
            if table is None:
                name, at = "myolegs26", np.arange(len(degrees))
                target_arm, target_length = source_arm[:, m], source_length[:, m]
            else:
                name, at = "gait2392", np.searchsorted(degrees, table[:, 0] - STEP / 2)
                target_length, target_arm = table[:, 1], table[:, 2]
            if np.abs(target_arm).max() < CROSSES:
                continue
            error = _rms(arm[at, m] - target_arm)
            rows.append(
                ArmRow(
                    muscle=muscle,
                    joint=joint,
                    target=name,
                    arm_mm=float(target_arm.mean()),
                    arm_error_mm=error,
                    arm_error_percent=100.0 * error / _rms(target_arm),
                    length_error_mm=float(np.std(length[at, m] - target_length)),
                )
            )
    return rows


def strength_table(subject: Subject | None = None) -> list[StrengthRow]:
    """Greatest isometric torque of each movement, without the passive part, against published tests of men."""
    subject = subject or Subject()
    leg = Leg(subject)
    rows = []
    for test in TESTS:
        low, high = test.angles
        tried = np.linspace(low, high, 1 + round((high - low) / STEP))
        held = {joint: np.radians(angle) for joint, angle in test.held.items()}
        torques = []
        for angle in np.radians(tried):
            strength = leg.strength(test.joint, {**held, test.joint: angle})
            torques.append(strength.up if test.up else strength.down)
        best = int(np.argmax(torques))
        unit = subject.mass_kg * (GRAVITY * subject.height_m if test.by_height else 1.0)
        rows.append(
            StrengthRow(
                movement=test.movement,
                pose=", ".join(f"{joint} {angle:g} deg" for joint, angle in test.held.items()),
                model_nm=torques[best],
                angle_deg=float(tried[best]),
                published_low_nm=test.published[0] * unit,
                published_high_nm=test.published[1] * unit,
                source=test.source,
            )
        )
    return rows


def greatest_torques(subject: Subject) -> dict[str, float]:
    """Greatest isometric torque (Nm) of each movement of `strength_table`."""
    rows = strength_table(subject)
    return {row.movement: max(r.model_nm for r in rows if r.movement == row.movement) for row in rows}


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))
