"""Postures: rises obey mechanics and stay on the feet, the seat touches the ischia alone, people do as asked."""

import copy
from itertools import pairwise

import mujoco
import numpy as np
import pytest
from exotwin.scenarios.catalogue import find_device
from exotwin.sim.body import SIDED_JOINTS, Embodiment, root_quaternion
from exotwin.sim.person import FOOT_RADIUS
from exotwin.sim.plant import Plant
from exotwin.sim.posture_plan import (
    POSTURE_MODES,
    POSTURES,
    SIT,
    SQUAT,
    STAND,
    mode_number,
    move_posture,
    refer_posture,
    start_posture,
)
from exotwin.sim.reference import AHEAD, ANGLE, CHANNELS, HEIGHT, LOAD, MOMENT, PELVIS, ROWS, TILT, load_reference
from exotwin.sim.runlog import RunLog
from exotwin.sim.seat import seat_place
from exotwin.sim.state import GOAL, PHASE, STATE_SIZE
from exotwin.sim.subjects import Subject
from exotwin.sim.truth import BLOCKS

G = 9.81
ODD = Subject("odd", 62.0, 1.58, sex="female", thigh_ratio=1.08, foot_ratio=0.92, leg_ratio=1.05)
HKA = find_device("hip_knee_ankle")


@pytest.fixture(scope="module", params=[Subject(), ODD], ids=["default", "odd"])
def person(request):
    return Embodiment(request.param, None, load_reference("stand"), 0.002)


def put(person, row):
    """Data with the person in the pose of a reference row."""
    data = mujoco.MjData(person.model)
    data.qpos[[0, 2]] = row[[PELVIS + AHEAD, PELVIS + HEIGHT]]
    data.qpos[3:7] = root_quaternion(row[PELVIS + TILT], 0.0, 0.0)
    data.qpos[person.body.qpos] = row[ANGLE : ANGLE + 12]
    mujoco.mj_forward(person.model, data)
    return data


def touching(person, data):
    """Names of the pairs of geoms in contact."""
    return {tuple(sorted(person.model.geom(g).name for g in c.geom)) for c in data.contact}


def rise(person, low):
    return person.body.cells[low - 1], float(person.body.times[low - 1])


@pytest.mark.parametrize("low", [SIT, SQUAT])
def test_soles_stay_flat_where_they_are(person, low):
    """On anybody's legs: heels within 2 mm of their place, every sphere of heel and ball sunk in by 1-5 mm."""
    soles = [person.model.geom(f"calcn_{s}_sole{i}").id for s in "rl" for i in range(5)]
    for row in rise(person, low)[0]:
        centre = put(person, row).geom_xpos[soles]
        assert np.abs(centre[[0, 1, 5, 6], 0]).max() < 0.002
        sunk = FOOT_RADIUS - centre[:, 2]
        assert 0.001 < sunk.min() <= sunk.max() < 0.005


@pytest.mark.parametrize("low", [SIT, SQUAT])
def test_ground_carries_what_moves(person, low):
    """Newton for the whole body once the seat is left: ground force = m (g + a of the centre of mass)."""
    cell, seconds = rise(person, low)
    centre = np.array([put(person, row).subtree_com[0].copy() for row in cell])
    dt = seconds / (ROWS - 1)
    acceleration = (centre[2:] - 2.0 * centre[1:-1] + centre[:-2]) / dt**2
    inner = slice(18 if low == SIT else 1, ROWS - 2)
    force = cell[1:-1][:, [LOAD, LOAD + 1]] + cell[1:-1][:, [LOAD + 2, LOAD + 3]]
    np.testing.assert_allclose(force[inner, 1], 1.0 + acceleration[inner, 2] / G, atol=0.05)
    np.testing.assert_allclose(force[inner, 0], acceleration[inner, 0] / G, atol=0.05)


def test_rise_takes_the_published_knee_moment():
    """Uhlrich 2022: extension 0.96 Nm/kg a leg at most, just after seat-off; 0.8 in the squat."""
    source = Embodiment(Subject(), None, load_reference("stand"), 0.002)
    mass, scale = source.subject.mass_kg, source.subject.scale
    for low, wanted in ((SIT, 0.96), (SQUAT, 0.81)):
        knee = -rise(source, low)[0][:, MOMENT + 3] / (mass * scale)
        assert knee.max() == pytest.approx(wanted, abs=0.15)
    at = np.argmax(-rise(source, SIT)[0][:, MOMENT + 3]) / (ROWS - 1)
    assert 0.3 < at < 0.55
    assert np.abs(rise(source, SIT)[0][:10, MOMENT + 3]).max() / (mass * scale) < 0.15, "the seat carries at first"


