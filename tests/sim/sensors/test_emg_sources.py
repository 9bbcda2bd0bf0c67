"""Both models of the EMG signal: spectrum, amplitude and its distribution against theory and published figures."""

import numpy as np
import pytest
from exotwin.sim.sensors.interference import InterferencePattern
from exotwin.sim.sensors.motor_units import UNITS, MotorUnits, discharge_rates
from scipy.integrate import cumulative_simpson
from scipy.signal import butter, find_peaks, sosfilt, welch
from scipy.stats import kurtosis

SOURCES = pytest.mark.parametrize("source", [InterferencePattern, MotorUnits])


def signal(source, excitation, seconds=20.0, rate=2000.0, channels=2, seed=0, rows=10):
    """(n, channels) at a constant excitation, without the first half second."""
    made = source(channels, rate)
    made.reset(np.random.default_rng(seed))
    drive = np.full(channels, float(excitation))
    blocks = [made.sample(drive, drive, rows) for _ in range(round(seconds * rate / rows))]
    return np.concatenate(blocks)[round(0.5 * rate) :]


def median_frequency(x, rate=2000.0):
    f, power = welch(x, rate, nperseg=2048, axis=0)
    below = np.cumsum(power.mean(axis=1))
    return f[np.searchsorted(below, below[-1] / 2)]


@SOURCES
def test_rms_is_one_at_full_excitation(source):
    np.testing.assert_allclose(signal(source, 1.0, channels=4).std(axis=0), 1.0, rtol=0.06)


@SOURCES
@pytest.mark.parametrize("rate", [1000.0, 2000.0])
def test_power_says_what_a_filter_leaves(source, rate):
    band = butter(2, (60.0, 150.0), "bandpass", fs=rate, output="sos")
    made = source(2, rate)
    made.reset(np.random.default_rng(0))
    expected = made.power(band)
    left = sosfilt(band, signal(source, 1.0, 40.0, rate), axis=0).var(axis=0)
    np.testing.assert_allclose(left, expected, rtol=0.08)
    assert np.all(expected < 0.8)


def test_the_interference_pattern_has_the_spectrum_of_its_model():
    """S(f) = f^2 / ((f^2 + 60^2) (f^2 + 120^2)^2), Shwedyk et al. 1977."""
    x = signal(InterferencePattern, 1.0, 120.0)
    f, power = welch(x, 2000.0, nperseg=256, axis=0)
    model = f**2 / ((f**2 + 60.0**2) * (f**2 + 120.0**2) ** 2)
    grid = np.linspace(0.0, 1e4, 200001)
    whole = cumulative_simpson(grid**2 / ((grid**2 + 60.0**2) * (grid**2 + 120.0**2) ** 2), x=grid)[-1]
    band = (f > 15) & (f < 300)
    np.testing.assert_allclose(power.mean(axis=1)[band], (model / whole)[band], rtol=0.12)
    assert median_frequency(x) == pytest.approx(96.0, rel=0.05)  # of the model, by numerical integration


def test_the_interference_pattern_is_gaussian_and_proportional_to_excitation():
    for excitation in (0.05, 0.5):
        x = signal(InterferencePattern, excitation)
        np.testing.assert_allclose(x.std(axis=0), excitation, rtol=0.04)
        np.testing.assert_allclose(kurtosis(x, fisher=False), 3.0, atol=0.2)


def test_excitation_changes_linearly_within_a_tick():
    made = InterferencePattern(1, 1000.0)
    made.reset(np.random.default_rng(0))
    ramp = np.array([made.sample(np.zeros(1), np.ones(1), 10)[:, 0] for _ in range(5000)])
    np.testing.assert_allclose(ramp.std(axis=0), np.arange(1, 11) / 10, rtol=0.05)


def test_motor_units_are_recruited_in_order_and_code_by_rate():
    """Fuglevand et al. 1993: from 8 /s at recruitment to 25-35 /s; all units are recruited at 64 % of the maximum."""
    assert not discharge_rates(0.02).any()
    assert (discharge_rates(0.63) > 0).sum() < UNITS == (discharge_rates(0.65) > 0).sum()
    full = discharge_rates(1.0)
    assert full[-1] == pytest.approx(25.0)
    assert full[0] == pytest.approx(35.0, abs=0.5)
    for excitation in np.linspace(0.0, 1.0, 21):
        rates = discharge_rates(excitation)
        active = rates > 0
        assert np.all(active[:-1] >= active[1:])
        assert np.all(rates[active] >= 8.0)


def test_one_unit_alone_discharges_at_its_rate_with_its_variability():
    excitation = 1.04 / 46.9  # between the first threshold and the second
    assert (discharge_rates(excitation) > 0).sum() == 1
    x = np.abs(signal(MotorUnits, excitation, 300.0, channels=1, rows=10)[:, 0])
    intervals = np.diff(find_peaks(x, height=0.9 * x.max(), distance=40)[0]) / 2000.0
    assert 1.0 / intervals.mean() == pytest.approx(8.0, rel=0.04)
    assert intervals.std() / intervals.mean() == pytest.approx(0.2, abs=0.03)


def test_motor_units_give_an_amplitude_nearly_proportional_to_excitation():
    levels = np.array([0.1, 0.2, 0.35, 0.5, 0.8, 1.0])
    rms = np.array([signal(MotorUnits, level, 6.0, channels=6).std(axis=0).mean() for level in levels])
    assert np.all(np.diff(rms) > 0)
    np.testing.assert_allclose(rms, levels, atol=0.15)


def test_motor_units_give_published_median_frequencies():
    """50 % of maximum: tibialis anterior 116 +- 20 Hz, biceps 90 +- 18 Hz (Krivickas et al. 1998, J Clin Neurophysiol).

    Vastus lateralis rises by up to 18.6 % from 10 to 90 % (Pincivero et al. 2001, J Appl Physiol).
    """
    low, middle, high = (median_frequency(signal(MotorUnits, level, 10.0, channels=6)) for level in (0.1, 0.5, 0.9))
    assert 72.0 < middle < 136.0
    assert 1.02 < high / low < 1.3


def test_motor_units_are_super_gaussian_when_few_and_gaussian_when_many():
    """Kurtosis falls to 3 as force rises (Nazarpour et al. 2013)."""
    few, many = (kurtosis(signal(MotorUnits, level, 10.0, channels=6), fisher=False).mean() for level in (0.05, 1.0))
    assert few > 3.4
    assert many == pytest.approx(3.0, abs=0.2)
    assert few > many


@SOURCES
def test_same_seed_same_signal(source):
    first, again, other = (signal(source, 0.4, 1.0, seed=seed) for seed in (3, 3, 4))
    assert first.tobytes() == again.tobytes() != other.tobytes()


@SOURCES
def test_muscles_are_independent(source):
    x = signal(source, 1.0, channels=3)
    np.testing.assert_allclose(np.corrcoef(x.T), np.eye(3), atol=0.06)
