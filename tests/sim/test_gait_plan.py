"""The plan of the steps, followed exactly: where feet land on stairs, how fast the person goes and what it sees."""

import functools

import mujoco
import numpy as np
import pytest
from exotwin.sim.body import Embodiment
from exotwin.sim.gait_plan import (
    ACCELERATION,
    BACK_LOOK,
    BRAKING,
    CYCLE,
    FIRST,
    FOLLOW,
    FRONT_LOOK,
    LAST,
    NEAR,
    SIGHT,
    SLOPING,
    STRIDE,
    TRIMMED,
    planned,
    planned_x,
    refer,
    see_ground,
    stride_length,
)
from exotwin.sim.nervous import LEASH, move_on
from exotwin.sim.person import FOOT_SPHERES
from exotwin.sim.reference import load_reference
from exotwin.sim.state import (
    BACK,
    BOUND,
    FOOT_X,
    FOOT_Z,
    GRADE,
    GROUND,
    KIND,
    LANE,
    PHASE,
    SPEED,
    STATE_SIZE,
    STRIDE_TIME,
    TRIM,
    WANTED,
)
from exotwin.sim.subjects import Subject, sample_subjects
from exotwin.sim.terrain import COUNT, LEVEL, RISE, TREAD, X0, X1, Z0, Level, Ramp, Stairs, Terrain, ground_height
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numba import njit

DT = 0.005
HEEL, BALL_OF_FOOT = FOOT_SPHERES["calcn"][0], FOOT_SPHERES["calcn"][4]
BALL = BALL_OF_FOOT[0] - HEEL[0]  # m ahead of the heel, at the source's size
HEIGHTS = (1.5, 1.67, 1.9)

level = st.builds(Level, length_m=st.floats(1.5, 3.0))
ramp = st.builds(Ramp, slope_deg=st.floats(-10.0, 10.0), length_m=st.floats(2.0, 6.0))
stairs = st.builds(
    Stairs,
    rise_m=st.floats(0.14, 0.19).flatmap(lambda rise: st.sampled_from([rise, -rise])),
    tread_m=st.floats(0.27, 0.33),
    count=st.integers(1, 7),
)


@st.composite
def ways(draw, parts=ramp | stairs):
    sections = [Level(length_m=draw(st.floats(2.5, 5.0)))]
    for part in draw(st.lists(parts, min_size=1, max_size=3)):
        sections += [part, draw(level)]
    return Terrain(sections)


@functools.cache
def someone(height):
    return Embodiment(Subject(height_m=height), None, load_reference("walk"), 0.002)


@njit
def follow(body, state, work, out):
    """Walk exactly as planned from time to time; x, z of the pelvis and the state into out (n, 2 + STATE_SIZE)."""
    for k in range(len(out)):
        refer(body, state, work)
        out[k, 0], out[k, 1] = planned(body, state, work)
        out[k, 2:] = state
        move_on(body, state, out[k, 0], 0.0, state[SPEED], DT, work)


class Walk:
    """A walk as planned: pelvis x and z, state (n, STATE_SIZE), and the samples at which feet land."""

    def __init__(self, way, speed, height=1.67, seconds=None, command=None):
        person = someone(height)
        person.body = person.body._replace(terrain=way.rows())
        person.place(0.0, speed, x=0.0)
        self.body, self.rows = person.body, way.rows()
        slow = person.body.speeds[0]
        risers = sum(section.count for section in way.sections if section.kind == "stairs")
        seconds = seconds or 2.0 * way.length_m / speed + 1.5 * risers + 6.0 / slow
        out = np.zeros((round(seconds / DT), 2 + STATE_SIZE))
        begun = 0
        for at, wanted in command or ():
            follow(person.body, person.state, person.work, out[begun : round(at / DT)])
            begun = round(at / DT)
            person.state[WANTED] = wanted
        follow(person.body, person.state, person.work, out[begun:])
        self.x, self.z, self.state = out[:, 0], out[:, 1], out[:, 2:]
        half = (2.0 * self.state[:, PHASE]).astype(int)
        self.landings = np.flatnonzero(np.diff(half)) + 1

    def at_landings(self, slot):
        return self.state[self.landings, slot]

    def jumps(self):
        """What x and z change by at each landing beyond their motion."""
        return [
            np.array([v[k] - v[k - 1] - (v[k - 1] - v[k - 2]) for k in self.landings if k > 1])
            for v in (self.x, self.z)
        ]


