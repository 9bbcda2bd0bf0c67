"""The reference gait: a recorded 3-D walk made periodic, symmetric and fit for this body, over speed and phase.

`build_walk_reference` makes it from the shipped recording (run `python -m exotwin.sim.reference` to do it again);
`Reference` is what the nervous system reads. Phase 0 is right heel strike.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..controllers.device import JOINTS, SIDES
from .person import FOOT_RADIUS, SOURCE_STATURE, Subject, build_person

FloatArray = NDArray[np.float64]

STRIDE_TIME = 1.1445  # s, of the recorded walk
SPEED = 1.25  # m/s, of the recorded walk
RIGHT_HEEL_STRIKE = 0.267  # s
PHASES = 100
SPEEDS = np.array([0.5, 0.7, 0.9, 1.1, 1.25, 1.4, 1.6, 1.8, 2.0])
HARMONICS = 10
TRUNK_LEAN = 0.04  # rad forward; the rigid trunk stands for the recorded lumbar flexion, see TRUNK_SHARE
# The trunk is rigid on the pelvis, so it would swing with the whole recorded pelvic list and rotation; people's
# lumbar spine takes most of it up. These shares keep the trunk as steady as the recorded one.
LIST_SHARE, ROTATION_SHARE = 0.3, 0.4
HEEL_STRIKE_HEIGHT = 0.006  # m above the ground, where a heel that comes down counts as landed: phase 0 of the table
# People ride a little lower than the reference (soles and ground give way), so their heel lands when the reference's is
# still this high (m). Curves from heel strike to heel strike are compared from there.
LANDING_HEIGHT = 0.010
SINK = 0.002  # m; the soles rest this deep in the ground's compliance
# Stride time and excursion against speed: T ~ v^-1/2, hip excursion ~ v^1/2 (Grieve 1968; measured again in Bovi
# 2011 between 0.84 and 1.95 m/s). Joint moments grow more slowly; the exponent is fitted to the same table.
TIME_EXPONENT, HIP_EXPONENT, MOMENT_EXPONENT = -0.5, 0.5, 0.3

# The recorded subject is about 1.80 m tall.
REFERENCE_SCALE = 1.80 / SOURCE_STATURE
SIMILAR_SPEED = SPEED / np.sqrt(REFERENCE_SCALE)

# Rows of the table: joint angles (12), their derivative by phase (12), feed-forward moments (12), pelvis height,
# tilt, list, rotation and their derivatives by phase.
N_JOINTS = 12
ANGLE, SLOPE, MOMENT, PELVIS, PELVIS_SLOPE = 0, 12, 24, 36, 40
CHANNELS = 44


@dataclass(frozen=True)
class Reference:
    """Periodic reference for a body of the source's size.

    table: (n_speeds, PHASES, CHANNELS) rad, rad per cycle, Nm/kg, m. speeds: (n_speeds,) m/s.
    """

    table: FloatArray
    speeds: FloatArray
    still: bool = False

    def stride_time(self, speed: float, scale: float) -> float:
        """Stride time in s at a speed in m/s for a body `scale` times the source's size; endless when still."""
        if self.still:
            return 1e9
        similar = max(speed, 0.2) / np.sqrt(scale)
        at_reference = STRIDE_TIME * np.sqrt(scale / REFERENCE_SCALE)
        return float(at_reference * (similar / SIMILAR_SPEED) ** TIME_EXPONENT)

    def for_subject(self, subject: Subject) -> Reference:
        """Scaled to a body by dynamic similarity: lengths by l, speeds by sqrt(l), moments by mass x l (in Nm)."""
        s = subject.scale
        table = self.table.copy()
        table[:, :, MOMENT : MOMENT + N_JOINTS] *= subject.mass_kg * s
        table[:, :, PELVIS] = (table[:, :, PELVIS] - FOOT_RADIUS) * s + FOOT_RADIUS
        table[:, :, PELVIS_SLOPE] *= s
        return Reference(np.ascontiguousarray(table), self.speeds * np.sqrt(s), self.still)


def load_reference(name: str) -> Reference:
    """A shipped reference: ``level_walk`` or ``stand``."""
    with np.load(str(files("exotwin.assets") / "gait" / f"{name}.npz")) as stored:
        return Reference(stored["table"].astype(float), stored["speeds"].astype(float), bool(stored["still"]))


