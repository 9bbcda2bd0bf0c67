"""The EMG sensor: what arrives, when, how much of it, and what spoils it."""

import numpy as np
import pytest
from exotwin.controllers.device import DeviceDescription
from exotwin.controllers.sensor_specs import EmgSpec
from exotwin.sim.sensors.electrodes import Electrodes, neighbourhood
from exotwin.sim.sensors.emg import Emg
from exotwin.sim.sensors.emg_processing import amplifier_sections, band_sections
from exotwin.sim.sensors.truth import SensorTruth
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfilt, sosfreqz, welch

RATE = 200.0
LEG = ("gastroc", "soleus", "tibant")


def spec(**given):
    return EmgSpec(**({"muscles": LEG} | given))


def run(made, excitation, seed=0, rate=RATE, force=None, start=0.0):
    """Envelopes (ticks, m) and raw samples (n, m) of excitation (ticks, m)."""
    sensor = Emg(made, rate)
    sensor.reset(np.random.default_rng(seed))
    envelopes, raw = [], []
    for k, now in enumerate(excitation):
        feet = np.zeros(2) if force is None else force[k]
        envelopes.append(sensor.measure(SensorTruth(start + k / rate, foot_force=feet, excitation=now)))
        raw.append(sensor.raw)
    return np.array(envelopes), np.concatenate(raw)


def steady(level, ticks=2000, m=6):
    return np.broadcast_to(np.asarray(level, float), (ticks, m))


@pytest.mark.parametrize("fidelity", ["interference", "motor_units"])
@pytest.mark.parametrize("rate", [1000.0, 2000.0])
def test_the_envelope_of_a_perfect_sensor_is_the_excitation_on_average(fidelity, rate):
    envelope, raw = run(spec(fidelity=fidelity, rate_hz=rate, mvc_volts=5e-4), steady(0.4, 4000))
    np.testing.assert_allclose(envelope.mean(axis=0), 0.4, atol=0.05)
    assert np.all(envelope.std(axis=0) < 0.1)
    np.testing.assert_allclose(raw.std(axis=0), 0.4 * 5e-4, rtol=0.15)


@settings(max_examples=25)
@given(
    st.sampled_from([100.0, 200.0, 250.0, 333.0, 1000.0]),
    st.sampled_from([500.0, 1000.0, 1926.0, 2000.0]),
    st.sampled_from(["interference", "motor_units"]),
)
def test_every_sample_arrives_with_the_first_tick_that_is_not_before_it(control, rate, fidelity):
    sensor = Emg(spec(muscles=("soleus",), rate_hz=rate, fidelity=fidelity), control)
    sensor.reset(np.random.default_rng(0))
    arrived = 0
    for k in range(50):
        sensor.measure(SensorTruth(k / control, foot_force=np.zeros(2), excitation=np.full(2, 0.2)))
        arrived += len(sensor.raw)
        assert arrived == np.floor(k * rate / control + 1e-9) + 1


def test_the_recorded_raw_signal_explains_the_envelope_in_the_loop():
    """Whoever processes the raw file as the field does gets the channel of the loop, up to the normalisation."""
    made = spec(noise_volts=5e-6, crosstalk=0.15, notch=True, mvc_error_sd=0.2)
    excitation = 0.25 + 0.2 * np.sin(2 * np.pi * np.arange(1200)[:, None] / RATE + np.arange(6))
    envelope, raw = run(made, excitation)
    smooth = butter(2, made.envelope_cutoff_hz, fs=made.rate_hz, output="sos")
    whole = sosfilt(smooth, np.abs(sosfilt(band_sections(made), raw, axis=0)), axis=0)[::5]
    ratio = (envelope / whole)[600:]  # the loop's filters had settled before the run
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[-1], ratio.shape), rtol=1e-3)
    assert np.ptp(np.log(ratio[-1])) > 0.05


def test_the_delay_is_of_the_electronics_and_whole():
    excitation = np.zeros((100, 6))
    excitation[40:] = 1.0
    first = [np.flatnonzero(run(spec(delay_s=d), excitation)[1][:, 0])[0] for d in (0.0, 0.02)]
    assert first[0] == 39 * 5 + 1  # excitation begins to rise after tick 39
    assert first[1] - first[0] == 20


