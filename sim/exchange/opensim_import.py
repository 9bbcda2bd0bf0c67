"""Real trials from OpenSim's files (.sto, .mot) as a recording: coordinates, moments, forces, EMG.

The one place that knows what OpenSim's models call things and the two signs they give the knee.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...controllers.config import require_known
from ...controllers.device import SIDES
from ...controllers.interface import FloatArray, closest
from ..recording import Recording
from .opensim_axes import PELVIS_ANGLES, pelvis_quaternion
from .plausible import check_gait, check_source
from .signals import LOADED_N, common_grid, heel_strikes, phases, smooth, velocity
from .sto import Table, read_table

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

# ground_force_r_vx; ground_force_vx (right) and 1_ground_force_vx (left) of gait2392; R_ground_force_vx; and the same
# of ground_torque_r_y.
_PLATE = re.compile(
    r"(?:(?P<pre>[rl1])_)?ground_(?:force|torque)_(?:(?P<side>[rl])_)?(?P<what>[vp]?[xyz])", re.IGNORECASE
)


def import_opensim(
    files: Iterable[str | Path],
    mass_kg: float,
    height_m: float | None = None,
    rate_hz: float = 200.0,
    *,
    knee_positive: Literal["flexion", "extension"] | None = None,
    emg_side: Literal["r", "l"] | None = None,
    mode: str = "walk",
    subject_id: str = "",
    licence: str = "",
) -> Recording:
    """Join the OpenSim files of one trial into a recording at `rate_hz`.

    Each file is recognised by its columns: coordinates (short names or full paths, degrees or radians),
    inverse-dynamics moments (``*_moment``), ground reaction forces, EMG envelopes (0..1). Columns that are
    none of ours, such as the patella's ``*_beta``, are left out. Files may differ in rate and start: the
    common time span is kept, on the files' own clock; what is sampled faster is low-passed first.

    The person wears no exo, so ``torque/net`` = ``torque/biological`` = the moment. phase is linear between
    heel strikes and goes on at the trial's stride time before the first and after the last.

    mass_kg, height_m: of the subject. knee_positive: what a positive ``knee_angle`` means in the source
    model; by default the direction of the larger excursion is flexion. emg_side: leg of EMG columns that
    name none. mode: what the person does.

    Raises FileNotFoundError; ValueError naming file, line and column when a file is malformed or holds what no person
    reaches (another unit?), nothing in it is known, two files give the same column, or the files have no common span.
    """
    tables = [read_table(path) for path in files]
    if not tables:
        raise ValueError("no files to import")
    grid = common_grid({table.path.name: table.time for table in tables}, rate_hz)
    knee = _knee_sign(tables, knee_positive)
    if emg_side is not None:
        require_known("emg_side (--emg-side)", [emg_side], SIDES)
    columns: dict[str, FloatArray] = {}
    sources: dict[str, tuple[Path, str]] = {}
    strikes: dict[str, FloatArray] = {}
    for table in tables:
        found = _joints(table, grid, knee, mass_kg) | _pelvis(table, grid, mass_kg) | _emg(table, grid, emg_side)
        for side in SIDES:
            forces, strike = _plate(table, grid, side, mass_kg)
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
        sources |= {ours: (table.path, theirs) for ours, theirs in _names(table).items()}
    columns |= phases(strikes, grid)
    ordered = dict(sorted(columns.items(), key=lambda item: _column_order(item[0])))
    whole: dict[str, NDArray[Any]] = {"time": grid, "mode": np.full(len(grid), mode), **ordered}
    check_gait(whole, sources, mass_kg)
    return Recording(
        whole,
        {
            "subject": {"id": subject_id, "mass_kg": mass_kg, "height_m": height_m},
            "scenario": "import",
            "rate_hz": rate_hz,
            "licence": licence,
            "events": [{"time": float(grid[0]), "kind": "import", "detail": ", ".join(t.path.name for t in tables)}],
        },
    )


def _column_order(name: str) -> int:
    families = ("phase", "angle", "velocity", "torque", "grf", "cop", "free_moment", "emg_env", "pelvis")
    return families.index(name.split("/")[0])


def _knee_sign(tables: Sequence[Table], knee_positive: str | None) -> float:
    """+1 where the source's knee angle is positive in flexion (Rajagopal), -1 in extension (gait2392)."""
    if knee_positive is not None:
        require_known("knee_positive (--knee-positive)", [knee_positive], ("flexion", "extension"))
        return 1.0 if knee_positive == "flexion" else -1.0
    knees = ("knee_angle_r", "knee_angle_l")
    for table in tables:
        held = [name for name in knees if name in table.names]
        if held:
            angle = np.concatenate([table.finite(name) for name in held]) * (np.pi / 180 if table.in_degrees else 1.0)
            if np.abs(angle).max() < np.deg2rad(20):
                raise ValueError(
                    f"{table.path}: column {held[0]!r}: the knee bends less than 20 deg: say knee_positive"
                    " (--knee-positive)"
                )
            return 1.0 if angle.max() > -angle.min() else -1.0
    for table in tables:
        for moment in (f"{knee}_moment" for knee in knees):
            if moment in table.names:
                raise ValueError(
                    f"{table.path}: column {moment!r}: knee moments without knee angles: say knee_positive"
                    " (--knee-positive), the sign cannot be told"
                )
    return 1.0


