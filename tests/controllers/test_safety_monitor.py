"""The safety monitor: what holds for any input, and each fault's way to zero and back."""

import math

import numpy as np
import pytest
from exotwin.controllers import ChannelLayout, SafetyConfig, SensorFrame
from exotwin.controllers.safety import SafetyMonitor
from hypothesis import given, settings
from hypothesis import strategies as st

DT, TORQUE, RATE, SPEED = 0.005, 25.0, 500.0, 10.0
QUICK = SafetyConfig(fault_ramp_s=0.02, healthy_s=0.05, ramp_in_s=0.0)
SENSOR = "imu/thigh_r/ax"
ANY = st.floats(allow_nan=True, allow_infinity=True)


@pytest.fixture
def drive(device, make_frame):
    """A monitor and a way to run it tick by tick: asks `torque` of all joints for `ticks`."""

    class Drive:
        def __init__(self, config, channels=(SENSOR,)):
            self.monitor = SafetyMonitor(device, config, channels)
            self.time = 0.0

        def __call__(self, torque, ticks=1, dt=DT, **channels):
            """Commands (ticks, n) and the faults of the last tick; channel names with `__` for `/`."""
            named = {name.replace("__", "/"): value for name, value in channels.items()}
            out = []
            for _ in range(ticks):
                self.time += dt
                self.admitted = self.monitor.admit(make_frame(self.time, named))
                self.last = self.monitor.command(np.full(4, torque))
                out.append(self.last.torque)
            return np.array(out)

    return Drive


@settings(max_examples=60, deadline=None)
@given(requests=st.lists(st.lists(ANY, min_size=4, max_size=4), min_size=1, max_size=60))
def test_any_requests_give_finite_limited_slow_torque(device, make_frame, requests):
    monitor = SafetyMonitor(device, SafetyConfig(fault_ramp_s=0.02, healthy_s=0.02, ramp_in_s=0.02), ())
    last, was_faulty = np.zeros(4), False
    for k, request in enumerate(requests):
        monitor.admit(make_frame(k * DT))
        command = monitor.command(np.array(request))
        change = np.abs(command.torque - last)
        assert np.isfinite(command.torque).all()
        assert np.abs(command.torque).max() <= TORQUE
        if not np.isfinite(request).all():
            assert "request_invalid" in command.faults
        if command.faults:
            assert np.all(np.abs(command.torque) <= np.abs(last))
            assert np.all(command.torque * last >= 0.0)
        else:
            assert np.all(change <= RATE * DT + 1e-9)
        if command.faults and was_faulty:
            assert np.all(change <= TORQUE * DT / 0.02 + 1e-9)
        last, was_faulty = command.torque, bool(command.faults)


@settings(max_examples=60, deadline=None)
@given(
    ticks=st.lists(st.tuples(st.one_of(st.just(0.005), ANY), ANY, st.lists(ANY, min_size=5, max_size=5)), max_size=40)
)
def test_any_frames_and_times_give_finite_limited_torque(device, make_frame, ticks):
    monitor = SafetyMonitor(device, QUICK, (SENSOR,))
    names = [SENSOR, *(f"encoder/{j}/{q}" for j in device.actuated[:2] for q in ("angle", "velocity"))]
    time = 0.0
    for step, request, values in ticks:
        time = time + step if math.isfinite(time + step) else step
        monitor.admit(make_frame(time, dict(zip(names, values, strict=True))))
        torque = monitor.command(np.full(4, request)).torque
        assert np.isfinite(torque).all()
        assert np.abs(torque).max() <= TORQUE


def test_rises_at_the_rate_limit_to_the_torque_limit(drive):
    run = drive(QUICK)
    torque = run(1e6, 20)
    expected = np.minimum(RATE * DT * np.arange(1, 21), TORQUE)
    assert torque == pytest.approx(np.tile(expected[:, None], 4))
    half = drive(SafetyConfig(ramp_in_s=0.0, torque_fraction=0.5, rate_fraction=0.2))
    torque = half(-1e6, 100)
    assert torque[0] == pytest.approx([-0.2 * RATE * DT] * 4)
    assert torque[-1] == pytest.approx([-0.5 * TORQUE] * 4)


