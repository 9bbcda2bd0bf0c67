"""Reflexes of balance: feet are put to where the body goes, the hip rights the pelvis, the clock waits on stairs."""

import mujoco
import numpy as np
import pytest
from exotwin.scenarios.catalogue import find_device
from exotwin.sim.balance import (
    ADDUCTION,
    ANKLE_STANDING,
    DORSIFLEXION,
    FLEXION,
    KNEE,
    LANDING,
    WAITING,
    entrain,
    euler_angles,
)
from exotwin.sim.batch import settle
from exotwin.sim.body import Embodiment
from exotwin.sim.bridge import functions
from exotwin.sim.gait_plan import STEEP
from exotwin.sim.impairments import Impairment
from exotwin.sim.nervous import CONTROLLED, HABITUAL, PACE, advance, forward
from exotwin.sim.plant import Plant
from exotwin.sim.posture_plan import SQUAT
from exotwin.sim.reference import load_reference
from exotwin.sim.runlog import RunLog
from exotwin.sim.state import BOUND, HABIT, PHASE
from exotwin.sim.subjects import SOURCE_STATURE, Subject
from exotwin.sim.terrain import Level, Ramp, Stairs, Terrain
from exotwin.sim.truth import BLOCKS
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

FUNCTIONS = functions()
STAIRS_AT = 3.0
WAY = Terrain([Level(length_m=STAIRS_AT), Stairs(rise_m=0.16, tread_m=0.3, count=6), Level(length_m=2.0)])
# Phase late in the half cycle of a leg, the swinging leg and the standing one.
LATE_SWING = [(0.46, "l", "r"), (0.96, "r", "l")]


@pytest.fixture(scope="module")
def person():
    return Embodiment(Subject(), None, load_reference("walk"), 0.002, WAY)


def asked(person):
    """Shifts (2, 6) that balance asks for now."""
    forward(FUNCTIONS, person.pointers, person.body, person.exo, person.state, person.action, person.work)
    return person.work.balance.copy()


def foot(person, side):
    return person.data.body(f"calcn_{side}").xpos.copy()


@given(st.floats(-3.0, 3.0), st.floats(-1.5, 1.5), st.floats(-3.0, 3.0))
def test_euler_angles_are_yaw_pitch_and_roll(yaw, pitch, roll):
    quaternion = Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_quat(scalar_first=True)
    np.testing.assert_allclose(euler_angles(quaternion), [yaw, pitch, roll], atol=1e-7)


@pytest.mark.parametrize(("phase", "x"), [(0.1, 0.0), (0.3, 0.0), (0.8, 0.0), (0.46, STAIRS_AT + 0.6)])
def test_nothing_is_asked_of_who_is_as_planned(person, phase, x):
    person.place(phase, 1.2, x=x)
    # Roll and pelvic list differ by a degree where the pelvis tilts and turns as well.
    np.testing.assert_allclose(asked(person), 0.0, atol=0.02)
    data = person.data
    assert entrain(data.qpos, data.qvel, person.body, person.state, person.work) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(("phase", "swings", "stands"), LATE_SWING)
@pytest.mark.parametrize("drift", [0.2, -0.2])
def test_the_swinging_foot_goes_to_where_the_body_drifts(person, phase, swings, stands, drift):
    """World y of the foot, by MuJoCo, with the hip adducted as is asked."""
    person.place(phase, 1.2)
    calm = asked(person)
    person.data.qvel[1] += drift
    shift = asked(person) - calm
    before = foot(person, swings)
    person.data.joint(f"hip_adduction_{swings}").qpos[0] += shift["rl".index(swings), ADDUCTION]
    mujoco.mj_kinematics(person.model, person.data)
    # As far as a falling inverted pendulum comes: about 0.3 s of the drift, with the leg stretched out to land.
    assert (foot(person, swings) - before)[1] == pytest.approx(0.3 * drift, rel=0.3)
    assert not shift["rl".index(stands)].any()


