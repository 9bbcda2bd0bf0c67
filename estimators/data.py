"""Reads recordings into the arrays that training and evaluation work on.

Policy for what is not there: a sensor value that is NaN stays NaN in `measured` (training holds the last
value, as the runtime does, and leaves the frame out of the loss); an unknown torque is NaN in `target` and
left out of loss and metrics; what follows a fall is cut off; a partial recording counts as far as it goes.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..controllers.interface import FloatArray, closest

METADATA_KEY = b"exotwin"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Trial:
    """Some columns (n,) of a recording and its metadata; `source` names it in messages."""

    columns: Mapping[str, NDArray[Any]]
    meta: Mapping[str, Any]
    source: str = "recording"


@dataclass(eq=False)
class RecordingFile:
    """A recording on disk of which the footer is known; columns are read when asked for.

    names: its columns. rows: those before the first fall; what follows is never handed out. sha256: of the
    whole file, compared when it is first read; empty: unknown.
    """

    path: Path
    names: tuple[str, ...]
    meta: Mapping[str, Any]
    rows: int
    sha256: str = ""
    _verified: bool = field(default=False, init=False, repr=False)

    @property
    def source(self) -> str:
        """What messages call it."""
        return str(self.path)

    def require(self, columns: Iterable[str]) -> None:
        """Raise ValueError that names the first of `columns` that is not there, and the nearest that is."""
        _require(self.source, columns, self.names)

    def read(self, columns: Iterable[str] | None = None) -> Trial:
        """Some columns (None: all) up to the first fall; not to be written to.

        Raises ValueError that names the file: changed, damaged, or without a column.
        """
        wanted = self.names if columns is None else tuple(dict.fromkeys(columns))
        self.require(wanted)
        if self.sha256 and not self._verified:
            if _sha256(self.path) != self.sha256:
                raise ValueError(f"{self.path}: changed, its SHA-256 is not the dataset manifest's")
            self._verified = True
        with _parquet(self.path) as file:
            table = file.read(list(wanted)).slice(0, self.rows)
        return Trial({name: _as_array(table.column(name)) for name in wanted}, self.meta, self.source)


def open_recording(path: str | Path, sha256: str = "") -> RecordingFile:
    """Read a recording's footer.

    Raises FileNotFoundError; ValueError that names the file: truncated or not Parquet, not a recording.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such recording")
    with _parquet(path) as file:
        names, rows = tuple(file.schema_arrow.names), file.metadata.num_rows
        text = (file.schema_arrow.metadata or {}).get(METADATA_KEY)
        if text is None:
            raise ValueError(f"{path}: Parquet, but not a recording (no 'exotwin' metadata)")
        try:
            meta = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}: its metadata is not JSON ({error})") from None
        falls = [event["time"] for event in meta.get("events", ()) if event.get("kind") == "fall"]
        if falls and "time" in names:
            rows = int(np.searchsorted(_as_array(file.read(["time"]).column("time")), min(falls)))
    return RecordingFile(path, names, meta, rows, sha256)


def rate_of(trial: Any) -> float:
    """Samples a second of a recording. Raises ValueError when its metadata does not tell."""
    try:
        return float(trial.meta["rate_hz"])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{_source(trial)}: its metadata has no rate_hz") from None


def common_rate(recordings: Sequence[Any]) -> float:
    """The rate of all of them, in Hz. Raises ValueError that names the first with another rate."""
    rate = rate_of(recordings[0])
    for recording in recordings:
        _require_rate(recording, rate)
    return rate


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


@dataclass(frozen=True, eq=False)
class TorqueSequence:
    """One recording as numbers.

    measured: (n, n_channels) raw channels, NaN where missing. target: (n, n_joints) Nm/kg, NaN where unknown.
    """

    measured: FloatArray
    target: FloatArray

    @property
    def joined(self) -> FloatArray:
        """Both side by side, (n, n_channels + n_joints)."""
        return np.hstack([self.measured, self.target])


@dataclass(frozen=True, eq=False)
class TorqueSignals:
    """What a torque estimator sees and says: channels (recording columns), joints with side, rate.

    substitutes: channel -> the column that stands in for it.
    """

    channels: tuple[str, ...]
    joints: tuple[str, ...]
    rate_hz: float
    substitutes: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """The recording columns it takes: the channels' (or their substitutes'), then the torques'."""
        inputs = (self.substitutes.get(channel, channel) for channel in self.channels)
        return (*inputs, *(f"torque/biological/{joint}" for joint in self.joints))

    def log_substitutes(self, source: Any) -> None:
        """Log which true values stand in for measured ones, if any do."""
        used = [c for c in self.channels if c in self.substitutes]
        if used:
            shown = ", ".join(f"{channel} <- {self.substitutes[channel]}" for channel in used)
            _log.warning("%s: true values stand in for measured ones: %s", source, shown)

    def of(self, trial: Any) -> TorqueSequence:
        """Channels, and biological torques divided by body mass, of anything with columns and meta.

        Raises ValueError for another rate, a missing column (named with the nearest) or an unknown body mass.
        """
        _require_rate(trial, self.rate_hz)
        mass = (trial.meta.get("subject") or {}).get("mass_kg")
        if not isinstance(mass, int | float) or not mass > 0:
            raise ValueError(f"{_source(trial)}: its metadata has no subject mass_kg")
        table = stacked(trial, self.columns)
        return TorqueSequence(table[:, : len(self.channels)], table[:, len(self.channels) :] / mass)

    def read(self, recording: RecordingFile) -> TorqueSequence:
        """`of` the columns it needs from a file. Raises also what `RecordingFile.read` raises."""
        return self.of(recording.read(self.columns))


