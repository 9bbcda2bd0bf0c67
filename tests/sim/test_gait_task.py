"""The description of what a gait is trained on: stages, and people drawn with their ways and impairments."""

import numpy as np
import pytest
from exotwin.sim.gait_task import GaitTask, load_gait_task
from exotwin.sim.impairments import KINDS
from exotwin.sim.terrain import LEVEL
from pydantic import ValidationError


def task(**changes):
    keys = {"name": "walk", "reference": "walk", "mode": "walk", "speed": (0.6, 1.6), "devices": {"none": 4}}
    return GaitTask.model_validate(keys | changes)


@pytest.mark.parametrize("name", ["walk", "stand"])
def test_shipped_gaits_end_with_the_whole_task(name):
    shipped = load_gait_task(name)
    assert shipped.name == shipped.reference == name
    assert len(shipped.stages()) == len(shipped.curriculum) + 1
    others = {"curriculum", "specialists"}
    assert shipped.stages()[-1].model_dump(exclude=others) == shipped.model_dump(exclude=others)


def test_a_stage_changes_its_keys_alone():
    whole = task(curriculum=[{"steps": 5, "speed": (1.0, 1.2)}, {"steps": 7}])
    first, second, last = whole.stages()
    assert (first.steps, second.steps, last.steps) == (5, 7, whole.steps)
    assert (first.speed, second.speed) == ((1.0, 1.2), whole.speed)
    assert first.terrains == whole.terrains


def test_a_specialist_changes_keys_of_the_whole_task():
    whole = task(curriculum=[{"steps": 5}], specialists={"uphill": {"steps": 7, "upward_share": 1.0}})
    assert whole.of_specialist("uphill") == task(steps=7, upward_share=1.0)
    with pytest.raises(ValueError, match=r"no specialist 'uphil' of the gait 'walk'; did you mean 'uphill'"):
        whole.of_specialist("uphil")


@pytest.mark.parametrize("endless_share", [0.0, 1.0])
@pytest.mark.parametrize(("upward_share", "first"), [(1.0, {1.0}), (0.0, {-1.0}), (0.5, {1.0, -1.0})])
def test_ways_go_up_first_in_the_tasks_share(upward_share, first, endless_share):
    keys = {"terrains": {"ramps": 1.0}, "upward_share": upward_share, "endless_share": endless_share}
    people = task(**keys).people(np.random.default_rng(0), 12)
    assert {np.sign(way.sections[1].slope_deg) for _, way, _ in people} == first


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"curriculum": [{"stepps": 1}]}, "stepps"),
        ({"terrains": {"stares": 1.0}}, "stares"),
        ({"reference": "level_walk"}, "reference"),
        ({"impaired_share": 1.5}, "impaired_share"),
        ({"postures": ["kneel"]}, "postures"),
        ({"specialists": {"sideways": {}}}, "sideways"),
        ({"specialists": {"uphill": {"stepps": 1}}}, "stepps"),
    ],
)
def test_a_wrong_key_or_value_is_named(changes, named):
    with pytest.raises(ValidationError, match=named):
        task(**changes)


def test_unknown_gait_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'walk'"):
        load_gait_task("wallk")


def test_people_walk_the_ways_in_their_shares():
    shares = {"level": 0.5, "ramps": 0.25, "stairs": 0.2, "circuit": 0.05}
    people = task(terrains=shares).people(np.random.default_rng(0), 40)
    found = dict.fromkeys(shares, 0)
    for _, way, _ in people:
        kinds = {section.kind for section in way.sections} - {"level"}
        if not way.sections:
            assert way == LEVEL
        name = {(): "level", ("ramp",): "ramps", ("stairs",): "stairs"}.get(tuple(sorted(kinds)), "circuit")
        found[name] += 1
    assert found == {"level": 20, "ramps": 10, "stairs": 8, "circuit": 2}


def test_ways_go_up_and_down_within_the_tasks_ranges_and_end_where_they_began():
    wanted = task(
        terrains={"ramps": 0.5, "stairs": 0.5}, slope_deg=(4.0, 8.0), rise_m=(0.15, 0.17), tread_m=(0.28, 0.3)
    )
    people = wanted.people(np.random.default_rng(1), 40)
    ramps, rises, treads = [], [], []
    for _, way, _ in people:
        assert way.sections[0].kind == way.sections[-1].kind == "level"
        for section in way.sections:
            if section.kind == "ramp":
                ramps.append(section.slope_deg)
            elif section.kind == "stairs":
                rises.append(section.rise_m)
                treads.append(section.tread_m)
    for values, (low, high) in ((ramps, wanted.slope_deg), (rises, wanted.rise_m)):
        assert np.mean(np.array(values) > 0) == 0.5
        assert low <= np.abs(values).min()
        assert np.abs(values).max() <= high
    assert min(treads) >= 0.28
    assert max(treads) <= 0.3


def test_endless_ways_outlast_an_episode_and_go_up_as_often_as_down():
    wanted = task(
        terrains={"ramps": 0.5, "stairs": 0.4, "circuit": 0.1}, endless_share=0.5, speed=(0.6, 1.8), episode_s=15.0
    )
    people = wanted.people(np.random.default_rng(3), 400)
    endless = [way.sections[1] for _, way, _ in people if len(way.sections) == 2]
    assert len(endless) == pytest.approx(0.5 * 0.9 * 400, abs=30)
    ramps = [section.slope_deg for section in endless if section.kind == "ramp"]
    flights = [section.rise_m for section in endless if section.kind == "stairs"]
    assert all(section.length_m == pytest.approx(27.0) for section in endless if section.kind == "ramp")
    assert len(ramps) + len(flights) == len(endless)
    for values in (ramps, flights):
        assert np.mean(np.array(values) > 0.0) == pytest.approx(0.5, abs=0.15)
    # A circuit stays one: it has both kinds.
    assert sum(len({section.kind for section in way.sections}) == 3 for _, way, _ in people) == 40


def test_impairments_are_drawn_in_their_share_each_kind_on_possible_sides():
    people = task(impaired_share=0.5, impaired_severity=(0.2, 0.4)).people(np.random.default_rng(2), 400)
    ill = [one for _, _, impairments in people for one in impairments]
    assert len(ill) / 400 == pytest.approx(0.5, abs=0.08)
    assert {one.kind for one in ill} == set(KINDS)
    assert {one.side for one in ill if one.kind == "hemiparesis"} == {"r", "l"}
    assert {one.side for one in ill if one.kind == "ageing"} == {"both"}
    assert {one.side for one in ill if one.kind == "foot_drop"} == {"r", "l", "both"}
    assert all(0.2 <= one.severity <= 0.4 for one in ill)
    assert not any(impairments for *_, impairments in task().people(np.random.default_rng(2), 50))


def test_impaired_people_are_taught_on_level_ground():
    people = task(impaired_share=1.0, terrains={"level": 0.5, "stairs": 0.5}).people(np.random.default_rng(2), 20)
    assert [bool(ill) for *_, ill in people] == [True] * 10 + [False] * 10


def test_the_same_draw_gives_the_same_people():
    ways = {"level": 0.5, "circuit": 0.5}
    draws = [task(impaired_share=0.5, terrains=ways).people(np.random.default_rng(5), 6) for _ in range(2)]
    assert draws[0] == draws[1]
    assert len({body for body, _, _ in draws[0]}) == 6
