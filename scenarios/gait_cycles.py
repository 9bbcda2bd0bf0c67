"""Cuts a recording into gait cycles: contacts from the vertical ground force, strides, mean curves.

A gait cycle runs from one heel strike to the next of the same foot, resampled to 0..100 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..sim.recording import Recording

FloatArray = NDArray[np.float64]

POINTS = 101
PERCENT: FloatArray = np.linspace(0.0, 100.0, POINTS)

# Chosen: contact hysteresis at the two ends of the 20-30 N customary for force plates; under 0.1 s is
# neither a stance nor a swing; a stride takes 0.5-2.5 s.
ON_N = 30.0
OFF_N = 20.0
SHORTEST_PHASE_S = 0.1
STRIDE_S = (0.5, 2.5)


@dataclass(frozen=True, slots=True)
class Stride:
    """One gait cycle as sample indices: heel strike, toe off, next heel strike (exclusive end)."""

    start: int
    toe_off: int
    end: int


def in_contact(vertical_force: FloatArray, rate_hz: float) -> NDArray[np.bool_]:
    """Whether the foot is on the ground, per sample.

    vertical_force: (n,) N. Contact begins above `ON_N` and ends below `OFF_N`; flights and touches
    shorter than `SHORTEST_PHASE_S` (a bounce of the heel, a scuff of the toe) are ignored. NaN keeps
    the last state. Returns (n,) bool.
    """
    force = np.asarray(vertical_force, dtype=float)
    if force.size == 0:
        return np.zeros(0, dtype=bool)
    decided = np.where(force > ON_N, 1, np.where(force < OFF_N, 0, -1))
    decided[0] = max(decided[0], 0)
    last = np.maximum.accumulate(np.where(decided >= 0, np.arange(force.size), 0))
    contact = decided[last] == 1
    shortest = round(SHORTEST_PHASE_S * rate_hz)
    # Bounces first: a foot that flutters down is one stance, not several scuffs.
    for state in (False, True):
        for start, end in _runs(contact, state):
            if start > 0 and end < contact.size and end - start < shortest:
                contact[start:end] = not state
    return contact


def _runs(contact: NDArray[np.bool_], state: bool) -> list[tuple[int, int]]:
    edges = np.diff(np.concatenate([[0], (contact == state).astype(int), [0]]))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


def heel_strikes(contact: NDArray[np.bool_]) -> NDArray[np.intp]:
    """First sample of every stance that begins inside the recording."""
    return np.flatnonzero(~contact[:-1] & contact[1:]) + 1


def toe_offs(contact: NDArray[np.bool_]) -> NDArray[np.intp]:
    """First sample of every swing that begins inside the recording."""
    return np.flatnonzero(contact[:-1] & ~contact[1:]) + 1


def strides(recording: Recording, side: str, skip_s: float = 0.0) -> list[Stride]:
    """Whole gait cycles of one leg ("r" or "l") that begin `skip_s` or later after the first sample.

    A pair of heel strikes that is not 0.5-2.5 s apart, or has no toe off between, is not a stride.
    An empty list if the recording has no ground force.
    """
    force = recording.columns.get(f"grf/{side}/z")
    if force is None:
        return []
    time = recording.columns["time"]
    contact = in_contact(force, rate_hz(recording))
    strikes, lifts = heel_strikes(contact), toe_offs(contact)
    found = []
    for start, end in zip(strikes[:-1].tolist(), strikes[1:].tolist(), strict=True):
        inside = lifts[(lifts > start) & (lifts < end)]
        long_enough = STRIDE_S[0] <= time[end] - time[start] <= STRIDE_S[1]
        if inside.size and long_enough and time[start] - time[0] >= skip_s:
            found.append(Stride(start, int(inside[-1]), end))
    return found


def rate_hz(recording: Recording) -> float:
    """Sampling rate from the time column. ValueError if there are fewer than two samples."""
    time = recording.columns["time"]
    if time.size < 2:
        raise ValueError("recording has fewer than two samples")
    return float((time.size - 1) / (time[-1] - time[0]))


def resample(signal: FloatArray, cycles: Sequence[Stride]) -> FloatArray:
    """The signal over each cycle, linearly interpolated at 0, 1 .. 100 %: (n_cycles, 101)."""
    out = np.empty((len(cycles), POINTS))
    for row, cycle in zip(out, cycles, strict=True):
        row[:] = np.interp(
            np.linspace(cycle.start, cycle.end, POINTS),
            np.arange(cycle.start, cycle.end + 1),
            signal[cycle.start : cycle.end + 1],
        )
    return out


def mean_sd(signal: FloatArray, cycles: Sequence[Stride]) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation over cycles, (101,) each; NaN where no cycle has a value."""
    curves = resample(signal, cycles)
    valid = np.isfinite(curves)
    count = valid.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(valid, curves, 0.0).sum(axis=0) / count
        sd = np.sqrt(np.where(valid, (curves - mean) ** 2, 0.0).sum(axis=0) / count)
    return mean, sd


def gait_summary(recording: Recording, skip_s: float = 0.0) -> dict[str, float]:
    """Spatio-temporal figures of both legs together; empty when there is no whole stride.

    strides: number of cycles (right and left). stride_time_s: mean. stance_fraction: mean of stance
    time / stride time. cadence_steps_per_min: 120 / stride time (two steps a stride).
    step_length_m: half the mean forward travel of the pelvis in one stride, which equals the mean
    distance between successive opposite footholds in steady gait; only with a ``pelvis/x`` column.
    """
    cycles = [cycle for side in "rl" for cycle in strides(recording, side, skip_s)]
    if not cycles:
        return {}
    time = recording.columns["time"]
    stride_time = float(np.mean([time[c.end] - time[c.start] for c in cycles]))
    summary = {
        "strides": float(len(cycles)),
        "stride_time_s": stride_time,
        "stance_fraction": float(np.mean([(c.toe_off - c.start) / (c.end - c.start) for c in cycles])),
        "cadence_steps_per_min": 120.0 / stride_time,
    }
    forward = recording.columns.get("pelvis/x")
    if forward is not None:
        summary["step_length_m"] = float(np.mean([forward[c.end] - forward[c.start] for c in cycles])) / 2.0
    return summary
