"""The trained policy of a gait, as plain arrays and a compiled forward pass (no torch at run time)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .nervous import ACTION_LIMIT
from .shipped import find_shipped

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class GaitPolicy:
    """Two hidden ELU layers and a linear head; weights as torch stores them, (out, in)."""

    gait: str
    weights: list[FloatArray]
    biases: list[FloatArray]

    def save(self, path: Path) -> None:
        """Write to an .npz of float32."""
        arrays: dict[str, Any] = {f"w{i}": w.astype(np.float32) for i, w in enumerate(self.weights)}
        arrays |= {f"b{i}": b.astype(np.float32) for i, b in enumerate(self.biases)}
        np.savez_compressed(path, gait=self.gait, **arrays)

    @property
    def network(self) -> tuple[FloatArray, ...]:
        """Contiguous arrays for `act`: (w0, b0, w1, b1, w2, b2)."""
        return tuple(
            np.ascontiguousarray(a, dtype=np.float64)
            for pair in zip(self.weights, self.biases, strict=True)
            for a in pair
        )


def load_policy(name_or_path: str | Path) -> GaitPolicy:
    """A shipped policy by name, or one from an .npz path. Raises ValueError that names the nearest shipped one."""
    path = find_shipped("policy", "policies", ".npz", name_or_path)
    with np.load(path) as stored:
        return GaitPolicy(
            gait=str(stored["gait"]),
            weights=[stored[f"w{i}"].astype(np.float64) for i in range(3)],
            biases=[stored[f"b{i}"].astype(np.float64) for i in range(3)],
        )


@compiled
def act(network: Any, observation: Any, action: Any) -> None:
    """The deterministic action for an observation, clipped to +-ACTION_LIMIT, into action."""
    w0, b0, w1, b1, w2, b2 = network
    h = w0 @ observation + b0
    for i in range(len(h)):
        if h[i] < 0.0:
            h[i] = np.expm1(h[i])
    g = w1 @ h + b1
    for i in range(len(g)):
        if g[i] < 0.0:
            g[i] = np.expm1(g[i])
    out = w2 @ g + b2
    for i in range(len(out)):
        action[i] = min(ACTION_LIMIT, max(-ACTION_LIMIT, out[i]))
