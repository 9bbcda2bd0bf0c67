"""The torque split, the ground force and the sensors against the motion itself.

Accelerations come from the recorded velocities (one physics step a tick, so that their difference is exact), ground
forces from MuJoCo's single contacts, inverse dynamics from a body without muscles, springs, limits and contacts.
"""

import copy
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
import pytest
from exotwin.controllers.device import SIDES
from exotwin.scenarios.catalogue import find_device
from exotwin.sim.body import SIDED_JOINTS, SIDED_MUSCLES
from exotwin.sim.plant import Plant
from exotwin.sim.subjects import Subject
from exotwin.sim.truth import BLOCKS, CONTACT_THRESHOLD
from scipy.optimize import nnls

RATE = 500.0  # one physics step a control tick
GRAVITY = 9.81
FRICTION = 0.9  # of soles on the floor
WORN = {
    "bare": None,
    "hip_knee_ankle": find_device("hip_knee_ankle"),
    "dephy_exoboot": find_device("dephy_exoboot"),
}


@dataclass
class Contact:
    """A foot sphere on the ground; force (N) on the foot."""

    body: int
    centre: np.ndarray
    point: np.ndarray
    force: np.ndarray


@dataclass
class Instant:
    """What the plant said at one tick, and the motion there."""

    row: np.ndarray
    q: np.ndarray
    v: np.ndarray
    a: np.ndarray
    motor: np.ndarray
    rotators: np.ndarray  # Nm, right and left
    applied: float
    limit_torque: float
    contacts: list[Contact]
    accelerometer: dict[str, np.ndarray]

    def __getitem__(self, block: str) -> np.ndarray:
        start, length = BLOCKS[block]
        return self.row[start : start + length]


def contacts_of(model: Any, data: Any) -> list[Contact]:
    found, wrench = [], np.zeros(6)
    for c in range(data.ncon):
        mujoco.mj_contactForce(model, data, c, wrench)
        contact = data.contact[c]
        force = contact.frame.reshape(3, 3).T @ wrench[:3]
        assert not wrench[3:].any(), "spheres slide without torsion"
        for geom, sign in zip(contact.geom, (-1.0, 1.0), strict=True):
            if body := model.geom_bodyid[geom]:
                point = contact.pos.copy()
                found.append(Contact(body, data.geom_xpos[geom].copy(), point, sign * force))
    return found


def ticks(plant: Plant, count: int, torque: Any = None) -> list[Instant]:
    """Step `count` ticks; the instants at their beginnings."""
    model, data = plant.person.model, plant.person.data
    mounts = plant.device.sensors.imu.mounts if plant.device and plant.device.sensors.imu else ()
    instants = []
    for k in range(count):
        here = Instant(
            row=plant.row.copy(),
            q=data.qpos.copy(),
            v=data.qvel.copy(),
            a=np.zeros(0),
            motor=plant.person.exo.torque.copy(),
            rotators=data.act[26:28] * model.actuator_gainprm[26:28, 0],
            applied=float(np.abs(data.qfrc_applied).max() + np.abs(data.xfrc_applied).max()),
            limit_torque=float(data.efc_force[data.efc_type == mujoco.mjtConstraint.mjCNSTR_LIMIT_JOINT].sum()),
            contacts=contacts_of(model, data),
            accelerometer={m.site: data.sensor(f"imu_{m.site}_acc").data.copy() for m in mounts},
        )
        plant.step(torque(k) if torque else None)
        here.a = (data.qvel - here.v) * RATE
        instants.append(here)
    return instants


