"""Generation files: what can be asked for, what is drawn from it, and complaints that name the key."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from exotwin.controllers.device import DeviceDescription
from exotwin.sim.dataset.assistance import WANDER_S, RandomHelp
from exotwin.sim.dataset.gaits import GAITS, ImpairmentRange, choose_gaits
from exotwin.sim.dataset.plan import plan
from exotwin.sim.dataset.request import Assistance, Generation
from exotwin.sim.impairments import KINDS
from exotwin.sim.modes import section_mode
from exotwin.sim.posture_plan import POSTURES
from exotwin.sim.terrain import load_terrain
from fake_set import request
from hypothesis import given, settings
from hypothesis import strategies as st


def test_all_is_every_movement_and_every_impairment():
    gaits = Generation.model_validate({"device": request().device}).gaits
    assert set(KINDS) <= {ill.kind for gait in gaits for ill in gait.impairments}
    rng = np.random.default_rng(0)
    modes = {section_mode(row) for gait in gaits for row in gait.draw_way(rng, 30.0).rows()}
    assert modes == {"walk", "ramp_up", "ramp_down", "stairs_up", "stairs_down"}
    assert {posture for gait in gaits for posture in gait.postures} == set(POSTURES)


@given(name=st.sampled_from(sorted(GAITS)), seed=st.integers(0, 2**32), seconds=st.floats(1.0, 60.0))
@settings(max_examples=60, deadline=None)
def test_ways_go_where_their_name_says_for_long_enough(name, seed, seconds):
    gait = GAITS[name]
    way = gait.draw_way(np.random.default_rng(seed), seconds)
    if gait.way == "level":
        assert not way.sections
        return
    assert way.length_m >= seconds * gait.speed_mps[1]
    modes = {section_mode(row) for row in way.rows()} - {"walk"}
    assert modes == ({gait.way} if gait.way != "circuit" else {"ramp_up", "ramp_down", "stairs_up", "stairs_down"})
    for section in way.sections:
        if section.kind == "ramp":
            assert gait.slope_deg[0] <= abs(section.slope_deg) <= gait.slope_deg[1]
        elif section.kind == "stairs":
            assert gait.rise_m[0] <= abs(section.rise_m) <= gait.rise_m[1]


def test_a_gait_can_be_changed_and_called_something_else():
    gaits = choose_gaits(
        [
            "walk",
            {"gait": "ramp_up", "name": "gentle", "slope_deg": [2, 3], "minutes": 1},
            {"gait": "stairs_up", "impairments": [{"kind": "ageing", "severity": [0.2, 0.3]}]},
            {"gait": "walk", "name": "given", "terrain": "circuit"},
        ]
    )
    assert [gait.name for gait in gaits] == ["walk", "gentle", "stairs_up_ageing", "given"]
    assert gaits[1].slope_deg == (2, 3)
    assert gaits[2].way == "stairs_up"
    assert gaits[3].draw_way(np.random.default_rng(0), 10.0) == load_terrain("circuit")
    jobs = plan(request(gaits=gaits, minutes_per_gait=2, recording_s=30))
    assert {g.name: sum(j.seconds for j in jobs if j.gait == g) / 180.0 for g in gaits} == {
        "walk": 2,
        "gentle": 1,
        "stairs_up_ageing": 2,
        "given": 2,
    }


@pytest.mark.parametrize(
    ("minutes", "lengths"),
    [(5.0, [30.0] * 10), (0.75, [30.0, 30.0]), (0.51, [30.0, 30.0]), (0.2, [12.0]), (1.1 + 1.9, [30.0] * 6)],
)
def test_minutes_are_rounded_up_to_whole_recordings(minutes, lengths):
    jobs = plan(request(gaits="walk", subjects=1, minutes_per_gait=minutes, recording_s=30.0))
    assert [job.seconds for job in jobs] == pytest.approx(lengths)


def test_a_person_has_the_same_impairment_in_all_recordings_and_others_another():
    jobs = plan(request(gaits="hemiparesis", subjects=8, minutes_per_gait=3 / 60))
    ills = {}
    for job in jobs:
        ills.setdefault(job.subject.id, set()).add(job.impairments[0])
    assert all(len(own) == 1 for own in ills.values())
    assert len({ill.severity for own in ills.values() for ill in own}) == 8
    assert {ill.side for own in ills.values() for ill in own} == {"r", "l"}
    low, high = GAITS["hemiparesis"].impairments[0].severity
    assert all(low <= ill.severity <= high for own in ills.values() for ill in own)


def test_the_kept_generation_file_asks_for_the_same_again():
    gaits = ["walk", {"gait": "walk", "name": "there", "terrain": "circuit"}, "hemiparesis"]
    fault = {"kind": "nan", "channels": "imu/*", "start_s": 0.2}
    asked = request(gaits=gaits, subjects={"count": 4, "age_years": [60, 75]}, faults=[fault], fault_share=0.5)
    plain = yaml.safe_load(asked.text())
    again = Generation.model_validate(plain | {"device": DeviceDescription.model_validate(plain["device"])})
    assert again == asked
    assert again.text() == asked.text()
    assert plan(again) == plan(asked)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gaits": "wlk"}, "no gait 'wlk'; did you mean 'walk'"),
        ({"gaits": ["walk", "walk"]}, "two gaits are called 'walk'"),
        ({"gaits": [{"gait": "walk", "sped_mps": [1, 2]}]}, "gait 'walk': no key 'sped_mps'; did you mean 'speed_mps'"),
        ({"gaits": [{"gait": "walk", "speed_mps": [2, 1]}]}, "speed_mps: 2 to 1 is not a range"),
        ({"gaits": [{"gait": "walk", "terrain": "circut"}]}, "no terrain 'circut'; did you mean 'circuit'"),
        ({"gaits": [{"gait": "walk", "impairments": [{"kind": "ageng"}]}]}, "no impairment 'ageng'"),
        ({"gaits": [{"gait": "walk", "impairments": [{"kind": "ageing", "side": "r"}]}]}, "side of ageing"),
        ({"gaits": [{"gait": "walk", "policy": "wlk"}]}, "no gait 'wlk'; did you mean 'walk'"),
        ({"gaits": []}, "at least 1"),
        ({"subjects": 0}, "subjects.count"),
        ({"minutes_per_gait": 0}, "minutes_per_gait"),
        ({"faults": [{"kind": "nan", "channels": "imu/tihg*", "start_s": 0.1}]}, "no channel matches 'imu/tihg"),
        ({"faults": [{"kind": "nan", "channels": "imu/*", "start_s": 5.0}]}, "starts at 5 s, recordings last 1 s"),
    ],
)
def test_what_cannot_be_is_named(change, said):
    with pytest.raises(ValueError, match=said):
        request(**change)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_a_given_side_and_range_hold(seed):
    drawn = ImpairmentRange(kind="equinus", severity=(0.2, 0.4), side="l").draw(np.random.default_rng(seed))
    assert drawn.side == "l"
    assert 0.2 <= drawn.severity <= 0.4


def test_help_follows_the_person_and_its_noise_has_the_spread_asked_for():
    rng, rate, mass = np.random.default_rng(4), 200.0, 70.0
    helper = RandomHelp(Assistance(probability=1.0, share=(0.2, 0.2), segment_s=2000.0), 6, mass, rate)
    helper.draw(rng)
    own = np.array([10.0, -20.0, 30.0, 10.0, -20.0, 30.0])
    given = np.array([helper.torque(own) for _ in range(400_000)])[2000:]
    # 4,000 correlation times: the mean is known within 2 %, the spread within 2 % of the noise's.
    spread = 0.05 * mass
    assert given.mean(axis=0) == pytest.approx(0.2 * own, abs=0.1 * spread)
    assert given.std(axis=0) == pytest.approx(spread, rel=0.1)
    lag = round(WANDER_S * rate)
    centred = given - given.mean(axis=0)
    assert (centred[lag:] * centred[:-lag]).mean() / spread**2 == pytest.approx(np.exp(-1.0), abs=0.06)


def test_an_unaided_segment_ends_help_at_once_and_shares_are_equal_on_both_legs():
    rng = np.random.default_rng(1)
    helper = RandomHelp(Assistance(probability=0.0), 6, 70.0, 200.0)
    helper.draw(rng)
    assert not helper.torque(np.full(6, 50.0)).any()
    helper = RandomHelp(Assistance(probability=1.0, offset_nm_per_kg=0.0), 6, 70.0, 200.0)
    helper.draw(rng)
    torque = [helper.torque(np.full(6, 50.0)) for _ in range(200)][-1]
    assert torque[:3] == pytest.approx(torque[3:])
    assert len(set(np.round(torque[:3], 6))) == 3
