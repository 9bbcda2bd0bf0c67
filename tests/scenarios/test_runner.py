"""Whole runs of the closed loop, short ones: what comes out, that it repeats, faults, Ctrl-C, one's own controller."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from exotwin.controllers.device import load_device
from exotwin.scenarios.arm import ControllerError
from exotwin.scenarios.catalogue import find_device
from exotwin.scenarios.metrics import fault_torque
from exotwin.scenarios.normative import published
from exotwin.scenarios.runner import ScenarioResult, angle_reference, run_scenario
from exotwin.scenarios.scenario import load_scenario
from exotwin.sim.body import Embodiment
from exotwin.sim.recording import Recording, read_recording
from exotwin.sim.reference import load_reference
from exotwin.sim.subjects import Subject
from short_walk import arms, short_walk
from synthetic_walk import make

FIVE = ("no_exo", "unpowered", "profile", "estimator", "oracle")
MODELS = {"umberger2010", "bhargava2004", "minetti1997"}
JOINTS = {"hip_flexion", "knee_flexion", "ankle_dorsiflexion"}
GATE = {"name": "nobody falls", "metric": "arms.*.falls", "operator": "==", "limit": 0}


def run(folder: Path, out: Path, seed: int = 3, **changes: Any) -> ScenarioResult:
    return run_scenario(load_scenario(short_walk(folder, **changes)), seed, out)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    return run(folder, folder / "out", gates=[GATE]).out


@pytest.fixture(scope="module")
def metrics(whole) -> dict[str, Any]:
    return json.loads((whole / "metrics.json").read_text())


@pytest.fixture
def blank_report(monkeypatch):
    """The figures take most of the time of a short run."""
    monkeypatch.setattr("exotwin.scenarios.runner.write_report", lambda path, *_: path.write_text(""))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_metrics_have_the_shape_that_the_interface_promises(metrics):
    assert {"scenario", "device", "seed", "duration_s", "arms", "gates", "passed"} <= set(metrics)
    assert (metrics["scenario"], metrics["device"]) == ("short", "hip_knee_ankle")
    assert (metrics["seed"], metrics["duration_s"]) == (3, 1.2)
    assert tuple(metrics["arms"]) == FIVE
    for name, arm in metrics["arms"].items():
        assert arm["falls"] == 0
        assert arm["realtime_factor"] > 0
        assert 0.3 < arm["speed_mps"] < 2.0
        assert set(arm["metabolic_w_per_kg"]) == MODELS
        assert {"biological_torque_change", "effort", "wrong_direction_fraction"} <= set(arm)
        assert arm["recording"] == f"{name}.parquet"
    for name in ("profile", "estimator", "oracle"):
        errors = metrics["arms"][name]["estimator"]
        assert set(errors) == JOINTS
        assert all({"rmse_nm_per_kg", "nrmse", "r", "r2", "lag_ms"} <= set(e) for e in errors.values())
    assert [{k: g[k] for k in ("name", "value", "limit", "passed")} for g in metrics["gates"]] == [
        {"name": "nobody falls", "value": 0.0, "limit": 0.0, "passed": True}
    ]
    assert metrics["passed"] is True


def test_the_oracle_is_right_and_pushes_the_right_way(metrics):
    oracle = metrics["arms"]["oracle"]
    assert all(errors["rmse_nm_per_kg"] < 1e-9 for errors in oracle["estimator"].values())
    # Only the drives' delay and the low-pass put it wrong.
    assert oracle["wrong_direction_fraction"] < 0.15


def test_each_arm_is_a_whole_recording_of_the_person_alone_or_in_the_exo(whole):
    for name in FIVE:
        recording = read_recording(whole / f"{name}.parquet")
        assert len(recording) == 240
        meta = recording.meta
        assert (meta["arm"], meta["scenario"], meta["seed"], meta["partial"]) == (name, "short", 3, False)
        assert meta["device"] == (None if name == "no_exo" else "hip_knee_ankle")
        assert ("command/hip_flexion_r" in recording) == (name != "no_exo")
        assert (whole / f"{name}.emg.parquet").exists() == (name != "no_exo")
    raw = read_recording(whole / "unpowered.emg.parquet")
    assert raw.meta["rate_hz"] >= 1000.0
    assert raw.meta["duration_s"] == 1.2
    unpowered = read_recording(whole / "unpowered.parquet")
    assert not unpowered["command/hip_flexion_r"].any()
    assert read_recording(whole / "estimator.parquet")["command/hip_flexion_r"].any()


def test_the_report_loads_nothing_from_elsewhere(whole):
    class Links(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.found: list[str] = []

        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            self.found += [value or "" for key, value in attributes if key in ("src", "href", "srcset", "data")]
            assert tag not in ("script", "link", "iframe", "object", "embed")

    text = (whole / "report.html").read_text(encoding="utf-8")
    links = Links()
    links.feed(text)
    assert len(links.found) >= 4
    assert all(link.startswith(("data:", "#")) for link in links.found)
    assert "@import" not in text


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(whole, metrics, tmp_path):
    again = run(
        tmp_path, tmp_path / "out", gates=[{k: metrics["gates"][0][k] for k in ("name", "metric", "operator", "limit")}]
    )
    assert names(again.out) == names(whole)
    for path in whole.glob("*.parquet"):
        assert (again.out / path.name).read_bytes() == path.read_bytes(), path.name

    def timeless(text: str) -> dict[str, Any]:
        content = json.loads(text)
        for arm in content["arms"].values():
            del arm["realtime_factor"]
        return content

    assert timeless((again.out / "metrics.json").read_text()) == timeless((whole / "metrics.json").read_text())
    other = run(tmp_path, tmp_path / "other", seed=4, arms=arms("unpowered"))
    assert (other.out / "unpowered.parquet").read_bytes() != (whole / "unpowered.parquet").read_bytes()


# --- faults

THIGH, ALL, LINK = (0.6, 0.8), (1.5, 1.7), (2.4, 2.6)
FAULTS = [
    {"start_s": THIGH[0], "end_s": THIGH[1], "channels": "imu/thigh_r/*", "kind": "nan"},
    {"start_s": ALL[0], "end_s": ALL[1], "kind": "nan"},
    {"start_s": LINK[0], "end_s": LINK[1], "kind": "dropout"},
]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("faulty")
    return run(folder, folder / "out", duration_s=3.2, arms=arms("unpowered", "estimator"), faults=FAULTS).out


def commands(recording: Recording) -> np.ndarray:
    """(n,) largest commanded torque of any joint, Nm."""
    return np.abs([c for name, c in recording.columns.items() if name.startswith("command/")]).max(axis=0)


def test_torque_goes_to_zero_in_a_fault_and_returns_after_it(faulty):
    recording = read_recording(faulty / "estimator.parquet")
    time, torque, fault = recording["time"], commands(recording), recording["fault"]
    assert len(recording) == 640  # the run goes on to its end
    for start, end in (THIGH, ALL, LINK):
        assert torque[(time >= start - 0.1) & (time < start)].max() > 0.5
        # A gap is held for 20 ms before it is a fault; then the torque falls over 50 ms.
        assert not torque[(time >= start + 0.075) & (time < end + 0.49)].any()
        seen = time[(time >= start) & (fault != "")]
        assert seen[0] == pytest.approx(start)
    for start, end in (THIGH, ALL):
        declared = time[(time >= start) & (np.char.find(fault, "sensor_nan") >= 0)][0]
        assert declared - start <= 0.025
        assert not torque[(time >= declared + 0.06) & (time < end)].any()
    # The drives themselves let go when nothing has come for 20 ms.
    assert not torque[(time >= LINK[0] + 0.021) & (time < LINK[1])].any()
    assert np.isnan(recording["imu/thigh_r/ax"][(time >= THIGH[0]) & (time < THIGH[1])]).all()
    assert fault[-1] == ""


def test_faults_are_counted_listed_and_reported(faulty):
    found = json.loads((faulty / "metrics.json").read_text())["arms"]
    for name in ("unpowered", "estimator"):
        assert (found[name]["faults"], found[name]["falls"]) == (3, 0)
        assert found[name]["fault_torque_nm"] == 0.0
        kinds = [event["kind"] for event in read_recording(faulty / f"{name}.parquet").meta["events"]]
        assert kinds.count("recovered") == 3
    details = " ".join(e["detail"] for e in read_recording(faulty / "estimator.parquet").meta["events"])
    for word in ("nan:imu/thigh_r/*", "nan:*", "sensor_nan", "dropout", "watchdog"):
        assert word in details
    report = (faulty / "report.html").read_text(encoding="utf-8")
    for word in ("nan:imu/thigh_r/*", "sensor_nan", "dropout", "Faults in arm estimator"):
        assert word in report


def test_torque_that_remains_in_a_fault_is_found():
    time = np.arange(400) / 200.0
    fault = np.where((time >= 1.0) & (time < 1.5), "sensor_nan", "")
    ramp = np.interp(time, [1.0, 1.05], [8.0, 0.0])
    assert fault_torque(make({"command/hip_flexion_r": -ramp, "fault": fault})) == 0.0
    stuck = np.where(time < 1.2, 8.0, 3.0)
    assert fault_torque(make({"command/hip_flexion_r": -stuck, "fault": fault})) == 8.0
    assert fault_torque(make({"command/hip_flexion_r": -stuck, "fault": fault}), settle_s=0.25) == 3.0
    assert fault_torque(make({"command/hip_flexion_r": stuck, "fault": np.full(400, "")})) is None
    assert fault_torque(make({"fault": fault})) is None


def test_a_fault_on_a_channel_that_the_device_lacks_names_the_nearest(tmp_path):
    fault = {"start_s": 0.1, "end_s": 0.2, "channels": "imu/thihg_r/ax", "kind": "nan"}
    with pytest.raises(ValueError, match=r"'imu/thihg_r/ax'; did you mean 'imu/thigh_r/ax'"):
        run(tmp_path, tmp_path / "out", faults=[fault])
    assert not (tmp_path / "out").exists()


# --- Ctrl-C and what an earlier run left

CONTROLLER = """
import numpy as np
from exotwin.controllers.interface import TorqueCommand


