from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from exotwin.scenarios.comparison import compare
from exotwin.scenarios.figures import MeanCycles
from exotwin.scenarios.gates import judge
from exotwin.scenarios.normative import level_walking
from exotwin.scenarios.report import render_report, write_report
from exotwin.scenarios.scenario import load_scenario
from synthetic_walk import reference_angles, walk


def page(arms, **changes):
    scenario = load_scenario("level_walk").model_copy(update=changes)
    return render_report(
        arms,
        judge(compare(arms, skip_s=2.0, commanded_speed_mps=1.25, angle_reference=reference_angles()), scenario.gates),
        scenario,
    )


@pytest.fixture(scope="module")
def html(arms):
    return page(arms)


def pictures(html: str) -> list[bytes]:
    return [base64.b64decode(data) for data in re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", html)]


def test_the_page_is_self_contained_and_small(html):
    assert len(html) < 3_000_000
    assert set(re.findall(r'(?:src|href)="([a-z]+:)', html)) == {"data:"}
    assert "url(" not in html
    assert "<script" not in html


def test_every_picture_is_sound_svg(html):
    found = pictures(html)
    assert len(found) == 4
    assert all(ET.fromstring(svg).tag.endswith("svg") for svg in found)


def test_the_page_says_the_verdict_the_gates_and_where_it_came_from(html):
    for text in ("PASSED: all 16 gates hold", "no arm falls", "Bovi et al. 2011", "adapted", "exotwin 0.1.0"):
        assert text in html
    assert "None: no arm fell" in html


def test_faults_are_listed_and_drawn(arms):
    hurt = walk(
        "estimator",
        unload=0.15,
        assist=0.2,
        faulty_s=(3.0, 4.0),
        events=[{"time": 3.0, "kind": "fault", "detail": "<sensor_nan>"}],
    )
    html = page({**arms, "estimator": hurt})
    assert "&lt;sensor_nan&gt;" in html
    assert "Faults in arm estimator" in html
    assert len(pictures(html)) == 5
    assert "FAILED: exo never faulted" in html


def test_arms_that_never_made_a_stride_still_get_a_page(arms, tmp_path):
    short = {name: walk(name, seconds=0.5, falls=1, partial=True) for name in ("no_exo", "unpowered")}
    scenario = load_scenario("level_walk").model_copy(update={"gates": ()})
    path = write_report(tmp_path / "report.html", short, judge(compare(short, skip_s=0.0), []), scenario)
    assert "partial run (no_exo, unpowered)" in path.read_text(encoding="utf-8")


def test_same_input_gives_the_same_bytes(arms, html):
    assert page(arms) == html


def test_pooled_curves_return_the_cycle_the_walk_was_made_from(arms):
    mean, sd = MeanCycles(arms["unpowered"], 2.0).curve("torque/biological/ankle_dorsiflexion_{side}", 1 / 75.0)
    # Heel strike is found some samples after the force leaves zero, hence the shift allowed for.
    band = level_walking(1.25).bands["moment/ankle_dorsiflexion"].mean
    assert mean.min() == pytest.approx(band.min(), abs=0.02)
    assert abs(int(np.argmin(mean)) - int(np.argmin(band))) <= 3
    assert sd.max() < 0.05


def test_one_leg_is_not_averaged_over_the_other_leg_s_cycles(arms):
    cycles = MeanCycles(arms["unpowered"], 2.0)
    right = cycles.curve("activation/soleus_{side}", sides="r")
    assert right[0].max() > 0.45  # the bump of 0.53 would halve if left strides were mixed in


@pytest.mark.parametrize(("asked", "nearest"), [(0.5, 0.84), (0.9, 0.84), (1.25, 1.2), (1.6, 1.49), (3.0, 1.95)])
def test_normative_speed_is_the_nearest_published(asked, nearest):
    assert level_walking(asked).speed_mps == nearest


def test_normative_moments_have_the_sign_of_the_coordinate():
    bands = level_walking(1.2).bands
    # Push-off plantarflexes (negative), loading extends the knee (negative), late stance flexes the hip.
    assert bands["moment/ankle_dorsiflexion"].mean.min() == pytest.approx(-1.3, abs=0.05)
    assert bands["moment/knee_flexion"].mean[14] < -0.3
    assert bands["moment/hip_flexion"].mean[50] > 0.5
    assert bands["grf/z"].mean.max() == pytest.approx(1.14, abs=0.02)
