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
from .data import TorqueSignals, column_statistics, common_rate, expand_channels
from .dataset import SPLITS, Dataset, open_dataset
from .evaluation import joint_errors
from .loading import MEMORY_MB, Batch, Picks, torque_example, torque_loader
from .mirror import Mirror
from .optimise import Schedule, capped_threads, optimise
from .provenance import input_normalisation, provenance_of
from .spec import DEFAULT_JOINTS, EstimatorSpec, StateMemory
from .tcn import Tcn, step_graph

KINEMATIC_CHANNELS = ("encoder/*/angle", "encoder/*/velocity")
"""Channels of the kinematics-only variant, which a motion-capture recording can serve too."""

GOLDEN_FRAMES = 300
Float32 = NDArray[np.float32]


def train_torque_estimator(
    data: str | Path | Dataset,
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
    memory_mb: float = MEMORY_MB,
    substitutes: Mapping[str, str] | None = None,
    resume: bool = False,
    progress: bool = True,
    licence: str = "",
    command: str = "",
) -> dict[str, Any]:
    """Train on the dataset's training subjects, stop on its validation subjects, test on the others.

    data: a dataset folder, or a part of one (`Dataset.only`). channels: names or shell patterns of recording
    columns. crop_s: seconds of a training sequence that count, after a run-in of the receptive field (by
    default 95 frames, 0.475 s at 200 Hz). noise: white noise and constant offset added to each channel in
    training, in standard deviations. mirror: show each sequence mirrored left to right half of the time.
    threads: cap on torch's threads. memory_mb: of recordings kept in memory, for training and for validation
    each; what does not fit is read anew in every epoch. resume: go on from the checkpoint that an interrupted
    training left in `out_dir`. licence: of the weights, by default the dataset's. command: what to note in
    the manifest as having made the bundle.

    Writes a bundle to `out_dir` and returns its metrics: ``test`` {joint: `torque_errors`},
    ``validation_rmse`` (Nm/kg, mean over outputs), ``epochs``, ``frames`` and ``subjects`` by split.
    Ctrl-C keeps the best weights so far, marks the bundle as partial and leaves the checkpoint.
    Raises what `open_dataset`, `TorqueSignals.read`, `expand_channels`, `Mirror` and `optimise` raise.
    """
    dataset = data if isinstance(data, Dataset) else open_dataset(data)
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
        "memory_mb": memory_mb,
        "substitutes": dict(substitutes or {}),
        "tasks": dataset.tasks,
    }
    recordings = {split: dataset.recordings(split) for split in SPLITS}
    everything = [r for found in recordings.values() for r in found]
    stand_ins = substitutes or {}
    inputs = expand_channels(channels, [*recordings["train"][0].names, *stand_ins])
    signals = TorqueSignals(inputs, joints, common_rate(everything), stand_ins)
    signals.log_substitutes(dataset.folder)
    for recording in everything:
        recording.require(signals.columns)
    mean, sd = column_statistics(signals.columns, (signals.read(r).joined for r in recordings["train"]))
    n = len(inputs)
    normalisation = input_normalisation(mean[:n], sd[:n])

    torch.manual_seed(seed)
    model = Tcn(n, len(joints), hidden, kernel, dilations)
    model.normalise(
        input_mean=mean[:n],
        input_sd=np.array(normalisation.input_sd),
        output_mean=mean[n:],
        output_sd=sd[n:] + 1e-6,
    )
    crops = _Crops(
        run_in=model.horizon_frames - 1,
        counted=round(crop_s * signals.rate_hz),
        noise=noise * np.array(normalisation.input_sd, dtype=np.float32),
        mirrors=(Mirror(inputs), Mirror(joints)) if mirror else None,
    )
    training = torque_loader(recordings["train"], signals, mean[:n], crops.frames, memory_mb)
    validation = torque_loader(recordings["validation"], signals, mean[:n], memory_mb=memory_mb)
    lengths = np.array([r.rows for r in recordings["train"]])
    output_sd = model.get_buffer("output_sd")

    def losses(rng: np.random.Generator) -> Iterator[torch.Tensor]:
        for found in training.batches(crops.draw(lengths, batch, rng), crops.frames, batch, rng):
            x, y = crops.disturbed(found, rng)
            known = torch.isfinite(y)
            error = torch.where(known, (model(x) - y) / output_sd, 0.0)
            yield error.square().sum() / known.sum().clamp(min=1)

    def validation_rmse() -> float:
        squares, counts = np.zeros((2, len(joints)))
        for x, y in validation:
            squares += np.nansum((_predict(model, x.numpy()) - y.numpy()) ** 2, axis=0)
            counts += np.isfinite(y.numpy()).sum(axis=0)
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
        for recording in recordings["test"]:
            sequence = signals.read(recording)
            estimate = _predict(model, torque_example(sequence, mean[:n]).inputs).astype(float)
            estimate[~np.isfinite(sequence.measured).all(axis=1)] = np.nan  # as the runtime answers
            runs.append(tuple(dict(zip(joints, v.T, strict=True)) for v in (estimate, sequence.target)))
        golden = torque_example(signals.read(recordings["test"][0]), mean[:n]).inputs[:GOLDEN_FRAMES]
        golden_output = _predict(model, golden)
    metrics = {
        "test": joint_errors([(estimate, truth) for estimate, truth in runs], signals.rate_hz),
        "validation_rmse": outcome.score,
        "epochs": outcome.epochs,
        "frames": {split: sum(r.rows for r in found) for split, found in recordings.items()},
        "subjects": {split: list(dataset.splits[split]) for split in SPLITS},
    }
    graph, shape = step_graph(model)
    export_bundle(
        folder,
        graph,
        EstimatorSpec(
            kind="torque",
            inputs=inputs,
            rate_hz=signals.rate_hz,
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


def _predict(model: Tcn, inputs: Float32) -> Float32:
    with torch.no_grad():
        return model(torch.from_numpy(inputs)[None])[0].numpy()


@dataclass(frozen=True, eq=False)
class _Crops:
    """Random crops of the training sequences: `run_in` frames that fill the memory, then `counted` frames.

    A crop from a recording's very start has no run-in: all its frames count, so the cold start is learnt too.
    """

    run_in: int
    counted: int
    noise: Float32
    mirrors: tuple[Mirror, Mirror] | None

    @property
    def frames(self) -> int:
        """Length of a crop."""
        return self.run_in + self.counted

    def draw(self, lengths: NDArray[np.int64], batch: int, rng: np.random.Generator) -> Picks:
        """Crops for an epoch: as many batches as it takes to see each frame once on average."""
        count = batch * max(1, round(lengths.sum() / (self.counted * batch)))
        recording = rng.choice(len(lengths), size=count, p=lengths / lengths.sum())
        start = rng.integers(-self.run_in, np.maximum(1, lengths[recording] - self.frames))
        return np.stack([recording, np.maximum(start, 0)], axis=1)

    def disturbed(self, batch: Batch, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs with noise, half of them mirrored; targets alike, NaN where they do not count."""
        x, y = batch.inputs.numpy(), batch.targets.numpy()
        y[batch.picks[:, 1] > 0, : self.run_in] = np.nan
        if self.mirrors:
            swapped = rng.random(len(x)) < 0.5
            x[swapped], y[swapped] = self.mirrors[0].apply(x[swapped]), self.mirrors[1].apply(y[swapped])
        offset = rng.standard_normal((len(x), 1, x.shape[2]), np.float32)
        x += self.noise * (rng.standard_normal(x.shape, np.float32) + offset)
        return batch.inputs, batch.targets
