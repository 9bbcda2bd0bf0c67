"""Dataset manifests: subject-wise splits, hashes, and complaints that name the file."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from exotwin.sim.manifest import (
    Manifest,
    build_manifest,
    read_manifest,
    split_subjects,
    validate_manifest,
    write_manifest,
)
from exotwin.sim.recording import Recording
from hypothesis import given
from hypothesis import strategies as st

SUBJECTS = ["s1", "s2", "s3", "s4", "s5", "s6", "s7"]


def record(folder: Path, task: str, subject: str, name: str = "a", mass: float = 70.0, n: int = 20) -> Path:
    path = folder / f"task={task}" / f"subject={subject}" / f"{name}.parquet"
    meta = {"subject": {"id": subject, "mass_kg": mass}, "rate_hz": 200.0, "falls": 1}
    Recording({"time": np.arange(n) / 200.0}, meta).write(path)
    return path


def build(folder: Path) -> Manifest:
    return build_manifest(
        folder, created_by="test", seed=4, request={"tasks": ["walk"]}, versions={"x": "1"}, licence="CC0"
    )


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for i, subject in enumerate(SUBJECTS):
        record(tmp_path, "walk", subject, mass=60.0 + i)
        record(tmp_path, "stand", subject, mass=60.0 + i, n=10 + i)
    return tmp_path


def test_round_trip_and_true_facts(dataset: Path) -> None:
    manifest = build(dataset)
    write_manifest(manifest, dataset)
    assert read_manifest(dataset) == manifest
    validate_manifest(manifest, dataset)
    assert len(manifest.files) == 14
    assert manifest.subjects["s3"].mass_kg == 62.0
    entry = next(f for f in manifest.files if f.path == "task=stand/subject=s3/a.parquet")
    assert (entry.task, entry.subject, entry.rows, entry.falls) == ("stand", "s3", 12, 1)
    assert entry.seconds == pytest.approx(0.06)
    assert entry.sha256 == hashlib.sha256((dataset / entry.path).read_bytes()).hexdigest()
    every = [path for split in ("train", "validation", "test") for path in manifest.paths(split)]
    assert sorted(every) == sorted(f.path for f in manifest.files)
    with pytest.raises(KeyError, match="did you mean 'validation'"):
        manifest.paths("validate")


def test_same_dataset_same_bytes(dataset: Path) -> None:
    write_manifest(build(dataset), dataset)
    first = (dataset / "manifest.json").read_bytes()
    write_manifest(build(dataset), dataset)
    assert (dataset / "manifest.json").read_bytes() == first


@given(
    ids=st.sets(st.text("abcdef0123456789", min_size=1, max_size=6), min_size=3, max_size=40),
    seed=st.integers(0, 2**32),
)
def test_no_subject_in_two_splits_and_who_comes_later_moves_nobody(ids: set[str], seed: int) -> None:
    order = sorted(ids)
    splits = split_subjects(order, seed)
    every = splits.train + splits.validation + splits.test
    assert sorted(every) == sorted(ids)
    assert min(len(splits.train), len(splits.validation), len(splits.test)) >= 1
    assert split_subjects(order + order[:2], seed) == splits
    for fewer in range(3, len(order)):
        assert all(set(own) <= set(getattr(splits, name)) for name, own in split_subjects(order[:fewer], seed))


def test_seeds_differ_and_fractions_hold() -> None:
    ids = [f"s{i:03d}" for i in range(100)]
    splits = split_subjects(ids, 0, validation=0.2, test=0.1)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (70, 20, 10)
    assert split_subjects(ids, 1, validation=0.2, test=0.1) != splits
    assert [len(own) for _, own in split_subjects(ids[:20], 3)] == [14, 3, 3]
    with pytest.raises(ValueError, match="leave none to train"):
        split_subjects(["a", "b"], 0)
    with pytest.raises(ValueError, match="leave a tenth to train"):
        split_subjects(ids, 0, validation=0.5, test=0.5)


@given(
    people=st.integers(3, 300), seed=st.integers(0, 2**32), validation=st.floats(0.02, 0.45), test=st.floats(0, 0.45)
)
def test_shares_are_never_far_from_the_fractions(people: int, seed: int, validation: float, test: float) -> None:
    splits = split_subjects([str(i) for i in range(people)], seed, validation, test)
    # Exact after every 20; within a block as many as one block has of a split can be early or late.
    for own, share in ((splits.validation, validation), (splits.test, test)):
        assert abs(len(own) - share * people) <= 20 * share * (1 - share) + 2
    assert sum(len(own) for _, own in splits) == people


def test_changed_missing_and_extra_files_are_all_named(dataset: Path) -> None:
    manifest = build(dataset)
    record(dataset, "walk", "s1", mass=99.0)
    (dataset / "task=walk/subject=s2/a.parquet").unlink()
    record(dataset, "walk", "s3", name="b", mass=62.0)
    with pytest.raises(ValueError) as caught:
        validate_manifest(manifest, dataset)
    message = str(caught.value)
    assert "task=walk/subject=s1/a.parquet has changed" in message
    assert "task=walk/subject=s2/a.parquet is missing" in message
    assert "task=walk/subject=s3/b.parquet is not in the manifest" in message
    assert "subject=s4" not in message


def test_raw_emg_is_checked_with_its_recording(dataset: Path) -> None:
    emg = dataset / "_emg" / "task=walk" / "subject=s4" / "a.parquet"
    meta = {"subject": {"id": "s4", "mass_kg": 63.0}, "rate_hz": 1000.0}
    Recording({"time": np.arange(9) / 1000.0, "emg/soleus_r": np.ones(9)}, meta).write(emg)
    manifest = build(dataset)
    assert len(manifest.files) == 14
    assert [f.path for f in manifest.files if f.emg_sha256] == ["task=walk/subject=s4/a.parquet"]
    validate_manifest(manifest, dataset)
    emg.write_bytes(emg.read_bytes() + b"x")
    with pytest.raises(ValueError, match=r"_emg/task=walk/subject=s4/a\.parquet has changed"):
        validate_manifest(manifest, dataset)
    emg.unlink()
    with pytest.raises(ValueError, match=r"_emg/task=walk/subject=s4/a\.parquet is missing"):
        validate_manifest(manifest, dataset)


def test_a_manifest_that_claims_another_length_or_no_fall_is_found_out(dataset: Path) -> None:
    manifest = build(dataset)
    manifest.files[0].rows += 1
    manifest.files[1].falls = 0
    with pytest.raises(ValueError, match=r"does not have 11 rows; .* does not have 0 falls"):
        validate_manifest(manifest, dataset)


def test_a_file_that_belies_its_folder_is_named(dataset: Path) -> None:
    path = record(dataset, "walk", "s1", mass=60.0)
    moved = dataset / "task=walk" / "subject=s2" / "b.parquet"
    path.rename(moved)
    with pytest.raises(ValueError, match=r"b\.parquet: holds subject 's1', not 's2'"):
        build(dataset)
    moved.rename(dataset / "loose.parquet")
    with pytest.raises(ValueError, match=r"loose\.parquet: not at task="):
        build(dataset)


def test_one_subject_cannot_be_two_people(dataset: Path) -> None:
    record(dataset, "walk", "s1", name="b", mass=88.0)
    with pytest.raises(ValueError, match="'s1' is another person"):
        build(dataset)


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no recordings"):
        build(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"manifest\.json"):
        read_manifest(tmp_path)


def test_bad_manifests_are_named(dataset: Path) -> None:
    write_manifest(build(dataset), dataset)
    path = dataset / "manifest.json"
    good = json.loads(path.read_text())

    twice = json.loads(path.read_text())
    twice["splits"]["test"].append(twice["splits"]["train"][0])
    path.write_text(json.dumps(twice))
    with pytest.raises(ValueError, match="is in 'train' and in 'test'"):
        read_manifest(dataset)

    path.write_text(json.dumps(good | {"sede": 1}))
    with pytest.raises(ValueError, match=r"manifest\.json: sede"):
        read_manifest(dataset)

    nowhere = json.loads(json.dumps(good))
    lost = nowhere["splits"]["train"].pop()
    path.write_text(json.dumps(nowhere))
    with pytest.raises(ValueError, match=f"'{lost}' is in no split"):
        read_manifest(dataset)

    path.write_text(json.dumps(good)[:200])
    with pytest.raises(ValueError, match="not valid JSON"):
        read_manifest(dataset)
