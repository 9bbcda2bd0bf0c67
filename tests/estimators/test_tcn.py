"""The network is causal, sees as far back as it says, and streams to the numbers of the whole sequence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from exotwin.estimators.spec import EstimatorSpec, StateMemory
from exotwin.estimators.stream import OnnxStream
from exotwin.estimators.tcn import Tcn, step_graph

DEFAULT = (3, (1, 2, 4, 8, 16, 16))


def network(n_in: int, n_out: int, hidden: int, kernel: int, dilations: tuple[int, ...]) -> Tcn:
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    model = Tcn(n_in, n_out, hidden, kernel, dilations).eval()
    model.normalise(
        input_mean=rng.normal(0, 5, n_in),
        input_sd=rng.uniform(0.5, 5, n_in),
        output_mean=rng.normal(0, 0.5, n_out),
        output_sd=rng.uniform(0.3, 1, n_out),
    )
    return model


def stream_of(model: Tcn, folder: Path) -> OnnxStream:
    graph, shape = step_graph(model)
    (folder / "model.onnx").write_bytes(graph)
    spec = EstimatorSpec(
        kind="mode",
        inputs=tuple(f"c{i}" for i in range(model.inlet.in_features)),
        rate_hz=200,
        memory=StateMemory(shape=shape),
        outputs=("stand", "walk", "run", "squat", "walk/slow", "walk/normal")[: model.outlet.out_features],
        units="probability",
        architecture="tcn",
    )
    return OnnxStream(folder / "model.onnx", spec, model.get_buffer("input_mean").numpy())


def offline(model: Tcn, frames: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.tensor(frames, dtype=torch.float32)[None])[0].numpy()


@pytest.mark.parametrize(
    ("hidden", "kernel", "dilations"), [(64, *DEFAULT), (8, 2, (1, 5, 3)), (5, 4, (2,)), (16, 3, (4, 2, 1))]
)
def test_streaming_equals_offline(tmp_path: Path, hidden: int, kernel: int, dilations: tuple[int, ...]) -> None:
    model = network(12, 6, hidden, kernel, dilations)
    frames = np.random.default_rng(2).normal(0, 5, (3000, 12)).astype(np.float32).astype(float)
    stream = stream_of(model, tmp_path)
    expected = offline(model, frames)
    assert np.ptp(expected, axis=0).min() > 0.05
    np.testing.assert_allclose(stream.run(frames), expected, atol=1e-5, rtol=0)
    stream.step(frames[7])
    np.testing.assert_allclose(stream.run(frames[:50]), expected[:50], atol=1e-5, rtol=0)


def test_future_does_not_change_the_past() -> None:
    model = network(4, 2, 16, *DEFAULT)
    frames = np.random.default_rng(3).normal(0, 5, (400, 4))
    other = frames.copy()
    other[250:] += 3.0
    np.testing.assert_array_equal(offline(model, frames)[:250], offline(model, other)[:250])
    assert (offline(model, frames)[250] != offline(model, other)[250]).any()


def test_receptive_field_is_what_the_network_says() -> None:
    model = network(4, 2, 16, *DEFAULT)
    horizon = model.horizon_frames
    assert 0.3 <= horizon / 200 <= 0.5
    frames = np.random.default_rng(3).normal(0, 5, (300, 4))
    other = frames.copy()
    other[100] += 30.0
    change = np.flatnonzero((offline(model, frames) != offline(model, other)).any(axis=1))
    assert change[0] == 100
    # A single path through the oldest tap of every layer may be cut by a relu, so the very last frame may miss.
    assert 100 + horizon - 5 <= change[-1] <= 100 + horizon - 1


def test_no_past_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel 1"):
        Tcn(3, 2, 8, 1, (1, 2))