class Spring:
    def __init__(self, device, body_mass_kg):
        self.joints = device.actuated
        self.gain = 0.1 * body_mass_kg

    def reset(self):
        pass

    def step(self, frame):
        angles = np.array([frame[f"encoder/{joint}/angle"] for joint in self.joints])
        return TorqueCommand(frame.time, self.joints, -self.gain * angles)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes a module of the Spring with one line of `step` changed; returns the arm's controller string."""
    monkeypatch.syspath_prepend(tmp_path)
    count = iter(range(100))

    def write(line: str = "", name: str = "Spring") -> str:
        module = f"own_{tmp_path.name}_{next(count)}"
        text = CONTROLLER.replace("        angles =", f"        {line or 'pass'}\n        angles =")
        (tmp_path / f"{module}.py").write_text(text)
        return f"{module}:{name}"

    return write


@pytest.fixture
def ctrl_c(own) -> str:
    return own("if frame.time > 0.595: raise KeyboardInterrupt")


def test_ctrl_c_keeps_what_there_is_and_calls_it_partial(tmp_path, ctrl_c):
    arms_ = [*arms("unpowered", mine=ctrl_c), *arms("oracle")]
    result = run(tmp_path, tmp_path / "out", arms=arms_)
    assert result.interrupted
    assert not result.passed
    assert names(result.out) == {
        "unpowered.parquet",
        "unpowered.emg.parquet",
        "mine.partial.parquet",
        "mine.emg.partial.parquet",
        "metrics.partial.json",
        "report.partial.html",
    }
    assert not read_recording(result.out / "unpowered.parquet").meta["partial"]
    cut = read_recording(result.out / "mine.partial.parquet")
    assert cut.meta["partial"]
    assert cut["time"][-1] == pytest.approx(0.595)
    found = json.loads((result.out / "metrics.partial.json").read_text())
    assert (found["partial"], found["passed"]) == (True, False)
    assert found["arms"]["mine"]["partial"]
    assert found["arms"]["mine"]["recording"] == "mine.partial.parquet"
    assert "oracle" not in found["arms"]
    assert "partial run (mine)" in (result.out / "report.partial.html").read_text(encoding="utf-8")


