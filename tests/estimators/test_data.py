"""Reading recordings and datasets: right numbers, and errors that name the bad thing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from exotwin.estimators.data import (
    Trial,
    expand_channels,
    hold_last,
    mode_keys,
    open_dataset,
    read_columns,
    resampled,
    torque_sequence,
    true_kinematics,
)
from exotwin.sim.recording import Recording
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from synthetic_data import synthetic_recording

KNEE = "encoder/knee_flexion_r/angle"


@pytest.fixture(scope="module")
def trial_path(dataset: Path) -> Path:
    return dataset / "task=walk/subject=s2/trial.parquet"


def test_torques_are_per_body_mass(trial_path: Path) -> None:
    recording = synthetic_recording(1, mass=65.0)
    sequence = torque_sequence(read_columns(trial_path), (KNEE,), ("knee_flexion_r",), 200.0)
    np.testing.assert_array_equal(sequence.measured[:, 0], recording[KNEE])
    np.testing.assert_allclose(sequence.target[:, 0], recording["torque/biological/knee_flexion_r"] / 65.0)


def test_a_missing_column_is_named_with_the_nearest(trial_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"trial\.parquet: no column 'angle/knee_flexon_r'; did you mean 'angle/knee_flexion_r'"
    ):
        read_columns(trial_path, ["angle/knee_flexon_r"])


def motion_capture() -> Recording:
    full = synthetic_recording(3)
    kept = {name: values for name, values in full.columns.items() if not name.startswith(("encoder", "imu"))}
    return Recording(kept, full.meta)


def test_motion_capture_needs_a_declared_substitute(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    motion_capture().write(tmp_path / "mocap.parquet")
    with pytest.raises(ValueError, match="but there is 'angle/knee_flexion_r': substitutes can let it stand in"):
        read_columns(tmp_path / "mocap.parquet", [KNEE])
    trial = read_columns(tmp_path / "mocap.parquet")
    sequence = torque_sequence(trial, (KNEE,), ("knee_flexion_r",), 200.0, true_kinematics([KNEE]))
    np.testing.assert_array_equal(sequence.measured[:, 0], trial.columns["angle/knee_flexion_r"])
    assert f"{KNEE} <- angle/knee_flexion_r" in caplog.text


def test_a_damaged_file_is_named(trial_path: Path, tmp_path: Path) -> None:
    whole = trial_path.read_bytes()
    for name, content in {"cut": whole[:-400], "text": b"time,mode\n0,walk\n", "empty": b""}.items():
        (tmp_path / f"{name}.parquet").write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name}\.parquet: truncated, or not a Parquet file"):
            read_columns(tmp_path / f"{name}.parquet")
    pq.write_table(pa.table({"time": [0.0]}), tmp_path / "other.parquet")
    with pytest.raises(ValueError, match=r"other\.parquet: Parquet, but not a recording"):
        read_columns(tmp_path / "other.parquet")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_columns(tmp_path / "nowhere.parquet")


def test_what_follows_a_fall_is_cut_off(tmp_path: Path) -> None:
    recording = synthetic_recording(0)
    recording.meta["events"] = [
        {"time": 2.0, "kind": "fault", "detail": ""},
        {"time": 5.0, "kind": "fall", "detail": ""},
    ]
    recording.write(tmp_path / "fall.parquet")
    trial = read_columns(tmp_path / "fall.parquet", [KNEE])
    assert len(trial.columns[KNEE]) == 1000
    assert trial.columns["time"][-1] < 5.0


def test_another_rate_or_no_mass_is_refused() -> None:
    trial = synthetic_recording(0)
    with pytest.raises(ValueError, match="sampled at 200 Hz, expected 100 Hz"):
        torque_sequence(trial, (KNEE,), ("knee_flexion_r",), 100.0)
    with pytest.raises(ValueError, match="no subject mass_kg"):
        torque_sequence(Trial(trial.columns, {"rate_hz": 200.0}), (KNEE,), ("knee_flexion_r",), 200.0)
    with pytest.raises(ValueError, match="no rate_hz"):
        torque_sequence(Trial(trial.columns, {}), (KNEE,), ("knee_flexion_r",), 200.0)


def test_resampling_a_ramp_is_exact() -> None:
    trial = Trial({"angle/knee_flexion_r": np.arange(10.0)}, {"rate_hz": 100.0})
    found = resampled(trial, ["angle/knee_flexion_r"], 200.0)
    np.testing.assert_allclose(found.columns["angle/knee_flexion_r"], np.arange(0, 9.5, 0.5))
    assert found.meta["rate_hz"] == 200.0
    assert resampled(trial, [], 100.0) is trial


def test_dataset_splits_hold_their_subjects(dataset: Path) -> None:
    opened = open_dataset(dataset)
    subjects = {split: [t.source for t in opened.trials(split, ["time"])] for split in ("train", "validation", "test")}
    assert [len(found) for found in subjects.values()] == [3, 1, 1]
    assert "subject=s5" in subjects["test"][0]


def test_dataset_faults_are_named(dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    manifest = json.loads((copy / "manifest.json").read_text())

    def rewrite(**change: object) -> None:
        (copy / "manifest.json").write_text(json.dumps(manifest | change))

    rewrite(splits={"train": ["s1"], "test": ["s1"]})
    with pytest.raises(ValueError, match="a subject stands in two splits"):
        open_dataset(copy)
    rewrite(splits={"train": ["s1"], "validation": ["s9"]})
    with pytest.raises(ValueError, match=r"no recordings for the split 'validation' \(subjects \['s9'\]\)"):
        open_dataset(copy).trials("validation")
    rewrite()
    damaged = copy / "task=walk/subject=s1/trial.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-400])
    with pytest.raises(ValueError, match=r"subject=s1.trial\.parquet: truncated or changed"):
        open_dataset(copy).trials("train")
    (copy / "manifest.json").write_text("{}")
    with pytest.raises(ValueError, match=r"manifest\.json: files: Field required"):
        open_dataset(copy)
    with pytest.raises(FileNotFoundError, match=r"manifest\.json"):
        open_dataset(tmp_path)


def test_channels_from_patterns() -> None:
    names = ["time", "imu/pelvis/ax", "encoder/knee_flexion_r/angle", "imu/pelvis/gz"]
    assert expand_channels(("encoder/*", "imu/*/a?", "imu/pelvis/gz"), names) == (names[2], names[1], names[3])
    with pytest.raises(ValueError, match=r"no column fits 'inu/pelvis/ax'; did you mean 'imu/pelvis/ax'"):
        expand_channels(("inu/pelvis/ax",), names)


def test_mode_keys() -> None:
    columns = {"mode": np.array(["stand", "walk", ""]), "speed_class": np.array(["", "slow", ""])}
    assert mode_keys(Trial(columns, {})).tolist() == ["stand", "walk/slow", ""]
    assert mode_keys(Trial({"mode": columns["mode"]}, {})).tolist() == ["stand", "walk", ""]


@given(
    hnp.arrays(float, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.sampled_from([1.0, 2.0, np.nan, np.inf]))
)
def test_hold_last_is_the_plain_loop(values: np.ndarray) -> None:
    last = np.arange(values.shape[1]) + 10.0
    expected = np.empty_like(values)
    for i, row in enumerate(values):
        last = np.where(np.isfinite(row), row, last)
        expected[i] = last
    np.testing.assert_array_equal(hold_last(values, np.arange(values.shape[1]) + 10.0), expected)
