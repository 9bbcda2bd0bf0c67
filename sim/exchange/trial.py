"""Channels of somebody's file, named by a column map, as a recording: units, one grid of time, what follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...controllers.device import SIDES
from ...controllers.interface import FloatArray, closest
from ...controllers.protocols import MODES
from ..recording import STRING_COLUMNS, Recording
from .columns import ColumnMap, Source
from .plausible import check_gait, check_source
from .signals import LOADED_N, common_grid, heel_strikes, phases, smooth, velocity

MIN_ROWS = 20
# Columns that must be whole; sensors drop out, a lifted foot has no centre of pressure.
_WHOLE = ("angle/", "velocity/", "torque/", "grf/", "pelvis/", "activation/", "force/")
# The order of a recording's columns; the rest follow as the file has them.
_ORDER = ("time", "mode", "phase", "angle", "velocity", "torque", "grf", "cop", "free_moment", "pelvis")


@dataclass(frozen=True)
class Channel:
    """One column of a file as it stands there: values (n,), numbers or text, at time (n,) s, in numbered rows (n,)."""

    time: FloatArray
    values: NDArray[Any]
    rows: NDArray[np.int64]


class Trial(NamedTuple):
    """An imported trial: the recording, and raw EMG at its own rate for the sibling file, if there is any."""

    recording: Recording
    raw_emg: Recording | None


def build_trial(
    path: Path,
    channels: Mapping[str, Channel],
    column_map: ColumnMap,
    mass_kg: float,
    height_m: float | None = None,
    rate_hz: float = 200.0,
    *,
    subject_id: str = "",
    licence: str = "",
    row: str = "line",
) -> Trial:
    """The recording at `rate_hz` that `channels` of the file `path` make; raw EMG (``emg/...``) stays at its own rate.

    A channel whose samples lie on the grid is taken as it is; what is faster is low-passed before. Joint velocities,
    the biological torque of somebody without an exo, and gait phases are added where the map has none. row: what a row
    of the file is called in errors.

    Raises ValueError naming file, column and row: a mapped column is missing, not finite where it must be, or beyond
    what people and sensors give (another unit?).
    """
    named = {name: source for name, source in column_map.columns.items() if source.to != "time"}
    if not named:
        raise ValueError(f"{path}: the column map names nothing but the time")
    for name in named:
        if name not in channels:
            raise ValueError(f"{path}: no column {name!r}, which the column map names{closest(name, channels)}")
        if len(channels[name].time) < MIN_ROWS:
            raise ValueError(
                f"{path}: column {name!r}: {len(channels[name].time)} rows, at least {MIN_ROWS} are needed"
            )
    try:
        grid = common_grid({name: channels[name].time for name in named}, rate_hz)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    columns: dict[str, NDArray[Any]] = {"time": grid}
    volts: dict[str, Channel] = {}
    sources = {source.to: name for name, source in named.items()}
    strikes = {}
    for name, source in named.items():
        channel = channels[name]
        if source.to in STRING_COLUMNS:
            columns[source.to] = _text(path, name, source, channel, grid, row)
            continue
        values = _numbers(path, name, source, channel, mass_kg, row)
        if source.to.startswith("emg/"):
            volts[source.to] = Channel(channel.time, values, channel.rows)
            continue
        columns[source.to] = resampled(source.to, channel.time, values, grid)
        if source.to.startswith("angle/") and (rate := source.to.replace("angle/", "velocity/")) not in sources:
            columns[rate] = velocity(channel.time, values, grid)
        if source.to in ("grf/r/z", "grf/l/z"):
            strikes[source.to[4]] = heel_strikes(channel.time, values > LOADED_N)
    columns.setdefault("mode", np.full(len(grid), column_map.mode))
    _complete(columns, strikes, grid)
    check_gait(columns, {ours: (path, theirs) for ours, theirs in sources.items()}, mass_kg)
    meta = {
        "subject": {"id": subject_id, "mass_kg": mass_kg, "height_m": height_m},
        "scenario": "import",
        "rate_hz": rate_hz,
        "licence": licence,
        "events": [{"time": float(grid[0]), "kind": "import", "detail": path.name}],
    }
    ordered = sorted(columns, key=lambda n: _ORDER.index(n.split("/")[0]) if n.split("/")[0] in _ORDER else len(_ORDER))
    return Trial(Recording({name: columns[name] for name in ordered}, meta), _raw_emg(path, volts, grid, meta))


def _raw_emg(path: Path, volts: dict[str, Channel], grid: FloatArray, meta: dict[str, Any]) -> Recording | None:
    """The EMG of the recording's span of time, at the rate at which it was sampled."""
    if not volts:
        return None
    first = next(iter(volts.values()))
    for name, channel in volts.items():
        if not np.array_equal(channel.time, first.time):
            raise ValueError(f"{path}: {name!r} is sampled at other times than {next(iter(volts))!r}")
    within = (first.time >= grid[0] - 1e-9) & (first.time <= grid[-1] + 1e-9)
    columns = {"time": first.time[within]} | {name: channel.values[within] for name, channel in volts.items()}
    return Recording(columns, meta | {"rate_hz": float(1.0 / np.median(np.diff(first.time)))})