def test_ctrl_c_before_anything_happened_leaves_nothing(tmp_path, own):
    result = run(tmp_path, tmp_path / "out", arms=arms(mine=own("raise KeyboardInterrupt")))
    assert result.interrupted
    assert not result.passed
    assert names(result.out) == set()


@pytest.mark.usefixtures("blank_report")
def test_a_run_leaves_nothing_of_an_earlier_one_in_its_folder(tmp_path, own, ctrl_c):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    (out / "video.mp4").write_text("of an earlier run")
    two = [*arms("unpowered", mine=ctrl_c)]
    run(tmp_path, out, arms=two)
    run(tmp_path, out, arms=arms("unpowered", mine=own()))
    recordings = {f"{arm}{kind}.parquet" for arm in ("unpowered", "mine") for kind in ("", ".emg")}
    assert names(out) == recordings | {"notes.txt", "metrics.json", "report.html"}
    run(tmp_path, out, arms=arms(mine=ctrl_c, unpowered="unpowered"))
    mine = {"mine.partial.parquet", "mine.emg.partial.parquet"}
    assert names(out) == mine | {"notes.txt", "metrics.partial.json", "report.partial.html"}


# --- a controller of one's own


@pytest.mark.usefixtures("blank_report")
def test_a_controller_of_one_s_own_walks_in_the_loop(tmp_path, own):
    result = run(tmp_path, tmp_path / "out", arms=arms("unpowered", mine=own()))
    recording = read_recording(result.out / "mine.parquet")
    for joint in find_device("hip_knee_ankle").actuated:
        asked = -0.1 * 75.0 * recording[f"encoder/{joint}/angle"]
        np.testing.assert_allclose(recording[f"command/{joint}"], asked, rtol=1e-12)
    assert result.metrics["assisted_joints"] == ["hip_flexion", "knee_flexion", "ankle_dorsiflexion"]


