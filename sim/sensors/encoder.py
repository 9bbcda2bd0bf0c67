"""Joint encoders on the drives: the device's angle, not the limb's."""

from __future__ import annotations

import math

import numpy as np

from ...controllers.interface import FloatArray
from ...controllers.names import SIDES
from ...controllers.sensor_specs import EncoderSpec
from ..compiled import compiled
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
        self._said = np.zeros(2 * self._count)

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a new run: draw the offsets anew and forget the past."""
        self._offset = self._spec.offset_sd_rad * rng.standard_normal(self._count)
        self._first = True
        self._geared = np.zeros(self._count)
        self._angle = np.zeros(self._count)
        self._velocity = np.zeros(self._count)
        self._delay.reset()

    def measure(self, truth: SensorTruth) -> FloatArray:
        """One control tick: (2 n_encoders,) angle and velocity of each."""
        spec = self._spec
        _read(
            truth.encoder_angle,
            self._first,
            self._geared,
            0.5 * spec.backlash_rad,
            self._offset,
            spec.resolution_rad,
            self._angle,
            self._velocity,
            self._share,
            self._rate,
            self._said,
        )
        self._first = False
        return self._delay.push(self._said)


@compiled
def _read(
    true: FloatArray,
    first: bool,
    geared: FloatArray,
    half: float,
    offset: FloatArray,
    resolution: float,
    angle: FloatArray,
    velocity: FloatArray,
    share: float,
    rate: float,
    said: FloatArray,
) -> None:
    """Fill `said` and move `geared`, `angle` and `velocity` on by a tick. half: rad of the play."""
    for i in range(len(true)):
        if first:
            geared[i] = true[i]
        geared[i] = min(max(geared[i], true[i] - half), true[i] + half)
        now = geared[i] + offset[i]
        if resolution > 1e-12:  # finer, and the division might overflow
            now = np.rint(now / resolution) * resolution
        if not first:
            velocity[i] += share * ((now - angle[i]) * rate - velocity[i])
        angle[i] = now
        said[2 * i], said[2 * i + 1] = now, velocity[i]
