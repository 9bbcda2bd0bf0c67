"""Who the people are: one body's size, sex, age, strength and proportions, and a sampler of realistic people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args

import numpy as np

from ..controllers.interface import closest
from .segments import Sex

GRAVITY = 9.81  # m/s^2
SOURCE_STATURE = 1.67  # m; the source model's hips stand at the share below of it
# Hip joint above the sole over stature: trochanterion height of men, ANSUR II (Gordon 2014, NATICK/TR-15/007; 4082 men,
# 1986 women); de Leva's men have 0.514. The sexes differ by less than the landmarks do (women: trochanterion 0.519,
# crotch 0.480 against men's 0.482, sitting height 0.526 against 0.523), so women get the same.
LEG_SHARE = 0.513
# From the same survey by sex: the thigh's share of thigh and shank (trochanterion, lateral epicondyle, lateral
# malleolus), foot length over stature, and bicristal breadth over stature, which the distance between the hips follows.
THIGH_SHARE: dict[Sex, float] = {"male": 0.494, "female": 0.485}
FOOT_SHARE: dict[Sex, float] = {"male": 0.1544, "female": 0.1513}
PELVIS_SHARE: dict[Sex, float] = {"male": 0.1569, "female": 0.1679}

# Ageing (Thelen 2003, J Biomech Eng 125:70): adults of 70 against young ones have 0.7 of the isometric force, 0.8 of
# the greatest shortening velocity, deactivate 1.2 times more slowly and resist lengthening with 1.8 instead of 1.4
# of it. Strength stays until the fifth decade (Hurley 1995, J Gerontol 50A:41), from where the change is linear.
AGEING_FROM, AGEING_TO = 40.0, 70.0

LIMITS = {
    "mass_kg": (30.0, 200.0),
    "height_m": (1.2, 2.2),
    "strength": (0.05, 5.0),
    "age_years": (16.0, 100.0),
    "leg_ratio": (0.85, 1.15),
    "thigh_ratio": (0.85, 1.15),
    "foot_ratio": (0.8, 1.2),
    "pelvis_ratio": (0.7, 1.3),
}


@dataclass(frozen=True)
class Subject:
    """A body. Lengths not given follow from stature and sex.

    strength: muscle force over that of an ordinary person of this size, sex and age.
    leg_ratio, foot_ratio, pelvis_ratio: hip height, foot length and distance between the hips over the mean at this
    stature and sex; thigh_ratio: the thigh's share of thigh and shank over its mean.
    Raises ValueError for a value out of range.
    """

    id: str = "default"
    mass_kg: float = 75.0
    height_m: float = 1.75
    strength: float = 1.0
    sex: Sex = "male"
    age_years: float = 30.0
    leg_ratio: float = 1.0
    thigh_ratio: float = 1.0
    foot_ratio: float = 1.0
    pelvis_ratio: float = 1.0

    def __post_init__(self) -> None:
        sexes = get_args(Sex)
        if self.sex not in sexes:
            raise ValueError(f"subject {self.id!r}: no sex {self.sex!r}{closest(str(self.sex), sexes)}")
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"subject {self.id!r}: {name} = {value} lies outside {low:g}..{high:g}")

    @property
    def leg_length_m(self) -> float:
        """Height of the hip joint above the sole of the shoe, m."""
        return LEG_SHARE * self.leg_ratio * self.height_m

    @property
    def scale(self) -> float:
        """Leg length over the source model's."""
        return self.leg_length_m / (LEG_SHARE * SOURCE_STATURE)

    @property
    def thigh_share(self) -> float:
        """The thigh's share of thigh and shank."""
        return THIGH_SHARE[self.sex] * self.thigh_ratio

    @property
    def foot_length_m(self) -> float:
        """Heel to toe tip without shoe, m."""
        return FOOT_SHARE[self.sex] * self.foot_ratio * self.height_m

    @property
    def foot_scale(self) -> float:
        """Foot length over the source model's, which is that of a man of its stature."""
        return self.foot_length_m / (FOOT_SHARE["male"] * SOURCE_STATURE)

    @property
    def pelvis_scale(self) -> float:
        """Distance between the hip joints over the source model's, which is that of a man of its stature."""
        return PELVIS_SHARE[self.sex] * self.pelvis_ratio * self.height_m / (PELVIS_SHARE["male"] * SOURCE_STATURE)

    @property
    def bmi(self) -> float:
        """Body-mass index, kg/m^2."""
        return self.mass_kg / self.height_m**2

    @property
    def lean_mass_kg(self) -> float:
        """Body mass without fat, from mass, height and sex (Janmahasatian 2005, Clin Pharmacokinet 44:1051)."""
        constant, slope = {"male": (6680.0, 216.0), "female": (8780.0, 244.0)}[self.sex]
        return 9270.0 * self.mass_kg / (constant + slope * self.bmi)

    @property
    def ageing(self) -> float:
        """0 up to 40 years, 1 at 70, and on with the same slope to 90."""
        return float(np.clip((self.age_years - AGEING_FROM) / (AGEING_TO - AGEING_FROM), 0.0, 5.0 / 3.0))

    @property
    def muscle_force(self) -> float:
        """Maximum isometric muscle force over that of a man of 75 kg, 1.75 m and 30 years.

        Muscle volume grows with mass x height (Handsfield 2014, J Biomech 47:631) and fibres with height, so force
        with mass: lean mass, because fat does not pull.
        """
        return self.strength * (1.0 - 0.3 * self.ageing) * self.lean_mass_kg / _REFERENCE_LEAN_MASS

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a recording's metadata: the fields and leg_length_m."""
        return asdict(self) | {"leg_length_m": self.leg_length_m}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Subject:
        """The body whose `as_dict` this is."""
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})


