from __future__ import annotations

from typing import Any

import pytest
import yaml
from exotwin.scenarios.scenario import Fault, list_scenarios, load_scenario

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
    assert (scenario.duration_s, scenario.speed_mps, scenario.device) == (20, 1.25, "hip_knee_ankle")
    assert load_scenario("level_walk_slow").speed_mps == 0.9


def test_a_minimal_file_gets_the_defaults(load):
    scenario = load()
    assert scenario.adaptation == 1.0
    assert scenario.arms[1].controller == "my.package:build"
    assert scenario.gates == ()


@pytest.mark.parametrize(("given", "fraction"), [("naive", 0.0), ("adapted", 1.0), (0.3, 0.3)])
def test_adaptation_is_a_word_or_a_fraction(load, given, fraction):
    assert load(adaptation=given).adaptation == fraction


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
        ({"faults": [{"start_s": 1, "end_s": 2, "kind": "dropout", "channels": "imu/*"}]}, "whole frames"),
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


def test_a_fault_covers_its_window_and_channels():
    fault = Fault(start_s=1.0, end_s=2.0, channels="imu/thigh_r/*", kind="nan")
    assert fault.covers(1.0, "imu/thigh_r/ax")
    assert not fault.covers(2.0, "imu/thigh_r/ax")
    assert not fault.covers(1.5, "imu/thigh_l/ax")