@settings(max_examples=30)
@given(ways(), st.floats(0.6, 1.7), st.sampled_from(HEIGHTS))
def test_one_foot_lands_on_every_tread_where_it_should(way, speed, height):
    walk = Walk(way, speed, height)
    assert walk.x[-1] > way.length_m, "the whole way is walked"
    kinds, feet, heights = (walk.at_landings(slot) for slot in (KIND, FOOT_X, FOOT_Z))
    on_stairs = np.flatnonzero(kinds != STRIDE)
    flights = [row for row in walk.rows if row[COUNT] > 0]
    begun = 0
    for row in flights:
        count = int(row[COUNT])
        mine = on_stairs[begun : begun + count + 1]
        begun += count + 1
        assert list(np.diff(mine)) == [1] * count, "steps on a flight follow one another"
        expected = [FIRST, *[CYCLE] * (count - 1), LAST]
        assert list(kinds[mine]) == expected
        margin = np.interp(row[TREAD], walk.body.treads, walk.body.heel_from_edge[int(row[RISE] > 0)])
        # Going down the heel is further from the edge; the ball, which carries, is still on the tread (but for 1 mm).
        down = row[RISE] < 0
        assert 0.0 <= margin < (row[TREAD] - BALL * walk.body.scale + 0.001 if down else 0.3 * row[TREAD])
        np.testing.assert_allclose(feet[mine], row[X0] + row[TREAD] * np.arange(-1, count) + margin, atol=1e-6)
        np.testing.assert_allclose(heights[mine], row[Z0] + row[RISE] * np.arange(count + 1), atol=1e-9)
        # A heel at the very edge (margin 0) stands on its tread.
        ground = [ground_height(walk.rows, x + 1e-6) for x in feet[mine]]
        np.testing.assert_allclose(heights[mine], ground, atol=1e-9)
    assert begun == len(on_stairs)


STEPS_APART = Terrain([  # 1.4 of his slowest steps are left to the second step up
    Level(length_m=3.0), Stairs(rise_m=0.1875, tread_m=0.3125, count=1),
    Level(length_m=2.0), Stairs(rise_m=-0.1875, tread_m=0.3125, count=1),
    Level(length_m=1.5), Stairs(rise_m=0.1875, tread_m=0.3125, count=1), Level(length_m=2.0)])  # fmt: skip


@settings(max_examples=25)
@given(ways(stairs), st.floats(0.6, 1.7), st.sampled_from(HEIGHTS))
@example(STEPS_APART, 1.0, 1.9)
def test_stairs_are_met_and_left_slowly(way, speed, height):
    walk = Walk(way, speed, height)
    kinds, speeds = walk.at_landings(KIND), walk.at_landings(SPEED)
    slow = walk.body.speeds[0]
    for first in np.flatnonzero(kinds == FIRST):
        assert walk.state[walk.landings[first] - 1, SPEED] < 1.75 * slow
        assert speeds[first] == slow
    for last in np.flatnonzero(kinds == LAST):
        assert speeds[last + 1] == slow


@pytest.mark.parametrize("slope_deg", [10.0, -10.0])
def test_steps_to_stairs_are_measured_out_on_the_level_before_them(slope_deg):
    """Not yet on a ramp, where who hurries or waits for a foothold falls."""
    way = Terrain([Level(length_m=2.0), Ramp(slope_deg=slope_deg, length_m=4.0), Level(length_m=3.0),
                   Stairs(rise_m=0.16, tread_m=0.3, count=4), Level(length_m=2.0)])  # fmt: skip
    walk = Walk(way, 1.1)
    ramp, level, flight = walk.rows[1:4]
    bound, feet = walk.at_landings(BOUND), walk.at_landings(FOOT_X)
    begun = feet[np.flatnonzero(bound)[0]]
    assert flight[X0] - SIGHT < ramp[X1], "stairs are in sight on the ramp"
    # A landing foot is noticed 5 cm before the crest.
    assert level[X0] - 0.1 <= begun < level[X0] + stride_length(walk.body, 1.1) + 0.1


def test_steps_over_a_short_level_are_measured_out_from_the_ramp():
    way = Terrain([Level(length_m=2.0), Ramp(slope_deg=10.0, length_m=4.0), Level(length_m=1.0),
                   Stairs(rise_m=0.16, tread_m=0.3, count=4), Level(length_m=2.0)])  # fmt: skip
    walk = Walk(way, 1.1)
    begun = walk.at_landings(FOOT_X)[np.flatnonzero(walk.at_landings(BOUND))[0]]
    nearest = walk.rows[3][X0] - NEAR
    assert nearest <= begun < nearest + stride_length(walk.body, 1.1) + 0.1