def heel_strike(reference: Reference, speed: float) -> float:
    """Phase at which the right heel lands at a speed (m/s of the source-sized body), about -0.03 to 0.

    reference: as loaded, not yet scaled to a subject.
    """
    from .nervous import interpolate

    phases = np.linspace(-0.12, 0.06, 91)
    rows = np.zeros((len(phases), CHANNELS))
    for row, phase in zip(rows, phases, strict=True):
        interpolate(reference.table, reference.speeds, speed, phase, row)
    height = _Body().heel_height(rows)
    return float(phases[np.argmax(height < LANDING_HEIGHT)])


def build_walk_reference(coordinates: Path, moments: Path, mass_kg: float) -> Reference:
    """Make the reference from OpenSim coordinates and inverse-dynamics moments of one walk."""
    from .opensim_import import read_table

    angle = read_table(coordinates)
    moment = read_table(moments)
    harmonic = _Periodic(np.arange(PHASES) / PHASES)
    joints = {
        "hip_flexion": "hip_flexion",
        "hip_adduction": "hip_adduction",
        "hip_rotation": "hip_rotation",
        "knee_flexion": "knee_angle",
        "ankle_dorsiflexion": "ankle_angle",
    }
    q = np.zeros((PHASES, 6))
    tau = np.zeros((PHASES, 6))
    for i, joint in enumerate(JOINTS):
        if joint in joints:
            name = joints[joint]
            q[:, i] = harmonic.even(*_both(angle, name, ""))
            tau[:, i] = harmonic.even(*_both(moment, name, "_moment")) / mass_kg
    pelvis_list = harmonic.odd(*_single(angle, "pelvis_list"))
    pelvis_rotation = harmonic.odd(*_single(angle, "pelvis_rotation"))
    pelvis = np.stack([np.full(PHASES, -TRUNK_LEAN), LIST_SHARE * pelvis_list, ROTATION_SHARE * pelvis_rotation])

    body = _Body()
    tilt = harmonic.mean(*_single(angle, "pelvis_tilt"))
    recorded = np.stack([np.full(PHASES, tilt), pelvis_list, pelvis_rotation])
    lift = harmonic.even(*_single(angle, "pelvis_ty"), *_single(angle, "pelvis_ty")[1:]) / REFERENCE_SCALE
    q = body.same_feet(q, recorded, pelvis)
    q = np.stack([harmonic.smooth(column) for column in q.T], axis=1)

    tables = []
    for speed in SPEEDS:
        ratio = speed / SIMILAR_SPEED
        scaled = q.copy()
        mean = q[:, 0].mean()
        scaled[:, 0] = mean + (q[:, 0] - mean) * np.clip(ratio**HIP_EXPONENT, 0.6, 1.25)
        both = np.concatenate([scaled, np.roll(scaled, -PHASES // 2, axis=0)], axis=1)
        forces = tau * ratio**MOMENT_EXPONENT / REFERENCE_SCALE
        geometric = body.pelvis_height(both, pelvis)
        # The pelvis rises and falls with the square of step length, so with speed (T ~ v^-1/2).
        height = np.mean(geometric) + (lift - lift.mean()) * np.clip(ratio, 0.4, 1.4)
        trunk = np.concatenate([height[None], pelvis])
        table = np.zeros((PHASES, CHANNELS))
        table[:, ANGLE : ANGLE + 12] = both
        table[:, SLOPE : SLOPE + 12] = np.stack([harmonic.derivative(c) for c in both.T], axis=1)
        table[:, MOMENT : MOMENT + 12] = np.concatenate([forces, np.roll(forces, -PHASES // 2, axis=0)], axis=1)
        table[:, PELVIS : PELVIS + 4] = trunk.T
        table[:, PELVIS_SLOPE : PELVIS_SLOPE + 4] = np.stack([harmonic.derivative(c) for c in trunk], axis=1)
        tables.append(table)
    tables_ = np.stack(tables)
    # The recorded heel (in a shoe) meets the ground a little before ours does; phase 0 is our heel strike.
    heel = body.heel_height(tables_[list(SPEEDS).index(SPEED)])
    strike = int(np.argmax(heel[: PHASES // 4] < HEEL_STRIKE_HEIGHT))
    return Reference(np.roll(tables_, -strike, axis=1), SPEEDS.copy())


STAND = {"hip_flexion": 0.05, "hip_adduction": 0.0, "knee_flexion": 0.08}  # rad; a relaxed stance, chosen
COM_AHEAD = 0.05  # m; people stand with the centre of mass about 5 cm in front of the ankles (Winter 1995)


def build_stand_reference() -> Reference:
    """Quiet standing: the ankle angle that puts the centre of mass over the feet, and the torques that hold it."""
    from scipy.optimize import brentq

    body = _Body()
    model, data = body.model, body.data
    leg = np.array([STAND.get(j, 0.0) for j in JOINTS])
    pelvis = np.zeros(3)

    def ahead(lean: float) -> float:
        # Leaning forward from the ankles turns everything above them; the soles stay flat.
        leg[4] = leg[3] - leg[0] + lean
        pelvis[0] = -lean
        body._pose(np.concatenate([leg, leg]), pelvis)
        mujoco.mj_comPos(model, data)
        return float(data.subtree_com[0][0] - data.xpos[model.body("talus_r").id][0] - COM_AHEAD)

    lean = float(brentq(ahead, -0.2, 0.3))
    ahead(lean)
    data.qvel[:] = 0.0
    data.qpos[2] = 2.0  # clear of everything: only gravity counts
    mujoco.mj_forward(model, data)
    torque = np.array(data.qfrc_bias)
    weight = model.body_mass.sum() * 9.81
    jacobian = np.zeros((3, model.nv))
    for side in SIDES:
        foot = model.body(f"calcn_{side}").id
        point = np.array([data.subtree_com[0][0], data.xpos[foot][1], data.xpos[foot][2]])
        mujoco.mj_jac(model, data, jacobian, None, point, foot)
        torque -= jacobian[2] * weight / 2.0
    dofs = [model.joint(f"{j}_{side}").dofadr[0] for side in SIDES for j in JOINTS]
    both = np.concatenate([leg, leg])
    table = np.zeros((2, PHASES, CHANNELS))
    table[:, :, ANGLE : ANGLE + N_JOINTS] = both
    table[:, :, MOMENT : MOMENT + N_JOINTS] = torque[dofs] / model.body_mass.sum()
    table[:, :, PELVIS] = body.pelvis_height(both[None], pelvis[:, None])[0]
    table[:, :, PELVIS + 1 : PELVIS + 4] = pelvis
    return Reference(table, np.array([0.0, 1.0]), still=True)


def _single(table: Any, name: str) -> tuple[FloatArray, FloatArray]:
    phase = ((table["time"] - RIGHT_HEEL_STRIKE) / STRIDE_TIME) % 1.0
    return phase, table[name]


def _both(table: Any, name: str, suffix: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    phase = ((table["time"] - RIGHT_HEEL_STRIKE) / STRIDE_TIME) % 1.0
    return phase, table[f"{name}_r{suffix}"], table[f"{name}_l{suffix}"]


class _Periodic:
    """Least-squares Fourier series on scattered phases, evaluated on a grid."""

    def __init__(self, grid: FloatArray) -> None:
        self.grid = grid

    @staticmethod
    def _basis(phase: FloatArray, harmonics: int) -> FloatArray:
        k = 2 * np.pi * np.arange(1, harmonics + 1)
        angle = np.outer(phase, k)
        return np.concatenate([np.ones((len(phase), 1)), np.cos(angle), np.sin(angle)], axis=1)

    def _fit(self, phase: FloatArray, value: FloatArray, harmonics: int = HARMONICS) -> FloatArray:
        solution = np.linalg.lstsq(self._basis(phase, harmonics), value, rcond=None)[0]
        return np.asarray(solution, dtype=np.float64)

    def even(self, phase: FloatArray, right: FloatArray, left: FloatArray) -> FloatArray:
        """Mean of both legs, the left half a cycle later."""
        coefficients = self._fit(np.concatenate([phase, (phase + 0.5) % 1.0]), np.concatenate([right, left]))
        return np.asarray(self._basis(self.grid, HARMONICS) @ coefficients)

    def odd(self, phase: FloatArray, value: FloatArray) -> FloatArray:
        """A lateral quantity: it changes sign half a cycle later, so its mean goes."""
        coefficients = self._fit(np.concatenate([phase, (phase + 0.5) % 1.0]), np.concatenate([value, -value]))
        return np.asarray(self._basis(self.grid, HARMONICS) @ coefficients)

    def mean(self, phase: FloatArray, value: FloatArray) -> float:
        """Mean over the cycle."""
        return float(self._fit(phase, value)[0])

    def smooth(self, value: FloatArray, harmonics: int = HARMONICS) -> FloatArray:
        """A grid function cut to its low harmonics."""
        return np.asarray(self._basis(self.grid, harmonics) @ self._fit(self.grid, value, harmonics))

    def derivative(self, value: FloatArray) -> FloatArray:
        """Derivative by phase of a grid function."""
        k = np.fft.rfftfreq(len(value), 1.0 / len(value))
        return np.asarray(np.fft.irfft(np.fft.rfft(value) * 2j * np.pi * k, len(value)), dtype=np.float64)


class _Body:
    """Forward and inverse kinematics of the source-sized person with the pelvis origin held at 0."""

    def __init__(self) -> None:
        spec = build_person(Subject(height_m=SOURCE_STATURE))
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self.joints = [self.model.joint(f"{joint}_{side}").qposadr[0] for side in SIDES for joint in JOINTS]
        self.foot = self.model.body("calcn_r").id
        names = [self.model.geom(g).name for g in range(self.model.ngeom)]
        self.soles = [g for g, name in enumerate(names) if name.startswith("calcn_r")]
        self.both_soles = [g for g, name in enumerate(names) if name.startswith("calcn")]

    def _pose(self, q: FloatArray, pelvis: FloatArray) -> None:
        self.data.qpos[:3] = 0.0
        self.data.qpos[3:7] = root_quaternion(*pelvis)
        self.data.qpos[self.joints] = q
        mujoco.mj_kinematics(self.model, self.data)

    def same_feet(self, q: FloatArray, before: FloatArray, after: FloatArray) -> FloatArray:
        """Right-leg angles (PHASES, 6) that put the foot where it was, the pelvis (3, PHASES) turned otherwise."""
        from scipy.optimize import least_squares

        out = q.copy()
        guess = np.zeros(5)
        for i in range(len(q)):
            both = np.concatenate([q[i], q[i]])
            self._pose(both, before[:, i])
            position = self.data.xpos[self.foot].copy()
            frame = self.data.xmat[self.foot].reshape(3, 3).copy()

            def miss(
                change: FloatArray,
                i: int = i,
                both: FloatArray = both,
                position: FloatArray = position,
                frame: FloatArray = frame,
            ) -> FloatArray:
                trial = both.copy()
                trial[:5] += change
                self._pose(trial, after[:, i])
                turned = self.data.xmat[self.foot].reshape(3, 3)
                return np.concatenate(
                    [10 * (self.data.xpos[self.foot] - position), turned[:, 0] - frame[:, 0], 0.05 * change]
                )

            guess = least_squares(miss, guess, method="lm").x
            out[i, :5] += guess
        return out

    def heel_height(self, table: FloatArray) -> FloatArray:
        """Height of the right heel's sole above the ground along one speed's table, m."""
        heights = np.zeros(len(table))
        for i, row in enumerate(table):
            self._pose(row[ANGLE : ANGLE + N_JOINTS], row[PELVIS + 1 : PELVIS + 4])
            heights[i] = self.data.geom_xpos[self.soles[0]][2] - FOOT_RADIUS + row[PELVIS]
        return heights

    def pelvis_height(self, both: FloatArray, pelvis: FloatArray) -> FloatArray:
        """Height of the pelvis origin that rests the lower foot on the ground; toes bend, so they do not count."""
        heights = np.zeros(len(both))
        for i, q in enumerate(both):
            self._pose(q, pelvis[:, i])
            lowest = min(self.data.geom_xpos[g][2] for g in self.both_soles) - FOOT_RADIUS
            heights[i] = -lowest - SINK
        return heights


def root_quaternion(tilt: float, list_: float, rotation: float) -> FloatArray:
    """World quaternion of the pelvis from OpenSim's tilt-list-rotation (about right, forward, up; body-fixed order)."""
    out, step = np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(4)
    # OpenSim's right is our -y, forward x, up z.
    for axis, angle in (((0, -1, 0), tilt), ((1, 0, 0), list_), ((0, 0, 1), rotation)):
        mujoco.mju_axisAngle2Quat(step, np.array(axis, dtype=float), angle)
        result = np.zeros(4)
        mujoco.mju_mulQuat(result, out, step)
        out = result
    return out


def main() -> None:
    """Build the shipped references again, the walk from the shipped recording."""
    assets = Path(str(files("exotwin.assets")))
    source = assets / "recordings" / "opensim_walk"
    references = {
        "level_walk": build_walk_reference(source / "coordinates.sto", source / "id_walk.sto", mass_kg=85.27),
        "stand": build_stand_reference(),
    }
    for name, reference in references.items():
        target = assets / "gait" / f"{name}.npz"
        np.savez_compressed(
            target, table=reference.table.astype(np.float32), speeds=reference.speeds, still=reference.still
        )
        print(f"wrote {target.name}")


if __name__ == "__main__":
    main()