def resampled(column: str, time: FloatArray, values: FloatArray, grid: FloatArray) -> FloatArray:
    """Values (n,) at time (n,) s on the grid (m,); exact where the samples lie on it, gaps (NaN) stay gaps."""
    rate_hz = 1.0 / (grid[1] - grid[0])
    first = int(np.argmin(np.abs(time - grid[0])))
    if len(time) >= first + len(grid) and np.abs(time[first : first + len(grid)] - grid).max() < 1e-6:
        return values[first : first + len(grid)].copy()
    if column.startswith("phase/"):
        known = np.isfinite(values)
        turns = np.unwrap(values[known], period=1.0) if known.any() else values[known]
        held = np.interp(grid, time[known], turns) % 1.0 if known.any() else np.full(len(grid), np.nan)
        return np.where(np.interp(grid, time, known.astype(float)) > 0.99, held, np.nan)
    if np.isfinite(values).all() and not column.startswith("cop/"):
        return smooth(time, values, rate_hz)(grid)
    return np.interp(grid, time, values)


def _numbers(path: Path, name: str, source: Source, channel: Channel, mass_kg: float, row: str) -> FloatArray:
    if channel.values.dtype.kind not in "fiu":
        raise ValueError(f"{path}: column {name!r} holds text, {source.to!r} is numbers")
    given = np.asarray(channel.values, dtype=float)
    with np.errstate(over="ignore"):
        values = source.factor(mass_kg) * given
    infinite, missing = np.isinf(values), np.isnan(values)
    bad = np.flatnonzero(infinite | missing if source.to.startswith(_WHOLE) else infinite)
    if len(bad):
        raise ValueError(f"{path}: {row} {channel.rows[bad[0]]}, column {name!r}: {given[bad[0]]} is no finite number")
    if missing.all():
        raise ValueError(f"{path}: column {name!r} is empty")
    check_source(path, name, source.to, values, channel.rows, mass_kg, row)
    return values


def _text(path: Path, name: str, source: Source, channel: Channel, grid: FloatArray, row: str) -> NDArray[np.str_]:
    words = channel.values.astype(str)
    if source.values:
        for word in np.unique(words):
            if word not in source.values:
                at = channel.rows[np.flatnonzero(words == word)[0]]
                raise ValueError(
                    f"{path}: {row} {at}, column {name!r}: no value {str(word)!r}{closest(str(word), source.values)}"
                )
        words = np.array([source.values[word] for word in words])
    if source.to == "mode":
        for word in np.unique(words):
            if word not in (*MODES, ""):
                at = channel.rows[np.flatnonzero(words == word)[0]]
                raise ValueError(
                    f"{path}: {row} {at}, column {name!r}: no mode {str(word)!r}{closest(str(word), MODES)}"
                )
    return words[np.clip(np.searchsorted(channel.time, grid + 1e-6, side="right") - 1, 0, None)]


def _complete(columns: dict[str, NDArray[Any]], strikes: dict[str, FloatArray], grid: FloatArray) -> None:
    """Add what follows from the columns that are there."""
    worn = any(name.startswith("torque/exo/") for name in columns)
    for name in [n for n in columns if n.startswith("torque/net/")]:
        if not worn:
            columns.setdefault(name.replace("/net/", "/biological/"), columns[name].copy())
    for side, column in phases(strikes, grid).items():
        columns.setdefault(side, column)
    for side in SIDES:
        up = columns.get(f"grf/{side}/z")
        for axis in "xy":
            if up is not None and (cop := f"cop/{side}/{axis}") in columns:
                columns[cop] = np.where(up > LOADED_N, columns[cop], np.nan)
