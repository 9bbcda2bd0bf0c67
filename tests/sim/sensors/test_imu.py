"""The IMU's electronics against their definitions, and its noise against the data sheet by its Allan deviation."""

import math

import numpy as np
import pytest
from exotwin.controllers.device import Sensors
from exotwin.controllers.sensor_specs import PRESETS, ImuSpec
from exotwin.sim.sensors.imu import Imu
from exotwin.sim.sensors.truth import SensorTruth
from hypothesis import given, settings
from hypothesis import strategies as st

RATE, STEPS = 200.0, 3
STILL = [0.0, 9.81, 0.0, 0.0, 0.0, 0.0]


def mounts(count):
    return [{"site": f"s{i}", "segment": "tibia_r", "position_m": [0, 0, 0]} for i in range(count)]


def spec(count=2, **errors):
    return ImuSpec.model_validate({"mounts": mounts(count)} | errors)


def preset(name, count, **changed):
    """A class of IMUs, sitting still on the bone."""
    block = {"preset": name, "imu": {"mounts": mounts(count)} | changed}
    return Sensors.model_validate(block).imu.model_copy(update={"soft_tissue": {}})


def run(of, signal, seed=0, rate=RATE):
    """(ticks, n_sites, 6) of what is said under a signal (ticks, steps, 6), the same at all sites."""
    imu = Imu(of, rate)
    imu.reset(np.random.default_rng(seed))
    sites = len(of.mounts)
    out = np.empty((len(signal), sites, 6))
    for k, steps in enumerate(np.asarray(signal, dtype=float)):
        felt = np.repeat(steps[:, None], sites, axis=1)
        truth = SensorTruth(
            k / rate, np.ascontiguousarray(felt[..., :3]), np.ascontiguousarray(felt[..., 3:]), np.zeros(12)
        )
        out[k] = imu.measure(truth).reshape(sites, 6)
    return out


def constant(values, ticks):
    return np.tile(np.asarray(values, dtype=float), (ticks, STEPS, 1))


def sampled(function, ticks, rate=RATE):
    """A signal of time at the physics rate, in all six channels; still before time 0."""
    time = (np.arange(ticks)[:, None] + (np.arange(STEPS) + 1 - STEPS) / STEPS) / rate
    return np.repeat(function(np.maximum(time, 0.0))[..., None], 6, axis=2)


def ticked(ticks, rate=RATE):
    return np.arange(ticks) / rate


def test_a_perfect_imu_repeats_the_truth():
    signal = np.random.default_rng(0).standard_normal((50, STEPS, 6))
    np.testing.assert_allclose(run(spec(), signal)[:, 1], signal[:, -1], rtol=1e-12)


@pytest.mark.parametrize("name", PRESETS)
def test_allan_deviation_has_the_densities_and_the_bias_instability_of_the_data_sheet(name):
    """10 % for the white noise; the flat part within 15 % of the bias instability once white noise is taken off."""
    allantools = pytest.importorskip("allantools")
    rate, correlation, ticks = 100.0, 2.0, 20_000
    # A log in step with the sensor: what is held twice or lost would raise the noise.
    clock = {"clock_offset_ppm": 0.0, "clock_jitter_s": 0.0, "dropout_share": 0.0}
    own = {"rate_hz": rate, "bias_correlation_s": correlation} | clock
    imu = preset(name, 20, **own)
    said = run(imu, constant(STILL, ticks), rate=rate)
    short, flat = 0.1, 1.89 * correlation
    for first, density, instability in (
        (0, imu.accel_noise_density, imu.accel_bias_instability),
        (3, imu.gyro_noise_density, imu.gyro_bias_instability),
    ):
        variances = []
        for axis in said[:, :, first : first + 3].reshape(ticks, -1).T:
            _, deviation, _, _ = allantools.oadev(axis, rate=rate, data_type="freq", taus=[short, flat])
            variances.append(deviation**2)
        white, floor = np.mean(variances, axis=0)
        assert math.sqrt(white * short) == pytest.approx(density, rel=0.1)
        assert math.sqrt(floor - density**2 / flat) == pytest.approx(instability, rel=0.15)


@pytest.mark.parametrize("rate", [100.0, 200.0])
def test_white_noise_fills_the_band_up_to_half_the_rate(rate):
    """Welch's density is one-sided, hence twice the two-sided one."""
    from scipy.signal import welch

    said = run(spec(1, accel_noise_density=0.002, rate_hz=rate), constant(STILL, 20000), rate=rate)[:, 0]
    frequency, density = welch(said[:, 0], fs=rate, nperseg=256)
    np.testing.assert_allclose(np.sqrt(density[2:-2].reshape(-1, 25).mean(axis=1) / 2.0), 0.002, rtol=0.1)
    assert said[:, 3:].std() == 0.0
    assert frequency[-1] == rate / 2


