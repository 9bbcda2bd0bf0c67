"""The stack as a whole: construction, the loop, and what happens when a part or a sensor fails."""

import math
import subprocess
import sys

import numpy as np
import pytest
from exotwin.controllers import (
    AssistanceConfig,
    Controller,
    ControllerStack,
    JointAssistance,
    ModeClassifier,
    ModeEstimate,
    SafetyConfig,
    TorqueEstimator,
    ZeroController,
)

DT, MASS = 0.005, 80.0
GYRO = "imu/thigh_r/gz"


class Walks:
    channels = (GYRO,)

    def __init__(self):
        self.resets = 0

    def reset(self):
        self.resets += 1

    def update(self, frame):
        return ModeEstimate("walk", 0.9, "normal")


class Says:
    """An estimator that answers what it is told to, or raises it."""

    def __init__(self, answer, joints=("knee_flexion_r", "hip_flexion_r"), channels=("imu/thigh_r/ax",)):
        self.answer, self.joints, self.channels, self.resets = answer, joints, channels, 0

    def reset(self):
        self.resets += 1

    def update(self, frame, mode):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


LAW = AssistanceConfig(
    joints={
        "hip_flexion": JointAssistance(scale=0.2, lowpass_hz=50.0),
        "knee_flexion": JointAssistance(scale=0.1, lowpass_hz=50.0),
    },
    fade_s=0.02,
)
SAFETY = SafetyConfig(healthy_s=0.1, ramp_in_s=0.1)


@pytest.fixture
def build(device):
    def make(estimator, classifier=None, **changes):
        parts = {"assistance": LAW, "safety": SAFETY, "body_mass_kg": MASS} | changes
        return ControllerStack(device, classifier or Walks(), estimator, **parts)

    return make


@pytest.fixture
def run(make_frame):
    def steps(stack, first, ticks, channels=None):
        for k in range(first, first + ticks):
            command = stack.step(make_frame(k * DT, channels))
        return command

    return steps


def test_estimates_reach_their_own_joints_scaled_by_mass(build, run):
    stack = build(Says(np.array([1.0, -0.5])))
    assert isinstance(stack, Controller)
    assert isinstance(stack.classifier, ModeClassifier)
    assert isinstance(stack.estimator, TorqueEstimator)
    command = run(stack, 0, 400)
    assert command.joints == ("hip_flexion_r", "knee_flexion_r", "hip_flexion_l", "knee_flexion_l")
    assert command.torque == pytest.approx([0.2 * MASS * -0.5, 0.1 * MASS * 1.0, 0.0, 0.0], abs=1e-6)
    assert command.time == pytest.approx(399 * DT)
    assert command.faults == ()
    assert stack.telemetry.mode.key == "walk/normal"
    assert stack.telemetry.estimate.tolist() == [1.0, -0.5]
    assert stack.telemetry.request == pytest.approx(command.torque)


def test_joints_the_device_lacks_are_telemetry_only(build, run):
    stack = build(Says(np.array([9.0, 1.0]), joints=("ankle_dorsiflexion_r", "hip_flexion_l")))
    command = run(stack, 0, 400)
    assert command.torque == pytest.approx([0.0, 0.0, 0.2 * MASS, 0.0], abs=1e-6)
    assert stack.telemetry.estimate.tolist() == [9.0, 1.0]


@pytest.mark.parametrize(
    ("estimator", "changes", "said"),
    [
        (
            Says(None, channels=("imu/thigh_r/ax", "imu/thigh_l/ax")),
            {},
            r"estimator needs channel 'imu/thigh_l/ax', which .*did you mean 'imu/thigh_r/ax'",
        ),
        (Says(None, joints=("knee_angle_r",)), {}, "no joint 'knee_angle_r'"),
        (Says(None), {"body_mass_kg": math.nan}, "body_mass_kg"),
        (Says(None), {"body_mass_kg": 0.0}, "body_mass_kg"),
    ],
)
def test_what_cannot_work_is_refused_when_built(build, estimator, changes, said):
    with pytest.raises(ValueError, match=said):
        build(estimator, **changes)


def test_a_classifier_without_its_channel_is_refused(build):
    classifier = Walks()
    classifier.channels = ("insole/r/forze",)
    with pytest.raises(ValueError, match=r"classifier needs .*did you mean 'insole/r/force'"):
        build(Says(np.zeros(2)), classifier)