@pytest.mark.parametrize("lag", [-0.2, 0.0, 0.15])
def test_steps_are_measured_out_from_where_the_walker_is(lag):
    """Behind the plan or ahead of it: a lasting lag is not made up for in one step."""
    person = someone(1.67)
    way = Terrain([Level(length_m=2.0), Stairs(rise_m=0.16, tread_m=0.3, count=4), Level(length_m=2.0)])
    person.body = person.body._replace(terrain=way.rows())
    person.place(0.499, 1.1, x=0.0)
    body, state, work = person.body, person.state, person.work
    x = planned_x(state, work) - lag
    begun = state[FOOT_X]
    while state[BOUND] == 0.0:
        refer(body, state, work)
        move_on(body, state, x, 0.0, state[SPEED], DT, work)
    refer(body, state, work)
    assert state[FOOT_X] == pytest.approx(begun + state[BACK] - lag, abs=0.01)
    assert planned_x(state, work) == pytest.approx(x, abs=0.02)


@pytest.mark.parametrize(("rise", "tread"), [(-0.15, 0.31), (-0.165, 0.30), (-0.18, 0.28)])
def test_the_heel_clears_the_edge_that_it_comes_over_in_people_of_all_proportions(rise, tread):
    """By MuJoCo's contacts. The sole gives 4 mm under body weight; a heel that is 15 mm in the edge is caught by it."""
    way = Terrain([Level(length_m=1.0), Stairs(rise_m=rise, tread_m=tread, count=6), Level(length_m=2.0)])
    for subject in sample_subjects(12, 3):
        person = Embodiment(subject, None, load_reference("walk"), 0.002, way)
        model, data = person.model, person.data
        for phase in np.arange(0.3, 0.48, 0.01):
            person.place(phase, 1.0, x=2.2)
            assert person.state[KIND] == CYCLE
            mujoco.mj_forward(model, data)
            swinging = {model.body("calcn_l").id, model.body("toes_l").id}
            depth = [-c.dist for c in data.contact if swinging & set(model.geom_bodyid[[c.geom1, c.geom2]].tolist())]
            assert max(depth, default=0.0) < 0.01, f"{subject.id} at {phase:.2f} of the cycle"


@settings(max_examples=25)
@given(ways(), st.floats(0.6, 1.7), st.sampled_from(HEIGHTS))
def test_the_plan_goes_on_smoothly_when_a_foot_lands(way, speed, height):
    """Where steps are made to fit, the pelvis' plan jumps by less than half of the slowest step, 2 cm up or down."""
    walk = Walk(way, speed, height)
    x, z = walk.jumps()
    assert np.abs(x).max() < 0.16 * walk.body.scale
    assert np.abs(z).max() < 0.02 * walk.body.scale


@given(st.floats(0.5, 1.9), st.sampled_from(HEIGHTS))
def test_level_walking_goes_on_evenly_at_the_speed_asked(speed, height):
    speed *= np.sqrt(height / 1.67)  # within the speeds of the reference
    walk = Walk(Terrain(), speed, height, seconds=20.0)
    x, z = walk.jumps()
    assert np.abs(x).max() < 0.003
    assert np.abs(z).max() < 0.001
    whole = walk.landings[2::2]
    mean = (walk.x[whole[-1]] - walk.x[whole[0]]) / (DT * (whole[-1] - whole[0]))
    # Between the reference's speeds, steps are mixed from longer and shorter, slower and faster ones.
    assert mean == pytest.approx(speed, rel=0.02)
    lead = walk.at_landings(FOOT_X)
    np.testing.assert_allclose(np.diff(lead), np.diff(lead)[0], atol=1e-6)


@example(1.40625, 0.609375, 1.9)  # who brakes to slow long steps is not held back by the speed it had just now
@given(st.floats(0.6, 1.7), st.floats(0.6, 1.7), st.sampled_from(HEIGHTS))
def test_another_speed_is_reached_as_fast_as_people_accelerate(before, after, height):
    walk = Walk(Terrain(), before, height, seconds=14.0, command=[(4.0, after)])
    speeds, times = walk.at_landings(SPEED), walk.landings * DT
    gain, step = np.diff(speeds), np.diff(times)
    # The time of a step is that of the speed it begins with.
    assert np.all(gain <= 1.25 * ACCELERATION * step)
    assert np.all(gain >= -1.25 * BRAKING * step)
    reached = times[np.abs(speeds - after) < 1e-6]
    assert len(reached)
    limit = ACCELERATION if after > before else BRAKING
    assert reached[0] - 4.0 < 1.25 * abs(after - before) / limit + 2.1 * step.max()
    np.testing.assert_allclose(speeds[times >= reached[0]], after, atol=1e-6)


