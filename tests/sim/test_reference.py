"""The reference gait: symmetric, with true derivatives, like published people, scaled by dynamic similarity."""

import functools

import mujoco
import numpy as np
import pytest
from exotwin.controllers.device import JOINTS
from exotwin.scenarios.normative import published
from exotwin.sim import state as slots
from exotwin.sim.body import Embodiment, root_quaternion
from exotwin.sim.gait_plan import refer
from exotwin.sim.person import FOOT_RADIUS, JOINT_RANGE
from exotwin.sim.reference import (
    AHEAD,
    ANGLE,
    CHANNELS,
    HEIGHT,
    LEFT,
    LIST,
    LOAD,
    MOMENT,
    N_JOINTS,
    PELVIS,
    PELVIS_SLOPE,
    ROTATION,
    ROWS,
    SLOPE,
    load_reference,
)
from exotwin.sim.state import STATE_SIZE, STRIDE_TIME
from exotwin.sim.subjects import SOURCE_STATURE, Subject
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline, RegularGridInterpolator

# Published speeds (m/s) of Bovi 2011 and their names; people of 1.70 m, the reference is one of 1.67 m.
PUBLISHED = {0.84: "very_slow", 1.20: "free", 1.49: "medium", 1.95: "fast"}
FIRST, CYCLE, LAST = range(3)
SPRUNG = ("hip_rotation", "mtp_extension")
SIGNALS = {0: "hip_flexion", 3: "knee_flexion", 4: "ankle_dorsiflexion"}


@functools.cache
def walk():
    return load_reference("walk")


def walking():
    """(slopes, speeds, ROWS, CHANNELS)"""
    r = walk()
    return r.cells[: len(r.slopes) * len(r.speeds)].reshape(len(r.slopes), len(r.speeds), ROWS, CHANNELS)


def stairs():
    """(down and up, first-cycle-last, rises, treads, ROWS, CHANNELS)"""
    r = walk()
    return r.cells[len(r.slopes) * len(r.speeds) :].reshape(2, 3, len(r.rises), len(r.treads), ROWS, CHANNELS)


def level(speed):
    """(ROWS, CHANNELS) of the published speed nearest to one."""
    r = walk()
    return walking()[np.argmin(np.abs(r.slopes)), np.argmin(np.abs(r.speeds - speed * np.sqrt(SOURCE_STATURE / 1.70)))]


def mirrored(cells):
    """The legs exchanged, left and right turned round."""
    out = cells.copy()
    for block in (ANGLE, SLOPE, MOMENT):
        out[..., block : block + 6] = cells[..., block + 6 : block + 12]
        out[..., block + 6 : block + 12] = cells[..., block : block + 6]
    out[..., LOAD : LOAD + 4] = cells[..., [LOAD + 2, LOAD + 3, LOAD, LOAD + 1]]
    for lateral in (LIST, ROTATION, LEFT):
        out[..., PELVIS + lateral] *= -1
        out[..., PELVIS_SLOPE + lateral] *= -1
    return out


def whole(cell, channel):
    """(101,) one joint's channel over the whole cycle from heel strike."""
    return np.concatenate([cell[:-1, channel], cell[:, channel + 6]])


def motion(rows):
    """Angles, pelvis and their rates but for where the pelvis is."""
    places = [PELVIS + HEIGHT, PELVIS + AHEAD]
    return np.delete(rows[..., : PELVIS_SLOPE + 6], [*range(MOMENT, MOMENT + N_JOINTS), *places], axis=-1)


def test_half_a_cycle_ends_as_its_mirror_image_begins():
    r = walk()
    for cells in (walking(), stairs()[:, CYCLE]):
        np.testing.assert_allclose(cells[..., -1, LOAD:], mirrored(cells[..., 0, :])[..., LOAD:], atol=1e-5)
        np.testing.assert_allclose(motion(cells[..., -1, :]), motion(mirrored(cells[..., 0, :])), atol=1e-5)
    # What the pelvis has gone is what the feet are apart.
    gone = walking()[..., -1, PELVIS + AHEAD] - walking()[..., 0, PELVIS + AHEAD]
    times = r.times[: gone.size].reshape(gone.shape)
    np.testing.assert_allclose(gone, r.speeds * times, atol=1e-5)
    cycles = stairs()[:, CYCLE]
    np.testing.assert_allclose(
        cycles[..., -1, PELVIS + AHEAD] - cycles[..., 0, PELVIS + AHEAD],
        np.broadcast_to(r.treads, cycles.shape[:3]),
        atol=1e-5,
    )
    climbed = cycles[..., -1, PELVIS + HEIGHT] - cycles[..., 0, PELVIS + HEIGHT]
    climb = np.array([-1.0, 1.0])[:, None, None] * r.rises[:, None]
    np.testing.assert_allclose(climbed, np.broadcast_to(climb, climbed.shape), atol=1e-5)


