"""Measured signals onto a common grid of time, and the gait phase out of ground forces."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.signal import butter, sosfiltfilt

from ...controllers.interface import FloatArray

# 99.7 % of the signal power of walking markers lies below 6 Hz (Winter et al. 1974, J Biomech 7:157);
# twice that (chosen) keeps the heel-strike transients of the knee and ankle.
VELOCITY_CUTOFF_HZ = 12.0
LOADED_N = 20.0  # a foot is on the ground above this vertical force; a usual force-plate threshold
MIN_SWING_S = 0.1  # shorter unloadings are chatter of the plate, not steps (chosen)


def common_grid(spans: Mapping[str, FloatArray], rate_hz: float) -> FloatArray:
    """Times (n,) at multiples of 1 / rate_hz that lie within every span. spans: who -> its times.

    Raises ValueError that tells the spans when they have nothing in common.
    """
    start, stop = max(t[0] for t in spans.values()), min(t[-1] for t in spans.values())
    ticks = np.arange(np.ceil(start * rate_hz - 1e-6), np.floor(stop * rate_hz + 1e-6) + 1)
    if len(ticks) < 2:
        told = "; ".join(f"{who} {t[0]:.3f} to {t[-1]:.3f} s" for who, t in spans.items())
        raise ValueError(f"no common time span: {told}")
    return ticks / rate_hz


def smooth(time: FloatArray, values: FloatArray, rate_hz: float, cutoff_hz: float | None = None) -> CubicSpline:
    """A signal as a function of time, without what `rate_hz` cannot carry or what lies above the cutoff.

    Zero-phase Butterworth of 4th order, forward and backward.
    """
    dt = float(np.median(np.diff(time)))
    count = round((time[-1] - time[0]) / dt) + 1
    even = np.linspace(time[0], time[-1], count)
    signal = np.interp(even, time, values)
    source_hz = 1.0 / dt
    limit = 0.4 * rate_hz if source_hz > 1.01 * rate_hz else np.inf
    limit = min(limit, cutoff_hz or np.inf)
    if limit < 0.45 * source_hz:
        # Reflected ends as long as the filter remembers; the default is too short for so low a cutoff.
        pad = min(count - 1, int(3 * source_hz / limit))
        signal = sosfiltfilt(butter(2, limit, fs=source_hz, output="sos"), signal, padlen=pad)
    return CubicSpline(even, signal)


def velocity(time: FloatArray, angle: FloatArray, grid: FloatArray) -> FloatArray:
    """Rate of change (per s) of an angle or a position on the grid, low-passed at `VELOCITY_CUTOFF_HZ`."""
    return smooth(time, angle, 1.0 / (grid[1] - grid[0]), VELOCITY_CUTOFF_HZ)(grid, 1)


def heel_strikes(time: FloatArray, loaded: NDArray[np.bool_]) -> FloatArray:
    """Times at which the foot gets loaded after a swing of at least `MIN_SWING_S`."""
    edges = np.flatnonzero(np.diff(loaded.astype(int)))
    strikes, lifted = [], None
    for edge in edges:
        if not loaded[edge + 1]:
            lifted = time[edge + 1]
        elif lifted is None or time[edge + 1] - lifted >= MIN_SWING_S:
            strikes.append(time[edge + 1])
    return np.array(strikes)


def phases(strikes: Mapping[str, FloatArray], grid: FloatArray) -> dict[str, FloatArray]:
    """Columns ``phase/<side>``: linear between heel strikes, at the trial's stride time before and after them."""
    strides = np.concatenate([*(np.diff(times) for times in strikes.values()), np.zeros(0)])
    if len(strides) == 0:
        return {}
    stride = float(np.median(strides))
    columns = {}
    for side, times in strikes.items():
        if len(times):
            before = times[0] - stride * np.arange(np.ceil(max(times[0] - grid[0], 0.0) / stride), 0, -1)
            after = times[-1] + stride * np.arange(1, np.ceil(max(grid[-1] - times[-1], 0.0) / stride) + 2)
            knots = np.concatenate([before, times, after])
            columns[f"phase/{side}"] = np.interp(grid, knots, np.arange(len(knots))) % 1.0
    return columns
