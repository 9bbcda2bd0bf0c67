"""Sensor faults against what they are said to do."""

import numpy as np
import pytest
from exotwin.controllers.config import Config, explain
from exotwin.controllers.interface import ChannelLayout
from exotwin.controllers.sensor_specs import EmgSpec
from exotwin.sim.sensors.fault_injector import FaultInjector, spoil_raw_emg
from exotwin.sim.sensors.faults import (
    KINDS,
    ClockDrift,
    Dropout,
    ElectrodeOff,
    LatencySpike,
    LostInsole,
    Missing,
    Saturation,
    SensorFault,
    ShiftedImu,
    Stuck,
    SwappedSides,
)
from exotwin.sim.sensors.truth import SensorTruth
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.spatial.transform import Rotation

AXES = ("ax", "ay", "az", "gx", "gy", "gz")
NAMES = [
    *(f"imu/{site}/{axis}" for site in ("pelvis", "thigh_r", "thigh_l") for axis in AXES),
    *(f"insole/{side}/{q}" for side in "rl" for q in ("force", "cop_x", "cop_y")),
    "emg_env/soleus_r",
    "emg_env/soleus_l",
]
LAYOUT = ChannelLayout(NAMES)
RATE = 100.0


class File(Config):
    """A file with faults."""

    faults: tuple[SensorFault, ...] = ()


def strike(*faults, ticks=60, seed=0, values=None):
    """Measured (ticks, n) as the faults leave it, and the active names; unspoilt, channel i says tick + 1000 i."""
    injector = FaultInjector(LAYOUT, faults, RATE)
    injector.reset(np.random.default_rng(seed))
    seen = plain(ticks) if values is None else values.copy()
    names = [injector.spoil(k / RATE, row) for k, row in enumerate(seen)]
    return seen, names


def plain(ticks=60):
    return np.arange(ticks)[:, None] + 1000.0 * np.arange(len(LAYOUT))


def at(*names):
    return LAYOUT.indices(names)


VOLTS = np.random.default_rng(0).standard_normal((2000, 2)) * 1e-3


def strike_raw(*faults, **spec):
    """`VOLTS` of the soleus of both legs at 1 kHz as the faults leave them."""
    raw = VOLTS.copy()
    emg = EmgSpec(muscles=("soleus",), **spec)
    spoil_raw_emg(raw, ["emg/soleus_r", "emg/soleus_l"], emg, faults, np.random.default_rng(0))
    return raw


def pitch(wave):
    """The strongest frequency of a wave sampled at 1 kHz, Hz."""
    return np.argmax(np.abs(np.fft.rfft(wave))) * 1000.0 / len(wave)


def test_missing_and_stuck_channels_strike_in_their_time_only():
    seen, names = strike(
        Missing(start_s=0.1, end_s=0.2, channels="imu/thigh_r/*"), Stuck(start_s=0.15, end_s=0.3, channels="*/force")
    )
    expected = plain()
    expected[10:20, at(*(f"imu/thigh_r/{axis}" for axis in AXES))] = np.nan
    force = at("insole/r/force", "insole/l/force")
    expected[15:30, force] = expected[14, force]
    np.testing.assert_array_equal(seen, expected)
    assert names[9] == ()
    assert names[16] == ("nan:imu/thigh_r/*", "stuck:*/force")
    assert names[25] == ("stuck:*/force",)


def test_channels_that_are_stuck_from_the_beginning_repeat_what_they_said_first():
    seen, names = strike(Stuck(start_s=0.0, end_s=0.2, channels="*/force"))
    force = at("insole/r/force", "insole/l/force")
    np.testing.assert_array_equal(seen[:20, force], np.tile(plain()[0, force], (20, 1)))
    np.testing.assert_array_equal(seen[20:], plain()[20:])
    assert names[0] == ("stuck:*/force",)


def test_a_fault_without_end_lasts():
    seen, _ = strike(Missing(start_s=0.1, channels="*/force"))
    assert np.isnan(seen[10:, at("insole/r/force")]).all()
    assert np.isfinite(seen[:10]).all()


def test_faults_compose_in_their_order():
    late = LatencySpike(start_s=0.0, delay_s=0.05)
    gone = Missing(start_s=0.2, end_s=0.3)
    first, _ = strike(gone, late)
    then, _ = strike(late, gone)
    missing = np.flatnonzero(np.isnan(first[:, 0]))
    np.testing.assert_array_equal(missing, np.arange(25, 35))  # the gap itself comes late
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(then[:, 0])), np.arange(20, 30))