@given(ways(ramp), st.floats(-3.0, 20.0), st.sampled_from(HEIGHTS))
def test_the_slope_seen_is_the_grounds(way, x, height):
    person = someone(height)
    rows, state = way.rows(), np.zeros(STATE_SIZE)
    body = person.body._replace(terrain=rows)
    see_ground(body, state, x)
    back, front = x - BACK_LOOK * body.scale, x + FRONT_LOOK * body.scale
    slopes = [np.tan(np.radians(s.slope_deg)) if s.kind == "ramp" else 0.0 for s in way.sections]
    under = [slope for row, slope in zip(rows, slopes, strict=True) if row[X0] <= back and front <= row[X1]]
    if front < 0.0 or back > way.length_m:
        under = [0.0]
    if under:
        assert state[GRADE] == pytest.approx(under[0], abs=1e-9)
        assert state[GROUND] == pytest.approx(ground_height(rows, x), abs=1e-9)
    else:
        assert min(0.0, *slopes) - 1e-9 <= state[GRADE] <= max(0.0, *slopes) + 1e-9
        assert abs(state[GROUND] - ground_height(rows, x)) < 0.1


@given(ways(ramp), st.floats(0.7, 1.6), st.sampled_from(HEIGHTS))
def test_the_pelvis_is_planned_at_hip_height_above_the_ground(way, speed, height):
    walk = Walk(way, speed, height)
    ground = np.array([ground_height(walk.rows, x) for x in walk.x])
    above = (walk.z - ground) / walk.body.scale
    assert above.min() > 0.78
    assert above.max() < 0.98


def test_a_start_anywhere_on_the_way_puts_no_foot_into_a_step():
    """Also with a foot in mid-air; a sole may graze an edge or a crease by 5 cm."""
    flat = Level(length_m=2.0)
    up, down = (Stairs(rise_m=rise, tread_m=0.3, count=4) for rise in (0.165, -0.165))
    way = Terrain([flat, up, flat, down, flat, Ramp(slope_deg=8.0, length_m=3.0)])
    person = Embodiment(Subject(), None, load_reference("walk"), 0.002, way)
    deep = {}
    for x in np.arange(0.0, way.length_m, 0.07):
        for phase in (0.02, 0.25, 0.45):
            for speed in (0.6, 1.2, 1.8):
                person.place(phase, speed, x=x)
                mujoco.mj_forward(person.model, person.data)
                depth = -min((c.dist for c in person.data.contact), default=0.0)
                if depth > 0.05:
                    deep[round(x, 2), phase, speed] = round(depth, 3)
                lead = person.state[FOOT_X]
                assert person.state[FOOT_Z] == pytest.approx(ground_height(way.rows(), lead))
                assert abs(lead - x) < 1.2
    assert not deep


@pytest.mark.parametrize("x", [0.5, 3.6], ids=["level", "stairs"])
@pytest.mark.parametrize(
    ("phase", "exact"),
    [
        *((phase, 0.03) for phase in (0.05, 0.2, 0.4, 0.6, 0.9)),
        *((phase, 0.01) for phase in (0.055, 0.205, 0.405, 0.605, 0.905)),
    ],
)
def test_the_pelvis_starts_moving_and_turning_as_the_reference_goes_on(phase, exact, x):
    """In m/s and rad/s; better in the middle between two rows of the reference, which is linear from row to row with
    the rates of the curve."""
    way = Terrain([Level(length_m=3.0), Stairs(rise_m=0.17, tread_m=0.3, count=6), Level(length_m=2.0)])
    person = Embodiment(Subject(), None, load_reference("walk"), 0.002, way)
    instant = 1e-4  # s
    person.place(phase, 1.2, x=x)
    moved = person.data.qpos.copy()
    assert np.linalg.norm(person.data.qvel[3:6]) > 0.05
    mujoco.mj_integratePos(person.model, moved, person.data.qvel, instant)
    person.place(phase + instant / person.state[STRIDE_TIME], 1.2, x=x)
    np.testing.assert_allclose(moved[:7], person.data.qpos[:7], rtol=0.0, atol=exact * instant)


@given(st.floats(0.0, 0.4), st.floats(0.0, 0.4), st.sampled_from(HEIGHTS))
def test_who_is_asked_for_less_than_the_slowest_strides_on_slowly(start, wanted, height):
    walk = Walk(Terrain(), start, height, seconds=12.0, command=[(3.0, wanted)])
    assert np.isfinite(walk.x).all()
    assert 0.0 < walk.state[-1, SPEED] <= walk.body.speeds[0]
    assert walk.x[-1] > walk.x[0] + 1.0


