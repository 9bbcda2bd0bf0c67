"""The fit of motions to curves: its derivatives, a case that statics solves, and what the shipped cells ask of a body.

The last part recomputes mechanics from the cells' positions alone, by its own time derivatives.
"""

import functools

import mujoco
import numpy as np
import pytest
from exotwin.controllers.device import SIDES
from exotwin.sim import motion_fit, motion_splines
from exotwin.sim.body import SIDED_JOINTS, build_model, root_quaternion
from exotwin.sim.fit_body import FitBody
from exotwin.sim.motion import Targets, Weights
from exotwin.sim.motion_fit import MotionFit
from exotwin.sim.motion_splines import Splines
from exotwin.sim.person import FOOT_RADIUS
from exotwin.sim.posture import build_stand
from exotwin.sim.reference import (
    AHEAD,
    ANGLE,
    HEIGHT,
    LEFT,
    LIST,
    LOAD,
    MOMENT,
    PELVIS,
    ROTATION,
    ROWS,
    TILT,
    load_reference,
)
from exotwin.sim.subjects import SOURCE_STATURE, Subject
from scipy.interpolate import make_interp_spline

MASS, G = 64.0, 9.81
SMALL = 6  # samples in place of motion_splines.HALF


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    for module in (motion_fit, motion_splines):
        monkeypatch.setattr(module, "HALF", SMALL)


@functools.cache
def fit_body():
    return FitBody(MASS)


@functools.cache
def standing():
    """Coordinates (18,) of quiet standing, the heels at x = 0."""
    cell = build_stand()[-1]
    q = np.zeros(18)
    q[2], q[3] = cell[PELVIS + HEIGHT], cell[PELVIS + TILT]
    q[6:] = cell[ANGLE : ANGLE + 12]
    q[0] = -fit_body().kinematics(q)[:, :2, 0].mean()
    return q


def targets(angles, root, **changes):
    keys = {
        "angle_scale": np.full((SMALL, 12), 0.1),
        "moments": np.zeros((SMALL, 12)),
        "moment_scale": np.full((SMALL, 12), 2.0),
        "forces": np.tile([0.0, 0.5], (SMALL, 2, 1)),
        "force_scale": np.full((SMALL, 2, 2), 0.3),
        "root_scale": np.full((SMALL, 6), 0.2),
        "half_time": 0.6,
        "lengths": (0.0, 0.0),
    }
    return Targets(angles=angles, root=root, **(keys | changes))


def problem(rng, spread, **changes):
    """A fit and unknowns that are `spread` (rad, m) away from standing."""
    q = np.tile(standing(), (SMALL + 1, 1)) + spread * rng.normal(size=(SMALL + 1, 18))
    t = targets(q[:SMALL, 6:], q[:SMALL, :6], **changes)
    fit = MotionFit(fit_body(), t, Splines(t.half_time, 8))
    theta = fit.s.fit(q)
    return fit, np.concatenate([theta, rng.normal(0.1, 0.1, SMALL * 18)])


WAYS = {
    "level": {"lengths": (0.5, 0.5)},
    "slope": {"lengths": (0.5, 0.5), "slope": 0.15},
    "stairs up": {"lengths": (0.3, 0.3), "rise": (0.17, 0.17), "heel_from_edge": 0.03},
    "first step down": {"lengths": (0.4, 0.3), "rise": (0.0, -0.17), "heel_from_edge": 0.04},
}


def differences(fit, z, step=1e-5):
    columns = []
    for i in range(len(z)):
        d = np.zeros(len(z))
        d[i] = step
        columns.append((fit.residuals(z + d, jacobian=False)[0] - fit.residuals(z - d, jacobian=False)[0]) / (2 * step))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("way", WAYS)
def test_derivatives_are_those_of_differences(way):
    """In any motion, but for what the fit leaves out: a sliding velocity's change with the pose, the edges of steps."""
    weights = Weights(slip=0.0, clear=0.0 if "rise" in WAYS[way] else 10.0)
    fit, z = problem(np.random.default_rng(1), 0.2, weights=weights, **WAYS[way])
    _, jacobian = fit.residuals(z)
    truth = differences(fit, z)
    assert np.all(np.abs(jacobian - truth) <= 1e-3 * (1.0 + np.abs(truth).max(axis=1, keepdims=True)))
    assert np.abs(truth).max() > 1.0


