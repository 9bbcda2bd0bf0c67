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

    Backlash is the play operator: the encoder stays until the joint has crossed the play, then follows its edge.
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
        self._geared: FloatArray | None = None
        self._angle = np.zeros(self._count)
        self._velocity = np.zeros(self._count)
        self._delay.reset()

    def measure(self, truth: SensorTruth) -> FloatArray:
        """One control tick: (2 n_encoders,) angle and velocity of each."""
        spec, true, first = self._spec, truth.encoder_angle, self._geared is None
        if self._geared is None:
            self._geared = true.copy()
        half = 0.5 * spec.backlash_rad
        np.maximum(self._geared, true - half, out=self._geared)
        np.minimum(self._geared, true + half, out=self._geared)
        angle = self._geared + self._offset
        if spec.resolution_rad > 1e-12:  # finer, and the division might overflow
            angle = np.rint(angle / spec.resolution_rad) * spec.resolution_rad
        if not first:
            self._velocity += self._share * ((angle - self._angle) * self._rate - self._velocity)
        self._angle = angle
        said = np.empty(2 * self._count)
        said[::2], said[1::2] = angle, self._velocity
        return self._delay.push(said)