@given(st.floats(0.15, 0.32), st.integers(0, 6))
def test_a_start_on_stairs_is_on_the_nearest_tread(share, step):
    way = Terrain([Level(length_m=3.0), Stairs(rise_m=0.17, tread_m=0.3, count=6), Level(length_m=2.0)])
    person = someone(1.67)
    person.body = person.body._replace(terrain=way.rows())
    person.place(0.1, 1.2, x=3.0 + 0.3 * (step - 1) + share * 0.3)
    assert person.state[KIND] == (FIRST if step == 0 else LAST if step == 6 else CYCLE)
    assert person.state[FOOT_Z] == pytest.approx(0.17 * step)
    assert person.state[FOOT_X] == pytest.approx(3.0 + 0.3 * (step - 1) + 0.035, abs=0.01)


@pytest.mark.parametrize(
    ("asked", "planned_mps"),
    [(0.6, None), (1.2, 1.0), (0.4, 0.4)],
    ids=["no slower than can be walked", "as far as it is asked", "a slow command counts"],
)
def test_no_correction_of_the_speed_plans_a_walk_that_is_too_slow(asked, planned_mps):
    person = someone(1.67)
    person.body = person.body._replace(terrain=LEVEL.rows())
    person.place(0.0, asked)
    person.state[TRIM] = -0.2
    follow(person.body, person.state, person.work, np.zeros((round(8.0 / DT), 2 + STATE_SIZE)))
    assert person.state[SPEED] == pytest.approx(planned_mps or TRIMMED * person.body.speeds[0], abs=0.01)


def on_slope(slope_deg, asked, body_speed, trim=0.0, seconds=6.0, y=0.0):
    """The state of a person whose body goes at its own speed up or down a slope."""
    person = someone(1.67)
    way = Terrain([Level(length_m=0.2), Ramp(slope_deg=slope_deg, length_m=60.0)])
    person.body = person.body._replace(terrain=way.rows())
    person.place(0.0, asked, x=5.0)
    for k in range(round(seconds / DT)):
        person.state[TRIM] = trim
        move_on(person.body, person.state, 5.0 + body_speed * k * DT, y, body_speed, DT, person.work)
        refer(person.body, person.state, person.work)
    return person.state


@pytest.mark.parametrize(("slope_deg", "kept"), [(10.0, True), (5.0, True), (0.0, False), (-10.0, False)])
@pytest.mark.parametrize("beside", [0.6, -0.6])
def test_who_climbs_far_beside_the_line_goes_back_to_it_from_where_it_is(slope_deg, kept, beside):
    near = np.sign(beside) * (abs(beside) - LEASH)
    assert on_slope(slope_deg, 1.1, 1.1, y=beside)[LANE] == pytest.approx(near if kept else 0.0)


def test_who_climbs_near_the_line_keeps_it():
    assert on_slope(10.0, 1.1, 1.1, y=0.9 * LEASH)[LANE] == 0.0


@pytest.mark.parametrize("slope_deg", [-8.0, 0.0, 5.0, 10.0])
def test_who_cannot_keep_up_is_not_asked_for_more_and_uphill_for_less(slope_deg):
    """A body that makes 0.8 m/s and is asked for 1.3: the plan stays within reach of it."""
    within = FOLLOW / (1.0 + SLOPING * max(0.0, np.tan(np.radians(slope_deg))))
    assert on_slope(slope_deg, 1.3, 0.8)[SPEED] == pytest.approx(0.8 + within, abs=0.02)
    assert within < 0.15 or slope_deg < 10.0


@pytest.mark.parametrize("slope_deg", [-10.0, -5.0, 0.0, 10.0])
def test_who_is_faster_than_asked_plans_the_less_behind_the_steeper_it_is(slope_deg):
    """A body that makes 1.4 m/s and is asked for 0.7: long slow steps would let it run away from its feet."""
    within = FOLLOW / (1.0 + SLOPING * abs(np.tan(np.radians(slope_deg))))
    assert on_slope(slope_deg, 0.7, 1.4)[SPEED] == pytest.approx(1.4 - within, abs=0.02)
    assert within < 0.15 or abs(slope_deg) < 10.0


@pytest.mark.parametrize(("slope_deg", "planned_mps"), [(0.0, 0.8), (-5.0, 0.8), (1.0, 0.87), (5.0, 1.0), (10.0, 1.0)])
def test_who_climbs_a_little_too_fast_does_not_plan_slower_than_is_asked(slope_deg, planned_mps):
    assert on_slope(slope_deg, 1.0, 0.9, trim=-0.2)[SPEED] == pytest.approx(planned_mps, abs=0.01)