def test_slip_has_its_derivatives_where_nothing_moves():
    fit, z = problem(np.random.default_rng(2), 0.0, weights=Weights(slip=50.0))
    _, jacobian = fit.residuals(z)
    truth = differences(fit, z)
    assert np.all(np.abs(jacobian - truth) <= 1e-3 * (1.0 + np.abs(truth).max(axis=1, keepdims=True)))
    assert fit.detail["slip"] < 1e-6


def still_torque(q, ground):
    """Generalised force of joints (12,) that holds a pose against gravity, each foot carrying half at ground[side]."""
    body = fit_body()
    torque = body.inverse(q, np.zeros(18), np.zeros(18))
    jacobian = np.zeros((3, body.model.nv))
    for side in range(2):
        mujoco.mj_jac(body.model, body.data, jacobian, None, ground[side], body.foot[side, 0])
        torque = torque - 0.5 * MASS * G * jacobian[2, body.dof]
    return torque


def test_standing_is_found_in_static_equilibrium():
    """From a pose alone: the weight is carried over the feet, by the moments of statics."""
    q = np.tile(standing(), (SMALL + 1, 1))
    stiff = {"angle_scale": np.full((SMALL, 12), 0.005), "root_scale": np.full((SMALL, 6), 0.005)}
    t = targets(q[:SMALL, 6:], q[:SMALL, :6], half_time=5.0, moment_scale=np.full((SMALL, 12), np.inf), **stiff)
    motion = MotionFit(fit_body(), t, Splines(t.half_time, 8)).solve(q, iterations=40)
    assert np.abs(motion.dq).max() < 0.05
    np.testing.assert_allclose(motion.loads[:, :, 2].sum(axis=1), 1.0, atol=0.01)
    np.testing.assert_allclose(motion.loads[:, :, 0].sum(axis=1), 0.0, atol=0.01)
    body = fit_body()
    for pose, moments in zip(motion.q, motion.moments, strict=True):
        soles = body.kinematics(pose)
        mujoco.mj_comPos(body.model, body.data)
        com = float(body.data.subtree_com[0][0])
        ground = [np.array([com, soles[side, :, 1].mean(), 0.0]) for side in range(2)]
        held = still_torque(pose, ground)
        np.testing.assert_allclose(held[:3], 0.0, atol=0.1)
        expected = held[6:] / MASS
        both = [expected[j] + expected[j + 6] for j in (0, 3, 4)]
        np.testing.assert_allclose([moments[j] + moments[j + 6] for j in (0, 3, 4)], both, atol=0.05)


# --- the shipped cells


@functools.cache
def walk():
    return load_reference("walk")


CELLS = [(i, j) for i in range(5) for j in range(6)]
FLIGHTS = [(up, i, j) for up in (0, 1) for i in range(3) for j in range(3)]


