"""Surface EMG: the envelope that the controller sees, and the raw signal behind it."""

from __future__ import annotations

import math

import numpy as np

from ...controllers.interface import FloatArray
from ...controllers.names import SIDES
from ...controllers.sensor_specs import EmgSpec
from .delay_line import DelayLine
from .truth import SensorTruth

EMG_BAND_HZ = (20.0, 450.0)  # the usual pass band of surface EMG amplifiers


class EmgEnvelope:
    """EMG envelopes (n_emg,) in 0..1: the low-passed excitation times an electrode gain, plus noise, late."""

    def __init__(self, spec: EmgSpec, rate_hz: float) -> None:
        self._spec = spec
        channels = len(SIDES) * len(spec.muscles)
        self._share = 1.0 - math.exp(-2.0 * math.pi * spec.envelope_cutoff_hz / rate_hz)
        self._delay = DelayLine(channels, spec.delay_s, rate_hz)
        self.gain = np.ones(channels)

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a new run: draw the electrode gains anew and forget the past."""
        self._rng = rng
        self.gain = 1.0 + self._spec.gain_sd * rng.standard_normal(len(self.gain))
        self._smooth: FloatArray | None = None
        self._delay.reset()

    def measure(self, truth: SensorTruth) -> FloatArray:
        """One control tick: (n_emg,) 0..1."""
        if self._smooth is None:
            self._smooth = truth.excitation.copy()
        self._smooth += self._share * (truth.excitation - self._smooth)
        noise = self._spec.noise_volts / self._spec.mvc_volts * self._rng.standard_normal(len(self.gain))
        return self._delay.push(np.clip(self.gain * self._smooth + noise, 0.0, 1.0))


def raw_emg(
    excitation: FloatArray,
    excitation_rate_hz: float,
    spec: EmgSpec,
    rng: np.random.Generator,
    gain: FloatArray | float = 1.0,
) -> FloatArray:
    """Raw surface EMG (n_samples, m) in volts at ``spec.rate_hz`` from excitation (n, m) in 0..1.

    Amplitude-modulated noise: unit Gaussian noise in the band 20-450 Hz (at most 0.45 of the rate) times the
    excitation, so that its RMS at full excitation is ``mvc_volts`` times gain (m,); plus white noise of RMS
    ``noise_volts``. The model is the usual one (Hogan and Mann 1980, IEEE Trans Biomed Eng 27:382).
    """
    from scipy.signal import butter, sosfilt

    n, muscles = excitation.shape
    samples = round(n * spec.rate_hz / excitation_rate_hz)
    at = np.minimum(np.arange(samples) * (excitation_rate_hz / spec.rate_hz), n - 1.0)
    before = at.astype(np.int64)
    after = np.minimum(before + 1, n - 1)
    share = (at - before)[:, None]
    envelope = (1.0 - share) * excitation[before] + share * excitation[after]
    band = (EMG_BAND_HZ[0], min(EMG_BAND_HZ[1], 0.45 * spec.rate_hz))
    filter_ = butter(4, band, btype="bandpass", fs=spec.rate_hz, output="sos")
    impulse = np.zeros(round(spec.rate_hz))
    impulse[0] = 1.0
    warm_up = round(0.5 * spec.rate_hz)
    carrier = sosfilt(filter_, rng.standard_normal((samples + warm_up, muscles)), axis=0)[warm_up:]
    carrier /= np.sqrt(np.sum(sosfilt(filter_, impulse) ** 2))
    signal = spec.mvc_volts * np.asarray(gain) * envelope * carrier
    return signal + spec.noise_volts * rng.standard_normal((samples, muscles))
