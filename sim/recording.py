"""A recording: one run or trial as named columns, kept as one Parquet file.

Everything downstream (training, metrics, reports) takes a recording and cannot tell where it came from.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..controllers.device import SIDED_JOINTS
from ..controllers.interface import closest
from ..controllers.protocols import MODES

METADATA_KEY = b"exotwin"
STRING_COLUMNS = ("mode", "speed_class", "fault")

_PLACES = {"joint": SIDED_JOINTS, "part": ("muscle", "ligament", "exo", "biological", "net")}

# Column families and their units ("1": dimensionless, "": text). {joint} and {part} are closed sets;
# {name} is any muscle, IMU site or model, since the person and the device choose those.
_FAMILIES = {
    "time": "s",
    "mode": "",
    "speed_class": "",
    "fault": "",
    "phase/[rl]": "1",
    "angle/{joint}": "rad",
    "velocity/{joint}": "rad/s",
    "torque/{part}/{joint}": "Nm",
    "activation/{name}": "1",
    "force/{name}": "N",
    "grf/[rl]/[xyz]": "N",
    "cop/[rl]/[xy]": "m",
    "free_moment/[rl]": "Nm",
    "seat/z": "N",
    "imu/{name}/a[xyz]": "m/s^2",
    "imu/{name}/g[xyz]": "rad/s",
    "emg/{name}": "V",
    "emg_env/{name}": "1",
    "insole/[rl]/force": "N",
    "insole/[rl]/cop_[xy]": "m",
    "encoder/{joint}/angle": "rad",
    "encoder/{joint}/velocity": "rad/s",
    "load_cell/{joint}": "Nm",
    "estimate/{joint}": "Nm/kg",
    "command/{joint}": "Nm",
    "delivered/{joint}": "Nm",
    "pelvis/[xyz]": "m",
    "pelvis/v[xyz]": "m/s",
    "pelvis/q[wxyz]": "1",
    "pelvis/(roll|pitch|yaw)": "rad",
    "pelvis/w[xyz]": "rad/s",
    "terrain/height": "m",
    "terrain/slope": "rad",
    "metabolic/{name}": "W",
}
_PATTERNS = {
    family: re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[A-Za-z0-9][A-Za-z0-9_.-]*)", family)) for family in _FAMILIES
}
_STEMS = tuple(dict.fromkeys(family.split("/")[0] for family in _FAMILIES))


@lru_cache(maxsize=4096)
def unit_of(column: str) -> str:
    """Unit of a column by its name; "1" where dimensionless, "" for text.

    Raises ValueError that names the nearest joint or torque part, or the nearest column family.
    """
    for family, unit in _FAMILIES.items():
        if match := _PATTERNS[family].fullmatch(column):
            for place, value in match.groupdict().items():
                known = _PLACES.get(place)
                if known and value not in known:
                    raise ValueError(f"column {column!r}: no {place} {value!r}{closest(value, known)}")
            return unit
    stem = column.split("/")[0]
    same_stem = [family for family in _FAMILIES if family.split("/")[0] == stem]
    hint = closest(column, same_stem) if same_stem else closest(stem, _STEMS)
    raise ValueError(f"column {column!r} is of no known family{hint}")


class _Meta(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SubjectMeta(_Meta):
    """Who was recorded; None where unknown. strength and ratios as `Subject` of sim/subjects.py means them."""

    id: str = ""
    mass_kg: float = Field(gt=0)
    height_m: float | None = Field(None, gt=0)
    strength: float | None = Field(None, gt=0)
    sex: Literal["male", "female"] | None = None
    age_years: float | None = Field(None, gt=0)
    leg_length_m: float | None = Field(None, gt=0)
    leg_ratio: float | None = Field(None, gt=0)
    thigh_ratio: float | None = Field(None, gt=0)
    foot_ratio: float | None = Field(None, gt=0)
    pelvis_ratio: float | None = Field(None, gt=0)


class EventMeta(_Meta):
    """Something that happened at `time` s: a fall, a fault, a mode change."""

    time: float
    kind: str
    detail: str = ""


class RecordingMeta(_Meta):
    """The metadata of a recording. Only `subject.mass_kg` and `rate_hz` must be given."""

    subject: SubjectMeta
    device: str | None = None
    terrain: dict[str, Any] = {}  # as `Terrain` of sim/terrain.py
    seat: tuple[float, float] | None = None  # x and height of the seat, m
    adaptation: float | None = Field(None, ge=0, le=1)  # share of the exo's torque that the person expects
    impairments: list[dict[str, Any]] = []  # as `Impairment` of sim/impairments.py
    scenario: str = ""
    seed: int | None = None
    arm: str = ""
    rate_hz: float = Field(gt=0)
    duration_s: float = Field(ge=0)
    versions: dict[str, str] = {}
    model_hash: str = ""
    licence: str = ""
    units: dict[str, str]
    events: list[EventMeta] = []
    partial: bool = False
    falls: int = Field(0, ge=0)


@dataclass(eq=False)
class Recording:
    """Columns of one run and what is known about it.

    columns: name -> (n,) array, float64 with NaN for missing, text for `STRING_COLUMNS`; always has ``time``
    (s, strictly increasing). meta: see `RecordingMeta`; ``units`` is derived from the columns and
    ``duration_s`` defaults to n / rate_hz. Both are checked on construction and again on writing.
    Raises ValueError that names the bad column or key and the nearest right one.
    """

    columns: dict[str, NDArray[Any]]
    meta: dict[str, Any]

    def __post_init__(self) -> None:
        self.columns = {name: _as_column(name, values) for name, values in self.columns.items()}
        self.meta = _checked_meta(self.columns, self.meta)

    def __len__(self) -> int:
        return len(self.columns["time"])

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> NDArray[Any]:
        """One column; KeyError names the closest column that exists."""
        try:
            return self.columns[name]
        except KeyError:
            raise KeyError(f"no column {name!r}{closest(name, self.columns)}") from None

    def __eq__(self, other: object) -> bool:
        """Same columns in the same order with the same values (NaN equals NaN), same metadata."""
        if not isinstance(other, Recording):
            return NotImplemented
        return (
            list(self.columns) == list(other.columns)
            and self.meta == other.meta
            and all(_same(values, other.columns[name]) for name, values in self.columns.items())
        )

    def table(self) -> pa.Table:
        """The columns and the metadata as Arrow keeps them. Raises ValueError as on construction."""
        columns = {name: _as_column(name, values) for name, values in self.columns.items()}
        text = json.dumps(_checked_meta(columns, self.meta), sort_keys=True, ensure_ascii=False)
        arrays = [
            pa.array(values.tolist(), pa.string()).dictionary_encode() if name in STRING_COLUMNS else pa.array(values)
            for name, values in columns.items()
        ]
        table = pa.Table.from_arrays(arrays, names=list(columns))
        return table.replace_schema_metadata({METADATA_KEY: text.encode()})

    def write(self, path: str | Path) -> None:
        """Write atomically as Parquet: `path` holds the whole recording or what was there before.

        The same recording gives the same bytes. Raises ValueError as on construction, OSError.
        """
        path, table = Path(path), self.table()
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            pq.write_table(
                table,
                partial,
                compression="zstd",
                compression_level=1,
                use_dictionary=[name for name in table.column_names if name in STRING_COLUMNS],
                write_statistics=False,
            )
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def read_recording(path: str | Path, columns: Iterable[str] | None = None) -> Recording:
    """Read a recording; `columns` limits it to those (``time`` always comes along).

    Raises FileNotFoundError; ValueError that names the file and says what is wrong with it
    (truncated, not Parquet, not a recording, no such column).
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such recording")
    wanted = None
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            text = (schema.metadata or {}).get(METADATA_KEY)
            if text is None:
                raise ValueError(f"{path}: Parquet, but not a recording: no 'exotwin' metadata in it")
            if columns is not None:
                wanted = ["time", *(name for name in dict.fromkeys(columns) if name != "time")]
                for name in wanted:
                    if name not in schema.names:
                        raise ValueError(f"{path}: no column {name!r}{closest(name, schema.names)}")
            table = file.read(wanted)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: truncated, or not a Parquet file ({_first_line(error)})") from None
    try:
        meta = json.loads(text)
        return Recording({name: _from_arrow(table.column(name)) for name in table.column_names}, meta)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: not a sound recording: {error}") from None


