"""The nervous system: what it sees and does is the same for both sides, and it knows the exo as far as it adapted."""

import mujoco
import numpy as np
import pytest
from exotwin.scenarios.catalogue import find_device
from exotwin.sim.batch import settle
from exotwin.sim.body import SIDED_JOINTS, SIDED_MUSCLES, Embodiment
from exotwin.sim.bridge import functions
from exotwin.sim.nervous import (
    DRIFT,
    LANE,
    N_ACTIONS,
    N_OBSERVATIONS,
    PHASE,
    STIFFNESS,
    advance,
    euler_angles,
    forward,
    interpolate,
    observe,
)
from exotwin.sim.person import Subject
from exotwin.sim.reference import CHANNELS, PHASES, load_reference
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator
from scipy.spatial.transform import Rotation

TIMESTEP = 0.002
HKA = find_device("hip_knee_ankle")
WORN = {"bare": None, "hip_knee_ankle": HKA}
FUNCTIONS = functions()
_PAIRS: dict[str, tuple[Embodiment, Embodiment]] = {}


def pair(worn):
    """Two equal people, kept between examples."""
    if worn not in _PAIRS:
        reference = load_reference("level_walk")
        _PAIRS[worn] = tuple(Embodiment(Subject(), WORN[worn], reference, TIMESTEP) for _ in range(2))
    return _PAIRS[worn]


def other_side(name):
    return name[:-1] + {"r": "l", "l": "r"}[name[-1]]


def sagittal_mirror(person, twin):
    """Make twin the left-right mirror image of person, half a stride later."""
    model, here, there = person.model, person.data, twin.data
    mujoco.mj_resetData(model, there)
    there.qpos[:7] = here.qpos[:7] * [1, -1, 1, 1, -1, 1, -1]
    there.qvel[:6] = here.qvel[:6] * [1, -1, 1, -1, 1, -1]
    for j in range(1, model.njnt):
        joint, partner = model.joint(j), model.joint(other_side(model.joint(j).name))
        there.qpos[partner.qposadr[0]] = here.qpos[joint.qposadr[0]]
        there.qvel[partner.dofadr[0]] = here.qvel[joint.dofadr[0]]
    there.act[:] = mirrored(SIDED_MUSCLES, here.act)
    twin.work.activation[:] = mirrored(SIDED_MUSCLES, person.work.activation)
    twin.state[:] = person.state
    twin.state[PHASE] = (person.state[PHASE] + 0.5) % 1.0
    twin.state[LANE] *= -1.0
    twin.action[:] = person.action
    for array in (twin.exo.torque, twin.exo.velocity, *twin.exo.drive_state):
        array[...] = 0


def mirrored(names, values):
    return np.array([values[names.index(other_side(n))] for n in names])


def somewhere(person, seed, phase):
    """A person off the reference in every coordinate, with tired muscles and a history."""
    rng = np.random.default_rng(seed)
    person.place(phase, rng.uniform(0.8, 1.6), rng.random())
    data = person.data
    data.qpos[:3] += rng.normal(0.0, [0.5, 0.1, 0.01])
    tilt = Rotation.from_quat(data.qpos[3:7], scalar_first=True) * Rotation.from_rotvec(rng.normal(0, 0.1, 3))
    data.qpos[3:7] = tilt.as_quat(scalar_first=True)
    data.qpos[7:] += rng.normal(0.0, 0.03, len(data.qpos) - 7)
    data.qvel[:] += rng.normal(0.0, 0.2, len(data.qvel))
    data.act[:] = rng.uniform(0.01, 0.6, len(data.act))
    person.work.activation[:] = rng.uniform(0.01, 0.6, len(data.act))
    person.state[DRIFT], person.state[LANE] = rng.normal(0.0, 0.1, 2)
    person.action[:] = rng.uniform(-1.0, 1.0, N_ACTIONS)


def parts(person):
    return person.pointers, person.body, person.exo, person.state, person.action


def seen(person):
    out = np.zeros(N_OBSERVATIONS)
    observe(FUNCTIONS, *parts(person), person.work, out)
    return out


@pytest.mark.parametrize("worn", WORN)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), phase=st.floats(0.0, 0.999).filter(lambda p: abs(p - 0.5) > 1e-6))
def test_mirror_image_half_a_stride_later_is_the_same_to_the_policy(worn, seed, phase):
    person, twin = pair(worn)
    somewhere(person, seed, phase)
    sagittal_mirror(person, twin)
    for each in (person, twin):
        forward(FUNCTIONS, *parts(each), each.work)
    np.testing.assert_allclose(seen(twin), seen(person), atol=1e-6)
    assert np.ptp(seen(person)) > 0.5
    # The same action then asks the mirrored muscles for the same.
    muscles = len(SIDED_MUSCLES)
    np.testing.assert_allclose(twin.data.ctrl[:muscles], mirrored(SIDED_MUSCLES, person.data.ctrl[:muscles]), atol=1e-7)
    np.testing.assert_allclose(
        twin.data.qfrc_actuator[twin.body.dof],
        mirrored(SIDED_JOINTS, person.data.qfrc_actuator[person.body.dof]),
        atol=1e-6,
    )


