"""Labels of a walk over a terrain, for steps that were laid out by hand."""

from itertools import pairwise

import numpy as np
import pytest
from exotwin.controllers.protocols import MODES
from exotwin.sim.modes import Stance, section_mode, stances, walking_modes
from exotwin.sim.terrain import LEVEL, Level, Ramp, Stairs, Terrain, ground_height
from hypothesis import given
from hypothesis import strategies as st

RATE = 200.0
STEP, DOUBLE = 100, 20  # samples: a foot lands every half second, the other leaves 0.1 s later


def walk(footholds):
    """Load and centre of pressure of both feet that take these places (world x) in turn, one landing each STEP."""
    n = (len(footholds) + 1) * STEP
    loaded, cop = np.zeros((2, n), bool), np.full((2, n), np.nan)
    for k, x in enumerate(footholds):
        stay = slice(k * STEP, (k + 1) * STEP + DOUBLE)
        loaded[k % 2, stay] = True
        cop[k % 2, stay] = x + np.linspace(-0.05, 0.05, stay.stop - stay.start)
    return [stances(loaded[f], cop[f], RATE) for f in range(2)], n


def spans(modes):
    """(mode, first sample, first sample after) of each run of one mode."""
    cuts = [0, *(np.flatnonzero(modes[1:] != modes[:-1]) + 1), len(modes)]
    return [(str(modes[a]), a, b) for a, b in pairwise(cuts)]


def test_stairs_last_from_the_first_foot_that_leaves_for_a_tread_to_the_last_that_lands_at_the_top():
    # Risers at 2.0, 2.3, 2.6: treads in [2.0, 2.3) and [2.3, 2.6), landing from 2.6.
    way = Terrain((Level(length_m=2), Stairs(count=3)))
    places = [0.5, 1.1, 1.8, 2.1, 2.4, 2.75, 3.3, 3.9]
    feet, n = walk(places)
    heights = [ground_height(way.rows(), x) for x in places]
    onto = next(k for k, z in enumerate(heights) if z > 0)  # the other foot's last stay below is two landings before
    leaves = (onto - 1) * STEP + DOUBLE
    top = [k for k, z in enumerate(heights) if z == max(heights)]
    lands = top[1] * STEP
    assert spans(walking_modes(way.rows(), feet, n)) == [
        ("walk", 0, leaves),
        ("stairs_up", leaves, lands),
        ("walk", lands, n),
    ]


@pytest.mark.parametrize(
    ("section", "mode"),
    [
        (Ramp(slope_deg=5, length_m=1.2), "ramp_up"),
        (Ramp(slope_deg=-5, length_m=1.2), "ramp_down"),
        (Stairs(count=5), "stairs_up"),
        (Stairs(rise_m=-0.165, count=5), "stairs_down"),
        (Level(length_m=1.2), "walk"),
    ],
)
def test_each_section_has_its_mode_and_the_level_around_it_is_walking(section, mode):
    way = Terrain((Level(length_m=2), section))
    feet, n = walk(list(np.arange(0.3, 6.0, 0.35)))
    found = [name for name, _, _ in spans(walking_modes(way.rows(), feet, n))]
    assert found == (["walk"] if mode == "walk" else ["walk", mode, "walk"])
    assert section_mode(way.rows()[1]) == mode
    assert mode in MODES


def test_a_walk_that_ends_on_the_stairs_is_on_the_stairs_to_its_end():
    way = Terrain((Level(length_m=2), Stairs(count=8)))
    feet, n = walk([1.0, 1.7, 2.15, 2.45])
    assert [name for name, _, _ in spans(walking_modes(way.rows(), feet, n))] == ["walk", "stairs_up"]
    standing, m = walk([1.0, 1.2])
    assert set(walking_modes(way.rows(), standing, m)) == {"walk"}
    assert set(walking_modes(LEVEL.rows(), feet, n)) == {"walk"}


def test_a_run_that_begins_on_a_ramp_is_on_it_from_its_start():
    way = Terrain((Ramp(slope_deg=-10, length_m=9),))
    feet, n = walk([0.1, 0.7, 1.3])
    assert spans(walking_modes(way.rows(), feet, n)) == [("ramp_down", 0, n)]


@given(places=st.lists(st.floats(0.0, 9.0), min_size=1, max_size=12), bounce=st.integers(1, 10))
def test_stances_are_what_was_walked_and_bounces_do_not_count(places, bounce):
    feet, _ = walk(places)
    assert [s.x for s in feet[0]] == pytest.approx(places[::2], abs=1e-9)
    first = feet[0][0]
    loaded, cop = np.zeros(400, bool), np.zeros(400)
    loaded[first.start + 50 : 300] = True
    loaded[200 : 200 + bounce] = False
    loaded[330 : 330 + bounce] = True
    assert stances(loaded, cop, RATE) == [Stance(50, 300, 0.0)]
