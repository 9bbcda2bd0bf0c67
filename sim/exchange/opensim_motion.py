"""Recordings as OpenSim's files, so that its inverse dynamics can check our torques.

Coordinates are those of gait2392 and Rajagopal's model, the knee positive in flexion as in the latter.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

import numpy as np

from ...controllers.device import SIDES
from ...controllers.interface import FloatArray
from ..recording import Recording
from ..subjects import Subject
from ..terrain import Terrain, ground_height
from .opensim_axes import TO_OPENSIM, pelvis_angles
from .opensim_import import JOINT_OF
from .opensim_model import write_osim
from .sto import write_table
from .whole_file import written_whole

_PLATE = "ground_{what}_{side}_{kind}"


class OpenSimFiles(NamedTuple):
    """What `export_opensim` wrote; model is None where the metadata do not tell the body."""

    coordinates: Path
    forces: Path | None
    loads: Path | None
    model: Path | None
    setup: Path | None


def export_opensim(recording: Recording, path: str | Path) -> OpenSimFiles:
    """Write a recording for OpenSim: ``NAME.mot`` at `path`, and beside it what its inverse dynamics needs.

    ``NAME.mot``: coordinates in degrees and m. ``NAME_grf.mot`` and ``NAME_loads.xml``: forces of the ground on the
    feet, at their centre of pressure, with the free moment. ``NAME.osim``: the person without muscles and device.
    ``NAME_id.xml``: the setup, for ``opensim-cmd run-tool NAME_id.xml``. Joint moments that OpenSim finds are our
    ``torque/net`` (`opensim_moments`). Raises ValueError naming a column that is
    missing or a body that is out of range, before anything is written.
    """
    path = Path(path)
    for name in ("pelvis/x", "pelvis/qw", *(f"angle/{ours}_{side}" for ours in JOINT_OF.values() for side in SIDES)):
        if name not in recording:
            raise ValueError(f"the recording has no column {name!r}, which OpenSim's coordinates need")
    who = {key: value for key, value in recording.meta["subject"].items() if value is not None}
    # All that can go wrong comes before the first file.
    body = Subject.from_dict(who) if {"height_m", "sex"} <= who.keys() else None
    motion = coordinates(recording)
    pushed = all(f"{what}/{side}/x" in recording for what in ("grf", "cop") for side in SIDES)
    ground = ground_forces(recording) if pushed else None
    forces = loads = model = setup = None
    write_table(path, "Coordinates", motion, in_degrees=True)
    if ground:
        forces, loads = (path.with_name(f"{path.stem}{tail}") for tail in ("_grf.mot", "_loads.xml"))
        write_table(forces, "Forces of the ground on the feet", ground)
        _write(loads, _loads_xml(forces.name))
    if body:
        model = path.with_suffix(".osim")
        write_osim(body, model)
    if model and loads:
        setup = path.with_name(f"{path.stem}_id.xml")
        span = motion["time"][[0, -1]]
        _write(setup, _setup_xml(model.name, path.name, loads.name, (span[0], span[1]), f"{path.stem}_id.sto"))
    return OpenSimFiles(path, forces, loads, model, setup)


def coordinates(recording: Recording) -> dict[str, FloatArray]:
    """OpenSim's coordinates over time: angles in degrees, (n,) each, ``time`` first."""
    tilt, list_, rotation = pelvis_angles(recording)
    columns = {"time": recording["time"]}
    for name, angle in (("pelvis_tilt", tilt), ("pelvis_list", list_), ("pelvis_rotation", rotation)):
        columns[name] = np.rad2deg(angle)
    place = np.column_stack([recording[f"pelvis/{a}"] for a in "xyz"]) @ TO_OPENSIM.T
    columns |= {f"pelvis_t{a}": place[:, i] for i, a in enumerate("xyz")}
    for side in SIDES:
        for theirs, ours in JOINT_OF.items():
            columns[f"{theirs}_{side}"] = np.rad2deg(recording[f"angle/{ours}_{side}"])
    return columns