def test_run_errors_have_their_spread():
    """Bias, gains, cross-axis and g-sensitivity from the answers to rest and to unit inputs, over many sensors."""
    of = spec(
        3000,
        accel_bias_sd=0.1,
        gyro_bias_sd=0.02,
        accel_gain_sd=0.01,
        gyro_gain_sd=0.02,
        accel_cross_axis_sd=0.03,
        gyro_cross_axis_sd=0.004,
        gyro_g_sensitivity_sd=0.005,
    )
    rest = run(of, constant(np.zeros(6), 1))[0]
    np.testing.assert_allclose(rest[:, :3].std(axis=0), 0.1, rtol=0.1)
    np.testing.assert_allclose(rest[:, 3:].std(axis=0), 0.02, rtol=0.1)
    response = np.stack([run(of, constant(unit, 1))[0] - rest for unit in np.eye(6)], axis=-1) - np.eye(6)
    spread = response.std(axis=0)
    np.testing.assert_allclose(spread[np.arange(3), np.arange(3)], 0.01, rtol=0.1)
    np.testing.assert_allclose(spread[np.arange(3, 6), np.arange(3, 6)], 0.02, rtol=0.1)
    np.testing.assert_allclose(spread[:3, :3][~np.eye(3, dtype=bool)], 0.03, rtol=0.1)
    np.testing.assert_allclose(spread[3:, 3:][~np.eye(3, dtype=bool)], 0.004, rtol=0.1)
    np.testing.assert_allclose(spread[3:, :3], 0.005, rtol=0.1)
    np.testing.assert_allclose(spread[:3, 3:], 0.0, atol=1e-12)


def test_range_clips_and_bits_quantise():
    ramp = np.linspace(-60, 60, 501)
    said = run(spec(1, accel_range=40.0, bits=12), np.tile(ramp[:, None, None], (1, STEPS, 6)))[:, 0]
    step = 40.0 / 2**11
    np.testing.assert_allclose(said[:, 0] / step, np.rint(said[:, 0] / step), atol=1e-9)
    np.testing.assert_allclose(said[:, 0], np.clip(ramp, -40, 40), atol=step / 2 + 1e-12)
    np.testing.assert_allclose(said[:, 3], ramp)


@pytest.mark.parametrize("bandwidth", [20.0, 88.0])
def test_anti_alias_filter_halves_the_power_at_its_bandwidth(bandwidth):
    """At half the bandwidth a second-order Butterworth passes 97 % of the amplitude."""
    for frequency, gain in ((bandwidth, math.sqrt(0.5)), (0.5 * bandwidth, 1.0 / math.sqrt(1.0625))):
        said = run(spec(1, bandwidth_hz=bandwidth), sampled(lambda t, f=frequency: np.sin(2 * np.pi * f * t), 800))
        assert math.sqrt(2.0) * said[200:, 0, 0].std() == pytest.approx(gain, rel=0.02)


def test_vibration_above_half_the_rate_folds_down_only_without_the_filter():
    """190 Hz sampled at 200 Hz looks like 10 Hz; a 40 Hz filter leaves (40/190)^2 of it."""
    shaking = sampled(lambda t: np.sin(2 * np.pi * 190.0 * t), 800)
    alias, filtered = (run(spec(1, bandwidth_hz=b), shaking)[200:, 0, 0] for b in (1e6, 40.0))
    assert alias.std() == pytest.approx(math.sqrt(0.5), rel=0.02)
    assert filtered.std() < 0.05


@pytest.mark.parametrize(("delay", "ticks"), [(0.0, 0), (0.005, 1), (0.0125, 3), (0.015, 3)])
def test_a_sample_is_there_at_the_first_tick_after_its_delay(delay, ticks):
    said = run(spec(1, delay_s=delay), sampled(lambda t: np.sin(7.0 * t), 60))[:, 0, 0]
    time = ticked(60)
    np.testing.assert_allclose(said, np.sin(7.0 * np.maximum(time - ticks / RATE, 0.0)), atol=1e-9)


@pytest.mark.parametrize("rate", [50.0, 200.0, 1000.0])
def test_sensors_sample_at_their_own_rate_and_hold(rate):
    said = run(spec(1, rate_hz=rate), sampled(lambda t: t, 400))[:, 0, 0]
    time = ticked(400)
    np.testing.assert_allclose(said, np.floor(time * rate + 1e-6) / rate, atol=1e-9)


