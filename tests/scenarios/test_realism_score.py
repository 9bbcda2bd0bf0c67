"""Curves against curves: people made of the published means score 0 SD, changed ones what can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from exotwin.scenarios.gait_cycles import PERCENT
from exotwin.scenarios.normative import Band, level_walking
from exotwin.scenarios.realism.gaits import GAITS
from exotwin.scenarios.realism.score import (
    GOALS,
    LARGEST_LAG,
    Cell,
    compare,
    correlations,
    root_mean_square,
    spread,
    total,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from published_walk import bands_of, person

FREE = GAITS["level_1.20"]
KNEE = level_walking(1.2).bands["angle/knee_flexion"]
WITH_CURVES = [gait for gait in GAITS.values() if gait.curves]


def comparison(gait, signal, **changed):
    """What the first source says of one signal of a person of changed curves."""
    return next(c for c in compare(gait, [person(gait, **changed)]) if c.signal == signal)


@pytest.mark.parametrize("gait", WITH_CURVES, ids=lambda gait: gait.name)
def test_the_published_means_are_perfect(gait):
    found = [c for c in compare(gait, [person(gait)]) if c.judged]
    assert {c.signal for c in found} <= set(GOALS)
    assert len(found) >= 3
    for c in found:
        assert c.correlation == pytest.approx(1.0)
        assert c.best_lag == 0
        assert c.rmse_sd is None or c.rmse_sd == pytest.approx(0.0, abs=1e-12)
        assert c.ours.range == pytest.approx(c.theirs.range)
        assert all(cell.met for cell in c.cells)


@pytest.mark.parametrize("times", [-2.0, 0.5, 0.99, 3.0])
def test_a_curve_that_runs_along_a_multiple_of_the_sd_is_that_many_sd_away(times):
    c = comparison(FREE, "angle/knee_flexion", angle__knee_flexion=KNEE.mean + times * KNEE.sd)
    assert c.rmse_sd == pytest.approx(abs(times))
    assert c.cells[0].met == (abs(times) <= 1.0)


def test_a_shifted_and_a_scaled_curve_score_what_algebra_says():
    up = comparison(FREE, "angle/knee_flexion", angle__knee_flexion=KNEE.mean + 5.0)
    assert up.rmse == pytest.approx(5.0)
    assert up.rmse_sd == pytest.approx(5.0 / np.sqrt(np.mean(KNEE.sd**2)))
    assert up.correlation == pytest.approx(1.0)
    wide = comparison(FREE, "angle/knee_flexion", angle__knee_flexion=1.2 * KNEE.mean)
    assert wide.rmse == pytest.approx(0.2 * np.sqrt(np.mean(KNEE.mean**2)))
    assert wide.ours.range == pytest.approx(1.2 * wide.theirs.range)
    flipped = comparison(FREE, "angle/knee_flexion", angle__knee_flexion=-KNEE.mean)
    assert flipped.correlation == pytest.approx(-1.0)


@pytest.mark.parametrize("late", [-7, 3, 12])
def test_a_late_curve_is_found_late(late):
    def bump(centre: float) -> np.ndarray:
        return np.exp(-(((PERCENT - centre) / 9.0) ** 2))

    zero, best, lag = correlations(bump(50.0 + late), bump(50.0))
    assert lag == late
    assert best == pytest.approx(1.0)
    assert zero < best
    assert correlations(bump(50.0), bump(50.0 + late))[2] == -late


def test_only_an_unknown_neutral_is_taken_off():
    ankle = bands_of(FREE)["angle/ankle_dorsiflexion"]
    ours = comparison(FREE, "angle/ankle_dorsiflexion", angle__ankle_dorsiflexion=ankle.mean + 20.0)
    assert ours.rmse == pytest.approx(0.0, abs=1e-9)
    assert ours.offset == pytest.approx(-20.0)
    # Winter's neutral is known, so there the 20 degrees count.
    free = compare(FREE, [person(FREE, angle__ankle_dorsiflexion=ankle.mean + 20.0)])
    winter = next(c for c in free if c.signal == ours.signal and c.source == "Winter1991")
    assert winter.offset == 0.0
    assert not winter.judged


def test_the_end_of_a_stair_stride_does_not_count():
    stairs = GAITS["stair_ascent"]
    knee = bands_of(stairs)["angle/knee_flexion"].mean
    for start, counts in ((81, False), (70, True)):
        changed = knee + 30.0 * (np.arange(101) >= start)
        rmse = comparison(stairs, "angle/knee_flexion", angle__knee_flexion=changed).rmse
        assert (rmse > 0.0) == counts


def test_kinetics_of_a_rise_count_from_seat_off_and_the_hip_moment_later():
    rise = GAITS["sit_to_stand"]
    assert rise.window("angle/hip_flexion") == (0.0, 100.0)
    assert rise.window("moment/knee_flexion") == (12.0, 100.0)
    assert rise.window("moment/hip_flexion") == (35.0, 100.0)


def test_a_paretic_leg_is_held_against_paretic_legs():
    gait = GAITS["hemiparetic_gait"]
    one = person(gait)
    swapped = {(signal, leg): one.curves[signal, "l" if leg == "r" else "r"] for signal, leg in one.curves}
    right = compare(gait, [one])
    wrong = compare(gait, [type(one)(swapped, {}, 20, fell=False)])
    assert {c.legs for c in right} == {"r", "l"}
    assert all(c.judged for c in right)
    assert max(c.rmse_sd for c in right) == pytest.approx(0.0, abs=1e-12)
    assert min(c.rmse_sd for c in wrong) > 0.1


def test_the_first_source_judges_and_the_others_are_shown():
    found = compare(FREE, [person(FREE)])
    knees = [(c.source, c.judged) for c in found if c.signal == "angle/knee_flexion"]
    assert knees == [("Bovi2011", True), ("Winter1991", False)]
    # Bovi did not measure gluteus medius, so Perry judges it.
    assert [(c.source, c.judged) for c in found if c.signal == "emg/abd"] == [("Perry", True)]


def test_people_are_averaged_and_both_legs_of_each():
    one, other = person(FREE), person(FREE)
    other.curves["angle/knee_flexion", "l"] = KNEE.mean + 8.0
    c = next(c for c in compare(FREE, [one, other]) if c.signal == "angle/knee_flexion")
    assert c.mean == pytest.approx(KNEE.mean + 2.0)
    assert c.sd == pytest.approx(np.full(101, 2.0))


def test_repetitions_of_one_person_are_no_spread_between_people():
    narrow = Band(KNEE.mean, np.full(101, 0.1))
    inside = PERCENT >= 0.0
    between = np.sqrt(np.mean(KNEE.sd**2))
    assert spread("angle/knee_flexion", narrow, inside, one_person=False) == pytest.approx(0.1)
    assert spread("angle/knee_flexion", narrow, inside, one_person=True) == pytest.approx(between)
    without = Band(KNEE.mean, np.full(101, np.nan))
    assert spread("angle/knee_flexion", without, inside, one_person=False) == pytest.approx(between)


def test_a_flat_curve_correlates_with_nothing():
    assert correlations(np.full(101, 3.0), KNEE.mean) == (0.0, 0.0, 0)


curves = arrays(np.float64, 101, elements=st.floats(-50.0, 50.0, width=32)).filter(lambda c: np.ptp(c) > 1.0)


@given(curves, curves, st.floats(0.1, 20.0), st.floats(-30.0, 30.0))
def test_correlation_does_not_care_for_scale_and_level(a, b, scale, level):
    zero, best, _ = correlations(a, b)
    other, other_best, _ = correlations(scale * a + level, b)
    assert other == pytest.approx(zero, abs=1e-6)
    assert other_best == pytest.approx(best, abs=1e-6)
    assert -1.0 <= zero <= best <= 1.0


@given(curves, curves)
def test_correlation_does_not_care_which_curve_comes_first(a, b):
    (zero, best, lag), (back, best_back, _) = correlations(a, b), correlations(b, a)
    assert back == pytest.approx(zero, abs=1e-9)
    assert best_back == pytest.approx(best, abs=1e-9)
    assert abs(lag) <= LARGEST_LAG


@given(curves, st.floats(0.1, 10.0))
def test_the_error_in_sd_has_no_unit(a, factor):
    inside = PERCENT >= 0.0
    errors = []
    for scale in (1.0, factor):
        band = Band(scale * KNEE.mean, scale * KNEE.sd)
        error = root_mean_square(scale * a - band.mean)
        errors.append(error / spread("angle/knee_flexion", band, inside, one_person=False))
    assert errors[1] == pytest.approx(errors[0])


def test_cells_say_whether_and_by_how_much_a_goal_is_missed():
    met, low, high = (Cell("x", value, 1.0, 2.0) for value in (1.5, 0.25, 2.5))
    assert (met.met, met.gap) == (True, 0.0)
    assert (low.met, low.gap) == (False, -0.75)
    assert (high.met, high.gap) == (False, 0.5)
    assert Cell("x", None, 1.0, 2.0).met is False  # what could not be had is no success
    assert Cell("x", 3.0).met is None
    score = total([met, low, high, Cell("x", 3.0)], ())
    assert (score.met, score.goals, score.percent) == (1, 3, pytest.approx(100 / 3))
    assert score.median_rmse_sd is None
