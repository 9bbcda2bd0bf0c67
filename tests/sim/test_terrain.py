"""The ground: what compiled code says of it against rays cast on the geometry, and bodies that rest on it."""

import math

import mujoco
import numpy as np
import pytest
from exotwin.controllers.config import parse_yaml
from exotwin.sim.terrain import (
    LANDING,
    LEVEL,
    UNLIMITED,
    WIDTH,
    Level,
    Ramp,
    Stairs,
    Terrain,
    add_terrain,
    ground_height,
    ground_slope,
    load_terrain,
    pad_rows,
    section_at,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

RADIUS, DOWN = 0.02, np.array([0.0, 0.0, -1.0])
SHIPPED = ("ramp_up_5", "ramp_up_10", "ramp_down_5", "ramp_down_10", "stairs_up", "stairs_down", "circuit")


def metres(low, high):
    return st.floats(low, high, allow_nan=False)


levels = st.builds(Level, length_m=metres(0.2, 4.0))
landings = st.builds(Level, length_m=metres(LANDING, 4.0))
hundredths = st.integers(-1500, 1500).map(lambda n: n / 100.0)
ramps = st.builds(Ramp, slope_deg=hundredths, length_m=metres(0.2, 6.0))
stairs = st.builds(
    Stairs,
    rise_m=metres(0.05, 0.25) | metres(-0.25, -0.05),
    tread_m=metres(0.2, 0.5),
    count=st.integers(1, 9),
)


@st.composite
def terrains(draw):
    sections = draw(st.lists(levels | ramps | stairs, max_size=6))
    kept = []
    for section in sections:
        if kept and "stairs" in {kept[-1].kind, section.kind} and "level" not in {kept[-1].kind, section.kind}:
            kept.append(draw(levels))
        if section.kind == "stairs" and any(earlier.kind == "stairs" for earlier in kept):
            kept.append(draw(landings))
        kept.append(section)
    return Terrain(kept)


def world(terrain, spec=None):
    spec = spec or mujoco.MjSpec()
    add_terrain(spec, terrain)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def seen_height(model, data, x, y):
    """Height of what a ray from far above meets."""
    top = np.array([x, y, 50.0])
    return 50.0 - mujoco.mj_ray(model, data, top, DOWN, None, 1, -1, np.zeros(1, np.int32))


def edges(rows):
    """x of every riser and crease."""
    found = [0.0]
    for x0, x1, _, _, _, tread, count in rows:
        found += [x0, x1, *(x0 + tread * np.arange(count))]
    return np.array(found)


@settings(deadline=None, max_examples=60)
@given(terrain=terrains(), seed=st.integers(0, 1000))
def test_ground_is_where_a_ray_from_above_meets_it(terrain, seed):
    model, data = world(terrain)
    rows, rng = terrain.rows(), np.random.default_rng(seed)
    creases = edges(rows)
    ends = [-0.9 * UNLIMITED, terrain.length_m + 0.9 * UNLIMITED]
    for x in [*rng.uniform(-3.0, terrain.length_m + 3.0, 80), *(creases - 1e-6), *(creases + 1e-6), *ends]:
        if np.abs(x - creases).min() > 1e-7:
            y = rng.uniform(-0.49, 0.49) * WIDTH
            assert seen_height(model, data, x, y) == pytest.approx(ground_height(rows, x), abs=1e-9)


@given(terrain=terrains())
def test_ground_is_continuous_but_at_risers(terrain):
    rows = terrain.rows()
    heights = {1: ground_height(rows, -1.0)}
    for k, section in enumerate(terrain.sections):
        x0, x1 = rows[k, :2]
        if section.kind == "stairs":
            for i in range(section.count):
                riser = x0 + i * section.tread_m
                step = ground_height(rows, riser + 1e-6) - ground_height(rows, riser - 1e-6)
                # A ramp beyond the landing is level over a micrometre to this tolerance.
                assert step == pytest.approx(section.rise_m, abs=1e-6)
            continue
        for x in (x0, x1):
            before, after = ground_height(rows, np.nextafter(x, -np.inf)), ground_height(rows, x)
            neighbour = terrain.sections[k - 1 : k] if x == x0 else terrain.sections[k + 1 : k + 2]
            if not neighbour or neighbour[0].kind != "stairs":
                assert before == pytest.approx(after, abs=1e-9)
    assert heights[1] == 0.0


def test_sections_are_found_by_their_place():
    terrain = Terrain((Level(length_m=2), Ramp(slope_deg=10, length_m=3), Level(length_m=1), Stairs(count=3)))
    rows = terrain.rows()
    found = [section_at(rows, x) for x in (-0.1, 0.0, 1.99, 2.0, 4.99, 5.5, 6.0, 6.59, 6.6, 9.0)]
    assert found == [-1, 0, 0, 1, 1, 2, 3, 3, -1, -1]
    top = 3 * math.tan(math.radians(10))
    assert ground_height(rows, 3.5) == pytest.approx(0.5 * top)
    assert [ground_height(rows, x) - top for x in (5.99, 6.0, 6.31, 6.6, 99)] == pytest.approx(
        [0, 0.165, 0.33, 0.495, 0.495]
    )
    assert section_at(LEVEL.rows(), 1.0) == -1
    assert ground_height(LEVEL.rows(), 1.0) == 0.0


@given(terrain=terrains(), x=metres(-2.0, 40.0))
def test_rows_made_longer_are_the_same_ground(terrain, x):
    rows = terrain.rows()
    longer = pad_rows(rows, len(rows) + 3)
    assert ground_height(longer, x) == ground_height(rows, x)
    assert section_at(longer, x) == section_at(rows, x)


@njit
def _heights(rows, places):
    total = 0.0
    for x in places:
        total += ground_height(rows, x)
    return total


def test_compiled_code_can_ask():
    rows = load_terrain("circuit").rows()
    places = np.linspace(-1.0, 30.0, 50)
    assert _heights(rows, places) == pytest.approx(sum(ground_height(rows, x) for x in places))


# --- bodies on it -------------------------------------------------------------------------------------------------


def sphere(spec, x, z, smooth=False):
    body = spec.worldbody.add_body(pos=[x, 0, z])
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=[RADIUS, 0, 0],
        mass=1.0,
        contype=1,
        conaffinity=0,
        condim=1 if smooth else 3,
        priority=1 if smooth else 0,
        solref=[0.02, 1.0],
    )
    return body


