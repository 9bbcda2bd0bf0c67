"""The gaits that a data set can hold: who moves how, at which speeds, over which ways and with which impairments.

All ranges are drawn from uniformly. Speeds and ways are drawn for each recording, impairments once for each person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np
from pydantic import Field, ValidationError, field_validator, model_validator

from ...controllers.config import Config, explain, require_known
from ...controllers.device import SIDES
from ..gait_task import GaitTask, load_gait_task
from ..impairments import BOTH, KINDS, Impairment
from ..posture_plan import POSTURES
from ..terrain import LEVEL, Level, Ramp, Stairs, Terrain, load_terrain

Range = tuple[float, float]

# What each way is made of, in turn and again until the recording's time is filled.
WAYS = {
    "level": (),
    "ramp_up": ("ramp_up",),
    "ramp_down": ("ramp_down",),
    "stairs_up": ("stairs_up",),
    "stairs_down": ("stairs_down",),
    "circuit": ("ramp_up", "stairs_down", "stairs_up", "ramp_down"),
}
LANDING_M = (1.5, 3.0)  # between two ramps or flights: three steps or so; chosen, as the lengths below
RAMP_M = (4.0, 12.0)
FLIGHT = (5, 12)  # risers
HEALTHY_MPS = (0.6, 1.7)  # m/s; elderly people's slow walk to young people's fast one; within what the policy learned
CAREFUL_MPS = (0.6, 1.2)  # on slopes and stairs and with an impairment
MILD_TO_MODERATE = (0.1, 0.6)  # severities that the policy was trained on


class ImpairmentRange(Config):
    """An impairment whose severity (0..1) is drawn; the side as well, unless it is given (``r``, ``l``, ``both``)."""

    kind: str
    severity: Range = MILD_TO_MODERATE
    side: str = ""

    @model_validator(mode="after")
    def _possible(self) -> ImpairmentRange:
        low, high = self.severity
        if not 0.0 <= low <= high <= 1.0:
            raise ValueError(f"severity {low:g} to {high:g} is not a range within 0 to 1")
        # Unknown kinds and sides are named here rather than in a worker.
        Impairment(kind=self.kind, severity=high, side=self.side)
        return self

    def draw(self, rng: np.random.Generator) -> Impairment:
        """One person's."""
        kind = KINDS[self.kind]
        sides = [BOTH] if kind.two_sided else list(SIDES) if kind.one_sided else [*SIDES, BOTH]
        severity, side = round(float(rng.uniform(*self.severity)), 3), str(rng.choice(sides))
        return Impairment(kind=self.kind, severity=severity, side=self.side or side)