def test_rises_end_in_the_same_stance(person):
    np.testing.assert_allclose(*[cell[-1, ANGLE : ANGLE + 12] for cell in person.body.cells], atol=1e-6)
    depth = np.degrees([cell[0, ANGLE + 3] for cell in person.body.cells])
    assert ((depth > 85.0) & (depth < 105.0)).all()


def test_seat_is_at_knee_height_and_touches_the_ischia_only(person):
    _, height = seat_place(person.model)
    assert height == pytest.approx(0.26 * person.subject.height_m, abs=0.02)
    on_seat = {("ischium_l", "seat"), ("ischium_r", "seat")}
    sitting = touching(person, put(person, rise(person, SIT)[0][0]))
    assert on_seat < sitting
    assert all("floor" in pair for pair in sitting - on_seat)
    for row in rise(person, SQUAT)[0]:
        assert not on_seat & touching(person, put(person, row))


def test_who_walks_has_no_seat():
    if not load_walk():
        pytest.skip("no walking reference")
    names = [load_walk().model.geom(i).name for i in range(load_walk().model.ngeom)]
    assert not [n for n in names if "seat" in n or "ischium" in n]


def load_walk():
    return Embodiment(Subject(), None, load_reference("walk"), 0.002)


def follow(person, start, goals, dt=0.004):
    """Reference rows, modes and the time of each along a list of goals, each asked for once the last is reached."""
    state, rows, modes = np.zeros(STATE_SIZE), [], []
    start_posture(state, start, start, 0.0)
    for goal in goals:
        state[GOAL] = goal
        for _ in range(round(5.0 / dt)):
            row = np.zeros(CHANNELS)
            refer_posture(person.body, state, row)
            move_posture(state, dt)
            rows.append(row)
            modes.append(POSTURE_MODES[mode_number(state)])
    return np.array(rows), np.array(modes), state


def test_way_from_seat_to_squat_leads_over_standing(person):
    rows, modes, _ = follow(person, SIT, [SQUAT])
    changes = [modes[0], *[b for a, b in pairwise(modes) if a != b]]
    assert changes == ["sit_to_stand", "squat"]
    assert np.abs(rows[:, ANGLE + 3]).min() < np.radians(10.0)
    assert rows[-1, ANGLE + 3] == pytest.approx(person.body.cells[SQUAT - 1][0, ANGLE + 3])


def test_reference_never_jumps(person):
    rows = follow(person, STAND, [SIT, STAND, SQUAT, STAND, SIT, SQUAT])[0]
    step = np.abs(np.diff(rows[:, ANGLE : ANGLE + 12], axis=0)).max()
    assert 0.0 < step < 0.004 * 5.0, "5 rad/s"
    np.testing.assert_allclose(rows[:, ANGLE : ANGLE + 6], rows[:, ANGLE + 6 : ANGLE + 12], atol=1e-6)


def test_movement_takes_its_time_and_is_named(person):
    _, modes, state = follow(person, STAND, [SIT, STAND], dt=0.002)
    assert (modes == "sit_to_stand").sum() * 0.002 == pytest.approx(person.body.times[SIT - 1], abs=0.01)
    assert modes[0] == "stand_to_sit"
    assert modes[-1] == "stand"
    assert state[PHASE] == pytest.approx(0.5)


# --- the shipped policy ---------------------------------------------------------------------------------------------


def test_unknown_posture_names_the_nearest():
    plant = Plant(Subject(), None, "stand")
    with pytest.raises(ValueError, match="'squat'"):
        plant.command_posture("sqaut")


@pytest.fixture(scope="module")
def sitting():
    """A person in an exo who sat, rose and stands: the plant, its recording and the single instants."""
    plant = Plant(Subject(), HKA, "stand", control_rate_hz=500.0)
    log = RunLog(plant, 6.0)
    plant.reset(0.0, np.random.default_rng(0), posture="sit")
    instants = []
    for k in range(3000):
        if k == 1000:
            plant.command_posture("stand")
        log.add(None)
        data = plant.person.data
        here = (plant.row.copy(), data.qpos.copy(), data.qvel.copy(), contact_wrenches(plant.person.model, data))
        plant.step()
        instants.append((*here, (data.qvel - here[2]) * 500.0))
    assert not plant.fallen
    return plant, log.recording("test", "test", 0), instants