def test_first_and_last_steps_join_walking_to_stairs():
    slow = walking()[np.argmin(np.abs(walk().slopes)), 0]
    first, cycle, last = (stairs()[:, kind] for kind in (FIRST, CYCLE, LAST))

    def same(one, other):
        joints = slice(ANGLE, ANGLE + N_JOINTS)
        one, other = np.broadcast_arrays(one[..., joints], other[..., joints])
        np.testing.assert_allclose(one, other, atol=1e-5)

    same(first[..., 0, :], slow[0])
    same(first[..., -1, :], mirrored(cycle[..., 0, :]))
    same(last[..., 0, :], cycle[..., 0, :])
    same(last[..., -1, :], mirrored(slow[0]))


@pytest.mark.parametrize("kind", ["walking", "stairs"])
def test_slopes_are_the_derivatives_of_values(kind):
    cells = {"walking": walking, "stairs": stairs}[kind]().reshape(-1, ROWS, CHANNELS)
    phase = np.linspace(0.0, 0.5, ROWS)
    for values, slopes, width in ((ANGLE, SLOPE, N_JOINTS), (PELVIS, PELVIS_SLOPE, 6)):
        found = CubicSpline(phase, cells[:, :, values : values + width], axis=1)(phase, 1)
        stored = cells[:, :, slopes : slopes + width]
        scale = np.abs(found).max(axis=1, keepdims=True)
        inside = slice(3, -3)
        assert np.all(np.abs(stored - found)[:, inside] <= 0.01 * scale + 1e-4)


def test_angles_lie_within_the_joints_ranges():
    for j, joint in enumerate(JOINTS):
        low, high = JOINT_RANGE[joint]
        angle = walk().cells[:, :, [ANGLE + j, ANGLE + 6 + j]]
        assert low < angle.min()
        assert angle.max() < high + 0.05


@pytest.mark.parametrize("speed", PUBLISHED)
def test_angles_are_within_one_standard_deviation_of_people(speed):
    """At four fifths of the cycle; their ankle's neutral is not ours, so the mean is taken off there."""
    bands = published("level_walking", "Bovi2011", PUBLISHED[speed])
    for j, signal in SIGNALS.items():
        ours, band = np.degrees(whole(level(speed), ANGLE + j)), bands[f"angle/{signal}"]
        apart = ours - band.mean
        if band.offset:
            apart -= apart.mean()
        assert np.mean(np.abs(apart) < band.sd) > 0.8, signal
        assert np.all(np.abs(apart) < 2.0 * band.sd), signal


@pytest.mark.parametrize("speed", PUBLISHED)
def test_moments_are_within_one_standard_deviation_of_people(speed):
    """Hip and knee at 90 % of the cycle; the ankle, whose spread in swing is next to nothing, to 0.15 Nm/kg RMS."""
    bands = published("level_walking", "Bovi2011", PUBLISHED[speed])
    for j, signal in SIGNALS.items():
        ours, band = whole(level(speed), MOMENT + j), bands[f"moment/{signal}"]
        if signal == "ankle_dorsiflexion":
            assert np.sqrt(np.mean((ours - band.mean) ** 2)) < 0.15
            assert ours.min() == pytest.approx(band.mean.min(), rel=0.15), "push-off"
        else:
            assert np.mean(np.abs(ours - band.mean) < band.sd) > 0.9, signal


@pytest.mark.parametrize("speed", PUBLISHED)
def test_ground_force_is_that_of_people(speed):
    bands = published("level_walking", "Bovi2011", PUBLISHED[speed])
    cell = level(speed)
    for channel, signal, limit in ((LOAD + 1, "grf/z", 0.1), (LOAD, "grf/x", 0.03)):
        ours = np.concatenate([cell[:-1, channel], cell[:, channel + 2]])
        assert np.sqrt(np.mean((ours - bands[signal].mean) ** 2)) < limit, signal


def test_the_feet_carry_the_weight_over_a_cycle():
    """And neither drive nor brake a steady walker."""
    both = walk().cells[:, :-1, LOAD : LOAD + 2] + walk().cells[:, :-1, LOAD + 2 : LOAD + 4]
    mean = both.mean(axis=1)
    steady = np.ones(len(mean), dtype=bool)
    n = len(walk().slopes) * len(walk().speeds)
    flights = np.arange(len(mean) - n).reshape(stairs().shape[:4]) + n
    steady[flights[:, [FIRST, LAST]].ravel()] = False
    np.testing.assert_allclose(mean[steady, 1], 1.0, atol=0.005)
    np.testing.assert_allclose(mean[steady, 0], 0.0, atol=0.015)
    np.testing.assert_allclose(mean[~steady, 1], 1.0, atol=0.1)


