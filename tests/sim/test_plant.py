"""The plant as a controller meets it: same seed, same bytes; any control rate; bad input; shipped people walk."""

import numpy as np
import pytest
from exotwin.scenarios.catalogue import find_device
from exotwin.sim.impairments import KINDS, Impairment
from exotwin.sim.plant import Plant
from exotwin.sim.sensors.faults import Missing, Stuck
from exotwin.sim.subjects import Subject
from exotwin.sim.terrain import ground_height, load_terrain
from exotwin.sim.truth import BLOCKS

WORN = {
    "bare": None,
    "hip_knee_ankle": find_device("hip_knee_ankle"),
    "dephy_exoboot": find_device("dephy_exoboot"),
}
SPEEDS = (0.9, 1.25, 1.55)
HKA = WORN["hip_knee_ankle"]
X = BLOCKS["pelvis"][0]


def walk(plant, seconds, seed=0, torque=None, speed=1.25):
    """Truth rows (n, ROW) and frame values (n, channels) of a run from `seed`; torque: tick -> command."""
    frame = plant.reset(speed, np.random.default_rng(seed))
    rows, values = [plant.row.copy()], [frame.values if frame else np.zeros(0)]
    for k in range(round(seconds * plant.rate)):
        frame = plant.step(torque(k) if torque else None)
        rows.append(plant.row.copy())
        values.append(frame.values if frame else np.zeros(0))
    return np.array(rows), np.array(values)


def wave(k):
    return 8.0 * np.sin(0.05 * k + np.arange(6))


@pytest.mark.parametrize("worn", WORN)
def test_same_seed_same_bytes(worn):
    """Also on a plant that has walked before, under torque, at another speed and in another lane."""
    device = WORN[worn]
    torque = None if device is None else lambda k: wave(k)[: len(device.actuated)]
    used, fresh = Plant(Subject(), device), Plant(Subject(), device)
    walk(used, 0.3, seed=5, torque=torque)
    used.command_speed(0.8)
    used.change_lane(0.2)
    for a, b in zip(walk(used, 0.5, torque=torque), walk(fresh, 0.5, torque=torque), strict=True):
        assert a.tobytes() == b.tobytes()


def test_other_seed_other_run():
    plant = Plant(Subject(), HKA)
    (rows, values), (other_rows, other_values) = (walk(plant, 0.05, seed=s) for s in (0, 1))
    assert not np.array_equal(rows, other_rows)
    assert not np.array_equal(values, other_values)


def test_sensor_noise_changes_with_the_seed_even_from_the_same_pose():
    plant = Plant(Subject(), HKA)
    a, b = (plant.reset(1.25, np.random.default_rng(s), phase=0.2).values for s in (0, 1))
    assert np.mean(a != b) > 0.8


def test_physics_does_not_know_the_control_rate():
    """At rates whose period is whole 2 ms steps, the person does the same to the last bit."""
    runs = {rate: walk(Plant(Subject(), HKA, control_rate_hz=rate), 0.6)[0] for rate in (100.0, 250.0, 500.0)}
    for rate in (100.0, 250.0):
        every = round(500.0 / rate)
        assert runs[rate].tobytes() == runs[500.0][::every].tobytes()


@pytest.mark.parametrize("rate", [1000.0, 320.0])
def test_person_walks_about_the_same_at_finer_physics_steps(rate):
    seconds = 1.0
    coarse = walk(Plant(Subject(), None, control_rate_hz=100.0), seconds)[0]
    fine_plant = Plant(Subject(), None, control_rate_hz=rate)
    assert fine_plant.person.model.opt.timestep < 0.002
    fine = walk(fine_plant, seconds)[0]
    angle = slice(BLOCKS["angle"][0], sum(BLOCKS["angle"]))
    times = np.arange(len(coarse)) / 100.0
    at = np.rint(times * rate).astype(int)
    apart = np.degrees(fine[at, angle] - coarse[:, angle])
    assert np.sqrt(np.mean(apart**2)) < 3.0
    assert fine[-1, X] == pytest.approx(coarse[-1, X], rel=0.05)


