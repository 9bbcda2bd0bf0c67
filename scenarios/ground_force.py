"""What the vertical ground force says about a gait: weight balance, the double hump, symmetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.signal import butter, sosfiltfilt

from ..sim.subjects import GRAVITY
from .gait_cycles import FloatArray, Stride, rate_hz, strides

if TYPE_CHECKING:
    from ..sim.recording import Recording

# Chosen: the smoothing that is usual for gait force curves, the share of stance where each hump may
# lie, and how deep a valley must be (in body weights) to be one.
CUTOFF_HZ = 20.0
FIRST_HUMP = (0.05, 0.5)
SECOND_HUMP = (0.5, 0.95)
VALLEY_DEPTH_BW = 0.05


def ground_force_metrics(recording: Recording, skip_s: float = 0.0, worn_kg: float = 0.0) -> dict[str, Any]:
    """Figures of the vertical ground force in body weights; None where there is no whole stride.

    worn_kg: mass of the device on the person; the weight below is that of both.
    weight_ratio: mean total vertical force over whole right strides / weight; 1 in steady gait, by
    Newton's second law. weight_deviation: |weight_ratio - 1|.
    double_hump_fraction, peak1_bw, valley_bw, peak2_bw: see `humps`, over both legs.
    symmetry_index_percent: 100 |R - L| / ((R + L) / 2) of the vertical impulse of a stride (the
    magnitude of the index of Herzog et al. 1989, Med Sci Sports Exerc 21:110-114).
    """
    weight = (recording.meta["subject"]["mass_kg"] + worn_kg) * GRAVITY
    cycles = {side: strides(recording, side, skip_s) for side in "rl"}
    ratio = impulse_asymmetry = None
    if cycles["r"] and cycles["l"]:
        force = {side: recording.columns[f"grf/{side}/z"] for side in "rl"}
        whole = slice(cycles["r"][0].start, cycles["r"][-1].end)
        ratio = float(np.nanmean(force["r"][whole] + force["l"][whole])) / weight
        right, left = (np.mean([np.nansum(force[side][c.start : c.end]) for c in cycles[side]]) for side in "rl")
        impulse_asymmetry = float(100.0 * abs(right - left) / (0.5 * (right + left)))
    found = [
        hump
        for side in "rl"
        if cycles[side]
        for hump in humps(recording.columns[f"grf/{side}/z"] / weight, cycles[side], rate_hz(recording))
    ]
    peaks = np.array(found).mean(axis=0) if found else None
    return {
        "weight_ratio": ratio,
        "weight_deviation": None if ratio is None else abs(ratio - 1.0),
        "double_hump_fraction": float(np.mean([is_double(*hump) for hump in found])) if found else None,
        "peak1_bw": None if peaks is None else float(peaks[0]),
        "valley_bw": None if peaks is None else float(peaks[1]),
        "peak2_bw": None if peaks is None else float(peaks[2]),
        "symmetry_index_percent": impulse_asymmetry,
    }


def humps(force_bw: FloatArray, cycles: list[Stride], rate: float) -> list[tuple[float, float, float]]:
    """First peak, valley between the peaks and second peak of every stance, in body weights.

    force_bw: (n,). The force is smoothed (zero-phase Butterworth, 20 Hz); peak 1 is the maximum over
    5-50 % of stance, peak 2 over 50-95 %.
    """
    smooth = sosfiltfilt(butter(2, CUTOFF_HZ, fs=rate, output="sos"), np.nan_to_num(force_bw))
    found = []
    for cycle in cycles:
        stance = smooth[cycle.start : cycle.toe_off]
        at = [round(stance.size * share) for share in (*FIRST_HUMP, *SECOND_HUMP)]
        first = at[0] + int(np.argmax(stance[at[0] : at[1]]))
        second = at[2] + int(np.argmax(stance[at[2] : at[3]]))
        valley = stance[first : second + 1].min()
        found.append((float(stance[first]), float(valley), float(stance[second])))
    return found


def is_double(peak1: float, valley: float, peak2: float) -> bool:
    """Whether the valley lies at least `VALLEY_DEPTH_BW` below the lower of the two peaks."""
    return min(peak1, peak2) - valley >= VALLEY_DEPTH_BW
