"""Whatever a valid description of sensors says, they measure finite values of the right shape, the same for a seed."""

from fnmatch import fnmatch

import numpy as np
import pytest
from exotwin.controllers.device import DeviceDescription
from exotwin.controllers.sensor_specs import PRESETS, ImuSpec, InsoleSpec, LoadCellSpec, UltrasoundSpec
from exotwin.sim.sensors import FaultInjector, SensorSuite, SensorTruth
from exotwin.sim.sensors.ultrasound import PIXELS, Ultrasound
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_faults import FAULTS, OTHERS, File
from test_suite import ACTUATOR, CUFF

TICKS, STEPS = 24, 4
SITES = {"pelvis": "pelvis", "thigh_r": "femur_r", "thigh_l": "femur_l"}
FITTED = {
    "imu": {"mounts": [{"site": s, "segment": on, "position_m": [0, 0, 0]} for s, on in SITES.items()]},
    "encoder": {"joints": ["knee_flexion"]},
    "insole": {},
    "emg": {"muscles": ["soleus"]},
    "load_cell": {},
}


def share(top):
    return st.floats(0.0, top)


INSOLE = st.fixed_dictionaries(
    {},
    optional={
        "rate_hz": st.floats(10.0, 400.0),
        "delay_s": share(0.05),
        "gain_sd": share(0.5),
        "offset_sd_n": share(50.0),
        "hysteresis": share(0.9),
        "creep": share(0.9),
        "creep_s": st.floats(0.1, 1000.0),
        "force_noise_n": share(50.0),
        "range_n": st.floats(1.0, 5000.0),
        "resolution_n": share(20.0),
        "threshold_n": share(100.0),
        "cop_slope": st.tuples(share(2.0), share(2.0)),
        "cop_offset_sd_m": st.tuples(share(0.05), share(0.05)),
        "cop_noise_m": st.tuples(share(0.05), share(0.05)),
        "cop_correlation_s": share(1.0),
        "cop_half_load_n": share(500.0),
    },
)
IMU = st.fixed_dictionaries(
    {},
    optional={
        "rate_hz": st.floats(50.0, 400.0),
        "delay_s": share(0.05),
        "accel_noise_density": share(0.1),
        "gyro_noise_density": share(0.1),
        "accel_bias_sd": share(1.0),
        "gyro_bias_sd": share(1.0),
        "accel_gain_sd": share(0.1),
        "gyro_gain_sd": share(0.1),
        "accel_range": st.floats(20.0, 400.0),
        "gyro_range": st.floats(5.0, 70.0),
        "bits": st.integers(8, 24),
    },
)
ENCODER = st.fixed_dictionaries(
    {},
    optional={
        "resolution_rad": share(0.01),
        "offset_sd_rad": share(0.1),
        "backlash_rad": share(0.1),
        "velocity_cutoff_hz": st.floats(0.1, 1000.0),
        "delay_s": share(0.05),
    },
)
EMG = st.fixed_dictionaries({}, optional={"delay_s": share(0.05)})
LOAD_CELL = st.fixed_dictionaries(
    {},
    optional={
        "range_nm": st.floats(1.0, 100.0),
        "gain_sd": share(0.5),
        "offset_sd_nm": share(5.0),
        "drift_nm": share(5.0),
        "drift_correlation_s": st.floats(0.1, 1000.0),
        "hysteresis": share(0.2),
        "noise_density": share(0.5),
        "bits": st.integers(8, 32),
        "delay_s": share(0.05),
    },
)
KINDS = {"imu": IMU, "encoder": ENCODER, "insole": INSOLE, "emg": EMG, "load_cell": LOAD_CELL}
PRESET = {"preset": st.sampled_from(PRESETS)}
SENSORS = st.fixed_dictionaries({}, optional=KINDS | PRESET)
ALL_SENSORS = st.fixed_dictionaries(KINDS, optional=PRESET)


def device(sensors, rate=200.0):
    sensors = {kind: (FITTED[kind] | given if kind in FITTED else given) for kind, given in sensors.items()}
    joints = [{"name": "knee_flexion", "actuator": ACTUATOR, "cuff": CUFF}]
    about = {"name": "t", "title": "t", "joints": joints, "sources": ["none"], "control_rate_hz": rate}
    return DeviceDescription.model_validate(about | {"sensors": sensors})


