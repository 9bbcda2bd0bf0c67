"""Where each IMU really sits: misplaced, turned, and riding on soft tissue over the bone."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...controllers.interface import FloatArray
from ...controllers.names import SIDED_JOINTS, SIDES
from ...controllers.sensor_specs.imu import ImuSpec, SoftTissue
from ..compiled import compiled
from ..subjects import GRAVITY

FIRM = SoftTissue(frequency_hz=20.0, damping_ratio=1.0, gain=0.0)  # a segment that is not named does not wobble
# The joints that bend at a segment's ends, whose flexion pulls at its skin; the pelvis has two hips, the torso none.
ENDS: dict[str, tuple[str, ...]] = {
    "torso": (),
    "pelvis": ("hip_flexion",),
    "femur": ("hip_flexion", "knee_flexion"),
    "tibia": ("knee_flexion", "ankle_dorsiflexion"),
    "calcn": ("ankle_dorsiflexion", "mtp_extension"),
    "toes": ("mtp_extension",),
}


class Mounts(NamedTuple):
    """What is fixed for a run.

    place: (n_sites, 3) m from the mount. turn: (n_sites, 3, 3) sensor axes in the mount's. tilt: (n_sites, 3, 12) rad
    per rad of each joint. wobble: (n_sites, 9) gain, 2 zeta w, w^2, then the exact step of a damped oscillator under a
    constant drive: x and v from x, v and the drive.
    """

    place: FloatArray
    turn: FloatArray
    tilt: FloatArray
    wobble: FloatArray


class Ride(NamedTuple):
    """What moves.

    gyro: (n_sites, 3) rad/s and angle: (12,) rad as last seen. wobble: (n_sites, 4, 3) shift, its rate, turn, its rate.
    """

    gyro: FloatArray
    angle: FloatArray
    wobble: FloatArray


class Mounting:
    """Turns the motion of the bone at the mounts into the motion that the sensors feel.

    A sensor is a mass on the tissue's spring and damper, in place (d) and in orientation (a small rotation vector), so
    that d'' + 2 zeta w d' + w^2 d = -gain (f - g) for the bone's specific force f and gravity g as it is when standing,
    and likewise for its rotation under the bone's angular acceleration. To this adds a tilt that is linear in the
    angles of the joints next to it, as Bonci et al. 2014 (J Biomech 47:2354) found of skin artefacts, and what was
    wrong when it was strapped on. The sensor then feels f + a x r + w x (w x r) + 2 w x d' + d'' at r = offset + d, in
    its own axes.
    """

    def __init__(self, spec: ImuSpec) -> None:
        self._spec = spec
        segments = [mount.segment.rpartition("_") for mount in spec.mounts]
        # The pelvis has no side, and joints on both.
        self._segments = [name or side for name, _, side in segments]
        self._sides = [(side,) if name else SIDES for name, _, side in segments]
        self._tissue = [spec.soft_tissue.get(segment, FIRM) for segment in self._segments]

    def reset(self, rng: np.random.Generator) -> None:
        """Strap the sensors on anew."""
        from scipy.spatial.transform import Rotation

        n, spec = len(self._tissue), self._spec
        place = spec.mounting_offset_sd_m * rng.standard_normal((n, 3))
        turn = Rotation.from_rotvec(spec.mounting_rotation_sd_rad * rng.standard_normal((n, 3))).as_matrix()
        tilt = np.zeros((n, 3, len(SIDED_JOINTS)))
        for i, (segment, sides, tissue) in enumerate(zip(self._segments, self._sides, self._tissue, strict=True)):
            ends = [SIDED_JOINTS.index(f"{j}_{side}") for j in ENDS.get(segment, ()) for side in sides]
            tilt[i][:, ends] = tissue.tilt_sd * rng.standard_normal((3, len(ends)))
        self._mounts = Mounts(place, turn, tilt, np.zeros((n, 9)))
        self._ride: Ride | None = None

    def feel(self, acc: FloatArray, gyro: FloatArray, angle: FloatArray, dt: float) -> FloatArray:
        """(n_steps, n_sites, 6) specific force and angular rate at the sensors, in their axes.

        acc, gyro: (n_steps, n_sites, 3) at the mounts, dt (s) apart, the same dt all through a run; angle: (12,) rad at
        the last step.
        """
        if self._ride is None:
            self._mounts.wobble[:] = [_oscillator(tissue, dt) for tissue in self._tissue]
            self._ride = Ride(gyro[0].copy(), angle.copy(), np.zeros((len(self._tissue), 4, 3)))
        out = np.empty((*acc.shape[:2], 6))
        _feel(acc, gyro, angle, self._mounts, self._ride, dt, out)
        return out


def _oscillator(tissue: SoftTissue, dt: float) -> list[float]:
    """A row of `Mounts.wobble`."""
    from scipy.linalg import expm

    w = 2.0 * math.pi * tissue.frequency_hz
    damping = 2.0 * tissue.damping_ratio * w
    # The drive is a third state that stays, so that one matrix exponential gives both parts of the step.
    step = expm(dt * np.array([[0.0, 1.0, 0.0], [-w * w, -damping, 1.0], [0.0, 0.0, 0.0]]))
    return [tissue.gain, damping, w * w, *step[0], *step[1]]


@compiled
def _rotation(x: float, y: float, z: float, out: Any) -> None:
    """Rodrigues' formula."""
    angle2 = x * x + y * y + z * z
    angle = math.sqrt(angle2)
    s = math.sin(angle) / angle if angle > 1e-9 else 1.0
    c = (1.0 - math.cos(angle)) / angle2 if angle > 1e-4 else 0.5
    out[0, 0], out[0, 1], out[0, 2] = 1.0 - c * (y * y + z * z), c * x * y - s * z, c * x * z + s * y
    out[1, 0], out[1, 1], out[1, 2] = c * x * y + s * z, 1.0 - c * (x * x + z * z), c * y * z - s * x
    out[2, 0], out[2, 1], out[2, 2] = c * x * z - s * y, c * y * z + s * x, 1.0 - c * (x * x + y * y)


