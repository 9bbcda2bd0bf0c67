"""Torque load cells between the drives and their cuffs."""

from __future__ import annotations

import math

import numpy as np

from ...controllers.interface import FloatArray
from ...controllers.sensor_specs import LoadCellSpec
from .delay_line import DelayLine
from .truth import SensorTruth

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

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a new run: draw gains and offsets anew and forget the past."""
        spec, n = self._spec, self._cells
        self._rng = rng
        self._gain = 1.0 + spec.gain_sd * rng.standard_normal(n)
        self._offset = spec.offset_sd_nm * rng.standard_normal(n)
        self._drift = np.zeros(n)  # tared as the run begins
        self._stop = np.zeros(n)
        self._load: FloatArray | None = None
        self._delay.reset()

    def measure(self, truth: SensorTruth) -> FloatArray:
        """One control tick: (n_actuated,) Nm."""
        load, spec = truth.cuff_torque, self._spec
        if self._load is not None:
            self._stop = np.clip(self._stop + load - self._load, -self._reach, self._reach)
        self._load = load
        walk, noise = self._rng.standard_normal((2, self._cells))
        self._drift = self._memory * self._drift + self._kick * walk
        said = self._gain * (load - self._lag * self._stop) + self._offset + self._drift + self._noise_sd * noise
        said = np.clip(said, -spec.range_nm, spec.range_nm)
        if self._step > 0.0:
            said = np.rint(said / self._step) * self._step
        return self._delay.push(said)
