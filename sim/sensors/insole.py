"""Pressure insoles: vertical force and centre of pressure of each foot."""

from __future__ import annotations

import numpy as np

from ...controllers.interface import FloatArray
from ...controllers.sensor_specs import InsoleSpec
from .delay_line import DelayLine
from .truth import SensorTruth


class Insole:
    """Force (N) and centre of pressure (m) of the right, then the left foot; an unloaded insole says 0 for all."""

    def __init__(self, spec: InsoleSpec, rate_hz: float) -> None:
        self._spec = spec
        self._every = max(1, round(rate_hz / spec.rate_hz))
        self._delay = DelayLine(6, spec.delay_s, rate_hz)

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a new run: draw the gains anew and forget the past."""
        self._rng = rng
        self._gain = 1.0 + self._spec.gain_sd * rng.standard_normal(2)
        self._tick = 0
        self._delay.reset()

    def measure(self, truth: SensorTruth) -> FloatArray:
        """One control tick: (6,) force, cop_x, cop_y of the right foot, then of the left."""
        if self._tick % self._every == 0:
            noise = self._rng.standard_normal((2, 3))
            said = np.empty((2, 3))
            said[:, 0] = self._gain * truth.foot_force + self._spec.force_noise_n * noise[:, 0]
            said[:, 1:] = truth.foot_cop + self._spec.cop_noise_m * noise[:, 1:]
            said[said[:, 0] < self._spec.threshold_n] = 0.0
            self._said = said.ravel()
        self._tick += 1
        return self._delay.push(self._said)
