"""Trains the causal TCN torque estimator on a dataset and writes its bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .bundle import export_bundle
from .data import (
    Sequence,
    Split,
    expand_channels,
    hold_last,
    open_dataset,
    rate_of,
    torque_columns,
    torque_sequence,
)
from .evaluation import joint_errors
from .mirror import Mirror
from .optimise import Schedule, capped_threads, optimise
from .provenance import input_statistics, provenance_of
from .spec import DEFAULT_JOINTS, EstimatorSpec, StateMemory
from .tcn import Tcn, step_graph

KINEMATIC_CHANNELS = ("encoder/*/angle", "encoder/*/velocity")
"""Channels of the kinematics-only variant, which a motion-capture recording can serve too."""

GOLDEN_FRAMES = 300
Float32 = NDArray[np.float32]


def train_torque_estimator(
    dataset_dir: str | Path,
    out_dir: str | Path,
    *,
    channels: tuple[str, ...] = ("imu/*", "encoder/*"),
    joints: tuple[str, ...] = DEFAULT_JOINTS,
    hidden: int = 64,
    kernel: int = 3,
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 16),
    epochs: int = 100,
    patience: int = 20,
    batch: int = 16,
    crop_s: float = 2.0,
    learning_rate: float = 2e-3,
    weight_decay: float = 0.01,
    noise: float = 0.05,
    mirror: bool = True,
    seed: int = 0,
    threads: int = 1,
    substitutes: Mapping[str, str] | None = None,
    resume: bool = False,
    progress: bool = True,
    licence: str = "",
    command: str = "",
) -> dict[str, Any]:
    """Train on the dataset's training subjects, stop on its validation subjects, test on the others.

    channels: names or shell patterns of recording columns. crop_s: seconds of a training sequence that count,
    after a run-in of the receptive field (by default 95 frames, 0.475 s at 200 Hz). noise: white noise and
    constant offset added to each channel in training, in standard deviations. mirror: show each sequence
    mirrored left to right half of the time. threads: cap on torch's threads. resume: go on from the
    checkpoint that an interrupted training left in `out_dir`. licence: of the weights, by default the
    dataset's. command: what to note in the manifest as having made the bundle.

    Writes a bundle to `out_dir` and returns its metrics: ``test`` {joint: `torque_errors`},
    ``validation_rmse`` (Nm/kg, mean over outputs), ``epochs``, ``frames`` and ``subjects`` by split.
    Ctrl-C keeps the best weights so far, marks the bundle as partial and leaves the checkpoint.
    Raises what `open_dataset`, `read_columns`, `expand_channels`, `Mirror` and `optimise` raise.
    """
    options = {
        "hidden": hidden,
        "kernel": kernel,
        "dilations": dilations,
        "epochs": epochs,
        "patience": patience,
        "batch": batch,
        "crop_s": crop_s,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "noise": noise,
        "mirror": mirror,
        "substitutes": dict(substitutes or {}),
    }
    dataset = open_dataset(dataset_dir)
    first = dataset.trials("train")[0]
    inputs = expand_channels(channels, [*first.columns, *(substitutes or {})])
    rate_hz = rate_of(first)
    data: dict[Split, list[Sequence]] = {
        split: [
            torque_sequence(trial, inputs, joints, rate_hz, substitutes)
            for trial in dataset.trials(split, torque_columns(inputs, joints, substitutes))
        ]
        for split in ("train", "validation", "test")
    }
    normalisation = input_statistics(np.vstack([s.measured for s in data["train"]]))
    mean = np.array(normalisation.input_mean)
    examples = {split: [_example(s, mean) for s in sequences] for split, sequences in data.items()}
    targets = np.vstack([s.target for s in data["train"]])

    torch.manual_seed(seed)
    model = Tcn(len(inputs), len(joints), hidden, kernel, dilations)
    model.normalise(
        input_mean=mean,
        input_sd=np.array(normalisation.input_sd),
        output_mean=np.nanmean(targets, axis=0),
        output_sd=np.nanstd(targets, axis=0) + 1e-6,
    )
    crops = _Crops(
        examples["train"],
        run_in=model.horizon_frames - 1,
        counted=round(crop_s * rate_hz),
        batch=batch,
        noise=noise * np.array(normalisation.input_sd, dtype=np.float32),
        mirrors=(Mirror(inputs), Mirror(joints)) if mirror else None,
    )
    output_sd = model.get_buffer("output_sd")

    def losses(rng: np.random.Generator) -> Iterator[torch.Tensor]:
        for x, y, weight in crops.epoch(rng):
            error = (model(torch.from_numpy(x)) - torch.from_numpy(y)) / output_sd
            w = torch.from_numpy(weight)
            yield (w * error**2).sum() / w.sum().clamp(min=1.0)

    def validation_rmse() -> float:
        squares, counts = np.zeros(len(joints)), np.zeros(len(joints))
        for x, y, weight in examples["validation"]:
            squares += (weight * (_predict(model, x) - y) ** 2).sum(axis=0)
            counts += weight.sum(axis=0)
        return float(np.sqrt(squares / np.maximum(counts, 1)).mean())

    folder = Path(out_dir)
    with capped_threads(threads):
        outcome = optimise(
            model,
            losses,
            validation_rmse,
            Schedule(epochs, patience, learning_rate, weight_decay),
            seed=seed,
            folder=folder,
            resume=resume,
            progress=progress,
        )
        runs = []
        for sequence, (x, _, _) in zip(data["test"], examples["test"], strict=True):
            estimate = _predict(model, x).astype(float)
            estimate[~np.isfinite(sequence.measured).all(axis=1)] = np.nan  # as the runtime answers
            runs.append(tuple(dict(zip(joints, v.T, strict=True)) for v in (estimate, sequence.target)))
        golden = examples["test"][0][0][:GOLDEN_FRAMES]
        golden_output = _predict(model, golden)
    metrics = {
        "test": joint_errors([(estimate, truth) for estimate, truth in runs], rate_hz),
        "validation_rmse": outcome.score,
        "epochs": outcome.epochs,
        "frames": {split: sum(len(s.target) for s in sequences) for split, sequences in data.items()},
        "subjects": {split: list(dataset.splits[split]) for split in data},
    }
    graph, shape = step_graph(model)
    export_bundle(
        folder,
        graph,
        EstimatorSpec(
            kind="torque",
            inputs=inputs,
            rate_hz=rate_hz,
            memory=StateMemory(shape=shape, horizon_frames=model.horizon_frames),
            outputs=joints,
            units="Nm/kg",
            architecture="tcn",
            hyperparameters={"hidden": hidden, "kernel": kernel, "dilations": dilations},
        ),
        normalisation=normalisation,
        provenance=provenance_of(dataset, outcome, command=command, seed=seed, options=options),
        metrics=metrics,
        licence=licence or dataset.licence,
        golden_input=golden,
        golden_output=golden_output,
    )
    return metrics


Example = tuple[Float32, Float32, Float32]


def _example(sequence: Sequence, initial: NDArray[np.float64]) -> Example:
    """Inputs as the runtime's memory would hold them, targets, and weight 1 where both are known."""
    known = np.isfinite(sequence.target) & np.isfinite(sequence.measured).all(axis=1, keepdims=True)
    held = hold_last(sequence.measured, initial)
    return (
        held.astype(np.float32),
        np.nan_to_num(sequence.target).astype(np.float32),
        known.astype(np.float32),
    )


