"""EMG features against closed forms, SciPy's periodogram and themselves."""

import re
from pathlib import Path

import numpy as np
import pytest
from exotwin.estimators import emg_features as f
from exotwin.estimators.emg_features import FEATURES, EmgFeatures
from exotwin.sim.recording import Recording
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import periodogram

RATE = 1000.0
T = np.arange(1000) / RATE


def tone(hz, amplitude=1.0, phase=1.0):
    return amplitude * np.sin(2 * np.pi * hz * T + phase)[None]


def test_a_sine_has_the_closed_forms():
    x = tone(47.0, 2e-3)  # no two samples of the second are at the same phase
    assert f.mean_absolute_value(x)[0] == pytest.approx(2e-3 * 2 / np.pi, rel=0.001)
    assert f.root_mean_square(x)[0] == pytest.approx(2e-3 / np.sqrt(2))
    assert f.simple_square_integral(x)[0] == pytest.approx(1000 * 2e-6)
    assert f.zero_crossings(x, 1e-5)[0] == 94  # two a period
    assert f.slope_sign_changes(x, 1e-6)[0] == 94
    assert f.waveform_length(x)[0] == pytest.approx(47 * 4 * 2e-3, rel=0.01)  # up and down twice a period
    # |sin| exceeds one half two thirds of the time.
    assert f.myopulse_percentage_rate(x, 1e-3)[0] == pytest.approx(2 / 3, abs=0.005)
    frequency, power = f.power_spectrum(x, RATE)
    assert f.mean_frequency(frequency, power)[0] == pytest.approx(47.0, abs=0.01)
    assert f.median_frequency(frequency, power)[0] == pytest.approx(47.0, abs=0.1)


def test_thresholds_keep_noise_out():
    x = tone(50.0, 1e-3)
    step = np.abs(np.diff(x)).max()
    assert f.zero_crossings(x, 1.01 * step)[0] == 0
    assert f.slope_sign_changes(x, 1.01 * step)[0] == 0
    assert f.myopulse_percentage_rate(x, 1.01e-3)[0] == 0.0


def test_two_tones_split_the_spectrum():
    frequency, power = f.power_spectrum(tone(60.0, 1.0) + tone(200.0, 0.5), RATE)
    assert f.mean_frequency(frequency, power)[0] == pytest.approx((60 * 1 + 200 * 0.25) / 1.25, rel=1e-3)
    assert f.median_frequency(frequency, power)[0] == pytest.approx(60.0, abs=1.0)


@pytest.mark.parametrize("samples", [150, 151, 400])
def test_the_spectrum_is_scipys_periodogram(samples):
    x = np.random.default_rng(0).standard_normal((3, samples))
    frequency, power = f.power_spectrum(x, RATE)
    known, density = periodogram(x, RATE, window="hann")
    np.testing.assert_allclose(frequency, known)
    np.testing.assert_allclose(
        power / power.sum(axis=1, keepdims=True), density / density.sum(1, keepdims=True), atol=1e-12
    )


def test_white_noise_has_its_median_at_a_quarter_of_the_rate():
    x = np.random.default_rng(1).standard_normal((4, 20000))
    frequency, power = f.power_spectrum(x, RATE)
    np.testing.assert_allclose(f.median_frequency(frequency, power), 250.0, rtol=0.03)
    np.testing.assert_allclose(f.mean_frequency(frequency, power), 250.0, rtol=0.03)


def test_silence_has_no_features():
    np.testing.assert_array_equal(EmgFeatures(2, RATE, 0.15).of(np.zeros((2, 150))), 0.0)


