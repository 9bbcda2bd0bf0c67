"""The recording format: what is written reads back equal, and every bad input is named."""

import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from exotwin.sim import recording as recording_module
from exotwin.sim.recording import METADATA_KEY, Recording, read_recording, unit_of
from hypothesis import given, settings
from hypothesis import strategies as st

META = {"subject": {"id": "s01", "mass_kg": 70.0}, "rate_hz": 200.0}


def make(n: int = 50, **extra: np.ndarray) -> Recording:
    columns = {
        "time": np.arange(n) / 200.0,
        "mode": np.array(["stand"] * (n // 2) + ["walk"] * (n - n // 2)),
        "angle/knee_flexion_r": np.linspace(0.0, 1.0, n),
        "emg_env/soleus_l": np.where(np.arange(n) % 3 == 0, np.nan, 0.2),
    }
    events = [{"time": 0.1, "kind": "fault", "detail": "imu lost — café"}]
    return Recording(columns | extra, META | {"events": events, "device": "hip_knee_ankle", "seed": 3})


@pytest.mark.parametrize(
    ("column", "unit"),
    [
        ("time", "s"),
        ("mode", ""),
        ("phase/r", "1"),
        ("angle/hip_flexion_r", "rad"),
        ("velocity/mtp_extension_l", "rad/s"),
        ("torque/ligament/knee_flexion_l", "Nm"),
        ("activation/soleus_r", "1"),
        ("force/gastroc_l", "N"),
        ("grf/l/z", "N"),
        ("cop/r/y", "m"),
        ("imu/shank_l/ax", "m/s^2"),
        ("imu/pelvis/gz", "rad/s"),
        ("emg/vasti_r", "V"),
        ("emg_env/vasti_r", "1"),
        ("insole/r/force", "N"),
        ("insole/l/cop_x", "m"),
        ("encoder/ankle_dorsiflexion_r/angle", "rad"),
        ("encoder/ankle_dorsiflexion_r/velocity", "rad/s"),
        ("estimate/hip_flexion_l", "Nm/kg"),
        ("command/hip_flexion_l", "Nm"),
        ("delivered/hip_flexion_l", "Nm"),
        ("pelvis/z", "m"),
        ("pelvis/vx", "m/s"),
        ("metabolic/umberger2010", "W"),
    ],
)
def test_units(column: str, unit: str) -> None:
    assert unit_of(column) == unit


@pytest.mark.parametrize(
    ("column", "nearest"),
    [
        ("angel/hip_flexion_r", "'angle'"),
        ("angle/hip_flexon_r", "'hip_flexion_r'"),
        ("angle/knee_angle_r", "'knee_flexion_r'"),
        ("torque/nett/knee_flexion_r", "'net'"),
        ("grf/r/w", "grf/[rl]/[xyz]"),
        ("pelvis/u", "pelvis/[xyz]"),
        ("Time", "'time'"),
    ],
)
def test_unknown_column_names_the_nearest(column: str, nearest: str) -> None:
    with pytest.raises(ValueError) as caught:
        make(**{column: np.zeros(50)})
    assert repr(column) in str(caught.value)
    assert nearest in str(caught.value)


def test_reads_back_equal_and_readable_by_others(tmp_path: Path) -> None:
    written = make()
    written.write(tmp_path / "deep" / "run.parquet")
    back = read_recording(tmp_path / "deep" / "run.parquet")
    assert back == written
    assert back.meta["units"]["angle/knee_flexion_r"] == "rad"
    assert back.meta["duration_s"] == pytest.approx(0.25)
    assert back["mode"][0] == "stand"
    back["angle/knee_flexion_r"][0] = 1.0  # a caller may change what it read
    plain = pq.read_table(tmp_path / "deep" / "run.parquet")
    assert pa.types.is_dictionary(plain.schema.field("mode").type)
    assert plain.schema.field("angle/knee_flexion_r").type == pa.float64()


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.floats(width=64), min_size=1, max_size=40),
    faults=st.lists(st.text(max_size=8), min_size=1, max_size=3),
    start=st.floats(-1e3, 1e3),
)
def test_any_values_survive(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], faults: list[str], start: float
) -> None:
    n = len(values)
    faults = [fault.replace("\x00", "") for fault in faults]  # numpy text drops trailing NULs
    columns = {
        "time": start + np.arange(n),
        "force/x": np.array(values),
        "fault": np.array((faults * n)[:n], dtype=str),
    }
    path = tmp_path_factory.mktemp("any") / "a.parquet"
    Recording(columns, META).write(path)
    back = read_recording(path)
    np.testing.assert_array_equal(back["force/x"], columns["force/x"])
    np.testing.assert_array_equal(back["fault"], columns["fault"])


