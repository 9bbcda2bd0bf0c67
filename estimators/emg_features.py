"""Features of raw EMG over windows, as EMG-driven estimators use them; NumPy only, the same offline and on the device.

Definitions: Hudgins, Parker and Scott 1993 (IEEE Trans Biomed Eng 40:82) for mav, zc, ssc and wl; Phinyomark,
Phukpattaranont and Limsakul 2012 (Expert Syst Appl 39:7420) for ssi, myop, mnf and mdf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..controllers.config import require_known
from ..controllers.interface import FloatArray


def mean_absolute_value(x: FloatArray) -> FloatArray:
    """V: x (..., channels, samples) -> (..., channels)."""
    return np.mean(np.abs(x), axis=-1)


def root_mean_square(x: FloatArray) -> FloatArray:
    """V: x (..., channels, samples) -> (..., channels)."""
    return np.sqrt(np.mean(x**2, axis=-1))


def zero_crossings(x: FloatArray, threshold: float) -> FloatArray:
    """How often x (..., channels, samples) changes sign in a step of at least threshold (V) -> (..., channels)."""
    step = np.abs(np.diff(x, axis=-1)) >= threshold
    return np.sum((x[..., :-1] * x[..., 1:] < 0.0) & step, axis=-1, dtype=np.float64)


def slope_sign_changes(x: FloatArray, threshold: float) -> FloatArray:
    """How often the slope of x (..., channels, samples) changes sign -> (..., channels).

    One of the two steps about the turning point must be at least threshold (V).
    """
    step = np.diff(x, axis=-1)
    large = np.abs(step) >= threshold
    turns = step[..., :-1] * step[..., 1:] < 0.0
    return np.sum(turns & (large[..., :-1] | large[..., 1:]), axis=-1, dtype=np.float64)


def simple_square_integral(x: FloatArray) -> FloatArray:
    """V^2, the sum over the samples: x (..., channels, samples) -> (..., channels)."""
    return np.sum(x**2, axis=-1)


def waveform_length(x: FloatArray) -> FloatArray:
    """V, the sum of all steps: x (..., channels, samples) -> (..., channels)."""
    return np.sum(np.abs(np.diff(x, axis=-1)), axis=-1)


def myopulse_percentage_rate(x: FloatArray, threshold: float) -> FloatArray:
    """Share 0..1 of samples of x (..., channels, samples) beyond threshold (V) either way -> (..., channels)."""
    return np.mean(np.abs(x) > threshold, axis=-1)


def power_spectrum(x: FloatArray, rate_hz: float) -> tuple[FloatArray, FloatArray]:
    """Frequencies (k,) Hz and the power spectrum (..., channels, k) of x (..., channels, samples) in any unit.

    The periodogram of the window without its mean, under a Hann taper.
    """
    n = x.shape[-1]
    taper = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n) / n)
    spectrum = np.fft.rfft((x - x.mean(axis=-1, keepdims=True)) * taper, axis=-1)
    power = spectrum.real**2 + spectrum.imag**2
    # Other frequencies stand for their negative twins, too.
    power[..., 1 : -1 if n % 2 == 0 else None] *= 2.0
    frequency: FloatArray = np.arange(power.shape[-1]) * (rate_hz / n)
    return frequency, power


def mean_frequency(frequency: FloatArray, power: FloatArray) -> FloatArray:
    """Hz, the spectrum's centre of gravity: (k,), (..., channels, k) -> (..., channels); 0 without any power."""
    total = power.sum(axis=-1)
    return np.divide(power @ frequency, total, out=np.zeros_like(total), where=total > 0.0)


def median_frequency(frequency: FloatArray, power: FloatArray) -> FloatArray:
    """Hz, below which half of the power lies: (k,), (..., channels, k) -> (..., channels); 0 without any power.

    Interpolated between the spectrum's lines.
    """
    below = np.cumsum(power, axis=-1)
    half = 0.5 * below[..., -1:]
    at = np.argmax(below >= half, axis=-1)[..., None]
    before = np.where(at > 0, np.take_along_axis(below, np.maximum(at - 1, 0), axis=-1), 0.0)
    inside = np.take_along_axis(power, at, axis=-1)
    share = np.divide(half - before, inside, out=np.zeros_like(half), where=inside > 0.0)
    # A line's power is taken as spread over the bin about it.
    return np.maximum((at + share - 0.5) * frequency[1], 0.0)[..., 0] * (half[..., 0] > 0.0)


_PLAIN: dict[str, Callable[[FloatArray], FloatArray]] = {
    "mav": mean_absolute_value,
    "rms": root_mean_square,
    "ssi": simple_square_integral,
    "wl": waveform_length,
}
_WITH_THRESHOLD: dict[str, Callable[[FloatArray, float], FloatArray]] = {
    "zc": zero_crossings,
    "ssc": slope_sign_changes,
    "myop": myopulse_percentage_rate,
}
_SPECTRAL: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "mnf": mean_frequency,
    "mdf": median_frequency,
}
FEATURES = ("mav", "rms", "zc", "ssc", "ssi", "wl", "myop", "mnf", "mdf")


class EmgFeatures:
    """The features of the latest window of raw EMG, sample by sample on the device or over a whole recording at once.

    names: of `FEATURES`. threshold_volts: what zc, ssc and myop hold for noise. Raises ValueError for an unknown
    feature, naming the nearest, and for a window of fewer than 8 samples.
    """

    def __init__(
        self,
        channels: int,
        rate_hz: float,
        window_s: float,
        names: Iterable[str] = FEATURES,
        threshold_volts: float = 1e-5,
    ) -> None:
        self.names = tuple(names)
        require_known("EMG feature", self.names, FEATURES)
        self.rate_hz, self.samples = rate_hz, round(window_s * rate_hz)
        if self.samples < 8:
            raise ValueError(
                f"a window of {window_s:g} s at {rate_hz:g} Hz has {self.samples} samples, at least 8 needed"
            )
        self.threshold = threshold_volts
        self._window = np.zeros((channels, self.samples))
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._seen = 0

    def push(self, raw: FloatArray) -> FloatArray:
        """The next samples (n, channels) V in, features (n_names, channels) out; NaN until a window is full."""
        new = raw[-self.samples :].T
        kept = self.samples - new.shape[1]
        self._window[:, :kept] = self._window[:, self.samples - kept :]
        self._window[:, kept:] = new
        self._seen += len(raw)
        if self._seen < self.samples:
            return np.full((len(self.names), len(self._window)), np.nan)
        return self.of(self._window)

    def over(self, raw: FloatArray, stride: int) -> FloatArray:
        """A recording (n, channels) V -> (windows, n_names, channels) of the windows that end at samples
        ``self.samples``, ``self.samples + stride``, ... (no window without a full one).
        """
        if len(raw) < self.samples:
            return np.zeros((0, len(self.names), raw.shape[1]))
        return self.of(sliding_window_view(raw, self.samples, axis=0)[::stride])

    def of(self, windows: FloatArray) -> FloatArray:
        """Windows (..., channels, samples) V -> (..., n_names, channels)."""
        found: list[FloatArray] = []
        spectrum = power_spectrum(windows, self.rate_hz) if any(n in _SPECTRAL for n in self.names) else None
        for name in self.names:
            if name in _PLAIN:
                found.append(_PLAIN[name](windows))
            elif name in _WITH_THRESHOLD:
                found.append(_WITH_THRESHOLD[name](windows, self.threshold))
            else:
                assert spectrum is not None
                found.append(_SPECTRAL[name](*spectrum))
        return np.stack(found, axis=-2)
