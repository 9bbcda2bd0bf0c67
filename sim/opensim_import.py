"""Real trials from OpenSim's files (.sto, .mot) as a recording: coordinates, moments, forces, EMG.

The one place that knows OpenSim's names, axes (y up, z right) and the two signs its models give the knee.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.signal import butter, sosfiltfilt

from ..controllers.device import SIDES
from ..controllers.interface import FloatArray, closest
from .recording import Recording

# 99.7 % of the signal power of walking markers lies below 6 Hz (Winter et al. 1974, J Biomech 7:157);
# twice that (chosen) keeps the heel-strike transients of the knee and ankle.
VELOCITY_CUTOFF_HZ = 12.0
LOADED_N = 20.0  # a foot is on the ground above this vertical force; a usual force-plate threshold
MIN_SWING_S = 0.1  # shorter unloadings are chatter of the plate, not steps (chosen)
MIN_ROWS = 20

# OpenSim coordinate -> ours. The knee's sign differs between models, see `_knee_sign`; the others agree with
# ours in gait2392 and in Rajagopal's model.
JOINT_OF = {
    "hip_flexion": "hip_flexion",
    "hip_adduction": "hip_adduction",
    "hip_rotation": "hip_rotation",
    "knee_angle": "knee_flexion",
    "ankle_angle": "ankle_dorsiflexion",
    "mtp_angle": "mtp_extension",
}
_JOINT_OF_SIDED = {f"{theirs}_{s}": f"{ours}_{s}" for s in SIDES for theirs, ours in JOINT_OF.items()}
_PELVIS = ("pelvis_tx", "pelvis_ty", "pelvis_tz")

# EMG label -> our (lumped) muscle; several labels of one muscle are averaged.
_MUSCLE_OF = {
    "abd": ("gluteus_medius", "glut_med", "glmed"),
    "add": ("adductor_longus", "adductor_magnus", "add_long", "add_mag"),
    "hamstrings": ("medial_hamstrings", "biceps_femoris", "biceps_femoris_long_head", "semimem", "semiten"),
    "bifemsh": ("biceps_femoris_short_head", "bfsh"),
    "edl": ("extensor_digitorum_longus",),
    "fdl": ("flexor_digitorum_longus",),
    "glutmax": ("gluteus_maximus", "glut_max", "glmax"),
    "iliopsoas": ("iliacus", "psoas"),
    "rectfem": ("rectus_femoris", "rect_fem", "recfem"),
    "vasti": ("vastus_lateralis", "vastus_medialis", "vastus_medius", "vastus_intermedius"),
    "gastroc": ("gastrocnemius", "gasmed", "gaslat", "med_gas", "lat_gas"),
    "soleus": (),
    "tibant": ("tibialis_anterior", "tib_ant"),
}
_LABEL_TO_MUSCLE = {label: ours for ours, labels in _MUSCLE_OF.items() for label in (ours, *labels)}

# ground_force_r_vx; ground_force_vx (right) and 1_ground_force_vx (left) of gait2392; R_ground_force_vx.
_PLATE = re.compile(r"(?:(?P<pre>[rl1])_)?ground_force_(?:(?P<side>[rl])_)?(?P<what>[vp][xyz])", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """An OpenSim table as its file has it: own signs, axes and units.

    names: columns but time; a coordinate given by its path (``/jointset/hip_r/hip_flexion_r/value``) goes by
    its short name. values: (n, len(names)). time: (n,) s. in_degrees: rotational coordinates are in degrees.
    ``table[name]`` is one column, (n,); ``table["time"]`` the time.
    """

    path: Path
    names: tuple[str, ...]
    time: FloatArray
    values: FloatArray
    in_degrees: bool

    def __getitem__(self, name: str) -> FloatArray:
        if name == "time":
            return self.time
        if name not in self.names:
            raise KeyError(f"{self.path}: no column {name!r}{closest(name, self.names)}")
        return self.values[:, self.names.index(name)]


def read_table(path: str | Path) -> Table:
    """Read a .sto or .mot file. Raises FileNotFoundError; ValueError naming file and row or column."""
    path = Path(path)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if not any(line.strip() for line in lines):
        raise ValueError(f"{path}: the file is empty")
    end = next((i for i, line in enumerate(lines) if line.strip().lower() == "endheader"), None)
    if end is None:
        raise ValueError(f"{path}: no 'endheader' line: not an OpenSim .sto or .mot file, or truncated")
    header = dict(line.strip().split("=", 1) for line in lines[:end] if "=" in line)
    body = [(i + 1, line) for i, line in enumerate(lines) if i > end and line.strip()]
    if not body:
        raise ValueError(f"{path}: no column labels after 'endheader'")
    labels = [_short(label) for label in body[0][1].strip().split("\t" if "\t" in body[0][1] else None)]
    if labels[0].lower() != "time":
        raise ValueError(f"{path}: the first column is {labels[0]!r}, not 'time'")
    if len(set(labels)) != len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise ValueError(f"{path}: column {twice!r} stands twice")
    table = np.array([_numbers(path, row, line, labels) for row, line in body[1:]]).reshape(-1, len(labels))
    # nColumns is often wrong in real files (columns were removed); nRows is what shows a truncated one.
    declared = header.get("nRows", header.get("datarows", "")).strip()
    if declared.isdigit() and len(table) < int(declared):
        raise ValueError(f"{path}: truncated: the header says {declared} rows, there are {len(table)}")
    if len(table) < MIN_ROWS:
        raise ValueError(f"{path}: {len(table)} rows are too few, at least {MIN_ROWS} are needed")
    time = table[:, 0]
    steps = np.diff(time)
    if not (steps > 0).all():
        row = body[int(np.argmin(steps > 0)) + 2][0]
        raise ValueError(f"{path}: time does not increase at line {row}")
    if steps.max() > 5 * np.median(steps):
        row = body[int(np.argmax(steps)) + 2][0]
        raise ValueError(f"{path}: time jumps by {steps.max():.4g} s at line {row}")
    return Table(path, tuple(labels[1:]), time, table[:, 1:], header.get("inDegrees", "no").strip() == "yes")


def _short(label: str) -> str:
    parts = label.strip().split("/")
    return parts[-2] if len(parts) > 1 and parts[-1] == "value" else label.strip()


def _numbers(path: Path, row: int, line: str, labels: list[str]) -> list[float]:
    cells = line.split()
    if len(cells) != len(labels):
        raise ValueError(f"{path}: line {row} has {len(cells)} columns, the labels {len(labels)}")
    numbers = []
    for label, cell in zip(labels, cells, strict=True):
        try:
            numbers.append(float(cell))
        except ValueError:
            raise ValueError(f"{path}: line {row}, column {label!r}: {cell!r} is not a number") from None
    return numbers


def import_opensim(
    files: Iterable[str | Path],
    mass_kg: float,
    height_m: float | None = None,
    rate_hz: float = 200.0,
    *,
    knee_positive: Literal["flexion", "extension"] | None = None,
    emg_side: Literal["r", "l"] | None = None,
    subject_id: str = "",
    licence: str = "",
) -> Recording:
    """Join the OpenSim files of one walking trial into a recording at `rate_hz`.

    Each file is recognised by its columns: coordinates (short names or full paths, degrees or radians),
    inverse-dynamics moments (``*_moment``), ground reaction forces, EMG envelopes (0..1). Columns that are
    none of ours, such as the patella's ``*_beta``, are left out. Files may differ in rate and start: the
    common time span is kept, on the files' own clock; what is sampled faster is low-passed first.

    The person wears no exo, so ``torque/net`` = ``torque/biological`` = the moment. phase is linear between
    heel strikes and goes on at the trial's stride time before the first and after the last.

    mass_kg, height_m: of the subject. knee_positive: what a positive ``knee_angle`` means in the source
    model; by default the direction of the larger excursion is flexion. emg_side: leg of EMG columns that
    name none.

    Raises FileNotFoundError; ValueError naming file, row or column when a file is malformed, nothing in it is
    known, two files give the same column, or the files have no common time span.
    """
    tables = [read_table(path) for path in files]
    if not tables:
        raise ValueError("no files to import")
    grid = _common_grid(tables, rate_hz)
    knee = _knee_sign(tables, knee_positive)
    columns: dict[str, FloatArray] = {}
    strikes: dict[str, FloatArray] = {}
    for table in tables:
        found = _joints(table, grid, knee) | _pelvis(table, grid) | _emg(table, grid, emg_side)
        for side in SIDES:
            forces, strike = _plate(table, grid, side)
            found |= forces
            if forces:
                strikes[side] = strike
        if not found:
            shown = ", ".join(table.names[:4]) + (", ..." if len(table.names) > 4 else "")
            raise ValueError(
                f"{table.path}: no known coordinate, moment, ground force or EMG among its columns {shown}"
                f"{closest(table.names[0], [*_JOINT_OF_SIDED, *_LABEL_TO_MUSCLE])}"
            )
        if twice := sorted(columns.keys() & found.keys()):
            raise ValueError(f"{table.path}: gives {twice[0]!r}, which another file gave already")
        columns |= found
    columns |= _phases(strikes, grid)
    ordered = dict(sorted(columns.items(), key=lambda item: _column_order(item[0])))
    sources = ", ".join(table.path.name for table in tables)
    return Recording(
        {"time": grid, "mode": np.full(len(grid), "walk"), **ordered},
        {
            "subject": {"id": subject_id, "mass_kg": mass_kg, "height_m": height_m},
            "scenario": "import",
            "rate_hz": rate_hz,
            "licence": licence,
            "events": [{"time": float(grid[0]), "kind": "import", "detail": sources}],
        },
    )


def _column_order(name: str) -> int:
    families = ("phase", "angle", "velocity", "torque", "grf", "cop", "emg_env", "pelvis")
    return families.index(name.split("/")[0])


def _common_grid(tables: Sequence[Table], rate_hz: float) -> FloatArray:
    start, stop = max(t.time[0] for t in tables), min(t.time[-1] for t in tables)
    ticks = np.arange(np.ceil(start * rate_hz - 1e-6), np.floor(stop * rate_hz + 1e-6) + 1)
    if len(ticks) < 2:
        spans = "; ".join(f"{t.path.name} {t.time[0]:.3f} to {t.time[-1]:.3f} s" for t in tables)
        raise ValueError(f"the files have no common time span: {spans}")
    return ticks / rate_hz


def _smooth(table: Table, values: FloatArray, rate_hz: float, cutoff_hz: float | None = None) -> CubicSpline:
    """A column as a function of time, without what `rate_hz` cannot carry or what lies above the cutoff.

    Zero-phase Butterworth of 4th order, forward and backward.
    """
    dt = float(np.median(np.diff(table.time)))
    count = round((table.time[-1] - table.time[0]) / dt) + 1
    even = np.linspace(table.time[0], table.time[-1], count)
    signal = np.interp(even, table.time, values)
    source_hz = 1.0 / dt
    limit = 0.4 * rate_hz if source_hz > 1.01 * rate_hz else np.inf
    limit = min(limit, cutoff_hz or np.inf)
    if limit < 0.45 * source_hz:
        # Reflected ends as long as the filter remembers; the default is too short for so low a cutoff.
        pad = min(count - 1, int(3 * source_hz / limit))
        signal = sosfiltfilt(butter(2, limit, fs=source_hz, output="sos"), signal, padlen=pad)
    return CubicSpline(even, signal)


def _knee_sign(tables: Sequence[Table], knee_positive: str | None) -> float:
    """+1 where the source's knee angle is positive in flexion (Rajagopal), -1 in extension (gait2392)."""
    if knee_positive is not None:
        if knee_positive not in ("flexion", "extension"):
            raise ValueError(f"knee_positive is {knee_positive!r}, not 'flexion' or 'extension'")
        return 1.0 if knee_positive == "flexion" else -1.0
    knees = ("knee_angle_r", "knee_angle_l")
    for table in tables:
        held = [table[name] for name in knees if name in table.names]
        if held:
            angle = np.concatenate(held) * (np.pi / 180 if table.in_degrees else 1.0)
            if np.abs(angle).max() < np.deg2rad(20):
                raise ValueError(f"{table.path}: the knee bends less than 20 deg: say knee_positive")
            return 1.0 if angle.max() > -angle.min() else -1.0
    if any(f"{knee}_moment" in table.names for table in tables for knee in knees):
        raise ValueError("knee moments without knee angles: say knee_positive, the sign cannot be told")
    return 1.0