def test_limits_open_in_a_straight_line_after_reset(drive):
    run = drive(SafetyConfig(ramp_in_s=1.0))
    torque = run(1e6, 220)[:, 0]
    assert torque == pytest.approx(np.minimum(TORQUE * DT * np.arange(1, 221), TORQUE))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_no_torque_drives_a_joint_past_its_speed_limit(drive, sign):
    run = drive(QUICK)
    full = run(sign * 99.0, 20)[-1, 0]
    assert full == sign * TORQUE
    fast = run(sign * 99.0, 1, encoder__hip_flexion_r__velocity=sign * SPEED)[-1]
    assert fast.tolist() == [0.0, full, full, full]  # only the fast joint
    slowing = run(sign * 99.0, 1, encoder__hip_flexion_r__velocity=sign * 0.9 * SPEED)[-1, 0]
    assert 0.0 < sign * slowing <= TORQUE / 2 + 1e-9  # half-way along the taper from 0.8 to 1
    braking = run(-sign * 99.0, 30, encoder__hip_flexion_r__velocity=sign * 2 * SPEED)[-1, 0]
    assert braking == -sign * TORQUE
    assert run.last.faults == ()


def test_soft_stops_take_away_only_torque_that_pushes_out(drive):
    config = SafetyConfig(ramp_in_s=0.0, soft_stops_rad={"knee_flexion": (-0.1, 2.0)}, soft_stop_width_rad=0.2)
    run = drive(config)
    assert run(99.0, 20)[-1, 1] == TORQUE
    assert run(99.0, 1, encoder__knee_flexion_r__angle=1.9)[-1, 1] == pytest.approx(TORQUE / 2)
    assert run(99.0, 1, encoder__knee_flexion_r__angle=2.5)[-1].tolist() == [TORQUE, 0.0, TORQUE, TORQUE]
    assert run(-99.0, 30, encoder__knee_flexion_r__angle=2.5)[-1, 1] == -TORQUE
    assert run(-99.0, 30, encoder__knee_flexion_r__angle=-0.1)[-1, 1] == 0.0
    assert run(99.0, 30, encoder__hip_flexion_r__angle=9.0)[-1, 0] == TORQUE  # no stop given


def test_short_gaps_are_held_longer_ones_are_a_fault(drive):
    run = drive(SafetyConfig(hold_s=0.02, ramp_in_s=0.0))
    run(1.0, 5, imu__thigh_r__ax=7.0)
    for _ in range(4):
        run(1.0, 1, imu__thigh_r__ax=math.nan)
        assert run.admitted is not None
        assert run.admitted[SENSOR] == 7.0
        assert run.last.faults == ()
    run(1.0, 1, imu__thigh_r__ax=math.nan)
    assert run.admitted is None
    assert run.last.faults == ("sensor_nan",)
    assert SENSOR in run.monitor.detail
    run(1.0, 1, imu__thigh_r__az=math.nan)  # another channel, not needed
    assert run.admitted is not None


def test_an_encoder_that_limits_need_is_needed(drive):
    run = drive(SafetyConfig(hold_s=0.0), channels=())
    run(1.0, 1, encoder__knee_flexion_l__velocity=math.nan)
    assert run.last.faults == ("sensor_nan",)


def test_fault_goes_to_zero_in_the_ramp_recovers_after_healthy_time_and_ramps_in(drive):
    run = drive(SafetyConfig(hold_s=0.0, fault_ramp_s=0.02, healthy_s=0.1, ramp_in_s=0.2))
    assert run(10.0, 100)[-1, 0] == 10.0
    assert run(10.0, 4, imu__thigh_r__ax=math.nan)[:, 0] == pytest.approx([7.5, 5.0, 2.5, 0.0])
    assert run.last.faults == ("sensor_nan",)
    healing = run(10.0, 19)
    assert not healing.any()
    assert run.last.faults == ("sensor_nan",)
    back = run(10.0, 1)  # 0.1 s after the last bad frame
    assert run.last.faults == ()
    assert back[-1, 0] == 0.0
    assert run(10.0, 40)[:, 0] == pytest.approx(np.minimum(TORQUE * DT * np.arange(1, 41) / 0.2, 10.0))
    assert run.monitor.counts == {"sensor_nan": 1}