def test_time_goes_on_in_control_periods():
    plant = Plant(Subject(), HKA, control_rate_hz=400.0)
    first = plant.reset(1.25, np.random.default_rng(0))
    times = [first.time] + [plant.step().time for _ in range(40)]
    np.testing.assert_allclose(np.diff(times), 1 / 400.0)
    assert times[0] == 0.0
    assert plant.time == times[-1]


def test_bare_person_gives_no_frames():
    plant = Plant(Subject(), None)
    assert plant.reset(1.25, np.random.default_rng(0)) is None
    assert plant.step() is None


def test_rotators_hold_the_hips_and_do_not_drive_the_walk():
    """Walking takes 5 to 8 Nm RMS of them and next to none of its work; muscles do over 2 W/kg."""
    plant = Plant(Subject(), None)
    plant.reset(1.2, np.random.default_rng(0))
    data, model = plant.person.data, plant.person.model
    rows = [model.actuator(f"rotators_{side}") for side in "rl"]
    dofs = [model.joint(f"hip_rotation_{side}").dofadr[0] for side in "rl"]
    torque, velocity = np.empty((2, 1000, 2))
    for k in range(1000):
        plant.step()
        torque[k] = [data.act[row.actadr[0]] * row.gainprm[0] for row in rows]
        velocity[k] = data.qvel[dofs]
    torque, velocity = torque[200:], velocity[200:]
    assert 4.0 < np.sqrt(np.mean(torque**2)) < 9.0
    positive = np.maximum(torque * velocity, 0.0).sum(axis=1).mean() / plant.person.subject.mass_kg
    assert positive < 0.03


def test_person_takes_up_another_speed_and_lane():
    plant = Plant(Subject(), None)
    plant.reset(1.4, np.random.default_rng(0))
    positions = []
    for k in range(round(12.0 * plant.rate)):
        if k == round(4.0 * plant.rate):
            plant.command_speed(1.1)
            plant.change_lane(0.3)
        plant.step()
        positions.append(plant.row[X : X + 2].copy())
    assert not plant.fallen
    assert plant.row[BLOCKS["command_speed"][0]] == 1.1
    x, y = np.array(positions).T
    second = round(plant.rate)
    assert (x[4 * second] - x[2 * second]) / 2.0 == pytest.approx(1.4, abs=0.14)
    assert (x[-1] - x[-4 * second - 1]) / 4.0 == pytest.approx(1.1, abs=0.11)
    assert np.mean(y[-4 * second :]) == pytest.approx(0.3, abs=0.15)


@pytest.mark.parametrize("push", [(100.0, 0.0), (-100.0, 0.0), (0.0, 100.0), (0.0, -100.0)], ids=str)
def test_a_push_at_the_pelvis_is_survived(push):
    """100 N for 0.2 s at four places in the gait, in an unpowered exoskeleton (`benchmarks/survival.py`: 64 people)."""
    plant = Plant(Subject(), HKA)
    applied = plant.person.data.xfrc_applied[plant.person.model.body("pelvis").id]
    for phase in (0.05, 0.3, 0.55, 0.8):
        plant.reset(1.2, np.random.default_rng(0), phase=phase)
        for k in range(round(6.0 * plant.rate)):
            applied[:2] = push if 2.0 <= k / plant.rate < 2.2 else 0.0
            plant.step()
            assert not plant.fallen


def test_command_is_held_until_the_next_and_reaches_the_limb():
    plant = Plant(Subject(), HKA)
    torque = np.array([0.0, 0.0, 6.0, 0.0, 0.0, 0.0])
    held = walk(plant, 0.3, torque=lambda k: torque if k == 0 else None)[0]
    repeated = walk(plant, 0.3, torque=lambda k: torque)[0]
    idle = walk(plant, 0.3)[0]
    assert held.tobytes() == repeated.tobytes()
    ankle = BLOCKS["exo"][0] + 4
    gained = np.mean((held - idle)[20:, ankle])
    assert gained == pytest.approx(6.0, abs=1.5)


