"""The nervous system: the same for both sides, late by its delay, and it knows the exo as far as it adapted.

Nothing but muscles, joints' own structures, the exo and the ground acts on the person.
"""

import functools

import mujoco
import numpy as np
import pytest
from exotwin.controllers.device import MUSCLES
from exotwin.scenarios.catalogue import find_device
from exotwin.sim.batch import settle
from exotwin.sim.body import SIDED_JOINTS, SIDED_MUSCLES, Embodiment
from exotwin.sim.bridge import functions
from exotwin.sim.impairments import Impairment, effects
from exotwin.sim.muscle_control import LEAD
from exotwin.sim.nervous import N_ACTIONS, N_MUSCLES, POLICY_PERIOD, STIFFNESS, advance, forward
from exotwin.sim.observation import N_OBSERVATIONS, observe
from exotwin.sim.reference import load_reference
from exotwin.sim.reflexes import STEEPNESS
from exotwin.sim.state import DELAY, LANE, LOOK_RIGHT, PHASE, RISE_NEXT, TRIM
from exotwin.sim.subjects import Subject
from exotwin.sim.terrain import Level, Ramp, Stairs, Terrain
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

TIMESTEP = 0.002
HKA = find_device("hip_knee_ankle")
FUNCTIONS = functions()
STEPS = round(POLICY_PERIOD / TIMESTEP)
WAY = Terrain([Level(length_m=2.0), Stairs(rise_m=0.16, tread_m=0.3, count=4), Level(length_m=2.0),
               Ramp(slope_deg=6.0, length_m=4.0)])  # fmt: skip
STROKE = {side: [Impairment(kind="hemiparesis", severity=0.6, side=side)] for side in "rl"}
# device, terrain and what ails the person and its mirror image
KINDS = {
    "bare": (None, WAY, [], []),
    "hip_knee_ankle": (HKA, WAY, [], []),
    "hemiparetic": (None, WAY, STROKE["r"], STROKE["l"]),
}


@functools.cache
def pair(kind):
    """A person and one with the sides exchanged."""
    device, way, own, mirrored = KINDS[kind]
    reference = load_reference("walk")
    return tuple(Embodiment(Subject(), device, reference, TIMESTEP, way, ill) for ill in (own, mirrored))


def other_side(name):
    return name[:-1] + {"r": "l", "l": "r"}[name[-1]]


def mirrored(names, values):
    return np.array([values[names.index(other_side(n))] for n in names])


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
    there.act[:N_MUSCLES] = mirrored(SIDED_MUSCLES, here.act[:N_MUSCLES])
    there.act[N_MUSCLES:] = here.act[: N_MUSCLES - 1 : -1]
    twin.work.activation[:] = mirrored(SIDED_MUSCLES, person.work.activation)
    for each in (person, twin):
        each.work.reflex[:] = 0.0
    twin.state[:] = person.state
    twin.state[PHASE] = (person.state[PHASE] + 0.5) % 1.0
    twin.state[LANE] *= -1.0
    twin.state[LOOK_RIGHT] = 1.0 - person.state[LOOK_RIGHT]
    twin.action[:] = person.action
    for array in (twin.exo.torque, twin.exo.velocity, *twin.exo.drive_state):
        array[...] = 0


def somewhere(person, seed, phase, x):
    """A person off the reference in every coordinate, with tired muscles and a history."""
    rng = np.random.default_rng(seed)
    person.place(phase, rng.uniform(0.8, 1.6), rng.random(), x)
    data = person.data
    data.qpos[:3] += rng.normal(0.0, [0.1, 0.1, 0.01])
    tilt = Rotation.from_quat(data.qpos[3:7], scalar_first=True) * Rotation.from_rotvec(rng.normal(0, 0.1, 3))
    data.qpos[3:7] = tilt.as_quat(scalar_first=True)
    data.qpos[7:] += rng.normal(0.0, 0.03, len(data.qpos) - 7)
    data.qvel[:] += rng.normal(0.0, 0.2, len(data.qvel))
    data.act[:] = rng.uniform(0.01, 0.6, len(data.act))
    person.work.activation[:] = rng.uniform(0.01, 0.6, N_MUSCLES)
    person.state[[TRIM, LANE]] = rng.normal(0.0, 0.1, 2)
    person.state[LOOK_RIGHT] = float(phase < 0.5)
    person.action[:] = rng.uniform(-1.0, 1.0, N_ACTIONS)


