"""Memory, dropouts and refusals of the onnxruntime stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exotwin.estimators.graph import GraphBuilder
from exotwin.estimators.spec import EstimatorSpec, StateMemory, WindowMemory
from exotwin.estimators.stream import OnnxStream

CHANNELS = ("imu/pelvis/ax", "imu/pelvis/ay")
JOINTS = ("hip_flexion_r", "hip_flexion_l")


def spec(memory: StateMemory | WindowMemory) -> EstimatorSpec:
    return EstimatorSpec(
        kind="torque",
        inputs=CHANNELS,
        rate_hz=200,
        memory=memory,
        outputs=JOINTS,
        units="Nm/kg",
        architecture="mean",
    )


def running_sum(folder: Path) -> Path:
    g = GraphBuilder()
    g.add("Add", ["frame", "state"], "output")
    g.add("Identity", ["output"], "new_state")
    (folder / "m.onnx").write_bytes(
        g.serialise({"frame": (1, 2), "state": (1, 2)}, {"output": (1, 2), "new_state": (1, 2)})
    )
    return folder / "m.onnx"


def moving_mean(folder: Path, frames: int) -> Path:
    g = GraphBuilder()
    g.add("ReduceMean", ["window"], "output", axes=[1], keepdims=0)
    (folder / "m.onnx").write_bytes(g.serialise({"window": (1, frames, 2)}, {"output": (1, 2)}))
    return folder / "m.onnx"


def test_state_memory_accumulates_and_resets(tmp_path: Path) -> None:
    stream = OnnxStream(running_sum(tmp_path), spec(StateMemory(shape=(1, 2))), np.zeros(2))
    values = np.arange(14.0).reshape(7, 2)
    for _ in range(2):
        np.testing.assert_allclose(stream.run(values), np.cumsum(values, axis=0))


def test_window_memory_is_a_moving_window(tmp_path: Path) -> None:
    stream = OnnxStream(moving_mean(tmp_path, 5), spec(WindowMemory(frames=5)), np.zeros(2))
    values = np.random.default_rng(0).normal(size=(40, 2))
    found = stream.run(values)
    assert np.isnan(found[:4]).all()
    expected = np.stack([np.convolve(column, np.full(5, 0.2), "valid") for column in values.T], axis=1)
    np.testing.assert_allclose(found[4:], expected, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_dropout_ends_with_the_dropout(tmp_path: Path, bad: float) -> None:
    stream = OnnxStream(running_sum(tmp_path), spec(StateMemory(shape=(1, 2))), np.array([10.0, 20.0]))
    values = np.array([[bad, 1.0], [2.0, 3.0], [bad, bad], [4.0, 5.0]])
    held = np.array([[10.0, 1.0], [2.0, 3.0], [2.0, 3.0], [4.0, 5.0]])
    found = stream.run(values)
    assert np.isnan(found).all(axis=1).tolist() == [True, False, True, False]
    np.testing.assert_allclose(found[[1, 3]], np.cumsum(held, axis=0)[[1, 3]])


def test_outputs_are_not_overwritten_by_the_next_frame(tmp_path: Path) -> None:
    stream = OnnxStream(running_sum(tmp_path), spec(StateMemory(shape=(1, 2))), np.zeros(2))
    first = stream.step(np.array([1.0, 2.0]))
    stream.step(np.array([1.0, 2.0]))
    assert first.tolist() == [1.0, 2.0]


def test_a_graph_that_is_not_the_specs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="spec asks for inputs"):
        OnnxStream(running_sum(tmp_path), spec(StateMemory(shape=(3, 2))), np.zeros(2))
    with pytest.raises(ValueError, match="spec asks for inputs"):
        OnnxStream(running_sum(tmp_path), spec(WindowMemory(frames=4)), np.zeros(2))


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"not a graph")
    with pytest.raises(ValueError, match=r"m\.onnx: onnxruntime cannot load it"):
        OnnxStream(tmp_path / "m.onnx", spec(WindowMemory(frames=4)), np.zeros(2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outputs": ("hip_flexon_r",)}, "did you mean 'hip_flexion_r'"),
        ({"outputs": ("hip_flexion_r", "hip_flexion_r")}, "output names repeat"),
        ({"units": "probability"}, "cannot answer in"),
        ({"kind": "mode", "units": "probability", "outputs": ("wlak/slow",)}, "did you mean 'walk'"),
    ],
)
def test_spec_names_what_is_wrong(change: dict, message: str) -> None:
    good = spec(WindowMemory(frames=3)).model_dump()
    with pytest.raises(ValueError, match=message):
        EstimatorSpec.model_validate(good | change)


def test_spec_survives_json() -> None:
    for memory in (WindowMemory(frames=3), StateMemory(shape=(4, 2), horizon_frames=9)):
        assert EstimatorSpec.model_validate_json(spec(memory).model_dump_json()) == spec(memory)
