"""CSV in the names of LocoHub, the locomotion data standard (time-indexed layout): export, and the map to read it back.

Names, units and order: `feature_constants.py` of LocoHub (https://github.com/jmontp/LocoHub, package locohub 0.1.0, its
"Locomotion Data Standard v2.0"); tasks and signs: "Reference" and "Sign Conventions" of its documentation. Moments are
positive in the direction of their coordinate, forces forward, up and to the right, as in OpenSim.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...controllers.interface import FloatArray
from ..recording import Recording
from .columns import ColumnMap, Source
from .opensim_axes import pelvis_angles
from .whole_file import written_whole

Side = Literal["r", "l"]

# Our mode -> LocoHub's task.
TASKS = {
    "walk": "level_walking",
    "ramp_up": "incline_walking",
    "ramp_down": "decline_walking",
    "stairs_up": "stair_ascent",
    "stairs_down": "stair_descent",
    "run": "run",
    "sit_to_stand": "sit_to_stand",
    "stand_to_sit": "stand_to_sit",
    "squat": "squats",
    "stand": "balance_pose",
    "": "functional_task",
}


class _Column(NamedTuple):
    """theirs, with {side} for ipsi or contra; ours, with {side} for r or l; theirs = sign x ours, in `unit`."""

    theirs: str
    ours: str
    unit: str
    sign: Literal[-1, 1] = 1


_SAGITTAL = ("hip_flexion", "knee_flexion", "ankle_dorsiflexion")
# A lumped muscle goes by the one of its muscles that electrodes are put on.
_MUSCLES = {
    "tibant": "tibialis_anterior",
    "gastroc": "gastrocnemius_medial",
    "soleus": "soleus",
    "rectfem": "rectus_femoris",
    "vasti": "vastus_lateralis",
    "hamstrings": "biceps_femoris",
    "glutmax": "gluteus_maximus",
    "abd": "gluteus_medius",
}
COLUMNS = (
    _Column("phase_{side}", "phase/{side}", "%"),
    *(_Column(f"{j}_angle_{{side}}_rad", f"angle/{j}_{{side}}", "rad") for j in (*_SAGITTAL, "hip_adduction")),
    _Column("pelvis_sagittal_angle_rad", "pelvis/pitch", "rad"),
    _Column("pelvis_frontal_angle_rad", "pelvis/roll", "rad", -1),
    _Column("pelvis_transverse_angle_rad", "pelvis/yaw", "rad"),
    *(_Column(f"{j}_velocity_{{side}}_rad_s", f"velocity/{j}_{{side}}", "rad/s") for j in _SAGITTAL),
    *(
        _Column(f"{j}_moment_{{side}}_Nm_kg", f"torque/net/{j}_{{side}}", "Nm/kg")
        for j in (*_SAGITTAL, "hip_adduction", "hip_rotation")
    ),
    *(_Column(f"{j}_assistance_moment_{{side}}_Nm_kg", f"torque/exo/{j}_{{side}}", "Nm/kg") for j in _SAGITTAL),
    *(_Column(f"{j}_biological_moment_{{side}}_Nm_kg", f"torque/biological/{j}_{{side}}", "Nm/kg") for j in _SAGITTAL),
    _Column("grf_vertical_{side}_BW", "grf/{side}/z", "BW"),
    _Column("grf_anterior_{side}_BW", "grf/{side}/x", "BW"),
    _Column("grf_lateral_{side}_BW", "grf/{side}/y", "BW", -1),
    _Column("cop_anterior_{side}_m", "cop/{side}/x", "m"),
    _Column("cop_lateral_{side}_m", "cop/{side}/y", "m", -1),
    *(_Column(f"emg_{name}_{{side}}_pMVC", f"emg_env/{ours}_{{side}}", "%") for ours, name in _MUSCLES.items()),
)


def _sided(ipsi: Side) -> Iterator[_Column]:
    """`COLUMNS` for both legs."""
    contra: Side = "l" if ipsi == "r" else "r"
    for column in COLUMNS:
        if "{side}" not in column.theirs:
            yield column
            continue
        for role, side in (("ipsi", ipsi), ("contra", contra)):
            yield column._replace(theirs=column.theirs.format(side=role), ours=column.ours.format(side=side))


def write_locohub(recording: Recording, path: str | Path, ipsi: Side = "r") -> None:
    """Write the columns that LocoHub has a name for as CSV, one row a sample, atomically; a missing value is empty.

    ipsi: the leg that defines the step and is called ipsilateral. Numbers are written so that they read back exactly.
    """
    if ipsi not in ("r", "l"):
        raise ValueError(f"ipsi is {ipsi!r}, not 'r' or 'l'")
    mass = recording.meta["subject"]["mass_kg"]
    have: dict[str, NDArray[Any]] = dict(recording.columns)
    if "pelvis/qw" in have:
        tilt, list_, rotation = pelvis_angles(recording)
        have |= {"pelvis/pitch": -tilt, "pelvis/roll": list_, "pelvis/yaw": rotation}
    columns: dict[str, list[Any]] = {name: values.tolist() for name, values in _about(recording, ipsi).items()}
    columns["time_s"] = have["time"].tolist()
    for column in _sided(ipsi):
        # A column without a value, such as the phase of somebody who stands, says nothing.
        if column.ours in have and np.isfinite(have[column.ours]).any():
            factor = Source(to=column.ours, unit=column.unit, sign=column.sign).factor(mass)
            columns[column.theirs] = [v if v == v else "" for v in (have[column.ours] / factor).tolist()]
    with written_whole(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def locohub_map(path: Path, labels: list[str], ipsi: Side = "r") -> ColumnMap:
    """The column map of a time-indexed LocoHub file with these labels. ValueError when it has none of them."""
    columns = {c.theirs: Source(to=c.ours, unit=c.unit, sign=c.sign) for c in _sided(ipsi) if c.theirs in labels}
    if not columns or "time_s" not in labels:
        raise ValueError(f"{path}: no column 'time_s', or none besides it, of LocoHub's time-indexed layout")
    columns["time_s"] = Source(to="time")
    if "task" in labels:
        columns["task"] = Source(to="mode", values={task: mode for mode, task in TASKS.items()})
    return ColumnMap(columns=columns)


def _about(recording: Recording, ipsi: Side) -> dict[str, NDArray[Any]]:
    """LocoHub's metadata columns, (n,) text each."""
    n, meta = len(recording), recording.meta
    who = meta["subject"]
    sex = {"male": "M", "female": "F"}.get(who["sex"] or "", "")
    known = (("age", who["age_years"]), ("sex", sex), ("height_m", who["height_m"]), ("weight_kg", who["mass_kg"]))
    modes = recording["mode"] if "mode" in recording else np.full(n, "")
    task_id, task_info = np.empty(n, dtype=object), np.empty(n, dtype=object)
    edges = [0, *(np.flatnonzero(modes[1:] != modes[:-1]) + 1), n]
    for a, b in pairwise(edges):
        task_id[a:b], task_info[a:b] = _segment(recording, slice(a, b), str(modes[a]), ipsi)
    worn = [v for name, v in recording.columns.items() if name.startswith("torque/exo/")]
    active = bool(worn) and any(np.any(np.nan_to_num(v) != 0.0) for v in worn)
    return {
        "subject": np.full(n, who["id"] or "unknown"),
        "subject_metadata": np.full(n, ",".join(f"{key}:{value}" for key, value in known if value)),
        "task": np.array([TASKS[mode] for mode in modes]),
        "task_id": task_id,
        "task_info": task_info,
        "step": _steps(recording, ipsi),
        "assistance_active": np.full(n, active),
    }


