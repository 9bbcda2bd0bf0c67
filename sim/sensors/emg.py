"""Surface EMG: the raw signal under the electrodes at 1-2 kHz, and the envelopes that the controller sees."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...controllers.interface import FloatArray
from ...controllers.names import SIDES
from ...controllers.sensor_specs import EmgSpec
from ..compiled import compiled
from .electrodes import ARTEFACT_DAMPING, Electrodes
from .emg_processing import EmgProcessing, amplifier_sections, filter_block, new_state
from .gaussian_blocks import GaussianBlocks
from .interference import InterferencePattern
from .motor_units import MotorUnits
from .truth import SensorTruth

SETTLING_S = 0.5  # of standing still before the run, after which no filter remembers its start
RECTIFIED_GAUSSIAN = math.sqrt(2.0 / math.pi)  # mean absolute value of unit Gaussian noise


@compiled
def _acquire(
    source: FloatArray,
    mixing: FloatArray,
    noise: NDArray[np.float32],
    noise_volts: float,
    powerline: FloatArray,
    turns: float,
    turns_a_sample: float,
    artefact: FloatArray,
    push: FloatArray,
    corner: FloatArray,
    period: float,
    amplifier: FloatArray,
    amplifier_state: FloatArray,
    full_scale: float,
    step: float,
    line: FloatArray,
    cursor: int,
    raw: FloatArray,
) -> int:
    """Sources (n, m) become what the converter says (n, m), late by the length of the line; the line's new cursor."""
    rows, channels = source.shape
    for k in range(rows):
        for i in range(channels):
            raw[k, i] = noise_volts * noise[k, i]
        for j in range(channels):
            for i in range(channels):
                raw[k, i] += mixing[j, i] * source[k, j]
        for h in range(len(powerline)):
            angle = 2.0 * math.pi * (h + 1) * (turns + turns_a_sample * k)
            sine, cosine = math.sin(angle), math.cos(angle)
            for i in range(channels):
                raw[k, i] += powerline[h, 0, i] * cosine + powerline[h, 1, i] * sine
        for i in range(channels):
            w = corner[i]
            artefact[1, i] += period * w * (w * (push[i] - artefact[0, i]) - 2.0 * ARTEFACT_DAMPING * artefact[1, i])
            artefact[0, i] += period * artefact[1, i]
            raw[k, i] += artefact[0, i]
    filter_block(amplifier, amplifier_state, raw)
    for k in range(rows):
        for i in range(channels):
            volts = min(max(raw[k, i], -full_scale), full_scale)
            line[cursor, i] = round(volts / step) * step if step > 0.0 else volts
        cursor = (cursor + 1) % len(line)
        for i in range(channels):
            raw[k, i] = line[cursor, i]
    return cursor


class Emg:
    """Surface EMG of both legs: raw samples that arrive with every control tick, and envelopes made of them.

    Sample j of the raw signal is taken at j / rate_hz and arrives with the first control tick at or after it, late by
    the electronics' delay. Excitation changes linearly between ticks. What a session draws (gains, crosstalk, slips,
    normalisation) is new at each `reset`.

    raw: (n, m) V, the samples that arrived with the last tick, channels in the layout's order (right leg first).
    """

    def __init__(self, spec: EmgSpec, rate_hz: float) -> None:
        self._spec, self._rate = spec, rate_hz
        m = self._channels = len(SIDES) * len(spec.muscles)
        kind = MotorUnits if spec.fidelity == "motor_units" else InterferencePattern
        self._source: MotorUnits | InterferencePattern = kind(m, spec.rate_hz)
        self._electrodes = Electrodes(spec)
        self._amplifier = amplifier_sections(spec)
        self._processing = EmgProcessing(spec, m)
        self._step = spec.range_volts / 2.0 ** (spec.bits - 1) if math.isfinite(spec.range_volts) else 0.0
        self._still = np.zeros(m)

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a new run: draw the session's errors anew and forget the past."""
        s, m = self._spec, self._channels
        signal, noise, session = rng.spawn(3)
        self._source.reset(signal)
        self._noise = GaussianBlocks(noise, m)
        self._electrodes.reset(session)
        self._electrodes.advance(0.0)
        self._amplifier_state = new_state(self._amplifier, m)
        self._artefact = np.zeros((2, m))
        self._line = np.zeros((round(s.delay_s * s.rate_hz) + 1, m))
        self._cursor = 0
        self._processing.reset()
        # The envelope of the maximum contraction, recorded with the same electrodes before sweat and slips.
        passed = np.concatenate([self._amplifier, self._processing.band])
        maximum = s.mvc_volts * self._electrodes.gain * RECTIFIED_GAUSSIAN * np.sqrt(self._source.power(passed))
        self._to_mvc = np.exp(s.mvc_error_sd * session.standard_normal(m)) / maximum
        self._tick, self._samples, self._recorded = 0, 0, 0
        self._excitation: FloatArray | None = None

    def measure(self, truth: SensorTruth) -> FloatArray:
        """One control tick: envelopes (m,), 0..1 of the maximum contraction; `raw` holds the samples behind them."""
        now = np.minimum(np.maximum(truth.excitation, 0.0), 1.0)
        if self._excitation is None:
            self._settle(now)
        samples = int(self._tick * self._spec.rate_hz / self._rate + 1e-9) + 1
        new = samples - self._samples
        if new:
            self._electrodes.advance(truth.time)
            push = self._electrodes.shaken(truth.foot_force, self._rate) if self._spec.motion_volts else self._still
            self.raw = self._record(now, new, push)
            self._envelope = np.minimum(self._processing.push(self.raw)[-1] * self._to_mvc, 1.0)
        else:
            self.raw = np.zeros((0, self._channels))
        self._tick, self._samples = self._tick + 1, samples
        return self._envelope.copy()

    def _settle(self, excitation: FloatArray) -> None:
        """Run long enough at the first excitation for filters and delay to be where they stay."""
        self._excitation = excitation
        rows = max(1, int(self._spec.rate_hz / self._rate))
        for _ in range(math.ceil((SETTLING_S + self._spec.delay_s) * self._spec.rate_hz / rows)):
            self._processing.push(self._record(excitation, rows, self._still))

    def _record(self, excitation: FloatArray, rows: int, push: FloatArray) -> FloatArray:
        """The next (rows, m) V that leave the electronics while the excitation goes to the present one."""
        e, period = self._electrodes, 1.0 / self._spec.rate_hz
        assert self._excitation is not None
        source = self._source.sample(self._excitation, excitation, rows)
        self._excitation = excitation
        turns = e.powerline_hz * self._recorded * period
        raw = np.empty((rows, self._channels))
        self._cursor = _acquire(
            source,
            e.mixing,
            self._noise.take(rows),
            e.noise_volts,
            e.powerline,
            turns % 1.0,
            e.powerline_hz * period,
            self._artefact,
            push,
            e.corner,
            period,
            self._amplifier,
            self._amplifier_state,
            self._spec.range_volts,
            self._step,
            self._line,
            self._cursor,
            raw,
        )
        self._recorded += rows
        return raw
