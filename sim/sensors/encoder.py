"""Joint encoders on the drives: the device's angle, not the limb's."""

from __future__ import annotations

import math

import numpy as np

from ...controllers.interface import FloatArray
from ...controllers.names import SIDES
from ...controllers.sensor_specs import EncoderSpec
from .delay_line import DelayLine
from .truth import SensorTruth


class Encoder:
    """Angle (rad) and velocity (rad/s) of every encoder, right leg first.

    Velocity is the difference of the quantised angle over a control tick, low-passed (first order).
    """

    def __init__(self, spec: EncoderSpec, rate_hz: float) -> None:
        self._spec, self._rate = spec, rate_hz
        self._count = len(SIDES) * len(spec.joints)
        self._share = 1.0 - math.exp(-2.0 * math.pi * spec.velocity_cutoff_hz / rate_hz)
        self._delay = DelayLine(2 * self._count, spec.delay_s, rate_hz)

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a new run: draw the offsets anew and forget the past."""
        self._offset = self._spec.offset_sd_rad * rng.standard_normal(self._count)
        self._angle: FloatArray | None = None
        self._velocity = np.zeros(self._count)
        self._delay.reset()

    def measure(self, truth: SensorTruth) -> FloatArray:
        """One control tick: (2 n_encoders,) angle and velocity of each."""
        angle = truth.encoder_angle + self._offset
        if self._spec.resolution_rad > 0.0:
            angle = np.rint(angle / self._spec.resolution_rad) * self._spec.resolution_rad
        if self._angle is not None:
            self._velocity += self._share * ((angle - self._angle) * self._rate - self._velocity)
        self._angle = angle
        return self._delay.push(np.column_stack([angle, self._velocity]).ravel())
