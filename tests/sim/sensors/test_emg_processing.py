"""The EMG's filters against scipy.signal."""

import numpy as np
import pytest
from exotwin.controllers.sensor_specs import EmgSpec
from exotwin.sim.sensors.emg_processing import EmgProcessing, amplifier_sections, band_sections, filter_block, new_state
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfilt, sosfreqz


def spec(**given):
    return EmgSpec(**({"muscles": ("soleus",), "rate_hz": 1000.0} | given))


@settings(max_examples=20)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(1, 4))
def test_blocks_of_any_length_give_scipys_numbers(lengths, order):
    sections = butter(order, (0.1, 0.7), "bandpass", output="sos")
    x = np.random.default_rng(0).standard_normal((sum(lengths), 3))
    state, found = new_state(sections, 3), []
    for block in np.split(x.copy(), np.cumsum(lengths)[:-1]):
        block = np.ascontiguousarray(block)
        filter_block(sections, state, block)
        found.append(block)
    np.testing.assert_allclose(np.concatenate(found), sosfilt(sections, x, axis=0), atol=1e-12)


@pytest.mark.parametrize("notch", [False, True])
def test_the_linear_envelope_is_that_of_the_textbook(notch):
    made = spec(notch=notch, envelope_cutoff_hz=4.0)
    raw = 1e-3 * np.random.default_rng(1).standard_normal((1003, 2))
    processing = EmgProcessing(made, 2)
    streamed = np.concatenate([processing.push(raw[k : k + 5]) for k in range(0, len(raw), 5)])
    smooth = butter(2, 4.0, fs=1000.0, output="sos")
    whole = sosfilt(smooth, np.abs(sosfilt(band_sections(made), raw, axis=0)), axis=0)
    np.testing.assert_allclose(streamed, np.maximum(whole, 0.0), atol=1e-15)
    processing.reset()
    np.testing.assert_allclose(processing.push(raw), streamed, atol=1e-15)


def test_the_envelope_of_a_sine_is_its_mean_rectified_value():
    t = np.arange(6000) / 2000.0
    envelope = EmgProcessing(spec(rate_hz=2000.0), 1).push(1e-3 * np.sin(2 * np.pi * 97.0 * t)[:, None])
    assert envelope[-500:].mean() == pytest.approx(1e-3 * 2 / np.pi, rel=0.01)


def gains(sections, rate, *hz):
    return np.abs(sosfreqz(sections, hz, fs=rate)[1])


def test_bands_have_their_corners():
    made = spec(rate_hz=2000.0, amplifier_low_hz=20.0, amplifier_high_hz=450.0, notch=True)
    for sections in (amplifier_sections(made), band_sections(made)):
        np.testing.assert_allclose(gains(sections, 2000.0, 20.0, 450.0), np.sqrt(0.5), rtol=0.02)
        assert gains(sections, 2000.0, 1.0)[0] < 0.01
    assert gains(band_sections(made), 2000.0, 50.0)[0] < 0.01
    assert gains(band_sections(made), 2000.0, 60.0)[0] > 0.9


def test_corners_beyond_what_the_rate_can_hold_move_inside():
    at = gains(amplifier_sections(spec(amplifier_high_hz=500.0)), 1000.0, 450.0)[0]
    assert at == pytest.approx(np.sqrt(0.5), rel=0.01)