class Replay:
    """A steady cell as motion in time: a whole cycle of coordinates, smooth and periodic but for way and climb."""

    H = 1e-3  # s of differences

    def __init__(self, index, length, slope=0.0, climb=0.0):
        r = walk()
        self.cell, self.half = r.cells[index], float(r.times[index])
        self.length, self.slope, self.climb = length, slope, climb
        half = self.cell[:-1]
        root = half[:, [PELVIS + k for k in (AHEAD, LEFT, HEIGHT, TILT, LIST, ROTATION)]].copy()
        root[:, 0] -= np.arange(ROWS - 1) / (ROWS - 1) * length
        root[:, 2] -= np.arange(ROWS - 1) / (ROWS - 1) * climb
        joints = half[:, ANGLE : ANGLE + 12]
        other = np.concatenate([root * [1, -1, 1, 1, -1, -1], joints[:, 6:], joints[:, :6]], axis=1)
        whole = np.concatenate([np.concatenate([root, joints], axis=1), other])
        whole = np.concatenate([whole, whole[:1]])
        self.t = np.linspace(0.0, 2.0 * self.half, len(whole))
        self.curve = make_interp_spline(self.t, whole, k=5, bc_type="periodic")
        self.model = model()
        self.data = mujoco.MjData(self.model)

    def qpos(self, t):
        x, y, z, tilt, list_, rotation, *joints = self.curve(t % (2.0 * self.half))
        x += self.length * t / self.half
        z += self.climb * t / self.half
        out = np.zeros(self.model.nq)
        out[:3] = x, y, z + self.slope * x
        out[3:7] = root_quaternion(tilt, list_, rotation)
        out[[self.model.joint(j).qposadr[0] for j in SIDED_JOINTS]] = joints
        return out

    def qvel(self, t):
        out = np.zeros(self.model.nv)
        mujoco.mj_differentiatePos(self.model, out, 2.0 * self.H, self.qpos(t - self.H), self.qpos(t + self.H))
        return out

    def centre(self, t):
        """Centre of mass and angular momentum about it."""
        self.data.qpos[:], self.data.qvel[:] = self.qpos(t), self.qvel(t)
        mujoco.mj_fwdPosition(self.model, self.data)
        mujoco.mj_fwdVelocity(self.model, self.data)
        mujoco.mj_subtreeVel(self.model, self.data)
        return np.array(self.data.subtree_com[0]), np.array(self.data.subtree_angmom[0])

    def ground_force(self, t):
        """Ground force (3,) N from Newton's law, and x where it must press on level or sloping ground (Euler's)."""
        h = 5.0 * self.H
        (before, turn_before), (now, _), (after, turn_after) = (self.centre(t + k * h) for k in (-1, 0, 1))
        force = MASS * ((after - 2.0 * now + before) / h**2 + [0.0, 0.0, G])
        turning = (turn_after - turn_before) / (2.0 * h)
        # About y: turning = dz Fx - dx Fz of the pressure's place relative to the centre of mass.
        # The place lies on the ground: dz = slope (x + dx) - z.
        dx = ((self.slope * now[0] - now[2]) * force[0] - turning[1]) / (force[2] - self.slope * force[0])
        return force, now[0] + dx

    def moments(self, t, force=None, at=None):
        """Joint moments (12,) Nm/kg by inverse dynamics, the right foot carrying a force at a point."""
        m, d = self.model, self.data
        velocity = [self.qvel(t + k * self.H) for k in (-1, 1)]
        d.qpos[:], d.qvel[:] = self.qpos(t), self.qvel(t)
        d.qacc[:] = (velocity[1] - velocity[0]) / (2.0 * self.H)
        mujoco.mj_inverse(m, d)
        torque = np.array(d.qfrc_inverse)
        if force is not None:
            jacobian = np.zeros((3, m.nv))
            mujoco.mj_jac(m, d, jacobian, None, at, m.body("calcn_r").id)
            torque -= jacobian.T @ force
        return torque[[m.joint(j).dofadr[0] for j in SIDED_JOINTS]] / MASS


@functools.cache
def model():
    m = build_model(Subject(height_m=SOURCE_STATURE, mass_kg=MASS), None, 0.001)
    for flag in ("SPRING", "DAMPER", "LIMIT", "CONTACT", "ACTUATION"):
        m.opt.disableflags |= getattr(mujoco.mjtDisableBit, f"mjDSBL_{flag}")
    return m


@functools.cache
def replay(i, j):
    """Walking on slope i at speed j."""
    r = walk()
    index = i * len(r.speeds) + j
    return Replay(index, float(r.speeds[j] * r.times[index]), slope=float(r.slopes[i]))


def flight(up, i, j):
    """Stairs step over step: down or up, rise i, tread j."""
    r = walk()
    index = len(r.slopes) * len(r.speeds) + ((3 * up + 1) * len(r.rises) + i) * len(r.treads) + j
    return Replay(index, float(r.treads[j]), climb=float(r.rises[i]) * (1.0 if up else -1.0))


def single_support(r):
    """Samples of the half cycle with the left foot in the air: it carries less than 1 % of the weight."""
    return [k for k in range(5, ROWS - 3) if abs(r.cell[k, LOAD + 3]) < 0.01 and r.cell[k, LOAD + 1] > 0.3]


def unsupported(r):
    """RMS of the stored loads' sum less what Newton's law asks for, forward and upward, in body weights."""
    apart = []
    for k in range(0, ROWS - 1, 2):
        force, _ = r.ground_force(r.half * k / (ROWS - 1))
        stored = [r.cell[k, LOAD] + r.cell[k, LOAD + 2], r.cell[k, LOAD + 1] + r.cell[k, LOAD + 3]]
        apart.append(np.array(stored) - force[[0, 2]] / (MASS * G))
    return np.sqrt(np.mean(np.square(apart), axis=0))