def _joints(table: Table, grid: FloatArray, knee: float) -> dict[str, FloatArray]:
    rate_hz = 1.0 / (grid[1] - grid[0])
    scale = np.pi / 180 if table.in_degrees else 1.0
    columns = {}
    for theirs, ours in _JOINT_OF_SIDED.items():
        sign = knee if theirs.startswith("knee") else 1.0
        if theirs in table.names:
            angle = sign * scale * _finite(table, theirs)
            columns[f"angle/{ours}"] = _smooth(table, angle, rate_hz)(grid)
            columns[f"velocity/{ours}"] = _smooth(table, angle, rate_hz, VELOCITY_CUTOFF_HZ)(grid, 1)
        if f"{theirs}_moment" in table.names:
            moment = _smooth(table, sign * _finite(table, f"{theirs}_moment"), rate_hz)(grid)
            columns[f"torque/net/{ours}"] = moment
            columns[f"torque/biological/{ours}"] = moment.copy()
    return columns


def _pelvis(table: Table, grid: FloatArray) -> dict[str, FloatArray]:
    if not all(name in table.names for name in _PELVIS):
        return {}
    rate_hz = 1.0 / (grid[1] - grid[0])
    x, y, z = _to_world(*(_finite(table, name) for name in _PELVIS))
    columns = {f"pelvis/{a}": _smooth(table, v, rate_hz)(grid) for a, v in zip("xyz", (x, y, z), strict=True)}
    for axis, values in zip("xyz", (x, y, z), strict=True):
        columns[f"pelvis/v{axis}"] = _smooth(table, values, rate_hz, VELOCITY_CUTOFF_HZ)(grid, 1)
    return columns