def test_who_climbs_a_ramp_answers_to_drift_the_more_the_slower_it_is():
    """On level ground the speed has no say."""
    shares = []
    for slope_deg, speed in ((0.0, 0.7), (0.0, 1.1), (5.0, 0.7), (10.0, 1.3), (10.0, 1.1), (10.0, 0.9), (10.0, 0.7)):
        way = Terrain([Level(length_m=1.0), Ramp(slope_deg=slope_deg or 0.01, length_m=20.0)])
        climber = Embodiment(Subject(height_m=SOURCE_STATURE), None, load_reference("walk"), 0.002, way)
        climber.place(0.46, speed, x=8.0)
        calm = asked(climber)
        climber.data.qvel[1] += 0.2
        shares.append((asked(climber) - calm)[1, ADDUCTION])
    times = np.array(shares) / shares[0]
    steepness = np.tan(np.radians([0.0, 0.0, 5.0, 10.0, 10.0, 10.0, 10.0]))
    assert times == pytest.approx(1.0 + steepness * [1.5, 1.5, 5.5, 0.0, 1.5, 3.5, 5.5], rel=0.02)


@pytest.mark.parametrize(
    ("impairments", "slope_deg", "more"),
    [((), 0.0, True), ((), 8.0, False), ((Impairment(kind="ageing", severity=0.5),), 0.0, False)],
)
def test_who_is_far_beside_the_way_steps_back_to_it_the_more_on_level_ground(impairments, slope_deg, more):
    way = Terrain([Level(length_m=1.0), Ramp(slope_deg=slope_deg or 0.01, length_m=9.0)])
    person = Embodiment(Subject(), None, load_reference("walk"), 0.002, way, impairments)
    steps = []
    for aside in (0.0, 0.1, 0.2, 0.4):
        person.place(0.46, 1.2, x=5.0)
        person.data.qpos[1] += aside
        steps.append(asked(person)[1, ADDUCTION])
    # The left foot, which swings, goes to the left of who is on the left: that throws the body to the right.
    out = np.abs(np.array(steps) - steps[0])
    assert out[2] == pytest.approx(2.0 * out[1], rel=0.05)
    assert out[3] == pytest.approx((3.6 if more else 2.0) * out[1], rel=0.05)  # 0.36 m are walked in 0.3 s


@pytest.mark.parametrize(("phase", "swings", "stands"), LATE_SWING)
@pytest.mark.parametrize("lean", [0.1, -0.1])
def test_the_standing_hip_rights_the_pelvis_and_the_other_leg_hangs_as_before(person, phase, swings, stands, lean):
    """On a fixed leg the adduction that is asked for rolls the pelvis against its lean."""
    person.place(phase, 1.2)
    calm = asked(person)
    hung = foot(person, swings)[1] - person.data.joint(f"hip_adduction_{swings}").xanchor[1]
    turned = Rotation.from_euler("x", lean) * Rotation.from_quat(person.data.qpos[3:7], scalar_first=True)
    person.data.qpos[3:7] = turned.as_quat(scalar_first=True)
    shift = asked(person) - calm
    axis = person.data.joint(f"hip_adduction_{stands}").xaxis
    roll = -shift["rl".index(stands), ADDUCTION] * axis[0]  # the pelvis turns against the thigh
    assert roll == pytest.approx(-0.5 * lean, rel=0.2)
    person.data.joint(f"hip_adduction_{swings}").qpos[0] += shift["rl".index(swings), ADDUCTION]
    mujoco.mj_kinematics(person.model, person.data)
    now = foot(person, swings)[1] - person.data.joint(f"hip_adduction_{swings}").xanchor[1]
    assert now == pytest.approx(hung, abs=0.02)


def toes(person, side):
    """World z (m) of the lowest sphere under a foot."""
    bodies = {person.model.body(f"{part}_{side}").id for part in ("calcn", "toes")}
    mujoco.mj_kinematics(person.model, person.data)
    at = [p[2] for p, body in zip(person.data.geom_xpos, person.model.geom_bodyid, strict=True) if body in bodies]
    return min(at)


