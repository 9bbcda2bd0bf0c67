"""Errors of a torque estimate against the truth, per joint with both sides pooled. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..controllers.device import JOINTS, SIDES
from ..controllers.interface import FloatArray

MAX_LAG_S = 0.25
METRICS = ("rmse", "nrmse", "r", "r2", "lag_ms")


def torque_errors(estimate: FloatArray, truth: FloatArray, rate_hz: float) -> dict[str, float]:
    """Errors of one estimate (n,) against the truth (n,), same units, sampled at `rate_hz`.

    With e the estimate, y the truth, over the samples where both are finite:
    rmse = sqrt(mean (e - y)^2); nrmse = rmse / (max y - min y); r = Pearson's correlation;
    r2 = 1 - sum (e - y)^2 / sum (y - mean y)^2 (the coefficient of determination, negative when worse than
    the mean); lag_ms: the shift of the estimate, within +-250 ms, at which its normalised cross-correlation
    with the truth peaks (parabola through the peak and its neighbours), positive when it comes late.
    missing: fraction of samples without an estimate. NaN where a formula has no value (constant truth).
    Raises ValueError when the lengths differ.
    """
    return pooled_errors([(estimate, truth)], rate_hz)


def pooled_errors(pairs: Sequence[tuple[FloatArray, FloatArray]], rate_hz: float) -> dict[str, float]:
    """`torque_errors` over several (estimate, truth) sequences as one sample; lags stay inside each."""
    for e, y in pairs:
        if np.shape(e) != np.shape(y) or np.ndim(e) != 1:
            raise ValueError(f"estimate {np.shape(e)} and truth {np.shape(y)} are not of one length")
    known = [np.isfinite(y) for _, y in pairs]
    both = [np.isfinite(e) & k for (e, _), k in zip(pairs, known, strict=True)]
    count, answered = sum(int(k.sum()) for k in known), sum(int(b.sum()) for b in both)
    missing = 1.0 - answered / count if count else math.nan
    if answered == 0:
        return dict.fromkeys(METRICS, math.nan) | {"missing": missing}
    e = np.concatenate([np.asarray(p[0], float)[b] for p, b in zip(pairs, both, strict=True)])
    y = np.concatenate([np.asarray(p[1], float)[b] for p, b in zip(pairs, both, strict=True)])
    rmse = math.sqrt(np.mean((e - y) ** 2))
    spread, variance = float(np.ptp(y)), float(np.var(y))
    deviation = math.sqrt(variance * np.var(e))
    # Deviations from the pooled means, zero where unknown: an unknown sample then says nothing about the lag.
    centred = [
        (np.where(b, p[0] - e.mean(), 0.0), np.where(b, p[1] - y.mean(), 0.0)) for p, b in zip(pairs, both, strict=True)
    ]
    return {
        "rmse": rmse,
        "nrmse": rmse / spread if spread else math.nan,
        "r": float(np.mean((e - e.mean()) * (y - y.mean()))) / deviation if deviation else math.nan,
        "r2": 1.0 - rmse**2 / variance if variance else math.nan,
        "lag_ms": 1e3 * _lag_frames(centred, round(MAX_LAG_S * rate_hz)) / rate_hz if deviation else math.nan,
        "missing": missing,
    }


def _lag_frames(pairs: Sequence[tuple[FloatArray, FloatArray]], reach: int) -> float:
    shifts = np.arange(-reach, reach + 1)
    scores = np.array([_correlation(pairs, int(shift)) for shift in shifts])
    best = int(scores.argmax())
    if not 0 < best < len(shifts) - 1:
        return float(shifts[best])
    before, peak, after = scores[best - 1 : best + 2].tolist()
    curvature = before - 2.0 * peak + after
    return float(shifts[best]) + (0.5 * (before - after) / curvature if curvature else 0.0)


def _correlation(pairs: Sequence[tuple[FloatArray, FloatArray]], shift: int) -> float:
    """Normalised over the overlap alone, else a short overlap would look less alike than it is."""
    product, e_power, y_power = 0.0, 0.0, 0.0
    for e, y in pairs:
        if abs(shift) >= len(y):
            continue
        late, early = (e[shift:], y[: len(y) - shift]) if shift >= 0 else (e[:shift], y[-shift:])
        product += float(late @ early)
        e_power += float(late @ late)
        y_power += float(early @ early)
    return product / math.sqrt(e_power * y_power) if e_power and y_power else 0.0


def joint_errors(
    runs: Iterable[tuple[Mapping[str, FloatArray], Mapping[str, FloatArray]]], rate_hz: float
) -> dict[str, dict[str, float]]:
    """Errors per joint without side, both sides and all runs pooled.

    runs: (estimate, truth) pairs, each a mapping of sided joints to (n,) Nm/kg; joints in both are compared.
    """
    listed = list(runs)
    table: dict[str, dict[str, float]] = {}
    for joint in JOINTS:
        sided = [f"{joint}_{side}" for side in SIDES]
        pairs = [(e[name], y[name]) for e, y in listed for name in sided if name in e and name in y]
        if pairs:
            table[joint] = pooled_errors(pairs, rate_hz)
    return table


def evaluate_bundle(
    bundle: str | Path, recording: str | Path | Any, substitutes: Mapping[str, str] | None = None
) -> dict[str, dict[str, float]]:
    """Run a torque bundle over a recording -> joint without side -> `torque_errors`, in Nm/kg.

    recording: a path, or an object with `columns` and `meta` as a recording has. substitutes: channel ->
    the column that stands in for it (see `data.true_kinematics`). A recording at another rate than the
    bundle's is interpolated to it. Raises what `OnnxEstimator` and `data.TorqueSignals.read` raise.
    """
    # Here, so that the formulas above need neither pyarrow nor onnxruntime.
    from .data import TorqueSignals, open_recording, resampled
    from .runtime import OnnxEstimator

    estimator = OnnxEstimator(bundle)
    spec = estimator.spec
    signals = TorqueSignals(spec.inputs, spec.outputs, spec.rate_hz, substitutes or {})
    is_path = isinstance(recording, str | Path)
    trial = open_recording(recording).read(signals.columns) if is_path else recording
    signals.log_substitutes(getattr(trial, "source", "recording"))
    sequence = signals.of(resampled(trial, signals.columns, spec.rate_hz))
    estimate = estimator.run_offline(dict(zip(spec.inputs, sequence.measured.T, strict=True)))
    run = tuple(dict(zip(spec.outputs, values.T, strict=True)) for values in (estimate, sequence.target))
    return joint_errors([(run[0], run[1])], spec.rate_hz)