def test_torque_that_is_not_a_number_is_none():
    plant = Plant(Subject(), HKA)
    idle, broken = walk(plant, 0.1)[0], walk(plant, 0.1, torque=lambda k: np.full(6, np.nan))[0]
    assert idle.tobytes() == broken.tobytes()


@pytest.mark.parametrize("worn", WORN)
def test_command_of_the_wrong_length_is_refused(worn):
    plant = Plant(Subject(), WORN[worn])
    plant.reset(1.25, np.random.default_rng(0))
    n = len(WORN[worn].actuated) if WORN[worn] else 0
    with pytest.raises(ValueError, match=f"{n + 1} torques for {n} actuated"):
        plant.step(np.zeros(n + 1))


def test_unknown_gait_names_the_nearest():
    with pytest.raises(ValueError, match="no gait 'wlak'; did you mean 'walk'"):
        Plant(Subject(), None, gait="wlak")


def test_unknown_policy_names_the_nearest():
    with pytest.raises(ValueError, match="no policy 'wolk'; did you mean 'walk'"):
        Plant(Subject(), None, policy="wolk")


def test_faults_spoil_their_channels_in_their_time_and_nothing_else():
    faults = (
        Missing(start_s=0.1, end_s=0.2, channels="imu/thigh_r/*"),
        Stuck(start_s=0.15, end_s=0.3, channels="encoder/knee_flexion_l/angle"),
    )
    spoilt, whole = Plant(Subject(), HKA, faults=faults), Plant(Subject(), HKA)
    rows, values = walk(spoilt, 0.4)
    true_rows, true = walk(whole, 0.4)
    assert rows.tobytes() == true_rows.tobytes(), "sensor faults do not touch the physics"
    time = np.arange(len(rows)) / spoilt.rate
    missing = np.isnan(values)
    thigh = np.array([n.startswith("imu/thigh_r/") for n in HKA.layout.names])
    in_time = (time >= 0.1 - 1e-9) & (time < 0.2 - 1e-9)
    np.testing.assert_array_equal(missing, in_time[:, None] & thigh)
    knee = HKA.layout.index("encoder/knee_flexion_l/angle")
    held = (time >= 0.15 - 1e-9) & (time < 0.3 - 1e-9)
    np.testing.assert_array_equal(values[held, knee], true[held.argmax() - 1, knee])
    rest = ~missing
    rest[held, knee] = False
    np.testing.assert_array_equal(values[rest], true[rest])
    assert np.ptp(true[held, knee]) > 0.01


def test_active_faults_are_named():
    plant = Plant(Subject(), HKA, faults=(Missing(start_s=0.05, end_s=0.1, channels="insole/*"),))
    plant.reset(1.25, np.random.default_rng(0))
    named = []
    for _ in range(30):
        plant.step()
        named.append((plant.time, plant.active_faults))
    assert {t: f for t, f in named if f} == {t: ("nan:insole/*",) for t, _ in named if 0.05 <= t < 0.1}


def test_fault_on_a_channel_that_is_none_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'imu/thigh_r/ax'"):
        Plant(Subject(), HKA, faults=(Missing(start_s=0.0, end_s=1.0, channels="imu/thihg_r/ax"),))


def test_a_run_begins_near_the_place_asked_for():
    way = load_terrain("circuit")
    plant = Plant(Subject(), None, terrain=way)
    for x in (0.0, 5.0, 11.0, 30.0):
        plant.reset(1.2, np.random.default_rng(0), x=x)
        assert plant.row[X] == pytest.approx(x, abs=1.0)
        standing = plant.row[X + 2] - ground_height(way.rows(), plant.row[X])
        assert standing == pytest.approx(0.93, abs=0.2)
        assert not plant.fallen