def _to_world(x: FloatArray, y: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """OpenSim's axes (x forward, y up, z right) to ours (x forward, y left, z up)."""
    return x, -z, y


def _plate(table: Table, grid: FloatArray, side: str) -> tuple[dict[str, FloatArray], FloatArray]:
    """Force and centre of pressure under one foot, and the times of its heel strikes in the whole file."""
    held = {}
    for name in table.names:
        if (match := _PLATE.fullmatch(name)) is None:
            continue
        named = (match["side"] or match["pre"] or "r").lower().replace("1", "l")
        if named == side:
            held[match["what"].lower()] = name
    if not {"vx", "vy", "vz"} <= held.keys():
        return {}, np.array([])
    rate_hz = 1.0 / (grid[1] - grid[0])
    force = _to_world(*(_finite(table, held[k]) for k in ("vx", "vy", "vz")))
    up = force[2]
    silent = np.interp(grid, table.time, up) <= 0.0  # filtering must not put force under a lifted foot
    columns = {}
    for axis, values in zip("xyz", force, strict=True):
        columns[f"grf/{side}/{axis}"] = np.where(silent, 0.0, _smooth(table, values, rate_hz)(grid))
    columns[f"grf/{side}/z"] = np.maximum(columns[f"grf/{side}/z"], 0.0)
    loaded = up > LOADED_N
    if {"px", "pz"} <= held.keys() and loaded.any():
        columns |= _centre_of_pressure(table, grid, side, held, loaded)
    return columns, _heel_strikes(table.time, loaded)


def _centre_of_pressure(
    table: Table, grid: FloatArray, side: str, held: dict[str, str], loaded: NDArray[np.bool_]
) -> dict[str, FloatArray]:
    """Where the foot is loaded; NaN elsewhere, where plates report nonsense."""
    time, on_grid = table.time[loaded], np.interp(grid, table.time, loaded.astype(float)) > 0.99
    px, pz = (_finite(table, held[key])[loaded] for key in ("px", "pz"))
    # Nobody's trial is 10 m from its origin on average: such positions are millimetres.
    unit = 1e-3 if np.median(np.hypot(px, pz)) > 10.0 else 1.0
    x, y, _ = _to_world(px * unit, np.zeros_like(px), pz * unit)
    return {
        f"cop/{side}/{axis}": np.where(on_grid, np.interp(grid, time, values), np.nan)
        for axis, values in (("x", x), ("y", y))
    }


def _heel_strikes(time: FloatArray, loaded: NDArray[np.bool_]) -> FloatArray:
    """Times at which the foot gets loaded after a swing of at least `MIN_SWING_S`."""
    edges = np.flatnonzero(np.diff(loaded.astype(int)))
    strikes, lifted = [], None
    for edge in edges:
        if not loaded[edge + 1]:
            lifted = time[edge + 1]
        elif lifted is None or time[edge + 1] - lifted >= MIN_SWING_S:
            strikes.append(time[edge + 1])
    return np.array(strikes)


def _phases(strikes: dict[str, FloatArray], grid: FloatArray) -> dict[str, FloatArray]:
    strides = np.concatenate([np.diff(times) for times in strikes.values()] or [np.array([])])
    if len(strides) == 0:
        return {}
    stride = float(np.median(strides))
    phases = {}
    for side, times in strikes.items():
        if len(times):
            before = times[0] - stride * np.arange(np.ceil(max(times[0] - grid[0], 0.0) / stride), 0, -1)
            after = times[-1] + stride * np.arange(1, np.ceil(max(grid[-1] - times[-1], 0.0) / stride) + 2)
            knots = np.concatenate([before, times, after])
            phases[f"phase/{side}"] = np.interp(grid, knots, np.arange(len(knots))) % 1.0
    return phases


def _emg(table: Table, grid: FloatArray, emg_side: str | None) -> dict[str, FloatArray]:
    held: dict[str, list[FloatArray]] = {}
    for name in table.names:
        label, side = (name[:-2], name[-1]) if name[-2:] in ("_r", "_l") else (name, emg_side)
        muscle = _LABEL_TO_MUSCLE.get(label.lower())
        if muscle is None:
            continue
        if side is None:
            raise ValueError(f"{table.path}: EMG column {name!r} names no leg: say emg_side 'r' or 'l'")
        values = _finite(table, name)
        # Low-passed envelopes undershoot zero a little, raw EMG swings as far below it as above.
        if values.min() < -0.1 or values.max() > 1.0 + 1e-6:
            raise ValueError(f"{table.path}: EMG column {name!r} is no envelope within 0..1")
        held.setdefault(f"{muscle}_{side}", []).append(values)
    rate_hz = 1.0 / (grid[1] - grid[0])
    return {
        f"emg_env/{muscle}": np.clip(_smooth(table, np.mean(several, axis=0), rate_hz)(grid), 0.0, 1.0)
        for muscle, several in held.items()
    }


def _finite(table: Table, name: str) -> FloatArray:
    values = table[name]
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise ValueError(f"{table.path}: column {name!r} is not finite at time {table.time[row]:.4f}")
    return values