def _names(table: Table) -> dict[str, str]:
    """Our column -> the table's, of those that `check_gait` may complain of."""
    names = {f"angle/{ours}": theirs for theirs, ours in _JOINT_OF_SIDED.items()}
    names |= {f"torque/net/{ours}": f"{theirs}_moment" for theirs, ours in _JOINT_OF_SIDED.items()}
    names |= {f"grf/{side}/z": _plate_names(table, side).get("vy", "") for side in SIDES}
    return {ours: theirs for ours, theirs in names.items() if theirs in table.names}


def _column(table: Table, name: str, column: str, factor: float, mass_kg: float) -> FloatArray:
    """A column times `factor`, which makes it ours; ValueError where it is not finite or more than `column` can be."""
    values = factor * table.finite(name)
    check_source(table.path, name, column, values, table.lines, mass_kg)
    return values


def _joints(table: Table, grid: FloatArray, knee: float, mass_kg: float) -> dict[str, FloatArray]:
    rate_hz = 1.0 / (grid[1] - grid[0])
    scale = np.pi / 180 if table.in_degrees else 1.0
    columns = {}
    for theirs, ours in _JOINT_OF_SIDED.items():
        sign = knee if theirs.startswith("knee") else 1.0
        if theirs in table.names:
            angle = _column(table, theirs, f"angle/{ours}", sign * scale, mass_kg)
            columns[f"angle/{ours}"] = smooth(table.time, angle, rate_hz)(grid)
            columns[f"velocity/{ours}"] = velocity(table.time, angle, grid)
        if f"{theirs}_moment" in table.names:
            torque = _column(table, f"{theirs}_moment", f"torque/net/{ours}", sign, mass_kg)
            columns[f"torque/net/{ours}"] = smooth(table.time, torque, rate_hz)(grid)
            columns[f"torque/biological/{ours}"] = columns[f"torque/net/{ours}"].copy()
    return columns


def _pelvis(table: Table, grid: FloatArray, mass_kg: float) -> dict[str, FloatArray]:
    if not all(name in table.names for name in _PELVIS):
        return {}
    rate_hz = 1.0 / (grid[1] - grid[0])
    place = _to_world(*(_column(table, name, f"pelvis/{name[-1]}", 1.0, mass_kg) for name in _PELVIS))
    columns = {f"pelvis/{a}": smooth(table.time, v, rate_hz)(grid) for a, v in zip("xyz", place, strict=True)}
    columns |= {f"pelvis/v{a}": velocity(table.time, v, grid) for a, v in zip("xyz", place, strict=True)}
    if all(name in table.names for name in PELVIS_ANGLES):
        scale = np.pi / 180 if table.in_degrees else 1.0
        turns = (smooth(table.time, scale * table.finite(n), rate_hz) for n in PELVIS_ANGLES)
        columns |= pelvis_quaternion(*(turn(grid) for turn in turns))
    return columns