def test_a_dropout_of_everything_loses_frames_and_one_of_channels_loses_samples():
    injector = FaultInjector(LAYOUT, [Dropout(start_s=0.1, end_s=0.2)], RATE)
    lost = []
    for k, row in enumerate(plain()):
        injector.spoil(k / RATE, row)
        lost.append(injector.frame_lost)
        assert np.isnan(row).all() == lost[-1]
    assert np.flatnonzero(lost).tolist() == list(range(10, 20))
    seen, _ = strike(Dropout(start_s=0.0, channels="imu/thigh_r/*", loss=0.3), ticks=4000)
    gone = np.isnan(seen)
    packet = gone[:, at("imu/thigh_r/ax")[0]]
    assert packet.mean() == pytest.approx(0.3, abs=0.03)
    np.testing.assert_array_equal(gone[:, at("imu/thigh_r/gz")[0]], packet)  # a packet is lost whole
    assert not gone[:, at("imu/thigh_l/ax")].any()


def test_saturation_clips_and_keeps_gaps():
    wave = np.linspace(-50.0, 50.0, 60)[:, None] + np.zeros(len(LAYOUT))
    wave[7] = np.nan
    seen, _ = strike(Saturation(start_s=0.0, channels="imu/*/a?", limit=20.0), values=wave)
    clipped = at("imu/thigh_l/ay")
    np.testing.assert_array_equal(seen[:, clipped], np.clip(wave, -20, 20)[:, clipped])
    np.testing.assert_array_equal(seen[:, at("imu/thigh_l/gy")], wave[:, at("imu/thigh_l/gy")])


def test_a_drifting_clock_falls_behind_at_its_rate_and_recovers():
    seen, _ = strike(ClockDrift(start_s=0.5, end_s=1.5, channels="imu/pelvis/*", ppm=50_000), ticks=200)
    behind = plain(200)[:, 0] - seen[:, 0]
    tick = np.arange(200)
    expected = np.where((tick >= 50) & (tick < 150), 0.05 * (tick - 50), 0.0)
    np.testing.assert_allclose(behind, expected, atol=1e-9)


@pytest.mark.parametrize("start", [0.2, 0.195, 0.1901])  # at a tick and between two: the first that it hits is 20
def test_a_latency_spike_stalls_then_delivers_late_and_never_goes_back_in_time(start):
    seen, _ = strike(LatencySpike(start_s=start, end_s=0.4, delay_s=0.05))
    expected = np.arange(60.0)
    expected[20:40] = np.maximum(19, np.arange(20, 40) - 5)
    np.testing.assert_array_equal(seen[:, 0], expected)
    assert np.all(np.diff(seen[:, 0]) >= 0)


def test_swapped_sides_exchange_and_swapping_twice_does_nothing():
    swap = SwappedSides(start_s=0.0, channels="imu/*")
    seen, _ = strike(swap)
    np.testing.assert_array_equal(seen[:, at("imu/thigh_r/gx")], plain()[:, at("imu/thigh_l/gx")])
    np.testing.assert_array_equal(seen[:, at("imu/thigh_l/ay")], plain()[:, at("imu/thigh_r/ay")])
    np.testing.assert_array_equal(seen[:, at("imu/pelvis/ax")], plain()[:, at("imu/pelvis/ax")])
    np.testing.assert_array_equal(seen[:, at("insole/r/force")], plain()[:, at("insole/r/force")])
    np.testing.assert_array_equal(strike(swap, swap)[0], plain())


def test_swapped_sides_need_both_sides():
    layout = ChannelLayout(["imu/pelvis/ax", "imu/thigh_r/ax", "imu/shank_r/ax", "imu/shank_l/ax"])
    with pytest.raises(ValueError, match=r"no channel to swap sides with 'imu/thigh_l/ax'"):
        FaultInjector(layout, [SwappedSides(start_s=0.0, channels="imu/*")])


def test_a_lost_insole_is_silent_or_says_nothing_presses():
    silent, _ = strike(LostInsole(start_s=0.1, side="r"))
    zero, names = strike(LostInsole(start_s=0.1, side="r", reads="zero"))
    here = at("insole/r/force", "insole/r/cop_x", "insole/r/cop_y")
    assert np.isnan(silent[10:, here]).all()
    assert not zero[10:, here].any()
    np.testing.assert_array_equal(zero[:, at("insole/l/force")], plain()[:, at("insole/l/force")])
    assert names[10] == ("lost_insole:insole/r",)


