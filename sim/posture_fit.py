"""Rising from a seat and from a squat, fitted to published curves so that this body can do it on its feet and seat.

Both legs do the same and the soles stay put, so a motion is three curves: ankle, knee and the pelvis' forward lean.
While the ischia rest on the seat it carries what keeps the centre of pressure of the feet in place; once they have left
it, the feet carry everything and their centre of pressure goes where the motion puts it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files

import mujoco
import numpy as np
from scipy.interpolate import BSpline
from scipy.optimize import least_squares

from .fit_body import FitBody
from .motion_fit import SINK
from .motion_splines import DEGREE, HALF, FloatArray
from .person import FOOT_RADIUS
from .reference import ANGLE, CHANNELS, LOAD, MOMENT, N_JOINTS, PELVIS, PELVIS_SLOPE, ROWS, SLOPE
from .seat import CUSHION, ISCHIUM, ISCHIUM_RADIUS
from .subjects import GRAVITY

FREE = 9  # control points of each curve beside the three at either end, which keep it still there
COP = 0.055  # m ahead of the ankle, where the feet carry while the seat carries too; the middle of the foot
FOOT = (0.035, 0.10)  # m from the ankle: the centre of pressure stays within, clear of heel and toes
SCALE = {"ankle": 10.0, "knee": 5.0, "hip": 10.0}  # deg by which curves may well miss the published ones; chosen
SEAT_OFF = 0.36  # share of the rise after which the feet carry everything; the published one lies at 30-35 %
MOST_HIP, MOST_KNEE = 0.8, 0.95  # Nm/kg of extension
MOST_FLEXED = 108.0  # deg of the hip
MOMENT_SCALE = 0.2  # Nm/kg


@dataclass(frozen=True)
class Wish:
    """What a rise should look like: a published task, the time it takes and how it starts, at the source's size.

    seconds: s. seat: height of its surface, m; None for none. lean: of the seated trunk, forward from upright, rad.
    """

    task: str
    seconds: float
    seat: float | None = None
    lean: float = 0.0


def published(task: str) -> dict[str, FloatArray]:
    """Mean curves of Uhlrich 2022 at HALF + 1 instants by signal, as in the file (clinical signs)."""
    with (files("exotwin.assets") / "normative" / f"{task}.csv").open(encoding="utf-8") as stream:
        rows = csv.reader(stream)
        percent = np.array([float(p) for p in next(rows)[5:]])
        wanted = np.linspace(0.0, 100.0, HALF + 1)
        return {r[3]: np.interp(wanted, percent, np.array(r[5:], float)) for r in rows if r[4] == "mean"}


class RiseFit:
    """The least-squares problem of one rise; `solve` gives its cell."""

    def __init__(self, body: FitBody, stand: FloatArray, lordosis: float, wish: Wish) -> None:
        """stand: (3,) ankle, knee and forward lean of the pelvis at the end, rad."""
        self.body, self.wish, self.stand, self.lordosis = body, wish, stand, lordosis
        self.target = published(wish.task)
        self.weight = body.mass * GRAVITY
        self.off = 0 if wish.seat is None else round(SEAT_OFF * HALF)
        knots = FREE + 6
        t = np.concatenate([np.zeros(DEGREE), np.linspace(0, 1, knots - DEGREE + 1), np.ones(DEGREE)])
        x = np.linspace(0.0, 1.0, HALF + 1)
        basis = [BSpline(t, np.eye(knots)[i], DEGREE) for i in range(knots)]
        self.basis = [
            np.stack([b.derivative(k)(x) if k else b(x) for b in basis], axis=1) / wish.seconds**k for k in range(4)
        ]
        sagittal = ("ankle_dorsiflexion", "knee_flexion", "hip_flexion")
        self.angles = np.radians([self.target[f"{j}_angle_deg"] for j in sagittal]).T

    def pose(self, s: FloatArray) -> FloatArray:
        """(18,) coordinates on flat soles; the heel's foothold at x = 0. s: (3,) ankle, knee, lean."""
        ankle, knee, lean = s
        leg = np.array([lean + knee - ankle, 0.0, 0.0, knee, ankle, 0.0])
        q = np.concatenate([[0.0, 0.0, 0.0, -lean, 0.0, 0.0], leg, leg])
        sole = self.body.kinematics(q)[0]
        q[0], q[2] = -sole[:2, 0].mean(), FOOT_RADIUS - SINK - sole[:5, 2].min()
        return q

    def _motion(self, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Curves (HALF + 1, 3) and their third derivatives."""
        start, free = z[:3], z[3:].reshape(FREE, 3)
        control = np.concatenate([np.tile(start, (3, 1)), free, np.tile(self.stand, (3, 1))])
        return np.asarray(self.basis[0] @ control), np.asarray(self.basis[3] @ control)

    def dynamics(self, s: FloatArray) -> dict[str, FloatArray]:
        """What a motion s (HALF + 1, 3) needs: coordinates and rates, moments (Nm/kg), forces (body weights)."""
        body, n, dt = self.body, HALF + 1, self.wish.seconds / HALF
        q = np.array([self.pose(x) for x in s])
        # The ends are still, so the curves may be continued there for differences.
        dq, ddq = np.zeros_like(q), np.zeros_like(q)
        padded = np.concatenate([q[:1], q[:1], q, q[-1:], q[-1:]])
        for k, (first, second) in enumerate(zip((1, -8, 0, 8, -1), (-1, 16, -30, 16, -1), strict=True)):
            dq += first * padded[k : k + n] / (12 * dt)
            ddq += second * padded[k : k + n] / (12 * dt * dt)
        out = {"q": q, "dq": dq, "ddq": ddq, "moments": np.zeros((n, 12))}
        out |= {name: np.zeros(n) for name in ("seat", "cop", "zmp", "fx", "fz")} | {"ischium": np.zeros((n, 2))}
        data, model = body.data, body.model
        pelvis, talus = model.body("pelvis").id, model.body("talus_r").id
        jac = np.zeros((3, model.nv))
        for i in range(n):
            need = body.inverse(q[i], dq[i], ddq[i])
            fx, fz = need[0], need[2]
            # Moment of the ground about the pelvis' origin, forward lean negative: rx fz - rz fx.
            zmp = q[i, 0] + (need[3] - q[i, 2] * fx) / fz - data.xpos[talus][0]
            centre = data.xpos[pelvis] + data.xmat[pelvis].reshape(3, 3) @ (ISCHIUM * [1, 1, 0])
            out["ischium"][i] = centre[0], centre[2] - ISCHIUM_RADIUS
            seat = 0.0
            if i < self.off:
                # The seat takes a share of the force along the ground like its share of the weight.
                behind = COP - (centre[0] - data.xpos[talus][0]) + (centre[2] - ISCHIUM_RADIUS) * fx / fz
                seat = fz * (COP - zmp) / behind
            cop = COP if i < self.off else zmp
            fx *= 1.0 - seat / fz
            out["seat"][i], out["zmp"][i], out["cop"][i] = seat / self.weight, zmp, cop
            out["fx"][i], out["fz"][i] = fx / self.weight, (fz - seat) / self.weight
            for side in range(2):
                y = data.xpos[body.foot[side, 0]][1]
                point = np.array([data.xpos[talus][0] + cop, y, 0.0])
                mujoco.mj_jac(model, data, jac, None, point, body.foot[side, 0])
                need = need - (jac[0] * fx / 2.0 + jac[2] * (fz - seat) / 2.0)[body.dof]
            out["moments"][i] = need[6:] / body.mass
        return out

    def residuals(self, z: FloatArray) -> FloatArray:
        """Stacked residuals in their scales."""
        s, jerk = self._motion(z)
        d, wish = self.dynamics(s), self.wish
        x = np.linspace(0.0, 1.0, HALF + 1)
        scale = np.radians([SCALE["ankle"], SCALE["knee"], SCALE["hip"]])
        joints = np.stack([d["q"][:, 10], d["q"][:, 9], d["q"][:, 6]], axis=1)
        # Published curves end with angles of their own; ours end in our stance.
        near = np.clip((1.0 - x) / 0.3, 0.0, 1.0)[:, None]
        parts = [(near * (joints - self.angles) / scale).ravel(), 5e-3 * jerk.ravel()]
        outside = np.maximum(0.0, d["cop"] - FOOT[1]) - np.maximum(0.0, FOOT[0] - d["cop"])
        parts += [outside / 0.004, 0.6 * (d["cop"] - COP) / 0.02]
        known = x > (0.35 if wish.seat is not None else 0.0)
        for joint, j in (("hip", 0), ("knee", 3)):
            moment = -self.target[f"{joint}_extension_moment_Nm_per_kg"]
            parts.append(known * (d["moments"][:, j] - moment) / MOMENT_SCALE)
        # The body's iliopsoas passes behind the hip beyond this.
        parts.append(np.maximum(0.0, d["q"][:, 6] - np.radians(MOST_FLEXED)) / np.radians(0.5))
        # What most people of this model have the muscles for in deep flexion.
        for j, most in ((0, MOST_HIP), (3, MOST_KNEE)):
            parts.append(np.minimum(0.0, d["moments"][:, j] + most) / 0.02)
        parts.append(np.minimum(0.0, d["fz"] - 0.12) / 0.02)
        if wish.seat is not None:
            rest = d["ischium"][0]
            on = x < SEAT_OFF
            rolled = rest[0] + ISCHIUM_RADIUS * (s[:, 2] - s[0, 2])
            # The cushion rises as its load falls; after that the ischia stay clear of it.
            lifted = d["ischium"][:, 1] - rest[1] - CUSHION * (d["seat"][0] - d["seat"])
            parts += [on * lifted / 0.0007, on * (d["ischium"][:, 0] - rolled) / 0.003]
            parts.append(~on * np.minimum(0.0, lifted - 0.1 * (x - SEAT_OFF)) / 0.002)
            # The seat only pushes, and its force falls to nothing without a jump.
            parts += [
                np.minimum(0.0, d["seat"]) / 0.02,
                np.diff(d["seat"]) / 0.07,
                d["seat"][self.off - 1 : self.off] / 0.04,
            ]
            parts.append(
                np.array([(rest[1] - wish.seat) / 0.001, (s[0, 2] - self.lordosis - wish.lean) / np.radians(1.5)])
            )
        else:
            parts.append((d["cop"][:1] - COP) / 0.005)
        return np.concatenate(parts)

    def solve(self, verbose: int = 0) -> tuple[FloatArray, dict[str, FloatArray]]:
        """The cell (ROWS, CHANNELS), from its low posture to standing, and its dynamics."""
        x = np.linspace(0.0, 1.0, HALF + 1)
        blend = (10 * x**3 - 15 * x**4 + 6 * x**5)[:, None]
        lean = self.angles[:, 2] - self.angles[:, 1] + self.angles[:, 0]
        first = np.array([self.angles[0, 0], self.angles[0, 1], self.lordosis + self.wish.lean])
        if self.wish.seat is None:
            first[2] = lean[0] + 0.1
        guess = (1 - blend) * first + blend * self.stand
        guess[:, 2] += 0.6 * np.sin(np.pi * np.clip(x / 0.8, 0, 1)) ** 2 * (self.wish.seat is not None)
        control = np.linalg.lstsq(self.basis[0], guess, rcond=None)[0]
        z = np.concatenate([first, control[3:-3].ravel()])
        found = least_squares(self.residuals, z, method="trf", max_nfev=200, xtol=1e-6, ftol=1e-7, verbose=verbose)
        d = self.dynamics(self._motion(found.x)[0])
        return self._cell(d), d

    def _cell(self, d: dict[str, FloatArray]) -> FloatArray:
        out, per_cycle = np.zeros((ROWS, CHANNELS)), 2.0 * self.wish.seconds
        out[:, ANGLE : ANGLE + N_JOINTS], out[:, SLOPE : SLOPE + N_JOINTS] = d["q"][:, 6:], d["dq"][:, 6:] * per_cycle
        out[:, MOMENT : MOMENT + N_JOINTS] = d["moments"]
        order = [2, 3, 4, 5, 0, 1]  # height, tilt, list, rotation, ahead, left
        out[:, PELVIS : PELVIS + 6] = d["q"][:, order]
        out[:, PELVIS_SLOPE : PELVIS_SLOPE + 6] = d["dq"][:, order] * per_cycle
        out[:, [LOAD, LOAD + 2]] = d["fx"][:, None] / 2.0
        out[:, [LOAD + 1, LOAD + 3]] = d["fz"][:, None] / 2.0
        return out
