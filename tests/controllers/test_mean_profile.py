"""The mean-profile baseline: periodic interpolation, fallbacks, files, playback."""

import json
import math

import numpy as np
import pytest
from exotwin.controllers import MeanProfile, ModeEstimate, ProfileEstimator, TorqueEstimator
from hypothesis import given
from hypothesis import strategies as st

JOINTS = ("hip_flexion", "ankle_dorsiflexion")
GRID = np.linspace(0.0, 1.0, 101)


def curve(phase):
    angle = 2 * np.pi * np.asarray(phase)
    return np.stack([np.sin(angle), 0.5 * np.cos(2 * angle) - 1.0], axis=-1)


def mode(name, speed=""):
    return ModeEstimate(name, 1.0, speed)


PROFILE = MeanProfile(
    JOINTS,
    {
        "walk/slow": 0.5 * curve(GRID),
        "walk/normal": curve(GRID),
        "run/fast": 2 * curve(GRID),
        "stand": curve(GRID),
    },
    source="analytic",
)


@given(st.floats(-3.0, 3.0))
def test_interpolation_agrees_with_numpy_and_is_periodic(phase):
    table = PROFILE.torque["walk/normal"]
    expected = [np.interp(phase, GRID[:-1], table[:-1, j], period=1.0) for j in range(2)]
    assert PROFILE.at(mode("walk", "normal"), phase) == pytest.approx(expected, abs=1e-9)
    assert PROFILE.at(mode("walk", "normal"), phase + 1) == pytest.approx(expected, abs=1e-9)


def test_an_open_end_is_closed_by_the_mean():
    table = np.zeros((101, 1))
    table[0], table[-1] = 1.0, 3.0
    profile = MeanProfile(("hip_flexion",), {"walk": table})
    assert profile.at(mode("walk"), 0.0) == profile.at(mode("walk"), 1.0) == 2.0


@pytest.mark.parametrize(
    ("asked", "answers"),
    [
        (mode("walk", "slow"), "walk/slow"),
        (mode("walk", "fast"), "walk/normal"),
        (mode("walk"), "walk/normal"),
        (mode("run"), "run/fast"),
        (mode("stairs_up"), None),
    ],
)
def test_fallback_rule(asked, answers):
    assert PROFILE.key_for(asked) == answers
    got = PROFILE.at(asked, 0.25)
    expected = np.zeros(2) if answers is None else PROFILE.torque[answers][25]
    assert got == pytest.approx(expected)


def test_stand_has_no_phase_and_walk_without_phase_cannot_tell():
    assert PROFILE.at(mode("stand"), math.nan) == pytest.approx([0.0, -1.0], abs=1e-12)
    assert PROFILE.at(mode("stand"), 0.3) == pytest.approx([0.0, -1.0], abs=1e-12)
    assert np.isnan(PROFILE.at(mode("walk"), math.nan)).all()


def test_json_round_trip(tmp_path):
    PROFILE.to_json(tmp_path / "p.json")
    again = MeanProfile.from_json(tmp_path / "p.json")
    assert again.joints == JOINTS
    assert again.source == "analytic"
    assert again.torque.keys() == PROFILE.torque.keys()
    assert all(np.array_equal(again.torque[k], PROFILE.torque[k]) for k in PROFILE.torque)


def one_profile(**changes):
    table = {"unit": "Nm/kg", "profiles": {"walk": {"hip_flexion": [0.0] * 101}}}
    return json.dumps(table | changes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not a mean torque profile"),
        ("[]", "profiles"),
        (one_profile(unit="Nm"), "expected 'Nm/kg'"),
        (one_profile(profiles={"walk": {"hip_flexion": [0.0] * 100}}), "walk: shape"),
        (one_profile(profiles={"wlak": {"hip_flexion": [0.0] * 101}}), "did you mean 'walk'"),
        (one_profile(profiles={"walk": {"hip_flexon": [0.0] * 101}}), "did you mean 'hip_flexion'"),
        (one_profile(profiles={"walk": {"hip_flexion": [math.nan] * 101}}), "finite"),
        (
            one_profile(profiles={"walk": {"hip_flexion": [0.0] * 101}, "run": {"knee_flexion": [0.0] * 101}}),
            "run: joints",
        ),
        (one_profile(profiles={"walk": {"hip_flexion": ["x"] * 101}}), "not a mean torque profile"),
        (one_profile(profiles={"walk": [1.0]}), "not a mean torque profile"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(tmp_path, text, said):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=said) as caught:
        MeanProfile.from_json(path)
    assert "bad.json" in str(caught.value)


def test_playback_follows_each_leg(make_frame, walking_force):
    estimator = ProfileEstimator(PROFILE)
    assert isinstance(estimator, TorqueEstimator)
    assert estimator.joints == (
        "hip_flexion_r",
        "ankle_dorsiflexion_r",
        "hip_flexion_l",
        "ankle_dorsiflexion_l",
    )
    time = np.arange(0.0, 8.0, 0.005)
    strikes = {"r": np.arange(0.1, 9.5, 1.2), "l": np.arange(0.7, 10.0, 1.2)}
    force = {s: walking_force(time, at) for s, at in strikes.items()}
    out = np.array(
        [
            estimator.update(make_frame(t, {f"insole/{s}/force": force[s][k] for s in "rl"}), mode("walk", "normal"))
            for k, t in enumerate(time)
        ]
    )
    assert np.isnan(out[time < 0.1]).all()
    later = time > 4.0
    truth = np.hstack([curve((time - strikes[s][0]) / 1.2) for s in "rl"])
    assert np.sqrt(np.mean((out - truth)[later] ** 2)) < 0.08  # about 1 % of a cycle late
    estimator.reset()
    assert np.isnan(estimator.update(make_frame(0.0), mode("walk"))).all()
