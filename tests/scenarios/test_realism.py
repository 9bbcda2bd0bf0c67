"""The command and what it writes: tables, JSON, page; gaits that are not there yet are named."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from importlib.resources import files

import pytest
from exotwin.scenarios import cli
from exotwin.scenarios.normative import published
from exotwin.scenarios.realism.cycles import person_cycles
from exotwin.scenarios.realism.gaits import GAITS, choose
from exotwin.scenarios.realism.page import render_page
from exotwin.scenarios.realism.result import Realism, across_gaits, as_json, judge, not_simulated
from exotwin.scenarios.realism.score import GOALS
from exotwin.scenarios.realism.simulate import Job, realism, record, section
from exotwin.scenarios.realism.table import markdown, verdict
from exotwin.sim.impairments import KINDS
from exotwin.sim.subjects import Subject
from exotwin.sim.terrain import load_terrain
from published_walk import walk_of

SHORT = replace(GAITS["level_1.20"], name="short")


@pytest.fixture(scope="module")
def found() -> Realism:
    """Two people of paper at two speeds, and a gait that is not there."""
    gaits = [GAITS["level_1.20"], GAITS["level_1.49"]]
    people = [(gait, [person_cycles(walk_of(gait))] * 2) for gait in gaits]
    results = [*(judge(gait, group) for gait, group in people), not_simulated(GAITS["squat"], "no gait 'squat'")]
    subjects = [Subject("paper").as_dict()]
    settings = {"subjects": subjects, "seed": 0, "seconds": 12.0, "versions": {"exotwin": "0"}}
    return Realism(tuple(results), across_gaits(people), settings)


def test_every_gait_has_what_it_names():
    for gait in GAITS.values():
        for curves in gait.curves:
            assert published(curves.task, curves.source, curves.condition)
        if gait.terrain:
            assert (files("exotwin.assets") / "terrains" / f"{gait.terrain}.yaml").is_file()
        assert {kind for kind, _, _ in gait.impairments} <= set(KINDS)


def test_level_walking_at_the_five_published_speeds_has_every_goal_but_gluteus_medius():
    for gait in choose(["level"]):
        signals = {s for c in gait.curves for s in published(c.task, c.source, c.condition)}
        assert set(GOALS) - signals <= {"emg/abd"}


def test_gaits_are_chosen_by_name_or_first_word():
    assert [g.name for g in choose(["stair"])] == ["stair_ascent", "stair_descent"]
    assert [g.name for g in choose(["squat", "run_2.0"])] == ["run_2.0", "squat"]
    assert choose([]) == list(GAITS.values())
    with pytest.raises(ValueError, match=r"no gait 'level_1\.2'.*level_1\.20"):
        choose(["level_1.2"])


def test_a_missing_gait_is_named_and_not_counted():
    nowhere = replace(SHORT, name="nowhere", policy="hop")
    cliff = replace(SHORT, name="cliff", policy="stand", terrain="cliff")
    found = realism([nowhere, cliff], [Subject()])
    assert [r.reason for r in found.results] == ["no gait 'hop'", "no terrain 'cliff'"]
    assert found.score.goals == 0
    assert "nowhere: not simulated: no gait 'hop'" in markdown(found)
    assert verdict(found) == "0 of 2 gaits simulated; no goal"
    assert [g["simulated"] for g in as_json(found)["gaits"]] == [False, False]


def test_the_section_that_counts_begins_after_the_level_run_up():
    # 3 m of level floor, then eight risers 0.3 m apart.
    assert section(load_terrain("stairs_up")) == pytest.approx((3.0, 3.0 + 7 * 0.3))


def test_a_run_follows_from_seed_and_person():
    one = record(Job(SHORT, Subject("a"), 3, 1.0))
    again = record(Job(SHORT, Subject("a"), 3, 1.0))
    other = record(Job(SHORT, Subject("b"), 3, 1.0))
    assert one == again
    assert one != other


def test_json_is_whole_and_strict(found):
    text = json.dumps(as_json(found), allow_nan=False)
    back = json.loads(text)
    walk = back["gaits"][0]
    assert (walk["name"], walk["simulated"], walk["people"]) == ("level_1.20", True, 2)
    assert walk["score"]["percent"] == back["score"]["percent"] == 100.0
    knee = next(s for s in walk["signals"] if s["signal"] == "angle/knee_flexion")
    assert len(knee["curves"]["ours_mean"]) == len(knee["curves"]["published_sd"]) == 101
    assert [goal["met"] for goal in knee["goals"]] == [True, True]
    perry = next(s for s in walk["signals"] if s["source"] == "Perry")
    assert perry["rmse_sd"] is None
    assert set(perry["curves"]["published_sd"]) == {None}
    assert all(set(check) >= {"name", "value", "low", "high", "met", "gap"} for check in walk["checks"])


def test_the_page_holds_everything_and_loads_nothing(found):
    page = render_page(found)
    for name in ("level_1.20", "level_1.49", "squat", "Bovi et al. 2011", "propulsion peak"):
        assert name in page
    assert page.count("<figure>") == 2
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", page)


def test_markdown_marks_what_is_missed(found):
    walk = found.results[0]
    worse = replace(walk, checks=(replace(walk.checks[0], value=2.0), *walk.checks[1:]))
    text = markdown(replace(found, results=(worse,), across=()))
    assert "| people who fell | **2** |" in text
    assert "**" not in markdown(found)
    for block in text.split("\n\n"):
        assert len({line.count("|") for line in block.splitlines()}) == 1


def call(monkeypatch, capsys, *words: object) -> tuple[int, str, str]:
    """Exit code and output of the command in this process."""
    monkeypatch.setattr(sys, "argv", ["exotwin", "realism", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


def test_the_command_simulates_judges_and_writes(monkeypatch, capsys, tmp_path):
    words = ("--gait", "level_1.20", "--gait", "run_2.0", "--subjects", 1, "--seconds", 4, "--out", tmp_path / "page")
    code, said, _ = call(monkeypatch, capsys, *words, "--json", tmp_path / "all.json")
    assert code == 0
    assert "1 of 2 gaits simulated" in said
    result = json.loads((tmp_path / "all.json").read_text())["gaits"][0]
    assert result["cycles"] >= 2
    assert 0.0 < result["score"]["median_rmse_sd"] < 5.0
    assert {p.name for p in (tmp_path / "page").iterdir()} == {"realism.html", "realism.md"}


def test_a_score_can_be_required(monkeypatch, capsys):
    assert call(monkeypatch, capsys, "--gait", "run_2.0", "--subjects", 1, "--require", 1)[0] == 1
    assert call(monkeypatch, capsys, "--gait", "run_2.0", "--subjects", 1)[0] == 0
    code, _, error = call(monkeypatch, capsys, "--gait", "skip")
    assert code == 2
    assert "no gait 'skip'" in error


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing():
    subjects = [Subject("a"), Subject("b", mass_kg=60.0, height_m=1.65)]
    one, two = (as_json(realism([SHORT], subjects, workers=n, seconds=4.0)) for n in (1, 2))
    assert one == two
