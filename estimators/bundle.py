"""The bundle: one folder with model.onnx, manifest.json and golden.npz, all that a device needs.

`manifest.json` is written last and holds the hashes of the other two: half a bundle is never taken for one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .spec import EstimatorSpec

MODEL, MANIFEST, GOLDEN = "model.onnx", "manifest.json", "golden.npz"
MAX_BYTES = 5_000_000
TOLERANCE = 1e-5


class BundleError(ValueError):
    """A folder that is no sound bundle; the message names the file and what is wrong with it."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Normalisation(_Part):
    """Mean and standard deviation of each input over the training data, for information: the graph has both
    built in. input_mean also stands in for a channel that has not yet given a finite value.
    """

    input_mean: tuple[float, ...]
    input_sd: tuple[float, ...]


class Provenance(_Part):
    """How the weights came to be. data_sha256: of the dataset's manifest, which holds the hash of each file.

    partial: training was stopped by hand; the weights are the best until then.
    """

    data_sha256: str
    command: str = ""
    seed: int
    steps: int
    wall_s: float
    partial: bool = False
    options: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)


class Manifest(_Part):
    """manifest.json. metrics: of the test subjects, as the training function returned them."""

    format: Literal[1] = 1
    spec: EstimatorSpec
    normalisation: Normalisation
    provenance: Provenance
    metrics: dict[str, Any]
    licence: str
    model_sha256: str
    golden_sha256: str


def export_bundle(
    folder: str | Path,
    model: bytes,
    spec: EstimatorSpec,
    *,
    normalisation: Normalisation,
    provenance: Provenance,
    metrics: dict[str, Any],
    licence: str,
    golden_input: NDArray[np.floating],
    golden_output: NDArray[np.floating],
) -> Path:
    """Write a bundle and verify it. golden_input (n, n_inputs), golden_output (n, n_outputs): one sequence
    from a fresh start, computed by the trained network itself, not by `model`.

    Raises BundleError when the graph does not reproduce the golden output or the bundle exceeds 5 MB.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    (folder / MODEL).write_bytes(model)
    # float32 as the graph sees it, so that the file holds exactly what was compared.
    np.savez_compressed(folder / GOLDEN, input=golden_input.astype(np.float32), output=golden_output.astype(np.float32))
    manifest = Manifest(
        spec=spec,
        normalisation=normalisation,
        provenance=provenance,
        metrics=metrics,
        licence=licence,
        model_sha256=_sha256(folder / MODEL),
        golden_sha256=_sha256(folder / GOLDEN),
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    verify_bundle(folder)
    return folder


def read_manifest(folder: str | Path) -> Manifest:
    """The manifest of a bundle whose files are all there and unchanged.

    Raises FileNotFoundError when there is no such folder, BundleError otherwise.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such bundle folder")
    for name in (MANIFEST, MODEL, GOLDEN):
        if not (folder / name).is_file():
            raise BundleError(f"{folder}: not a bundle, {name} is missing")
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or '(top)'}: {e['msg']}" for e in error.errors())
        raise BundleError(f"{folder / MANIFEST}: {faults}") from None
    for name, expected in ((MODEL, manifest.model_sha256), (GOLDEN, manifest.golden_sha256)):
        if _sha256(folder / name) != expected:
            raise BundleError(f"{folder / name}: changed or damaged, its SHA-256 is not the manifest's")
    for field in ("input_mean", "input_sd"):
        if len(getattr(manifest.normalisation, field)) != len(manifest.spec.inputs):
            raise BundleError(f"{folder / MANIFEST}: normalisation.{field} does not fit the inputs")
    return manifest


def verify_bundle(folder: str | Path, tolerance: float = TOLERANCE) -> float:
    """Largest absolute difference between the golden output and the graph's own on this machine.

    Raises BundleError when it exceeds `tolerance`, or for whatever `read_manifest` refuses.
    """
    from .stream import OnnxStream  # onnxruntime takes long to load; reading a manifest does not need it

    folder = Path(folder)
    manifest = read_manifest(folder)
    size = sum((folder / name).stat().st_size for name in (MODEL, MANIFEST, GOLDEN))
    if size > MAX_BYTES:
        raise BundleError(f"{folder}: {size / 1e6:.1f} MB, more than {MAX_BYTES / 1e6:.0f} MB")
    with np.load(folder / GOLDEN) as golden:
        inputs, expected = golden["input"].astype(float), golden["output"].astype(float)
    try:
        stream = OnnxStream(folder / MODEL, manifest.spec, np.array(manifest.normalisation.input_mean))
        actual = stream.run(inputs)
    except ValueError as error:
        raise BundleError(str(error)) from None
    if actual.shape != expected.shape or (np.isnan(actual) != np.isnan(expected)).any():
        raise BundleError(f"{folder}: the graph does not answer where the golden output does")
    worst = float(np.nanmax(np.abs(actual - expected)))
    if not worst <= tolerance:
        raise BundleError(f"{folder}: off the golden output by {worst:.2g} (allowed {tolerance:.0e})")
    return worst


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
