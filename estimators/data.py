"""Reads recordings and datasets into the arrays that training and evaluation work on.

Policy for what is not there: a sensor value that is NaN stays NaN in `measured` (training holds the last
value, as the runtime does, and leaves the frame out of the loss); an unknown torque is NaN in `target` and
left out of loss and metrics; what follows a fall is cut off.
"""

from __future__ import annotations

import fnmatch
import hashlib
import io
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..controllers.interface import FloatArray, closest

METADATA_KEY = b"exotwin"
Split = Literal["train", "validation", "test"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Trial:
    """Some columns (n,) of a recording and its metadata; `source` names it in messages."""

    columns: Mapping[str, NDArray[Any]]
    meta: Mapping[str, Any]
    source: str = "recording"


@dataclass(frozen=True, eq=False)
class Sequence:
    """One recording as numbers.

    measured: (n, n_inputs) raw channels, NaN where missing. target: (n, n_outputs) Nm/kg, NaN where unknown.
    """

    source: str
    measured: FloatArray
    target: FloatArray


class DatasetFile(BaseModel):
    """One recording of a dataset; `path` is relative to the dataset folder."""

    model_config = ConfigDict(extra="allow")
    path: str
    subject: str
    sha256: str = ""


class Dataset(BaseModel):
    """A dataset folder's manifest: its recordings and which subjects are for what."""

    model_config = ConfigDict(extra="allow")
    files: tuple[DatasetFile, ...] = Field(min_length=1)
    splits: dict[Split, tuple[str, ...]]
    licence: str = ""
    folder: Path = Field(default=Path(), exclude=True)
    sha256: str = Field(default="", exclude=True)

    def trials(self, split: Split, columns: Iterable[str] | None = None) -> list[Trial]:
        """The recordings of a split's subjects, limited to `columns`.

        Raises ValueError for a split without recordings and for a file that is not the manifest's,
        and whatever `read_columns` raises.
        """
        wanted = None if columns is None else tuple(columns)
        subjects = self.splits.get(split, ())
        files = [file for file in self.files if file.subject in subjects]
        if not files:
            raise ValueError(f"{self.folder}: no recordings for the split {split!r} (subjects {list(subjects)})")
        return [read_columns(self.folder / f.path, wanted, f.sha256) for f in files]


def open_dataset(folder: str | Path) -> Dataset:
    """Read `manifest.json` of a dataset folder.

    Raises FileNotFoundError; ValueError when it is no manifest or a subject stands in two splits.
    """
    path = Path(folder) / "manifest.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; a dataset folder has a manifest.json")
    content = path.read_bytes()
    try:
        dataset = Dataset.model_validate_json(content)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or '(top)'}: {e['msg']}" for e in error.errors())
        raise ValueError(f"{path}: {faults}") from None
    placed = [subject for subjects in dataset.splits.values() for subject in subjects]
    if len(set(placed)) != len(placed):
        raise ValueError(f"{path}: a subject stands in two splits")
    return dataset.model_copy(update={"folder": Path(folder), "sha256": hashlib.sha256(content).hexdigest()})


