"""The column map: which column of somebody's file is which of ours, in what unit and with what sign (YAML)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from ...controllers.config import Config, parse_yaml, require_known
from ...controllers.protocols import MODES
from ..recording import STRING_COLUMNS, unit_of
from ..subjects import GRAVITY

_DEGREE = np.pi / 180.0

# Our unit -> what may be given instead and how much of ours one of it is; "kg" and "BW" stand for the body's.
UNITS: Mapping[str, Mapping[str, float]] = {
    "s": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0},
    "rad": {"rad": 1.0, "deg": _DEGREE},
    "rad/s": {"rad/s": 1.0, "deg/s": _DEGREE},
    "Nm": {"Nm": 1.0, "Nmm": 1e-3, "kNm": 1e3, "Nm/kg": 1.0, "Nmm/kg": 1e-3},
    "Nm/kg": {"Nm/kg": 1.0, "Nmm/kg": 1e-3},
    "N": {"N": 1.0, "kN": 1e3, "N/kg": 1.0, "BW": GRAVITY, "%BW": 0.01 * GRAVITY},
    "m": {"m": 1.0, "cm": 1e-2, "mm": 1e-3},
    "m/s": {"m/s": 1.0, "mm/s": 1e-3},
    "m/s^2": {"m/s^2": 1.0, "g": GRAVITY, "mm/s^2": 1e-3},
    "V": {"V": 1.0, "mV": 1e-3, "uV": 1e-6},
    "W": {"W": 1.0, "W/kg": 1.0},
    "1": {"1": 1.0, "%": 0.01},
}
_OF_BODY_MASS = {"Nm": ("Nm/kg", "Nmm/kg"), "N": ("N/kg", "BW", "%BW"), "W": ("W/kg",)}


class Source(Config):
    """Where one column of the file goes: `to` = sign x scale x its values, in `unit`.

    unit: of the file's column; by default that of ours. values: for columns of text, theirs -> ours.
    """

    to: str
    unit: str | None = None
    sign: Literal[-1, 1] = 1
    scale: float = 1.0
    values: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> Source:
        ours = unit_of(self.to)
        if self.to in STRING_COLUMNS:
            if self.unit is not None or self.sign != 1 or self.scale != 1.0:
                raise ValueError(f"{self.to!r} is text: it has no unit, sign or scale")
            if self.to == "mode":
                require_known("mode", self.values.values(), (*MODES, ""))
            return self
        if self.values:
            raise ValueError(f"{self.to!r} is numbers: it has no values")
        if self.unit is not None:
            require_known(f"unit of {self.to!r}:", [self.unit], UNITS[ours])
        if self.scale == 0.0:
            raise ValueError("scale is 0")
        return self

    def factor(self, mass_kg: float) -> float:
        """What a value of the file is multiplied by to be ours."""
        ours = unit_of(self.to)
        unit = self.unit or ours
        body = mass_kg if unit in _OF_BODY_MASS.get(ours, ()) else 1.0
        return self.sign * self.scale * UNITS[ours][unit] * body


class ColumnMap(Config):
    """columns: name in the file -> `Source`. mode: what is done in the whole trial, where no column tells it."""

    columns: dict[str, Source] = Field(min_length=1)
    mode: str = "walk"

    @model_validator(mode="after")
    def _sound(self) -> ColumnMap:
        require_known("mode", [self.mode], (*MODES, ""))
        taken: dict[str, str] = {}
        for name, source in self.columns.items():
            if source.to in taken:
                raise ValueError(f"columns {taken[source.to]!r} and {name!r} both go to {source.to!r}")
            taken[source.to] = name
        return self


def load_column_map(path: str | Path) -> ColumnMap:
    """Read a map. Raises FileNotFoundError; ValueError naming the file and the bad key, unit or column."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such column map")
    return parse_yaml(ColumnMap, path.read_text(encoding="utf-8", errors="replace"), path)