def test_a_clock_of_its_own_drifts_against_the_controller():
    """Of a signal equal to time, what is said is the time of the sample: its steps show pace and phase."""
    said = run(spec(200, clock_offset_ppm=5000.0), sampled(lambda t: t, 2000))[..., 0]
    age = ticked(2000)[:, None] - said
    assert age[10:].min() > -1e-9
    assert age[10:].max() < 1.03 / RATE
    assert age[10:].std() * math.sqrt(12.0) * RATE == pytest.approx(1.0, rel=0.2), "phases are spread evenly"
    # Between two jumps of the age by a period, it grows or shrinks at the difference of the paces.
    drift = np.median(np.diff(age[10:], axis=0), axis=0) * RATE
    assert drift.std() == pytest.approx(0.005, rel=0.2)


def test_jitter_moves_the_moments_of_sampling():
    # With this delay, every sample is there at the next tick, early or late.
    said = run(spec(20, clock_jitter_s=0.0005, delay_s=0.0025), sampled(lambda t: t, 1000))[..., 0]
    time = said[50:].ravel()
    assert np.std(time - np.rint(time * RATE) / RATE) == pytest.approx(0.0005, rel=0.05)


def test_lost_samples_come_in_bursts_and_the_last_one_holds():
    said = run(spec(50, dropout_share=0.05, dropout_burst_s=0.02), sampled(lambda t: t, 4000))[..., 0]
    held = np.diff(said, axis=0) == 0.0
    assert held.mean() == pytest.approx(0.05, rel=0.1)
    begins = np.diff(held.astype(int), axis=0) == 1
    assert held.sum() / begins.sum() / RATE == pytest.approx(0.02, rel=0.1)


def test_same_seed_same_bytes_and_a_new_run_forgets_the_last():
    of = preset("consumer", 3)
    signal = constant(STILL, 600)  # more than two blocks of noise
    first = run(of, signal, seed=7)
    assert first.tobytes() == run(of, signal, seed=7).tobytes()
    assert first.tobytes() != run(of, signal, seed=8).tobytes()
    imu = Imu(of, RATE)
    truth = SensorTruth(0.0, np.ones((STEPS, 3, 3)), np.ones((STEPS, 3, 3)), np.ones(12))
    imu.reset(np.random.default_rng(0))
    for _ in range(300):
        imu.measure(truth)
    imu.reset(np.random.default_rng(7))
    still = np.tile(STILL, (STEPS, 3, 1))
    truth = SensorTruth(0.0, still[..., :3].copy(), still[..., 3:].copy(), np.zeros(12))
    assert np.array([imu.measure(truth) for _ in range(600)]).tobytes() == first.tobytes()


errors = {
    "rate_hz": st.floats(20.0, 1500.0),
    "bandwidth_hz": st.floats(1.0, 2000.0),
    "accel_noise_density": st.floats(0.0, 0.1),
    "accel_bias_instability": st.floats(0.0, 0.1),
    "bias_correlation_s": st.floats(0.1, 1000.0),
    "accel_gain_sd": st.floats(0.0, 0.1),
    "gyro_cross_axis_sd": st.floats(0.0, 0.1),
    "gyro_g_sensitivity_sd": st.floats(0.0, 0.1),
    "accel_range": st.floats(1.0, 500.0),
    "gyro_range": st.floats(0.5, 50.0),
    "bits": st.integers(8, 24),
    "clock_offset_ppm": st.floats(0.0, 20000.0),
    "clock_jitter_s": st.floats(0.0, 0.01),
    "delay_s": st.floats(0.0, 0.2),
    "dropout_share": st.floats(0.0, 0.5),
    "dropout_burst_s": st.floats(0.001, 0.5),
    "mounting_rotation_sd_rad": st.floats(0.0, 0.5),
    "mounting_offset_sd_m": st.floats(0.0, 0.1),
    "soft_tissue": st.fixed_dictionaries(
        {
            "tibia": st.fixed_dictionaries(
                {
                    "frequency_hz": st.floats(1.0, 200.0),
                    "damping_ratio": st.floats(0.0, 3.0),
                    "gain": st.floats(0.0, 1.0),
                    "tilt_sd": st.floats(0.0, 0.3),
                }
            )
        }
    ),
}


@settings(max_examples=40, deadline=None)
@given(given_errors=st.fixed_dictionaries({}, optional=errors), rate=st.sampled_from([100.0, 200.0, 1000.0]))
def test_whatever_the_errors_are_the_sensor_says_numbers_within_its_range(given_errors, rate):
    of = spec(2, **given_errors)
    said = run(of, np.random.default_rng(0).normal(0.0, 20.0, (40, STEPS, 6)), rate=rate)
    assert np.all(np.isfinite(said))
    assert np.abs(said[..., :3]).max() <= of.accel_range
    assert np.abs(said[..., 3:]).max() <= of.gyro_range
