"""A pure delay of whole control ticks."""

from __future__ import annotations

import numpy as np

from ...controllers.interface import FloatArray


class DelayLine:
    """Gives back what was put in `delay_s` ago, rounded to whole ticks; before that, what was put in first."""

    def __init__(self, channels: int, delay_s: float, rate_hz: float) -> None:
        self._ring = np.zeros((round(delay_s * rate_hz) + 1, channels))
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._tick = 0

    def push(self, values: FloatArray) -> FloatArray:
        """One tick: values (channels,) in, the late ones out, a fresh array."""
        ring, depth = self._ring, len(self._ring)
        if self._tick == 0:
            ring[:] = values
        ring[self._tick % depth] = values
        self._tick += 1
        return ring[self._tick % depth].copy()
