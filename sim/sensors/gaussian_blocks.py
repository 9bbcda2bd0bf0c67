"""Gaussian noise drawn in blocks, because one call a control tick would cost more than the numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 256  # rows drawn at once


class GaussianBlocks:
    """Rows of standard normal numbers (width,), many at a time; rng is a generator of its own."""

    def __init__(self, rng: np.random.Generator, width: int) -> None:
        self._rng, self._width = rng, width
        self._block = self._draw(BLOCK)
        self._next = 0

    def take(self, rows: int) -> NDArray[np.float32]:
        """The next (rows, width) numbers, a view that holds until the next call."""
        if self._next + rows > len(self._block):
            self._block, self._next = self._draw(max(BLOCK, rows)), 0
        self._next += rows
        return self._block[self._next - rows : self._next]

    def _draw(self, rows: int) -> NDArray[np.float32]:
        # Single precision costs half as much and resolves noise far below the step of any converter.
        return self._rng.standard_normal((rows, self._width), dtype=np.float32)
