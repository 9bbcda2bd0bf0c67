"""LocoHub CSV: its names, units and signs by hand, and the way back."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from exotwin.sim.exchange.csv_table import import_csv, read_labels
from exotwin.sim.exchange.locohub import COLUMNS, locohub_map, write_locohub
from exotwin.sim.recording import unit_of
from made_up import MASS, made_up

# Of LocoHub's feature_constants.py, independent of our table.
STANDARD = {
    "time_s",
    "phase_ipsi",
    "hip_flexion_angle_ipsi_rad",
    "ankle_dorsiflexion_velocity_contra_rad_s",
    "knee_flexion_moment_contra_Nm_kg",
    "hip_rotation_moment_ipsi_Nm_kg",
    "knee_flexion_assistance_moment_ipsi_Nm_kg",
    "hip_flexion_biological_moment_contra_Nm_kg",
    "grf_vertical_ipsi_BW",
    "grf_lateral_contra_BW",
    "cop_anterior_ipsi_m",
    "pelvis_sagittal_angle_rad",
    "emg_soleus_ipsi_pMVC",
}


def read(path: Path) -> dict[str, list[str]]:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    return dict(zip(rows[0], zip(*rows[1:], strict=True), strict=True))


def test_names_units_and_signs(tmp_path: Path) -> None:
    recording = made_up()
    write_locohub(recording, tmp_path / "a.csv")
    found = read(tmp_path / "a.csv")
    assert set(found) >= STANDARD
    i = 90
    assert found["subject"][i] == "s01"
    assert found["subject_metadata"][i] == "age:31.0,sex:F,height_m:1.7,weight_kg:70.0"
    assert (found["task"][i], found["task_id"][i]) == ("level_walking", "level")
    assert found["task_info"][i] == "speed_m_s:1.20,treadmill:false,ipsi:right"
    assert (found["task"][-1], found["task_id"][-1]) == ("incline_walking", "incline_8deg")
    assert "incline_deg:8.0" in found["task_info"][-1]
    assert found["assistance_active"][i] == "True"
    assert found["phase_ipsi"][0] == ""
    number = {name: float(found[name][i]) for name in STANDARD}
    assert number["phase_ipsi"] == pytest.approx(100 * recording["phase/r"][i])
    assert number["knee_flexion_moment_contra_Nm_kg"] == pytest.approx(recording["torque/net/knee_flexion_l"][i] / MASS)
    assert number["grf_vertical_ipsi_BW"] == pytest.approx(recording["grf/r/z"][i] / (9.81 * MASS))
    assert number["grf_lateral_contra_BW"] == pytest.approx(-recording["grf/l/y"][i] / (9.81 * MASS))
    assert number["emg_soleus_ipsi_pMVC"] == pytest.approx(100 * recording["emg_env/soleus_r"][i])
    # The pelvis was pitched nose down by 0.2 cos(t): anterior tilt.
    assert number["pelvis_sagittal_angle_rad"] == pytest.approx(0.2 * np.cos(recording["time"][i]), abs=0.01)
    assert set(found["step"]) == {"0", "1"}


@pytest.mark.parametrize("ipsi", ["r", "l"])
def test_round_trip(tmp_path: Path, ipsi: str) -> None:
    recording = made_up()
    path = tmp_path / "a.csv"
    write_locohub(recording, path, ipsi)  # type: ignore[arg-type]
    column_map = locohub_map(path, read_labels(path), ipsi)  # type: ignore[arg-type]
    back = import_csv(path, column_map, MASS).recording
    shared = [source.to for source in column_map.columns.values() if source.to in recording]
    assert len(shared) > 45
    for name in shared:
        if unit_of(name):
            np.testing.assert_allclose(back[name], recording[name], rtol=1e-12, atol=1e-12, err_msg=name)
        else:
            np.testing.assert_array_equal(back[name], recording[name])
    # What is read back goes out as the same file, whose pelvis angles then are columns of their own.
    write_locohub(back, tmp_path / "b.csv", ipsi)  # type: ignore[arg-type]
    first, second = read(path), read(tmp_path / "b.csv")
    for name in second:
        if name.endswith(("_rad", "_BW", "_m", "_pMVC")):
            a, b = (np.array([float(cell or "nan") for cell in table[name]]) for table in (first, second))
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_a_column_without_values_is_left_out(tmp_path: Path) -> None:
    recording = made_up()
    recording.columns["phase/l"][:] = np.nan
    write_locohub(recording, tmp_path / "a.csv")
    labels = read_labels(tmp_path / "a.csv")
    assert "phase_ipsi" in labels
    assert "phase_contra" not in labels


def test_every_column_of_ours_exists() -> None:
    for column in COLUMNS:
        unit_of(column.ours.format(side="r"))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.csv: no column 'time_s'"):
        locohub_map(Path("a.csv"), ["time", "phase_ipsi"])
    with pytest.raises(ValueError, match="ipsi is 'right'"):
        write_locohub(made_up(), tmp_path / "a.csv", "right")  # type: ignore[arg-type]
