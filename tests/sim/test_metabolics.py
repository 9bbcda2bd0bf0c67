"""The muscle energy models against hand-computed values, known limits and OpenSim's implementation."""

import numpy as np
import pytest
from exotwin.controllers.device import MUSCLES
from exotwin.sim.metabolics import (
    BASAL_RATE,
    MuscleEnergetics,
    bhargava2004,
    metabolic_rates,
    minetti1997,
    umberger2010,
)
from hypothesis import given, settings
from hypothesis import strategies as st

# One muscle of F0 = 1000 N, L0 = 0.1 m: mass 0.42388 kg, V_max 1 m/s.
ONE = MuscleEnergetics(("m",), np.array([0.1]), np.array([1000.0]), np.array([0.5]), np.array([10.0]))


def cell(value: float) -> np.ndarray:
    return np.array([[value]])


def test_muscle_mass() -> None:
    assert ONE.mass[0] == pytest.approx(0.42388)


def test_minetti_by_hand() -> None:
    # x = 0.25: (0.054 + 0.1265 + 0.15375) / (1 - 0.2825 + 0.8 - 0.025625) = 0.33425 / 1.491875
    rate = minetti1997(ONE, cell(0.4), cell(-0.25))
    assert rate[0, 0] == pytest.approx(0.4 * 1000.0 * 1.0 * 0.33425 / 1.491875)
    # x = -0.5 (lengthening): (0.054 - 0.253 + 0.615) / (1 + 0.565 + 3.2 + 0.205) = 0.416 / 4.97
    assert minetti1997(ONE, cell(1.0), cell(0.5))[0, 0] == pytest.approx(1000.0 * 0.416 / 4.97)
    assert minetti1997(ONE, cell(1.0), cell(0.0))[0, 0] == pytest.approx(54.0)


def test_umberger_by_hand() -> None:
    # u > a, so A = 0.5; l <= 1; v = -2 L0/s. h_AM = 1.5 * 0.5^0.6 * 89 = 88.077 W/kg
    # h_SL = 1.5 * 0.25 * (0.5 * 25 * 2 + 0.5 * 15.3 * 2) = 15.1125 W/kg; work = 200 * 0.2 = 40 W
    rate = umberger2010(ONE, cell(0.5), cell(0.3), cell(0.9), cell(-0.2), cell(200.0))
    assert rate[0, 0] == pytest.approx(0.42388 * (1.5 * 0.5**0.6 * 89 + 15.1125) + 40.0)
    # Lengthening at l = 1.2, A = (0.2 + 0.4) / 2, F_iso = exp(-0.04 / 0.45); negative work does not count.
    iso = np.exp(-0.04 / 0.45)
    heat = 1.5 * 0.3**0.6 * 89 * (0.4 + 0.6 * iso) + 1.5 * 0.3 * 0.3 * 25 * 1.0 * iso
    rate = umberger2010(ONE, cell(0.2), cell(0.4), cell(1.2), cell(0.1), cell(300.0))
    assert rate[0, 0] == pytest.approx(0.42388 * heat)
    # Slow-twitch shortening heat is capped at 100 W/kg: v = -8 L0/s would give 200.
    rate = umberger2010(ONE, cell(1.0), cell(0.5), cell(1.0), cell(-0.8), cell(0.0))
    assert rate[0, 0] == pytest.approx(0.42388 * 1.5 * (89 + 0.5 * 100 + 0.5 * 15.3 * 8))


def test_bhargava_by_hand() -> None:
    slow, fast = 0.5 * np.sin(0.25 * np.pi), 0.5 * (1 - np.cos(0.25 * np.pi))
    heat = 0.42388 * (40 * slow + 133 * fast + 0.75 * (74 * slow + 111 * fast))
    iso = 0.3 * np.exp(-(0.25**2) / 0.45) * 1000
    rate = bhargava2004(ONE, cell(0.5), cell(0.3), cell(0.75), cell(-0.2), cell(200.0), cell(50.0))
    assert rate[0, 0] == pytest.approx(heat + 0.2 * (0.16 * iso + 0.18 * 250) + 40.0)
    heat = 0.42388 * (40 * slow + 133 * fast + 0.6 * (74 * slow + 111 * fast))  # l = 1.2
    rate = bhargava2004(ONE, cell(0.5), cell(0.3), cell(1.2), cell(0.01), cell(200.0))
    assert rate[0, 0] == pytest.approx(heat - 0.01 * 0.157 * 200 - 2.0)