def parts(person):
    return person.pointers, person.body, person.exo, person.state, person.action


def seen(person):
    out = np.zeros(N_OBSERVATIONS)
    observe(FUNCTIONS, *parts(person), person.work, out)
    return out


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    phase=st.floats(0.0, 0.999).filter(lambda p: abs(p - 0.5) > 1e-6),
    x=st.sampled_from([0.0, 2.3, 7.0]),
)
def test_mirror_image_half_a_stride_later_is_the_same_to_the_policy(kind, seed, phase, x):
    person, twin = pair(kind)
    somewhere(person, seed, phase, x)
    sagittal_mirror(person, twin)
    for each in (person, twin):
        forward(FUNCTIONS, *parts(each), each.work)
    # The same action asks the mirrored muscles for the same.
    ours, theirs = person.data.ctrl, twin.data.ctrl
    np.testing.assert_allclose(theirs[:N_MUSCLES], mirrored(SIDED_MUSCLES, ours[:N_MUSCLES]), atol=1e-7)
    rotators = slice(N_MUSCLES, N_MUSCLES + 2)
    np.testing.assert_allclose(theirs[rotators], ours[rotators][::-1], atol=1e-7)
    np.testing.assert_allclose(
        twin.data.qfrc_actuator[twin.body.dof],
        mirrored(SIDED_JOINTS, person.data.qfrc_actuator[person.body.dof]),
        atol=1e-6,
    )
    here, there = seen(person), seen(twin)
    np.testing.assert_allclose(there, here, atol=1e-6)
    assert np.ptp(here) > 0.5
    assert twin.state[LOOK_RIGHT] == 1.0 - person.state[LOOK_RIGHT]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("phase", [0.05, 0.3, 0.62])
def test_mirror_images_stay_mirror_images(kind, phase):
    """A policy period later, helped by mirrored torques, they still see the same."""
    person, twin = pair(kind)
    person.place(phase, 1.3)
    person.state[LOOK_RIGHT] = float(phase < 0.5)
    settle(FUNCTIONS, *parts(person), person.work)
    sagittal_mirror(person, twin)
    command = np.linspace(-8.0, 8.0, len(person.exo.joint))
    driven = HKA.actuated if KINDS[kind][0] else ()
    for each, torque in ((person, command), (twin, mirrored(driven, command))):
        forward(FUNCTIONS, *parts(each), each.work)
        advance(FUNCTIONS, *parts(each), torque, each.work, STEPS)
    np.testing.assert_allclose(seen(twin), seen(person), atol=1e-4)
    assert twin.data.qpos[0] == pytest.approx(person.data.qpos[0], abs=1e-6)
    assert twin.data.qpos[1] == pytest.approx(-person.data.qpos[1], abs=1e-6)


@pytest.mark.parametrize("delay", [0.0, 0.006, 0.02, 0.028, 0.04])
def test_what_is_seen_is_as_old_as_the_delay(delay):
    """Against the looks of a person without delay; the action belongs to the leg that led in what is seen."""
    prompt, late = pair("bare")
    for person, wait in ((prompt, 0.0), (late, delay)):
        person.place(0.30, 1.4)
        person.state[DELAY] = wait
        settle(FUNCTIONS, *parts(person), person.work)
    looks, sides, found, acting = [], [], [], []
    for _ in range(16):
        looks.append(seen(prompt))
        sides.append(prompt.state[PHASE] < 0.5)
        found.append(seen(late))
        acting.append(late.state[LOOK_RIGHT] > 0.0)
        for person in (prompt, late):
            person.action[:] = 0.0
            advance(FUNCTIONS, *parts(person), np.zeros(0), person.work, STEPS)
    assert len(set(sides)) == 2, "the legs change places on the way"
    age = np.arange(16) - delay / POLICY_PERIOD
    own_delay = 80
    for k in range(3, 16):
        before = int(np.floor(age[k] + 1e-9))
        after, share = min(before + 1, k), age[k] - before
        if sides[before] == sides[after]:
            expected, side = (1.0 - share) * looks[before] + share * looks[after], sides[before]
        else:
            nearer = before if share < 0.5 else after
            expected, side = looks[nearer], sides[nearer]
        np.testing.assert_allclose(np.delete(found[k], own_delay), np.delete(expected, own_delay), atol=1e-9)
        assert acting[k] == side
        assert found[k][own_delay] == pytest.approx(10.0 * delay)


