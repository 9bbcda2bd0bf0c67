"""All sensors together: order, independence and seeds."""

import numpy as np
import pytest
from exotwin.controllers.device import DeviceDescription
from exotwin.scenarios.catalogue import find_device
from exotwin.sim.sensors import SensorSuite, SensorTruth

RATE = 200.0
ACTUATOR = {
    "torque_min_nm": -20.0,
    "torque_max_nm": 20.0,
    "rate_limit_nm_per_s": 500.0,
    "speed_limit_rad_s": 10.0,
    "bandwidth_hz": 20.0,
    "delay_s": 0.0,
    "coulomb_friction_nm": 0.0,
    "viscous_friction_nms_per_rad": 0.0,
    "reflected_inertia_kgm2": 0.01,
}
CUFF = {"stiffness_nm_per_rad": 300.0, "damping_nms_per_rad": 3.0}
MOUNTS = [{"site": s, "segment": s, "position_m": [0, 0, 0]} for s in ("pelvis", "tibia_r")]
EVERYTHING = {
    "imu": {"mounts": MOUNTS},
    "encoder": {"joints": ["hip_flexion", "knee_flexion"]},
    "insole": {},
    "emg": {"muscles": ["soleus"]},
    "load_cell": {},
}


def device(**sensors):
    joints = [{"name": "hip_flexion", "actuator": ACTUATOR, "cuff": CUFF}]
    return DeviceDescription.model_validate(
        {"name": "t", "title": "t", "joints": joints, "sensors": sensors, "sources": ["none"]}
    )


def truth(seed=0, sites=2, encoders=4, drives=2, emg=2):
    rng = np.random.default_rng(seed)
    return SensorTruth(
        time=0.0,
        imu_acc=rng.normal(size=(3, sites, 3)),
        imu_gyro=rng.normal(size=(3, sites, 3)),
        angle=rng.normal(size=12),
        encoder_angle=rng.normal(size=encoders),
        cuff_torque=rng.normal(size=drives),
        foot_force=rng.uniform(300.0, 500.0, 2),
        foot_cop=rng.uniform(0.0, 0.1, (2, 2)),
        excitation=rng.random(emg),
    )


def run(dev, truths, seed=0):
    suite = SensorSuite(dev, np.random.default_rng(seed), RATE)
    return np.array([suite.measure(t) for t in truths])


def test_channels_come_in_the_order_of_the_layout():
    true, dev = truth(), device(**EVERYTHING)
    said = dict(zip(dev.layout.names, run(dev, [true])[0], strict=True))
    assert said["imu/tibia_r/ay"] == pytest.approx(true.imu_acc[-1, 1, 1])
    assert said["imu/pelvis/gz"] == pytest.approx(true.imu_gyro[-1, 0, 2])
    assert said["encoder/knee_flexion_r/angle"] == true.encoder_angle[1]
    assert said["encoder/hip_flexion_l/velocity"] == 0.0
    assert said["insole/l/cop_x"] == pytest.approx(true.foot_cop[1, 0])
    assert 0.0 <= said["emg_env/soleus_l"] <= 1.0
    assert said["load_cell/hip_flexion_l"] == true.cuff_torque[1]
    assert dev.layout.names[-2:] == ("load_cell/hip_flexion_r", "load_cell/hip_flexion_l")


@pytest.mark.parametrize("absent", EVERYTHING)
def test_one_sensor_less_does_not_change_what_the_others_say(absent):
    full = device(preset="consumer", **EVERYTHING)
    less = device(preset="consumer", **{k: v for k, v in EVERYTHING.items() if k != absent})
    truths = [truth(k) for k in range(20)]
    all_said, said = run(full, truths), run(less, truths)
    np.testing.assert_array_equal(all_said[:, full.layout.indices(less.layout.names)], said)
    assert said.shape[1] < all_said.shape[1]


@pytest.mark.parametrize("name", ["hip_knee_ankle", "dephy_exoboot"])
def test_same_seed_same_bytes_for_the_shipped_devices(name):
    dev = find_device(name)
    s = dev.sensors
    emg = 2 * len(s.emg.muscles) if s.emg else 0
    truths = [truth(k, len(s.imu.mounts), 2 * len(s.encoder.joints), len(dev.actuated), emg) for k in range(300)]
    first = run(dev, truths, 7)
    assert first.shape == (300, len(dev.layout))
    assert np.all(np.isfinite(first))
    assert first.tobytes() == run(dev, truths, 7).tobytes()
    assert first.tobytes() != run(dev, truths, 8).tobytes()
    suite = SensorSuite(dev, np.random.default_rng(8), RATE)
    for t in truths:
        suite.measure(t)
    suite.reset(np.random.default_rng(7))
    assert np.array([suite.measure(t) for t in truths]).tobytes() == first.tobytes()


def test_in_the_plant_perfect_sensors_say_what_the_physics_says():
    from exotwin.sim.plant import Plant
    from exotwin.sim.subjects import Subject

    shipped = find_device("hip_knee_ankle")
    perfect = {"imu": {"mounts": [m.model_dump() for m in shipped.sensors.imu.mounts]}, "load_cell": {}}
    perfect["encoder"] = {"joints": list(shipped.sensors.encoder.joints)}
    dev = DeviceDescription.model_validate(shipped.model_dump() | {"sensors": perfect})
    plant = Plant(Subject(), dev)
    frame, data = plant.reset(1.2, np.random.default_rng(0)), plant.person.data
    torques = []
    for _ in range(60):
        for site in ("pelvis", "thigh_r", "foot_l"):
            said = [frame[f"imu/{site}/{axis}"] for axis in ("ax", "ay", "az", "gx", "gy", "gz")]
            felt = np.concatenate([data.sensor(f"imu_{site}_{kind}").data for kind in ("acc", "gyro")])
            np.testing.assert_allclose(said, felt, rtol=1e-9, atol=1e-12)
        for j, joint in enumerate(dev.actuated):
            hinge, limb = data.joint(f"exo_{joint}"), data.joint(joint)
            assert frame[f"encoder/{joint}/angle"] == hinge.qpos[0]
            cuff = dev.joints[j % 3].cuff
            spring = cuff.stiffness_nm_per_rad * (hinge.qpos[0] - limb.qpos[0])
            damper = cuff.damping_nms_per_rad * (hinge.qvel[0] - limb.qvel[0])
            assert frame[f"load_cell/{joint}"] == pytest.approx(spring + damper, abs=1e-9)
            torques.append(frame[f"load_cell/{joint}"])
        frame = plant.step(np.full(len(dev.actuated), 5.0))
    assert np.max(torques) > 3.0


def test_measured_values_are_the_callers_own():
    suite = SensorSuite(device(**EVERYTHING), np.random.default_rng(0), RATE)
    first = suite.measure(truth(1))
    kept = first.copy()
    suite.measure(truth(2))
    np.testing.assert_array_equal(first, kept)
    first[:] = np.nan
    assert np.all(np.isfinite(suite.measure(truth(2))))


def test_a_device_without_sensors_says_nothing():
    assert run(device(), [truth()]).shape == (1, 0)