def test_an_electrode_that_is_off_hears_the_mains_only():
    fault = ElectrodeOff(start_s=0.1, muscle="soleus_r", hum=0.4)
    seen, _ = strike(fault)
    assert np.all(seen[10:, at("emg_env/soleus_r")] == 0.4)
    np.testing.assert_array_equal(seen[:, at("emg_env/soleus_l")], plain()[:, at("emg_env/soleus_l")])
    gone = Missing(start_s=0.0, channels="imu/*")  # hits no raw channel: left out
    raw = strike_raw(gone, fault)
    np.testing.assert_array_equal(raw[:, 1], VOLTS[:, 1])
    np.testing.assert_array_equal(raw[:100], VOLTS[:100])
    hum = raw[100:, 0]
    assert np.sqrt(np.mean(hum**2)) == pytest.approx(0.4e-3, rel=1e-6)
    assert pitch(hum) == pytest.approx(50.0)


def test_the_hum_is_of_the_device_s_mains_and_range_unless_told_otherwise():
    off = {"start_s": 0.1, "muscle": "soleus_r", "hum": 0.4}
    american = strike_raw(ElectrodeOff(**off), powerline_hz=60.0)[100:, 0]
    told = strike_raw(ElectrodeOff(**off, mains_hz=50.0), powerline_hz=60.0)[100:, 0]
    assert (pitch(american), pitch(told)) == (pytest.approx(60.0), pytest.approx(50.0))
    narrow = strike_raw(ElectrodeOff(**off), range_volts=3e-4)[100:, 0]
    whole = strike_raw(ElectrodeOff(**off))[100:, 0]
    np.testing.assert_allclose(narrow, np.clip(whole, -3e-4, 3e-4))


def test_what_hits_an_envelope_hits_the_raw_emg_under_it():
    raw = strike_raw(Missing(start_s=0.5, end_s=1.0, channels="emg_env/soleus_l"))
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(raw[:, 1])), np.arange(500, 1000))
    np.testing.assert_array_equal(raw[:, 0], VOLTS[:, 0])
    # A limit is a share of the maximum contraction, here 2 mV.
    clipped = strike_raw(Saturation(start_s=0.0, channels="emg*", limit=0.3), mvc_volts=2e-3)
    np.testing.assert_array_equal(clipped, np.clip(VOLTS, -0.6e-3, 0.6e-3))


def circling(radius, spin, ticks, steps=4):
    """What an IMU feels that circles at radius (m) and ever faster, spin * t (rad/s about z): (ticks, steps, 1, 3).

    Its x axis points outwards: specific force x = -w^2 r, y = w' r (no gravity), the textbook result.
    """
    t = (np.arange(ticks * steps) + 1.0).reshape(ticks, steps) / (RATE * steps)
    w = spin * t
    zero = np.zeros_like(w)
    acc = np.stack([-(w**2) * radius, zero + spin * radius, zero], axis=-1)[:, :, None]
    gyro = np.stack([zero, zero, w], axis=-1)[:, :, None]
    return t[:, -1], acc, gyro


def test_a_shifted_imu_feels_what_a_sensor_at_its_new_place_feels():
    layout = ChannelLayout([f"imu/thigh_r/{axis}" for axis in AXES])
    time, acc, gyro = circling(0.2, 3.0, 50)
    _, there, _ = circling(0.25, 3.0, 50)
    rotation = (10.0, -20.0, 30.0)
    shifted = ShiftedImu(start_s=0.2, site="thigh_r", shift_m=(0.05, 0.0, 0.0), rotation_deg=rotation)
    injector = FaultInjector(layout, [shifted], RATE)
    into = Rotation.from_rotvec(np.radians(rotation)).inv()
    # The reading is a physics step late.
    there, spun = (np.roll(a.reshape(-1, 3), 1, axis=0).reshape(50, -1, 3) for a in (there, gyro))
    for k, now in enumerate(time):
        felt = injector.disturb(SensorTruth(time=now, imu_acc=acc[k], imu_gyro=gyro[k]))
        if now < 0.2:
            np.testing.assert_array_equal(felt.imu_acc, acc[k])
            continue
        np.testing.assert_allclose(felt.imu_acc[:, 0], into.apply(there[k]), atol=1e-9)
        np.testing.assert_allclose(felt.imu_gyro[:, 0], into.apply(spun[k]), atol=1e-12)
    assert injector.spoil(0.3, np.zeros(6)) == ("shifted_imu:imu/thigh_r",)


