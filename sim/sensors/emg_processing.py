"""From raw EMG to linear envelopes as the field does it: band-pass, notch, rectify, low-pass; causal, with state.

The filters are designed by scipy.signal and run as second-order sections in compiled code, block by block.
"""

from __future__ import annotations

import numpy as np

from ...controllers.interface import FloatArray
from ...controllers.sensor_specs import EmgSpec
from ..compiled import compiled

NYQUIST_SHARE = 0.9  # corners above this share of half the rate are moved there, where a digital filter can have them
NOTCH_Q = 30.0  # the notch is 1.7 Hz wide at 50 Hz


@compiled
def filter_block(sections: FloatArray, state: FloatArray, block: FloatArray) -> None:
    """Filter a block (n, m) in place: sections (s, 6) as scipy's ``sos``, state (s, 2, m), direct form II."""
    rows, columns = block.shape
    for s in range(len(sections)):
        b0, b1, b2 = sections[s, 0], sections[s, 1], sections[s, 2]
        a1, a2 = sections[s, 4], sections[s, 5]
        for k in range(rows):
            for i in range(columns):
                given = block[k, i]
                out = b0 * given + state[s, 0, i]
                state[s, 0, i] = b1 * given - a1 * out + state[s, 1, i]
                state[s, 1, i] = b2 * given - a2 * out
                block[k, i] = out


@compiled
def _linear_envelope(
    band: FloatArray, band_state: FloatArray, smooth: FloatArray, smooth_state: FloatArray, block: FloatArray
) -> None:
    filter_block(band, band_state, block)
    rows, columns = block.shape
    for k in range(rows):
        for i in range(columns):
            block[k, i] = abs(block[k, i])
    filter_block(smooth, smooth_state, block)
    for k in range(rows):
        for i in range(columns):
            block[k, i] = max(block[k, i], 0.0)  # the low-pass undershoots by a few per cent


def new_state(sections: FloatArray, channels: int) -> FloatArray:
    """(s, 2, channels) the state of a filter that has seen nothing."""
    return np.zeros((len(sections), 2, channels))


def amplifier_sections(spec: EmgSpec) -> FloatArray:
    """The amplifier's band: Butterworth, two poles at the low corner and four at the high one."""
    from scipy.signal import butter

    low = butter(2, spec.amplifier_low_hz, "highpass", fs=spec.rate_hz, output="sos")
    high = butter(4, _corner(spec.amplifier_high_hz, spec.rate_hz), "lowpass", fs=spec.rate_hz, output="sos")
    return np.ascontiguousarray(np.concatenate([low, high]))


def band_sections(spec: EmgSpec) -> FloatArray:
    """The band-pass of the processing (fourth-order Butterworth) and the notch where the spec asks for one."""
    from scipy.signal import butter, iirnotch, tf2sos

    corners = (spec.band_low_hz, _corner(spec.band_high_hz, spec.rate_hz))
    sections = butter(2, corners, "bandpass", fs=spec.rate_hz, output="sos")
    if spec.notch:
        sections = np.concatenate([sections, tf2sos(*iirnotch(spec.powerline_hz, NOTCH_Q, fs=spec.rate_hz))])
    return np.ascontiguousarray(sections)


def _corner(wanted_hz: float, rate_hz: float) -> float:
    return min(wanted_hz, 0.5 * NYQUIST_SHARE * rate_hz)


class EmgProcessing:
    """Raw EMG in, linear envelopes out, a block at a time; blocks of any length give the same numbers.

    channels: how many signals run side by side. Serves the control loop and whole recordings alike.
    """

    def __init__(self, spec: EmgSpec, channels: int) -> None:
        from scipy.signal import butter

        self.band = band_sections(spec)
        self.smooth = np.ascontiguousarray(butter(2, spec.envelope_cutoff_hz, "lowpass", fs=spec.rate_hz, output="sos"))
        self._channels = channels
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._band_state = new_state(self.band, self._channels)
        self._smooth_state = new_state(self.smooth, self._channels)

    def push(self, raw: FloatArray) -> FloatArray:
        """Raw EMG (n, channels) V in, envelopes (n, channels) V out: the smoothed rectified signal, a fresh array."""
        block = raw.copy()
        _linear_envelope(self.band, self._band_state, self.smooth, self._smooth_state, block)
        return block
