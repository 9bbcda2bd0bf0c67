"""Data generation: reproducible whatever the workers and interruptions, whole files only, nobody in two splits."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from multiprocessing import parent_process
from pathlib import Path

import numpy as np
import pytest
from exotwin.controllers.device import DeviceDescription
from exotwin.scenarios.catalogue import find_device
from exotwin.sim import generate as module
from exotwin.sim.generate import Job, generate, plan
from exotwin.sim.manifest import read_manifest, validate_manifest
from exotwin.sim.plant import Plant
from exotwin.sim.recording import read_recording
from exotwin.sim.subjects import Subject, sample_subjects

SEED = 11
SECONDS = 0.5


def device() -> DeviceDescription:
    return find_device("hip_knee_ankle")


def jobs(seed: int = SEED, subjects: int = 3, seconds: float = SECONDS) -> list[Job]:
    """Two short walks of each person."""
    return plan(subjects, 2 * seconds / 60.0, device(), ("walk",), seed, seconds)


def hashes(folder: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones too, by its path there."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "set"
    generate(folder, jobs(), SEED, workers=1)
    return folder


@pytest.fixture
def copy(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "set"))


def recordings(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


# --- what is planned


def test_a_plan_has_the_minutes_asked_for_each_with_a_seed_of_its_own():
    planned = plan(4, 6.0, device(), ("walk", "stand"), seed=1)
    for subject in sample_subjects(4, 1):
        minutes = {
            task: sum(j.seconds for j in planned if j.subject == subject and j.task == task) / 60.0
            for task in ("walk", "stand")
        }
        assert minutes["walk"] == pytest.approx(6.0)
        assert minutes["stand"] == pytest.approx(1.5, abs=0.35)
    assert len({j.seed for j in planned}) == len({j.path for j in planned}) == len(planned)


# --- what comes out


def test_the_manifest_tells_the_truth_and_no_one_is_in_two_splits(whole):
    manifest = read_manifest(whole)
    validate_manifest(manifest, whole)
    assert (manifest.created_by, manifest.seed) == ("exotwin generate", SEED)
    assert manifest.request["device"] == "hip_knee_ankle"
    assert (manifest.request["subjects"], manifest.request["recordings"]) == (3, 6)
    split = [set(ids) for _, ids in manifest.splits]
    assert all(split)
    assert set.union(*split) == {"s000", "s001", "s002"}
    assert sum(map(len, split)) == 3
    for file in manifest.files:
        assert (file.seconds, file.rows, file.falls) == (SECONDS, 100, 0)


def test_recordings_are_labelled_walks_of_different_people_speeds_and_torques(whole):
    found = [read_recording(path) for path in recordings(whole)]
    assert len(found) == 6
    assert {len(r.columns) for r in found} == {len(found[0].columns)}
    assert len({r["angle/hip_flexion_r"].tobytes() for r in found}) == 6
    for r in found:
        assert set(r["mode"]) == {"walk"}
        assert set(r["speed_class"]) <= {"slow", "normal"}
        assert r.meta["subject"]["mass_kg"] in {s.mass_kg for s in sample_subjects(3, SEED)}
        assert np.isfinite(r["torque/biological/knee_flexion_l"]).all()


def test_help_is_a_share_of_the_person_s_own_torque_after_the_first_segment(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "SEGMENT_S", 0.3)
    monkeypatch.setattr(module, "OFFSET_NM_PER_KG", 0.0)
    for seed in range(20):  # a segment goes unaided one time in four
        job = Job("walk", Subject("s000", 75.0, 1.75), device(), 0, (seed,), 0.6)
        module.make(tmp_path, job)
        run = read_recording(tmp_path / job.path)
        asked = run["command/ankle_dorsiflexion_r"]
        assert not asked[:60].any()
        if asked[60:].any():
            break
    own = run["torque/biological/ankle_dorsiflexion_r"][60:]
    assert 0.0 < np.abs(asked[60:]).max() <= module.ASSIST_SHARE[1] * np.abs(own).max() * 1.05


class Tripping(Plant):
    """A plant whose person falls after 0.25 s."""

    def step(self, torque=None):
        frame = super().step(torque)
        self.fallen = self.time > 0.25
        return frame


def test_a_fall_ends_its_recording_and_is_counted(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "Plant", Tripping)
    manifest = generate(tmp_path / "set", jobs(), SEED, workers=1)
    assert [file.falls for file in manifest.files] == [1] * 6
    assert all(0.2 < file.seconds < 0.3 for file in manifest.files)
    meta = read_recording(tmp_path / "set" / manifest.files[0].path).meta
    assert meta["falls"] == 1
    assert meta["events"][-1]["kind"] == "fall"
    # A fallen walk is whole: a second call leaves it as it is.
    before = hashes(tmp_path / "set")
    generate(tmp_path / "set", jobs(), SEED, workers=1)
    assert hashes(tmp_path / "set") == before


# --- interruptions


def test_what_is_missing_is_made_again_with_the_same_bytes(whole, copy):
    for path in recordings(copy)[1::2]:
        path.unlink()
    (copy / "manifest.json").unlink()
    told = []
    generate(copy, jobs(), SEED, workers=1, tell=lambda *progress: told.append(progress))
    assert told == [(3, 6), (4, 6), (5, 6), (6, 6)]
    assert hashes(copy) == hashes(whole)


def test_ctrl_c_between_recordings_leaves_whole_ones_and_no_manifest(whole, copy):
    for path in recordings(copy)[:4]:
        path.unlink()

    def press_ctrl_c(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(copy, jobs(), SEED, workers=1, tell=press_ctrl_c)
    assert len(hashes(copy)) == 4  # the manifest of the whole set went with the first file
    assert hashes(copy).items() <= hashes(whole).items()
    generate(copy, jobs(), SEED, workers=1)
    assert hashes(copy) == hashes(whole)


def test_ctrl_c_within_a_recording_leaves_nothing_of_it(whole, tmp_path, monkeypatch):
    class Interrupted(Plant):
        def step(self, torque=None):
            if self.time > 0.3 and self.subject.id == "s001":
                raise KeyboardInterrupt
            return super().step(torque)

    with monkeypatch.context() as patch:
        patch.setattr(module, "Plant", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            generate(tmp_path / "set", jobs(), SEED, workers=1)
    assert {path.split("/")[1] for path in hashes(tmp_path / "set")} == {"subject=s000"}
    generate(tmp_path / "set", jobs(), SEED, workers=1)
    assert hashes(tmp_path / "set") == hashes(whole)


def test_what_a_killed_worker_was_writing_is_swept_away(whole, copy):
    lost = recordings(copy)[2]
    (lost.parent / f".{lost.name}.123.part").write_bytes(lost.read_bytes()[:1000])
    lost.unlink()
    generate(copy, jobs(), SEED, workers=1)
    assert hashes(copy) == hashes(whole)


def test_too_few_people_to_split_are_refused_before_anything_is_made(tmp_path):
    with pytest.raises(ValueError, match="leave none to train"):
        generate(tmp_path / "set", jobs(subjects=2), SEED, workers=1)
    with pytest.raises(ValueError, match="nothing to generate"):
        generate(tmp_path / "set", [], SEED, workers=1)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    "other", [{"seed": SEED + 1}, {"seconds": 0.4}, {"subjects": 3, "seconds": 1.0}], ids=["seed", "shorter", "longer"]
)
def test_a_folder_of_another_request_is_not_mixed_with_this_one(copy, other):
    before = hashes(copy)
    with pytest.raises(ValueError, match=r"subject=s000/000\.parquet is of another request"):
        generate(copy, jobs(**other), other.get("seed", SEED), workers=1)
    assert hashes(copy) == before


def test_a_larger_set_of_the_same_seed_keeps_what_is_there_and_a_smaller_one_is_refused(copy):
    before = hashes(copy)
    manifest = generate(copy, jobs(subjects=4), SEED, workers=1)
    assert len(manifest.files) == 8
    assert {p: h for p, h in before.items() if p != "manifest.json"}.items() <= hashes(copy).items()
    with pytest.raises(ValueError, match=r"subject=s003/000\.parquet is of another request"):
        generate(copy, jobs(), SEED, workers=1)


def test_a_truncated_file_is_named(copy):
    broken = recordings(copy)[1]
    broken.write_bytes(broken.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"001\.parquet: truncated"):
        generate(copy, jobs(), SEED, workers=1)


# --- several processes


@pytest.mark.slow
def test_two_workers_make_the_same_bytes_as_one(whole, tmp_path):
    told = []
    generate(tmp_path / "set", jobs(), SEED, workers=2, tell=lambda done, _: told.append(done))
    assert told == list(range(7))
    assert hashes(tmp_path / "set") == hashes(whole)


class Deadly(Job):
    """A job whose second recording of s001 kills the worker just before it would be written."""

    @property
    def path(self) -> str:
        if parent_process() is not None and self.subject.id == "s001" and self.index == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().path


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_worker_is_said_and_leaves_whole_files_only(whole, tmp_path):
    deadly = [Deadly(**vars(job)) for job in jobs()]
    with pytest.raises(ChildProcessError, match="a worker was killed"):
        generate(tmp_path / "set", deadly, SEED, workers=2)
    left = hashes(tmp_path / "set")
    assert "manifest.json" not in left
    assert left.items() < hashes(whole).items()
    generate(tmp_path / "set", jobs(), SEED, workers=1)
    assert hashes(tmp_path / "set") == hashes(whole)
