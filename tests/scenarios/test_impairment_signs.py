"""Signs of impairments on gaits made from published curves, where every number is known."""

import numpy as np
import pytest
from exotwin.scenarios.gait_cycles import strides
from exotwin.scenarios.impairment_signs import (
    FALLS,
    RISES,
    SIGNS,
    as_published,
    compare_hemiparetic,
    measure_signs,
    step_lengths,
)
from exotwin.scenarios.normative import published
from exotwin.scenarios.scenario import Scenario
from exotwin.sim.impairments import KINDS, Impairment
from synthetic_walk import MASS, SPEED, STRIDE_S, walk

RIGHT_LATE = 0.1  # m that each right foothold lies further forward


def recording(late: float = 0.0):
    """Normal walking with footholds: each foot stands where the body passed over it at its strike."""
    made = walk("unpowered")
    for side in "rl":
        force = made.columns[f"grf/{side}/z"]
        begun = np.flatnonzero((force[1:] > 30.0) & (force[:-1] <= 30.0)) + 1
        last = np.searchsorted(begun, np.arange(force.size), side="right") - 1
        hold = np.where(last >= 0, made.columns["pelvis/x"][begun[np.maximum(last, 0)]], np.nan)
        made.columns[f"cop/{side}/x"] = np.where(force > 30.0, hold + (late if side == "r" else 0.0), np.nan)
    return made


def on_both(kind):
    return Impairment(kind=kind, severity=0.5)


def test_every_kind_has_signs_with_a_direction_and_a_source():
    for kind in KINDS:
        assert SIGNS[kind]
        for sign in SIGNS[kind]:
            assert sign.direction in (FALLS, RISES)
            assert sign.source


def test_spatiotemporal_numbers():
    values = measure_signs(recording(), on_both("hemiparesis"))
    assert values["walking speed"] == pytest.approx(SPEED)
    assert values["step-length asymmetry"] == pytest.approx(0.0, abs=0.01)
    shifted = recording(RIGHT_LATE)
    lengths = step_lengths(shifted)
    assert lengths["r"] - lengths["l"] == pytest.approx(2 * RIGHT_LATE, abs=0.01)
    assert lengths["r"] + lengths["l"] == pytest.approx(SPEED * STRIDE_S, abs=0.01)
    asymmetry = measure_signs(shifted, on_both("hemiparesis"))["step-length asymmetry"]
    assert asymmetry == pytest.approx(2 * RIGHT_LATE / (SPEED * STRIDE_S), abs=0.01)


def test_angles_and_moments_are_read_in_their_phase():
    made = recording()
    cycle = strides(made, "l", 3.0)[0]
    knee = np.degrees(made.columns["angle/knee_flexion_l"])
    ankle = made.columns["torque/biological/ankle_dorsiflexion_l"]
    one = Impairment(kind="hemiparesis", severity=0.5, side="l")
    assert measure_signs(made, one)["peak knee flexion in swing"] == pytest.approx(
        knee[cycle.toe_off : cycle.end].max(), abs=0.5
    )
    crouch = measure_signs(made, Impairment(kind="crouch_gait", severity=0.5, side="l"))
    assert crouch["knee flexion at contact"] == pytest.approx(knee[cycle.start], abs=1.0)
    assert crouch["mean knee flexion in stance"] == pytest.approx(knee[cycle.start : cycle.toe_off].mean(), abs=0.5)
    weak = measure_signs(made, Impairment(kind="plantarflexor_weakness", severity=0.5, side="l"))
    assert weak["peak plantarflexion moment"] == pytest.approx(-ankle.min() / MASS, rel=0.01)


@pytest.mark.parametrize(
    ("kind", "joint", "shift", "sign"),
    [
        ("foot_drop", "ankle_dorsiflexion", -10.0, "ankle dorsiflexion in mid-swing"),
        ("equinus", "ankle_dorsiflexion", -10.0, "ankle dorsiflexion in mid-swing"),
        ("crouch_gait", "knee_flexion", 15.0, "mean knee flexion in stance"),
        ("knee_extensor_weakness", "knee_flexion", -5.0, "peak knee flexion in loading response"),
    ],
)
def test_a_sign_moves_with_its_angle(kind, joint, shift, sign):
    before, after = recording(), recording()
    for side in "rl":
        after.columns[f"angle/{joint}_{side}"] = after.columns[f"angle/{joint}_{side}"] + np.radians(shift)
    numbers = [measure_signs(made, on_both(kind)) for made in (before, after)]
    assert numbers[1][sign] - numbers[0][sign] == pytest.approx(shift)
    assert as_published(kind, *numbers)[sign]
    assert not as_published(kind, *numbers[::-1])[sign]


def test_hemiparetic_angles_compare_with_themselves():
    """A gait made from Winner's own curves matches them; normal walking bends the paretic knee too much."""
    made = recording()
    time = made.columns["time"]
    for side, which in (("r", "paretic"), ("l", "nonparetic")):
        bands = published("hemiparetic_gait", "Winner2023", f"fastest {which}")
        starts = [c.start for c in strides(made, side)]
        percent = 100.0 * (((time - time[starts[0]]) % STRIDE_S) / STRIDE_S)
        for joint in ("hip_flexion", "knee_flexion", "ankle_dorsiflexion"):
            made.columns[f"angle/{joint}_{side}"] = np.radians(
                np.interp(percent, np.arange(101.0), bands[f"angle/{joint}"].mean)
            )
    for key, match in compare_hemiparetic(made, "r").items():
        assert match.rmse_deg < 1.0, key
        assert match.correlation > 0.99, key
    assert compare_hemiparetic(recording(), "r")["paretic/knee_flexion"].rmse_deg > 5.0
    made.columns["grf/r/z"][:] = 0.0
    with pytest.raises(ValueError, match="no whole stride of the paretic leg"):
        compare_hemiparetic(made, "r")


def test_a_scenario_names_impairments(tmp_path):
    values = {
        "name": "x", "title": "x", "duration_s": 10, "task": "walk", "speed_mps": 1.0, "device": "hip_knee_ankle",
        "arms": [{"name": "a", "controller": "none"}], "classifier": "c", "estimator": "e",
    }  # fmt: skip
    made = Scenario.model_validate({**values, "impairments": [{"kind": "hemiparesis", "severity": 0.5, "side": "r"}]})
    assert made.impairments == (Impairment(kind="hemiparesis", severity=0.5, side="r"),)
    assert Scenario.model_validate(values).impairments == ()
    with pytest.raises(ValueError, match="did you mean 'equinus'"):
        Scenario.model_validate({**values, "impairments": [{"kind": "equinos", "severity": 0.5}]})
