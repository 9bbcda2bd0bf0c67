"""Sensor errors against their definitions."""

import numpy as np
import pytest
from exotwin.controllers.device import DeviceDescription
from exotwin.sim.sensors import SensorSuite, SensorTruth

RATE = 200.0


def device(**sensors):
    return DeviceDescription.model_validate(
        {"name": "t", "title": "t", "joints": [], "sensors": sensors, "sources": ["none"]}
    )


def imu(**errors):
    mounts = [{"site": s, "segment": s, "position_m": [0, 0, 0]} for s in ("pelvis", "shank_r")]
    return {"imu": {"mounts": mounts} | errors}


def encoder(**errors):
    return {"encoder": {"joints": ["hip_flexion", "knee_flexion"]} | errors}


def truth(value=0.0, **given):
    shapes = {
        "imu_acc": (1, 2, 3),
        "imu_gyro": (1, 2, 3),
        "encoder_angle": (4,),
        "foot_force": (2,),
        "foot_cop": (2, 2),
        "excitation": (2,),
    }
    return SensorTruth(
        time=0.0, **{k: np.broadcast_to(given.get(k, value), s).astype(float) for k, s in shapes.items()}
    )


def run(dev, truths, seed=0, rate=RATE):
    """Measured values (ticks, channels) and the layout."""
    suite = SensorSuite(dev, np.random.default_rng(seed), rate)
    return np.array([suite.measure(t) for t in truths]), suite.layout


def test_perfect_sensors_repeat_the_truth_in_the_order_of_the_layout():
    dev = device(**imu(), **encoder(), insole={}, emg={"muscles": ["soleus"]})
    acc, gyro = np.arange(6.0).reshape(2, 3), 10 + np.arange(6.0).reshape(2, 3)
    perfect = truth(
        imu_acc=acc,
        imu_gyro=gyro,
        encoder_angle=[0.1, 0.2, 0.3, 0.4],
        foot_force=[300.0, 400.0],
        foot_cop=[[0.1, 0.01], [0.2, -0.02]],
        excitation=[0.0, 0.6],
    )
    values, layout = run(dev, [perfect])
    said = dict(zip(layout.names, values[0], strict=True))
    assert said["imu/shank_r/ay"] == acc[1, 1]
    assert said["imu/pelvis/gz"] == gyro[0, 2]
    assert said["encoder/knee_flexion_r/angle"] == 0.2
    assert said["encoder/hip_flexion_l/angle"] == 0.3
    assert said["encoder/hip_flexion_l/velocity"] == 0.0
    assert (said["insole/l/force"], said["insole/l/cop_x"], said["insole/l/cop_y"]) == (400, 0.2, -0.02)
    assert said["emg_env/soleus_r"] == 0.0
    assert 0.3 < said["emg_env/soleus_l"] < 0.9  # even a perfect EMG is a random signal


@pytest.mark.parametrize("rate", [100.0, 200.0])
def test_noise_has_its_density_up_to_half_the_rate(rate):
    """The samples' one-sided power density (Welch) is density squared, their sd density sqrt(rate / 2)."""
    from scipy.signal import welch

    dev = device(**imu(accel_noise_density=0.002, gyro_noise_density=0.0003, rate_hz=rate))
    values, _ = run(dev, [truth()] * 20000, rate=rate)
    sd = values.std(axis=0).reshape(2, 6)
    np.testing.assert_allclose(sd[:, :3], 0.002 * np.sqrt(rate / 2), rtol=0.05)
    np.testing.assert_allclose(sd[:, 3:], 0.0003 * np.sqrt(rate / 2), rtol=0.05)
    _, density = welch(values[:, 0], fs=rate, nperseg=256)
    assert np.sqrt(density[2:-2].mean()) == pytest.approx(0.002, rel=0.05)
    np.testing.assert_allclose(np.corrcoef(values.T) - np.eye(12), 0.0, atol=0.05)


def test_bias_and_gain_are_drawn_once_a_run_with_their_spread():
    dev = device(**imu(accel_bias_sd=0.1, gyro_bias_sd=0.02, accel_gain_sd=0.01))
    suite = SensorSuite(dev, np.random.default_rng(0), RATE)
    at_zero, at_ten = [], []
    for seed in range(600):
        suite.reset(np.random.default_rng(seed))
        at_zero.append(suite.measure(truth()))
        at_ten.append(suite.measure(truth(10.0)))
    at_zero, at_ten = np.array(at_zero).reshape(-1, 2, 6), np.array(at_ten).reshape(-1, 2, 6)
    np.testing.assert_allclose(at_zero[..., :3].std(), 0.1, rtol=0.05)
    np.testing.assert_allclose(at_zero[..., 3:].std(), 0.02, rtol=0.05)
    gain = (at_ten - at_zero) / 10.0 - 1.0
    np.testing.assert_allclose(gain[..., :3].std(), 0.01, rtol=0.05)
    np.testing.assert_allclose(gain[..., 3:], 0.0, atol=1e-12)