def truths(seed=0, rate=200.0, ticks=TICKS):
    rng = np.random.default_rng(seed)
    force = np.abs(600.0 * np.sin(0.2 * np.arange(ticks)))
    return [
        SensorTruth(
            time=k / rate,
            imu_acc=9.81 + rng.standard_normal((STEPS, len(SITES), 3)),
            imu_gyro=rng.standard_normal((STEPS, len(SITES), 3)),
            angle=0.3 * rng.standard_normal(12),
            encoder_angle=0.5 * rng.standard_normal(2),
            cuff_torque=20.0 * rng.standard_normal(2),
            foot_force=np.array([force[k], 0.0]),
            foot_cop=np.array([[0.12, 0.01], [0.0, 0.0]]),
            excitation=rng.uniform(0.0, 1.0, 2),
        )
        for k in range(ticks)
    ]


def run(dev, seed, faults=(), ticks=TICKS):
    """(ticks, n_channels) measured, and the faults' names that are active at each tick."""
    suite = SensorSuite(dev, np.random.default_rng(seed), dev.control_rate_hz)
    injector = FaultInjector(dev.layout, faults, dev.control_rate_hz)
    injector.reset(np.random.default_rng(seed))
    seen, names = [], []
    for true in truths(rate=dev.control_rate_hz, ticks=ticks):
        values = suite.measure(injector.disturb(true))
        names.append(injector.spoil(true.time, values))
        seen.append(values)
    return np.array(seen), names


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SENSORS, st.sampled_from([100.0, 200.0, 500.0]), st.integers(0, 3))
def test_any_sensors_measure_finite_values_in_the_layout_and_a_seed_repeats_them(sensors, rate, seed):
    dev = device(sensors, rate)
    values, _ = run(dev, seed)
    assert values.shape == (TICKS, len(dev.layout))
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(values, run(dev, seed)[0])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([100.0, 200.0, 1000.0]), st.integers(0, 100))
def test_without_errors_every_sensor_says_the_truth(rate, seed):
    insole = {"rate_hz": rate, "threshold_n": 0.0}
    dev = device({"imu": {"rate_hz": rate}, "encoder": {}, "insole": insole, "load_cell": {}}, rate)
    suite = SensorSuite(dev, np.random.default_rng(seed), rate)
    for true in truths(seed, rate):
        said = dict(zip(dev.layout.names, suite.measure(true), strict=True))
        for i, site in enumerate(SITES):
            acc = [said[f"imu/{site}/{axis}"] for axis in ("ax", "ay", "az")]
            gyro = [said[f"imu/{site}/{axis}"] for axis in ("gx", "gy", "gz")]
            np.testing.assert_allclose(acc, true.imu_acc[-1, i], atol=1e-9)
            np.testing.assert_allclose(gyro, true.imu_gyro[-1, i], atol=1e-9)
        for i, side in enumerate("rl"):
            assert said[f"encoder/knee_flexion_{side}/angle"] == pytest.approx(true.encoder_angle[i])
            assert said[f"load_cell/knee_flexion_{side}"] == pytest.approx(true.cuff_torque[i])
            assert said[f"insole/{side}/force"] == pytest.approx(true.foot_force[i])
            if true.foot_force[i] > 0.0:
                cop = [said[f"insole/{side}/cop_x"], said[f"insole/{side}/cop_y"]]
                np.testing.assert_allclose(cop, true.foot_cop[i], atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(INSOLE, st.integers(0, 3))
def test_an_insole_reads_between_zero_and_its_range(errors, seed):
    spec = InsoleSpec(**errors)
    force = run(device({"insole": errors}), seed)[0][:, [0, 3]]
    assert force.min() >= 0.0
    assert force.max() <= spec.range_n + spec.resolution_n
    assert np.all((force == 0.0) | (force >= spec.threshold_n))


@settings(max_examples=30, deadline=None)
@given(IMU)
def test_an_imu_stays_within_its_range(errors):
    spec = ImuSpec(mounts=(), **errors)
    values = run(device({"imu": errors}), 0)[0].reshape(TICKS, -1, 6)
    assert np.abs(values[..., :3]).max() <= spec.accel_range * (1 + 2.0 ** (1 - spec.bits))
    assert np.abs(values[..., 3:]).max() <= spec.gyro_range * (1 + 2.0 ** (1 - spec.bits))


@settings(max_examples=30, deadline=None)
@given(LOAD_CELL, st.integers(0, 3))
def test_a_load_cell_stays_within_its_range(errors, seed):
    spec = LoadCellSpec(**errors)
    values, _ = run(device({"load_cell": errors}), seed)
    assert np.abs(values).max() <= spec.range_nm * (1 + 2.0 ** (1 - spec.bits))


@settings(max_examples=30, deadline=None)
@given(ENCODER, st.integers(0, 3))
def test_an_encoder_is_off_by_its_play_its_steps_and_one_offset(errors, seed):
    """And its velocity is never faster than its angle's fastest step."""
    given_errors = errors | {"delay_s": 0.0}
    values, _ = run(device({"encoder": given_errors}), seed)
    angle, velocity = values[:, ::2], values[:, 1::2]
    off = angle - np.array([t.encoder_angle for t in truths()])
    most = errors.get("backlash_rad", 0.0) + errors.get("resolution_rad", 0.0)
    assert np.all(np.ptp(off, axis=0) <= most + 1e-9)
    assert np.abs(velocity).max() <= 200.0 * np.abs(np.diff(angle, axis=0)).max() + 1e-9


@settings(max_examples=15, deadline=None)
@given(SENSORS.filter(lambda sensors: "imu" in sensors), st.integers(0, 3))
def test_sensors_that_are_healthy_do_not_notice_the_faults_of_others(sensors, seed):
    """A schedule without active faults changes nothing, whatever the sensors."""
    from exotwin.sim.sensors.faults import ShiftedImu, Stuck

    dev = device(sensors)
    later = (ShiftedImu(start_s=9.0, site="thigh_r"), Stuck(start_s=9.0, channels="imu/*"))
    seen, names = run(dev, seed, later)
    assert not any(names)
    np.testing.assert_array_equal(seen, run(dev, seed)[0])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ALL_SENSORS, st.lists(FAULTS | OTHERS, min_size=1, max_size=4), st.integers(0, 3))