@given(st.floats(1.4, 2.1), st.floats(45, 130))
def test_scaled_by_dynamic_similarity(height, mass):
    """At equal Froude numbers lengths go with l, times and speeds with sqrt(l), moments with m l."""
    reference, subject = walk(), Subject(height_m=height, mass_kg=mass)
    scaled, s = reference.for_subject(subject), subject.scale
    np.testing.assert_allclose(scaled.speeds**2 / (9.81 * s), reference.speeds**2 / 9.81)
    for same in (slice(ANGLE, ANGLE + 2 * N_JOINTS), slice(LOAD, LOAD + 4)):
        np.testing.assert_array_equal(scaled.cells[:, :, same], reference.cells[:, :, same])
    moved = [MOMENT + 6 * leg + j for leg in range(2) for j, joint in enumerate(JOINTS) if joint not in SPRUNG]
    np.testing.assert_allclose(scaled.cells[:, :, moved], reference.cells[:, :, moved] * mass * s)
    # Muscles owe nothing where springs give the moment.
    still = [MOMENT + 6 * leg + JOINTS.index(joint) for leg in range(2) for joint in SPRUNG]
    np.testing.assert_array_equal(scaled.cells[:, :, still], 0.0)
    steps = [r.speeds * r.times[: len(r.speeds)] for r in (scaled, reference)]
    np.testing.assert_allclose(steps[0], s * steps[1])
    gone = [r.cells[:, -1, PELVIS + AHEAD] - r.cells[:, 0, PELVIS + AHEAD] for r in (scaled, reference)]
    np.testing.assert_allclose(gone[0], s * gone[1])
    for name in ("rises", "treads", "heel_from_edge"):
        np.testing.assert_allclose(getattr(scaled, name), s * getattr(reference, name))
    # The sole's thickness is everybody's.
    hip = [r.cells[:, :, PELVIS + HEIGHT] - FOOT_RADIUS for r in (scaled, reference)]
    np.testing.assert_allclose(hip[0], s * hip[1])


def test_faster_walking_has_quicker_and_longer_strides():
    r = walk()
    times = 2.0 * r.times[: len(r.speeds)]
    assert np.all(np.diff(times) < 0)
    assert np.all(np.diff(times * r.speeds) > 0)
    # Bovi 2011: people of 1.7 m take 1.0-1.2 s a stride at natural speed.
    assert 1.0 < np.interp(1.2, r.speeds, times) < 1.2


@functools.cache
def someone():
    return Embodiment(Subject(height_m=1.8), None, walk(), 0.002)


def refer_at(**values):
    person, state = someone(), np.zeros(STATE_SIZE)
    for slot, value in values.items():
        state[getattr(slots, slot)] = value
    refer(person.body, state, person.work)
    return person.work.reference.copy(), state[STRIDE_TIME]


@given(st.floats(0.3, 2.3), st.floats(-0.25, 0.25), st.floats(0.0, 0.4999))
def test_walking_is_linear_in_speed_slope_and_phase_and_ends_at_its_limits(speed, grade, phase):
    body = someone().body
    grid = (body.slopes, body.speeds, np.linspace(0.0, 0.5, ROWS))
    n = len(body.slopes) * len(body.speeds)
    shape = (len(body.slopes), len(body.speeds))
    at = [np.clip(grade, body.slopes[0], body.slopes[-1]), np.clip(speed, body.speeds[0], body.speeds[-1])]
    found, time = refer_at(SPEED=speed, GRADE=grade, PHASE=phase)
    truth = RegularGridInterpolator(grid, body.cells[:n].reshape(*shape, ROWS, CHANNELS))
    np.testing.assert_allclose(found, truth((*at, phase))[...], atol=1e-9)
    assert time == pytest.approx(2.0 * float(RegularGridInterpolator(grid[:2], body.times[:n].reshape(shape))(at)[0]))


@given(
    st.floats(0.1, 0.24), st.floats(0.24, 0.4), st.floats(0.0, 0.4999), st.sampled_from([1.0, -1.0]), st.integers(1, 3)
)
def test_stairs_are_linear_in_rise_tread_and_phase(rise, tread, phase, direction, kind):
    body = someone().body
    grid = (body.rises, body.treads, np.linspace(0.0, 0.5, ROWS))
    cells = body.cells[len(body.slopes) * len(body.speeds) :].reshape(2, 3, *map(len, grid), CHANNELS)
    at = [np.clip(v, g[0], g[-1]) for v, g in zip((rise, tread), grid, strict=False)]
    found, _ = refer_at(STAIR_RISE=direction * rise, STAIR_TREAD=tread, PHASE=phase, DIRECTION=direction, KIND=kind)
    truth = RegularGridInterpolator(grid, cells[int(direction > 0), kind - 1])
    np.testing.assert_allclose(found, truth((*at, phase))[...], atol=1e-9)


@given(st.floats(0.5, 1.9), st.floats(-0.17, 0.17), st.floats(0.0, 0.499))
def test_the_left_leg_does_half_a_cycle_later_what_the_right_one_does(speed, grade, phase):
    right, time = refer_at(SPEED=speed, GRADE=grade, PHASE=phase)
    left, same = refer_at(SPEED=speed, GRADE=grade, PHASE=phase + 0.5)
    np.testing.assert_allclose(mirrored(left), right, atol=1e-9)
    assert time == same


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
