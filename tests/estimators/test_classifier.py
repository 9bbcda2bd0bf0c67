"""The mode classifier learns modes that differ, and streams to the numbers it was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exotwin.controllers.interface import ChannelLayout, SensorFrame
from exotwin.controllers.protocols import ModeClassifier
from exotwin.estimators.bundle import Normalisation, verify_bundle
from exotwin.estimators.classifier import running_statistics, step_graph, train_mode_classifier
from exotwin.estimators.runtime import OnnxModeClassifier
from exotwin.estimators.spec import EstimatorSpec, StateMemory
from exotwin.estimators.stream import OnnxStream
from synthetic_data import synthetic_recording
from torch import nn

CLASSES = ("stand", "walk/slow", "walk/normal")


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("bundle")
    return folder, train_mode_classifier(dataset, folder, classes=CLASSES, epochs=30, progress=False)


def test_tells_the_modes_apart(trained: tuple[Path, dict[str, Any]]) -> None:
    test = trained[1]["test"]
    assert test["accuracy"] > 0.85  # a third of it is chance; the share includes the seconds around changes
    assert min(test["recall"].values()) > 0.7
    assert sum(sum(row.values()) for row in test["confusion"].values()) == test["frames"] == 2400


def test_answers_frame_by_frame(trained: tuple[Path, dict[str, Any]]) -> None:
    verify_bundle(trained[0])
    classifier = OnnxModeClassifier(trained[0])
    assert isinstance(classifier, ModeClassifier)
    recording = synthetic_recording(4)
    layout = ChannelLayout(classifier.channels)
    values = np.stack([recording[c] for c in layout.names], axis=1)
    probabilities = classifier.run_offline(recording.columns)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    classifier.reset()
    answers = [classifier.update(SensorFrame(0.0, row, layout)) for row in values]
    assert [a.key for a in answers] == [classifier.classes[i] for i in probabilities.argmax(axis=1)]
    assert answers[-1].key == "walk/normal"
    assert answers[-1].confidence == probabilities[-1].max()

    blind = classifier.update(SensorFrame(0.0, values[-1] * np.nan, layout))
    assert (blind.key, blind.confidence) == ("walk/normal", 0.0)
    assert classifier.update(SensorFrame(0.0, values[-1], layout)).confidence > 0.5


def test_unknown_class_is_named(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no class 'walk/sloww' in the training data; did you mean 'walk/slow'"):
        train_mode_classifier(dataset, tmp_path, classes=("stand", "walk/sloww"), progress=False)


def test_running_statistics_are_the_plain_recursion() -> None:
    x = np.random.default_rng(0).normal(2, 1, (200, 3))
    gains = (0.3, 0.01)
    found = running_statistics(x, gains)
    mean, variance = np.zeros((2, 3)), np.zeros((2, 3))
    a = np.array(gains)[:, None]
    for row, statistics in zip(x, found, strict=True):
        d = row - mean
        mean = mean + a * d
        variance = variance + a * (d**2 - variance)
        expected = np.concatenate([mean.ravel(), np.sqrt(variance + 1e-3).ravel()])
        np.testing.assert_allclose(statistics, expected, rtol=1e-9)


def test_full_size_stream_equals_offline_and_keeps_up(tmp_path: Path) -> None:
    torch.manual_seed(0)
    n, gains = 42, (0.03, 0.01)
    model = nn.Sequential(nn.Linear(4 * n, 32), nn.ReLU(), nn.Linear(32, 3), nn.Softmax(dim=-1))
    rng = np.random.default_rng(0)
    normalisation = Normalisation(input_mean=tuple(rng.normal(0, 5, n)), input_sd=tuple(rng.uniform(0.5, 3, n)))
    graph, shape = step_graph(model, normalisation, gains)
    (tmp_path / "m.onnx").write_bytes(graph)
    spec = EstimatorSpec(
        kind="mode",
        inputs=tuple(f"c{i}" for i in range(n)),
        rate_hz=200,
        memory=StateMemory(shape=shape),
        outputs=CLASSES,
        units="probability",
        architecture="mlp",
    )
    stream = OnnxStream(tmp_path / "m.onnx", spec, np.zeros(n))
    frames = rng.normal(0, 5, (3000, n)).astype(np.float32).astype(float)
    normal = (frames - np.array(normalisation.input_mean)) / np.array(normalisation.input_sd)
    with torch.no_grad():
        expected = model(torch.tensor(running_statistics(normal, gains), dtype=torch.float32)).numpy()
    np.testing.assert_allclose(stream.run(frames), expected, atol=1e-5)