def test_faults_strike_only_in_their_time_and_only_what_they_name(sensors, given_faults, seed):
    ticks, rate = 60, 100.0
    dev, faults = device(sensors, rate), File.model_validate({"faults": given_faults}).faults
    seen, names = run(dev, seed, faults, ticks)
    healthy, _ = run(dev, seed, (), ticks)
    np.testing.assert_array_equal(seen, run(dev, seed, faults, ticks)[0])
    before = np.arange(ticks) / rate < min(fault.start_s for fault in faults)
    np.testing.assert_array_equal(seen[before], healthy[before])
    assert np.isfinite(seen[[not active for active in names]]).all()
    patterns = [
        fault.get("channels", "") for fault in given_faults
    ]  # those without strike IMUs, insoles and electrodes
    spared = [
        i
        for i, channel in enumerate(dev.layout.names)
        if channel.split("/")[0] in ("encoder", "load_cell") and not any(fnmatch(channel, p) for p in patterns)
    ]
    np.testing.assert_array_equal(seen[:, spared], healthy[:, spared])


PROBE = st.fixed_dictionaries(
    {
        "muscles": st.sampled_from([("gastroc",), ("soleus",), ("gastroc", "soleus")]),
        "width_m": st.floats(0.02, 0.1),
        "depth_m": st.floats(0.02, 0.1),
        "fat_m": share(0.02),
        "attenuation_db_per_cm_mhz": share(3.0),
        "tgc_db_per_cm": share(50.0),
        "psf_axial_m": st.floats(0.0001, 0.001),
        "psf_lateral_m": st.floats(0.0001, 0.002),
        "line_contrast": st.floats(1.0, 20.0),
        "noise_db": share(100.0),
        "dynamic_range_db": st.floats(20.0, 120.0),
        "gain_sd_db": share(10.0),
        "slip_sd_m": share(0.02),
        "tilt_sd_rad": share(0.3),
    }
)


@settings(max_examples=8, deadline=None)
@given(PROBE, st.floats(0.0, 3.0), st.integers(0, 3))
def test_any_probe_makes_an_image_and_a_seed_repeats_it(given_probe, normalised, seed):
    spec = UltrasoundSpec(**given_probe)
    pair = []
    for _ in range(2):
        probe = Ultrasound(spec)
        probe.reset(np.random.default_rng(seed))
        probe.image(0.0, [1.0] * len(spec.muscles))
        pair.append(probe.image(0.3, [normalised] * len(spec.muscles)))
    assert (pair[0].shape, pair[0].dtype) == ((PIXELS, PIXELS), np.uint8)
    np.testing.assert_array_equal(pair[0], pair[1])