def test_an_imu_that_slips_twice_ends_up_where_both_slips_lead():
    layout = ChannelLayout([f"imu/thigh_r/{axis}" for axis in AXES])
    _, acc, gyro = circling(0.2, 3.0, 30)
    _, there, _ = circling(0.25, 3.0, 30)
    turn = (0.0, 0.0, 90.0)  # now x points along the way, y to the middle
    first = ShiftedImu(start_s=0.0, site="thigh_r", shift_m=(0.03, 0.0, 0.0), rotation_deg=turn)
    second = ShiftedImu(start_s=0.0, site="thigh_r", shift_m=(0.0, -0.02, 0.0), rotation_deg=turn)
    injector = FaultInjector(layout, [first, second], RATE)
    felt = [injector.disturb(SensorTruth(time=k / RATE, imu_acc=acc[k], imu_gyro=gyro[k])) for k in range(30)]
    late = np.roll(there.reshape(-1, 3), 2, axis=0).reshape(30, -1, 3)  # by one physics step for each slip
    half_turned = late * (-1.0, -1.0, 1.0)
    for k in range(2, 30):
        np.testing.assert_allclose(felt[k].imu_acc[:, 0], half_turned[k], atol=1e-9)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Missing(start_s=0, channels="imu/thigh_x/ax"), r"imu/thigh_x/ax.*imu/thigh_[rl]/ax"),
        (ShiftedImu(start_s=0, site="thigh"), "no IMU site 'thigh'; did you mean 'thigh_[rl]'"),
        (ElectrodeOff(start_s=0, muscle="solus_r"), "no EMG electrode 'solus_r'; did you mean 'soleus_r'"),
        (SwappedSides(start_s=0, channels="imu/pelvis/*"), "has a side"),
    ],
)
def test_a_fault_that_hits_nothing_names_the_nearest(fault, message):
    with pytest.raises(ValueError, match=message):
        FaultInjector(LAYOUT, [fault])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "stuk", "start_s": 0, "channels": "*"}, "no kind of fault 'stuk'; did you mean 'stuck'"),
        ({"start_s": 0}, "no kind of fault ''; there is dropout, nan, stuck"),
        ({"kind": "stuck", "start_s": 0, "chanels": "*"}, "no key 'chanels'; did you mean 'channels'"),
        ({"kind": "stuck", "start_s": 0}, "channels: Field required"),
        ({"kind": "nan", "start_s": 2, "end_s": 1}, "end_s must be after start_s"),
        ({"kind": "saturation", "start_s": 0, "channels": "*", "limit": 0}, "limit"),
        ({"kind": "lost_insole", "start_s": 0, "side": "left"}, "side"),
    ],
)
def test_bad_faults_in_a_file_are_named(given, message):
    with pytest.raises(ValidationError) as error:
        File.model_validate({"faults": [given]})
    assert message in explain(error.value)


KNOBS = {
    "saturation": {"channels": "*", "limit": 3.0},
    "clock_drift": {"channels": "*", "ppm": 9000},
    "latency_spike": {"delay_s": 0.07},
    "shifted_imu": {"site": "thigh_r", "shift_m": [0, 0.1, 0]},
    "lost_insole": {"side": "l"},
    "emg_electrode_off": {"muscle": "soleus_l"},
    "dropout": {"loss": 0.5},
}
FAULTS = st.builds(
    lambda kind, start, length: {"channels": "imu/*"} | {"start_s": start, "end_s": start + length} | {"kind": kind},
    st.sampled_from([k for k in KINDS if k not in ("shifted_imu", "lost_insole", "emg_electrode_off")]),
    st.floats(0, 0.5),
    st.floats(0.02, 0.5),
).map(lambda fault: fault | KNOBS.get(fault["kind"], {}))
OTHERS = st.sampled_from(["shifted_imu", "lost_insole", "emg_electrode_off"]).map(
    lambda kind: {"kind": kind, "start_s": 0.1} | KNOBS[kind]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(FAULTS | OTHERS, max_size=5), st.integers(0, 5))
def test_any_schedule_is_reproducible_and_leaves_healthy_times_alone(given_faults, seed):
    faults = File.model_validate({"faults": given_faults}).faults
    seen, names = strike(*faults, ticks=110, seed=seed)
    again, _ = strike(*faults, ticks=110, seed=seed)
    np.testing.assert_array_equal(seen, again)
    healthy = np.array([not n for n in names])
    np.testing.assert_array_equal(seen[healthy], plain(110)[healthy])
    for k, said in enumerate(names):
        assert said == tuple(f.name for f in faults if f.is_active(k / RATE))
