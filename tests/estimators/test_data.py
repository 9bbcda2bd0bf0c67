"""Reading recordings and datasets: right numbers, and errors that name the bad thing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from exotwin.estimators.data import (
    TorqueSignals,
    Trial,
    column_statistics,
    common_rate,
    expand_channels,
    hold_last,
    mode_columns,
    mode_keys,
    open_recording,
    resampled,
    true_kinematics,
)
from exotwin.estimators.dataset import open_dataset
from exotwin.sim.recording import Recording
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from synthetic_data import synthetic_recording

KNEE = "encoder/knee_flexion_r/angle"
KNEE_SIGNALS = TorqueSignals((KNEE,), ("knee_flexion_r",), 200.0)


@pytest.fixture(scope="module")
def trial_path(dataset: Path) -> Path:
    return dataset / "task=walk/subject=s2/trial.parquet"


def test_torques_are_per_body_mass(trial_path: Path) -> None:
    recording = synthetic_recording(1, mass=65.0)
    sequence = KNEE_SIGNALS.read(open_recording(trial_path))
    np.testing.assert_array_equal(sequence.measured[:, 0], recording[KNEE])
    np.testing.assert_allclose(sequence.target[:, 0], recording["torque/biological/knee_flexion_r"] / 65.0)


def test_a_missing_column_is_named_with_the_nearest(trial_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"trial\.parquet: no column 'angle/knee_flexon_r'; did you mean 'angle/knee_flexion_r'"
    ):
        open_recording(trial_path).read(["angle/knee_flexon_r"])


def motion_capture() -> Recording:
    full = synthetic_recording(3)
    kept = {name: values for name, values in full.columns.items() if not name.startswith(("encoder", "imu"))}
    return Recording(kept, full.meta)


def test_motion_capture_needs_a_declared_substitute(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    motion_capture().write(tmp_path / "mocap.parquet")
    with pytest.raises(ValueError, match="but there is 'angle/knee_flexion_r': substitutes can let it stand in"):
        open_recording(tmp_path / "mocap.parquet").read([KNEE])
    trial = open_recording(tmp_path / "mocap.parquet").read()
    signals = replace(KNEE_SIGNALS, substitutes=true_kinematics([KNEE]))
    signals.log_substitutes(trial.source)
    np.testing.assert_array_equal(signals.of(trial).measured[:, 0], trial.columns["angle/knee_flexion_r"])
    assert f"{KNEE} <- angle/knee_flexion_r" in caplog.text


def test_a_damaged_file_is_named(trial_path: Path, tmp_path: Path) -> None:
    whole = trial_path.read_bytes()
    for name, content in {"cut": whole[:-400], "text": b"time,mode\n0,walk\n", "empty": b""}.items():
        (tmp_path / f"{name}.parquet").write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name}\.parquet: truncated, or not a Parquet file"):
            open_recording(tmp_path / f"{name}.parquet")
    pq.write_table(pa.table({"time": [0.0]}), tmp_path / "other.parquet")
    with pytest.raises(ValueError, match=r"other\.parquet: Parquet, but not a recording"):
        open_recording(tmp_path / "other.parquet")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        open_recording(tmp_path / "nowhere.parquet")


def test_what_follows_a_fall_is_cut_off(tmp_path: Path) -> None:
    recording = synthetic_recording(0)
    recording.meta["events"] = [
        {"time": 2.0, "kind": "fault", "detail": ""},
        {"time": 5.0, "kind": "fall", "detail": ""},
    ]
    recording.write(tmp_path / "fall.parquet")
    opened = open_recording(tmp_path / "fall.parquet")
    assert opened.rows == 1000
    trial = opened.read(["time", KNEE])
    np.testing.assert_array_equal(trial.columns[KNEE], recording[KNEE][:1000])
    assert trial.columns["time"][-1] < 5.0


def test_another_rate_or_no_mass_is_refused() -> None:
    trial = synthetic_recording(0)
    with pytest.raises(ValueError, match="sampled at 200 Hz, expected 100 Hz"):
        replace(KNEE_SIGNALS, rate_hz=100.0).of(trial)
    with pytest.raises(ValueError, match="no subject mass_kg"):
        KNEE_SIGNALS.of(Trial(trial.columns, {"rate_hz": 200.0}))
    with pytest.raises(ValueError, match="no rate_hz"):
        KNEE_SIGNALS.of(Trial(trial.columns, {}))
    with pytest.raises(ValueError, match="sampled at 100 Hz, expected 200 Hz"):
        common_rate([trial, Trial({}, {"rate_hz": 100.0})])


def test_resampling_a_ramp_is_exact() -> None:
    trial = Trial({"angle/knee_flexion_r": np.arange(10.0)}, {"rate_hz": 100.0})
    found = resampled(trial, ["angle/knee_flexion_r"], 200.0)
    np.testing.assert_allclose(found.columns["angle/knee_flexion_r"], np.arange(0, 9.5, 0.5))
    assert found.meta["rate_hz"] == 200.0
    assert resampled(trial, [], 100.0) is trial


def test_dataset_splits_hold_their_subjects(dataset: Path) -> None:
    opened = open_dataset(dataset)
    subjects = {split: [r.source for r in opened.recordings(split)] for split in ("train", "validation", "test")}
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
        open_dataset(copy).recordings("validation")
    rewrite()
    changed = copy / "task=walk/subject=s1/trial.parquet"
    synthetic_recording(0, mass=61.0).write(changed)
    first = open_dataset(copy).recordings("train")[0]
    with pytest.raises(ValueError, match=r"subject=s1.trial\.parquet: changed, its SHA-256"):
        first.read(["time"])
    changed.write_bytes(changed.read_bytes()[:-400])
    with pytest.raises(ValueError, match=r"subject=s1.trial\.parquet: truncated"):
        open_dataset(copy).recordings("train")
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


def test_parts_of_a_dataset(dataset: Path) -> None:
    opened = open_dataset(dataset)
    assert opened.tasks == ("walk",)
    assert {f.subject for f in opened.only(tasks=["w*"], subjects=["s[12]", "s5"]).files} == {"s1", "s2", "s5"}
    with pytest.raises(ValueError, match="no task fits 'wark'; did you mean 'walk'"):
        opened.only(tasks=["wark"])
    with pytest.raises(ValueError, match="no subject fits 's9'"):
        opened.only(subjects=["s9"])
    with pytest.raises(ValueError, match="no recordings for the split 'test'"):
        opened.only(subjects=["s1"]).recordings("test")


def test_text_columns_survive_row_groups(tmp_path: Path) -> None:
    recording = synthetic_recording(0, seconds=4.0)
    recording.write(tmp_path / "whole.parquet")
    table = pq.read_table(tmp_path / "whole.parquet")
    pq.write_table(table, tmp_path / "parts.parquet", row_group_size=100)
    opened = open_recording(tmp_path / "parts.parquet")
    trial = opened.read(mode_columns(opened.names))
    expected = [f"{m}/{s}" if s else m for m, s in zip(recording["mode"], recording["speed_class"], strict=True)]
    assert mode_keys(trial).tolist() == expected


@given(
    hnp.arrays(
        float, st.tuples(st.integers(1, 40), st.just(2)), elements=st.one_of(st.floats(-1e3, 1e3), st.just(np.nan))
    ),
    st.lists(st.integers(0, 40), max_size=4),
)
def test_statistics_in_parts_are_those_of_the_whole(values: np.ndarray, cuts: list[int]) -> None:
    parts = np.split(values, sorted(cuts))
    empty = np.isnan(values).all(axis=0)
    if empty.any():
        with pytest.raises(ValueError, match="no value at all"):
            column_statistics(("a", "b"), parts)
        return
    mean, sd = column_statistics(("a", "b"), parts)
    np.testing.assert_allclose(mean, np.nanmean(values, axis=0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(sd, np.nanstd(values, axis=0), rtol=1e-9, atol=1e-6)


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