@pytest.mark.parametrize("lost", [GYRO, "imu/thigh_r/ax", "encoder/hip_flexion_l/angle"])
def test_a_sensor_lost_mid_run_means_zero_torque_then_recovery_from_scratch(build, run, lost):
    stack = build(Says(np.array([1.0, 1.0])))
    before = run(stack, 0, 400).torque
    command = run(stack, 400, 100, {lost: math.nan})
    assert command.faults == ("sensor_nan",)
    assert lost in stack.safety.detail
    assert not command.torque.any()
    assert np.isnan(stack.telemetry.estimate).all()
    assert stack.telemetry.mode is None
    resets = stack.estimator.resets, stack.classifier.resets
    assert run(stack, 500, 1).faults == ("sensor_nan",)
    assert (stack.estimator.resets, stack.classifier.resets) == (resets[0] + 1, resets[1] + 1)
    command = run(stack, 501, 400)
    assert command.faults == ()
    assert command.torque == pytest.approx(before)
    assert stack.estimator.resets == resets[0] + 1


def test_a_sensor_nobody_needs_may_be_lost(build, run):
    command = run(build(Says(np.array([1.0, 1.0]))), 0, 300, {"insole/r/force": math.nan, "imu/thigh_r/az": math.nan})
    assert command.faults == ()
    assert command.torque[0] > 1.0


@pytest.mark.parametrize(
    "nonsense",
    [
        RuntimeError("boom"),
        np.zeros(3),
        np.array([math.inf, 0.0]),
        "word",
        None,
    ],
)
def test_an_estimator_that_fails_is_a_fault_and_the_run_goes_on(build, run, nonsense):
    stack = build(Says(np.array([1.0, 1.0])))
    before = run(stack, 0, 400).torque
    stack.estimator.answer = nonsense
    command = run(stack, 400, 100)
    assert command.faults == ("estimator_error",)
    assert not command.torque.any()
    assert stack.telemetry.mode is not None
    assert stack.safety.counts == {"estimator_error": 1}
    stack.estimator.answer, stack.estimator.resets = np.array([1.0, 1.0]), 0
    command = run(stack, 500, 400)
    assert stack.estimator.resets == 1  # its state was suspect
    assert command.faults == ()
    assert command.torque == pytest.approx(before)


def test_a_classifier_that_raises_is_named(build, run):
    stack = build(Says(np.zeros(2)))
    stack.classifier.update = lambda frame: 1 / 0
    assert run(stack, 0, 3).faults == ("classifier_error",)
    assert "ZeroDivisionError" in stack.safety.detail


def test_an_estimator_that_cannot_tell_gives_no_torque_and_no_fault(build, run):
    command = run(build(Says(np.array([math.nan, 1.0]))), 0, 400)
    assert command.faults == ()
    assert command.torque == pytest.approx([0.2 * MASS, 0.0, 0.0, 0.0], abs=1e-6)


def test_telemetry_has_the_phase_of_each_leg(build, run):
    stack = build(Says(np.zeros(2)))
    run(stack, 0, 1)
    run(stack, 1, 111, {"insole/l/force": 500.0})
    right, left = stack.telemetry.phase
    assert math.isnan(right)
    assert left == pytest.approx(0.5, abs=0.01)  # of the 1.1 s assumed before a stride is known


def test_reset_makes_runs_identical(build, make_frame):
    stack = build(Says(np.array([1.0, -1.0])))

    def record():
        stack.reset()
        lost = {100: {GYRO: math.inf}}
        return [stack.step(make_frame(k * DT, lost.get(k // 2 * 2))).torque for k in range(300)]

    assert np.array_equal(record(), record())


def test_estimator_buffers_are_not_shared_with_telemetry(build, run):
    buffer = np.array([1.0, 2.0])
    stack = build(Says(buffer))
    run(stack, 0, 1)
    seen = stack.telemetry.estimate
    buffer[:] = 0.0
    assert seen.tolist() == [1.0, 2.0]


def test_zero_controller(device, make_frame):
    zero = ZeroController(device.actuated)
    assert isinstance(zero, Controller)
    zero.reset()
    command = zero.step(make_frame(0.3))
    assert (command.time, command.joints, command.faults) == (0.3, device.actuated, ())
    assert command.torque.tolist() == [0.0] * 4
    assert ZeroController().step(make_frame(0.0)).torque.shape == (0,)


@pytest.mark.parametrize("module", ["exotwin.controllers", "exotwin.estimators.runtime"])
def test_importing_the_device_side_stays_light(module):
    code = f"""
import importlib.util, sys
if importlib.util.find_spec({module!r}) is None:
    sys.exit("no such module")
__import__({module!r})
print(sorted({{"mujoco", "torch", "gymnasium", "scipy", "pyarrow", "numba"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.stderr.strip() == "no such module":
        pytest.skip(f"{module} is not there yet")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