_REFERENCE_LEAN_MASS = Subject().lean_mass_kg

# ANSUR II again. By sex: mean and standard deviation of stature (m) and of the logarithm of the body-mass index.
STATURE: dict[Sex, tuple[float, float]] = {"male": (1.756, 0.0686), "female": (1.629, 0.0642)}
LOG_BMI: dict[Sex, tuple[float, float]] = {"male": (3.310, 0.146), "female": (3.229, 0.135)}
# Standard deviations of leg, thigh, foot and pelvis ratio within a sex. Bicristal breadth is measured over fat: the
# part that goes with the body-mass index (r = 0.58) is taken out.
RATIO_SD = (0.029, 0.032, 0.034, 0.053)
# Correlations within a sex, mean of both, of stature, log BMI and the four ratios.
CORRELATION = np.array(
    [
        [1.00, 0.03, 0.23, -0.05, -0.11, -0.16],
        [0.03, 1.00, -0.03, -0.05, 0.25, 0.00],
        [0.23, -0.03, 1.00, 0.24, 0.19, -0.23],
        [-0.05, -0.05, 0.24, 1.00, -0.11, -0.01],
        [-0.11, 0.25, 0.19, -0.11, 1.00, -0.11],
        [-0.16, 0.00, -0.23, -0.01, -0.11, 1.00],
    ]
)
FURTHEST = 2.5  # standard deviations; who is further from the mean in anything is drawn again
LEAST_BMI = 17.0
MOST_DRAWS = 10_000
# Spread (of the logarithm) of strength among people of equal size, sex and age; chosen: knee torque over weight x
# height spreads by 25 % among young men (Anderson 2007, J Biomech 40:3105), effort and measurement included.
STRENGTH_SD = 0.15

Range = tuple[float, float]


def sample_subjects(
    count: int,
    seed: int | np.random.Generator,
    mass_kg: Range = (50.0, 110.0),
    height_m: Range = (1.50, 1.95),
    age_years: Range = (18.0, 75.0),
    strength: Range = (0.7, 1.4),
) -> list[Subject]:
    """People as they are met: as many women as men, jointly drawn size and proportions, cut off at the ranges.

    Stature is normal by sex, body-mass index log-normal, both and the proportions correlated as in ANSUR II (soldiers
    of 17-58 years; people at large are heavier); age is uniform and goes with nothing. From an int seed, person i does
    not depend on count. Raises ValueError when the ranges leave nearly nobody.
    """
    people = []
    for i in range(count):
        rng = np.random.default_rng((seed, i)) if isinstance(seed, int) else seed
        for _ in range(MOST_DRAWS):
            someone = _draw(f"s{i:03d}", rng, age_years)
            if someone and all(
                low <= value <= high
                for value, (low, high) in (
                    (someone.mass_kg, mass_kg),
                    (someone.height_m, height_m),
                    (someone.strength, strength),
                )
            ):
                people.append(someone)
                break
        else:
            raise ValueError(f"hardly anybody of {mass_kg} kg, {height_m} m and strength {strength} is to be found")
    return people


def _draw(id: str, rng: np.random.Generator, age_years: Range) -> Subject | None:
    """Anybody, or None in place of someone extraordinary."""
    sex: Sex = "male" if rng.random() < 0.5 else "female"
    z = np.linalg.cholesky(CORRELATION) @ rng.standard_normal(len(CORRELATION))
    height = STATURE[sex][0] + STATURE[sex][1] * z[0]
    bmi = np.exp(LOG_BMI[sex][0] + LOG_BMI[sex][1] * z[1])
    strength = np.exp(STRENGTH_SD * rng.standard_normal())
    age = rng.uniform(*age_years)
    if np.abs(z).max() > FURTHEST or bmi < LEAST_BMI:
        return None
    leg, thigh, foot, pelvis = (round(1.0 + sd * float(x), 3) for sd, x in zip(RATIO_SD, z[2:], strict=True))
    mass, height, strength = round(float(bmi * height**2), 1), round(float(height), 3), round(float(strength), 3)
    return Subject(id, mass, height, strength, sex, round(age, 1), leg, thigh, foot, pelvis)
