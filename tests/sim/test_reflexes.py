"""The compiled spinal cord against SciPy's integrator, MuJoCo's muscle and the stated delays and thresholds."""

import mujoco
import numpy as np
import pytest
from exotwin.controllers.device import MUSCLES
from exotwin.sim.bridge import addresses
from exotwin.sim.impairments import SPASTIC_GAIN, SPASTIC_THRESHOLD, Impairment, effects, impair_model
from exotwin.sim.muscle_control import LEAD
from exotwin.sim.person import build_person
from exotwin.sim.reflexes import (
    DELAY,
    LINE_STEPS,
    REFLEX_SIZE,
    THRESHOLD,
    VOLUNTARY,
    activation_rate,
    begin,
    reflex_drive,
    spinal,
    spinal_table,
)
from exotwin.sim.subjects import Subject
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from scipy.integrate import solve_ivp

SUBJECT = Subject()
SIDED = [f"{m}_{s}" for s in ("r", "l") for m in MUSCLES]
CALF = SIDED.index("soleus_l")
DT = 0.001


class Cord:
    """A spinal cord on a person whose muscle velocities are set by hand."""

    def __init__(self, *impairments, dt=DT):
        self.spec = build_person(SUBJECT)
        self.spec.option.timestep = dt
        self.model = self.spec.compile()
        what = effects(impairments, SUBJECT)
        impair_model(self.model, what)
        self.what, self.table, self.dt = what, spinal_table(what, self.model), dt
        self.data = mujoco.MjData(self.model)
        self.pointers = addresses(self.model, self.data)
        self.reflex = np.zeros(REFLEX_SIZE)
        begin(self.reflex, np.zeros(26))

    def step(self, velocity=0.0, wanted=0.0, muscle=CALF):
        """One step with a muscle's normalised fibre velocity and wanted activation; its excitation."""
        optimal = np.diff(self.model.actuator_lengthrange[muscle])[0] / np.diff(self.model.actuator_gainprm[muscle, :2])
        self.data.actuator_velocity[:] = 0.0
        self.data.actuator_velocity[muscle] = velocity * optimal[0] * self.model.actuator_gainprm[muscle, 6]
        ask = np.zeros(26)
        ask[muscle] = wanted
        spinal(self.pointers, self.table, self.reflex, ask, self.dt)
        return float(self.data.ctrl[muscle])


def spastic(severity=1.0, **options):
    return Cord(Impairment(kind="equinus", severity=severity), **options)


@njit
def drive(velocity, gain, threshold):
    return reflex_drive(velocity, gain, threshold)


@njit
def rate(excitation, activation, rise, fall):
    return activation_rate(excitation, activation, rise, fall)


def test_reflex_obeys_falisses_equation():
    """de/dt = -e/tau + (g/tau) s (0.5 tanh(b (s - T)) + 0.5), s delayed: to first order in the step, which holds s."""
    tau, delay = 0.030, 0.020

    def stretch(t):
        return 0.12 * np.sin(2 * np.pi * 4 * t) * (t > 0)

    def equation(t, e):
        s = stretch(t - delay)
        return -e / tau + SPASTIC_GAIN / tau * s * (0.5 * np.tanh(100.0 * (s - SPASTIC_THRESHOLD)) + 0.5)

    times = np.arange(0.0, 0.3, 0.001)
    truth = solve_ivp(equation, (0, 0.3), [0.0], t_eval=times, rtol=1e-9, atol=1e-12, max_step=1e-3).y[0]
    assert truth.max() > 0.1
    errors = []
    for substeps in (1, 2):
        cord = spastic(dt=0.001 / substeps)
        ours = [cord.step(stretch(k * cord.dt)) for k in range(substeps * times.size)]
        errors.append(np.abs(ours[::substeps] - truth).max())
    assert errors[0] < 2.5e-3
    assert errors[1] == pytest.approx(errors[0] / 2, rel=0.1)


@pytest.mark.parametrize(("muscle", "delay"), [("soleus", 0.020), ("vasti", 0.010)])
def test_nothing_is_felt_before_the_delay(muscle, delay):
    cord = Cord(Impairment(kind="hemiparesis", severity=1.0, side="l"))
    m = SIDED.index(f"{muscle}_l")
    felt = [cord.step(0.2, muscle=m) for _ in range(40)]
    # The excitation of a step is what came in until the step before.
    first = int(np.argmax(np.array(felt) > 0.0))
    assert first == round(delay / DT) + 1