def _from_arrow(column: pa.ChunkedArray) -> NDArray[Any]:
    if pa.types.is_dictionary(column.type) or pa.types.is_string(column.type):
        return np.array(column.to_pylist(), dtype=str)
    # A copy: Arrow's own buffers are read-only.
    return np.array(column.to_numpy(), dtype=np.float64)


def _as_column(name: str, values: Any) -> NDArray[Any]:
    unit_of(name)
    try:
        array = np.asarray(values, dtype=str if name in STRING_COLUMNS else np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"column {name!r} does not hold numbers") from None
    if array.ndim != 1:
        raise ValueError(f"column {name!r} has shape {array.shape}, not (n,)")
    return array


def _checked_meta(columns: dict[str, NDArray[Any]], meta: dict[str, Any]) -> dict[str, Any]:
    if "time" not in columns:
        raise ValueError(f"no column 'time'{closest('time', columns)}")
    time = columns["time"]
    for name, values in columns.items():
        if len(values) != len(time):
            raise ValueError(f"column {name!r} has {len(values)} rows, 'time' has {len(time)}")
    bad = np.flatnonzero(~(np.diff(time) > 0))
    if len(bad) or not np.isfinite(time).all():
        raise ValueError(f"'time' is not strictly increasing at row {bad[0] + 1 if len(bad) else 0}")
    if "mode" in columns:
        for mode in np.unique(columns["mode"]):
            if mode not in (*MODES, ""):
                raise ValueError(f"no mode {str(mode)!r}{closest(str(mode), MODES)}")
    given = dict(meta)
    given["units"] = {name: unit_of(name) for name in columns}
    if isinstance(given.get("rate_hz"), int | float) and given["rate_hz"] > 0:
        given.setdefault("duration_s", len(time) / given["rate_hz"])
    try:
        return RecordingMeta.model_validate(given).model_dump()
    except ValidationError as error:
        raise ValueError("metadata: " + "; ".join(_explain(e) for e in error.errors())) from None


def _explain(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        parts: dict[str, type[_Meta]] = {"subject": SubjectMeta, "events": EventMeta}
        inside = len(error["loc"]) > 1
        known = (parts[error["loc"][0]] if inside else RecordingMeta).model_fields
        return f"unknown key {where!r}{closest(str(error['loc'][-1]), known)}"
    return f"{where}: {error['msg']}"


def _same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == b.dtype.kind == "f"))


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