def resting_height(terrain, places):
    """Height of the lowest point of spheres dropped on a rail at each x."""
    spec = mujoco.MjSpec()
    rows = terrain.rows()
    for x in places:
        body = sphere(spec, x, ground_height(rows, x) + 2 * RADIUS)
        body.add_joint(type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 0, 1])
    model, data = world(terrain, spec)
    for _ in range(500):
        mujoco.mj_step(model, data)
    assert np.abs(data.qvel).max() < 1e-6
    return data.xpos[1:, 2] - RADIUS


def test_dropped_spheres_come_to_rest_on_ramps_and_treads():
    terrain = load_terrain("circuit")
    rows = terrain.rows()
    creases = edges(rows)
    places = [x for x in np.arange(-1.0, terrain.length_m + 1.0, 0.37) if np.abs(x - creases).min() > 0.03]
    (sink,) = -resting_height(LEVEL, [0.0])
    assert 0.0 < sink < 0.001
    for x, z in zip(places, resting_height(terrain, places), strict=True):
        cosine = math.cos(math.atan(ground_slope(rows, x)))
        # On a slope the lowest point of a sphere hangs beside the point of contact.
        assert z == pytest.approx(ground_height(rows, x) + RADIUS * (1 / cosine - 1) - sink, abs=5e-5)


def slide(terrain, speed, seconds):
    """Speeds of a frictionless sphere that slides along from x = -0.5."""
    spec = mujoco.MjSpec()
    sphere(spec, -0.5, RADIUS, smooth=True).add_freejoint()
    model, data = world(terrain, spec)
    model.opt.timestep = 0.001
    for _ in range(200):
        mujoco.mj_step(model, data)
    data.qvel[0] = speed
    speeds = []
    for _ in range(round(1000 * seconds)):
        mujoco.mj_step(model, data)
        speeds.append(math.hypot(data.qvel[0], data.qvel[2]))
    return np.array(speeds), data


def test_nothing_trips_what_slides_over_the_joints_of_a_level_way():
    way = (
        Level(length_m=0.3),
        Level(length_m=0.5),
        Level(length_m=0.4),
        Level(length_m=30),
        Ramp(slope_deg=1, length_m=1),
    )
    speeds, data = slide(Terrain(way), 2.0, 1.5)
    assert data.qpos[0] > 2.0
    np.testing.assert_allclose(speeds, 2.0, atol=1e-9)