def _to_world(x: FloatArray, y: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """OpenSim's axes (x forward, y up, z right) to ours (x forward, y left, z up)."""
    return x, -z, y


def _plate(table: Table, grid: FloatArray, side: str, mass_kg: float) -> tuple[dict[str, FloatArray], FloatArray]:
    """Force and centre of pressure under one foot, and the times of its heel strikes in the whole file."""
    held = _plate_names(table, side)
    if not {"vx", "vy", "vz"} <= held.keys():
        return {}, np.array([])
    rate_hz = 1.0 / (grid[1] - grid[0])
    force = _to_world(*(_column(table, held[f"v{a}"], f"grf/{side}/{a}", 1.0, mass_kg) for a in "xyz"))
    up = force[2]
    silent = np.interp(grid, table.time, up) <= 0.0  # filtering must not put force under a lifted foot
    columns = {}
    for axis, values in zip("xyz", force, strict=True):
        columns[f"grf/{side}/{axis}"] = np.where(silent, 0.0, smooth(table.time, values, rate_hz)(grid))
    columns[f"grf/{side}/z"] = np.maximum(columns[f"grf/{side}/z"], 0.0)
    loaded = up > LOADED_N
    if {"px", "pz"} <= held.keys() and loaded.any():
        columns |= _centre_of_pressure(table, grid, side, held, loaded)
    if (turning := held.get("y")) is not None:
        moment = _column(table, turning, f"free_moment/{side}", 1.0, mass_kg)
        columns[f"free_moment/{side}"] = np.where(silent, 0.0, smooth(table.time, moment, rate_hz)(grid))
    return columns, heel_strikes(table.time, loaded)


def _plate_names(table: Table, side: str) -> dict[str, str]:
    """The columns of the plate under one foot by what they are: vx, px, y (the free moment) and so on."""
    held = {}
    for name in table.names:
        if (match := _PLATE.fullmatch(name)) is None:
            continue
        named = (match["side"] or match["pre"] or "r").lower().replace("1", "l")
        if named == side:
            held[match["what"].lower()] = name
    return held


def _centre_of_pressure(
    table: Table, grid: FloatArray, side: str, held: dict[str, str], loaded: NDArray[np.bool_]
) -> dict[str, FloatArray]:
    """Where the foot is loaded; NaN elsewhere, where plates report nonsense."""
    time, on_grid = table.time[loaded], np.interp(grid, table.time, loaded.astype(float)) > 0.99
    px, pz = (table.finite(held[key], loaded)[loaded] for key in ("px", "pz"))
    # Nobody's trial is 10 m from its origin on average: such positions are millimetres.
    unit = 1e-3 if np.median(np.hypot(px, pz)) > 10.0 else 1.0
    x, y, _ = _to_world(px * unit, np.zeros_like(px), pz * unit)
    return {
        f"cop/{side}/{axis}": np.where(on_grid, np.interp(grid, time, values), np.nan)
        for axis, values in (("x", x), ("y", y))
    }


def _emg(table: Table, grid: FloatArray, emg_side: str | None) -> dict[str, FloatArray]:
    held: dict[str, list[FloatArray]] = {}
    for name in table.names:
        label, side = (name[:-2], name[-1]) if name[-2:] in ("_r", "_l") else (name, emg_side)
        muscle = _LABEL_TO_MUSCLE.get(label.lower())
        if muscle is None:
            continue
        if side is None:
            raise ValueError(f"{table.path}: EMG column {name!r} names no leg: say emg_side (--emg-side) r or l")
        values = table.finite(name)
        # Low-passed envelopes undershoot zero a little, raw EMG swings as far below it as above.
        outside = np.flatnonzero((values < -0.1) | (values > 1.0 + 1e-6))
        if len(outside):
            line = table.lines[outside[0]]
            raise ValueError(f"{table.path}: line {line}: EMG column {name!r} is no envelope within 0..1")
        held.setdefault(f"{muscle}_{side}", []).append(values)
    rate_hz = 1.0 / (grid[1] - grid[0])
    return {
        f"emg_env/{muscle}": np.clip(smooth(table.time, np.mean(several, axis=0), rate_hz)(grid), 0.0, 1.0)
        for muscle, several in held.items()
    }