def test_sample_by_sample_and_at_once_agree():
    raw = 1e-4 * np.random.default_rng(2).standard_normal((503, 3))
    features = EmgFeatures(3, RATE, 0.15)
    offline = features.over(raw, stride=5)
    assert offline.shape == ((503 - 150) // 5 + 1, len(FEATURES), 3)
    streamed = np.array([features.push(raw[k : k + 5]) for k in range(0, 500, 5)])
    assert np.isnan(streamed[:29]).all()
    np.testing.assert_allclose(streamed[29:], offline[:71], rtol=1e-12)
    features.reset()
    assert np.isnan(features.push(raw[:5])).all()


def test_a_block_longer_than_the_window_leaves_its_end():
    raw = np.random.default_rng(3).standard_normal((400, 2))
    features = EmgFeatures(2, RATE, 0.1)
    np.testing.assert_allclose(features.push(raw), features.of(raw[-100:].T))


def test_features_come_in_the_order_asked_for():
    raw = np.random.default_rng(4).standard_normal((200, 2))
    both = EmgFeatures(2, RATE, 0.2, ("rms", "mdf")).of(raw.T)
    every = EmgFeatures(2, RATE, 0.2).of(raw.T)
    np.testing.assert_array_equal(both, every[[FEATURES.index("rms"), FEATURES.index("mdf")]])


def test_the_documented_example_reads_a_recording(tmp_path, monkeypatch):
    page = Path(__file__).parents[2] / "docs" / "sensors.md"
    (code,) = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    time = np.arange(2000) / 2000.0
    columns = {
        "time": time,
        "emg/soleus_r": 1e-3 * np.sin(2 * np.pi * 100.0 * time),
        "emg/soleus_l": 1e-5 * np.sin(2 * np.pi * 60.0 * time),
    }
    folder = tmp_path / "runs" / "level_walk"
    folder.mkdir(parents=True)
    Recording(columns, {"subject": {"mass_kg": 70.0}, "rate_hz": 2000.0}).write(folder / "unpowered.emg.parquet")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    values, ends = names["values"], names["ends"]
    assert values.shape == (17, 3, 2)  # (2000 - 400) / 100 + 1
    np.testing.assert_allclose(ends, 0.2 + 0.05 * np.arange(17) - 1 / 2000.0)
    np.testing.assert_allclose(values[:, 0], [[1e-3 / np.sqrt(2), 1e-5 / np.sqrt(2)]] * 17)
    np.testing.assert_allclose(values[:, 1], [[40, 0]] * 17, atol=1)  # two a period; the faint one is noise
    np.testing.assert_allclose(values[:, 2], [[100.0, 60.0]] * 17, atol=1)


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match=r"no EMG feature 'rmss'; did you mean 'rms'"):
        EmgFeatures(1, RATE, 0.2, ("rmss",))
    with pytest.raises(ValueError, match="has 5 samples"):
        EmgFeatures(1, RATE, 0.005)
    assert EmgFeatures(1, RATE, 0.2).over(np.zeros((10, 1)), 5).shape == (0, len(FEATURES), 1)


@given(arrays(float, (2, 64), elements=st.floats(-1, 1, width=16)), st.integers(-3, 3))
def test_scaling_a_signal_scales_amplitudes_and_leaves_counts_and_frequencies(x, power_of_two):
    scale = 2.0**power_of_two  # exact, so that no sign and no threshold turns
    one = dict(zip(FEATURES, EmgFeatures(2, RATE, 0.064, threshold_volts=1e-3).of(x), strict=True))
    other = dict(zip(FEATURES, EmgFeatures(2, RATE, 0.064, threshold_volts=1e-3 * scale).of(scale * x), strict=True))
    for name in ("mav", "rms", "wl"):
        np.testing.assert_allclose(other[name], scale * one[name], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(other["ssi"], scale**2 * one["ssi"], rtol=1e-9, atol=1e-12)
    assert np.all((one["mnf"] >= 0) & (one["mnf"] <= RATE / 2))
    assert np.all((one["mdf"] >= 0) & (one["mdf"] <= RATE / 2 + RATE / 64))
    assert np.all(one["rms"] >= one["mav"] - 1e-12)
    for name in ("zc", "ssc", "myop"):
        np.testing.assert_array_equal(other[name], one[name])
    for name in ("mnf", "mdf"):
        np.testing.assert_allclose(other[name], one[name], rtol=1e-6, atol=1e-6)