def test_crosstalk_comes_from_neighbours_of_the_same_leg_only():
    excitation = steady([0, 1, 0, 0, 0, 0])  # the right soleus
    raw = run(spec(crosstalk=0.15), excitation)[1]
    share = raw.std(axis=0) / raw[:, 1].std()
    assert np.all((share[[0, 2]] > 0.0) & (share[[0, 2]] <= 0.15))
    np.testing.assert_array_equal(share[3:], 0.0)
    assert np.corrcoef(raw[:, 0], raw[:, 1])[0, 1] == pytest.approx(1.0, abs=1e-9)
    drawn = [run(spec(crosstalk=0.15), excitation[:1], seed)[1][0] for seed in range(60)]
    shares = np.array([row[[0, 2]] / row[1] for row in drawn])
    assert shares.mean() == pytest.approx(0.075, abs=0.012)
    assert shares.max() > 0.12


def test_neighbourhood_is_mutual_and_within_a_leg():
    near = neighbourhood(LEG)
    np.testing.assert_array_equal(near, near.T)
    np.testing.assert_array_equal(near[:3, :3], [[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    np.testing.assert_array_equal(near[:3, 3:], 0.0)


def test_baseline_noise_passes_the_amplifier():
    made = spec(noise_volts=4e-6)
    raw = run(made, steady(0.0, 4000))[1]
    passed = np.mean(np.abs(sosfreqz(amplifier_sections(made), 4096, fs=1000.0)[1]) ** 2)
    np.testing.assert_allclose(raw.std(axis=0), 4e-6 * np.sqrt(passed), rtol=0.04)


@pytest.mark.parametrize("hz", [50.0, 60.0])
def test_the_mains_hum_at_their_frequency_and_its_harmonics(hz):
    made = spec(powerline_volts=1e-5, powerline_hz=hz, rate_hz=2000.0)
    f, power = welch(run(made, steady(0.0, 4000))[1], 2000.0, nperseg=4000, axis=0)
    power = power.mean(axis=1)
    strongest = f[np.argsort(power)[::-1]]
    assert abs(strongest[0] - hz) <= 0.5
    near_third = np.abs(f - 3 * hz) < 2
    assert power[near_third].sum() == pytest.approx(0.09 * power[np.abs(f - hz) < 2].sum(), rel=0.15)
    assert np.sqrt(power.sum() * f[1]) == pytest.approx(1e-5, rel=0.5)
    left = run(spec(powerline_volts=1e-5, powerline_hz=hz, notch=True), steady(0.0))[0]
    hummed = run(spec(powerline_volts=1e-5, powerline_hz=hz), steady(0.0))[0]
    assert left.mean() < 0.5 * hummed.mean()


def test_the_converter_saturates_and_quantises():
    made = spec(range_volts=1e-3, bits=10)
    raw = run(made, steady(1.0))[1]
    step = 2e-3 / 2**10
    np.testing.assert_allclose(raw / step, np.rint(raw / step), atol=1e-9)
    assert np.abs(raw).max() == 1e-3
    assert (np.abs(raw) == 1e-3).mean() > 0.1  # |Gaussian| > 1: about a third of the time


def strikes(ticks=4000, period=220, leg=0):
    """(ticks, 2) N: one leg strikes the ground every 1.1 s, 700 N within 0.1 s, and leaves it after 0.6 s."""
    since = np.arange(ticks) % period
    force = np.zeros((ticks, 2))
    force[:, leg] = np.interp(since, [0, 20, 100, 120], [0, 700, 700, 0])
    return force


def test_heel_strikes_shake_the_electrodes_of_their_leg():
    made = spec(motion_volts=2e-4, amplifier_low_hz=0.5)
    _, raw = run(made, steady(0.0, 4000), force=strikes())
    np.testing.assert_array_equal(raw[:, 3:], 0.0)
    f, power = welch(raw[:, :3], 1000.0, nperseg=4096, axis=0)
    assert power[f < 20].sum() > 0.9 * power.sum()  # De Luca et al. 2010
    burst = np.array([np.abs(part).max(axis=0) for part in np.split(raw[: 18 * 1100, :3], 18)])
    assert 0.5 * 2e-4 < np.sqrt(np.mean(burst**2)) < 2.0 * 2e-4
    assert burst[1:].std(axis=0).min() > 0.2 * burst.mean()  # no two strikes alike
    usual = run(spec(motion_volts=2e-4), steady(0.0, 4000), force=strikes())[0]
    assert usual.max() < 0.15  # amplifier and band-pass keep most of it out of the envelope


def test_sweat_takes_signal_and_noise_over_the_session():
    made = spec(sweat_gain_loss=0.2, sweat_impedance_drop=0.5, noise_volts=1e-5, sweat_time_s=600.0)
    loud = [run(made, steady(0.5, 400), start=start)[1][500:].std(axis=0) for start in (0.0, 600.0)]
    np.testing.assert_allclose(loud[1] / loud[0], 1.0 - 0.2 * (1.0 - np.exp(-1.0)), rtol=0.01)
    quiet = [run(made, steady(0.0, 400), start=start)[1][500:].std(axis=0) for start in (0.0, 1e5)]
    np.testing.assert_allclose(quiet[1] / quiet[0], 0.5, rtol=0.01)


def test_electrodes_slip_as_often_and_far_as_they_are_said_to():
    """A compound Poisson process: the variance of the log gain is the number of slips times their variance."""
    made, hours = spec(gain_sd=0.2, shift_per_hour=3.0, shift_sd=0.1), 2.0
    electrodes, slipped = Electrodes(made), []
    for seed in range(300):
        electrodes.reset(np.random.default_rng(seed))
        electrodes.advance(hours * 3600.0)
        slipped.append(np.log(np.diag(electrodes.mixing) / (made.mvc_volts * electrodes.gain)))
    assert np.std(slipped) == pytest.approx(0.1 * np.sqrt(3.0 * hours), rel=0.06)
    assert np.mean(slipped) == pytest.approx(0.0, abs=0.02)


def test_normalisation_takes_out_the_gain_and_brings_in_its_own_error():
    def loudness(**errors):
        """Log of mean envelope and raw RMS, each (60,): ten sessions of six channels."""
        runs = [run(spec(**errors), steady(0.3, 600), seed) for seed in range(10)]
        return [np.log([f(r) for r in runs]).ravel() for f in (lambda r: r[0].mean(axis=0), lambda r: r[1].std(axis=0))]

    envelope, raw = loudness(gain_sd=0.3)
    assert raw.std() == pytest.approx(0.3, rel=0.35)
    assert envelope.std() < 0.08
    envelope, raw = loudness(mvc_error_sd=0.3)
    assert raw.std() < 0.08
    assert envelope.std() == pytest.approx(0.3, rel=0.35)


def test_a_session_begins_anywhere_in_its_hour():
    made = spec(session_s=3600.0, sweat_gain_loss=0.5, sweat_time_s=1800.0)
    electrodes, gains = Electrodes(made), []
    for seed in range(400):
        electrodes.reset(np.random.default_rng(seed))
        electrodes.advance(0.0)
        gains.append(electrodes.mixing[0, 0] / made.mvc_volts)
    assert min(gains) < 0.59  # 1 - 0.5 (1 - exp(-2)) = 0.568 at the end
    assert max(gains) > 0.97
    assert np.mean(gains) == pytest.approx(1 - 0.5 * (1 - (1 - np.exp(-2)) / 2), abs=0.02)


def test_same_seed_same_bytes_and_reset_forgets():
    made = spec(
        fidelity="motor_units", gain_sd=0.1, crosstalk=0.1, noise_volts=1e-6, motion_volts=1e-4, shift_per_hour=500.0,
        shift_sd=0.1, mvc_error_sd=0.1,
    )  # fmt: skip
    first, again, other = (run(made, steady(0.3, 300), seed, force=strikes(300)) for seed in (5, 5, 6))
    assert first[0].tobytes() == again[0].tobytes() != other[0].tobytes()
    assert first[1].tobytes() == again[1].tobytes()
    sensor = Emg(made, RATE)
    for seed in (6, 5):
        sensor.reset(np.random.default_rng(seed))
        told = [
            sensor.measure(SensorTruth(k / RATE, foot_force=f, excitation=np.full(6, 0.3)))
            for k, f in enumerate(strikes(300))
        ]
    assert np.array(told).tobytes() == first[0].tobytes()


def test_what_is_measured_is_the_callers_own():
    sensor = Emg(spec(), RATE)
    sensor.reset(np.random.default_rng(0))
    truth = SensorTruth(0.0, foot_force=np.zeros(2), excitation=np.full(6, 0.5))
    first, raw = sensor.measure(truth), sensor.raw
    kept, kept_raw = first.copy(), raw.copy()
    first[:] = np.nan
    assert np.isfinite(sensor.measure(truth)).all()
    np.testing.assert_array_equal(raw, kept_raw)
    assert np.isfinite(kept).all()


@settings(max_examples=15)
@given(
    st.fixed_dictionaries(
        {
            "fidelity": st.sampled_from(["interference", "motor_units"]),
            "rate_hz": st.floats(900.0, 2500.0),
            "crosstalk": st.floats(0.0, 0.5),
            "gain_sd": st.floats(0.0, 1.0),
            "noise_volts": st.floats(0.0, 1e-3),
            "powerline_volts": st.floats(0.0, 1e-3),
            "motion_volts": st.floats(0.0, 1e-2),
            "session_s": st.floats(0.0, 1e5),
            "shift_per_hour": st.floats(0.0, 100.0),
            "shift_sd": st.floats(0.0, 0.5),
            "sweat_gain_loss": st.floats(0.0, 0.9),
            "range_volts": st.floats(1e-4, 1e-1),
            "bits": st.integers(8, 24),
            "delay_s": st.floats(0.0, 0.1),
            "notch": st.booleans(),
            "mvc_error_sd": st.floats(0.0, 1.0),
        }
    )
)
def test_any_sensor_says_finite_volts_within_its_range_and_shares_of_the_maximum(figures):
    made = spec(**figures)
    excitation = np.random.default_rng(1).uniform(-0.1, 1.2, (40, 6))
    envelope, raw = run(made, excitation, force=strikes(40))
    assert np.all((envelope >= 0.0) & (envelope <= 1.0))
    assert np.all(np.abs(raw) <= made.range_volts * (1 + 1e-9))


@pytest.mark.parametrize("preset", ["research", "consumer"])
def test_presets_fill_in_the_errors(preset):
    made = DeviceDescription.model_validate(
        {
            "name": "t",
            "title": "t",
            "joints": [],
            "sources": ["none"],
            "sensors": {"preset": preset, "emg": {"muscles": list(LEG), "powerline_hz": 60.0}},
        }
    ).sensors.emg
    assert made.powerline_hz == 60.0
    envelope, _ = run(made, np.concatenate([steady(0.0, 400), steady(0.5, 600)]), force=strikes(1000))
    rest, work = envelope[200:400].mean(axis=0), envelope[500:].mean(axis=0)
    assert np.all(rest < {"research": 0.02, "consumer": 0.12}[preset])
    assert np.all((work > 0.2) & (work <= 1.0))


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ({"muscles": ["soleuss"]}, "did you mean 'soleus'"),
        ({"muscles": ["soleus", "soleus"]}, "named twice"),
        ({"band_low_hz": 460.0}, "band_low_hz 460 must be below"),
        ({"rate_hz": 500.0, "amplifier_low_hz": 300.0}, "amplifier_low_hz 300 must be below"),
        ({"crosstalck": 0.1}, "did you mean 'crosstalk'"),
    ],
)
def test_bad_descriptions_say_what_is_wrong(figures, message):
    with pytest.raises(ValueError, match=message):
        spec(**figures)
