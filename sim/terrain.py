"""The ground along the way: level runs, ramps and stairs strung along world x, for the physics and for the person.

The way starts at x = 0 on a level floor at z = 0 that reaches back without limit; after the last section the floor goes
on level. People walk along y = 0; what is built is `WIDTH` wide.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, field_validator, model_validator

from ..controllers.config import Config, parse_yaml, require_known
from .compiled import compiled
from .person import CONTACT
from .shipped import find_shipped

FloatArray = NDArray[np.float64]

# Columns of `Terrain.rows`: x where a section begins and ends, height at its beginning, dz/dx of a ramp, rise
# (negative: down), tread and number of risers of stairs. Riser i stands at X0 + i TREAD, and after it the ground lies
# at Z0 + (i + 1) RISE; the last riser, at X1, ends the stairs.
X0, X1, Z0, SLOPE, RISE, TREAD, COUNT = range(7)
COLUMNS = 7

WIDTH = 6.0  # m
UNLIMITED = 1000.0  # m of floor before and after
BASE = 0.5  # m, how far the boxes reach below the lowest surface
LANDING = 1.0  # m between stairs: people step off the one before they measure out the next
OVERLAP = 1.0  # m, the most that two surfaces run on below each other where the way bends up


class Level(Config):
    """A level run."""

    kind: Literal["level"] = "level"
    length_m: float = Field(ge=0.2)

    def row(self, x: float, z: float) -> tuple[float, ...]:
        """The section's row when it begins at (x, z)."""
        return (x, x + self.length_m, z, 0.0, 0.0, 0.0, 0.0)


class Ramp(Config):
    """An even slope, positive uphill; length_m is measured along the horizontal."""

    kind: Literal["ramp"] = "ramp"
    slope_deg: float = Field(ge=-15.0, le=15.0)
    length_m: float = Field(ge=0.2)

    def row(self, x: float, z: float) -> tuple[float, ...]:
        """The section's row when it begins at (x, z)."""
        return (x, x + self.length_m, z, math.tan(math.radians(self.slope_deg)), 0.0, 0.0, 0.0)


class Stairs(Config):
    """`count` equal risers, downstairs where rise_m is negative. The last one ends at the next section's level."""

    kind: Literal["stairs"] = "stairs"
    rise_m: float = 0.165
    tread_m: float = Field(0.30, ge=0.2, le=0.5)
    count: int = Field(8, ge=1)

    @field_validator("rise_m")
    @classmethod
    def _climbable(cls, value: float) -> float:
        if not 0.05 <= abs(value) <= 0.25:
            raise ValueError(f"a rise of {value:g} m is not 0.05 to 0.25 m up or down")
        return value

    def row(self, x: float, z: float) -> tuple[float, ...]:
        """The section's row when it begins at (x, z)."""
        return (x, x + (self.count - 1) * self.tread_m, z, 0.0, self.rise_m, self.tread_m, float(self.count))


KINDS = ("level", "ramp", "stairs")


def _known_kind(section: Any) -> Any:
    if isinstance(section, dict):
        require_known("kind of section", [section.get("kind", "")], KINDS)
    return section


Section = Annotated[Level | Ramp | Stairs, Field(discriminator="kind")]


class Terrain(Config):
    """Sections in the order in which a person meets them."""

    sections: tuple[Annotated[Section, BeforeValidator(_known_kind)], ...] = ()

    def __init__(self, sections: Iterable[Any] = (), **data: Any) -> None:
        # A single wrong string would be taken for a list of letters.
        listed = sections if isinstance(sections, str) else tuple(sections)
        super().__init__(**{"sections": listed, **data})

    @model_validator(mode="after")
    def _landings(self) -> Terrain:
        for i, (one, other) in enumerate(pairwise(self.sections)):
            kinds = {one.kind, other.kind}
            if "stairs" in kinds and "level" not in kinds:
                raise ValueError(f"sections {i} and {i + 1}: {one.kind} and {other.kind} need a level section between")
        rows = self.rows()
        for a, b in pairwise(np.flatnonzero(rows[:, COUNT]).tolist()):
            gap = float(rows[b, X0] - rows[a, X1])
            if gap < LANDING - 1e-9:
                raise ValueError(f"sections {a} and {b}: stairs {gap:g} m apart; they need at least {LANDING:g} m")
        return self

    def rows(self) -> FloatArray:
        """(n, 7) columns X0, X1, Z0, SLOPE, RISE, TREAD, COUNT; m and m/m."""
        out = np.zeros((len(self.sections), COLUMNS))
        x = z = 0.0
        for row, section in zip(out, self.sections, strict=True):
            row[:] = section.row(x, z)
            x, z = row[X1], _end_height(row)
        return out

    @property
    def length_m(self) -> float:
        """x where the last section ends."""
        return float(self.rows()[-1, X1]) if self.sections else 0.0


LEVEL = Terrain()


def load_terrain(name_or_path: str | Path) -> Terrain:
    """A shipped terrain by name, or one from a YAML file.

    ValueError names the nearest shipped terrain, or the bad key or value; FileNotFoundError for a missing file.
    """
    path = find_shipped("terrain", "terrains", ".yaml", name_or_path)
    return parse_yaml(Terrain, path.read_text(encoding="utf-8"), name_or_path)


# --- what the ground is like at x, for compiled code ---------------------------------------------------------------


