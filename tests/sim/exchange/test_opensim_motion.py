"""Export to OpenSim: axes and signs by hand, and OpenSim's own inverse dynamics against our torques."""

from __future__ import annotations

import os
from pathlib import Path

import mujoco
import numpy as np
import pytest
from exotwin.controllers.device import SIDES
from exotwin.sim.exchange.opensim_axes import pelvis_angles
from exotwin.sim.exchange.opensim_import import JOINT_OF, import_opensim
from exotwin.sim.exchange.opensim_motion import coordinates, export_opensim, ground_forces, opensim_moments
from exotwin.sim.exchange.sto import read_table, write_table
from exotwin.sim.recording import Recording
from made_up import MASS, made_up
from scipy.signal import butter, sosfiltfilt

LOWPASS_HZ = 20.0  # for both, as gait laboratories filter; sampling does not resolve the instant of heel strike


def turned(axis: str, degrees: float) -> Recording:
    """Somebody whose pelvis is turned about one of our world's axes."""
    recording, half = made_up(), np.deg2rad(degrees) / 2
    for name in "wxyz":
        recording.columns[f"pelvis/q{name}"] = np.zeros(len(recording))
    recording.columns["pelvis/qw"] += np.cos(half)
    recording.columns[f"pelvis/q{axis}"] += np.sin(half)
    return recording


def test_pelvis_angles_by_hand() -> None:
    """OpenSim turns about right, forward and up; ours are left, forward and up."""
    for axis, expected in (("y", (-10, 0, 0)), ("x", (0, 10, 0)), ("z", (0, 0, 10))):
        found = [np.rad2deg(angle[0]) for angle in pelvis_angles(turned(axis, 10.0))]
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_rotation_goes_on_past_half_a_turn() -> None:
    recording = made_up()
    yaw = np.linspace(0, 2 * np.pi, len(recording))
    recording.columns |= {"pelvis/qw": np.cos(yaw / 2), "pelvis/qz": np.sin(yaw / 2)}
    recording.columns |= {"pelvis/qx": np.zeros(len(yaw)), "pelvis/qy": np.zeros(len(yaw))}
    np.testing.assert_allclose(pelvis_angles(recording)[2], yaw, atol=1e-9)


def test_coordinates_and_forces_are_opensims() -> None:
    recording = made_up()
    found = coordinates(recording)
    np.testing.assert_allclose(found["pelvis_tx"], recording["pelvis/x"])
    np.testing.assert_allclose(found["pelvis_ty"], recording["pelvis/z"])
    np.testing.assert_allclose(found["pelvis_tz"], -recording["pelvis/y"])
    np.testing.assert_allclose(found["knee_angle_l"], np.rad2deg(recording["angle/knee_flexion_l"]))
    forces = ground_forces(recording)
    np.testing.assert_allclose(
        forces["ground_force_r_vy"], np.where(np.isnan(recording["cop/r/x"]), 0, recording["grf/r/z"])
    )
    loaded = np.isfinite(recording["cop/l/y"])
    np.testing.assert_allclose(forces["ground_force_l_pz"][loaded], -recording["cop/l/y"][loaded])
    assert not forces["ground_force_l_px"][~loaded].any()
    assert not forces["ground_torque_l_y"].any()


def test_the_point_of_force_lies_on_the_ramp() -> None:
    recording = made_up()
    sections = [{"kind": "level", "length_m": 0.5}, {"kind": "ramp", "slope_deg": 10.0, "length_m": 9.0}]
    recording.meta["terrain"] = {"sections": sections}
    loaded = np.isfinite(recording["cop/r/x"])
    expected = np.tan(np.deg2rad(10.0)) * np.clip(recording["cop/r/x"][loaded] - 0.5, 0, None)
    np.testing.assert_allclose(ground_forces(recording)["ground_force_r_py"][loaded], expected, atol=1e-9)


def test_what_is_exported_comes_back(tmp_path: Path) -> None:
    recording = made_up()
    files = export_opensim(recording, tmp_path / "trial.mot")
    assert {p.name for p in tmp_path.iterdir()} == {
        "trial.mot",
        "trial_grf.mot",
        "trial_loads.xml",
        "trial.osim",
        "trial_id.xml",
    }
    assert files.forces
    assert read_table(files.coordinates).in_degrees
    back = import_opensim([files.coordinates, files.forces], MASS, knee_positive="flexion")
    for ours in JOINT_OF.values():
        for side in SIDES:
            name = f"angle/{ours}_{side}"
            np.testing.assert_allclose(back[name], recording[name], atol=1e-9)
    for theirs, ours in zip(pelvis_angles(back), pelvis_angles(recording), strict=True):
        np.testing.assert_allclose(theirs, ours, atol=1e-9)
    for name in ("pelvis/x", "pelvis/y", "pelvis/z", "grf/r/y", "grf/l/z"):
        np.testing.assert_allclose(back[name], recording[name], atol=25.0 if "grf" in name else 1e-9)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    recording = made_up()
    del recording.columns["pelvis/qw"]
    with pytest.raises(ValueError, match="no column 'pelvis/qw'"):
        export_opensim(recording, tmp_path / "trial.mot")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="first column is 'a'"):
        write_table(tmp_path / "a.mot", "a", {"a": np.zeros(3)})


