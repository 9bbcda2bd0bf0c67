"""The command line as a user meets it: exit codes, what it prints, one line for bad input, Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from exotwin.scenarios import cli
from exotwin.scenarios.catalogue import find_bundle
from exotwin.scenarios.scenario import list_scenarios
from exotwin.sim.recording import read_recording
from short_walk import arms, short_walk

FALLS = {"name": "nobody falls", "metric": "arms.*.falls", "operator": "==", "limit": 0}
HOVERS = {"name": "nobody touches the ground", "metric": "arms.*.grf.weight_ratio", "operator": "<", "limit": 0.1}


@pytest.fixture
def exotwin(monkeypatch, capsys, tmp_path):
    """Runs the command in this process, in an empty folder; (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def call(*words: object, width: int = 100) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["exotwin", *map(str, words)])
        monkeypatch.setattr(cli.console, "_width", width)
        with pytest.raises(SystemExit) as left:
            cli.main()
        code = left.value.code
        said = capsys.readouterr()
        return (code if isinstance(code, int) else int(code is not None)), said.out, said.err

    return call


def error_line(said: tuple[int, str, str]) -> str:
    """The one line of an exit with code 2."""
    code, _, error = said
    assert code == 2, said
    lines = error.strip().splitlines()
    assert len(lines) == 1, error
    assert lines[0].startswith("error: ")
    return lines[0]