@compiled
def _cross(ax: float, ay: float, az: float, bx: float, by: float, bz: float) -> Any:
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx


@compiled
def _feel(acc: Any, gyro: Any, angle: Any, mounts: Any, ride: Any, dt: float, out: Any) -> None:
    steps, sites = acc.shape[0], acc.shape[1]
    turned = np.empty((3, 3))
    force, alpha, vector, pace = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    for s in range(sites):
        gain, damping, stiffness = mounts.wobble[s, 0], mounts.wobble[s, 1], mounts.wobble[s, 2]
        xx, xv, xu = mounts.wobble[s, 3], mounts.wobble[s, 4], mounts.wobble[s, 5]
        vx, vv, vu = mounts.wobble[s, 6], mounts.wobble[s, 7], mounts.wobble[s, 8]
        wobble = ride.wobble[s]
        for k in range(3):
            start = end = 0.0
            for j in range(len(angle)):
                start += mounts.tilt[s, k, j] * ride.angle[j]
                end += mounts.tilt[s, k, j] * angle[j]
            vector[k], pace[k] = start, (end - start) / (steps * dt)
        for i in range(steps):
            w0, w1, w2 = gyro[i, s, 0], gyro[i, s, 1], gyro[i, s, 2]
            for k in range(3):
                upright = GRAVITY if k == 1 else 0.0
                drive = -gain * (acc[i, s, k] - upright)
                x, v = wobble[0, k], wobble[1, k]
                wobble[0, k] = xx * x + xv * v + xu * drive
                wobble[1, k] = vx * x + vv * v + vu * drive
                force[k] = acc[i, s, k] + drive - damping * wobble[1, k] - stiffness * wobble[0, k]
                alpha[k] = (gyro[i, s, k] - ride.gyro[s, k]) / dt
                x, v = wobble[2, k], wobble[3, k]
                wobble[2, k] = xx * x + xv * v - xu * gain * alpha[k]
                wobble[3, k] = vx * x + vv * v - vu * gain * alpha[k]
                ride.gyro[s, k] = gyro[i, s, k]
                vector[k] += pace[k] * dt
            r0 = mounts.place[s, 0] + wobble[0, 0]
            r1 = mounts.place[s, 1] + wobble[0, 1]
            r2 = mounts.place[s, 2] + wobble[0, 2]
            e0, e1, e2 = _cross(alpha[0], alpha[1], alpha[2], r0, r1, r2)
            c0, c1, c2 = _cross(w0, w1, w2, r0, r1, r2)
            c0, c1, c2 = _cross(w0, w1, w2, c0 + 2.0 * wobble[1, 0], c1 + 2.0 * wobble[1, 1], c2 + 2.0 * wobble[1, 2])
            force[0] += e0 + c0
            force[1] += e1 + c1
            force[2] += e2 + c2
            t0, t1, t2 = vector[0] + wobble[2, 0], vector[1] + wobble[2, 1], vector[2] + wobble[2, 2]
            p0, p1, p2 = pace[0] + wobble[3, 0], pace[1] + wobble[3, 1], pace[2] + wobble[3, 2]
            # Angular velocity in the sensor's axes from the rate of the rotation vector, to second order in the vector.
            u0, u1, u2 = _cross(t0, t1, t2, p0, p1, p2)
            q0, q1, q2 = _cross(t0, t1, t2, u0, u1, u2)
            own = (p0 - u0 / 2.0 + q0 / 6.0, p1 - u1 / 2.0 + q1 / 6.0, p2 - u2 / 2.0 + q2 / 6.0)
            _rotation(t0, t1, t2, turned)
            for k in range(3):
                f = w = 0.0
                for j in range(3):
                    # Into the axes of the tissue (column j), then into the sensor's (column k).
                    turn = mounts.turn[s, j, k]
                    f += turn * (turned[0, j] * force[0] + turned[1, j] * force[1] + turned[2, j] * force[2])
                    w += turn * (turned[0, j] * w0 + turned[1, j] * w1 + turned[2, j] * w2 + own[j])
                out[i, s, k], out[i, s, 3 + k] = f, w
    for j in range(len(angle)):
        ride.angle[j] = angle[j]