def _segment(recording: Recording, part: slice, mode: str, ipsi: Side) -> tuple[str, str]:
    """task_id and task_info of a run of one mode."""
    task = "level" if mode == "walk" else TASKS[mode]
    info = []
    if "pelvis/vx" in recording:
        info.append(f"speed_m_s:{float(np.mean(recording['pelvis/vx'][part])):.2f}")
    if mode in ("ramp_up", "ramp_down") and "terrain/slope" in recording:
        slope = np.rad2deg(recording["terrain/slope"][part])
        steepest = float(slope[np.argmax(np.abs(slope))])
        task = f"{'incline' if mode == 'ramp_up' else 'decline'}_{abs(steepest):.0f}deg"
        info.append(f"incline_deg:{steepest:.1f}")
    return task, ",".join([*info, "treadmill:false", f"ipsi:{'right' if ipsi == 'r' else 'left'}"])


def _steps(recording: Recording, ipsi: Side) -> FloatArray:
    """(n,) number of the ipsilateral leg's stride, from 0; all 0 where there is no phase."""
    if f"phase/{ipsi}" not in recording:
        return np.zeros(len(recording), dtype=np.int64)
    phase = np.nan_to_num(recording[f"phase/{ipsi}"])
    return np.concatenate([[0], np.cumsum(np.diff(phase) < -0.5)]).astype(np.int64)