@pytest.mark.parametrize(("i", "j"), CELLS)
def test_walking_is_carried_by_ground_force_alone(i, j):
    assert unsupported(replay(i, j)).max() < 0.03


@pytest.mark.parametrize(("up", "i", "j"), FLIGHTS)
def test_stair_walking_is_carried_by_ground_force_alone(up, i, j):
    assert unsupported(flight(up, i, j)).max() < 0.03


@pytest.mark.parametrize(("i", "j"), CELLS)
def test_the_force_of_single_support_presses_on_the_sole(i, j):
    """Where Euler's law needs it: between the heel's and the toes' spheres, to 2 cm."""
    r = replay(i, j)
    spheres = [r.model.geom(f"{b}_r_sole{k}").id for b, n in (("calcn", 5), ("toes", 2)) for k in range(n)]
    outside = []
    for k in single_support(r):
        t = r.half * k / (ROWS - 1)
        _, x = r.ground_force(t)
        r.centre(t)
        reach = r.data.geom_xpos[spheres][:, 0]
        outside.append(max(reach.min() - FOOT_RADIUS - x, x - reach.max() - FOOT_RADIUS))
    assert len(outside) > 5
    assert np.quantile(outside, 0.9) < 0.02


@pytest.mark.parametrize(("i", "j"), CELLS)
def test_stored_moments_are_those_of_inverse_dynamics(i, j):
    """The swinging leg needs no ground force (the fit leaves a percent); the carrying one that of Newton and Euler."""
    r = replay(i, j)
    swing, stance = [], []
    for k in single_support(r):
        t = r.half * k / (ROWS - 1)
        force, x = r.ground_force(t)
        y = float(r.data.xpos[r.model.body("calcn_r").id][1])
        found = r.moments(t, force, np.array([x, y, r.slope * x]))
        stored = r.cell[k, MOMENT : MOMENT + 12]
        swing.append((found - stored)[[6, 9, 10]])
        stance.append((found - stored)[[0, 3, 4]])
    assert np.sqrt(np.mean(np.square(swing))) < 0.1
    assert np.sqrt(np.mean(np.square(stance))) < 0.15


@pytest.mark.parametrize(("i", "j"), CELLS)
def test_the_carrying_foot_stays_where_it_landed(i, j):
    """The lowest sphere of a loaded foot does not slide, and the heel that landed at 0 rests there in midstance."""
    r = replay(i, j)
    for side, load in zip(SIDES, (LOAD + 1, LOAD + 3), strict=True):
        spheres = [r.model.geom(f"{b}_{side}_sole{k}").id for b, n in (("calcn", 5), ("toes", 2)) for k in range(n)]
        places = []
        for k in range(ROWS):
            r.centre(r.half * k / (ROWS - 1))
            places.append(r.data.geom_xpos[spheres].copy())
        places = np.array(places)
        height = places[:, :, 2] - r.slope * places[:, :, 0]
        slid = 0.0
        for k in range(ROWS - 1):
            if r.cell[k, load] > 0.3:
                low = height[k] < height[k].min() + 0.004
                slid += np.abs(places[k + 1, low, 0] - places[k, low, 0]).min()
        assert slid < 0.03, side
        if side == "r":
            assert np.abs(places[10:25, :2, 0].mean(axis=1)).max() < 0.015
            assert places[40, :2, 0].mean() < 0.03, "the stance foot has not hopped forward"


@pytest.mark.parametrize(("i", "j"), CELLS)
def test_the_cycle_begins_as_the_heel_lands(i, j):
    """It is clear of the ground before (the left heel at the end of the half cycle), and on it from then on."""
    r = replay(i, j)
    heel = {side: [r.model.geom(f"calcn_{side}_sole{k}").id for k in range(2)] for side in SIDES}

    def height(side, k):
        r.centre(r.half * k / (ROWS - 1))
        place = r.data.geom_xpos[heel[side]]
        return float(np.min(place[:, 2] - r.slope * place[:, 0])) - FOOT_RADIUS / np.cos(np.arctan(r.slope))

    assert abs(height("r", 0)) < 0.005
    assert max(height("r", k) for k in range(1, 8)) < 0.0
    assert height("l", ROWS - 1 - 8) > 0.005