class Run:
    """A second of walking under random exo torques, and tools that know only the bones."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        rng = np.random.default_rng(0)
        plant.reset(1.25, rng, phase=0.1)
        torques = rng.uniform(-15.0, 15.0, (10, len(plant.person.exo.joint)))
        self.every = ticks(self.plant, 500, lambda k: torques[k // 50])
        self.some = self.every[3::20]
        self.model = copy.copy(self.plant.person.model)
        off = mujoco.mjtDisableBit
        for flag in (off.mjDSBL_CONSTRAINT, off.mjDSBL_ACTUATION, off.mjDSBL_SPRING, off.mjDSBL_DAMPER):
            self.model.opt.disableflags |= flag
        self.data = mujoco.MjData(self.model)
        self.mass = float(self.model.body_mass.sum())
        self.dof = [self.model.joint(j).dofadr[0] for j in SIDED_JOINTS]

    def at(self, q: np.ndarray, v: np.ndarray) -> Any:
        self.data.qpos[:], self.data.qvel[:] = q, v
        mujoco.mj_fwdPosition(self.model, self.data)
        mujoco.mj_fwdVelocity(self.model, self.data)
        return self.data

    def inverse_dynamics(self, i: Instant) -> np.ndarray:
        """(nv,) generalised force that the motion takes beyond that of the ground."""
        data = self.at(i.q, i.v)
        data.qacc[:] = i.a
        mujoco.mj_inverse(self.model, data)
        force = data.qfrc_inverse.copy()
        ground = np.zeros(self.model.nv)
        for c in i.contacts:
            mujoco.mj_applyFT(self.model, data, c.force, np.zeros(3), c.point, c.body, ground)
        return force - ground

    def assert_closed(self, i: Instant) -> None:
        net = i["muscle"] + i["ligament"] + i["exo"]
        wanted = self.inverse_dynamics(i)[self.dof]
        np.testing.assert_allclose(net, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())

    def momentum(self, q: np.ndarray, v: np.ndarray) -> np.ndarray:
        data = self.at(q, v)
        mujoco.mj_subtreeVel(self.model, data)
        return self.mass * data.subtree_linvel[0]


@pytest.fixture(scope="module", params=WORN)
def run(request):
    return Run(Plant(Subject(mass_kg=68.0, height_m=1.7), WORN[request.param], control_rate_hz=RATE))


def test_net_torque_is_the_inverse_dynamics_of_the_motion(run):
    for i in run.some:
        run.assert_closed(i)


@pytest.mark.parametrize(
    ("joint", "bound", "angle", "back"),
    [("knee_flexion_r", 0, 0.3, 1.0), ("ankle_dorsiflexion_l", 1, 0.0, -1.0), ("hip_flexion_l", 0, 0.1, 1.0)],
)
def test_net_torque_closes_with_a_joint_at_its_limit(joint, bound, angle, back):
    """A stiff person: one range ends inside what walking takes."""
    plant = Plant(Subject(), WORN["hip_knee_ankle"], control_rate_hz=RATE)
    plant.person.model.joint(joint).range[bound] = angle
    run = Run(plant)
    held = [i for i in run.every if i.limit_torque > 10.0]
    assert len(held) > 20
    for i in held[::5]:
        run.assert_closed(i)
        assert back * i["ligament"][SIDED_JOINTS.index(joint)] > 9.0, "the limit pushes back into the range"


def test_muscle_torque_is_the_virtual_work_of_its_forces_and_the_rotators(run):
    h = 1e-6
    for i in run.some[::6]:
        rotators = dict(zip(("hip_rotation_r", "hip_rotation_l"), i.rotators, strict=True))
        for j, joint in enumerate(SIDED_JOINTS):
            lengths = []
            for step in (h, -h):
                q = i.q.copy()
                q[run.model.joint(joint).qposadr[0]] += step
                data = run.at(q, i.v)
                lengths.append([data.ten_length[run.model.tendon(m).id] for m in SIDED_MUSCLES])
            arms = -(np.array(lengths[0]) - np.array(lengths[1])) / (2 * h)
            wanted = float(arms @ i["force"]) + rotators.get(joint, 0.0)
            assert i["muscle"][j] == pytest.approx(wanted, abs=1e-5), joint
    assert np.abs(run.some[0]["force"]).max() > 100.0


def test_exo_torque_is_what_the_cuffs_pass_on(run):
    """Newton's law on each rotor: motor less friction less inertia is what reaches the limb; elsewhere nothing."""
    device = run.plant.device
    driven = device.actuated if device else ()
    others = [j for j, name in enumerate(SIDED_JOINTS) if name not in driven]
    largest = 0.0
    for i in run.some:
        assert not i["exo"][others].any()
        if not device:
            continue
        rotors = run.inverse_dynamics(i)
        for k, (name, actuator) in enumerate(zip(driven, device.actuators, strict=True)):
            d = run.model.joint(f"exo_{name}").dofadr[0]
            passed = i.motor[k] - actuator.viscous_friction_nms_per_rad * i.v[d] - rotors[d]
            felt = i["exo"][SIDED_JOINTS.index(name)]
            assert felt == pytest.approx(passed, abs=1e-6)
            largest = max(largest, abs(felt))
    assert not device or largest > 5.0


def test_nothing_holds_the_person(run):
    weight = run.mass * GRAVITY
    for i in run.every:
        assert i.applied == 0.0
    for i in run.some:
        root = run.inverse_dynamics(i)[:6]
        np.testing.assert_allclose(root, 0.0, atol=1e-6 * weight)


