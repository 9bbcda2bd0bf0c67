"""Cards that tell what a set holds, and sets put together without anybody getting into two splits."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from exotwin.sim.dataset import card as module
from exotwin.sim.dataset.card import card
from exotwin.sim.dataset.generate import generate
from exotwin.sim.dataset.merge import merge, requests_of
from exotwin.sim.dataset.store import Store
from exotwin.sim.manifest import read_manifest, validate_manifest, write_manifest
from exotwin.sim.recording import read_recording
from fake_set import hashes, make, request, with_probe


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sets")
    generate(request(), folder / "one", make=make)
    generate(request(seed=12), folder / "two", make=make)
    return {name: folder / name for name in ("one", "two")}


def test_the_card_names_gaits_people_sensors_falls_and_licence(sets):
    text = (sets["one"] / "README.md").read_text()
    for said in (
        "0.2 minutes in 12 recordings of 3 people. Ended by a fall: 1.",
        "0.2 minutes were asked for",
        "| walk | 6 | 0.1 | 3 | 1 | level at 0.6-1.7 m/s |",
        "People fall often in walk (1 of 6)",
        "| s11_002 |",
        request().device.title,
        "| raw EMG, files in `_emg/` |",
        "CC BY 4.0",
        "Known limits",
    ):
        assert said in text
    assert f"| imu | {6 * len(request().device.sensors.imu.mounts)} |" in text


def test_a_gait_s_realism_is_read_from_the_shipped_scores(sets, monkeypatch, tmp_path):
    scores = {
        "level_0.84": {"goals": 10, "met": 4},
        "level_1.20": {"goals": 10, "met": 9},
        "squat": {"goals": 5, "met": 5},
        "hemiparetic_gait": {"goals": 4, "met": 1},
    }
    judged = [{"name": name, "simulated": True, "score": score} for name, score in scores.items()]
    judged.append({"name": "level_9", "simulated": False, "score": {"goals": 0, "met": 0}})
    (tmp_path / "realism.json").write_text(json.dumps({"gaits": judged}))
    monkeypatch.setattr(module, "files", lambda package: tmp_path)
    manifest = read_manifest(sets["one"])
    hemiparetic = [f.model_copy(update={"task": "hemiparesis"}) for f in manifest.files if f.task == "stand"]
    mixed = manifest.model_copy(update={"files": [*manifest.files, *hemiparetic]})
    lines = {line.split("|")[1].strip(): line for line in card(mixed, []).splitlines() if line.startswith("| ")}
    assert lines["walk"].endswith("| 13 of 20 goals (65 %) |")
    assert lines["hemiparesis"].endswith("| 1 of 4 goals (25 %) |")
    assert lines["stand"].endswith("| not scored |")


def test_cards_of_walking_tell_the_realism_of_the_shipped_policy(sets):
    lines = card(read_manifest(sets["one"]), []).splitlines()
    (walk,) = [line for line in lines if line.startswith("| walk |")]
    assert re.search(r"\| \d+ of \d+ goals \(\d+ %\) \|$", walk)


def test_merged_sets_hold_everything_and_keep_splits(sets, tmp_path):
    whole = merge([sets["one"], sets["two"]], tmp_path / "both")
    parts = [read_manifest(folder) for folder in sets.values()]
    assert read_manifest(tmp_path / "both") == whole
    validate_manifest(whole, tmp_path / "both")
    assert sorted(f.sha256 for f in whole.files) == sorted(f.sha256 for part in parts for f in part.files)
    for part in parts:
        for name, ids in part.splits:
            assert set(ids) <= set(getattr(whole.splits, name))
    assert [r.seed for r in requests_of(Store.at(tmp_path / "both"))] == [11, 12]
    assert "Merged from several sets" in (tmp_path / "both" / "README.md").read_text()
    for path, digest in hashes(sets["one"] / "_emg").items():
        assert hashes(tmp_path / "both" / "_emg")[path] == digest


def test_ultrasound_goes_along_and_the_card_tells_of_it(tmp_path):
    for seed in (11, 12):
        generate(request(seed=seed, device=with_probe()), tmp_path / str(seed), make=make)
    assert "| ultrasound images, .npz in `_ultrasound/` |" in (tmp_path / "11" / "README.md").read_text()
    whole = merge([tmp_path / "11", tmp_path / "12"], tmp_path / "both")
    validate_manifest(whole, tmp_path / "both")
    both = hashes(tmp_path / "both" / "_ultrasound")
    assert both == hashes(tmp_path / "11" / "_ultrasound") | hashes(tmp_path / "12" / "_ultrasound")
    assert len(both) == len(whole.files) == 24


def test_the_same_recordings_are_kept_once_and_the_stricter_split_holds(sets, tmp_path):
    manifest = read_manifest(sets["one"])
    swapped = manifest.splits.model_copy(update={"train": manifest.splits.test, "test": manifest.splits.train})
    other = Path(tmp_path / "swapped")
    generate(request(), other, make=make)
    write_manifest(manifest.model_copy(update={"splits": swapped}), other)
    whole = merge([sets["one"], other], tmp_path / "both")
    assert whole.files == manifest.files
    assert whole.splits.train == []
    assert sorted(whole.splits.test) == sorted(manifest.splits.train + manifest.splits.test)


def test_another_person_of_the_same_id_and_another_recording_of_the_same_name_get_new_names(sets, tmp_path):
    # The same seed with other ranges gives other people of the same ids; another device, other recordings.
    older = {"count": 3, "age_years": (60, 75)}
    generate(request(subjects=older), tmp_path / "older", make=make)
    generate(request(gaits="walk", recording_s=0.5, minutes_per_gait=0.5 / 60), tmp_path / "short", make=make)
    whole = merge([sets["one"], tmp_path / "older", tmp_path / "short"], tmp_path / "all")
    assert sorted(whole.subjects) == sorted(f"s11_00{i}{suffix}" for i in range(3) for suffix in ("", "-2"))
    paths = {f.path for f in whole.files}
    assert "task=walk/subject=s11_000-2/000.parquet" in paths
    assert "task=walk/subject=s11_000/002.parquet" in paths
    validate_manifest(whole, tmp_path / "all")
    renamed = read_recording(tmp_path / "all" / "task=walk/subject=s11_000-2/000.parquet")
    source = read_recording(tmp_path / "older" / "task=walk/subject=s11_000/000.parquet")
    assert renamed.meta["subject"]["id"] == "s11_000-2"
    assert (renamed["angle/knee_flexion_r"] == source["angle/knee_flexion_r"]).all()
    assert renamed.meta["subject"]["age_years"] >= 60.0


def test_what_a_merge_renumbered_is_known_again(sets, tmp_path):
    short = generate(request(gaits="walk", recording_s=0.5, minutes_per_gait=0.5 / 60), tmp_path / "short", make=make)
    both = merge([sets["one"], tmp_path / "short"], tmp_path / "both")
    assert len(both.files) == 12 + len(short.files)
    assert merge([tmp_path / "both", tmp_path / "short"], tmp_path / "again").files == both.files


def test_a_generation_file_that_says_too_little_is_named(sets, tmp_path):
    generate(request(), tmp_path / "own", make=make)
    (tmp_path / "own" / "generation.yaml").write_text("gaits: walk\n")
    with pytest.raises(ValueError, match=r"generation\S*\.yaml: device: Field required"):
        merge([sets["two"], tmp_path / "own"], tmp_path / "both")


def test_what_cannot_be_merged_is_refused(sets, tmp_path):
    with pytest.raises(ValueError, match="at least two"):
        merge([sets["one"]], tmp_path / "both")
    with pytest.raises(ValueError, match="is not empty"):
        merge(list(sets.values()), sets["two"])
    with pytest.raises(FileNotFoundError, match=r"manifest\.json"):
        merge([sets["one"], tmp_path / "nowhere"], tmp_path / "both")
    broken = tmp_path / "broken"
    generate(request(), broken, make=make)
    next(broken.glob("task=*/*/*.parquet")).write_bytes(b"cut")
    with pytest.raises(ValueError, match="has changed"):
        merge([sets["one"], broken], tmp_path / "both")
    assert not (tmp_path / "both").exists()