# --- what acts on the person


@pytest.mark.parametrize("kind", KINDS)
def test_only_muscles_joints_exo_and_ground_act(kind):
    """Over a policy period of walking: no force on the free root, and momentum changes by gravity and contact alone."""
    person, _ = pair(kind)
    person.place(0.1, 1.2)
    settle(FUNCTIONS, *parts(person), person.work)
    model, data = person.model, person.data
    rng = np.random.default_rng(0)
    command = np.full(len(person.exo.joint), 5.0)
    mass = model.body_mass.sum()
    for _ in range(5 * STEPS):
        person.action[:] = rng.uniform(-1.0, 1.0, N_ACTIONS)
        for name in ("qfrc_actuator", "qfrc_passive", "qfrc_applied"):
            np.testing.assert_allclose(getattr(data, name)[:6], 0.0, atol=1e-9, err_msg=name)
        assert not data.xfrc_applied.any()
        ground = np.zeros(3)
        for i, contact in enumerate(data.contact):
            force = np.zeros(6)
            mujoco.mj_contactForce(model, data, i, force)
            # The force on the second geom, in the contact's frame.
            sign = 1.0 if model.geom_bodyid[contact.geom[0]] == 0 else -1.0
            ground += sign * contact.frame.reshape(3, 3).T @ force[:3]
        momentum = total_momentum(model, data)
        advance(FUNCTIONS, *parts(person), command, person.work, 1)
        gained = (total_momentum(model, data) - momentum) / TIMESTEP
        # Euler steps: to first order in the step.
        np.testing.assert_allclose(gained, ground + mass * model.opt.gravity, atol=0.05 * mass * 9.81)


def total_momentum(model, data):
    copy = mujoco.MjData(model)
    copy.qpos[:], copy.qvel[:] = data.qpos, data.qvel
    mujoco.mj_fwdPosition(model, copy)
    mujoco.mj_fwdVelocity(model, copy)
    mujoco.mj_subtreeVel(model, copy)
    return model.body_mass.sum() * copy.subtree_linvel[0]


def test_excitation_leads_the_activation_that_is_wanted():
    person, _ = pair("bare")
    somewhere(person, 3, 0.2, 0.0)
    forward(FUNCTIONS, *parts(person), person.work)
    act, wanted = person.data.act[:N_MUSCLES], person.work.activation
    ctrl = person.data.ctrl[:N_MUSCLES]
    np.testing.assert_allclose(ctrl, np.clip(act + LEAD * (wanted - act), 0.0, 1.0), atol=1e-12)
    assert np.ptp(ctrl) > 0.5