def ground_forces(recording: Recording) -> dict[str, FloatArray]:
    """Force (N), its point (m) and free moment (Nm) of the ground on each foot, in OpenSim's axes, (n,) each.

    Where a foot has no centre of pressure, all are zero. The point lies on the terrain of the recording's metadata.
    The free moment is zero in recordings that have no column ``free_moment/<side>``.
    """
    terrain = Terrain.model_validate(recording.meta["terrain"]).rows()
    columns = {"time": recording["time"]}
    for side in SIDES:
        x, y = recording[f"cop/{side}/x"], recording[f"cop/{side}/y"]
        on = np.isfinite(x) & np.isfinite(y)
        z = np.array([ground_height(terrain, at) if loaded else 0.0 for at, loaded in zip(x, on, strict=True)])
        force = np.column_stack([recording[f"grf/{side}/{a}"] for a in "xyz"])
        point = np.column_stack([x, y, z])
        moment = np.zeros_like(point)
        if f"free_moment/{side}" in recording:
            moment[:, 2] = recording[f"free_moment/{side}"]
        for what, kind, values in (("force", "v", force), ("force", "p", point), ("torque", "", moment)):
            turned = np.where(on[:, None], values, 0.0) @ TO_OPENSIM.T
            for i, axis in enumerate("xyz"):
                columns[_PLATE.format(what=what, side=side, kind=kind + axis)] = turned[:, i]
    return columns


def opensim_moments(recording: Recording) -> dict[str, FloatArray]:
    """What OpenSim's inverse dynamics of the same motion should call and find: ``<coordinate>_moment`` in Nm.

    The toe joints are left out: the whole ground force acts on one body, so their moment cannot be found.
    """
    return {
        f"{theirs}_{side}_moment": recording[f"torque/net/{ours}_{side}"]
        for side in SIDES
        for theirs, ours in JOINT_OF.items()
        if theirs != "mtp_angle"
    }


def _write(path: Path, text: str) -> None:
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _loads_xml(data: str) -> str:
    """Both feet's forces, on the heel's body."""
    forces = "".join(
        f"""
      <ExternalForce name="foot_{side}">
        <applied_to_body>calcn_{side}</applied_to_body>
        <force_expressed_in_body>ground</force_expressed_in_body>
        <point_expressed_in_body>ground</point_expressed_in_body>
        <force_identifier>{_PLATE.format(what="force", side=side, kind="v")}</force_identifier>
        <point_identifier>{_PLATE.format(what="force", side=side, kind="p")}</point_identifier>
        <torque_identifier>{_PLATE.format(what="torque", side=side, kind="")}</torque_identifier>
        <data_source_name>{escape(data)}</data_source_name>
      </ExternalForce>"""
        for side in SIDES
    )
    return f"""<?xml version="1.0" encoding="UTF-8" ?>
<OpenSimDocument Version="40000">
  <ExternalLoads name="loads">
    <objects>{forces}
    </objects>
    <datafile>{escape(data)}</datafile>
  </ExternalLoads>
</OpenSimDocument>
"""


def _setup_xml(model: str, motion: str, loads: str, span: tuple[float, float], output: str) -> str:
    """Inverse dynamics of the whole motion, not filtered: a simulation has no marker noise."""
    return f"""<?xml version="1.0" encoding="UTF-8" ?>
<OpenSimDocument Version="40000">
  <InverseDynamicsTool name="inverse_dynamics">
    <results_directory>.</results_directory>
    <model_file>{escape(model)}</model_file>
    <time_range>{span[0]:.9g} {span[1]:.9g}</time_range>
    <forces_to_exclude>Muscles</forces_to_exclude>
    <external_loads_file>{escape(loads)}</external_loads_file>
    <coordinates_file>{escape(motion)}</coordinates_file>
    <lowpass_cutoff_frequency_for_coordinates>-1</lowpass_cutoff_frequency_for_coordinates>
    <output_gen_force_file>{escape(output)}</output_gen_force_file>
  </InverseDynamicsTool>
</OpenSimDocument>
"""
