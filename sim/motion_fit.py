"""Fits a motion to published curves so that this body can do it: no hidden force, feet that rest where they carry.

A nonlinear least-squares problem over the splines of all 18 coordinates and the load under every sole sphere, half a
gait cycle at a time (the other half is its mirror image). Residuals are the published angles, moments and ground
forces in their standard deviations, the six root forces that nothing supplies (they must vanish), and the contact:
a loaded sphere lies on the ground and does not slide, an unloaded one stays clear of it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import mujoco
import numpy as np

from ..controllers.device import JOINTS, SIDES
from .fit_body import FitBody
from .motion import Motion, Targets
from .motion_splines import HALF, FloatArray, Splines
from .person import FOOT_RADIUS, PASSIVE_JOINT
from .subjects import GRAVITY

# A sole that carries the body sinks this deep into the ground's compliance, m.
SINK = 0.003
# Joints that the reference moves by spring and damper alone, among the 12: hip rotation and toes (Nm/rad, Nms/rad).
PASSIVE = np.array([2, 5, 8, 11])
STIFFNESS, DAMPING = np.array([PASSIVE_JOINT[joint] for _ in SIDES for joint in JOINTS]).T


class MotionFit:
    """The least-squares problem of one half cycle."""

    def __init__(self, body: FitBody, targets: Targets, splines: Splines) -> None:
        self.body, self.t, self.s = body, targets, splines
        self.periodic = splines.ends is None
        self.drift = np.zeros(18)
        if self.periodic:
            self.drift[0], self.drift[2] = targets.lengths[1], targets.rise[1]
            if targets.slope:
                self.drift[2] = targets.lengths[1] * np.tan(targets.slope)
        # Loads: (HALF, 2 feet, 7 upward + 2 tangential) in body weights. In a periodic motion the whole cycle of one
        # foot is the two halves, so nothing is shared and the same layout serves.
        self.n_theta = len(splines.units)
        self.weight = body.mass * GRAVITY
        self.edge = 0.02  # m over which the edge of a step is softened

    def ground(self, side: int, x: FloatArray, sample: int) -> tuple[FloatArray, FloatArray]:
        """Height a foot of this side rests at and must clear at x (m): its own foothold's, and the surface there."""
        t = self.t
        phase = sample / HALF
        if t.slope:
            h = np.tan(t.slope) * x
            return h, h
        if t.rise == (0.0, 0.0):
            return np.zeros_like(x), np.zeros_like(x)
        # Footholds: leading at 0 (height 0), trailing at -length (-rise[0]), the next at +length (rise[1]).
        if side == 0:
            rest = np.zeros_like(x)
        else:
            middle = 0.5
            rest = np.full_like(x, -t.rise[0] if phase < middle else t.rise[1])
        # The surface's vertical edges, softened towards the lower side so that swing learns from them.
        surface = np.full_like(x, -t.rise[0])
        for rise, at in zip(t.rise, (-t.heel_from_edge, t.lengths[1] - t.heel_from_edge), strict=True):
            ahead = (x - at + 0.035) / self.edge if rise > 0 else (x - at - 0.035 + self.edge) / self.edge
            ahead = ahead + (0.0 if rise < 0 else (self.edge - 0.02) / self.edge)
            surface = surface + rise * np.clip(ahead, 0.0, 1.0)
        return rest, surface

    def residuals(self, z: FloatArray, jacobian: bool = True) -> tuple[FloatArray, FloatArray | None]:
        """Stacked residuals and their Jacobian by the unknowns (theta, loads)."""
        t, w, body = self.t, self.t.weights, self.body
        theta, loads = z[: self.n_theta], z[self.n_theta :].reshape(HALF, 2, 9)
        y = self.s.motion(theta, self.drift)
        units = self.s.units  # (P, 3, HALF+1, 18)
        rows: list[FloatArray] = []
        jac: list[FloatArray] = []
        n = len(z)
        self.detail: dict[str, float] = {}

        def add(name: str, value: FloatArray, by_y: FloatArray | None, sample: int, by_load: FloatArray | None) -> None:
            """by_y: (rows, 3, 18) by coordinates, rates, accelerations; by_load: (rows, 2, 9)."""
            rows.append(value)
            self.detail[name] = self.detail.get(name, 0.0) + float(value @ value)
            if jacobian:
                block = np.zeros((len(value), n))
                if by_y is not None:
                    block[:, : self.n_theta] = np.tensordot(by_y, units[:, :, sample], axes=([1, 2], [1, 2]))
                if by_load is not None:
                    start = self.n_theta + sample * 18
                    block[:, start : start + 18] = by_load.reshape(len(value), 18)
                jac.append(block)

        for s in range(HALF):
            q, dq, ddq = y[:, s]
            load = loads[s]
            value, d_y, d_load, sole, sole_rate, jac_sole = self._dynamics(q, dq, ddq, load, jacobian)
            # Root forces that nothing supplies, per body weight (and metre).
            scale = w.root / self.weight
            add("root", scale * value[:6], scale * d_y[:6], s, scale * d_load[:6])
            moments = value[6:] / body.mass
            # Joints without muscles turn as their springs let them.
            per_kg = w.passive / 0.05 / body.mass
            value_p = per_kg * (value[6:] + STIFFNESS * q[6:] + DAMPING * dq[6:])[PASSIVE]
            by_p = per_kg * d_y[6:][PASSIVE]
            if jacobian:
                rows_p = np.arange(len(PASSIVE))
                by_p[rows_p, 0, 6 + PASSIVE] += per_kg * STIFFNESS[PASSIVE]
                by_p[rows_p, 1, 6 + PASSIVE] += per_kg * DAMPING[PASSIVE]
            add("passive", value_p, by_p, s, per_kg * d_load[6:][PASSIVE])
            f = w.moment / t.moment_scale[s]
            add("moment", f * (moments - t.moments[s]), f[:, None, None] * d_y[6:] / body.mass, s,
                f[:, None, None] * d_load[6:] / body.mass)  # fmt: skip
            eye = np.zeros((18, 3, 18))
            eye[np.arange(18), 0, np.arange(18)] = 1.0
            f = w.angle / t.angle_scale[s]
            add("angle", f * (q[6:] - t.angles[s]), f[:, None, None] * eye[6:], s, None)
            f = w.prior / t.root_scale[s]
            expected = t.root[s] + np.array([s / HALF * self.drift[i] for i in range(6)])
            add("prior", f * (q[:6] - expected), f[:, None, None] * eye[:6], s, None)
            bend = np.zeros((18, 3, 18))
            bend[np.arange(18), 2, np.arange(18)] = 1.0
            f = w.smooth * np.where(np.arange(18) < 3, 3.0, 1.0)
            add("smooth", f * ddq, f[:, None, None] * bend, s, None)
            # Ground force against the published one.
            by = np.zeros((2, 2, 2, 9))
            by[0, 0, 0, 7] = by[1, 0, 1, 7] = 1.0
            by[0, 1, 0, :7] = by[1, 1, 1, :7] = 1.0
            now = np.stack([[load[i, 7], load[i, :7].sum()] for i in range(2)])
            f = w.force / t.force_scale[s]
            add("force", (f * (now - t.forces[s])).ravel(), None, s, (f[:, :, None, None] * by).reshape(4, 2, 9))
            side = load[:, 8]
            by = np.zeros((2, 2, 9))
            by[0, 0, 8] = by[1, 1, 8] = 1.0
            add("force", 0.3 * side / 0.05, None, s, 0.3 * by / 0.05)
            self._contact(add, s, sole, sole_rate, jac_sole, load)
            limits = self._limits(q)
            add("limits", 20.0 * limits[0], 20.0 * limits[1], s, None)
        self._load_smoothness(loads, rows, jac, n, jacobian)
        return np.concatenate(rows), np.concatenate(jac) if jacobian else None

    def _limits(self, q: FloatArray) -> tuple[FloatArray, FloatArray]:
        low, high = self.body.ranges.T
        margin = 0.03
        over = np.maximum(0.0, q[6:] - high + margin) - np.maximum(0.0, low + margin - q[6:])
        by = np.zeros((12, 3, 18))
        active = over != 0.0
        by[np.arange(12), 0, 6 + np.arange(12)] = active
        return over, by

    def _contact(
        self, add: Callable[..., None], s: int, sole: FloatArray, rate: FloatArray, jac: FloatArray, load: FloatArray
    ) -> None:
        t, w = self.t, self.t.weights
        for side in range(2):
            x = sole[side, :, 0]
            rest, surface = self.ground(side, x, s)
            lean = np.tan(t.slope)
            n = load[side, :7]
            up = jac[side, :, 2] - lean * jac[side, :, 0]  # (7, 18)
            height = (sole[side, :, 2] - FOOT_RADIUS / np.cos(t.slope)) - rest
            # A loaded sphere rests on its foothold.
            gap = (height + SINK) / 0.01
            positive = np.maximum(n, 0.0)
            value = w.contact * positive * gap
            by_y = np.zeros((7, 3, 18))
            by_y[:, 0] = (w.contact * positive / 0.01)[:, None] * up
            by_l = np.zeros((7, 2, 9))
            by_l[np.arange(7), side, np.arange(7)] = w.contact * (n > 0) * gap
            add("contact", value, by_y, s, by_l)
            # and does not slide.
            for axis in range(2):
                v = rate[side, :, axis] / 0.1
                by_y = np.zeros((7, 3, 18))
                by_y[:, 1] = (w.slip * positive / 0.1)[:, None] * jac[side, :, axis]
                by_l = np.zeros((7, 2, 9))
                by_l[np.arange(7), side, np.arange(7)] = w.slip * (n > 0) * v
                add("slip", w.slip * positive * v, by_y, s, by_l)
            # Nothing sinks into the ground, and what swings stays clear of it.
            phase = s / HALF
            begin = 0.3 if t.rise != (0.0, 0.0) else 0.2
            swings = side == 1 and begin < phase < 0.85
            surface = surface if swings else rest
            margin = t.clearance * min(1.0, (phase - begin) / 0.2, (0.85 - phase) / 0.1) if swings else -SINK - 0.002
            above = (sole[side, :, 2] - FOOT_RADIUS / np.cos(t.slope)) - surface - margin
            short = np.minimum(0.0, above)
            by_y = np.zeros((7, 3, 18))
            by_y[:, 0] = (w.clear / 0.01 * (above < 0))[:, None] * up
            add("clear", w.clear * short / 0.01, by_y, s, None)
            # The ground only pushes.
            by_l = np.zeros((7, 2, 9))
            by_l[np.arange(7), side, np.arange(7)] = w.negative * (n < 0)
            add("negative", w.negative * np.minimum(0.0, n), None, s, by_l)
            if side == 0 and phase < t.landed:
                # The cycle begins as the heel touches; it has sunk in a sample later.
                deep = SINK if s > 0 else 0.0
                by_y = np.zeros((2, 3, 18))
                by_y[:, 0] = w.land / 0.01 * up[:2]
                add("land", w.land * (height[:2] + deep) / 0.01, by_y, s, None)
            if side == 0 and t.planted[0] < phase < t.planted[1]:
                by_y = np.zeros((2, 3, 18))
                by_y[:, 0] = w.place * jac[side, :2, 0] / 0.01
                add("place", w.place * sole[side, :2, 0] / 0.01, by_y, s, None)

    def _load_smoothness(
        self, loads: FloatArray, rows: list[FloatArray], jac: list[FloatArray], n: int, jacobian: bool
    ) -> None:
        w = self.t.weights.load_smooth / 0.1
        series = [[(s, side) for s in range(HALF)] for side in range(2)]
        if self.periodic:
            # The right foot's second half is what the left foot carries now.
            series = [series[0] + series[1] + series[0][:1]]
        for points in series:
            for a, b in pairwise(points):
                value = w * (loads[b] - loads[a])
                if a[1] != b[1]:
                    value[8] = w * (-loads[b][8] - loads[a][8])
                rows.append(value)
                if jacobian:
                    block = np.zeros((9, n))
                    for (s, side), sign in ((a, -1.0), (b, 1.0)):
                        start = self.n_theta + s * 18 + side * 9
                        block[np.arange(9), start + np.arange(9)] = w * sign
                    if a[1] != b[1]:
                        start = self.n_theta + b[0] * 18 + b[1] * 9
                        block[8, start + 8] = -w
                    jac.append(block)

    def _dynamics(
        self, q: FloatArray, dq: FloatArray, ddq: FloatArray, load: FloatArray, jacobian: bool
    ) -> tuple[FloatArray, ...]:
        """Inverse dynamics less the loads, (18,), with derivatives; sole positions, rates and Jacobians."""
        body = self.body

        def unbalanced(q: FloatArray, dq: FloatArray) -> tuple[FloatArray, FloatArray]:
            need = body.inverse(q, dq, ddq)
            jac = body.jacobians()
            return need - self._pull(jac, load), jac

        value, jac = unbalanced(q, dq)
        mass = np.zeros((body.model.nv, body.model.nv))
        mujoco.mj_fullM(body.model, body.data, mass)
        sole = np.array(body.data.geom_xpos[body.spheres])
        rate = jac @ dq
        d_y = np.zeros((18, 3, 18))
        d_load = np.zeros((18, 2, 9))
        if jacobian:
            d_y[:, 2] = mass[np.ix_(body.dof, body.dof)]
            step = 1e-5
            for i in range(18):
                if i > 2:  # where the walker is changes nothing
                    moved = q.copy()
                    moved[i] += step
                    d_y[:, 0, i] = (unbalanced(moved, dq)[0] - value) / step
                    moved = dq.copy()
                    moved[i] += step
                    d_y[:, 1, i] = (body.inverse(q, moved, ddq) - self._pull(jac, load) - value) / step
            for side in range(2):
                for k in range(7):
                    d_load[:, side, k] = -self.weight * jac[side, k, 2]
                share = self._shares(load[side])
                d_load[:, side, 7] = -self.weight * np.tensordot(share, jac[side, :, 0], axes=1)
                d_load[:, side, 8] = -self.weight * np.tensordot(share, jac[side, :, 1], axes=1)
        return value, d_y, d_load, sole, rate, jac

    @staticmethod
    def _shares(load: FloatArray) -> FloatArray:
        # Tangential force acts under the middle of the foot: its place along the ground only matters for yaw.
        return np.array([0.125, 0.125, 0.25, 0.25, 0.25, 0.0, 0.0])

    def _pull(self, jac: FloatArray, load: FloatArray) -> FloatArray:
        out = np.zeros(18)
        for side in range(2):
            out += self.weight * (load[side, :7] @ jac[side, :, 2])
            share = self._shares(load[side])
            out += self.weight * load[side, 7] * (share @ jac[side, :, 0])
            out += self.weight * load[side, 8] * (share @ jac[side, :, 1])
        return out

    def initial_loads(self) -> FloatArray:
        """Published ground force, rolled from heel to ball over stance."""
        out = np.zeros((HALF, 2, 9))
        for side in range(2):
            for s in range(HALF):
                phase = (s + (HALF if side == 1 else 0)) / (2 * HALF)
                roll = np.clip((phase - 0.05) / 0.45, 0.0, 1.0)
                up = max(0.0, self.t.forces[s, side, 1])
                out[s, side, :7] = up * np.array(
                    [(1 - roll) / 2, (1 - roll) / 2, 0.2 * roll, 0.35 * roll, 0.35 * roll, 0.05 * roll, 0.05 * roll]
                )
                out[s, side, 7] = self.t.forces[s, side, 0]
        return out

    def solve(self, start: FloatArray, iterations: int = 30, verbose: bool = False) -> Motion:
        """Levenberg-Marquardt from coordinates start (HALF + 1, 18)."""
        theta = self.s.fit(start - np.linspace(0, 1, HALF + 1)[:, None] * self.drift)
        z = np.concatenate([theta, self.initial_loads().ravel()])
        if self.t.rise != (0.0, 0.0):
            # Steps are hard to see for a gradient: first as ramps, then as they are.
            clear = self.t.weights.clear
            for self.edge, self.t.weights.clear in ((0.2, 1.0), (0.1, 3.0), (0.05, 5.0)):
                z = self._descend(z, 12, verbose)
            self.edge, self.t.weights.clear = 0.02, clear
        return self._motion(self._descend(z, iterations, verbose))

    def _descend(self, z: FloatArray, iterations: int, verbose: bool) -> FloatArray:
        damping = 1e-2
        value, jac = self.residuals(z)
        cost = float(value @ value)
        for iteration in range(iterations):
            assert jac is not None
            hessian, gradient = jac.T @ jac, jac.T @ value
            improved = False
            for _ in range(14):
                step = np.linalg.solve(hessian + damping * np.diag(np.diag(hessian) + 1e-6), -gradient)
                trial = z + step
                new = self.residuals(trial, jacobian=False)[0]
                new_cost = float(new @ new)
                if new_cost < cost:
                    improved = True
                    break
                damping *= 3.0
            if not improved:
                break
            gain = (cost - new_cost) / cost
            z, cost = trial, new_cost
            damping = max(1e-6, damping / 3.0)
            value, jac = self.residuals(z)
            if verbose:
                print(iteration, round(cost, 1), {k: round(v, 1) for k, v in self.detail.items()}, flush=True)
            if gain < 2e-3:
                break
        return z

    def _motion(self, z: FloatArray) -> Motion:
        theta, loads = z[: self.n_theta], z[self.n_theta :].reshape(HALF, 2, 9)
        y = self.s.motion(theta, self.drift)
        moments = np.zeros((HALF + 1, 12))
        force = np.zeros((HALF + 1, 2, 3))
        for s in range(HALF):
            moments[s] = self._dynamics(y[0, s], y[1, s], y[2, s], loads[s], False)[0][6:] / self.body.mass
            force[s, :, 0], force[s, :, 1] = loads[s, :, 7], loads[s, :, 8]
            force[s, :, 2] = loads[s, :, :7].sum(1)
        if self.periodic:
            moments[HALF] = np.concatenate([moments[0, 6:], moments[0, :6]])
            force[HALF] = force[0, ::-1] * np.array([1, -1, 1])
        else:
            moments[HALF], force[HALF] = moments[HALF - 1], force[HALF - 1]
        t = self.t
        lean = float(np.tan(t.slope))
        return Motion(y[0], y[1], y[2], moments, force, t.half_time, t.lengths[1], lean, t.rise[1], dict(self.detail))