@pytest.mark.parametrize("severity", [0.6, 0.0])
def test_spinal_cord_of_an_impaired_walker(severity):
    """The excitations of a walk, recomputed: descending command, merging, and reflexes of delayed stretch."""
    ill = [Impairment(kind="hemiparesis", severity=severity, side="r")]
    person = Embodiment(Subject(), None, load_reference("walk"), TIMESTEP, impairments=ill)
    what, model = effects(ill, Subject()), person.model
    person.place(0.9, 1.3)
    settle(FUNCTIONS, *parts(person), person.work)
    rise, fall = model.actuator_dynprm[:26, 0], model.actuator_dynprm[:26, 1]
    low, high = model.actuator_gainprm[:26, 0], model.actuator_gainprm[:26, 1]
    optimal = (model.actuator_lengthrange[:26, 1] - model.actuator_lengthrange[:26, 0]) / (high - low)
    greatest = optimal * model.actuator_gainprm[:26, 6]
    active, reflex, stretch = person.data.act[:26].copy(), np.zeros(26), []
    largest = 0.0
    for step in range(300):
        wanted, velocity = person.work.activation.copy(), person.data.actuator_velocity[:26] / greatest
        if severity == 0.0:
            act, sent = person.data.act[:26], person.data.ctrl[:26]
            np.testing.assert_allclose(sent, np.clip(act + LEAD * (wanted - act), 0.0, 1.0), atol=1e-12)
        else:
            sent = np.clip(active + LEAD * (wanted - active), 0.0, 1.0)
            got = person.data.ctrl[:26]
            np.testing.assert_allclose(got, np.clip(reflex + what.mixing @ sent, 0.0, 1.0), atol=1e-9)
            # MuJoCo's muscle (Millard 2013).
            gap, slow = sent - active, 0.5 + 1.5 * np.clip(active, 0.0, 1.0)
            active = active + TIMESTEP * np.where(gap > 0.0, gap / (rise * slow), gap * slow / fall)
            stretch.append(velocity)
            felt = np.array([stretch[step - d][m] if step >= (d := round(what.reflex_delay[m] / TIMESTEP)) else 0.0
                             for m in range(26)])  # fmt: skip
            drive = what.reflex_gain * felt * (0.5 * np.tanh(STEEPNESS * (felt - what.reflex_threshold)) + 0.5)
            decay = np.exp(-TIMESTEP / what.reflex_time)
            reflex = drive + decay * (reflex - drive)
            largest = max(largest, reflex[SIDED_MUSCLES.index("soleus_r")])
        person.action[:] = 0.0
        advance(FUNCTIONS, *parts(person), np.zeros(0), person.work, 1)
    if severity:
        assert largest > 0.02, "the spastic calf answers its stretch"
        healthy = SIDED_MUSCLES.index("soleus_l")
        assert what.reflex_gain[healthy] == 0.0
        assert reflex[healthy] == 0.0


def test_weakness_is_seen_on_its_leg():
    for side, leg in (("r", 0), ("l", 1)):
        ill = [Impairment(kind="plantarflexor_weakness", severity=1.0, side=side)]
        weakness = Embodiment(Subject(), None, load_reference("walk"), TIMESTEP, impairments=ill).body.weakness
        calf = 2
        assert weakness[leg, calf] == pytest.approx(0.8)
        assert weakness.sum() == pytest.approx(0.8)
        assert {"gastroc", "soleus"} < set(MUSCLES)


# --- adaptation to the exo


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


def rotators_torque(person, rise, action):
    """Torque (Nm) that the right hip's rotators are asked for before a rise, and what its muscles come to do there."""
    person.place(0.3, 1.2, x=0.0)
    person.action[:] = 0.0
    person.action[2] = action
    person.state[[LOOK_RIGHT, RISE_NEXT]] = 1.0, rise
    work, data = person.work, person.data
    work.activation[:] = 0.02
    for _ in range(20):
        forward(FUNCTIONS, *parts(person), work)
    person.action[:] = 0.0
    row = person.model.actuator("rotators_r")
    asked = data.ctrl[row.id] * row.gainprm[0]
    # By MuJoCo itself, with the activations that were wanted and the rotators at rest.
    data.act[:N_MUSCLES], data.act[N_MUSCLES:] = work.activation, 0.0
    mujoco.mj_fwdActuation(person.model, data)
    return asked, data.qfrc_actuator[person.model.joint("hip_rotation_r").dofadr[0]]


def test_rotators_turn_the_hip_as_asked_and_more_firmly_before_a_step_up():
    person = pair("bare")[0]
    (level, one), (down, two), (up, three) = (
        np.subtract(rotators_torque(person, rise, 1.0), rotators_torque(person, rise, 0.0))
        for rise in (0.0, -0.16, 0.16)
    )
    assert level == pytest.approx(0.3 * STIFFNESS[2] * person.subject.mass_kg / 75.0)
    assert down == pytest.approx(level)
    assert up == pytest.approx(2.4 * level)
    # No other muscle is recruited for it.
    np.testing.assert_allclose([one, two, three], 0.0, atol=1e-9)


def test_rotators_hold_against_what_the_other_muscles_do():
    """Before a step up against 0.75 of it, otherwise against 0.3 of it."""
    person = pair("bare")[0]
    wanted = SIDED_JOINTS.index("hip_rotation_r")
    for rise, firmness, share in ((0.0, 1.0, 0.3), (0.16, 2.4, 0.75)):
        asked, turn = rotators_torque(person, rise, 0.0)
        assert abs(turn) > 1.0
        assert asked == pytest.approx(firmness * person.work.torque[wanted] - share * turn)
