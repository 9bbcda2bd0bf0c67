"""Joint encoders against their definitions."""

import numpy as np
import pytest
from exotwin.controllers.sensor_specs import EncoderSpec
from exotwin.sim.sensors.encoder import Encoder
from exotwin.sim.sensors.truth import SensorTruth
from hypothesis import given
from hypothesis import strategies as st

RATE = 200.0


def run(angle, seed=0, **errors):
    """Said angle and velocity (ticks, 2), of the same angle on both sides the right one."""
    encoder = Encoder(EncoderSpec(joints=("knee_flexion",), **errors), RATE)
    encoder.reset(np.random.default_rng(seed))
    return np.array([encoder.measure(SensorTruth(0.0, encoder_angle=np.array([a, a]))) for a in angle])[:, :2]


def test_quantises_the_angle_and_filters_its_difference():
    resolution, cutoff = 0.001, 20.0
    t = np.arange(2000) / RATE
    angle = 0.5 * np.sin(2 * np.pi * 1.0 * t)
    said, velocity = run(angle, resolution_rad=resolution, velocity_cutoff_hz=cutoff).T
    np.testing.assert_allclose(said, resolution * np.rint(angle / resolution), atol=1e-12)
    # Frequency response at 1 Hz: backward difference, then the first-order lag of the same cut-off.
    z = np.exp(2j * np.pi * 1.0 / RATE)
    pole = np.exp(-2 * np.pi * cutoff / RATE)
    response = RATE * (1 - 1 / z) * (1 - pole) / (1 - pole / z)
    expected = 0.5 * np.imag(response * np.exp(2j * np.pi * t))
    error = velocity[200:] - expected[200:]
    assert np.abs(error).max() < 2 * resolution * RATE
    # The difference of two roundings has this much before the lag smooths it.
    assert error.std() < resolution * RATE / np.sqrt(6)


def test_offset_has_its_spread_and_does_not_touch_velocity():
    ramp = 0.01 * np.arange(100)
    said = run(ramp, offset_sd_rad=0.05)
    np.testing.assert_allclose(said[:, 0] - ramp, said[0, 0])
    assert said[-1, 1] == pytest.approx(0.01 * RATE)
    offsets = [run([0.0], seed, offset_sd_rad=0.05)[0, 0] for seed in range(500)]
    assert np.std(offsets) == pytest.approx(0.05, rel=0.1)


def test_backlash_loses_its_play_at_every_reversal():
    """A triangle of 0.2 rad: the loop between angle and reading is as wide as the play, its top as flat."""
    there = np.linspace(0.0, 0.2, 201)
    angle = np.concatenate([there, there[-2::-1], there[1:]])
    said = run(angle, backlash_rad=0.02)[:, 0]
    up, down = said[400:], said[200:401][::-1]
    np.testing.assert_allclose((down - up)[30:170], 0.02, atol=1e-12)
    assert np.ptp(said[200:220]) < 1e-12
    assert np.ptp(said[200:]) == pytest.approx(0.18)


@given(st.lists(st.floats(-2.0, 2.0), min_size=1, max_size=50), st.floats(0.0, 0.3))
def test_backlash_never_strays_by_more_than_half_its_play(angles, play):
    said = run(angles, backlash_rad=play)[:, 0]
    assert np.abs(said - angles).max() <= 0.5 * play + 1e-12


@pytest.mark.parametrize("ticks", [0, 1, 3])
def test_delay_is_exact(ticks):
    signal = np.sin(np.arange(50.0))
    late = run(signal, delay_s=ticks / RATE)[:, 0]
    np.testing.assert_array_equal(late[ticks:], signal[: len(signal) - ticks])
    np.testing.assert_array_equal(late[:ticks], signal[0])
