"""The reference of who has short knee flexors: bent to what relaxed muscles allow, soles where they were, no jumps."""

import functools

import mujoco
import numpy as np
import pytest
from exotwin.sim.body import Embodiment
from exotwin.sim.contracture import HIP_FROM, HIP_STEP, HIPS, SOFT, YIELDING
from exotwin.sim.gait_plan import refer
from exotwin.sim.impairments import Impairment
from exotwin.sim.reference import ANGLE, HEIGHT, PELVIS, SLOPE, load_reference
from exotwin.sim.state import PHASE, STRIDE_TIME
from exotwin.sim.subjects import Subject

TIMESTEP = 0.0025
LEGS = (0, 6)  # first joint


@functools.cache
def walker(severity, side="both"):
    ill = [Impairment(kind="crouch_gait", severity=severity, side=side)] if severity else []
    return Embodiment(Subject(), None, load_reference("walk"), TIMESTEP, impairments=ill)


def reference_at(person, phase):
    person.state[PHASE] = phase
    refer(person.body, person.state, person.work)
    return person.work.reference.copy()


def relaxed_torque(person, hip, knee):
    """Passive knee torque (Nm, flexion positive) of the right leg, from MuJoCo's own muscles."""
    model, data = person.model, mujoco.MjData(person.model)
    data.qpos[model.joint("hip_flexion_r").qposadr[0]] = hip
    data.qpos[model.joint("knee_flexion_r").qposadr[0]] = knee
    mujoco.mj_forward(model, data)
    return data.qfrc_actuator[model.joint("knee_flexion_r").dofadr[0]]


@pytest.mark.parametrize("severity", [0.45, 0.5, 0.8])
def test_the_limit_is_where_relaxed_muscles_give_way(severity):
    person = walker(severity)
    limits = person.body.knee_limits[0]
    assert limits[0] > 0.0
    assert np.all(np.diff(limits) >= 0.0)  # the hamstrings pull sooner in a flexed hip
    for i in range(0, HIPS, 2):
        hip = np.radians(HIP_FROM + HIP_STEP * i)
        if limits[i] < np.radians(85.0):
            assert relaxed_torque(person, hip, limits[i]) <= YIELDING * 75.0
            assert relaxed_torque(person, hip, limits[i] - np.radians(3.0)) > YIELDING * 75.0


def test_only_a_short_leg_has_a_limit():
    assert not walker(0.0).body.contracted
    assert not walker(0.0).body.knee_limits.any()
    right, left = walker(0.6, "r").body.knee_limits
    assert right.all()
    assert not left.any()
    equinus = [Impairment(kind="equinus", severity=0.8)]
    assert not Embodiment(Subject(), None, load_reference("walk"), TIMESTEP, impairments=equinus).body.contracted


def test_the_reference_crouches_with_severity_and_keeps_the_soles():
    phases = np.linspace(0.0, 0.99, 34)
    lowest = []
    for severity in (0.0, 0.4, 0.5, 0.65):
        person = walker(severity)
        person.place(0.1, 1.0)
        rows = np.array([reference_at(person, phase) for phase in phases])
        lowest.append(rows[:, ANGLE + 3].min())
        if not severity:
            healthy = rows
            continue
        for first in LEGS:
            hip, knee, ankle = (rows[:, ANGLE + first + k] - healthy[:, ANGLE + first + k] for k in (0, 3, 4))
            assert knee.min() >= 0.0
            np.testing.assert_allclose(hip - knee + ankle, 0.0, atol=1e-12)
            grid = HIP_FROM + HIP_STEP * np.arange(HIPS)
            before = np.degrees(healthy[:, ANGLE + first])
            least = np.interp(before, grid, person.body.knee_limits[first // 6])
            assert np.all(rows[:, ANGLE + first + 3] >= least - 1e-9)
        assert np.all(rows[:, PELVIS + HEIGHT] <= healthy[:, PELVIS + HEIGHT])
    assert np.all(np.diff(lowest) > 0.0)
    assert lowest[2] - lowest[0] > np.radians(12.0)


def test_a_crouching_pelvis_is_lower_by_what_the_leg_has_lost():
    """MuJoCo's kinematics: the carrying foot is as high as in health."""
    heights = []
    for severity in (0.0, 0.5):
        person = walker(severity)
        person.place(0.15, 1.0)
        mujoco.mj_kinematics(person.model, person.data)
        heights.append(person.data.body("calcn_r").xpos[2])
    assert heights[1] == pytest.approx(heights[0], abs=0.008)


def test_rates_belong_to_the_bent_angles():
    person = walker(0.5)
    person.place(0.1, 1.0)
    step = 1e-4
    for phase in np.linspace(0.013, 0.487, 12):
        rate = reference_at(person, phase)[SLOPE : SLOPE + 5]
        change = (reference_at(person, phase + step) - reference_at(person, phase - step))[ANGLE : ANGLE + 5]
        np.testing.assert_allclose(rate, change / (2.0 * step), atol=0.25 + 2.0 * SOFT)
    assert person.state[STRIDE_TIME] > 0.0
