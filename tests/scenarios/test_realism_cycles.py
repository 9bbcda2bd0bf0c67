"""From a recording to cycles and figures: walks and rises whose numbers are known, and the checks on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from exotwin.scenarios.gait_cycles import PERCENT
from exotwin.scenarios.realism.checks import cheapest_speed, checks, stance_percent
from exotwin.scenarios.realism.cycles import person_cycles, rises, step_width
from exotwin.scenarios.realism.gaits import GAITS
from exotwin.scenarios.realism.result import across_gaits, judge
from exotwin.sim.recording import Recording
from published_walk import GRAVITY, LEG, MASS, RATE, bands_of, walk_of

LEVEL = [gait for gait in GAITS.values() if gait.kind == "walk"]


@pytest.mark.parametrize("gait", LEVEL, ids=lambda gait: gait.name)
def test_a_walk_made_of_the_published_curves_meets_every_goal(gait):
    result = judge(gait, [person_cycles(walk_of(gait))])
    missed = [cell for c in result.comparisons for cell in c.cells if not cell.met]
    missed += [cell for cell in result.checks if cell.met is False]
    assert missed == []
    assert result.score.percent == 100.0
    assert result.score.median_rmse_sd < 0.05
    assert result.cycles >= 12


def test_both_legs_count():
    gait = GAITS["level_1.20"]
    recording = walk_of(gait)
    recording.columns["angle/knee_flexion_l"] += np.radians(10.0)
    found = person_cycles(recording)
    difference = found.curves["angle/knee_flexion", "l"] - found.curves["angle/knee_flexion", "r"]
    assert difference == pytest.approx(np.full(101, 10.0), abs=0.2)


def test_forward_tilt_of_the_pelvis_is_negative():
    recording = walk_of(GAITS["level_1.20"])
    # A turn to the left about world y tips the forward axis down.
    recording.columns["pelvis/qw"][:], recording.columns["pelvis/qy"][:] = np.cos(0.1), np.sin(0.1)
    found = person_cycles(recording).curves["angle/pelvis_tilt", "r"]
    assert found == pytest.approx(np.full(101, -np.degrees(0.2)))


@pytest.mark.parametrize("heading", [0.0, 0.6, -1.2])
def test_step_width_is_measured_across_the_way_that_is_walked(heading):
    recording = walk_of(GAITS["level_1.20"], heading=heading)
    assert step_width(recording, slice(None)) == pytest.approx(0.13 * LEG, rel=1e-6)


def test_figures_of_a_steady_walk():
    figures = person_cycles(walk_of(GAITS["level_1.49"])).figures
    assert figures["speed (m/s)"] == pytest.approx(1.49, rel=1e-6)
    assert figures["step length (m)"] == pytest.approx(0.5 * 1.49 * figures["stride time (s)"], rel=1e-6)
    assert figures["cost of transport, umberger2010 (J/kg/m)"] == pytest.approx((2.0 + 1.2 * 1.49**2) / 1.49, rel=1e-3)
    shares = [figures[f"{joint} share of positive work"] for joint in ("hip", "knee", "ankle")]
    assert sum(shares) == pytest.approx(1.0)


def test_only_strides_on_the_section_count():
    recording = walk_of(GAITS["level_1.20"])
    whole, part = person_cycles(recording), person_cycles(recording, along=(3.0, 9.0))
    # Strides of 1.3 m on 6 m of way: 3 or 4 of each leg.
    assert 6 <= part.cycles <= 8 < whole.cycles
    assert person_cycles(recording, along=(100.0, 200.0)).cycles == 0


def test_what_leads_to_a_fall_is_no_gait():
    recording = walk_of(GAITS["level_1.20"])
    fell = replace(recording, meta=recording.meta | {"falls": 1})
    found, steady = person_cycles(fell), person_cycles(recording)
    assert found.fell
    assert found.cycles < steady.cycles
    cells = checks(GAITS["level_1.20"], [found, steady])
    assert cells[0].name == "people who fell"
    assert (cells[0].value, cells[0].met) == (1.0, False)


def test_who_never_walked_a_whole_stride_is_said_to_have_fallen():
    short = walk_of(GAITS["level_1.20"], seconds=0.5)
    fell = replace(short, meta=short.meta | {"falls": 1})
    result = judge(GAITS["level_1.20"], [person_cycles(fell)])
    assert "1 of 1 people fell" in result.reason
    assert result.score.goals == 0


def test_a_rise_is_cut_from_the_height_of_the_pelvis_and_both_feet_carry_it():
    time = np.arange(0.0, 6.0, 1 / RATE)
    up = np.clip((time - 1.0) / 1.0, 0.0, 1.0) - np.clip((time - 3.0) / 1.5, 0.0, 1.0)
    height = 0.55 + 0.4 * (3 * np.abs(up) ** 2 - 2 * np.abs(up) ** 3)
    weight = np.full(time.size, 0.5 * MASS * GRAVITY)
    columns = {"time": time, "pelvis/z": height, "grf/r/z": weight, "grf/l/z": weight}
    recording = Recording(columns, {"subject": {"mass_kg": MASS}, "rate_hz": RATE})
    (rise,) = rises(recording)
    assert rise.start / RATE == pytest.approx(1.0, abs=0.06)
    assert rise.end / RATE == pytest.approx(2.0, abs=0.06)
    found = person_cycles(recording, rise=True)
    assert found.curves["grf/z", "r"] == pytest.approx(np.ones(101))
    assert found.figures["rise time (s)"] == pytest.approx(1.0, abs=0.1)


def test_stance_ends_where_the_force_falls_under_the_threshold():
    # Down a straight line from 1 BW at 20 % to 0 at 60 %: 0.05 BW at 58 %.
    force = np.interp(PERCENT, [0, 20, 60, 99, 100], [0.0, 1.0, 0.0, 0.0, 0.5])
    assert stance_percent(force) == pytest.approx(58.0)
    assert stance_percent(np.ones(101)) == 100.0


@pytest.mark.parametrize(("factor", "met"), [(1.0, True), (0.7, False), (1.3, False), (0.8, True)])
def test_braking_must_come_within_a_quarter_of_the_published(factor, met):
    gait = GAITS["level_1.49"]
    recording = walk_of(gait)
    for side in "rl":
        recording.columns[f"grf/{side}/x"] *= factor
    cells = {cell.name: cell for cell in judge(gait, [person_cycles(recording)]).checks}
    assert cells["braking peak (BW)"].met is met
    assert cells["propulsion peak (BW)"].met is met
    assert cells["braking peak (BW)"].published == pytest.approx(-bands_of(gait)["grf/x"].mean.min())


def test_people_meet_the_goals_at_speeds_where_the_general_range_leaves_them_out():
    slow = {c.name: c for c in judge(GAITS["level_0.84"], [person_cycles(walk_of(GAITS["level_0.84"]))]).checks}
    # The published loading moment is 0.28 Nm/kg there, under the 0.4 of the goal at other speeds.
    assert slow["loading knee extension (Nm/kg)"].low == pytest.approx(0.9 * 0.283, abs=0.002)
    assert slow["loading knee extension (Nm/kg)"].high == 0.9


def test_the_cheapest_speed_is_the_root_of_the_ratio_of_the_coefficients():
    speeds = (0.84, 1.19, 1.2, 1.49, 1.95)
    cell = cheapest_speed({v: 2.0 + 0.4 * v + 1.2 * v**2 for v in speeds})
    assert cell.value == pytest.approx(np.sqrt(2.0 / 1.2))
    assert cell.met
    # A rate in proportion to speed costs the same at every speed; one that grows faster has no minimum.
    assert cheapest_speed({v: -1.0 + 3.0 * v**2 for v in speeds}).met is False
    assert cheapest_speed({1.19: 4.0, 1.2: 4.1, 1.21: 4.2, 1.49: 5.0}).value is None


def test_walking_at_several_speeds_is_needed_for_a_cheapest_one():
    people = [(gait, [person_cycles(walk_of(gait))]) for gait in LEVEL]
    (cell,) = across_gaits(people)
    assert cell.value == pytest.approx(np.sqrt(2.0 / 1.2), rel=0.02)
    assert across_gaits(people[:2]) == ()


def test_envelopes_stand_before_activations():
    recording = walk_of(GAITS["level_1.20"])
    envelope = recording.columns["activation/soleus_r"] + 1.0
    recording.columns["emg_env/soleus_r"] = envelope
    curves = person_cycles(recording).curves
    assert curves["emg/soleus", "r"].min() > 1.0 > curves["emg/soleus", "l"].max()