class Gait(Config):
    """One gait of a data set; `name` is its ``task=`` folder.

    policy: the plant's gait. way: one of `WAYS`, ways drawn anew for each recording from slope_deg, rise_m and tread_m;
    terrain, a shipped one's name, a YAML file or its sections, is the same for all instead. postures: asked for in turn
    by who does not walk. minutes: for each person, where they differ from the data set's.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    policy: str = "walk"
    speed_mps: Range = HEALTHY_MPS
    way: str = "level"
    slope_deg: Range = (3.0, 10.0)
    rise_m: Range = (0.14, 0.19)
    tread_m: Range = (0.27, 0.33)
    terrain: Terrain | None = None
    postures: tuple[str, ...] = ("stand",)
    posture_s: Range = (3.0, 5.0)
    impairments: tuple[ImpairmentRange, ...] = ()
    minutes: float | None = Field(default=None, gt=0)

    @field_validator("policy")
    @classmethod
    def _known_policy(cls, value: str) -> str:
        _task(value)
        return value

    @field_validator("way")
    @classmethod
    def _known_way(cls, value: str) -> str:
        require_known("way", [value], WAYS)
        return value

    @field_validator("postures")
    @classmethod
    def _known_postures(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        require_known("posture", value, POSTURES)
        if not value:
            raise ValueError("no posture to begin in")
        return value

    @field_validator("terrain", mode="before")
    @classmethod
    def _as_terrain(cls, value: Any) -> Any:
        if isinstance(value, str):
            return load_terrain(value)
        return {"sections": value} if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _ordered(self) -> Gait:
        for key in ("speed_mps", "slope_deg", "rise_m", "tread_m", "posture_s"):
            low, high = getattr(self, key)
            if not 0.0 <= low <= high:
                raise ValueError(f"{key}: {low:g} to {high:g} is not a range from 0 up")
        return self

    @property
    def walks(self) -> bool:
        """Whether the person goes anywhere."""
        return _task(self.policy).reference != "stand"

    def draw_way(self, rng: np.random.Generator, seconds: float) -> Terrain:
        """A way long enough for `seconds` of the fastest walk."""
        if self.terrain is not None:
            return self.terrain
        if not WAYS[self.way]:
            return LEVEL
        sections: list[Any] = [Level(length_m=_rounded(rng, LANDING_M))]
        length = sections[0].length_m
        while len(sections) == 1 or length < seconds * self.speed_mps[1]:
            for what in WAYS[self.way]:
                sections += [self._draw_section(rng, what), Level(length_m=_rounded(rng, LANDING_M))]
            length = Terrain(sections).length_m
        return Terrain(sections)

    def _draw_section(self, rng: np.random.Generator, what: str) -> Ramp | Stairs:
        kind, _, direction = what.partition("_")
        sign = 1.0 if direction == "up" else -1.0
        if kind == "ramp":
            return Ramp(slope_deg=sign * _rounded(rng, self.slope_deg), length_m=_rounded(rng, RAMP_M))
        rise, tread = sign * _rounded(rng, self.rise_m), _rounded(rng, self.tread_m)
        return Stairs(rise_m=rise, tread_m=tread, count=int(rng.integers(*FLIGHT, endpoint=True)))


@cache
def _task(policy: str) -> GaitTask:
    return load_gait_task(policy)


def _rounded(rng: np.random.Generator, limits: Range) -> float:
    return round(float(rng.uniform(*limits)), 3)


def _impaired(kind: str) -> Gait:
    return Gait(name=kind, speed_mps=CAREFUL_MPS, impairments=(ImpairmentRange(kind=kind),))


GAITS: dict[str, Gait] = {
    gait.name: gait
    for gait in (
        Gait(name="stand", policy="stand"),
        Gait(name="walk"),
        *(Gait(name=way, way=way, speed_mps=CAREFUL_MPS) for way in WAYS if way != "level"),
        Gait(name="sit_to_stand", policy="stand", postures=("sit", "stand")),
        Gait(name="squat", policy="stand", postures=("stand", "squat")),
        *(_impaired(kind) for kind in KINDS),
    )
}
ALL = "all"


def choose_gaits(wanted: Iterable[Any]) -> list[Gait]:
    """Gaits by name, or as mappings that change one: ``{gait: ramp_up, slope_deg: [4, 8]}``; ``all`` is all of `GAITS`.

    A mapping without `name` is called after its gait and the impairments it adds. Raises ValueError that names the
    nearest gait or key, or a name that two gaits have.
    """
    chosen: list[Gait] = []
    for one in wanted:
        if isinstance(one, Gait):
            chosen.append(one)
        elif one == ALL:
            chosen += GAITS.values()
        elif isinstance(one, Mapping):
            try:
                chosen.append(_changed(one) if "gait" in one else Gait.model_validate(one))
            except ValidationError as error:
                raise ValueError(f"gait {one.get('name') or one.get('gait') or ''!r}: {explain(error)}") from None
        else:
            require_known("gait", [one], [*GAITS, ALL])
            chosen.append(GAITS[one])
    names = [gait.name for gait in chosen]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two gaits are called {name!r}: give one of them another name")
    return chosen


def _changed(one: Mapping[str, Any]) -> Gait:
    require_known("gait", [one["gait"]], GAITS)
    changes = {key: value for key, value in one.items() if key != "gait"}
    ills = changes.get("impairments", ())
    kinds = [ill.get("kind") for ill in ills if isinstance(ill, Mapping)] if isinstance(ills, list | tuple) else []
    name = "_".join([one["gait"], *map(str, kinds)])
    return Gait.model_validate(GAITS[one["gait"]].model_dump() | {"name": name} | changes)