def parquet(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


# --- what it prints and its exit code


def test_a_run_that_passes_prints_the_table_and_where_the_files_are(exotwin, tmp_path):
    path = short_walk(tmp_path, arms=arms("unpowered", "estimator"), gates=[FALLS])
    code, out, _ = exotwin("run", path, "--out", "out", "--no-video")
    assert code == 0
    for word in ("short, hip_knee_ankle, seed 0", "unpowered", "Umberger 2010", "PASSED: all 1 gates hold"):
        assert word in out
    for name in ("estimator.parquet", "unpowered.parquet", "metrics.json", "report.html"):
        assert name in out
        assert (tmp_path / "out" / name).is_file()
    assert "video" not in out
    assert not (tmp_path / "out" / "video.mp4").exists()


def test_a_gate_that_fails_is_named_and_the_exit_code_is_1(exotwin, tmp_path):
    path = short_walk(tmp_path, arms=arms("no_exo"), gates=[FALLS, HOVERS])
    code, out, _ = exotwin("run", path, "--out", "out", "--no-video")
    assert code == 1
    assert "FAILED" in out
    assert "nobody touches the ground" in out
    assert "nobody falls:" not in out
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["passed"] is False


def test_a_seed_and_an_estimator_can_be_chosen(exotwin, tmp_path):
    path = short_walk(tmp_path, arms=arms("estimator"))
    exotwin("run", path, "--seed", 7, "--estimator", find_bundle("tcn_hip_knee_ankle"), "--no-video")
    assert read_recording(tmp_path / "runs" / "short" / "estimator.parquet").meta["seed"] == 7


@pytest.mark.parametrize(("value", "advice"), [("disabled", "unset it"), (None, "apt-get install libegl1")])
def test_where_nothing_can_be_rendered_it_says_how_to_enable_it(exotwin, tmp_path, monkeypatch, value, advice):
    monkeypatch.setattr("exotwin.sim.rendering.rendering_backend", lambda: None)
    if value:
        monkeypatch.setenv("MUJOCO_GL", value)
    else:
        monkeypatch.delenv("MUJOCO_GL", raising=False)
    code, out, _ = exotwin("run", short_walk(tmp_path, arms=arms("no_exo")), "--out", "out", width=400)
    assert code == 0
    assert "no video" in out
    assert advice in out
    assert not list((tmp_path / "out").glob("*.mp4"))


def test_what_there_is_gets_listed(exotwin):
    assert "level_walk_faults" in exotwin("scenarios")[1]
    assert "dephy_exoboot" in exotwin("devices")[1]
    assert "tcn_hip_knee_ankle" in exotwin("estimators")[1]


# --- bad input


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "level_wlak"], "no scenario 'level_wlak'; did you mean 'level_walk'?"),
        (
            ["run", "level_walk", "--device", "hip_kne_ankle"],
            "no device 'hip_kne_ankle'; did you mean 'hip_knee_ankle'?",
        ),
        (
            ["run", "level_walk", "--estimator", "tcn_hip_knee"],
            "no estimator 'tcn_hip_knee'; did you mean 'tcn_hip_knee_ankle'?",
        ),
        (["run", "level_walk", "--estimator", "level_walking"], "a bundle of kind 'mode', expected 'torque'"),
        (["run", "level_walk", "--estimator", "no/such/bundle"], "no/such/bundle: no bundle there"),
        (
            ["run", "level_walk", "--device", "dephy_exoboot"],
            "needs channel 'imu/pelvis/ax', which device 'dephy_exoboot'",
        ),
        (["run", "nowhere.yaml"], "nowhere.yaml"),
        (["run", "level_walk", "--device", "nowhere.yaml"], "nowhere.yaml"),
        (["evaluate", "tcn_hip_knee_ankel", "x.parquet"], "did you mean 'tcn_hip_knee_ankle'?"),
        (["evaluate", "tcn_hip_knee_ankle", "nowhere.parquet"], "nowhere.parquet: no such recording"),
        (["generate", "--out", "out", "--device", "hip_knee_ankel"], "did you mean 'hip_knee_ankle'?"),
        (["generate", "--out", "out", "--subjects", "2"], "2 subjects: 1 for validation and 1 for test leave none"),
    ],
)
def test_bad_input_is_one_line_with_the_nearest_right_one(exotwin, tmp_path, words, said):
    assert said in error_line(exotwin(*words))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"assistance": {"joints": {"hip_flexoin": {"scale": 0.2}}}},
            "no joint 'hip_flexoin'; did you mean 'hip_flexion'?",
        ),
        ({"sped_mps": 1.2}, "no key 'sped_mps'; did you mean 'speed_mps'?"),
        ({"task": "wlak"}, "no task 'wlak'; did you mean 'walk'?"),
        ({"task": "run"}, "no task with a policy 'run'; there is"),
        ({"arms": [{"name": "a", "controller": "orcale"}]}, "no controller 'orcale'; did you mean 'oracle'?"),
        ({"gates": [FALLS | {"metric": "arms.unpoweerd.falls"}]}, "no arm 'unpoweerd'; did you mean 'unpowered'?"),
        ({"device": "hip_ankle"}, "no device 'hip_ankle'"),
        ({"classifier": "level_waking"}, "no estimator 'level_waking'; did you mean 'level_walking'?"),
        ({"arms": [{"name": "a", "controller": "nowhere:build"}]}, "No module named 'nowhere'"),
    ],
)
def test_a_wrong_scenario_file_is_one_line_that_names_the_key(exotwin, tmp_path, changes, said):
    path = short_walk(tmp_path, **changes)
    assert said in error_line(exotwin("run", path, "--out", "out"))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["name: [short", "a: b: c", "\t- x", "just words", "[1, 2]", ""])
def test_malformed_yaml_names_the_file(exotwin, tmp_path, text):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    assert "broken.yaml" in error_line(exotwin("run", path, "--out", "out"))
    assert not (tmp_path / "out").exists()


def test_square_brackets_in_a_message_are_printed_as_they_are(exotwin, tmp_path):
    path = tmp_path / "[bold]x[/red].yaml"
    assert "[bold]x[/red].yaml" in error_line(exotwin("run", path))


@pytest.mark.parametrize("inside", [".", "sub"])
def test_an_out_folder_that_cannot_be_written_is_found_before_anything_runs(exotwin, tmp_path, monkeypatch, inside):
    monkeypatch.setattr("exotwin.scenarios.arm.ArmLoop.run", lambda *_: pytest.fail("it ran"))
    (tmp_path / "file").write_text("mine")
    out = tmp_path / "file" / inside
    said = error_line(exotwin("run", short_walk(tmp_path, arms=arms("no_exo")), "--out", out))
    assert f"{out}: no folder that can be written to" in said
    assert (tmp_path / "file").read_text() == "mine"