def test_no_impairment_to_speak_of_changes_nothing():
    none = [Impairment(kind=kind, severity=0.0) for kind in ("hemiparesis", "equinus", "ageing")]
    healthy, hale = walk(Plant(Subject(), None), 0.5)[0], walk(Plant(Subject(), None, impairments=none), 0.5)[0]
    assert healthy.tobytes() == hale.tobytes()
    lame = walk(Plant(Subject(), None, impairments=[Impairment(kind="foot_drop", severity=1.0)]), 0.5)[0]
    assert not np.array_equal(healthy, lame)


def test_a_walker_has_no_posture():
    plant = Plant(Subject(), None)
    with pytest.raises(ValueError, match="'walk' walks: it has no posture 'sit'"):
        plant.command_posture("sit")
    with pytest.raises(ValueError, match="did you mean 'sit'"):
        plant.command_posture("sitt")


def test_oracle_torque_is_the_biological_part_per_kilogram():
    plant = Plant(Subject(mass_kg=82.0), HKA)
    rows, _ = walk(plant, 0.2)
    muscle, ligament = (BLOCKS[n][0] for n in ("muscle", "ligament"))
    wanted = (rows[-1, muscle + 9] + rows[-1, ligament + 9]) / 82.0
    assert plant.biological_torque(("knee_flexion_l",)) == pytest.approx([wanted])


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("worn", WORN)
def test_people_stay_on_their_feet(worn, speed):
    plant = Plant(Subject(), WORN[worn])
    fallen = []
    for seed in range(3):
        plant.reset(speed, np.random.default_rng(seed))
        while plant.time < 4.0 and not plant.fallen:
            plant.step()
        if plant.fallen:
            fallen.append(f"seed {seed} at {plant.time:.1f} s")
    assert not fallen


@pytest.mark.parametrize("name", ["ramp_up_5", "ramp_down_5"])
def test_people_get_over_ramps(name):
    """To 2 m behind the end, at its height, on their own feet."""
    way = load_terrain(name)
    plant = Plant(Subject(), None, terrain=way)
    plant.reset(1.2, np.random.default_rng(0))
    while plant.row[X] < way.length_m + 2.0 and plant.time < 40.0 and not plant.fallen:
        plant.step()
    assert not plant.fallen, f"at x = {plant.row[X]:.1f} m"
    assert plant.row[X] > way.length_m + 2.0
    assert plant.row[X + 2] - ground_height(way.rows(), plant.row[X]) == pytest.approx(0.93, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_people_with_an_impairment_walk_at_their_own_speed(kind):
    plant, fallen = Plant(Subject(), None, impairments=[Impairment(kind=kind, severity=0.4)]), []
    for seed in range(5):
        plant.reset(0.8, np.random.default_rng(seed))
        while plant.time < 10.0 and not plant.fallen:
            plant.step()
        if plant.fallen:
            fallen.append(f"seed {seed} at {plant.time:.1f} s")
    assert not fallen


@pytest.mark.slow
@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("worn", WORN)
def test_people_walk_for_20_s_at_the_speed_asked(worn, speed):
    """Seeds 0-9 everywhere, 32 random starts at the middle speed."""
    plant = Plant(Subject(), WORN[worn])
    fallen, deviation = [], []
    for seed in range(32 if speed == SPEEDS[1] else 10):
        plant.reset(speed, np.random.default_rng(seed))
        while plant.time < 20.0 and not plant.fallen:
            plant.step()
            if plant.ticks == round(3.0 * plant.rate):
                start = plant.row[X]
        if plant.fallen:
            fallen.append(f"seed {seed} at {plant.time:.1f} s")
        else:
            deviation.append((plant.row[X] - start) / 17.0 / speed - 1.0)
    assert not fallen
    assert np.abs(deviation).max() < 0.05, np.round(deviation, 3)