def test_what_slides_over_a_hill_loses_no_more_than_four_bends_take():
    hill = Terrain(
        (Level(length_m=0.5), Ramp(slope_deg=10, length_m=1), Level(length_m=0.5), Ramp(slope_deg=-10, length_m=1))
    )
    speeds, data = slide(hill, 3.0, 2.0)
    assert data.qpos[0] > 3.2
    # Without a rebound, a bend takes the part of the velocity that points into (or flies off) the new surface.
    cosine = math.cos(math.radians(10))
    assert 3.0 * cosine**4 < speeds[-1] < 3.0
    climb = 2 * 9.81 * math.tan(math.radians(10))
    assert math.sqrt((3.0 * cosine**2) ** 2 - climb) < speeds.min() < math.sqrt(9.0 - climb)


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_terrains_begin_with_a_run_up_of_three_metres(name):
    terrain = load_terrain(name)
    assert terrain.sections[0] == Level(length_m=3)
    assert terrain == Terrain.model_validate(terrain.model_dump(mode="json"))
    kinds = {s.kind for s in terrain.sections}
    wanted = {"level", name.split("_")[0]} if name != "circuit" else {"level", "ramp", "stairs"}
    assert kinds == wanted
    climb = ground_height(terrain.rows(), terrain.length_m + 1.0)
    if "_up" in name or "_down" in name:
        assert climb * (1 if "_up" in name else -1) > 0.5
        assert all(abs(s.slope_deg) == float(name.split("_")[2]) for s in terrain.sections if s.kind == "ramp")
    else:
        assert climb == pytest.approx(0.0, abs=1e-9)
        ups = [s.rise_m if s.kind == "stairs" else s.slope_deg for s in terrain.sections if s.kind != "level"]
        assert [np.sign(up) for up in ups] == [1, -1, 1, -1]


def test_a_terrain_may_be_a_file(tmp_path):
    path = tmp_path / "hill.yaml"
    path.write_text("sections: [{kind: ramp, slope_deg: 3, length_m: 2}]")
    assert load_terrain(path) == Terrain([Ramp(slope_deg=3, length_m=2)])
    with pytest.raises(FileNotFoundError):
        load_terrain(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sections: [{kind: ramp, slope_deg: 16, length_m: 2}]", r"sections\.0\.ramp\.slope_deg.*15"),
        ("sections: [{kind: stairs, rise_m: 0.3}]", r"sections\.0\.stairs\.rise_m.*0\.05 to 0\.25"),
        ("sections: [{kind: stairs, rise_m: -0.01}]", r"sections\.0\.stairs\.rise_m"),
        ("sections: [{kind: stairs, tread_m: 0.1}]", r"sections\.0\.stairs\.tread_m"),
        ("sections: [{kind: level, length_m: 1}, {kind: stairs, tread: 0.3}]", r"sections\.1.*did you mean 'tread_m'"),
        ("sections: [{kind: ramps}]", "did you mean 'ramp'"),
        ("sections: [{length_m: 2}]", "kind of section ''"),
        ("sections: level", "sections"),
        ("section: []", "did you mean 'sections'"),
        ("sections: [{kind: stairs}, {kind: stairs, rise_m: -0.165}]", "0 and 1: stairs and stairs need a level"),
        ("sections: [{kind: stairs}, {kind: ramp, slope_deg: 2, length_m: 1}]", "stairs and ramp need a level"),
        (
            "sections: [{kind: stairs}, {kind: level, length_m: 0.8}, {kind: stairs}]",
            r"sections 0 and 2: stairs 0\.8 m apart; they need at least 1 m",
        ),
        (
            "sections: [{kind: stairs}, {kind: level, length_m: 0.4}, {kind: level, length_m: 0.5}, {kind: stairs}]",
            r"sections 0 and 3: stairs 0\.9 m apart; they need at least 1 m",
        ),
    ],
)
def test_what_is_wrong_is_named(text, message):
    with pytest.raises(ValueError, match=message):
        parse_yaml(Terrain, text, "hill.yaml")


def test_an_unknown_terrain_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'stairs_up'"):
        load_terrain("stair_up")
