"""What a training records about itself in the bundle's manifest."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

import numpy as np

from ..controllers.interface import FloatArray
from .bundle import Normalisation, Provenance
from .dataset import Dataset
from .optimise import Outcome

# Below this (in the channel's own SI unit; chosen, well under sensor noise) a channel says nothing, and
# dividing by its spread would only blow up what it does one day on the device.
LEAST_SD = 1e-3


def input_normalisation(mean: FloatArray, sd: FloatArray) -> Normalisation:
    """Of channels with this mean and standard deviation (n_inputs,) over the training data."""
    return Normalisation(input_mean=tuple(mean.tolist()), input_sd=tuple(np.where(sd < LEAST_SD, 1.0, sd).tolist()))


def provenance_of(
    dataset: Dataset, outcome: Outcome, *, command: str, seed: int, options: Mapping[str, Any]
) -> Provenance:
    """The provenance of weights trained on `dataset`, with the versions of what made them."""
    return Provenance(
        data_sha256=dataset.sha256,
        command=command,
        seed=seed,
        steps=outcome.steps,
        wall_s=round(outcome.wall_s, 1),
        partial=outcome.interrupted,
        options=dict(options),
        versions={name: metadata.version(name) for name in ("exotwin", "numpy", "onnx", "onnxruntime", "torch")},
    )
