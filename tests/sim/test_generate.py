"""Recordings of a data set, with physics: labelled, reproducible, assisted in part, cut where somebody falls."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from exotwin.controllers.sensor_specs import UltrasoundSpec
from exotwin.scenarios.catalogue import find_device
from exotwin.sim.dataset import make as module
from exotwin.sim.dataset.generate import generate
from exotwin.sim.dataset.make import make, simulate
from exotwin.sim.dataset.plan import Job, plan
from exotwin.sim.dataset.request import Generation
from exotwin.sim.dataset.store import Store
from exotwin.sim.manifest import read_manifest, validate_manifest
from exotwin.sim.plant import Plant
from exotwin.sim.recording import read_recording
from exotwin.sim.truth import BLOCKS


def job(gait: object, seconds: float, **changes: object) -> Job:
    """The first recording of the first person in a gait."""
    plain = {"gaits": [gait], "subjects": 1, "minutes_per_gait": seconds / 60, "recording_s": seconds, "seed": 3}
    return plan(Generation.model_validate(plain | {"device": find_device("hip_knee_ankle")} | changes))[0]


def test_a_job_gives_the_same_labelled_recording_each_time_with_its_raw_emg(tmp_path):
    one = job("walk", 1.5)
    entry = make(Store.at(tmp_path / "a"), one)
    assert make(Store.at(tmp_path / "b"), one) == entry
    recording = read_recording(tmp_path / "a" / one.path)
    assert recording.meta["subject"] == one.subject.as_dict()
    assert recording.meta["scenario"] == "generate/walk"
    assert (entry.seconds, entry.falls) == (recording.meta["duration_s"], recording.meta["falls"])
    assert set(recording["mode"]) == {"walk"}
    for column in ("torque/biological/knee_flexion_l", "imu/shank_r/gz", "insole/r/force", "emg_env/soleus_r"):
        assert np.isfinite(recording[column]).all()
    emg = read_recording(tmp_path / "a" / one.emg_path)
    assert emg.meta["rate_hz"] == one.device.sensors.emg.rate_hz > recording.meta["rate_hz"]
    assert emg["time"][-1] == pytest.approx(recording["time"][-1], abs=1 / recording.meta["rate_hz"])
    assert one.device.sensors.emg.muscles[0] in " ".join(emg.columns)


def test_ultrasound_of_a_probe_goes_beside_the_recording_each_with_speckle_of_its_own(tmp_path):
    device = find_device("hip_knee_ankle")
    sensors = device.sensors.model_copy(update={"ultrasound": UltrasoundSpec(frame_rate_hz=10.0)})
    asked = {"gaits": ["stand"], "subjects": 1, "minutes_per_gait": 0.4 / 60, "recording_s": 0.2, "seed": 3}
    jobs = plan(Generation.model_validate(asked | {"device": device.model_copy(update={"sensors": sensors})}))
    entries = [make(Store.at(tmp_path), one) for one in jobs]
    images = []
    for one, entry in zip(jobs, entries, strict=True):
        path = tmp_path / "_ultrasound" / one.path.replace(".parquet", ".npz")
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry.ultrasound_sha256
        with np.load(path) as held:
            assert held["time"] == pytest.approx([0.0, 0.1])
            assert held["pixel_m"] == pytest.approx([0.05 / 300, 0.05 / 300])
            images.append(held["image"])
        assert images[-1].shape == (2, 300, 300)
    assert np.corrcoef(images[0][0].ravel(), images[1][0].ravel())[0, 1] < 0.9
    assert make(Store.at(tmp_path / "again"), jobs[0]) == entries[0]


def test_help_is_there_in_some_segments_and_a_share_of_the_person_s_own_torque():
    assistance = {"probability": 0.5, "segment_s": 0.5, "offset_nm_per_kg": 0.0, "share": [0.2, 0.2], "adapted": 1.0}
    helped, unaided = 0, 0
    for seed in range(6):
        log = simulate(job("walk", 1.5, seed=seed, assistance=assistance))
        recording = log.recording("test", "test", seed)
        for start in range(0, len(recording) - 99, 100):
            asked = recording["command/ankle_dorsiflexion_r"][start : start + 100]
            own = recording["torque/biological/ankle_dorsiflexion_r"][: start + 100]
            helped, unaided = helped + bool(asked.any()), unaided + (not asked.any())
            assert np.abs(asked).max() <= 0.2 * np.abs(own).max() * 1.001
    assert helped
    assert unaided


def test_each_segment_is_walked_at_a_speed_of_its_own():
    log = simulate(job({"gait": "walk", "speed_mps": [1.0, 1.4]}, 2.0, assistance={"segment_s": 0.5}))
    start, width = BLOCKS["command_speed"]
    asked = log.rows[: log.ticks, start : start + width].ravel()
    assert log.ticks == 400
    # Drawn after 0.5, 1 and 1.5 s: the next of the 200 samples a second is the first to show it.
    assert np.flatnonzero(np.diff(asked)).tolist() == [100, 200, 300]
    assert len(set(asked)) == 4
    assert 1.0 <= min(asked) <= max(asked) <= 1.4


def test_postures_are_asked_for_in_turn():
    log = simulate(job({"gait": "sit_to_stand", "posture_s": [0.3, 0.4]}, 2.0))
    modes = log.recording("test", "test", 0)["mode"]
    assert "sit_to_stand" in set(modes)
    assert "walk" not in set(modes)


def test_ways_and_impairments_reach_the_recording():
    meta = simulate(job({"gait": "ramp_up", "impairments": [{"kind": "ageing"}]}, 0.2)).recording("t", "t", 0).meta
    assert {section["kind"] for section in meta["terrain"]["sections"]} == {"level", "ramp"}
    assert [ill["kind"] for ill in meta["impairments"]] == ["ageing"]


def test_faults_strike_in_their_share_of_the_recordings_and_are_marked():
    fault = {"kind": "nan", "channels": "imu/thigh_r/*", "start_s": 0.1, "end_s": 0.2}
    struck = []
    for seed in range(8):
        recording = simulate(job("stand", 0.3, seed=seed, faults=[fault], fault_share=0.5)).recording("t", "t", seed)
        marked = recording["fault"] != ""
        assert (np.isnan(recording["imu/thigh_r/ax"]) == marked).all()
        struck.append(bool(marked.any()))
        assert not marked.any() or recording["time"][marked][[0, -1]] == pytest.approx([0.1, 0.195])
    assert 0 < sum(struck) < 8


def test_a_person_walks_the_same_way_under_faults_and_without():
    fault = {"kind": "nan", "channels": "imu/thigh_r/*", "start_s": 0.1}
    with_, without = (
        simulate(job("walk", 0.3, faults=faults, fault_share=1.0)).recording("t", "t", 3) for faults in ([fault], [])
    )
    assert np.isnan(with_["imu/thigh_r/ax"]).any()
    for column in ("angle/knee_flexion_r", "pelvis/vx", "command/ankle_dorsiflexion_l", "imu/pelvis/ax"):
        np.testing.assert_array_equal(with_[column], without[column])


class Tripping(Plant):
    """A plant whose person falls after 0.25 s."""

    def step(self, torque=None):
        frame = super().step(torque)
        self.fallen = self.time > 0.25
        return frame


def test_a_fall_ends_its_recording_and_is_counted(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "Plant", Tripping)
    asked = {"gaits": "walk", "subjects": 3, "minutes_per_gait": 0.5 / 60, "recording_s": 0.5}
    request = Generation.model_validate(asked | {"device": find_device("hip_knee_ankle")})
    manifest = generate(request, tmp_path)
    assert [file.falls for file in manifest.files] == [1] * 3
    assert all(0.2 < file.seconds < 0.3 for file in manifest.files)
    meta = read_recording(tmp_path / manifest.files[0].path).meta
    assert meta["events"][-1]["kind"] == "fall"
    assert meta["events"][-1]["time"] == pytest.approx(manifest.files[0].seconds)
    assert "People fall often in walk (3 of 3)" in Path(tmp_path / "README.md").read_text()
    validate_manifest(read_manifest(tmp_path), tmp_path)