def stacked(trial: Any, names: Iterable[str]) -> FloatArray:
    """Numeric columns of a recording side by side, (n, n_names). ValueError names a missing one."""
    wanted = list(names)
    _require(_source(trial), wanted, trial.columns)
    return np.stack([np.asarray(trial.columns[name], dtype=float) for name in wanted], axis=1)


def mode_columns(names: Iterable[str]) -> list[str]:
    """Of a recording's columns, those that `mode_keys` takes."""
    return ["mode", *(name for name in names if name == "speed_class")]


def mode_keys(trial: Any) -> NDArray[np.str_]:
    """Mode key of each sample (n,): ``walk/slow`` where `speed_class` says so, else the mode alone."""
    _require(_source(trial), ["mode"], trial.columns)
    mode = np.asarray(trial.columns["mode"], dtype=str)
    if "speed_class" not in trial.columns:
        return mode
    speed = np.asarray(trial.columns["speed_class"], dtype=str)
    return np.where(speed == "", mode, np.char.add(np.char.add(mode, "/"), speed))


def expand_channels(patterns: Iterable[str], available: Iterable[str]) -> tuple[str, ...]:
    """Channel names from names and shell patterns (``imu/*``, ``encoder/*/angle``), in the columns' order.

    Raises ValueError for a pattern that fits no column, with the nearest one.
    """
    return matching("column", patterns, available)


def matching(what: str, patterns: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    """The names that fit any of the shell patterns; `what` they are is for the error.

    Raises ValueError for a pattern that fits none, with the nearest name.
    """
    known = list(names)
    found: dict[str, None] = {}
    for pattern in patterns:
        fitting = fnmatch.filter(known, pattern)
        if not fitting:
            raise ValueError(f"no {what} fits {pattern!r}{closest(pattern, known)}")
        found.update(dict.fromkeys(fitting))
    return tuple(found)


def hold_last(values: FloatArray, initial: FloatArray) -> FloatArray:
    """(n, c) with what is not finite replaced by the last finite value before it, else by `initial` (c,)."""
    finite = np.isfinite(values)
    if finite.all():
        return values
    padded = np.vstack([initial, values])
    row = np.vstack(
        [np.zeros((1, values.shape[1]), dtype=int), np.where(finite, np.arange(1, len(padded))[:, None], 0)]
    )
    return np.take_along_axis(padded, np.maximum.accumulate(row, axis=0), axis=0)[1:]


def column_statistics(names: Sequence[str], parts: Iterable[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation (c,) of the finite values in each column of parts (n, c), one after another.

    Parts are merged pairwise after Chan, Golub & LeVeque 1983 (American Statistician 37:242), so that only one
    need be in memory. Raises ValueError that names the columns without a finite value.
    """
    count, mean, squares = np.zeros((3, len(names)))
    for part in parts:
        finite = np.isfinite(part)
        n = finite.sum(axis=0)
        own = np.where(finite, part, 0.0).sum(axis=0) / np.maximum(n, 1)
        both = np.maximum(count + n, 1)
        shift = np.where(n > 0, own - mean, 0.0)
        squares += np.where(finite, (part - own) ** 2, 0.0).sum(axis=0) + shift**2 * count * n / both
        mean, count = mean + shift * n / both, count + n
    if (count == 0).any():
        raise ValueError(
            f"no value at all in the training data: {[n for n, c in zip(names, count, strict=True) if not c]}"
        )
    return mean, np.sqrt(squares / count)


def _require(source: str, wanted: Iterable[str], known: Iterable[str]) -> None:
    there = set(known)
    for name in wanted:
        if name not in there:
            raise ValueError(f"{source}: {_missing(name, list(known))}")


def _require_rate(trial: Any, rate_hz: float) -> None:
    if rate_of(trial) != rate_hz:
        raise ValueError(f"{_source(trial)}: sampled at {rate_of(trial):g} Hz, expected {rate_hz:g} Hz")


def _missing(name: str, known: list[str]) -> str:
    true_name = true_kinematics([name]).get(name)
    if true_name in known:
        return f"no column {name!r}, but there is {true_name!r}: substitutes can let it stand in"
    return f"no column {name!r}{closest(name, known)}"


def _source(trial: Any) -> str:
    return str(getattr(trial, "source", "recording"))


@contextlib.contextmanager
def _parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """The open file; whatever Arrow finds wrong with it names it."""
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: truncated, or not a Parquet file ({str(error).splitlines()[0]})") from None


def _as_array(column: pa.ChunkedArray) -> NDArray[Any]:
    if pa.types.is_dictionary(column.type):
        coded = column.combine_chunks()
        return np.asarray(coded.dictionary.to_pylist(), dtype=str)[coded.indices.to_numpy()]
    if pa.types.is_string(column.type):
        return np.array(column.to_pylist(), dtype=str)
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