def test_a_foot_that_drops_is_lifted_by_hip_and_knee_and_a_weak_leg_lifts_nothing():
    def lifted(kind):
        ill = (Impairment(kind=kind, severity=1.0, side="r"),)
        person = Embodiment(Subject(), None, load_reference("walk"), 0.002, Terrain(), ill)
        person.place(0.7, 1.2)
        shift = asked(person)
        before = toes(person, "r")
        person.data.joint("hip_flexion_r").qpos[0] += shift[0, FLEXION]
        person.data.joint("knee_flexion_r").qpos[0] += shift[0, KNEE]
        mujoco.mj_kinematics(person.model, person.data)
        return toes(person, "r") - before

    assert 0.02 < lifted("foot_drop") < 0.08
    assert abs(lifted("knee_extensor_weakness")) < 0.005
    assert 0.0 <= lifted("hemiparesis") < 0.5 * lifted("foot_drop")


@pytest.mark.parametrize(("phase", "swings", "stands"), LATE_SWING)
@pytest.mark.parametrize("late", [0.08, -0.08])
def test_on_stairs_the_feet_keep_to_their_treads(person, phase, swings, stands, late):
    person.place(phase, 1.2, x=STAIRS_AT + 0.6)
    assert person.state[BOUND] == 1.0
    calm, planned = asked(person), foot(person, swings)
    person.data.qpos[0] -= late
    shift = asked(person) - calm
    person.data.joint(f"hip_flexion_{swings}").qpos[0] += shift["rl".index(swings), FLEXION]
    mujoco.mj_kinematics(person.model, person.data)
    gone = abs((foot(person, swings) - planned)[0])
    assert gone < 0.6 * abs(late), "the swinging foot makes up for most of it"
    # The standing ankle yields for one that is late, and brakes one that is early.
    assert shift["rl".index(stands), DORSIFLEXION] * late > 0.0


@pytest.mark.parametrize(("where", "share"), [(0.0, 0.3), (STAIRS_AT + 0.6, 1.2)])
@pytest.mark.parametrize("surplus", [0.2, -0.2])
def test_the_standing_ankle_moves_the_centre_of_pressure_to_where_the_body_falls(person, where, share, surplus):
    """By statics: torque over weight is how far the centre of pressure moves; a pendulum as long as the leg falls."""
    person.place(0.3, 1.2, x=where)
    calm = asked(person)
    person.data.qvel[0] += surplus
    shift = (asked(person) - calm)[0, DORSIFLEXION]
    forward_by = -shift * person.body.kp[DORSIFLEXION] / (9.81 * person.body.mass)
    leg = 0.87 * person.body.scale
    assert forward_by == pytest.approx(share * surplus * np.sqrt(leg / 9.81), rel=0.1)


def test_the_clock_waits_for_who_is_late_where_footholds_are_given(person):
    gone = {}
    for where, x in (("stairs", STAIRS_AT + 0.6), ("level", 0.0)):
        for late in (0.1, 0.0, -0.1):
            person.place(0.1, 1.2, x=x)
            person.data.qpos[0] -= late
            args = (person.pointers, person.body, person.exo, person.state, person.action)
            settle(FUNCTIONS, *args, person.work)
            advance(FUNCTIONS, *args, np.zeros(0), person.work, 5)
            gone[where, late] = person.state[PHASE] - 0.1
    assert gone["stairs", 0.1] < 0.9 * gone["stairs", 0.0]
    assert gone["stairs", -0.1] > 1.1 * gone["stairs", 0.0]
    for late in (0.1, -0.1):
        assert gone["level", late] == pytest.approx(gone["level", 0.0], rel=1e-6)


@pytest.mark.parametrize(("start", "leads"), [(0.0, 0), (0.5, 1)])
def test_the_clock_waits_for_the_foot_that_is_due_to_land(person, start, leads):
    """On level ground: slower until that foot carries something, and not for ever."""
    weight = 9.81 * person.body.mass

    def pace(phase, load):
        person.place(phase, 1.2)
        person.work.foot_force[:] = 0.0
        person.work.foot_force[1 - leads, 2] = weight - load
        person.work.foot_force[leads, 2] = load
        return entrain(person.data.qpos, person.data.qvel, person.body, person.state, person.work)

    due = start + 0.4 * LANDING / 2.0
    assert pace(due, 0.0) == WAITING < 1.0
    assert pace(due, 0.1 * weight) == 1.0
    assert pace(start + 0.6 * LANDING, 0.0) == 1.0