def test_a_resting_muscle_makes_the_least_heat() -> None:
    zero = cell(0.0)
    for model in (umberger2010, bhargava2004):
        assert model(ONE, zero, zero, cell(1.0), zero, zero)[0, 0] == pytest.approx(ONE.mass[0])


@settings(max_examples=200, deadline=None)
@given(
    u=st.floats(0, 1),
    a=st.floats(0, 1),
    length=st.floats(0.4, 1.8),
    velocity=st.floats(-1.0, 1.0),
    force=st.floats(0, 1500),
)
def test_no_model_ever_gives_energy_back(u: float, a: float, length: float, velocity: float, force: float) -> None:
    rates = metabolic_rates(ONE, cell(u), cell(a), cell(length), cell(velocity), cell(force), 70.0)
    for rate in rates.values():
        assert rate[0] >= BASAL_RATE * 70.0 - 1e-9
    work = -force * velocity
    if work > 0:  # mechanical work is paid for in full by the two models that know the force
        assert rates["umberger2010"][0] >= BASAL_RATE * 70.0 + work
        assert rates["bhargava2004"][0] >= BASAL_RATE * 70.0 + work


def test_body_rate_is_the_sum_over_muscles_and_time_steps_are_independent() -> None:
    rng = np.random.default_rng(1)
    names = [f"{m}_{s}" for s in "rl" for m in MUSCLES]
    k = len(names)
    params = MuscleEnergetics.of(names, rng.uniform(0.03, 0.2, k), rng.uniform(300, 6000, k))
    u, a = rng.uniform(0, 1, (2, 40, k))
    length, velocity = rng.uniform(0.5, 1.5, (40, k)), rng.normal(0, 0.2, (40, k))
    force = a * params.max_isometric_force
    whole = metabolic_rates(params, u, a, length, velocity, force, 75.0)
    assert set(whole) == {"umberger2010", "bhargava2004", "minetti1997"}
    for model, rate in whole.items():
        one_by_one = np.zeros(40)
        for i, name in enumerate(names):
            single = MuscleEnergetics.of(
                [name], params.optimal_fibre_length[i : i + 1], params.max_isometric_force[i : i + 1]
            )
            part = [x[:, i : i + 1] for x in (u, a, length, velocity, force)]
            one_by_one += metabolic_rates(single, *part, 0.0)[model]
        np.testing.assert_allclose(rate, one_by_one + BASAL_RATE * 75.0)
        np.testing.assert_allclose(
            rate[7:8],
            metabolic_rates(params, *(x[7:8] for x in (u, a, length, velocity, force)), 75.0)[model],
        )


def test_every_muscle_of_the_person_has_a_slow_twitch_fraction() -> None:
    params = MuscleEnergetics.of(MUSCLES, np.full(13, 0.1), np.full(13, 1e3))
    fraction = dict(zip(params.names, params.slow_twitch_fraction, strict=True))
    assert fraction["soleus"] == max(fraction.values())  # the soleus is the slowest muscle of the leg
    assert fraction["rectfem"] == min(fraction.values())


