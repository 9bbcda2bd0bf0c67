"""The reference gait: periodic, symmetric, with true derivatives, scaled by dynamic similarity."""

import functools

import mujoco
import numpy as np
import pytest
from exotwin.controllers.device import JOINTS, SIDES
from exotwin.sim.body import SIDED_JOINTS, build_model
from exotwin.sim.nervous import interpolate
from exotwin.sim.person import JOINT_RANGE, Subject
from exotwin.sim.reference import (
    ANGLE,
    CHANNELS,
    MOMENT,
    PELVIS,
    PELVIS_SLOPE,
    PHASES,
    SLOPE,
    load_reference,
    root_quaternion,
)
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

NAMES = ("level_walk", "stand")


@functools.cache
def walk():
    return load_reference("level_walk")


def at(reference, speed, phase):
    out = np.zeros(CHANNELS)
    interpolate(reference.table, reference.speeds, speed, phase, out)
    return out


@pytest.mark.parametrize("name", NAMES)
def test_slopes_are_the_derivative_of_periodic_values(name):
    table = load_reference(name).table
    phase = np.arange(PHASES + 1) / PHASES
    for values, slopes in ((ANGLE, SLOPE), (PELVIS, PELVIS_SLOPE)):
        width = 12 if values == ANGLE else 4
        value = table[:, :, values : values + width]
        closed = np.concatenate([value, value[:, :1]], axis=1)
        derivative = CubicSpline(phase, closed, axis=1, bc_type="periodic")(phase[:-1], 1)
        stored = table[:, :, slopes : slopes + width]
        scale = np.abs(derivative).max(axis=1, keepdims=True)
        assert np.all(np.abs(stored - derivative) <= 0.02 * scale + 1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_left_is_right_half_a_cycle_later(name):
    table = load_reference(name).table
    for block in (ANGLE, SLOPE, MOMENT):
        right, left = table[:, :, block : block + 6], table[:, :, block + 6 : block + 12]
        np.testing.assert_allclose(left, np.roll(right, -PHASES // 2, axis=1), atol=2e-6)
    # Height and tilt repeat twice a stride, list and rotation change sides.
    shifted = np.roll(table, -PHASES // 2, axis=1)[:, :, PELVIS : PELVIS + 4]
    np.testing.assert_allclose(shifted * [1, 1, -1, -1], table[:, :, PELVIS : PELVIS + 4], atol=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_angles_lie_within_the_joints_ranges(name):
    table = load_reference(name).table
    for j, joint in enumerate(JOINTS):
        low, high = JOINT_RANGE[joint]
        angle = table[:, :, ANGLE + j]
        assert low < angle.min()
        assert angle.max() < high


def test_walk_is_that_of_people():
    """Extremes at 1.25 m/s lie where people's do (Winter 1991, Bovi 2011): knee in swing, hip, ankle at push-off."""
    reference = walk()
    gait = np.degrees([at(reference, 1.25, p)[ANGLE : ANGLE + 6] for p in np.linspace(0, 1, 200, endpoint=False)])
    hip, knee, ankle = gait[:, 0], gait[:, 3], gait[:, 4]
    assert 50 < knee.max() < 75
    assert 0.65 < np.argmax(knee) / 200 < 0.80
    assert 30 < hip.max() - hip.min() < 55
    assert 0.45 < np.argmin(hip) / 200 < 0.60
    assert 0.55 < np.argmin(ankle) / 200 < 0.70
    moment = np.array([at(reference, 1.25, p)[MOMENT + 4] for p in np.linspace(0, 1, 200, endpoint=False)])
    assert -2.0 < moment.min() < -1.0  # plantarflexion, Nm/kg
    assert 0.40 < np.argmin(moment) / 200 < 0.55


@given(st.floats(0.3, 2.5), st.floats(-2.0, 2.0))
def test_interpolation_is_periodic_and_linear(speed, phase):
    reference = walk()
    here = at(reference, speed, phase)
    np.testing.assert_allclose(here, at(reference, speed, phase + 1.0), atol=1e-9)
    clipped = np.clip(speed, reference.speeds[0], reference.speeds[-1])
    grid = np.arange(PHASES + 1) / PHASES
    closed = np.concatenate([reference.table, reference.table[:, :1]], axis=1)
    rows = [np.interp(phase % 1.0, grid, closed[i, :, 3]) for i in range(len(reference.speeds))]
    assert here[3] == pytest.approx(np.interp(clipped, reference.speeds, rows), abs=1e-9)


@given(st.floats(1.4, 2.1), st.floats(45, 130), st.floats(0.5, 2.0))
def test_scaled_by_dynamic_similarity(height, mass, speed):
    reference = walk()
    subject = Subject(height_m=height, mass_kg=mass)
    scaled = reference.for_subject(subject)
    s = subject.scale
    np.testing.assert_allclose(scaled.speeds, reference.speeds * np.sqrt(s))
    np.testing.assert_array_equal(scaled.table[:, :, ANGLE : ANGLE + 12], reference.table[:, :, ANGLE : ANGLE + 12])
    ratio = scaled.table[:, :, MOMENT : MOMENT + 6].std() / reference.table[:, :, MOMENT : MOMENT + 6].std()
    assert ratio == pytest.approx(mass * s)
    # At equal Froude number stride lengths are equal in leg lengths: speed x stride time grows with s.
    length = speed * np.sqrt(s) * reference.stride_time(speed * np.sqrt(s), s)
    assert length / s == pytest.approx(speed * reference.stride_time(speed, 1.0))


def test_faster_walking_has_quicker_and_longer_strides():
    reference = walk()
    speeds = np.array([0.6, 0.9, 1.25, 1.6, 2.0])
    times = np.array([reference.stride_time(v, 1.0) for v in speeds])
    assert np.all(np.diff(times) < 0)
    assert np.all(np.diff(times * speeds) > 0)
    # Bovi 2011: people of 1.7 m take 1.0-1.2 s a stride at natural speed.
    assert 0.95 < reference.stride_time(1.25, 1.0) < 1.2


def posed(reference, subject, speed, phase):
    """The model on the reference at a phase, its data after forward kinematics."""
    model = build_model(subject, None, 0.001)
    data = mujoco.MjData(model)
    row = at(reference.for_subject(subject), speed, phase)
    data.qpos[:3] = 0.0, 0.0, row[PELVIS]
    data.qpos[3:7] = root_quaternion(*row[PELVIS + 1 : PELVIS + 4])
    for j, joint in enumerate(SIDED_JOINTS):
        data.joint(joint).qpos[0] = row[ANGLE + j]
    mujoco.mj_forward(model, data)
    return model, data


@pytest.mark.parametrize("height", [1.5, 1.75, 2.0])
@pytest.mark.parametrize("phase", [0.0, 0.13, 0.3, 0.5, 0.81])
def test_the_lower_foot_rests_on_the_ground(height, phase):
    model, data = posed(walk(), Subject(height_m=height), 1.25, phase)
    lowest = min(
        data.geom_xpos[g][2] - model.geom_size[g][0] for g in range(model.ngeom) if "calcn" in model.geom(g).name
    )
    assert -0.02 < lowest < 0.015


def test_standing_balances_over_the_feet():
    reference = load_reference("stand")
    assert reference.still
    assert reference.stride_time(0.0, 1.0) > 1e6
    _, data = posed(reference, Subject(), 0.0, 0.0)
    com, ankle = data.subtree_com[0][0], data.body("talus_r").xpos[0]
    assert com - ankle == pytest.approx(0.05, abs=0.005)
    heel, toe = (data.body(f"{b}_r").xpos[0] for b in ("calcn", "toes"))
    assert heel < com < toe
    row = at(reference, 0.0, 0.0)
    for side, start in zip(SIDES, (0, 6), strict=True):
        # The centre of mass 5 cm before the ankles needs m g x 0.05 / 2 of plantarflexion in each.
        expected = -9.81 * 0.05 / 2 * (1 - 2 * 0.0145)
        assert row[MOMENT + start + 4] == pytest.approx(expected, rel=0.1), side


@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_root_quaternion_leans_lists_and_turns(tilt, list_, rotation):
    q = root_quaternion(tilt, list_, rotation)
    assert np.linalg.norm(q) == pytest.approx(1.0)

    def matrix(axis, angle):
        out, quat = np.zeros(9), np.zeros(4)
        mujoco.mju_axisAngle2Quat(quat, np.array(axis, float), angle)
        mujoco.mju_quat2Mat(out, quat)
        return out.reshape(3, 3)

    # Body-fixed order: tilt (backward lean positive) about our left-right axis, list, rotation.
    expected = matrix([0, -1, 0], tilt) @ matrix([1, 0, 0], list_) @ matrix([0, 0, 1], rotation)
    out = np.zeros(9)
    mujoco.mju_quat2Mat(out, q)
    np.testing.assert_allclose(out.reshape(3, 3), expected, atol=1e-12)