@compiled
def _end_height(row: Any) -> float:
    return float(row[Z0] + row[SLOPE] * (row[X1] - row[X0]) + row[COUNT] * row[RISE])


@compiled
def _last_begun(rows: Any, x: float) -> int:
    """Index of the last section that begins at or before x, -1 for none."""
    i = len(rows) - 1
    while i >= 0 and rows[i, X0] > x:
        i -= 1
    return i


@compiled
def section_at(rows: Any, x: float) -> int:
    """Index of the section at x, -1 on the floor before the first and after the last."""
    i = _last_begun(rows, x)
    return i if i >= 0 and x < rows[i, X1] else -1


@compiled
def ground_height(rows: Any, x: float) -> float:
    """Height of the ground at x, m; at a riser that of the tread after it."""
    i = _last_begun(rows, x)
    if i < 0:
        return 0.0
    row = rows[i]
    if x >= row[X1]:
        return float(_end_height(row))
    if row[COUNT] > 0.0:
        return float(row[Z0] + (np.floor((x - row[X0]) / row[TREAD]) + 1.0) * row[RISE])
    return float(row[Z0] + row[SLOPE] * (x - row[X0]))


@compiled
def ground_slope(rows: Any, x: float) -> float:
    """Slope (dz/dx) of the surface at x: 0 on level ground and on a tread."""
    i = section_at(rows, x)
    return float(rows[i, SLOPE]) if i >= 0 else 0.0


def pad_rows(rows: FloatArray, count: int) -> FloatArray:
    """Rows (n, 7) as (count, 7) with sections that nobody ever reaches, so that terrains can be stacked."""
    out = np.full((count, COLUMNS), np.inf)
    out[: len(rows)] = rows
    return out


# --- geometry -------------------------------------------------------------------------------------------------------


class Surface(NamedTuple):
    """A stretch of ground from x0 to x1 that begins at height z0."""

    x0: float
    x1: float
    z0: float
    slope: float

    @property
    def z1(self) -> float:
        """Height of its end."""
        return self.z0 + self.slope * (self.x1 - self.x0)


def surfaces(terrain: Terrain) -> list[Surface]:
    """Floor, level runs, ramps and treads in order; level ones that meet at one height are one."""
    rows = terrain.rows()
    found = [Surface(-UNLIMITED, 0.0, 0.0, 0.0)]
    for row in rows:
        if row[COUNT]:
            risers = row[X0] + np.arange(row[COUNT]) * row[TREAD]
            heights = row[Z0] + np.arange(1.0, row[COUNT]) * row[RISE]
            found += [Surface(*ends, z, 0.0) for ends, z in zip(pairwise(risers), heights, strict=True)]
        else:
            found.append(Surface(row[X0], row[X1], row[Z0], row[SLOPE]))
    if len(rows):
        found.append(Surface(rows[-1, X1], rows[-1, X1] + UNLIMITED, _end_height(rows[-1]), 0.0))
    joined = found[:1]
    for one in found[1:]:
        last = joined[-1]
        if last.slope == one.slope and abs(last.z1 - one.z0) < 1e-9:
            joined[-1] = last._replace(x1=one.x1)
        else:
            joined.append(one)
    return joined


def add_terrain(spec: mujoco.MjSpec, terrain: Terrain, width: float = WIDTH) -> None:
    """The ground that the feet touch: a plane where all is level, else a box for each surface (named ``ground<i>``).

    Level stretches are one box, because a sole that crosses a seam between two boxes feels its edge. Where the way
    bends up, both surfaces run on below each other for the same reason.
    """
    common = {
        "contype": 0,
        "conaffinity": 1,
        "friction": [0.9, 0.005, 0.0001],
        "solref": CONTACT,
        "condim": 3,
        "rgba": [0.82, 0.84, 0.86, 1],
    }
    parts = surfaces(terrain)
    if len(parts) == 1:
        spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1], **common)
        return
    base = min(min(part.z0, part.z1) for part in parts) - BASE
    for i, part in enumerate(parts):
        before, after = parts[i - 1] if i else None, parts[i + 1] if i + 1 < len(parts) else None
        x0 = part.x0 - (_overlap(before) if before and _bends_up(before, part) else 0.0)
        x1 = part.x1 + (_overlap(after) if after and _bends_up(part, after) else 0.0)
        tilt = math.atan(part.slope)
        # The side of a ramp is seen: its box fills the triangle below.
        deep = part.z0 - base if not part.slope else abs(part.z1 - part.z0) * math.cos(tilt) + BASE
        middle = 0.5 * (x0 + x1)
        top = part.z0 + part.slope * (middle - part.x0)
        spec.worldbody.add_geom(
            name=f"ground{i}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[0.5 * (x1 - x0) / math.cos(tilt), 0.5 * width, 0.5 * deep],
            pos=[middle + 0.5 * deep * math.sin(tilt), 0.0, top - 0.5 * deep * math.cos(tilt)],
            quat=[math.cos(0.5 * tilt), 0.0, -math.sin(0.5 * tilt), 0.0],
            **common,
        )


def _bends_up(one: Surface, other: Surface) -> bool:
    """Whether two surfaces meet in a crease, without a riser, and the second is the steeper."""
    return other.slope > one.slope and abs(one.z1 - other.z0) < 1e-9


def _overlap(neighbour: Surface) -> float:
    return min(OVERLAP, neighbour.x1 - neighbour.x0)