def test_numbers_out_of_range_are_refused(exotwin):
    for words in (["run", "level_walk", "--seed", -1], ["generate", "--out", "x", "--workers", 0]):
        code, _, error = exotwin(*words)
        assert code == 2
        assert words[-2] in error


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    from exotwin.scenarios.runner import run_scenario
    from exotwin.scenarios.scenario import load_scenario

    folder = tmp_path_factory.mktemp("recording")
    run_scenario(load_scenario(short_walk(folder, arms=arms("estimator"))), 0, folder / "out")
    return folder / "out" / "estimator.parquet"


def test_evaluate_agrees_with_the_loop(exotwin, recording):
    code, out, _ = exotwin("evaluate", "tcn_hip_knee_ankle", recording)
    assert code == 0
    own = read_recording(recording)
    joint = "ankle_dorsiflexion"
    estimate, truth = (
        np.concatenate([own[f"{kind}/{joint}_{side}"] for side in "rl"]) for kind in ("estimate", "torque/biological")
    )
    line = next(line for line in out.splitlines() if joint in line)
    printed = float(re.findall(r"\d+\.\d+", line)[0])
    assert printed == pytest.approx(np.sqrt(np.nanmean((estimate - truth / 75.0) ** 2)), abs=0.0006)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_recording_is_named(exotwin, tmp_path, recording, share):
    broken = tmp_path / "broken.parquet"
    content = recording.read_bytes()
    broken.write_bytes(content[: int(share * len(content))])
    said = error_line(exotwin("evaluate", "tcn_hip_knee_ankle", broken))
    assert "broken.parquet: truncated, or not a Parquet file" in said


# --- a user's own controller


def test_a_controller_beside_the_scenario_is_found(exotwin, tmp_path):
    (tmp_path / "beside_the_scenario.py").write_text(
        "from exotwin.controllers.stack import ZeroController\n\n\n"
        "def build(device, body_mass_kg):\n    return ZeroController(device.actuated)\n"
    )
    path = short_walk(tmp_path, arms=arms(mine="beside_the_scenario:build"))
    assert exotwin("run", path, "--out", "out", "--no-video")[0] == 0


def test_a_failing_controller_shows_where_it_failed(exotwin, tmp_path):
    (tmp_path / "failing_controller.py").write_text("def build(device, body_mass_kg):\n    return {}['gain']\n")
    path = short_walk(tmp_path, arms=arms(mine="failing_controller:build"))
    code, _, error = exotwin("run", path, "--out", "out", "--no-video")
    assert code == 2
    assert 'failing_controller.py", line 2, in build' in error
    assert error.strip().splitlines()[-1].startswith("error: arm 'mine': failing_controller:build")
    assert not (tmp_path / "out").exists()


# --- Ctrl-C

STARTED = """
from pathlib import Path
from exotwin.controllers.stack import ZeroController


class Slow(ZeroController):
    def step(self, frame):
        if frame.time > 0.1:
            Path("started").touch()
        return super().step(frame)


def build(device, body_mass_kg):
    return Slow(device.actuated)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_ctrl_c_ends_the_real_command_with_code_130_and_partial_files(tmp_path):
    (tmp_path / "started_controller.py").write_text(STARTED)
    path = short_walk(tmp_path, duration_s=600.0, arms=arms(mine="started_controller:build"))
    command = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    command += "from exotwin.scenarios.cli import main; main()"
    words = [sys.executable, "-c", command, "run", str(path), "--out", "out"]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        patience = time.monotonic() + 120
        while not (tmp_path / "started").exists():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < patience
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, out
    assert "interrupted: what is there is marked partial" in out
    assert "Traceback" not in out
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "metrics.partial.json",
        "mine.emg.partial.parquet",
        "mine.partial.parquet",
        "report.partial.html",
    ]


# --- the shipped scenarios, whole


@pytest.mark.slow
@pytest.mark.parametrize("name", list_scenarios())
def test_a_shipped_scenario_passes_its_gates(exotwin, name):
    code, out, error = exotwin("run", name, "--no-video")
    assert code == 0, out + error