def test_range_clips_and_bits_quantise():
    dev = device(**imu(accel_range=40.0, bits=12))
    values, layout = run(dev, [truth(x) for x in np.linspace(-60, 60, 1001)])
    ax, gx = values[:, layout.index("imu/pelvis/ax")], values[:, layout.index("imu/pelvis/gx")]
    step = 40.0 / 2**11
    np.testing.assert_allclose(ax / step, np.rint(ax / step), atol=1e-9)
    np.testing.assert_allclose(ax, np.clip(np.linspace(-60, 60, 1001), -40, 40), atol=step / 2 + 1e-12)
    np.testing.assert_allclose(gx, np.linspace(-60, 60, 1001))


@pytest.mark.parametrize("ticks", [0, 1, 3])
def test_delay_is_exact(ticks):
    dev = device(**imu(delay_s=ticks / RATE), **encoder())
    signal = np.sin(np.arange(50.0))
    values, layout = run(dev, [truth(x) for x in signal])
    late = values[:, layout.index("imu/pelvis/ax")]
    np.testing.assert_array_equal(late[ticks:], signal[: len(signal) - ticks])
    np.testing.assert_array_equal(late[:ticks], signal[0])
    np.testing.assert_array_equal(values[:, layout.index("encoder/hip_flexion_r/angle")], signal)


def test_encoder_quantises_angle_and_filters_its_difference():
    resolution, cutoff = 0.001, 20.0
    dev = device(**encoder(resolution_rad=resolution, velocity_cutoff_hz=cutoff))
    t = np.arange(2000) / RATE
    angle = 0.5 * np.sin(2 * np.pi * 1.0 * t)
    values, layout = run(dev, [truth(x) for x in angle])
    said = values[:, layout.index("encoder/knee_flexion_l/angle")]
    np.testing.assert_allclose(said, resolution * np.rint(angle / resolution), atol=1e-12)
    velocity = values[:, layout.index("encoder/knee_flexion_l/velocity")]
    # Frequency response at 1 Hz: backward difference, then the first-order lag of the same cut-off.
    z = np.exp(2j * np.pi * 1.0 / RATE)
    pole = np.exp(-2 * np.pi * cutoff / RATE)
    response = RATE * (1 - 1 / z) * (1 - pole) / (1 - pole / z)
    expected = 0.5 * np.imag(response * np.exp(2j * np.pi * t))
    error = velocity[200:] - expected[200:]
    assert np.abs(error).max() < 2 * resolution * RATE
    # The difference of two roundings has this much before the lag smooths it.
    assert error.std() < resolution * RATE / np.sqrt(6)


def test_encoder_offset_does_not_touch_velocity():
    dev = device(**encoder(offset_sd_rad=0.05))
    values, layout = run(dev, [truth(x) for x in 0.01 * np.arange(100)])
    angle = values[:, layout.index("encoder/hip_flexion_r/angle")]
    offset = angle - 0.01 * np.arange(100)
    assert 1e-4 < abs(offset[0]) < 0.3
    np.testing.assert_allclose(offset, offset[0])
    assert values[-1, layout.index("encoder/hip_flexion_r/velocity")] == pytest.approx(0.01 * RATE)


def test_same_seed_same_bytes():
    dev = device(
        **imu(accel_noise_density=0.01, accel_bias_sd=0.1),
        **encoder(offset_sd_rad=0.01),
        insole={"gain_sd": 0.1},
        emg={"muscles": ["soleus"], "mvc_error_sd": 0.1},
    )
    truths = [truth(0.3, foot_force=200.0)] * 600  # more than one block of noise
    first, _ = run(dev, truths, seed=7)
    again, _ = run(dev, truths, seed=7)
    other, _ = run(dev, truths, seed=8)
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()
    suite = SensorSuite(dev, np.random.default_rng(8), RATE)
    for t in truths:
        suite.measure(t)
    suite.reset(np.random.default_rng(7))
    assert np.array([suite.measure(t) for t in truths]).tobytes() == first.tobytes()


def test_measured_values_are_the_callers_own():
    suite = SensorSuite(device(**imu()), np.random.default_rng(0), RATE)
    first = suite.measure(truth(1.0))
    kept = first.copy()
    suite.measure(truth(2.0))
    np.testing.assert_array_equal(first, kept)
    first[:] = np.nan
    assert np.all(np.isfinite(suite.measure(truth(2.0))))
