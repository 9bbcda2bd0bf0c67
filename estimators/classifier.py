"""The learned mode classifier: running means and spreads of the sensors at two paces, then an MLP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter
from torch import nn
from torch.nn import functional

from ..controllers.interface import FloatArray, closest
from .bundle import Normalisation, export_bundle
from .data import (
    RecordingFile,
    column_statistics,
    common_rate,
    expand_channels,
    hold_last,
    mode_columns,
    mode_keys,
    stacked,
)
from .dataset import SPLITS, Dataset, open_dataset
from .graph import GraphBuilder
from .loading import MEMORY_MB, Example, Loader, every_window
from .mirror import Mirror
from .optimise import Schedule, capped_threads, optimise
from .provenance import input_normalisation, provenance_of
from .spec import EstimatorSpec, StateMemory

GOLDEN_FRAMES = 400
LEAST_VARIANCE = 1e-3
"""Added to a variance (of a channel with unit variance) before its root, whose slope at 0 is infinite."""


def running_statistics(normal: FloatArray, gains: tuple[float, ...]) -> FloatArray:
    """Exponential means and standard deviations of channels (n, c) -> (n, 2 * n_gains * c), causal.

    For each gain a, from zero: d = x - m; m += a d; v += a (d^2 - v); features m and
    sqrt(v + LEAST_VARIANCE). Order: means of the first gain, of the second, ..., then the deviations alike.
    """
    means, deviations = [], []
    for a in gains:
        mean = lfilter([a], [1.0, a - 1.0], normal, axis=0)
        before = np.vstack([np.zeros((1, normal.shape[1])), mean[:-1]])
        means.append(mean)
        deviations.append(np.sqrt(lfilter([a], [1.0, a - 1.0], (normal - before) ** 2, axis=0) + LEAST_VARIANCE))
    return np.hstack(means + deviations)


def train_mode_classifier(
    data: str | Path | Dataset,
    out_dir: str | Path,
    *,
    channels: tuple[str, ...] = ("imu/*",),
    classes: tuple[str, ...] | None = None,
    hidden: int = 32,
    time_constants_s: tuple[float, ...] = (0.15, 0.5),
    epochs: int = 40,
    patience: int = 10,
    batch: int = 256,
    stride: int = 10,
    learning_rate: float = 3e-3,
    weight_decay: float = 0.01,
    noise: float = 0.1,
    mirror: bool = True,
    seed: int = 0,
    threads: int = 1,
    memory_mb: float = MEMORY_MB,
    resume: bool = False,
    progress: bool = True,
    licence: str = "",
    command: str = "",
) -> dict[str, Any]:
    """Train a classifier of `mode` and `speed_class` on a dataset and write its bundle.

    channels: names or shell patterns of recording columns. classes: mode keys such as ``stand`` or
    ``walk/slow``, default those of the training data; frames of another key are left out. stride: every how
    many frames one is learnt from (neighbours are alike). noise: added to the features, in channel
    standard deviations. The rest as `train_torque_estimator`.

    Returns its metrics: ``test`` {accuracy, recall {class: ..}, confusion {true: {answered: count}}, frames},
    ``validation_loss``, ``epochs`` and ``subjects`` by split. Each class weighs the same in the loss.
    Raises ValueError for a class the training data lack, and what `train_torque_estimator` raises.
    """
    dataset = data if isinstance(data, Dataset) else open_dataset(data)
    options = {
        "hidden": hidden,
        "time_constants_s": time_constants_s,
        "epochs": epochs,
        "patience": patience,
        "batch": batch,
        "stride": stride,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "noise": noise,
        "mirror": mirror,
        "memory_mb": memory_mb,
        "tasks": dataset.tasks,
    }
    recordings = {split: dataset.recordings(split) for split in SPLITS}
    everything = [r for found in recordings.values() for r in found]
    inputs = expand_channels(channels, recordings["train"][0].names)
    rate_hz = common_rate(everything)
    for recording in everything:
        recording.require([*inputs, "mode"])
    census: list[Counter[str]] = []  # of each training recording: complete frames by mode key

    def measured() -> Iterator[FloatArray]:
        for recording in recordings["train"]:
            values, keys = _labelled(recording, inputs)
            census.append(Counter(keys.tolist()))
            yield values

    mean, sd = column_statistics(inputs, measured())
    known = sorted(set().union(*census) - {""})
    for name in classes or ():
        if name not in known:
            raise ValueError(f"no class {name!r} in the training data{closest(name, known)}")
    names = classes or tuple(known)

    normalisation = input_normalisation(mean, sd)
    gains = tuple(1.0 - float(np.exp(-1.0 / (tau * rate_hz))) for tau in time_constants_s)
    features = _Features(inputs, names, normalisation, gains)
    reflection = Mirror(inputs) if mirror else None
    views = 1 if reflection is None else 2
    rows = [views * -(-sum(found[name] for name in names) // stride) for found in census]
    training = Loader(recordings["train"], lambda r: features.of(r, stride, reflection), rows, memory_mb)
    validation = Loader(recordings["validation"], lambda r: features.of(r, stride), memory_mb=memory_mb)
    balance = torch.from_numpy(_balance([sum(found[name] for found in census) for name in names]))

    torch.manual_seed(seed)
    n_features = 2 * len(gains) * len(inputs)
    model = nn.Sequential(nn.Linear(n_features, hidden), nn.ReLU(), nn.Linear(hidden, len(names)), nn.Softmax(dim=-1))
    logits = model[:-1]

    def losses(rng: np.random.Generator) -> Iterator[torch.Tensor]:
        for _, x, y in training.batches(every_window(rows, 1, 1), 1, batch, rng):
            disturbance = noise * rng.standard_normal((len(x), n_features), np.float32)
            answer = logits(x[:, 0] + torch.from_numpy(disturbance))
            yield functional.cross_entropy(answer, y[:, 0], weight=balance)

    def validation_loss() -> float:
        total, weight = 0.0, 0.0
        for x, y in validation:
            answer = logits(x)
            total += float(functional.cross_entropy(answer, y, weight=balance, reduction="sum"))
            weight += float(balance[y].sum())
        if not weight:
            raise ValueError(f"{dataset.folder}: none of the classes {list(names)} in the validation recordings")
        return total / weight

    folder = Path(out_dir)
    with capped_threads(threads):
        outcome = optimise(
            model,
            losses,
            validation_loss,
            Schedule(epochs, patience, learning_rate, weight_decay),
            seed=seed,
            folder=folder,
            resume=resume,
            progress=progress,
        )
        answered, truth = [], []
        for recording in recordings["test"]:
            x, label = features.of(recording)
            answered.append(model(torch.from_numpy(x)).argmax(dim=1).numpy())
            truth.append(label)
        golden = hold_last(_labelled(recordings["test"][0], inputs)[0], mean)[:GOLDEN_FRAMES]
        golden_output = model(torch.from_numpy(features.statistics(golden))).detach().numpy()
    metrics = {
        "test": _confusion(np.concatenate(answered), np.concatenate(truth), names),
        "validation_loss": outcome.score,
        "epochs": outcome.epochs,
        "subjects": {split: list(dataset.splits[split]) for split in SPLITS},
    }
    graph, shape = step_graph(model, normalisation, gains)
    export_bundle(
        folder,
        graph,
        EstimatorSpec(
            kind="mode",
            inputs=inputs,
            rate_hz=rate_hz,
            memory=StateMemory(shape=shape),
            outputs=names,
            units="probability",
            architecture="running-statistics-mlp",
            hyperparameters={"hidden": hidden, "time_constants_s": time_constants_s},
        ),
        normalisation=normalisation,
        provenance=provenance_of(dataset, outcome, command=command, seed=seed, options=options),
        metrics=metrics,
        licence=licence or dataset.licence,
        golden_input=golden,
        golden_output=golden_output,
    )
    return metrics


def step_graph(
    model: nn.Sequential, normalisation: Normalisation, gains: tuple[float, ...]
) -> tuple[bytes, tuple[int, ...]]:
    """The streaming form of running statistics and MLP, and the shape of its state: means then variances,
    one row a gain, (2 * n_gains, n_inputs).
    """
    w = {name: values.detach().double().numpy() for name, values in model.state_dict().items()}
    mean, sd = np.array(normalisation.input_mean), np.array(normalisation.input_sd)
    n_inputs, n_gains, n_outputs = len(mean), len(gains), len(w["2.bias"])
    shape = (2 * n_gains, n_inputs)
    g = GraphBuilder()
    gain = g.constant("gain", np.array(gains)[:, None])
    g.add("Sub", ["frame", g.constant("mean", mean[None])], "centred")
    g.add("Div", ["centred", g.constant("sd", sd[None])], "normal")
    g.add("Split", ["state"], "old_mean", "old_variance", axis=0)
    g.add("Sub", ["normal", "old_mean"], "surprise")
    g.add("Mul", ["surprise", gain], "mean_step")
    g.add("Add", ["old_mean", "mean_step"], "new_mean")
    g.add("Mul", ["surprise", "surprise"], "square")
    g.add("Sub", ["square", "old_variance"], "excess")
    g.add("Mul", ["excess", gain], "variance_step")
    g.add("Add", ["old_variance", "variance_step"], "new_variance")
    g.add("Concat", ["new_mean", "new_variance"], "new_state", axis=0)
    g.add("Add", ["new_variance", g.constant("least", np.array([LEAST_VARIANCE]))], "positive")
    g.add("Sqrt", ["positive"], "deviation")
    g.add("Concat", ["new_mean", "deviation"], "statistics", axis=0)
    g.add("Reshape", ["statistics", g.constant("flat", np.array([1, 2 * n_gains * n_inputs]))], "features")
    g.add("Gemm", ["features", g.constant("w0", w["0.weight"].T), g.constant("b0", w["0.bias"])], "sum_0")
    g.add("Relu", ["sum_0"], "h")
    g.add("Gemm", ["h", g.constant("w1", w["2.weight"].T), g.constant("b1", w["2.bias"])], "logits")
    g.add("Softmax", ["logits"], "output", axis=-1)
    graph = g.serialise(
        takes={"frame": (1, n_inputs), "state": shape}, gives={"output": (1, n_outputs), "new_state": shape}
    )
    return graph, shape


def _labelled(recording: RecordingFile, inputs: tuple[str, ...]) -> tuple[FloatArray, NDArray[np.str_]]:
    """Channels (n, n_inputs) and mode keys (n,) of a recording; no key where a channel is missing."""
    trial = recording.read([*inputs, *mode_columns(recording.names)])
    measured = stacked(trial, inputs)
    return measured, np.where(np.isfinite(measured).all(axis=1), mode_keys(trial), "")


@dataclass(frozen=True, eq=False)
class _Features:
    """Makes recordings into what the network sees and should say."""

    inputs: tuple[str, ...]
    names: tuple[str, ...]
    normalisation: Normalisation
    gains: tuple[float, ...]

    def statistics(self, held: FloatArray) -> NDArray[np.float32]:
        """Channels (n, n_inputs), all finite -> features (n, 2 * n_gains * n_inputs)."""
        normal = (held - np.array(self.normalisation.input_mean)) / np.array(self.normalisation.input_sd)
        return running_statistics(normal, self.gains).astype(np.float32)

    def of(self, recording: RecordingFile, stride: int = 1, reflection: Mirror | None = None) -> Example:
        """Every so many of the frames with a known class, then the same of the mirrored recording if asked for."""
        measured, keys = _labelled(recording, self.inputs)
        number = {name: i for i, name in enumerate(self.names)}
        label = np.array([number.get(key, -1) for key in keys.tolist()], dtype=np.int64)
        rows = np.flatnonzero(label >= 0)[::stride]
        held = hold_last(measured, np.array(self.normalisation.input_mean))
        views = [held] if reflection is None else [held, reflection.apply(held)]
        return Example(np.vstack([self.statistics(view)[rows] for view in views]), np.tile(label[rows], len(views)))


def _balance(counts: list[int]) -> NDArray[np.float32]:
    """Class weights that give every class the same say, from its number of frames."""
    return (sum(counts) / (len(counts) * np.maximum(counts, 1))).astype(np.float32)


def _confusion(answered: NDArray[np.int64], truth: NDArray[np.int64], names: tuple[str, ...]) -> dict[str, Any]:
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, (truth, answered), 1)
    totals = counts.sum(axis=1)
    return {
        "accuracy": float(np.mean(answered == truth)) if len(truth) else float("nan"),
        "recall": {n: float(counts[i, i] / totals[i]) if totals[i] else None for i, n in enumerate(names)},
        "confusion": {n: dict(zip(names, row.tolist(), strict=True)) for n, row in zip(names, counts, strict=True)},
        "frames": len(truth),
    }