def test_bad_parameters_are_named() -> None:
    with pytest.raises(ValueError, match="'solues_r'; did you mean 'soleus'"):
        MuscleEnergetics.of(["solues_r"], np.array([0.1]), np.array([1e3]))
    with pytest.raises(ValueError, match="optimal_fibre_length of soleus_l is out of range"):
        MuscleEnergetics.of(["soleus_r", "soleus_l"], np.array([0.1, 0.0]), np.array([1e3, 1e3]))
    with pytest.raises(ValueError, match=r"max_isometric_force has shape \(2,\)"):
        MuscleEnergetics.of(["soleus_r"], np.array([0.1]), np.array([1e3, 1e3]))
    with pytest.raises(ValueError, match="fibre_velocity"):
        metabolic_rates(ONE, cell(0), cell(0), cell(1), np.zeros((2, 1)), cell(0), 70.0)


@pytest.mark.slow
def test_agrees_with_opensim() -> None:
    """A single Thelen muscle pulling a block, over a grid of states: rates as OpenSim's own probes give."""
    osim = pytest.importorskip("opensim")
    model = osim.Model()
    block = osim.Body("block", 20.0, osim.Vec3(0), osim.Inertia(1.0))
    joint = osim.SliderJoint("slide", model.getGround(), block)
    model.addBody(block)
    model.addJoint(joint)
    f0, l0, slack, slow_twitch = 1500.0, 0.08, 0.1, 0.3
    muscle = osim.Thelen2003Muscle("m", f0, l0, slack, 0.0)
    muscle.addNewPathPoint("origin", model.updGround(), osim.Vec3(0))
    muscle.addNewPathPoint("insertion", block, osim.Vec3(0))
    model.addForce(muscle)
    umberger = osim.Umberger2010MuscleMetabolicsProbe(True, True, True, True)
    bhargava = osim.Bhargava2004MuscleMetabolicsProbe(True, True, True, True, True)
    bhargava.set_use_force_dependent_shortening_prop_constant(True)
    for name, probe in (("umberger", umberger), ("bhargava", bhargava)):
        probe.setName(name)
        model.addProbe(probe)
    # OpenSim's defaults are the variant of Uchida et al. (2016); switch back to the model of 2010.
    umberger.set_use_Bhargava_recruitment_model(False)
    umberger.set_include_negative_mechanical_work(False)
    umberger.set_forbid_negative_total_power(False)
    umberger.addMuscle("m", slow_twitch)
    bhargava.addMuscle("m", slow_twitch, 40.0, 133.0, 74.0, 111.0)
    state = model.initSystem()

    params = MuscleEnergetics(("m",), np.array([l0]), np.array([f0]), np.array([slow_twitch]), np.array([10.0]))
    shortening = lengthening = 0
    for length in (0.7, 0.95, 1.1, 1.25):
        for stretch in np.geomspace(2e-4, 4e-3, 40):  # of the tendon: sets force, so velocity
            for activation in (0.05, 0.3, 0.8):
                for excitation in (0.1, 0.6, 1.0):
                    model.setStateVariableValue(
                        state, "/jointset/slide/slide_coord_0/value", length * l0 + slack + stretch
                    )
                    muscle.setActivation(state, activation)
                    muscle.setFiberLength(state, length * l0)
                    model.realizeVelocity(state)
                    controls = osim.Vector(1, excitation)
                    model.setControls(state, controls)
                    model.realizeReport(state)
                    velocity = muscle.getFiberVelocity(state)
                    if abs(velocity) > 10.0 * l0:  # beyond the fastest fibre: not a state of a muscle
                        continue
                    shortening += velocity < -0.02
                    lengthening += velocity > 0.02
                    rates = metabolic_rates(
                        params,
                        cell(muscle.getControl(state)),
                        cell(muscle.getActivation(state)),
                        cell(muscle.getNormalizedFiberLength(state)),
                        cell(velocity),
                        cell(muscle.getActiveFiberForce(state)),
                        20.0,
                        cell(muscle.getPassiveFiberForce(state)),
                    )
                    assert rates["umberger2010"][0] == pytest.approx(umberger.getProbeOutputs(state)[0], rel=1e-6)
                    assert rates["bhargava2004"][0] == pytest.approx(bhargava.getProbeOutputs(state)[0], rel=1e-6)
    assert shortening > 50
    assert lengthening > 50
