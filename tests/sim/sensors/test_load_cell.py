"""Torque load cells against their definitions."""

import numpy as np
import pytest
from exotwin.controllers.sensor_specs import LoadCellSpec
from exotwin.sim.sensors.load_cell import LoadCell
from exotwin.sim.sensors.truth import SensorTruth

RATE = 200.0


def run(torque, seed=0, cells=1, **errors):
    """(ticks, cells) said of one torque on all."""
    cell = LoadCell(LoadCellSpec(**errors), cells, RATE)
    cell.reset(np.random.default_rng(seed))
    return np.array([cell.measure(SensorTruth(0.0, cuff_torque=np.full(cells, t))) for t in torque])


def triangle(peak, ticks):
    up = np.linspace(-peak, peak, ticks)
    return np.concatenate([up, up[-2::-1]] * 2)


def test_a_perfect_cell_repeats_the_torque():
    torque = np.random.default_rng(0).normal(0.0, 10.0, 100)
    np.testing.assert_array_equal(run(torque)[:, 0], torque)


def test_gain_and_offset_have_their_spread():
    at_rest, loaded = (run([t], cells=4000, gain_sd=0.02, offset_sd_nm=0.3)[0] for t in (0.0, 10.0))
    assert at_rest.std() == pytest.approx(0.3, rel=0.05)
    assert ((loaded - at_rest) / 10.0).std() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("ticks", [50, 400])
def test_hysteresis_parts_loading_from_unloading_by_its_share_of_the_range_at_any_pace(ticks):
    torque = triangle(40.0, ticks)
    said = run(torque, range_nm=50.0, bits=24, hysteresis=0.01)[:, 0]
    last = len(torque) - 2 * ticks + 1
    up, down = said[last : last + ticks], said[last + ticks - 1 :][::-1]
    loop = down[: len(up)] - up
    assert loop.max() == pytest.approx(0.01 * 50.0, rel=1e-3)
    assert np.all(loop > -1e-6), "unloading reads higher"


def test_small_loads_to_and_fro_make_small_loops():
    def loop(peak):
        torque = triangle(peak, 101)
        said = run(torque, range_nm=50.0, bits=30, hysteresis=0.01)[:, 0]
        return abs(said[201 + 50] - said[301 + 50])

    assert loop(1.0) < 0.2 * loop(30.0)


def test_noise_has_its_density_and_the_offset_drifts():
    said = run(np.zeros(20000), cells=20, noise_density=0.01)
    assert said.std() == pytest.approx(0.01 * np.sqrt(RATE), rel=0.02)
    drifting = run(np.zeros(4000), cells=200, drift_nm=0.2, drift_correlation_s=4.0)
    assert drifting[0].std() < 0.02, "tared as the run begins"
    # An Ornstein-Uhlenbeck process that starts at 0: after 1 and 5 correlation times.
    for tick in (800, 3999):
        expected = 0.2 * np.sqrt(1.0 - np.exp(-2.0 * tick / RATE / 4.0))
        assert drifting[tick].std() == pytest.approx(expected, rel=0.15)


def test_range_clips_and_bits_quantise():
    torque = np.linspace(-70.0, 70.0, 1001)
    said = run(torque, range_nm=50.0, bits=10)[:, 0]
    step = 50.0 / 2**9
    np.testing.assert_allclose(said / step, np.rint(said / step), atol=1e-9)
    np.testing.assert_allclose(said, np.clip(torque, -50.0, 50.0), atol=step / 2 + 1e-12)


def test_delay_is_exact():
    torque = np.arange(20.0)
    np.testing.assert_array_equal(run(torque, delay_s=0.01)[2:, 0], torque[:-2])
