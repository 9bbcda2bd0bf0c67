"""Splines over half a gait cycle: parameters to coordinates, rates and accelerations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

FloatArray = NDArray[np.float64]

HALF = 50  # samples in half a cycle
ODD = (1, 4, 5)  # root coordinates that change sign with the side
N_ROOT, N_LEG = 6, 6
DEGREE = 5


class Splines:
    """Maps parameters to values, rates and accelerations of the coordinates at the half cycle's samples.

    periodic: the second half mirrors the first, so the whole cycle has `knots` control points a coordinate. Otherwise
    the half cycle stands alone between a given start and end (value, rate and acceleration by time).
    """

    def __init__(self, half_time: float, knots: int, ends: tuple[FloatArray, FloatArray] | None = None) -> None:
        self.half_time, self.ends = half_time, ends
        self.base = np.zeros((3, HALF + 1, 18))
        if ends is None:
            self._periodic(knots)
        else:
            self._between(knots, ends)

    def _design(self, t: FloatArray, x: FloatArray, count: int) -> list[FloatArray]:
        columns = [BSpline(t, np.eye(count)[i], DEGREE) for i in range(count)]
        return [np.stack([c.derivative(k)(x) if k else c(x) for c in columns], axis=1) for k in range(3)]

    def _periodic(self, knots: int) -> None:
        # Uniform periodic splines over the whole cycle: control points wrap round.
        t = np.arange(-DEGREE, knots + DEGREE + 1) / knots
        phase = np.arange(2 * HALF + 1) / (2 * HALF)
        whole = self._design(t, phase, knots + DEGREE)
        wrap = np.zeros((knots + DEGREE, knots))
        wrap[np.arange(knots + DEGREE), np.arange(knots + DEGREE) % knots] = 1.0
        period = 2 * self.half_time
        basis = [b @ wrap / period**k for k, b in enumerate(whole)]
        half = knots // 2
        columns: list[tuple[int, FloatArray]] = []  # (coordinates touched, (3, HALF+1, 18) per unit of the parameter)
        for c in range(N_ROOT):
            sign = -1.0 if c in ODD else 1.0
            for k in range(half):
                unit = np.zeros((3, HALF + 1, 18))
                for d in range(3):
                    unit[d, :, c] = basis[d][: HALF + 1, k] + sign * basis[d][: HALF + 1, k + half]
                columns.append((c, unit))
        for j in range(N_LEG):
            for k in range(knots):
                unit = np.zeros((3, HALF + 1, 18))
                for d in range(3):
                    unit[d, :, 6 + j] = basis[d][: HALF + 1, k]
                    unit[d, :, 12 + j] = basis[d][HALF:, k]
                columns.append((6 + j, unit))
        self.units = np.stack([u for _, u in columns])

    def _between(self, knots: int, ends: tuple[FloatArray, FloatArray]) -> None:
        count = knots // 2 + DEGREE
        t = np.concatenate([np.zeros(DEGREE), np.linspace(0, 1, count - DEGREE + 1), np.ones(DEGREE)])
        x = np.arange(HALF + 1) / HALF
        basis = [b / self.half_time**k for k, b in enumerate(self._design(t, x, count))]
        # The first and last three control points give value, rate and acceleration at the ends.
        fixed = [0, 1, 2, count - 3, count - 2, count - 1]
        at = np.stack([basis[d][i] for i in (0, HALF) for d in range(3)])[:, fixed]
        wanted = np.concatenate([ends[0], ends[1]])  # (6, 18): value, rate, acceleration at start, then at end
        control = np.linalg.solve(at, wanted)
        for d in range(3):
            self.base[d] = basis[d][:, fixed] @ control
        free = [i for i in range(count) if i not in fixed]
        units = []
        for c in range(18):
            for k in free:
                unit = np.zeros((3, HALF + 1, 18))
                for d in range(3):
                    unit[d, :, c] = basis[d][:, k]
                units.append(unit)
        self.units = np.stack(units)

    def motion(self, theta: FloatArray, drift: FloatArray) -> FloatArray:
        """(3, HALF + 1, 18) coordinates, rates, accelerations; drift: (18,) m walked and climbed in the half cycle."""
        out = self.base + np.tensordot(theta, self.units, axes=1)
        out[0] += np.linspace(0, 1, HALF + 1)[:, None] * drift
        out[1] += drift / self.half_time
        return out

    def fit(self, values: FloatArray) -> FloatArray:
        """Parameters whose coordinates come nearest to values (HALF + 1, 18), the drift taken off."""
        a = self.units[:, 0].reshape(len(self.units), -1).T
        return np.asarray(np.linalg.lstsq(a, (values - self.base[0]).ravel(), rcond=None)[0])
