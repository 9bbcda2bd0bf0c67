"""Fits the field's baseline, the mean torque profile over the gait cycle, to recordings."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from ..controllers.device import JOINTS, SIDES
from ..controllers.interface import FloatArray, closest
from ..controllers.profile import POINTS, MeanProfile
from ..controllers.protocols import GAIT_MODES
from .data import TorqueSignals, Trial, mode_columns, mode_keys, rate_of, stacked
from .dataset import Split, open_dataset

LEAST_STRIDES = 3


def fit_profile(
    dataset_dir: str | Path,
    *,
    joints: tuple[str, ...] = ("hip_flexion", "knee_flexion", "ankle_dorsiflexion"),
    split: Split = "train",
) -> MeanProfile:
    """Mean biological torque (Nm/kg) of each mode key at 0, 1, ... 100 % of the stride, both legs pooled.

    joints: names without side. A gait mode is averaged over whole strides, each interpolated to 101 points
    of its ``phase/<side>``; strides weigh the same, whoever made them. Another mode (``stand``) is its mean
    torque at every point. Raises ValueError when no mode has enough data (three strides), and what
    `open_dataset` and `TorqueSignals.read` raise.
    """
    for joint in joints:
        if joint not in JOINTS:
            raise ValueError(f"no joint {joint!r}{closest(joint, JOINTS)}")
    dataset = open_dataset(dataset_dir)
    strides: dict[str, list[FloatArray]] = {}
    still: dict[str, list[FloatArray]] = {}
    for recording in dataset.recordings(split):
        rate = rate_of(recording)
        signals = {side: TorqueSignals((), tuple(f"{joint}_{side}" for joint in joints), rate) for side in SIDES}
        phases = [f"phase/{side}" for side in SIDES if f"phase/{side}" in recording.names]
        trial = recording.read(
            [*mode_columns(recording.names), *phases, *(c for s in signals.values() for c in s.columns)]
        )
        keys = mode_keys(trial)
        for side in SIDES:
            torque = signals[side].of(trial).target
            for key in np.unique(keys):
                if key.partition("/")[0] in GAIT_MODES:
                    strides.setdefault(key, []).extend(_strides(trial, side, torque, keys == key))
                elif key:
                    still.setdefault(key, []).append(torque[(keys == key) & np.isfinite(torque).all(axis=1)])
    curves = {str(key): np.mean(found, axis=0) for key, found in strides.items() if len(found) >= LEAST_STRIDES}
    for key, parts in still.items():
        samples = np.vstack(parts)
        if len(samples):
            curves[str(key)] = np.tile(samples.mean(axis=0), (POINTS, 1))
    if not curves:
        raise ValueError(f"{dataset_dir}: no mode with {LEAST_STRIDES} strides in the split {split!r}")
    counts = ", ".join(f"{key} {len(strides[key])} strides" for key in curves if key in strides)
    return MeanProfile(joints, curves, source=f"dataset {dataset.sha256[:12]}, {split} subjects; {counts}")


def _strides(trial: Trial, side: str, torque: FloatArray, counted: np.ndarray) -> list[FloatArray]:
    """Whole strides inside the counted frames, each (101, n_joints)."""
    (phase,) = stacked(trial, [f"phase/{side}"]).T
    strikes = np.flatnonzero(np.diff(phase) < -0.5) + 1
    grid = np.linspace(0.0, 1.0, POINTS)
    found = []
    for start, end in pairwise(strikes):
        # The neighbours just outside close the stride: phase 0 and 1 lie between samples.
        at = np.concatenate([[phase[start - 1] - 1.0], phase[start:end], [phase[end] + 1.0]])
        rows = torque[start - 1 : end + 1]
        if counted[start:end].all() and np.isfinite(rows).all() and (np.diff(at) > 0).all():
            found.append(np.stack([np.interp(grid, at, column) for column in rows.T], axis=1))
    return found
