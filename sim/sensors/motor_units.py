"""EMG as what it is: the sum of the action potential trains of motor units, recruited in order of size.

Recruitment and rate coding after Fuglevand, Winter and Patla 1993 (J Neurophysiol 70:2470); EMG as the superposition of
filtered trains after De Luca 1979 (IEEE Trans Biomed Eng 26:313).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...controllers.interface import FloatArray
from ..compiled import compiled
from .emg_processing import filter_block, new_state

# The pool of Fuglevand et al. 1993: 120 units, thresholds over a range of 30, 8 /s at recruitment and one discharge a
# second more for each unit of excitation, peak rates from 35 down to 25 /s, intervals with a variation of 0.2.
UNITS = 120
RECRUITMENT_RANGE = 30.0
MINIMUM_RATE, PEAK_RATE, PEAK_RATE_FALL = 8.0, 35.0, 10.0
INTERVAL_CV = 0.2
SHORTEST_INTERVAL = 0.3  # of the mean; only 1 in 4000 draws is shorter

# Action potentials grow exponentially with the order of recruitment, as the units' sizes do. The range is chosen: with
# it the RMS grows nearly in proportion to excitation (0.19, 0.58, 0.93 of the maximum at 0.2, 0.5, 0.8).
SIZE_RANGE = 30.0
# Fibres of later units conduct faster (2.6 to 5.3 m/s, mean 3.7: Andreassen and Arendt-Nielsen 1987, J Physiol
# 391:561). Range chosen within theirs: the median frequency then rises by up to a fifth from 10 to 90 % of maximum, as
# in vastus lateralis (18.6 % in men, Pincivero et al. 2001, J Appl Physiol).
SLOWEST, FASTEST = 3.3, 4.4
# m, of the potential along the fibre; chosen: the median frequency at maximum is that of the interference model.
LENGTH = 0.012
LENGTH_SPREAD = 0.15  # log-normal, chosen: depths and end plates differ
LONGEST_TICK = 0.01  # s, the control period at the lowest rate a device may have


@compiled
def _discharge(
    drive: FloatArray,
    period: float,
    rows: int,
    threshold: FloatArray,
    peak: FloatArray,
    phase: FloatArray,
    interval: FloatArray,
    normals: NDArray[np.float32],
    used: int,
    potentials: FloatArray,
    spans: NDArray[np.int64],
    pending: FloatArray,
    out: FloatArray,
) -> int:
    """Let the units discharge over one period and move `rows` samples from pending to out; how many normals are used.

    phase: (m, units) intervals passed since the last discharge; interval: (m, units) after how many the next one comes.
    """
    muscles, units = phase.shape
    for i in range(muscles):
        for u in range(units):
            if drive[i] < threshold[u]:
                break  # units are in order of recruitment; the others rest
            advance = min(MINIMUM_RATE + drive[i] - threshold[u], peak[u]) * period
            start = phase[i, u]
            phase[i, u] = start + advance
            while phase[i, u] >= interval[i, u]:
                at = min(int((interval[i, u] - start) / advance * rows), rows - 1)
                for k in range(spans[i, u]):
                    pending[i, at + k] += potentials[i, u, k]
                phase[i, u] -= interval[i, u]
                start -= interval[i, u]
                interval[i, u] = max(SHORTEST_INTERVAL, 1.0 + INTERVAL_CV * normals[used])
                used += 1
        length = pending.shape[1]
        for k in range(rows):
            out[k, i] = pending[i, k]
        for k in range(length - rows):
            pending[i, k] = pending[i, k + rows]
        for k in range(length - rows, length):
            pending[i, k] = 0.0
    return used


def discharge_rates(excitation: float) -> FloatArray:
    """(UNITS,) discharges a second at an excitation 0..1; 0 for units that are not recruited."""
    threshold, peak, top = _pool()
    drive = excitation * top
    return np.where(drive >= threshold, np.minimum(MINIMUM_RATE + drive - threshold, peak), 0.0)


def _pool() -> tuple[FloatArray, FloatArray, float]:
    """Thresholds and peak rates (UNITS,), and the drive at which the last unit reaches its peak."""
    threshold = RECRUITMENT_RANGE ** (np.arange(1, UNITS + 1) / UNITS)
    peak = PEAK_RATE - PEAK_RATE_FALL * threshold / RECRUITMENT_RANGE
    return threshold, peak, float(threshold[-1] + peak[-1] - MINIMUM_RATE)


class MotorUnits:
    """EMG of `channels` muscles at `rate_hz`, each with its own motor units; RMS 1 at full excitation.

    The potential of a unit is a random mixture of the Hermite-Rodriguez functions of first and second order, the two-
    and three-phasic shapes that bipolar electrodes record (Lo Conte, Merletti and Sandri 1994, IEEE Trans Biomed Eng
    41:1147). Its middle comes 8 to 11 ms after the discharge, the time it takes to pass under the electrodes.
    """

    def __init__(self, channels: int, rate_hz: float) -> None:
        self._channels, self._rate = channels, rate_hz
        self._threshold, self._peak, self._top = _pool()
        self._used = 0
        self._most = 2 * channels * UNITS  # discharges in a tick: no unit comes more than twice in LONGEST_TICK

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a new run with other motor units. rng: a generator of its own."""
        self._rng = rng
        shape = (self._channels, UNITS)
        self._potentials, self._spans = self._draw_potentials(rng)
        self._potentials /= np.sqrt(self._variance(self._potentials))[:, None, None]
        self._interval = np.maximum(SHORTEST_INTERVAL, 1.0 + INTERVAL_CV * rng.standard_normal(shape))
        self._phase = self._interval * rng.random(
            shape
        )  # discharges of different units have nothing to do with another
        self._pending = np.zeros((self._channels, self._potentials.shape[2] + math.ceil(LONGEST_TICK * self._rate)))
        self._refill()

    def sample(self, before: FloatArray, after: FloatArray, rows: int) -> FloatArray:
        """(rows, channels) of signal, at most LONGEST_TICK, as the excitation (channels,) goes from before to after."""
        if self._used + self._most > len(self._normals):
            self._refill()
        out = np.empty((rows, self._channels))
        self._used = _discharge(
            0.5 * self._top * (before + after),
            rows / self._rate,
            rows,
            self._threshold,
            self._peak,
            self._phase,
            self._interval,
            self._normals,
            self._used,
            self._potentials,
            self._spans,
            self._pending,
            out,
        )
        return out

    def power(self, sections: FloatArray) -> FloatArray:
        """(channels,) mean square at full excitation of what a filter (second-order sections) leaves of the signal."""
        channels, units, length = self._potentials.shape
        block = np.zeros((length + round(0.2 * self._rate), channels * units))
        block[:length] = self._potentials.reshape(-1, length).T
        filter_block(sections, new_state(sections, channels * units), block)
        return self._variance(block.T.reshape(channels, units, -1))

    def _variance(self, potentials: FloatArray) -> FloatArray:
        """(channels,) at full excitation, by Campbell's theorem: discharge rates times the potentials' energies."""
        return np.sum(discharge_rates(1.0) * np.sum(potentials**2, axis=2), axis=1) / self._rate

    def _draw_potentials(self, rng: np.random.Generator) -> tuple[FloatArray, NDArray[np.int64]]:
        """(channels, UNITS, samples) and how many of these samples each has (channels, UNITS)."""
        shape, order = (self._channels, UNITS), np.arange(1, UNITS + 1) / UNITS
        speed = SLOWEST * (FASTEST / SLOWEST) ** order
        duration = LENGTH / speed * np.exp(LENGTH_SPREAD * rng.standard_normal(shape))  # s, of the Gaussian within
        spans = np.ceil(6.0 * duration * self._rate).astype(np.int64) + 1
        t = np.arange(spans.max()) / self._rate / duration[:, :, None] - 3.0
        share, sign = rng.random(shape), rng.choice((-1.0, 1.0), shape)
        bell = np.exp(-(t**2))
        two_phases, three_phases = 2.0 * t * bell, (4.0 * t**2 - 2.0) * bell
        # Equal energies, so that the share says which shape it looks like.
        mixture = (1.0 - share)[:, :, None] * two_phases + (share / math.sqrt(3.0))[:, :, None] * three_phases
        mixture[np.arange(t.shape[2]) >= spans[:, :, None]] = 0.0
        size = SIZE_RANGE**order * sign / np.sqrt(np.sum(mixture**2, axis=2))
        return size[:, :, None] * mixture, spans

    def _refill(self) -> None:
        self._normals = self._rng.standard_normal(4 * self._most, dtype=np.float32)
        self._used = 0