def test_feet_carry_mass_times_gravity_and_acceleration(run):
    h = 1e-5
    for i in run.some:
        change = np.zeros(3)
        for sign in (1.0, -1.0):
            q = i.q.copy()
            mujoco.mj_integratePos(run.model, q, i.v, sign * h)
            change += sign * run.momentum(q, i.v + sign * h * i.a)
        wanted = change / (2 * h) + [0.0, 0.0, run.mass * GRAVITY]
        feet = i["grf"].reshape(2, 3).sum(axis=0)
        np.testing.assert_allclose(feet, wanted, atol=1e-5 * run.mass * GRAVITY)


def test_each_foot_has_the_forces_of_its_own_contacts(run):
    for i in run.every:
        for s, side in enumerate(SIDES):
            wanted = sum((c.force for c in feet(run, i, side)), np.zeros(3))
            np.testing.assert_allclose(i["grf"][3 * s : 3 * s + 3], wanted, atol=1e-6)


def test_centre_of_pressure_lies_under_the_spheres_that_touch(run):
    loaded = 0
    for i in run.every:
        for s, side in enumerate(SIDES):
            touching = feet(run, i, side)
            cop = i["cop"][2 * s : 2 * s + 2]
            if i["grf"][3 * s + 2] < CONTACT_THRESHOLD:
                assert np.isnan(cop).all()
                continue
            loaded += 1
            force, point = np.array([c.force for c in touching]), np.array([c.point for c in touching])
            wanted = (point[:, :2] * force[:, 2:] - point[:, 2:] * force[:, :2]).sum(axis=0) / force[:, 2].sum()
            np.testing.assert_allclose(cop, wanted, atol=1e-9)
            # Distance to the hull: soles sink in, and shear at a depth moves the centre on the ground by its share.
            corners = np.array([c.centre[:2] for c in touching]) - cop
            _, distance = nnls(np.vstack([corners.T, 1e3 * np.ones(len(corners))]), np.array([0.0, 0.0, 1e3]))
            assert distance < FRICTION * np.abs(point[:, 2]).max() + 1e-5
    assert loaded > len(run.every) / 2


def test_centre_of_pressure_in_the_foot_is_the_same_point(run):
    for i in run.some:
        data = run.at(i.q, i.v)
        for s, side in enumerate(SIDES):
            if i["grf"][3 * s + 2] < CONTACT_THRESHOLD:
                assert not i["foot_cop"][2 * s : 2 * s + 2].any()
                continue
            foot = run.model.body(f"calcn_{side}").id
            ground = np.array([*i["cop"][2 * s : 2 * s + 2], 0.0])
            x, _, right = data.xmat[foot].reshape(3, 3).T @ (ground - data.xpos[foot])
            np.testing.assert_allclose(i["foot_cop"][2 * s : 2 * s + 2], [x, -right], atol=1e-9)


def test_accelerometers_feel_the_motion_of_their_site(run):
    """Specific force of a site: its acceleration by differences of its path, less gravity, in its own axes."""
    h = 1e-4
    for i in run.some:
        for site, felt in i.accelerometer.items():
            path = []
            for t in (-h, 0.0, h):
                q, mean = i.q.copy(), i.v + 0.5 * t * i.a
                mujoco.mj_integratePos(run.model, q, mean, t)
                data = run.at(q, i.v)
                path.append(data.site(f"imu_{site}").xpos.copy())
                if t == 0.0:
                    axes = data.site(f"imu_{site}").xmat.reshape(3, 3).copy()
            acceleration = (path[0] - 2 * path[1] + path[2]) / h**2
            wanted = axes.T @ (acceleration + np.array([0.0, 0.0, GRAVITY]))
            np.testing.assert_allclose(felt, wanted, atol=0.02 + 1e-3 * np.abs(wanted).max())


@pytest.mark.parametrize("worn", WORN)
def test_mean_vertical_force_over_whole_strides_is_the_weight(worn):
    plant = Plant(Subject(), WORN[worn])
    plant.reset(1.25, np.random.default_rng(0))
    start = BLOCKS["grf"][0]
    rows = []
    for _ in range(round(6.0 * plant.rate)):
        plant.step()
        rows.append(plant.row[[start + 2, start + 5]])
    assert not plant.fallen
    vertical = np.array(rows)
    loaded = vertical[:, 0] > 50.0
    strikes = np.flatnonzero(loaded[1:] & ~loaded[:-1])
    assert len(strikes) >= 4
    mean = vertical[strikes[0] : strikes[-1]].sum(axis=1).mean()
    assert mean == pytest.approx(plant.person.model.body_mass.sum() * GRAVITY, rel=0.01)


def feet(run: Run, i: Instant, side: str) -> list[Contact]:
    own = {run.model.body(f"{name}_{side}").id for name in ("calcn", "toes")}
    return [c for c in i.contacts if c.body in own]
