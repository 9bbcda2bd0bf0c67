from __future__ import annotations

from typing import Any

import pytest
import yaml
from exotwin.scenarios.scenario import Scenario, list_scenarios, load_scenario
from exotwin.sim.terrain import Ramp, Terrain, load_terrain

MINIMAL: dict[str, Any] = {
    "name": "mine",
    "title": "Mine",
    "duration_s": 10,
    "task": "walk",
    "speed_mps": 1.0,
    "device": "hip_knee_ankle",
    "arms": [{"name": "no_exo", "controller": "none"}, {"name": "own", "controller": "my.package:build"}],
    "classifier": "c",
    "estimator": "e",
}


@pytest.fixture
def load(tmp_path):
    def _load(**changes: Any):
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump({**MINIMAL, **changes}))
        return load_scenario(path)

    return _load


@pytest.mark.parametrize("name", list_scenarios())
def test_shipped_scenarios_load_and_are_named_as_their_file(name):
    scenario = load_scenario(name)
    assert scenario.name == name
    # A scenario of one's own may lack some; those there are come in the order of the tables.
    order = ["no_exo", "unpowered", "profile", "estimator", "oracle"]
    assert [name for name in order if name in {arm.name for arm in scenario.arms}] == [a.name for a in scenario.arms]


def test_level_walk_is_what_the_readme_promises():
    scenario = load_scenario("level_walk")
    assert [arm.name for arm in scenario.arms] == ["no_exo", "unpowered", "profile", "estimator", "oracle"]
    assert (scenario.duration_s, scenario.speed_at(7.0), scenario.device) == (20, 1.25, "hip_knee_ankle")
    assert scenario.is_level
    assert load_scenario("level_walk_slow").mean_speed_mps == 0.9


def test_a_minimal_file_gets_the_defaults(load):
    scenario = load()
    assert scenario.adaptation == 1.0
    assert scenario.arms[1].controller == "my.package:build"
    assert scenario.gates == ()


@pytest.mark.parametrize(("given", "fraction"), [("naive", 0.0), ("adapted", 1.0), (0.3, 0.3)])
def test_adaptation_is_a_word_or_a_fraction(load, given, fraction):
    assert load(adaptation=given).adaptation == fraction


def test_speed_may_change_while_walking(load):
    scenario = load(
        duration_s=20,
        skip_s=5,
        speed_mps=[
            {"at_s": 0, "speed_mps": 1.0},
            {"at_s": 10, "speed_mps": 1.6},
            {"at_s": 15, "speed_mps": 0.7},
            {"at_s": 30, "speed_mps": 9.0},
        ],
    )
    assert [scenario.speed_at(t) for t in (0.0, 9.99, 10.0, 14.0, 15.0, 19.9)] == [1.0, 1.0, 1.6, 1.6, 0.7, 0.7]
    assert scenario.mean_speed_mps == pytest.approx((5 * 1.0 + 5 * 1.6 + 5 * 0.7) / 15)
    assert load(speed_mps=1.1).mean_speed_mps == pytest.approx(1.1)