def _predict(model: Tcn, inputs: Float32) -> Float32:
    with torch.no_grad():
        return model(torch.from_numpy(inputs)[None])[0].numpy()


@dataclass(frozen=True, eq=False)
class _Crops:
    """Random crops of the training sequences: `run_in` frames that fill the memory, then `counted` frames.

    A crop from a recording's very start has no run-in: all its frames count, so the cold start is learnt too.
    """

    examples: list[Example]
    run_in: int
    counted: int
    batch: int
    noise: Float32
    mirrors: tuple[Mirror, Mirror] | None

    def epoch(self, rng: np.random.Generator) -> Iterator[Example]:
        """As many batches as it takes to see each frame once on average."""
        lengths = np.array([len(x) for x, _, _ in self.examples])
        share = lengths / lengths.sum()
        for _ in range(max(1, round(lengths.sum() / (self.counted * self.batch)))):
            drawn = rng.choice(len(lengths), size=self.batch, p=share)
            crops = [self._crop(self.examples[i], rng) for i in drawn]
            x, y, weight = (np.stack(parts) for parts in zip(*crops, strict=True))
            yield x, y, weight

    def _crop(self, example: Example, rng: np.random.Generator) -> Example:
        length = self.run_in + self.counted
        start = int(rng.integers(-self.run_in, max(1, len(example[0]) - length)))
        span = slice(max(start, 0), max(start, 0) + length)
        x, y, weight = (_padded(values[span], length) for values in example)
        if start > 0:
            weight[: self.run_in] = 0.0
        if self.mirrors and rng.random() < 0.5:
            x, y, weight = self.mirrors[0].apply(x), self.mirrors[1].apply(y), self.mirrors[1].apply(weight)
        disturbance = rng.standard_normal(x.shape, np.float32) + rng.standard_normal(x.shape[1:], np.float32)
        return x + self.noise * disturbance, y, weight


def _padded(values: Float32, length: int) -> Float32:
    """A copy with zeros (weight 0) after a recording shorter than a crop."""
    padded = np.zeros((length, values.shape[1]), dtype=np.float32)
    padded[: len(values)] = values
    return padded