def test_some_columns(tmp_path: Path) -> None:
    make().write(tmp_path / "a.parquet")
    assert list(read_recording(tmp_path / "a.parquet", ["emg_env/soleus_l"]).columns) == [
        "time",
        "emg_env/soleus_l",
    ]
    with pytest.raises(ValueError, match=r"a\.parquet: no column 'emg_env/soles_l'; did you mean"):
        read_recording(tmp_path / "a.parquet", ["emg_env/soles_l"])


def test_same_recording_same_bytes(tmp_path: Path) -> None:
    make().write(tmp_path / "a.parquet")
    time.sleep(0.01)
    make().write(tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(n=20).write(tmp_path / "a.parquet")

    def die_half_way(table: pa.Table, where: Path, **kwargs: object) -> None:
        Path(where).write_bytes(b"PAR1 half")
        raise OSError("disk full")

    monkeypatch.setattr(recording_module.pq, "write_table", die_half_way)
    with pytest.raises(OSError, match="disk full"):
        make(n=30).write(tmp_path / "a.parquet")
    assert os.listdir(tmp_path) == ["a.parquet"]
    assert len(read_recording(tmp_path / "a.parquet")) == 20


@pytest.mark.parametrize("keep", [0, 3, 100, 0.5, -1])
def test_truncated_file_is_named(tmp_path: Path, keep: float) -> None:
    make().write(tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    cut = int(keep * len(whole)) if isinstance(keep, float) else keep
    (tmp_path / "a.parquet").write_bytes(whole[:cut])
    with pytest.raises(ValueError, match=r"a\.parquet: truncated, or not a Parquet file"):
        read_recording(tmp_path / "a.parquet")


def test_damaged_page_is_named(tmp_path: Path) -> None:
    make(n=4000).write(tmp_path / "a.parquet")
    raw = bytearray((tmp_path / "a.parquet").read_bytes())
    raw[4:400] = bytes(396)
    (tmp_path / "a.parquet").write_bytes(bytes(raw))
    with pytest.raises(ValueError, match=r"a\.parquet: "):
        read_recording(tmp_path / "a.parquet")


def test_parquet_that_is_no_recording(tmp_path: Path) -> None:
    table = pa.table({"time": [0.0, 0.1]})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet: Parquet, but not a recording"):
        read_recording(tmp_path / "a.parquet")
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: b"{nonsense"}), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"b\.parquet: not a sound recording"):
        read_recording(tmp_path / "b.parquet")
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: b"[1, 2]"}), tmp_path / "c.parquet")
    with pytest.raises(ValueError, match=r"c\.parquet: not a sound recording"):
        read_recording(tmp_path / "c.parquet")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.parquet"):
        read_recording(tmp_path / "none.parquet")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"angle/knee_flexion_r": np.zeros(4)}, "no column 'time'"),
        ({"time": np.arange(4.0), "phase/r": np.zeros(3)}, "'phase/r' has 3 rows, 'time' has 4"),
        ({"time": np.array([0.0, 0.1, 0.1])}, "not strictly increasing at row 2"),
        ({"time": np.array([0.0, np.nan, 0.2])}, "not strictly increasing"),
        ({"time": np.array([np.nan])}, "not strictly increasing"),
        ({"time": np.arange(3.0), "phase/r": np.zeros((3, 2))}, r"shape \(3, 2\)"),
        ({"time": np.arange(1.0), "phase/r": np.array(["x"])}, "'phase/r' does not hold numbers"),
        ({"time": np.arange(1.0), "mode": np.array(["wlak"])}, "no mode 'wlak'; did you mean 'walk'"),
    ],
)
def test_bad_columns(columns: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recording(columns, META)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sceanrio": "x"}, "unknown key 'sceanrio'; did you mean 'scenario'"),
        ({"subject": {"mass": 70.0, "mass_kg": 70.0}}, "unknown key 'subject.mass'; did you mean 'mass_kg'"),
        ({"subject": {"mass_kg": -1.0}}, "subject.mass_kg"),
        ({"events": [{"time": 0.0, "kynd": "x", "kind": "x"}]}, "did you mean 'kind'"),
        ({"rate_hz": 0.0}, "rate_hz"),
        ({"falls": -1}, "falls"),
    ],
)
def test_bad_metadata(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recording({"time": np.arange(3.0)}, META | change)


def test_what_was_broken_after_construction_is_not_written(tmp_path: Path) -> None:
    recording = make()
    recording.columns["angle/knee_flexion_r"] = np.zeros(3)
    with pytest.raises(ValueError, match="3 rows"):
        recording.write(tmp_path / "a.parquet")
    assert not list(tmp_path.iterdir())
