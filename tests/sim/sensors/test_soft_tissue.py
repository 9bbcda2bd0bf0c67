"""Misplaced, turned and wobbling sensors against MuJoCo, the theory of vibration and what was measured on legs."""

import math

import mujoco
import numpy as np
import pytest
from exotwin.controllers.names import SIDED_JOINTS
from exotwin.controllers.sensor_specs import ImuSpec
from exotwin.sim.sensors.soft_tissue import GRAVITY, Mounting
from scipy.spatial.transform import Rotation

DT = 1.0 / 600.0
STILL = np.array([0.0, GRAVITY, 0.0])


def mounting(segment="tibia_r", seed=0, tissue=None, **errors):
    name = segment.rpartition("_")[0] or segment
    spec = {"mounts": [{"site": "s", "segment": segment, "position_m": [0, 0, 0]}]} | errors
    if tissue:
        spec["soft_tissue"] = {name: tissue}
    made = Mounting(ImuSpec.model_validate(spec))
    made.reset(np.random.default_rng(seed))
    return made


def feel(made, acc, gyro=None, angle=None, dt=DT):
    """(ticks, 6) felt, one physics step a tick, under acc and gyro (ticks, 3) and joint angles (ticks, 12)."""
    n = len(acc)
    gyro = np.zeros((n, 3)) if gyro is None else gyro
    angle = np.zeros((n, len(SIDED_JOINTS))) if angle is None else angle
    return np.array([made.feel(acc[k][None, None], gyro[k][None, None], angle[k], dt)[0, 0] for k in range(n)])


def test_a_misplaced_sensor_feels_what_mujoco_says_at_its_place():
    """A body that tumbles on a chain of springs, with one accelerometer at the mount and one where it slipped to."""
    made = mounting(mounting_offset_sd_m=0.05, mounting_rotation_sd_rad=0.3)
    place, turn = made._mounts.place[0], made._mounts.turn[0]
    w, x, y, z = np.roll(Rotation.from_matrix(turn).as_quat(), 1)
    model = mujoco.MjModel.from_xml_string(f"""
        <mujoco><option timestep="{DT / 10}"/><worldbody><body>
          <joint type="hinge" axis="0 1 0" stiffness="3"/><geom type="capsule" size=".05" fromto="0 0 0 .3 0 -.4"/>
          <body pos=".3 0 -.4"><joint type="ball" stiffness="1"/>
            <geom type="box" size=".1 .2 .05" pos="0.1 0 -.2"/>
            <site name="mount" pos=".05 .1 -.2"/>
            <site name="slipped" pos="{0.05 + place[0]} {0.1 + place[1]} {-0.2 + place[2]}" quat="{w} {x} {y} {z}"/>
          </body></body></worldbody>
        <sensor><accelerometer site="mount"/><gyro site="mount"/><accelerometer site="slipped"/><gyro site="slipped"/>
        </sensor></mujoco>""")
    data = mujoco.MjData(model)
    data.qvel[:] = 2.0, 4.0, -3.0, 5.0
    rows = []
    for _ in range(6000):
        mujoco.mj_forward(model, data)
        rows.append(data.sensordata.copy())
        mujoco.mj_Euler(model, data)
    rows = np.array(rows)
    said = feel(made, rows[:, :3].copy(), rows[:, 3:6].copy(), dt=DT / 10)[1:]
    difference = np.abs(rows[1:, 6:9] - rows[1:, :3] @ turn).max()
    assert difference > 1.0, "the place makes a difference"
    # The angular acceleration is a difference over one step, hence half a step late.
    np.testing.assert_allclose(said[:, :3], rows[1:, 6:9], atol=0.02 * difference)
    np.testing.assert_allclose(said[:, 3:], rows[1:, 9:12], atol=1e-9)


@pytest.mark.parametrize("ratio", [0.3, 1.0, 2.0])
def test_wobble_has_the_transmissibility_of_a_mass_on_a_spring(ratio):
    frequency, damping = 10.0, 0.15
    made = mounting(tissue={"frequency_hz": frequency, "damping_ratio": damping})
    time = DT * np.arange(2400)
    acc = STILL + np.outer(np.sin(2 * np.pi * ratio * frequency * time), [3.0, 2.0, 1.0])
    felt = (feel(made, acc)[1200:, :3] - STILL).std(axis=0) / (acc[1200:] - STILL).std(axis=0)
    # E.g. Rao, Mechanical Vibrations: base excitation of a damped oscillator.
    spring = 1.0 + (2 * damping * ratio) ** 2
    expected = math.sqrt(spring / ((1.0 - ratio**2) ** 2 + (2 * damping * ratio) ** 2))
    np.testing.assert_allclose(felt, expected, rtol=0.03)