def test_terrain_is_a_name_a_file_or_sections(load, tmp_path):
    hill = {"kind": "ramp", "slope_deg": 5, "length_m": 4}
    wanted = Terrain([Ramp(slope_deg=5, length_m=4)])
    (tmp_path / "hill.yaml").write_text(yaml.safe_dump({"sections": [hill]}))
    for given in ([hill], {"sections": [hill]}, str(tmp_path / "hill.yaml")):
        scenario = load(terrain=given, until="end_of_terrain")
        assert scenario.terrain == wanted
        assert not scenario.is_level
        assert Scenario.model_validate(scenario.model_dump(mode="json")) == scenario
    assert load(terrain="circuit").terrain == load_terrain("circuit")
    assert load().terrain == Terrain()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"durations_s": 3}, "no key 'durations_s'; did you mean 'duration_s'"),
        ({"task": "wlak"}, "no task 'wlak'; did you mean 'walk'"),
        ({"adaptation": "adaptd"}, "did you mean 'adapted'"),
        ({"adaptation": 1.5}, "adaptation: .*less than or equal to 1"),
        ({"arms": [{"name": "a", "controller": "unpowerd"}]}, "did you mean 'unpowered'"),
        ({"arms": [{"name": "a", "controller": "my module:build"}]}, "package.module:callable"),
        ({"arms": [{"name": "a", "controller": "none"}] * 2}, "same name"),
        ({"arms": []}, "arms"),
        ({"assistance": {"joints": {"hip_flexon": {"scale": 0.2}}}}, "did you mean 'hip_flexion'"),
        ({"assistance": {"joints": {"hip_flexion": {"scal": 0.2}}}}, "did you mean 'scale'"),
        ({"faults": [{"start_s": 1, "end_s": 2, "kind": "nam"}]}, "did you mean 'nan'"),
        ({"faults": [{"start_s": 2, "end_s": 1, "kind": "nan"}]}, "end_s must be after"),
        ({"faults": [{"start_s": 1, "end_s": 2, "kind": "stuck", "chanels": "imu/*"}]}, "did you mean 'channels'"),
        ({"faults": [{"start_s": 1, "kind": "lost_insole", "side": "right"}]}, r"faults\.0\.lost_insole\.side"),
        ({"terrain": "circut"}, "no terrain 'circut'; did you mean 'circuit'"),
        ({"terrain": [{"kind": "ramp", "slope_deg": 50, "length_m": 2}]}, r"terrain\.sections\.0\.ramp\.slope_deg"),
        ({"until": "end_of_terrian", "terrain": "circuit"}, "did you mean 'end_of_terrain'"),
        ({"until": "end_of_terrain"}, "needs a terrain with sections"),
        ({"speed_mps": -1}, r"speed_mps\.0\.speed_mps"),
        ({"speed_mps": []}, "speed_mps"),
        ({"speed_mps": [{"at_s": 1, "speed_mps": 1}]}, "begin at 0 and rise, not 1"),
        ({"speed_mps": [{"at_s": t, "speed_mps": 1} for t in (0, 4, 3)]}, "begin at 0 and rise, not 0, 4, 3"),
        ({"subject": {"mas_kg": 70}}, "did you mean 'mass_kg'"),
        ({"subject": {"mass_kg": -1}}, "mass_kg = -1"),
        ({"skip_s": 10}, "skip_s must be shorter"),
        (
            {"gates": [{"name": "g", "metric": "arms.own_.falls", "operator": "==", "limit": 0}]},
            "no arm 'own_'; did you mean 'own'",
        ),
    ],
)
def test_bad_input_is_named_with_the_nearest(load, changes, message):
    with pytest.raises(ValueError, match=message) as error:
        load(**changes)
    assert "mine.yaml" in str(error.value)


def test_unknown_scenarios_and_files():
    with pytest.raises(ValueError, match="no scenario 'levl_walk'; did you mean 'level_walk'"):
        load_scenario("levl_walk")
    with pytest.raises(FileNotFoundError):
        load_scenario("nowhere/level_walk.yaml")


def test_broken_yaml_names_the_file(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("arms: [")
    with pytest.raises(ValueError, match=r"broken\.yaml: not valid YAML"):
        load_scenario(path)


def test_faults_of_every_kind_are_read_and_have_their_time(load):
    times = {"start_s": 1.0, "end_s": 2.0}
    given = [
        {"kind": "dropout", "loss": 0.1},
        {"kind": "nan"},
        {"kind": "stuck", "channels": "encoder/*"},
        {"kind": "saturation", "channels": "imu/*/g*", "limit": 5.0},
        {"kind": "clock_drift", "channels": "imu/*", "ppm": 100},
        {"kind": "swapped_sides", "channels": "imu/thigh_*"},
        {"kind": "shifted_imu", "site": "thigh_r", "rotation_deg": [0, 20, 0]},
        {"kind": "lost_insole", "side": "l"},
        {"kind": "emg_electrode_off", "muscle": "soleus_r"},
        {"kind": "latency_spike", "delay_s": 0.1},
    ]
    faults = load(faults=[times | fault for fault in given]).faults
    assert [fault.kind for fault in faults] == [fault["kind"] for fault in given]
    assert all(fault.is_active(1.0) and not fault.is_active(2.0) for fault in faults)


def test_postures_are_asked_for_at_their_times(load):
    scenario = load(
        task="sit_to_stand",
        speed_mps=0,
        postures=[{"at_s": 0, "posture": "sit"}, {"at_s": 2, "posture": "stand"}],
    )
    assert [scenario.posture_at(t) for t in (0.0, 1.99, 2.0, 9.0)] == ["sit", "sit", "stand", "stand"]
    assert load().posture_at(3.0) == "stand"


@pytest.mark.parametrize(
    ("postures", "said"),
    [
        ([{"at_s": 0, "posture": "sitt"}], "did you mean 'sit'"),
        ([{"at_s": 1, "posture": "sit"}], "postures: at_s must begin at 0"),
        ([{"at_s": 0, "posture": "sit"}, {"at_s": 0, "posture": "stand"}], "postures: at_s must begin at 0 and rise"),
    ],
)
def test_bad_postures_are_named(load, postures, said):
    with pytest.raises(ValueError, match=said):
        load(task="sit_to_stand", postures=postures)
