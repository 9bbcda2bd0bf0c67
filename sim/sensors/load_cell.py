"""Torque load cells between the drives and their cuffs."""

from __future__ import annotations

import math

import numpy as np

from ...controllers.interface import FloatArray
from ...controllers.sensor_specs import LoadCellSpec
from ..compiled import compiled
from .delay_line import DelayLine
from .truth import SensorTruth

NOISE_BLOCK = 256  # ticks of noise drawn at once
REACH = 0.2  # of the range: how far a reversed load goes until the hysteresis has turned over (chosen)


class LoadCell:
    """Torque (Nm) that each drive passes on through its cuff, in the order of `DeviceDescription.actuated`.

    In order: hysteresis, gain, offset with its drift (first-order Gauss-Markov), white noise (as in
    `Imu`), saturation, quantisation, delay. The hysteresis is a stop operator of the Prandtl-Ishlinskii
    model: it lags behind the load by half its width in the direction of the last turn, whatever the pace; loads that
    go to and fro by less than `REACH` of the range make smaller loops.
    """

    def __init__(self, spec: LoadCellSpec, cells: int, rate_hz: float) -> None:
        self._spec, self._cells = spec, cells
        finite = math.isfinite(spec.range_nm)
        self._reach = REACH * spec.range_nm if finite else 1.0
        self._lag = 0.5 * spec.hysteresis * spec.range_nm / self._reach if finite else 0.0
        self._step = spec.range_nm / 2.0 ** (spec.bits - 1) if finite else 0.0
        self._memory = math.exp(-1.0 / (rate_hz * spec.drift_correlation_s))
        self._kick = spec.drift_nm * math.sqrt(1.0 - self._memory**2)
        self._noise_sd = spec.noise_density * math.sqrt(rate_hz)
        self._delay = DelayLine(cells, spec.delay_s, rate_hz)
        self._said = np.zeros(cells)

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a new run: draw gains and offsets anew and forget the past."""
        spec, n = self._spec, self._cells
        self._rng, self._tick = rng, 0
        self._gain = 1.0 + spec.gain_sd * rng.standard_normal(n)
        self._offset = spec.offset_sd_nm * rng.standard_normal(n)
        self._drift = np.zeros(n)  # tared as the run begins
        self._stop = np.zeros(n)
        self._delay.reset()

    def measure(self, truth: SensorTruth) -> FloatArray:
        """One control tick: (n_actuated,) Nm."""
        if self._tick == 0:
            self._load = truth.cuff_torque.copy()
        row = self._tick % NOISE_BLOCK
        if row == 0:
            self._noise = self._rng.standard_normal((NOISE_BLOCK, 2, self._cells))
        self._tick += 1
        _read(
            truth.cuff_torque,
            self._load,
            self._stop,
            self._reach,
            self._lag,
            self._gain,
            self._offset,
            self._drift,
            self._memory,
            self._kick,
            self._noise[row],
            self._noise_sd,
            self._spec.range_nm,
            self._step,
            self._said,
        )
        return self._delay.push(self._said)


@compiled
def _read(
    load: FloatArray,
    before: FloatArray,
    stop: FloatArray,
    reach: float,
    lag: float,
    gain: FloatArray,
    offset: FloatArray,
    drift: FloatArray,
    memory: float,
    kick: float,
    noise: FloatArray,
    noise_sd: float,
    most: float,
    step: float,
    said: FloatArray,
) -> None:
    """Fill `said` and move `before`, `stop` and `drift` on by a tick."""
    for i in range(len(load)):
        stop[i] = min(max(stop[i] + load[i] - before[i], -reach), reach)
        before[i] = load[i]
        drift[i] = memory * drift[i] + kick * noise[0, i]
        value = gain[i] * (load[i] - lag * stop[i]) + offset[i] + drift[i] + noise_sd * noise[1, i]
        value = min(max(value, -most), most)
        said[i] = np.rint(value / step) * step if step > 0.0 else value