@pytest.mark.parametrize("preset_tissue", [("tibia", 18.22, 0.151, 0.050), ("femur", 9.79, 0.326, 0.075)])
def test_skin_rings_as_long_as_measured_on_the_shank(preset_tissue):
    """After an impact, over bone 18.22 Hz for 151 +- 50 ms, over muscle 9.79 Hz for 326 +- 75 ms (Rong, Kuo 2023)."""
    from exotwin.controllers.device import Sensors

    segment, frequency, lasts, spread = preset_tissue
    block = {"preset": "consumer", "imu": {"mounts": []}}
    tissue = Sensors.model_validate(block).imu.soft_tissue[segment].model_dump() | {"tilt_sd": 0.0}
    acc = np.tile(STILL, (600, 1))
    acc[1:6, 1] += 50.0
    ring = feel(mounting(f"{segment}_r", tissue=tissue), acc)[6:, 1] - GRAVITY
    strong = np.flatnonzero(np.abs(ring) > 0.05 * np.abs(ring).max())
    assert DT * strong[-1] == pytest.approx(lasts, abs=spread)
    crossings = np.flatnonzero(np.diff(np.sign(ring)))[:6]
    assert 2.0 * DT * np.diff(crossings).mean() == pytest.approx(1.0 / frequency, rel=0.1)


def test_a_turning_bone_leaves_the_sensor_behind():
    """Under a constant angular acceleration the sensor lags by acceleration / w^2 once it has settled."""
    w, turning = 2 * np.pi * 8.0, np.array([0.0, 0.0, 20.0])
    made = mounting(tissue={"frequency_hz": 8.0, "damping_ratio": 0.7})
    time = DT * np.arange(600)
    gyro = np.outer(time, turning)
    felt = feel(made, np.zeros((600, 3)), gyro)
    lag = DT * (gyro - felt[:, 3:]).sum(axis=0)
    np.testing.assert_allclose(lag, turning / w**2, rtol=0.02, atol=1e-9)


def test_tilt_follows_the_joints_at_the_segments_ends_in_gravity_and_in_angular_rate():
    made = mounting("femur_l", tissue={"frequency_hz": 20.0, "damping_ratio": 1.0, "gain": 0.0, "tilt_sd": 0.2})
    angle = np.zeros((400, len(SIDED_JOINTS)))
    angle[:, SIDED_JOINTS.index("knee_flexion_l")] = np.linspace(0.0, 1.0, 400)
    felt = feel(made, np.tile(STILL, (400, 1)), angle=angle)
    turned = Rotation.identity()
    for rate in felt[1:, 3:]:
        turned *= Rotation.from_rotvec(rate * DT)
    assert 0.02 < turned.magnitude() < 0.8
    np.testing.assert_allclose(felt[-1, :3], turned.inv().apply(STILL), atol=1e-3)
    for joint in ("knee_flexion_r", "ankle_dorsiflexion_l"):
        elsewhere = np.zeros_like(angle)
        elsewhere[:, SIDED_JOINTS.index(joint)] = np.linspace(0.0, 1.0, 400)
        other = feel(
            mounting("femur_l", tissue={"frequency_hz": 20, "damping_ratio": 1, "tilt_sd": 0.2}), 0 * felt[:, :3]
        )
        assert not other[:, 3:].any()
        again = mounting("femur_l", tissue={"frequency_hz": 20, "damping_ratio": 1, "gain": 0.0, "tilt_sd": 0.2})
        assert not feel(again, np.tile(STILL, (400, 1)), angle=elsewhere)[:, 3:].any()


def test_tilt_and_mounting_have_their_spread():
    places, turns, tilts = [], [], []
    for seed in range(400):
        made = mounting(
            "pelvis",
            seed,
            {"frequency_hz": 9.0, "damping_ratio": 0.2, "tilt_sd": 0.05},
            mounting_offset_sd_m=0.01,
            mounting_rotation_sd_rad=0.03,
        )
        places.append(made._mounts.place[0])
        turns.append(Rotation.from_matrix(made._mounts.turn[0]).as_rotvec())
        tilts.append(made._mounts.tilt[0])
    np.testing.assert_allclose(np.std(places, axis=0), 0.01, rtol=0.12)
    np.testing.assert_allclose(np.std(turns, axis=0), 0.03, rtol=0.12)
    spread = np.std(tilts, axis=0)
    hips = [SIDED_JOINTS.index(f"hip_flexion_{s}") for s in "rl"]
    np.testing.assert_allclose(spread[:, hips], 0.05, rtol=0.12)
    assert not np.delete(spread, hips, axis=1).any()


def test_a_strap_round_the_torso_gives_way_and_joints_do_not_tilt_it():
    jolt = np.tile(STILL, (60, 1))
    jolt[10] += [20.0, 0.0, 0.0]
    bent = np.full((60, len(SIDED_JOINTS)), 0.5)
    tissue = {"frequency_hz": 14.0, "damping_ratio": 0.2, "gain": 0.5, "tilt_sd": 0.1}
    felt = feel(mounting("torso", tissue=tissue), jolt)
    assert np.abs(felt[12:30, 0]).max() > 0.5  # it still swings
    np.testing.assert_array_equal(felt, feel(mounting("torso", tissue=tissue), jolt, angle=bent))
