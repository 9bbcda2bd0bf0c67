"""`exotwin generate` and `exotwin dataset` as a user meets them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from exotwin.scenarios import cli
from exotwin.scenarios.catalogue import find_device
from exotwin.scenarios.cli_dataset import load_generation, with_sensor_class
from exotwin.sim.manifest import read_manifest, validate_manifest

SMALL = {"gaits": "walk,stand", "minutes_per_gait": 0.3 / 60, "recording_s": 0.3, "subjects": 3, "seed": 7}


@pytest.fixture
def exotwin(monkeypatch, capsys, tmp_path):
    """Runs the command in this process, in an empty folder; (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL))

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["exotwin", *map(str, words)])
        monkeypatch.setattr(cli.console, "_width", 200)
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return call


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_generate_info_validate_and_merge(exotwin, tmp_path):
    code, out, error = exotwin("generate", "--config", "small.yaml", "--out", "data")
    assert code == 0, error
    assert "data: 6 recordings, 3 people, 0.0 minutes, 0 falls" in out
    validate_manifest(read_manifest(tmp_path / "data"), tmp_path / "data")
    code, out, _ = exotwin("dataset", "info", "data")
    assert code == 0
    for word in ("walk", "stand", "train", "validation", "test", "seed 7", "mujoco"):
        assert word in out
    assert "data: sound, 6 recordings" in exotwin("dataset", "validate", "data")[1]
    assert exotwin("generate", "--config", "small.yaml", "--gaits", "stand", "--seed", 8, "--out", "other")[0] == 0
    code, out, _ = exotwin("dataset", "merge", "data", "other", "--out", "both")
    assert code == 0
    assert "both: 9 recordings, 6 people" in out
    # The kept generation file makes the same set again.
    assert exotwin("generate", "--config", "data/generation.yaml", "--out", "again")[0] == 0
    assert contents(tmp_path / "again") == contents(tmp_path / "data")


def test_what_is_wrong_is_said_in_one_line(exotwin, tmp_path):
    (tmp_path / "bad.yaml").write_text("gait: walk\n")
    for words, said in (
        (("generate", "--out", "x", "--gaits", "wlak"), "no gait 'wlak'; did you mean 'walk'?"),
        (("generate", "--out", "x", "--preset", "consumr"), "no preset 'consumr'; did you mean 'consumer'?"),
        (("generate", "--out", "x", "--device", "hip_kne_ankle"), "did you mean 'hip_knee_ankle'?"),
        (("generate", "--out", "x", "--engine", "rya"), "no engine 'rya'; did you mean 'ray'?"),
        (("generate", "--out", "x", "--config", "bad.yaml"), "no key 'gait'; did you mean 'gaits'?"),
        (("generate", "--out", "x", "--config", "none.yaml"), "none.yaml"),
        (("generate", "--out", "x", "--subjects", "2"), "leave none to train"),
        (("dataset", "validate", "nowhere"), "nowhere/manifest.json: no such manifest"),
    ):
        code, _, error = exotwin(*words)
        assert code == 2
        assert said in error
        assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_options_override_the_file_and_a_device_may_be_a_name_or_whole(tmp_path):
    path = tmp_path / "g.yaml"
    path.write_text(
        yaml.safe_dump(SMALL | {"subjects": {"count": 3, "age_years": [60, 75]}, "device": "dephy_exoboot"})
    )
    request = load_generation(path, {"subjects": 5, "gaits": "squat"})
    assert (request.subjects.count, request.subjects.age_years) == (5, (60, 75))
    assert [gait.name for gait in request.gaits] == ["squat"]
    assert request.device == find_device("dephy_exoboot")
    assert load_generation(path, {}, device="hip_knee_ankle").device == find_device("hip_knee_ankle")


def test_a_preset_puts_its_figures_in_place_of_the_device_s_and_leaves_its_sensors_where_they_are():
    own = find_device("hip_knee_ankle")
    research, consumer = (with_sensor_class(own, name) for name in ("research", "consumer"))
    assert (research.sensors.preset, consumer.sensors.preset) == ("research", "consumer")
    assert research.layout.names == consumer.layout.names == own.layout.names
    assert consumer.sensors.imu.mounts == own.sensors.imu.mounts
    assert consumer.sensors.imu != research.sensors.imu
    assert with_sensor_class(consumer, "research") == research


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_killed_with_sigkill_and_resumed_on_another_engine_it_is_as_if_nothing_had_happened(exotwin, tmp_path, engine):
    if engine == "ray":
        pytest.importorskip("ray")
    more = SMALL | {"gaits": "walk,ramp_up,sit_to_stand,hemiparesis", "recording_s": 1.0, "minutes_per_gait": 1 / 60}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(more))
    words = ["generate", "--config", "small.yaml"]
    assert exotwin(*words, "--out", "whole")[0] == 0
    expected = contents(tmp_path / "whole")
    command = [sys.executable, "-c", "from exotwin.scenarios.cli import main; main()", *words, "--out", "data"]
    process = subprocess.Popen([*command, "--workers", "2"], cwd=tmp_path, start_new_session=True)
    deadline = time.monotonic() + 300
    while len(list((tmp_path / "data").rglob("task=*/*/*.parquet"))) < 3 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    left = {path: content for path, content in contents(tmp_path / "data").items() if not path.endswith(".part")}
    assert left.items() < expected.items()
    code, _, error = exotwin(*words, "--out", "data", "--engine", engine, "--workers", "2", "--resume")
    assert code == 0, error
    assert contents(tmp_path / "data") == expected
