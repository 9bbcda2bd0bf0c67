"""`exotwin subjects`: the table and the file tell the same people, the same every time."""

import json

import pytest
from exotwin.scenarios import cli
from exotwin.scenarios.people import describe
from exotwin.sim.subjects import Subject, sample_subjects
from typer.testing import CliRunner


def subjects(*words):
    done = CliRunner().invoke(cli.app, ["subjects", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done


def test_the_same_seed_gives_the_same_people(tmp_path):
    files = [tmp_path / f"{i}.json" for i in range(3)]
    for seed, file in zip((5, 5, 6), files, strict=True):
        subjects("--n", 4, "--seed", seed, "--json", file)
    first, again, other = (file.read_text() for file in files)
    assert first == again != other
    people = json.loads(first)
    assert [Subject.from_dict(who) for who in people] == sample_subjects(4, 5)
    assert all(who["bmi"] == pytest.approx(who["mass_kg"] / who["height_m"] ** 2) for who in people)


def test_strengths_are_those_of_dynamometers():
    # Sarabon 2021 (Front Physiol 12:767941), men: 2.92-3.45 Nm/kg at 60 deg; a woman of 70 has about half.
    man, woman = describe(Subject()), describe(Subject(mass_kg=65, height_m=1.6, sex="female", age_years=70))
    assert 2.8 <= man["knee_extension_nm"] / 75 <= 3.8
    assert 1.2 <= woman["knee_extension_nm"] / 65 <= 2.2
    assert man["plantarflexion_nm"] > woman["plantarflexion_nm"] > 60
