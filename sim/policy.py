"""The trained policy of a gait, as plain arrays and a compiled forward pass (no torch at run time).

A policy is a general network and, where one network for everything pays for one ground with another, specialists that
it hands over to: a mixture of experts (Jacobs 1991, Neural Comput 3:79) whose gate is not learnt but given by the way.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .nervous import ACTION_LIMIT
from .observation import (
    RISE_GAIN,
    SEEN_BOUND,
    SEEN_RISE_BACK,
    SEEN_RISE_NEXT,
    SEEN_SLOPE,
    SEEN_WEAKNESS,
    SLOPE_GAIN,
)
from .shipped import find_shipped

FloatArray = NDArray[np.float64]

Specialist = Literal["uphill", "upstairs", "level"]
SPECIALISTS: tuple[Specialist, ...] = get_args(Specialist)
# Slope from which on the specialist for climbing has a say, and from which on it alone; up and down, the one for level
# ground leaves off between them (chosen).
SLOPING = (0.03, 0.09)
UPHILL, UPSTAIRS, LEVEL = range(len(SPECIALISTS))
GENERAL, NOBODY = -1, -2  # in place of a specialist's: the general network, and none
RISING = 0.1  # m, the last or next rise from which on the specialist for stairs acts alone (chosen: below any stairs)


def place_of(specialist: str) -> int:
    """The place of a specialist's name in `SPECIALISTS`, or `GENERAL`."""
    return GENERAL if specialist == "general" else [str(name) for name in SPECIALISTS].index(specialist)


@dataclass(frozen=True)
class Network:
    """Two hidden ELU layers and a linear head; weights as torch stores them, (out, in)."""

    weights: list[FloatArray]
    biases: list[FloatArray]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """(out, in) of each layer."""
        return [w.shape for w in self.weights]

    def towards(self, other: Network, share: float) -> Network:
        """The network a share of the way to another one, weight by weight."""

        def between(own: list[FloatArray], theirs: list[FloatArray]) -> list[FloatArray]:
            return [a + share * (b - a) for a, b in zip(own, theirs, strict=True)]

        return Network(between(self.weights, other.weights), between(self.biases, other.biases))


@dataclass(frozen=True)
class GaitPolicy:
    """A general network and its specialists by name, all of the same shape.

    Raises ValueError for a name that is not of `SPECIALISTS` and for another shape.
    """

    gait: str
    general: Network
    specialists: dict[str, Network] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, network in self.specialists.items():
            if name not in SPECIALISTS:
                raise ValueError(f"no specialist {name!r}; there are {', '.join(SPECIALISTS)}")
            if network.shapes != self.general.shapes:
                raise ValueError(
                    f"layers of {name!r} are {network.shapes}, of the general network {self.general.shapes}"
                )

    def of(self, specialist: str) -> Network:
        """The network of a specialist; the general one if it has none of that name."""
        return self.specialists.get(specialist, self.general)

    def having(self, specialist: str, network: Network) -> GaitPolicy:
        """This policy with another network for a specialist, or in general."""
        if specialist == "general":
            return replace(self, general=network)
        return replace(self, specialists={**self.specialists, specialist: network})

    def save(self, path: Path) -> None:
        """Write to an .npz of float32: w0, b0, ... and uphill_w0, ..."""
        arrays: dict[str, Any] = {}
        for prefix, network in self._by_prefix().items():
            arrays |= {f"{prefix}w{i}": w.astype(np.float32) for i, w in enumerate(network.weights)}
            arrays |= {f"{prefix}b{i}": b.astype(np.float32) for i, b in enumerate(network.biases)}
        np.savez_compressed(path, gait=self.gait, **arrays)

    def _by_prefix(self) -> dict[str, Network]:
        return {"": self.general} | {f"{name}_": network for name, network in self.specialists.items()}

    @property
    def network(self) -> tuple[NDArray[Any], ...]:
        """Contiguous arrays for `act`: each specialist's place in `SPECIALISTS`, then (w0, b0, w1, b1, w2, b2) with the
        networks along the first axis, the general one first."""
        networks = list(self._by_prefix().values())
        layers = [
            np.stack([getattr(n, part)[i] for n in networks]).astype(np.float64)
            for i in range(3)
            for part in ("weights", "biases")
        ]
        return np.array([SPECIALISTS.index(name) for name in self.specialists], dtype=np.int64), *layers