@pytest.mark.parametrize("action", [-1.0, 2.0])
@pytest.mark.parametrize(
    ("section", "lasting"),
    [
        (Level(length_m=60.0), 1.0),
        (Ramp(slope_deg=-10.0, length_m=60.0), 1.0),
        (Ramp(slope_deg=1.0, length_m=60.0), 1.0 - np.tan(np.radians(1.0)) / STEEP),
        (Ramp(slope_deg=5.0, length_m=60.0), 0.0),
        (Stairs(rise_m=0.16, tread_m=0.3, count=40), 1.0),
    ],
    ids=str,
)
def test_who_climbs_a_slope_hurries_for_a_moment_only(action, section, lasting):
    """The clock under a pace action that is new, and under one that has lasted; lasting: what is left of it."""
    person = Embodiment(Subject(), None, load_reference("walk"), 0.002, Terrain([Level(length_m=2.0), section]))

    def gone(pace, habit):
        person.place(0.3, 1.2, x=6.0)
        person.action[CONTROLLED] = pace
        person.state[HABIT] = habit
        args = (person.pointers, person.body, person.exo, person.state, person.action)
        settle(FUNCTIONS, *args, person.work)
        advance(FUNCTIONS, *args, np.zeros(0), person.work, 5)
        return person.state[PHASE] - 0.3, person.state[HABIT]

    calm = gone(0.0, 0.0)[0]
    fresh, habit = gone(action, 0.0)
    assert fresh / calm == pytest.approx(1.0 + PACE * action, rel=0.02)
    assert habit == pytest.approx(action * (1.0 - np.exp(-0.01 / HABITUAL)), rel=0.01)
    old, kept = gone(action, action)
    assert old / calm == pytest.approx(1.0 + PACE * action * lasting, rel=0.02)
    assert kept == pytest.approx(action)


@pytest.mark.parametrize("device", [None, "hip_knee_ankle"])
def test_feet_land_as_the_half_cycle_begins(device):
    """Level walking with the shipped policy: the clock is at the start of either half when a foot takes load."""
    plant = Plant(Subject(), find_device(device) if device else None)
    log = RunLog(plant, 8.0)
    log.add(plant.reset(1.25, np.random.default_rng(0)))
    while plant.time < 7.9:
        log.add(plant.step())
    rows = log.rows[log.ticks // 4 : log.ticks]
    phase, force = rows[:, BLOCKS["phase"][0]], rows[:, BLOCKS["grf"][0] : sum(BLOCKS["grf"])][:, [2, 5]]
    for leg in range(2):
        loaded = force[:, leg] > 30.0
        landed = (phase[1:][loaded[1:] & ~loaded[:-1]] - 0.5 * leg + 0.5) % 1.0 - 0.5
        assert landed.size >= 4
        assert np.abs(np.median(landed)) < 0.025


@pytest.mark.parametrize("lean", [0.15, -0.15])
def test_who_squats_and_leans_presses_the_toes_or_the_heels(lean):
    """The mass of a leaning trunk goes ahead while the pelvis stays: the centre of pressure has to follow it."""
    person = Embodiment(Subject(), None, load_reference("stand"), 0.002)
    person.place(0.0, 0.0, postures=(SQUAT, SQUAT))
    forward(FUNCTIONS, person.pointers, person.body, person.exo, person.state, person.action, person.work)
    person.work.foot_force[:, 2] = 0.5 * 9.81 * 75.0
    calm = asked(person)
    before = person.data.subtree_com[1].copy()
    pitch = euler_angles(person.data.qpos[3:7])[1] + lean
    person.data.qpos[3:7] = Rotation.from_euler("ZYX", [0.0, pitch, 0.0]).as_quat(scalar_first=True)
    # The legs stay where they were.
    for side in "rl":
        person.data.joint(f"hip_flexion_{side}").qpos[0] += lean
    shift = asked(person) - calm
    moved = (person.data.subtree_com[1] - before)[0]
    # As for a pelvis that is twice as far ahead as the mass has come.
    expected = -ANKLE_STANDING * 2.0 * moved * 0.5 * 9.81 * 75.0 / person.body.kp[DORSIFLEXION]
    np.testing.assert_allclose(shift[:, DORSIFLEXION], expected, rtol=0.15)