def read_columns(path: str | Path, columns: Iterable[str] | None = None, sha256: str = "") -> Trial:
    """Some columns (None: all) of a recording file, up to the first fall.

    Raises FileNotFoundError; ValueError that names the file: truncated or not Parquet, not a recording,
    changed (when `sha256` is given), or without a column, with the nearest one there is.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such recording")
    content = path.read_bytes()
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path}: truncated or changed, its SHA-256 is not the dataset manifest's")
    try:
        with pq.ParquetFile(io.BytesIO(content)) as file:
            names = file.schema_arrow.names
            text = (file.schema_arrow.metadata or {}).get(METADATA_KEY)
            if text is None:
                raise ValueError(f"{path}: Parquet, but not a recording (no 'exotwin' metadata)")
            wanted = names if columns is None else list(dict.fromkeys(columns))
            for name in wanted:
                if name not in names:
                    raise ValueError(f"{path}: {_missing(name, names)}")
            table = file.read(wanted if "time" in wanted or "time" not in names else ["time", *wanted])
        meta = json.loads(text)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: truncated, or not a Parquet file ({str(error).splitlines()[0]})") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: its metadata is not JSON ({error})") from None
    values = {name: _as_array(table.column(name)) for name in table.column_names}
    falls = [event["time"] for event in meta.get("events", ()) if event.get("kind") == "fall"]
    if falls and "time" in values:
        end = int(np.searchsorted(values["time"], min(falls)))
        values = {name: column[:end] for name, column in values.items()}
    return Trial(values, meta, str(path))


def rate_of(trial: Any) -> float:
    """Samples a second of a recording. Raises ValueError when its metadata does not tell."""
    try:
        return float(trial.meta["rate_hz"])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{_source(trial)}: its metadata has no rate_hz") from None


def resampled(trial: Any, columns: Iterable[str], rate_hz: float) -> Any:
    """The recording itself, or its numeric `columns` linearly interpolated to another rate (logged)."""
    own = rate_of(trial)
    if own == rate_hz:
        return trial
    _log.warning("%s: interpolated from %g to %g Hz", _source(trial), own, rate_hz)
    present = {name: np.asarray(trial.columns[name], float) for name in columns if name in trial.columns}
    n = max(map(len, present.values()), default=0)
    old = np.arange(n) / own
    new = np.arange(int((n - 1) * rate_hz / own + 1e-9) + 1) / rate_hz if n else old
    values = {name: np.interp(new, old, column) for name, column in present.items()}
    return Trial(values, {**trial.meta, "rate_hz": rate_hz}, _source(trial))


def true_kinematics(channels: Iterable[str]) -> dict[str, str]:
    """Substitutes for a motion-capture recording: encoder channel -> the true joint angle or velocity."""
    split = [(channel, channel.split("/")) for channel in channels]
    return {channel: f"{part[2]}/{part[1]}" for channel, part in split if part[0] == "encoder"}


def torque_columns(
    channels: Iterable[str], joints: Iterable[str], substitutes: Mapping[str, str] | None = None
) -> list[str]:
    """The recording columns that `torque_sequence` needs."""
    stand_in = substitutes or {}
    return [stand_in.get(c, c) for c in channels] + [f"torque/biological/{j}" for j in joints]


def torque_sequence(
    trial: Any,
    channels: tuple[str, ...],
    joints: tuple[str, ...],
    rate_hz: float,
    substitutes: Mapping[str, str] | None = None,
) -> Sequence:
    """Channels and biological torques divided by body mass of one recording (anything with columns and meta).

    substitutes: channel -> the column that stands in for it; logged. Raises ValueError for another rate, a
    missing column (named with the nearest one) or an unknown body mass.
    """
    source = _source(trial)
    if rate_of(trial) != rate_hz:
        raise ValueError(f"{source}: sampled at {rate_of(trial):g} Hz, expected {rate_hz:g} Hz")
    mass = (trial.meta.get("subject") or {}).get("mass_kg")
    if not isinstance(mass, int | float) or not mass > 0:
        raise ValueError(f"{source}: its metadata has no subject mass_kg")
    used = sorted(set(channels) & set(substitutes or ()))
    if substitutes and used:
        shown = ", ".join(f"{channel} <- {substitutes[channel]}" for channel in used)
        _log.warning("%s: true values stand in for measured ones: %s", source, shown)
    names = torque_columns(channels, joints, substitutes)
    table = stacked(trial, names)
    return Sequence(source, table[:, : len(channels)], table[:, len(channels) :] / mass)


def stacked(trial: Any, names: Iterable[str]) -> FloatArray:
    """Numeric columns of a recording side by side, (n, n_names). ValueError names a missing one."""
    wanted = list(names)
    for name in wanted:
        if name not in trial.columns:
            raise ValueError(f"{_source(trial)}: {_missing(name, list(trial.columns))}")
    return np.stack([np.asarray(trial.columns[name], dtype=float) for name in wanted], axis=1)


def mode_keys(trial: Any) -> NDArray[np.str_]:
    """Mode key of each sample (n,): ``walk/slow`` where `speed_class` says so, else the mode alone."""
    if "mode" not in trial.columns:
        raise ValueError(f"{_source(trial)}: {_missing('mode', list(trial.columns))}")
    mode = np.asarray(trial.columns["mode"], dtype=str)
    speed = np.asarray(trial.columns.get("speed_class", np.full(len(mode), "")), dtype=str)
    return np.array([f"{m}/{s}" if s else m for m, s in zip(mode, speed, strict=True)], dtype=str)


def expand_channels(patterns: Iterable[str], available: Iterable[str]) -> tuple[str, ...]:
    """Channel names from names and shell patterns (``imu/*``, ``encoder/*/angle``), in the columns' order.

    Raises ValueError for a pattern that fits no column, with the nearest one.
    """
    names = list(available)
    found: dict[str, None] = {}
    for pattern in patterns:
        fitting = fnmatch.filter(names, pattern)
        if not fitting:
            raise ValueError(f"no column fits {pattern!r}{closest(pattern, names)}")
        found.update(dict.fromkeys(fitting))
    return tuple(found)


def hold_last(values: FloatArray, initial: FloatArray) -> FloatArray:
    """(n, c) with what is not finite replaced by the last finite value before it, else by `initial` (c,)."""
    padded = np.vstack([initial, values])
    row = np.where(np.isfinite(padded), np.arange(len(padded))[:, None], 0)
    return np.take_along_axis(padded, np.maximum.accumulate(row, axis=0), axis=0)[1:]


def _missing(name: str, known: list[str]) -> str:
    true_name = true_kinematics([name]).get(name)
    if true_name in known:
        return f"no column {name!r}, but there is {true_name!r}: substitutes can let it stand in"
    return f"no column {name!r}{closest(name, known)}"


def _source(trial: Any) -> str:
    return str(getattr(trial, "source", "recording"))


def _as_array(column: pa.ChunkedArray) -> NDArray[Any]:
    if pa.types.is_dictionary(column.type) or pa.types.is_string(column.type):
        return np.array(column.to_pylist(), dtype=str)
    return np.array(column.to_numpy(), dtype=np.float64)
