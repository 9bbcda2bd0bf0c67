"""The learned mode classifier: running means and spreads of the sensors at two paces, then an MLP."""

from __future__ import annotations

from collections.abc import Iterator
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
from .data import Split, Trial, expand_channels, hold_last, mode_keys, open_dataset, rate_of, stacked
from .graph import GraphBuilder
from .mirror import Mirror
from .optimise import Schedule, capped_threads, optimise
from .provenance import input_statistics, provenance_of
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
    dataset_dir: str | Path,
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
    }
    dataset = open_dataset(dataset_dir)
    first = dataset.trials("train")[0]
    inputs = expand_channels(channels, first.columns)
    rate_hz = rate_of(first)
    wanted = [*inputs, "mode", *(["speed_class"] if "speed_class" in first.columns else [])]
    trials: dict[Split, list[Trial]] = {
        split: dataset.trials(split, wanted) for split in ("train", "validation", "test")
    }
    for trial in (t for found in trials.values() for t in found):
        if rate_of(trial) != rate_hz:
            raise ValueError(f"{trial.source}: sampled at {rate_of(trial):g} Hz, expected {rate_hz:g} Hz")
    known = sorted({str(key) for trial in trials["train"] for key in np.unique(mode_keys(trial)) if key})
    for name in classes or ():
        if name not in known:
            raise ValueError(f"no class {name!r} in the training data{closest(name, known)}")
    names = classes or tuple(known)

    normalisation = input_statistics(np.vstack([stacked(trial, inputs) for trial in trials["train"]]))
    gains = tuple(1.0 - float(np.exp(-1.0 / (tau * rate_hz))) for tau in time_constants_s)
    reflection = Mirror(inputs) if mirror else None
    sets = {
        split: _examples(found, inputs, names, normalisation, gains, reflection if split == "train" else None)
        for split, found in trials.items()
    }
    x_train, y_train = (torch.from_numpy(values[::stride]) for values in sets["train"])
    x_validation, y_validation = (torch.from_numpy(values[::stride]) for values in sets["validation"])
    balance = torch.from_numpy(_balance(y_train.numpy(), len(names)))

    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(x_train.shape[1], hidden), nn.ReLU(), nn.Linear(hidden, len(names)), nn.Softmax(dim=-1)
    )
    logits = model[:-1]

    def losses(rng: np.random.Generator) -> Iterator[torch.Tensor]:
        order = rng.permutation(len(x_train))
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            disturbance = noise * rng.standard_normal((len(rows), x_train.shape[1]), np.float32)
            answer = logits(x_train[rows] + torch.from_numpy(disturbance))
            yield functional.cross_entropy(answer, y_train[rows], weight=balance)

    def validation_loss() -> float:
        return float(functional.cross_entropy(logits(x_validation), y_validation, weight=balance))

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
        x_test, y_test = sets["test"]
        answered = model(torch.from_numpy(x_test)).argmax(dim=1).numpy()
        golden = hold_last(stacked(trials["test"][0], inputs), np.array(normalisation.input_mean))[:GOLDEN_FRAMES]
        features = running_statistics(_normal(golden, normalisation), gains)
        golden_output = model(torch.from_numpy(features.astype(np.float32))).detach().numpy()
    metrics = {
        "test": _confusion(answered, y_test, names),
        "validation_loss": outcome.score,
        "epochs": outcome.epochs,
        "subjects": {split: list(dataset.splits[split]) for split in sets},
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


def _normal(values: FloatArray, normalisation: Normalisation) -> FloatArray:
    return (values - np.array(normalisation.input_mean)) / np.array(normalisation.input_sd)


def _examples(
    trials: list[Trial],
    inputs: tuple[str, ...],
    names: tuple[str, ...],
    normalisation: Normalisation,
    gains: tuple[float, ...],
    reflection: Mirror | None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features and class numbers of the frames with a known class and all channels, mirrored ones after."""
    number = {name: i for i, name in enumerate(names)}
    features, labels = [], []
    for trial in trials:
        measured = stacked(trial, inputs)
        label = np.array([number.get(key, -1) for key in mode_keys(trial)])
        counted = (label >= 0) & np.isfinite(measured).all(axis=1)
        held = hold_last(measured, np.array(normalisation.input_mean))
        for view in (held,) if reflection is None else (held, reflection.apply(held)):
            statistics = running_statistics(_normal(view, normalisation), gains)
            features.append(statistics[counted].astype(np.float32))
            labels.append(label[counted])
    return np.vstack(features), np.concatenate(labels)


def _balance(labels: NDArray[np.int64], n_classes: int) -> NDArray[np.float32]:
    """Class weights that give every class the same say."""
    counts = np.bincount(labels, minlength=n_classes)
    return (len(labels) / (n_classes * np.maximum(counts, 1))).astype(np.float32)


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
