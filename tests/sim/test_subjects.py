"""Who the people are: published effects of sex, age and fatness on strength, sampled sizes against their sources."""

import numpy as np
import pytest
from exotwin.sim.subjects import LIMITS, Subject, sample_subjects
from hypothesis import given, settings
from hypothesis import strategies as st

people = sample_subjects(2000, 7)
bodies = st.builds(
    Subject,
    mass_kg=st.floats(30, 200),
    height_m=st.floats(1.2, 2.2),
    strength=st.floats(0.05, 5),
    sex=st.sampled_from(["male", "female"]),
    age_years=st.floats(16, 100),
    leg_ratio=st.floats(0.85, 1.15),
)


# One body


def test_the_ordinary_man():
    man = Subject()
    assert (man.mass_kg, man.height_m, man.strength, man.sex) == (75.0, 1.75, 1.0, "male")
    assert man.muscle_force == pytest.approx(1.0)
    # Trochanterion height of ANSUR II's men: 0.9006 m at 1.756 m; foot 0.2712 m.
    assert Subject(height_m=1.756).leg_length_m == pytest.approx(0.9006, abs=0.001)
    assert Subject(height_m=1.756).foot_length_m == pytest.approx(0.2712, abs=0.001)
    assert Subject(height_m=1.629, sex="female").foot_length_m == pytest.approx(0.2463, abs=0.001)


def test_lean_mass_by_hand():
    # Janmahasatian 2005: 9270 m / (6680 + 216 BMI); a man of 110 kg and 1.78 m has about 74 kg.
    assert Subject(mass_kg=110.0, height_m=1.78).lean_mass_kg == pytest.approx(72.0, abs=2.5)
    assert Subject(mass_kg=60.0, height_m=1.65, sex="female").lean_mass_kg == pytest.approx(39.3, abs=0.1)


def test_strength_of_women_the_old_and_the_obese():
    man = Subject(height_m=1.756, mass_kg=80.0)
    woman = Subject(height_m=1.629, mass_kg=66.0, sex="female")
    # Women's plantarflexion torque is about 35 % below men's (Fugl-Meyer 1980, Eur J Appl Physiol); torque has an arm.
    ratio = woman.muscle_force * woman.height_m / (man.muscle_force * man.height_m)
    assert 0.55 <= ratio <= 0.75
    # Knee extension 9.3 % a decade in women of 20-89 years (Hunter 2000, J Gerontol 55A:B264), of the mean.
    loss = 1.0 - Subject(age_years=80).muscle_force / Subject(age_years=20).muscle_force
    assert 0.3 <= loss <= 0.56
    assert Subject(age_years=40).muscle_force == Subject(age_years=20).muscle_force
    # More mass, somewhat more strength, less of it for each kilogram.
    obese = Subject(mass_kg=107.0)
    assert 1.0 < obese.muscle_force < 107.0 / 75.0


@settings(deadline=None)
@given(bodies, st.floats(1.01, 1.3))
def test_force_grows_with_strength_mass_and_youth(subject, factor):
    values = {name: getattr(subject, name) for name in ("sex", "height_m")}
    lighter = Subject(mass_kg=subject.mass_kg / factor, **values) if subject.mass_kg / factor >= 30 else None
    if lighter:
        assert lighter.muscle_force < Subject(mass_kg=subject.mass_kg, **values).muscle_force
    assert 0.0 < Subject(age_years=100.0, **values).muscle_force <= Subject(age_years=30.0, **values).muscle_force


@settings(deadline=None)
@given(bodies)
def test_a_body_is_its_metadata(subject):
    values = subject.as_dict()
    assert {"mass_kg", "height_m", "leg_length_m", "sex", "age_years"} <= set(values)
    assert values["leg_length_m"] == subject.leg_length_m
    assert Subject.from_dict(values) == subject
    assert hash(Subject.from_dict(values)) == hash(subject)


@settings(deadline=None)
@given(bodies, st.floats(0.9, 1.1))
def test_scale_is_a_ratio_of_leg_lengths(subject, ratio):
    other = Subject(height_m=1.7, leg_ratio=ratio)
    assert subject.scale / other.scale == pytest.approx(subject.leg_length_m / other.leg_length_m)


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("end", [0, 1])
def test_impossible_bodies_are_refused(name, end):
    bad = LIMITS[name][end] * (1.01 if end else 0.99)
    with pytest.raises(ValueError, match=rf"'p1'.*{name} = "):
        Subject(**{"id": "p1", name: bad})


def test_unknown_sex_is_named_with_the_nearest():
    with pytest.raises(ValueError, match="no sex 'femal'; did you mean 'female'"):
        Subject(sex="femal")


# Many


def test_samples_are_reproducible_and_do_not_depend_on_how_many():
    assert sample_subjects(30, 3) == sample_subjects(30, 3)
    assert sample_subjects(30, 3)[:10] == sample_subjects(10, 3)
    assert sample_subjects(10, 3) != sample_subjects(10, 4)
    assert sample_subjects(5, np.random.default_rng(1)) == sample_subjects(5, np.random.default_rng(1))
    assert len(set(sample_subjects(5, np.random.default_rng(1)))) == 5


def test_nobody_outside_the_ranges():
    some = sample_subjects(300, 1, mass_kg=(60, 80), height_m=(1.6, 1.7), age_years=(60, 70), strength=(0.9, 1.1))
    for person in some:
        assert 60 <= person.mass_kg <= 80
        assert 1.6 <= person.height_m <= 1.7
        assert 60 <= person.age_years <= 70
        assert 0.9 <= person.strength <= 1.1
    tall = sample_subjects(100, 1, height_m=(1.80, 1.95))
    assert np.mean([p.sex == "male" for p in tall]) > 0.9


def test_people_who_do_not_exist_are_not_looked_for_forever():
    with pytest.raises(ValueError, match="hardly anybody"):
        sample_subjects(1, 1, mass_kg=(50, 51), height_m=(2.1, 2.2))


@pytest.mark.parametrize(
    ("sex", "stature", "bmi", "leg"),
    [
        ("male", (1.756, 0.0686), (27.7, 4.04), (0.9006, 0.046)),
        ("female", (1.629, 0.0642), (25.5, 3.49), (0.845, 0.042)),
    ],
)
def test_sampled_sizes_are_those_of_ansur(sex, stature, bmi, leg):
    """Means and standard deviations of the 4082 men and 1986 women; ranges cut a little off."""
    group = [p for p in people if p.sex == sex]
    assert len(group) / len(people) == pytest.approx(0.5, abs=0.05)
    heights = np.array([p.height_m for p in group])
    assert heights.mean() == pytest.approx(stature[0], abs=0.01)
    assert heights.std() == pytest.approx(stature[1], rel=0.15)
    mass_index = np.array([p.bmi for p in group])
    assert mass_index.mean() == pytest.approx(bmi[0], abs=1.2)
    assert mass_index.std() == pytest.approx(bmi[1], rel=0.25)
    legs = np.array([p.leg_length_m for p in group])
    assert legs.mean() == pytest.approx(leg[0], abs=0.012)
    assert legs.std() == pytest.approx(leg[1], rel=0.2)
    # ANSUR II: stature and leg share of stature correlate with 0.21-0.25.
    assert np.corrcoef(heights, [p.leg_ratio for p in group])[0, 1] == pytest.approx(0.23, abs=0.1)


def test_age_and_strength_are_spread():
    ages = np.array([p.age_years for p in people])
    assert ages.mean() == pytest.approx(46.5, abs=1.5)
    assert np.log([p.strength for p in people]).std() == pytest.approx(0.15, abs=0.02)
