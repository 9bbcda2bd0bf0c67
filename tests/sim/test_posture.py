"""Quiet standing: a relaxed pose on flat soles, held in static equilibrium by the moments that come with it."""

import functools

import mujoco
import numpy as np
import pytest
from exotwin.controllers.device import JOINTS, SIDES
from exotwin.sim.body import SIDED_JOINTS, build_model, root_quaternion
from exotwin.sim.person import FOOT_RADIUS, JOINT_RANGE
from exotwin.sim.posture import build_stand
from exotwin.sim.reference import (
    AHEAD,
    ANGLE,
    HEIGHT,
    LOAD,
    MOMENT,
    PELVIS,
    PELVIS_SLOPE,
    SLOPE,
    TILT,
    load_reference,
)
from exotwin.sim.subjects import SOURCE_STATURE, Subject

MASS, G = 64.0, 9.81


@functools.cache
def standing():
    """The cell's row; the source-sized person in it, after MuJoCo's own forward and inverse dynamics at rest."""
    row = build_stand()[0]
    model = build_model(Subject(height_m=SOURCE_STATURE, mass_kg=MASS), None, 0.001)
    for flag in ("SPRING", "DAMPER", "LIMIT", "CONTACT", "ACTUATION"):
        model.opt.disableflags |= getattr(mujoco.mjtDisableBit, f"mjDSBL_{flag}")
    data = mujoco.MjData(model)
    data.qpos[2] = row[PELVIS + HEIGHT]
    data.qpos[3:7] = root_quaternion(row[PELVIS + TILT], 0.0, 0.0)
    for j, joint in enumerate(SIDED_JOINTS):
        data.joint(joint).qpos[0] = row[ANGLE + j]
    mujoco.mj_forward(model, data)
    data.qacc[:] = 0.0
    mujoco.mj_inverse(model, data)
    return row, model, data


def soles(model, data, side):
    """Centres of the spheres under one foot, (7, 3) m."""
    return np.array([data.geom(f"{b}_{side}_sole{i}").xpos for b, n in (("calcn", 5), ("toes", 2)) for i in range(n)])


def test_nothing_changes_with_time_and_both_legs_do_the_same():
    cell = build_stand()
    assert np.ptp(cell, axis=0).max() == 0.0
    assert not cell[:, SLOPE : SLOPE + 12].any()
    assert not cell[:, PELVIS_SLOPE : PELVIS_SLOPE + 6].any()
    for block in (ANGLE, MOMENT):
        np.testing.assert_allclose(cell[:, block : block + 6], cell[:, block + 6 : block + 12], atol=1e-9)
    np.testing.assert_array_equal(cell[:, LOAD : LOAD + 4], np.tile([0.0, 0.5, 0.0, 0.5], (len(cell), 1)))


def test_soles_lie_flat_on_the_ground():
    _, model, data = standing()
    for side in SIDES:
        height = soles(model, data, side)[:, 2] - FOOT_RADIUS
        assert np.ptp(height) < 0.004
        assert -0.006 < height.min() < 0.0, "they sink a little under load"


def test_the_knees_are_all_but_straight_and_the_trunk_upright():
    row, _, data = standing()
    hip, *_, knee, ankle, _ = np.degrees(row[ANGLE : ANGLE + 6])
    assert 0.0 < knee < 10.0
    assert 0.0 < ankle < 10.0
    assert hip < 25.0
    up = data.body("torso").xmat.reshape(3, 3)[:, 1]
    assert np.degrees(np.arccos(up[2])) < 8.0
    for joint, angle in zip(JOINTS, row[ANGLE : ANGLE + 6], strict=True):
        assert JOINT_RANGE[joint][0] < angle < JOINT_RANGE[joint][1]


def test_the_centre_of_mass_is_5_cm_before_the_ankles_and_over_the_feet():
    """Winter 1995, Gait Posture 3:193."""
    _, model, data = standing()
    com = data.subtree_com[0]
    assert com[0] - data.body("talus_r").xpos[0] == pytest.approx(0.05, abs=0.003)
    assert com[1] == pytest.approx(0.0, abs=1e-9)
    places = soles(model, data, "r")[:, 0]
    assert places.min() + 0.03 < com[0] < places.max() - 0.03


def test_moments_are_those_of_statics():
    """Inverse dynamics at rest with half the weight under each foot, in line with the centre of mass."""
    row, model, data = standing()
    torque = data.qfrc_inverse.copy()
    for side in SIDES:
        jacobian = np.zeros((3, model.nv))
        at = np.array([data.subtree_com[0][0], soles(model, data, side)[:, 1].mean(), 0.0])
        mujoco.mj_jac(model, data, jacobian, None, at, model.body(f"calcn_{side}").id)
        torque -= 0.5 * MASS * G * jacobian[2]
    np.testing.assert_allclose(torque[:6], 0.0, atol=0.5)
    expected = torque[[model.joint(j).dofadr[0] for j in SIDED_JOINTS]] / MASS
    np.testing.assert_allclose(row[MOMENT : MOMENT + 12], expected, atol=0.01)
    # By hand: what stands on an ankle tips it by half of m g x 5 cm, less the feet, about 3 % of the mass.
    assert row[MOMENT + 4] == pytest.approx(-0.5 * 0.97 * G * 0.05, rel=0.1)


def test_the_shipped_reference_ends_standing():
    stand = load_reference("stand")
    assert stand.still
    assert np.all(stand.speeds == 0.0)
    row = build_stand()[0]
    for cell in stand.cells:
        np.testing.assert_allclose(cell[-1, ANGLE : ANGLE + 12], row[ANGLE : ANGLE + 12], atol=0.03)
        feet = cell[-1, PELVIS + HEIGHT] - row[PELVIS + HEIGHT]
        assert abs(feet) < 0.01
        assert np.isfinite(cell[:, PELVIS + AHEAD]).all()
