"""IMUs: specific force and angular rate of every site, as its sensor says them."""

from __future__ import annotations

import math

import numpy as np

from ...controllers.interface import FloatArray
from ...controllers.sensor_specs import ImuSpec
from .delay_line import DelayLine
from .truth import SensorTruth


class Imu:
    """Specific force (m/s^2) and angular rate (rad/s) of every site: gain, bias, white noise, range, resolution, delay.

    White noise of density D in a sensor sampled at f is band-limited at f / 2, so each sample has standard deviation
    D sqrt(f / 2). A sensor slower than the controller holds its sample.
    """

    def __init__(self, spec: ImuSpec, rate_hz: float) -> None:
        def tile(accel: float, gyro: float) -> FloatArray:
            return np.tile([accel] * 3 + [gyro] * 3, len(spec.mounts))

        self._noise_sd = tile(spec.accel_noise_density, spec.gyro_noise_density) * math.sqrt(spec.rate_hz / 2.0)
        self._bias_sd = tile(spec.accel_bias_sd, spec.gyro_bias_sd)
        self._gain_sd = tile(spec.accel_gain_sd, spec.gyro_gain_sd)
        self._range = tile(spec.accel_range, spec.gyro_range)
        self._coarse = np.isfinite(self._range)
        self._resolution = self._range[self._coarse] / 2.0 ** (spec.bits - 1)
        self._every = max(1, round(rate_hz / spec.rate_hz))
        self._delay = DelayLine(len(self._range), spec.delay_s, rate_hz)

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a new run: draw biases and gains anew and forget the past."""
        self._rng = rng
        self._bias = self._bias_sd * rng.standard_normal(len(self._range))
        self._gain = 1.0 + self._gain_sd * rng.standard_normal(len(self._range))
        self._tick = 0
        self._delay.reset()

    def measure(self, truth: SensorTruth) -> FloatArray:
        """One control tick: (6 n_sites,) ax, ay, az, gx, gy, gz of each site."""
        if self._tick % self._every == 0:
            true = np.concatenate([truth.imu_acc[-1], truth.imu_gyro[-1]], axis=1).ravel()
            said = self._gain * true + self._bias + self._noise_sd * self._rng.standard_normal(len(true))
            said = np.clip(said, -self._range, self._range)
            said[self._coarse] = np.rint(said[self._coarse] / self._resolution) * self._resolution
            self._said = said
        self._tick += 1
        return self._delay.push(self._said)