@pytest.mark.parametrize("worn", WORN)
@pytest.mark.parametrize("phase", [0.05, 0.3, 0.62])
def test_mirror_images_stay_mirror_images(worn, phase):
    """A policy period later, helped by mirrored torques, they still see the same."""
    person, twin = pair(worn)
    person.place(phase, 1.3)
    settle(FUNCTIONS, *parts(person), person.work)
    sagittal_mirror(person, twin)
    command = np.linspace(-8.0, 8.0, len(person.exo.joint))
    driven = HKA.actuated if WORN[worn] else ()
    for each, torque in ((person, command), (twin, mirrored(driven, command))):
        forward(FUNCTIONS, *parts(each), each.work)
        advance(FUNCTIONS, *parts(each), torque, each.work, 10)
    np.testing.assert_allclose(seen(twin), seen(person), atol=1e-4)
    assert twin.data.qpos[0] == pytest.approx(person.data.qpos[0], abs=1e-6)
    assert twin.data.qpos[1] == pytest.approx(-person.data.qpos[1], abs=1e-6)


@given(
    speed=st.floats(0.3, 2.3),
    phase=st.floats(0.0, 2.0),
)
def test_reference_is_linear_in_speed_and_phase_and_ends_at_its_speeds(speed, phase):
    body = pair("bare")[0].body
    closed = np.concatenate([body.table, body.table[:, :1]], axis=1)
    truth = RegularGridInterpolator((body.speeds, np.arange(PHASES + 1) / PHASES), closed)
    out = np.zeros(CHANNELS)
    interpolate(body.table, body.speeds, speed, phase, out)
    clamped = np.clip(speed, body.speeds[0], body.speeds[-1])
    np.testing.assert_allclose(out, truth((clamped, phase % 1.0)), atol=1e-9)


@given(st.floats(-3.0, 3.0), st.floats(-1.5, 1.5), st.floats(-3.0, 3.0))
def test_euler_angles_are_yaw_pitch_and_roll(yaw, pitch, roll):
    quaternion = Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_quat(scalar_first=True)
    np.testing.assert_allclose(euler_angles(quaternion), [yaw, pitch, roll], atol=1e-7)


def floating(adaptation, exo_torque=0.0, joint="knee_flexion_r"):
    """A person standing in free fall far above the floor, cuffs stretched to pass exo_torque (Nm) to one joint."""
    person = Embodiment(Subject(), HKA, load_reference("stand"), TIMESTEP)
    person.model.opt.gravity[:] = 0.0
    person.place(0.0, 0.0, adaptation)
    person.data.qpos[2] += 5.0
    k = HKA.actuated.index(joint)
    person.data.qpos[person.exo.qpos[k]] += exo_torque / person.exo.stiffness[k]
    settle(FUNCTIONS, *parts(person), person.work)
    return person


def muscle_torque(person, joint):
    return person.data.qfrc_actuator[person.body.dof[SIDED_JOINTS.index(joint)]]


@pytest.mark.parametrize("joint", HKA.actuated)
@pytest.mark.parametrize("exo", [6.0, -6.0])
def test_adapted_muscles_yield_what_the_exo_gives(joint, exo):
    alone = muscle_torque(floating(1.0), joint)
    adapted, half, naive = (muscle_torque(floating(a, exo, joint), joint) - alone for a in (1.0, 0.5, 0.0))
    assert adapted == pytest.approx(-exo, rel=0.1)
    assert half == pytest.approx(-0.5 * exo, rel=0.1)
    assert naive == pytest.approx(0.0, abs=0.01 * abs(exo))


@pytest.mark.parametrize(("joint", "slot"), [("knee_flexion_r", 3), ("hip_flexion_l", 0)])
def test_naive_person_is_moved_by_the_exo_as_far_as_the_reflex_lets_it(joint, slot):
    """The reflex is a spring: it gives way by torque over stiffness; the adapted person does not give way."""
    exo, moved = 8.0, {}
    for adaptation in (0.0, 1.0):
        angle = []
        for torque in (0.0, exo):
            person = floating(adaptation)
            command = np.zeros(len(HKA.actuated))
            command[HKA.actuated.index(joint)] = torque
            advance(FUNCTIONS, *parts(person), command, person.work, 250)
            angle.append(person.data.qpos[person.body.qpos[SIDED_JOINTS.index(joint)]])
        moved[adaptation] = angle[1] - angle[0]
    assert moved[0.0] == pytest.approx(exo / STIFFNESS[slot], rel=0.35)
    assert abs(moved[1.0]) < 0.3 * moved[0.0]