def load_policy(name_or_path: str | Path) -> GaitPolicy:
    """A shipped policy by name, or one from an .npz path. Raises ValueError that names the nearest shipped one."""
    path = find_shipped("policy", "policies", ".npz", name_or_path)
    with np.load(path) as stored:

        def read(prefix: str) -> Network:
            return Network(
                weights=[stored[f"{prefix}w{i}"].astype(np.float64) for i in range(3)],
                biases=[stored[f"{prefix}b{i}"].astype(np.float64) for i in range(3)],
            )

        known = [name for name in SPECIALISTS if f"{name}_w0" in stored]
        return GaitPolicy(str(stored["gait"]), read(""), {name: read(f"{name}_") for name in known})


@compiled
def _between(slope: float) -> float:
    """How far a slope is from the first to the second of SLOPING (0..1)."""
    return min(1.0, max(0.0, (slope - SLOPING[0]) / (SLOPING[1] - SLOPING[0])))


@compiled
def _share(specialist: int, observation: Any) -> float:
    """How much of the action is the specialist's (0..1), for its place in `SPECIALISTS`."""
    if specialist == UPSTAIRS:
        rise = max(observation[SEEN_RISE_BACK], observation[SEEN_RISE_NEXT]) / RISE_GAIN
        return min(1.0, max(0.0, rise / RISING))
    slope = observation[SEEN_SLOPE] / SLOPE_GAIN
    if specialist == UPHILL:
        return _between(slope)
    # Who measures out its steps to stairs walks as the general network knows how.
    if observation[SEEN_BOUND] != 0.0:
        return 0.0
    # The healthy and the mildly impaired shall not differ by their networks.
    return (1.0 - _between(abs(slope))) * (1.0 - min(1.0, max(0.0, np.max(observation[SEEN_WEAKNESS]))))


@compiled
def _forward(layers: Any, k: int, observation: Any, share: float, action: Any) -> None:
    """Add the k-th network's share of the action."""
    w0, b0, w1, b1, w2, b2 = layers
    h = w0[k] @ observation + b0[k]
    for i in range(len(h)):
        if h[i] < 0.0:
            h[i] = np.expm1(h[i])
    g = w1[k] @ h + b1[k]
    for i in range(len(g)):
        if g[i] < 0.0:
            g[i] = np.expm1(g[i])
    out = w2[k] @ g + b2[k]
    for i in range(len(out)):
        action[i] += share * min(ACTION_LIMIT, max(-ACTION_LIMIT, out[i]))


@compiled
def mix(network: Any, taught: int, own: Any, observation: Any, action: Any) -> None:
    """The action for an observation when one network is somebody else: own (N_ACTIONS), within +-ACTION_LIMIT, is what
    the one whose place in `SPECIALISTS` is `taught`, or the general one (`GENERAL`), does; its share is in action."""
    specialists, layers = network[0], network[1:]
    action[:] = 0.0
    left = 1.0
    for k in range(len(specialists) + 1):
        last = k == len(specialists)
        name = GENERAL if last else specialists[k]
        share = left if last else left * _share(name, observation)
        if share <= 0.0:
            continue
        left -= share
        if name == taught:
            for i in range(len(action)):
                action[i] += share * own[i]
        else:
            _forward(layers, 0 if last else k + 1, observation, share, action)


@compiled
def act(network: Any, observation: Any, action: Any) -> None:
    """The deterministic action for an observation, within +-ACTION_LIMIT, into action."""
    mix(network, NOBODY, action, observation, action)


@compiled
def mix_all(network: Any, taught: int, own: Any, observations: Any, actions: Any) -> None:
    """`mix` for each row."""
    for i in range(len(observations)):
        mix(network, taught, own[i], observations[i], actions[i])
