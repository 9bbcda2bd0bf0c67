"""Pressure insoles: true force and centre of pressure of each foot in, what the insole says of them out."""

from __future__ import annotations

import math

import numpy as np

from ...controllers.interface import FloatArray
from ...controllers.names import SIDES
from ...controllers.sensor_specs import InsoleSpec
from .delay_line import DelayLine
from .truth import SensorTruth

NOISE_BLOCK = 256  # samples of noise drawn at once
# N of load change after which the branch of the hysteresis loop is 63 % changed; chosen, a tenth of usual loads.
REVERSAL_N = 50.0


class Insole:
    """Both insoles of a device: (6,) force (N), cop_x, cop_y (m) of the right, then of the left foot.

    The loop of loading and unloading is rate-independent: its branch z, 1 while loading and -1 while unloading, follows
    dz = (sgn(dF) - z) |dF| / `REVERSAL_N`, the form of Dahl's friction model (1968), and the reading is
    F (1 - hysteresis z / 2). Creep is first order: insoles drift so under load (Hurkmans et al. 2006, Gait & Posture,
    doi:10.1016/j.gaitpost.2005.05.008). What is left of it in a foot off the ground presses on the whole grid, so
    the centre of pressure then leans to the grid's middle. A foot too light for the truth to know a centre of pressure
    presses where it last did, before the first step on the grid's middle. Rate and delay are rounded to whole control
    ticks.
    """

    def __init__(self, spec: InsoleSpec, rate_hz: float) -> None:
        self.spec = spec
        self._every = max(1, round(rate_hz / spec.rate_hz))
        self._delay = DelayLine(6, spec.delay_s, rate_hz)
        step = self._every / rate_hz
        self._creeps = 1.0 - math.exp(-step / spec.creep_s)
        self._stays = math.exp(-step / spec.cop_correlation_s) if spec.cop_correlation_s else 0.0
        self._fresh = math.sqrt(1.0 - self._stays**2)

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a new run: draw gains and offsets anew, forget the past."""
        spec = self.spec
        self._rng, self._tick, self._sample = rng, 0, 0
        self._gain = [1.0 + spec.gain_sd * z for z in rng.standard_normal(2).tolist()]
        self._offset = [spec.offset_sd_n * z for z in rng.standard_normal(2).tolist()]
        self._shift = (np.array(spec.cop_offset_sd_m) * rng.standard_normal((2, 2))).tolist()
        self._wander = rng.standard_normal((2, 2)).tolist()
        self._branch, self._crept = [0.0, 0.0], [0.0, 0.0]
        self._pressed = [list(spec.cop_centre_m) for _ in SIDES]
        self._last: list[float] | None = None
        self._delay.reset()

    def measure(self, truth: SensorTruth) -> FloatArray:
        """One control tick: (6,), a fresh array. Before the first tick the world stood still as that tick finds it."""
        if self._tick % self._every == 0:
            self._said = np.array(self._read(truth.foot_force.tolist(), truth.foot_cop.tolist()))
        self._tick += 1
        return self._delay.push(self._said)

    def _read(self, force: list[float], cop: list[list[float]]) -> list[float]:
        """One sample of both feet, without the delay."""
        spec = self.spec
        if self._sample % NOISE_BLOCK == 0:
            self._noise = self._rng.standard_normal((NOISE_BLOCK, 2, 3)).tolist()
        noise = self._noise[self._sample % NOISE_BLOCK]
        self._sample += 1
        if self._last is None:
            self._last = list(force)
        said: list[float] = []
        for foot, true in enumerate(force):
            change = true - self._last[foot]
            if change:
                onto = math.copysign(1.0, change)
                self._branch[foot] = onto + (self._branch[foot] - onto) * math.exp(-abs(change) / REVERSAL_N)
            self._last[foot] = true
            self._crept[foot] += self._creeps * (true - self._crept[foot])
            if any(cop[foot]):  # the truth says (0, 0) of a foot that bears next to nothing
                self._pressed[foot] = cop[foot]
            residue = spec.creep * self._crept[foot] + self._offset[foot]
            read = self._gain[foot] * (true * (1.0 - 0.5 * spec.hysteresis * self._branch[foot]) + residue)
            read = min(max(0.0, read + spec.force_noise_n * noise[foot][0]), spec.range_n)
            if spec.resolution_n:
                read -= math.remainder(read, spec.resolution_n)
            wander = self._wander[foot]
            for axis in (0, 1):
                wander[axis] = self._stays * wander[axis] + self._fresh * noise[foot][1 + axis]
            if read < spec.threshold_n:
                said += (0.0, 0.0, 0.0)
                continue
            said.append(read)
            # The share of the load that the foot itself puts on the grid, and what a light load makes of the noise.
            own = true / (true + residue) if residue > 0.0 else 1.0
            louder = 1.0 + spec.cop_half_load_n / max(read, 1.0)
            for axis in (0, 1):
                middle = spec.cop_centre_m[axis]
                seen = middle + own * spec.cop_slope[axis] * (self._pressed[foot][axis] - middle)
                said.append(seen + self._shift[foot][axis] + louder * spec.cop_noise_m[axis] * wander[axis])
        return said
