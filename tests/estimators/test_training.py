"""Training on torques whose law is known, and the bundle that comes out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import exotwin.estimators.training as training
import numpy as np
import pytest
from exotwin.controllers.interface import ChannelLayout, SensorFrame
from exotwin.controllers.protocols import ModeEstimate, TorqueEstimator
from exotwin.estimators.bundle import BundleError, Manifest, export_bundle, read_manifest, verify_bundle
from exotwin.estimators.data import open_recording, true_kinematics
from exotwin.estimators.evaluation import evaluate_bundle
from exotwin.estimators.loading import Loader
from exotwin.estimators.runtime import OnnxEstimator, OnnxModeClassifier
from exotwin.scenarios import cli
from exotwin.sim.recording import Recording
from synthetic_data import synthetic_recording, write_dataset
from typer.testing import CliRunner

SMALL: dict[str, Any] = {
    "hidden": 16,
    "dilations": (1, 2, 4),
    "epochs": 20,
    "batch": 4,
    "crop_s": 0.5,
    "learning_rate": 5e-3,
    "noise": 0.01,
    "progress": False,
}


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("bundle")
    metrics = training.train_torque_estimator(
        dataset, folder, channels=training.KINEMATIC_CHANNELS, command="make it", **SMALL
    )
    return folder, metrics


@pytest.fixture
def bundle(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained[0], tmp_path / "bundle"))


def test_learns_the_law(trained: tuple[Path, dict[str, Any]]) -> None:
    for joint, errors in trained[1]["test"].items():
        assert errors["r2"] > 0.85, joint  # 0 is the mean of the test data itself
        assert abs(errors["lag_ms"]) < 10


def test_manifest_says_where_it_comes_from(trained: tuple[Path, dict[str, Any]]) -> None:
    manifest = read_manifest(trained[0])
    assert manifest.licence == "CC0-1.0"
    assert manifest.provenance.command == "make it"
    assert manifest.provenance.steps > 0
    assert not manifest.provenance.partial
    assert manifest.metrics["test"] == trained[1]["test"]
    assert len(manifest.spec.inputs) == 12
    assert sorted(p.name for p in trained[0].iterdir()) == ["golden.npz", "manifest.json", "model.onnx"]


def test_command_line_learns_from_the_channels_asked_for(dataset: Path, tmp_path: Path) -> None:
    words = ["train", "torque", str(dataset), "--out", str(tmp_path), "--hidden", "4", "--epochs", "1"]
    chosen = ["--channel", "imu/*/g?", "--channel", "encoder/*/angle"]
    assert CliRunner().invoke(cli.app, [*words, *chosen]).exit_code == 0
    inputs = read_manifest(tmp_path).spec.inputs
    assert [name for name in inputs if name.startswith("imu/")] == [f"imu/shank_{s}/g{a}" for s in "rl" for a in "xyz"]
    assert {name.rpartition("/")[2] for name in inputs if name.startswith("encoder/")} == {"angle"}
    refused = CliRunner().invoke(cli.app, [*words, *chosen, "--kinematic"])
    assert "leave out --channel" in str(refused.exception)


def test_frames_one_by_one_equal_the_whole_recording(bundle: Path) -> None:
    estimator = OnnxEstimator(bundle)
    assert isinstance(estimator, TorqueEstimator)
    recording = synthetic_recording(4)
    whole = estimator.run_offline(recording.columns)
    layout = ChannelLayout(["insole/r/force", *reversed(estimator.channels)])
    values = np.stack([recording[c] if c in recording else 0 * recording["time"] for c in layout.names], axis=1)
    estimator.reset()
    mode = ModeEstimate("walk", 1.0)
    streamed = [estimator.update(SensorFrame(0.0, row, layout), mode) for row in values[:300]]
    np.testing.assert_array_equal(streamed, whole[:300])


def test_missing_channels_are_named(bundle: Path) -> None:
    estimator = OnnxEstimator(bundle)
    layout = ChannelLayout(["encoder/hip_flexion_r/angel"])
    with pytest.raises(KeyError, match="did you mean 'encoder/hip_flexion_r/angel'"):
        estimator.update(SensorFrame(0.0, np.zeros(1), layout), ModeEstimate("walk", 1.0))
    with pytest.raises(KeyError, match="no column 'encoder/hip_flexion_r/angle'"):
        estimator.run_offline({"time": np.zeros(3)})


def test_a_dropout_gives_nan_then_recovers(bundle: Path) -> None:
    estimator = OnnxEstimator(bundle)
    columns = dict(synthetic_recording(4).columns)
    clean = estimator.run_offline(columns)
    name = estimator.channels[3]
    columns[name] = columns[name].copy()
    columns[name][1000:1010] = np.nan
    broken = estimator.run_offline(columns)
    assert np.isnan(broken[1000:1010]).all()
    assert np.isfinite(np.delete(broken, np.s_[1000:1010], axis=0)).all()
    horizon = estimator.spec.memory.horizon_frames
    np.testing.assert_allclose(broken[1010 + horizon :], clean[1010 + horizon :], atol=1e-6)


def test_test_metrics_are_those_of_the_bundle(trained: tuple[Path, dict[str, Any]], dataset: Path) -> None:
    table = evaluate_bundle(trained[0], dataset / "task=walk/subject=s5/trial.parquet")
    for joint, errors in trained[1]["test"].items():
        assert table[joint] == pytest.approx(errors, abs=1e-3)


def test_evaluates_motion_capture_at_another_rate(bundle: Path, tmp_path: Path) -> None:
    full = synthetic_recording(4, rate=1000.0)
    kept = {n: v for n, v in full.columns.items() if n == "time" or n.startswith(("angle", "velocity", "torque"))}
    Recording(kept, full.meta).write(tmp_path / "mocap.parquet")
    with pytest.raises(ValueError, match="substitutes"):
        evaluate_bundle(bundle, tmp_path / "mocap.parquet")
    substitutes = true_kinematics(OnnxEstimator(bundle).channels)
    for trial in (tmp_path / "mocap.parquet", open_recording(tmp_path / "mocap.parquet").read()):
        assert min(e["r2"] for e in evaluate_bundle(bundle, trial, substitutes).values()) > 0.85


def test_golden_output_is_reproduced(bundle: Path) -> None:
    assert verify_bundle(bundle) <= 1e-5
    with np.load(bundle / "golden.npz") as golden:
        assert np.ptp(golden["output"]) > 1e-3


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz"])
def test_a_damaged_file_is_refused(bundle: Path, name: str) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    for refuse in (verify_bundle, OnnxEstimator):
        with pytest.raises(BundleError, match=f"{name}: changed or damaged"):
            refuse(bundle)
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        read_manifest(bundle)


def test_an_unsound_manifest_is_refused(bundle: Path, tmp_path: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["spec"]["units"] = "Nm"
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"manifest\.json: spec\.units"):
        OnnxEstimator(bundle)
    (bundle / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match=r"manifest\.json: \(top\)"):
        OnnxEstimator(bundle)
    with pytest.raises(FileNotFoundError, match="no such bundle folder"):
        OnnxEstimator(tmp_path / "nowhere")


def reexported(manifest: Manifest, bundle: Path, offset: float, frames: int) -> None:
    with np.load(bundle / "golden.npz") as golden:
        inputs, outputs = golden["input"], golden["output"]
    export_bundle(
        bundle,
        (bundle / "model.onnx").read_bytes(),
        manifest.spec,
        normalisation=manifest.normalisation,
        provenance=manifest.provenance,
        metrics={},
        licence="CC0-1.0",
        golden_input=inputs,
        golden_output=outputs[:frames] + np.float32(offset),
    )


def test_a_graph_off_its_golden_output_is_not_exported(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    reexported(manifest, bundle, 0.0, 300)
    with pytest.raises(BundleError, match="off the golden output by"):
        reexported(manifest, bundle, 1e-4, 300)


def test_kinds_are_not_mixed_up(bundle: Path) -> None:
    with pytest.raises(BundleError, match="a bundle of kind 'torque', expected 'mode'"):
        OnnxModeClassifier(bundle)


def test_a_resumed_training_gives_the_same_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_dataset(tmp_path / "data", seconds=4.0)
    few = SMALL | {"epochs": 4, "channels": ("encoder/*",)}
    training.train_torque_estimator(data, tmp_path / "whole", **few)

    batches = Loader.batches
    calls = []

    def stopped(self: Loader, *args: Any) -> Any:
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return batches(self, *args)

    monkeypatch.setattr(Loader, "batches", stopped)
    metrics = training.train_torque_estimator(data, tmp_path / "parts", **few)
    assert metrics["epochs"] == 2
    assert read_manifest(tmp_path / "parts").provenance.partial
    verify_bundle(tmp_path / "parts")

    training.train_torque_estimator(data, tmp_path / "parts", resume=True, **few)
    assert not read_manifest(tmp_path / "parts").provenance.partial
    whole, parts = ((tmp_path / name / "model.onnx").read_bytes() for name in ("whole", "parts"))
    assert whole == parts
    with pytest.raises(FileNotFoundError, match="no checkpoint to resume from"):
        training.train_torque_estimator(data, tmp_path / "parts", resume=True, **few)


def test_unknown_values_do_not_reach_the_weights(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_dataset(data, seconds=4.0)
    manifest = json.loads((data / "manifest.json").read_text())
    for file in manifest["files"]:
        recording = synthetic_recording(int(file["subject"][1]) - 1, 4.0)
        recording["encoder/hip_flexion_r/angle"][100:200] = np.nan
        recording["torque/biological/knee_flexion_l"][300:] = np.nan
        recording.write(data / file["path"])
        file["sha256"] = ""
    (data / "manifest.json").write_text(json.dumps(manifest))
    metrics = training.train_torque_estimator(data, tmp_path / "bundle", **(SMALL | {"epochs": 3}))
    assert all(np.isfinite(errors["rmse"]) for errors in metrics["test"].values())
    assert metrics["test"]["hip_flexion"]["missing"] == pytest.approx(100 / 800)
    assert metrics["test"]["knee_flexion"]["missing"] == pytest.approx(200 / 1100)