def test_a_body_out_of_range_leaves_nothing_behind(tmp_path: Path) -> None:
    recording = made_up()
    recording.meta["subject"]["height_m"] = 4.0
    with pytest.raises(ValueError, match="height_m = 4"):
        export_opensim(recording, tmp_path / "trial.mot")
    assert not list(tmp_path.iterdir())


def test_the_model_is_only_written_for_a_known_body(tmp_path: Path) -> None:
    recording = made_up()
    recording.meta["subject"]["height_m"] = None
    files = export_opensim(recording, tmp_path / "trial.mot")
    assert files.model is None
    assert files.setup is None
    assert files.loads


@pytest.mark.slow
def test_the_model_is_the_persons(tmp_path: Path) -> None:
    """Mass, and where every body lies in a posture, are MuJoCo's."""
    osim = pytest.importorskip("opensim")
    from exotwin.sim.exchange.opensim_model import write_osim
    from exotwin.sim.person import build_person
    from exotwin.sim.subjects import Subject

    subject = Subject("a & b", mass_kg=61.0, height_m=1.66, sex="female", thigh_ratio=1.03)
    write_osim(subject, tmp_path / "person.osim")
    theirs = osim.Model(str(tmp_path / "person.osim"))
    state = theirs.initSystem()
    ours = build_person(subject).compile()
    data = mujoco.MjData(ours)
    assert theirs.getTotalMass(state) == pytest.approx(61.0, rel=1e-6)
    rng = np.random.default_rng(3)
    for coordinate, joint in JOINT_OF.items():
        for side in SIDES:
            angle = rng.uniform(*ours.joint(f"{joint}_{side}").range)
            data.qpos[ours.joint(f"{joint}_{side}").qposadr[0]] = angle
            theirs.getCoordinateSet().get(f"{coordinate}_{side}").setValue(state, angle)
    data.qpos[2] = 0.9
    theirs.getCoordinateSet().get("pelvis_ty").setValue(state, 0.9)
    mujoco.mj_kinematics(ours, data)
    theirs.realizePosition(state)
    for b in range(2, ours.nbody):
        body = theirs.getBodySet().get(ours.body(b).name)
        centre = body.findStationLocationInGround(state, body.getMassCenter())
        x, y, z = data.xipos[b]
        np.testing.assert_allclose([centre.get(i) for i in range(3)], [x, z, -y], atol=1e-9, err_msg=body.getName())


@pytest.mark.slow
def test_opensim_inverse_dynamics_finds_our_torques(tmp_path: Path) -> None:
    """Level walking: what OpenSim computes from our motion and ground forces is torque/net (asked: within 5 % RMS)."""
    osim = pytest.importorskip("opensim")
    from walked import walk

    recording, free_moments = walk(2.0, rate_hz=500.0)
    for i, side in enumerate(SIDES):
        np.testing.assert_allclose(recording[f"free_moment/{side}"], free_moments[:, i], atol=1e-9)
    files = export_opensim(recording, tmp_path / "walk.mot")
    here = os.getcwd()
    os.chdir(tmp_path)  # the setup names the files beside it
    try:
        assert osim.InverseDynamicsTool(str(files.setup)).run()
    finally:
        os.chdir(here)
    found = read_table(tmp_path / "walk_id.sto")
    inside = (found.time > 0.1) & (found.time < found.time[-1] - 0.1)  # splines are free at their ends
    at = np.searchsorted(recording["time"], found.time - 1e-6)
    filtered = butter(2, LOWPASS_HZ, fs=500.0, output="sos")

    def rms(values: np.ndarray) -> float:
        return float(np.sqrt(np.mean(sosfiltfilt(filtered, values)[inside] ** 2)))

    moments = opensim_moments(recording)
    assert len(moments) == 10
    for name, torque in moments.items():
        assert rms(found[name] - torque[at]) < 0.02 * rms(torque[at]), name
    # Nothing but the ground holds the body up: no force is left over at the pelvis.
    weight = recording.meta["subject"]["mass_kg"] * 9.81
    for axis in "xyz":
        assert rms(found[f"pelvis_t{axis}_force"]) < 0.01 * weight