def contact_wrenches(model, data):
    """(body, point, force) of every contact, the force on the body that moves."""
    found, wrench = [], np.zeros(6)
    for c, contact in enumerate(data.contact):
        mujoco.mj_contactForce(model, data, c, wrench)
        force = contact.frame.reshape(3, 3).T @ wrench[:3]
        for geom, sign in zip(contact.geom, (-1.0, 1.0), strict=True):
            body = model.geom_bodyid[geom]
            if model.body_weldid[body]:
                found.append((body, contact.pos.copy(), sign * force))
    return found


def test_seat_and_feet_carry_the_weight(sitting):
    plant, recording, _ = sitting
    assert plant.person.model.body("seat").id == plant.person.model.nbody - 1
    weight = G * plant.person.model.body_mass.sum()
    carried = recording["seat/z"] + recording["grf/r/z"] + recording["grf/l/z"]
    still = slice(500, 1000)
    assert carried[still].mean() == pytest.approx(weight, rel=0.01)
    # Seats carry 75-85 % of people who sit with their feet on the floor.
    assert 0.6 < recording["seat/z"][still].mean() / weight < 0.9
    assert recording["seat/z"][-500:].max() == 0.0


def test_recording_names_the_movement(sitting):
    modes = sitting[1]["mode"]
    changes = [modes[0], *[b for a, b in pairwise(modes) if a != b]]
    assert changes == ["stand_to_sit", "sit_to_stand", "stand"]


def test_net_torque_is_inverse_dynamics_with_the_seat(sitting):
    """Bones alone, without muscles, springs, limits and contacts, under the forces of every single contact."""
    plant, _, instants = sitting
    model = copy.copy(plant.person.model)
    off = mujoco.mjtDisableBit
    for flag in (off.mjDSBL_CONSTRAINT, off.mjDSBL_ACTUATION, off.mjDSBL_SPRING, off.mjDSBL_DAMPER):
        model.opt.disableflags |= flag
    data, dof = mujoco.MjData(model), [model.joint(j).dofadr[0] for j in SIDED_JOINTS]
    seen = False
    for row, q, v, contacts, a in instants[3::100]:
        data.qpos[:], data.qvel[:], data.qacc[:] = q, v, a
        mujoco.mj_inverse(model, data)
        wanted = data.qfrc_inverse.copy()
        for body, point, force in contacts:
            outer = np.zeros(model.nv)
            mujoco.mj_applyFT(model, data, force, np.zeros(3), point, body, outer)
            wanted -= outer
            seen |= model.body(body).name == "pelvis"
        net = sum(row[start : start + n] for start, n in (BLOCKS[b] for b in ("muscle", "ligament", "exo")))
        np.testing.assert_allclose(net, wanted[dof], rtol=0, atol=1e-6 * np.abs(wanted[dof]).max())
        assert np.abs(wanted[:6]).max() < 1e-6 * G * plant.subject.mass_kg, "nothing else holds the person"
    assert seen


@pytest.mark.parametrize("posture", POSTURES)
def test_people_do_as_they_are_asked(posture):
    plant = Plant(Subject(), HKA, "stand")
    for seed in range(3):
        plant.reset(0.0, np.random.default_rng(seed), posture=posture)
        for asked in ("stand", "sit", "stand"):
            end = plant.time + 2.5
            plant.command_posture(asked)
            while plant.time < end:
                plant.step()
                assert not plant.fallen, f"{posture}, seed {seed}: fell at {plant.time:.1f} s on the way to {asked}"
            knee = np.degrees(plant.row[BLOCKS["angle"][0] + 3])
            low, high = (-5.0, 25.0) if asked == "stand" else (75.0, 110.0)
            assert low < knee < high, asked


@pytest.mark.slow
@pytest.mark.parametrize("asked", [("stand",), ("sit", "stand"), ("stand", "sit")])
def test_32_random_starts_survive_20_s(asked):
    plant, fallen = Plant(Subject(), HKA, "stand"), []
    for seed in range(32):
        rng = np.random.default_rng((7, seed))
        plant.reset(0.0, rng, posture=asked[0])
        times = np.cumsum(rng.uniform(2.5, 5.0, len(asked) - 1))
        while plant.time < 20.0 and not plant.fallen:
            plant.command_posture(asked[int(np.searchsorted(times, plant.time))])
            plant.step()
        if plant.fallen:
            fallen.append(f"seed {seed} at {plant.time:.1f} s")
    assert len(fallen) <= 1, fallen