@pytest.mark.usefixtures("blank_report")
def test_a_command_that_is_no_number_becomes_a_fault_without_torque(tmp_path, own):
    line = "if 0.3 < frame.time < 0.6: return TorqueCommand(frame.time, self.joints, np.full(6, np.nan))"
    result = run(tmp_path, tmp_path / "out", arms=arms(mine=own(line)))
    recording = read_recording(result.out / "mine.parquet")
    bad = recording["fault"] == "command_invalid"
    assert recording["time"][bad][[0, -1]] == pytest.approx([0.305, 0.595])
    assert not commands(recording)[bad].any()
    assert len(recording) == 240


@pytest.mark.parametrize(
    ("line", "name", "said"),
    [
        ("", "Sprung", "has no attribute 'Sprung'"),
        ("", "np", "'module' object is not callable"),
        ("", "TorqueCommand", "missing 1 required positional argument"),
        ("", "np.zeros", "not of the form"),
        ("raise RuntimeError('bang')", "Spring", "raised RuntimeError at 0.000 s: bang"),
        ("return [0.0] * 6", "Spring", "gave a list, not a TorqueCommand"),
        ("return TorqueCommand(frame.time, self.joints, np.zeros(5))", "Spring", r"shape \(5,\) for 6 joints"),
        ("return TorqueCommand(frame.time, self.joints[::-1], np.zeros(6))", "Spring", "but the device drives"),
        ("frame['encoder/hip_flexion/angle']", "Spring", "did you mean 'encoder/hip_flexion_r/angle'"),
    ],
)
def test_a_wrong_controller_is_told_what_is_wrong(tmp_path, own, line, name, said):
    with pytest.raises(ValueError, match=said):
        run(tmp_path, tmp_path / "out", arms=arms("unpowered", mine=own(line, name)))
    assert not (tmp_path / "out").exists() or names(tmp_path / "out") == set()


def test_a_failing_controller_s_own_exception_is_the_cause(tmp_path, own):
    with pytest.raises(ControllerError) as caught:
        run(tmp_path, tmp_path / "out", arms=arms(mine=own("1 / 0")))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_missing_module_is_named(tmp_path):
    with pytest.raises(ValueError, match="No module named 'no_such_module'"):
        run(tmp_path, tmp_path / "out", arms=arms(mine="no_such_module:build"))


# --- devices and bundles that do not fit


def test_a_bundle_whose_channels_the_device_lacks_names_the_channel(tmp_path):
    with pytest.raises(ValueError, match=r"needs channel 'imu/pelvis/ax', which device 'dephy_exoboot' has not"):
        run(tmp_path, tmp_path / "out", device="dephy_exoboot", arms=arms("estimator"))
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("blank_report")
def test_a_device_of_one_s_own_is_read_from_its_file(tmp_path, whole):
    from importlib.resources import files

    text = (files("exotwin.assets") / "devices" / "hip_knee_ankle.yaml").read_text(encoding="utf-8")
    mine = tmp_path / "mine.yaml"
    mine.write_text(text.replace("name: hip_knee_ankle", "name: mine", 1), encoding="utf-8")
    assert load_device(mine).name == "mine"
    result = run(tmp_path, tmp_path / "out", device=str(mine), arms=arms("unpowered"))
    assert result.metrics["device"] == "mine"


# --- the reference that angles are held against


@pytest.mark.parametrize(("height", "mass"), [(1.6, 60.0), (1.85, 85.0)])
def test_angle_reference_is_published_walking_from_heel_strike(height, mass):
    """At the published speed, scaled to the body; the ankle's neutral is not ours."""
    person = Embodiment(Subject(height_m=height, mass_kg=mass), None, load_reference("walk"), 0.002)
    found = angle_reference(SimpleNamespace(person=person), 1.20 * np.sqrt(height / 1.70))
    assert set(found) == {"hip_flexion", "hip_adduction", "hip_rotation", "knee_flexion", "ankle_dorsiflexion"}
    bands = published("level_walking", "Bovi2011", "free")
    for joint in ("hip_flexion", "knee_flexion", "ankle_dorsiflexion"):
        apart = np.degrees(found[joint]) - bands[f"angle/{joint}"].mean
        if bands[f"angle/{joint}"].offset:
            apart -= apart.mean()
        assert np.sqrt(np.mean(apart**2)) < 5.0, joint
        assert found[joint][0] == pytest.approx(found[joint][-1], abs=1e-6)
    # Heel strike: hip flexed, knee all but straight, then it yields.
    assert found["hip_flexion"][0] > 0.9 * found["hip_flexion"].max() - 0.1
    assert found["knee_flexion"][0] < found["knee_flexion"][:25].max() - 0.05