@pytest.mark.parametrize("severity", [0.5, 1.0])
def test_a_calf_stretched_faster_than_the_threshold_fires(severity):
    threshold = effects([Impairment(kind="equinus", severity=severity)], SUBJECT).reflex_threshold[CALF]
    answers = []
    for velocity in (threshold - 0.02, threshold + 0.02, -0.2):
        cord = spastic(severity)
        answers.append([cord.step(velocity) for _ in range(300)][-1])
    slow, fast, shortening = answers
    full = severity * SPASTIC_GAIN * (threshold + 0.02)
    assert fast > 0.95 * full
    assert slow < 0.05 * full
    assert shortening == 0.0


def test_the_threshold_falls_as_spasticity_grows():
    tables = [spastic(s).table[CALF, THRESHOLD] for s in (0.0, 0.25, 0.5, 1.0)]
    assert np.all(np.diff(tables) < 0.0)


@given(st.floats(-1.0, 1.0), st.floats(0.0, 3.0), st.floats(0.0, 0.3))
def test_drive_is_never_more_than_gain_times_stretch(velocity, gain, threshold):
    value = drive(velocity, gain, threshold)
    assert value <= gain * max(0.0, velocity) + 1e-12
    assert value >= -gain * 0.003  # of a muscle that shortens slowly at a threshold of zero


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.005, 0.05), st.floats(0.02, 0.1))
def test_activation_is_mujocos(excitation, activation, rise, fall):
    prm = np.array([rise, fall, 0.0])
    assert rate(excitation, activation, rise, fall) == pytest.approx(
        mujoco.mju_muscleDynamics(excitation, activation, prm), rel=1e-9, abs=1e-12
    )


def test_without_reflex_and_merging_the_command_is_the_healthy_one():
    """`recruit` sends act + LEAD (wanted - act), clipped; MuJoCo's muscle follows. Here too, to the last bit or so."""
    cord = Cord()
    rng = np.random.default_rng(1)
    act = 0.0
    prm = cord.model.actuator_dynprm[CALF, :3]
    for wanted in np.repeat(rng.random(20), 15):
        excitation = cord.step(0.3, wanted)
        assert excitation == pytest.approx(np.clip(act + LEAD * (wanted - act), 0.0, 1.0), abs=1e-9)
        act += DT * mujoco.mju_muscleDynamics(excitation, act, prm)
    assert cord.reflex[VOLUNTARY + CALF] == pytest.approx(act, abs=1e-9)


def test_the_brain_does_not_take_the_reflex_back():
    """A lasting stretch adds its whole reflex to a steady voluntary excitation."""
    cord = spastic()
    for _ in range(600):
        excitation = cord.step(0.1, 0.3)
    assert excitation == pytest.approx(0.3 + SPASTIC_GAIN * 0.1, abs=1e-3)


def test_excitations_stay_within_bounds():
    cord = spastic()
    assert max(cord.step(1.0, 1.0) for _ in range(200)) == 1.0
    assert 0.0 <= min(cord.step(-1.0, 0.0) for _ in range(500)) < 1e-6


def test_merged_muscles_are_excited_together():
    cord = Cord(Impairment(kind="hemiparesis", severity=1.0, side="l"))
    for _ in range(300):
        cord.step(0.0, 0.6)
    ctrl = cord.data.ctrl[:26]
    np.testing.assert_allclose(ctrl, cord.what.mixing @ (0.6 * np.eye(26)[CALF]), atol=1e-3)
    assert ctrl[SIDED.index("vasti_l")] > 0.03
    assert ctrl[SIDED.index("vasti_r")] == 0.0


def test_state_can_be_started_again():
    cord = spastic()
    first = [cord.step(0.2, 0.1) for _ in range(100)]
    begin(cord.reflex, np.zeros(26))
    np.testing.assert_array_equal([cord.step(0.2, 0.1) for _ in range(100)], first)


def test_states_of_a_batch_have_one_size_and_may_be_stacked():
    cords = [spastic(), Cord()]
    batch = np.stack([cord.reflex for cord in cords])
    assert batch.shape == (2, REFLEX_SIZE)
    cords[0].reflex = batch[0]
    assert max(cords[0].step(0.2) for _ in range(100)) > 0.1
    assert not batch[1].any()


def test_a_delay_longer_than_the_line_is_refused():
    assert spastic(dt=0.0005).table[CALF, DELAY] == 40
    with pytest.raises(ValueError, match=f"the longest is {LINE_STEPS - 1}"):
        spastic(dt=0.0002)