def test_a_fault_ramp_of_zero_cuts_at_once(drive):
    run = drive(SafetyConfig(hold_s=0.0, fault_ramp_s=0.0, ramp_in_s=0.0))
    assert run(10.0, 50)[-1, 0] == 10.0
    assert not run(10.0, 1, imu__thigh_r__ax=math.nan).any()


def test_watchdog_finds_the_torque_gone_after_a_long_gap(drive):
    run = drive(SafetyConfig(watchdog_s=0.03, fault_ramp_s=0.05, ramp_in_s=0.0))
    assert run(10.0, 50)[-1, 0] == 10.0
    assert run(10.0, 1, dt=0.03)[-1, 0] == 10.0
    assert not run(10.0, 1, dt=0.2).any()
    assert run.last.faults == ("watchdog",)
    slightly = drive(SafetyConfig(watchdog_s=0.03))
    slightly(10.0, 5)
    slightly(10.0, 1, dt=0.032)
    assert slightly.last.faults == ("watchdog",)


@pytest.mark.parametrize("step", [0.0, -0.5, math.nan, math.inf])
def test_time_that_does_not_increase_is_a_fault_and_is_got_over(drive, step):
    run = drive(QUICK)
    run(10.0, 50)
    before = run.time
    run(10.0, 1, dt=step)
    assert run.last.faults == ("frame_time",)
    assert run.admitted is None
    run.time = before if not math.isfinite(run.time) else run.time
    run(10.0, 1)
    assert run.admitted is not None
    run(10.0, 60)
    assert run.last.faults == ()
    assert run.last.torque[0] == 10.0


def test_first_frame_without_a_time_is_a_fault(drive):
    run = drive(QUICK)
    run(1.0, 1, dt=math.nan)
    assert run.last.faults == ("frame_time",)


def test_frames_that_lack_a_channel_or_values(device, make_frame):
    monitor = SafetyMonitor(device, QUICK, (SENSOR,))
    whole = make_frame(0.0)
    kept = [i for i, name in enumerate(whole.layout.names) if name != SENSOR]
    poorer = ChannelLayout(whole.layout.names[i] for i in kept)
    for k in range(3):
        assert monitor.admit(SensorFrame(k * DT, whole.values[kept], poorer)) is None
        assert monitor.command(np.zeros(4)).faults == ("sensor_missing",)
    assert SENSOR in monitor.detail
    assert monitor.admit(SensorFrame(3 * DT, whole.values[:-1], whole.layout)) is None
    monitor.command(np.zeros(4))
    for k in range(4, 20):
        assert monitor.admit(make_frame(k * DT)) is not None
        command = monitor.command(np.zeros(4))
    assert command.faults == ()


def test_a_request_of_the_wrong_shape_is_invalid(device, make_frame):
    monitor = SafetyMonitor(device, QUICK)
    monitor.admit(make_frame(0.0))
    assert monitor.command(np.zeros(3)).faults == ("request_invalid",)


def test_faults_are_counted_and_latch_until_reset(drive):
    run = drive(QUICK.model_copy(update={"latch_after": 2}))
    run(math.nan, 3)
    run(10.0, 50)
    assert run.last.faults == ()
    run(math.nan, 3)
    run(10.0, 400)
    assert run.last.faults == ("request_invalid", "latched")
    assert not run.last.torque.any()
    assert run.monitor.counts == {"request_invalid": 2}
    run.monitor.reset()
    assert run(10.0, 50)[-1, 0] == 10.0
    assert run.monitor.counts == {}


def test_unknown_names_are_refused(drive):
    with pytest.raises(ValueError, match="did you mean 'watchdog'"):
        drive(QUICK).monitor.report("watchdgo")
    with pytest.raises(ValueError, match="did you mean 'knee_flexion'"):
        SafetyConfig(soft_stops_rad={"knee_flexon": (0.0, 1.0)})
    with pytest.raises(ValueError, match="lower stop"):
        SafetyConfig(soft_stops_rad={"knee_flexion": (1.0, 0.0)})
    with pytest.raises(ValueError, match="healthy_s"):
        SafetyConfig(healthy_s=0.01, fault_ramp_s=0.02)
