"""The baseline of the field: the mean torque of a mode over the gait cycle, played back by gait phase."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .config import require_known
from .device import JOINTS, SIDES
from .interface import FloatArray, SensorFrame
from .phase import GaitPhase, PhaseConfig
from .protocols import GAIT_MODES, MODES, ModeEstimate

POINTS = 101


@dataclass(frozen=True, eq=False)
class MeanProfile:
    """Mean biological torque over the gait cycle.

    joints: names without side. torque: `ModeEstimate.key` (``walk/slow``, ``stand``) to an array
    (101, n_joints), Nm/kg, at 0, 1, ... 100 % of the cycle from heel strike; 0 and 100 % are one
    instant, so both become their mean. source: where the numbers came from.
    Raises ValueError for an unknown joint or mode, a wrong shape or a number that is not finite.
    """

    joints: tuple[str, ...]
    torque: Mapping[str, FloatArray]
    source: str = ""
    _mean: dict[str, FloatArray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        require_known("joint", self.joints, JOINTS)
        periodic: dict[str, FloatArray] = {}
        for key, values in self.torque.items():
            require_known("mode", [key.partition("/")[0]], MODES)
            curve = np.array(values, dtype=float)
            if curve.shape != (POINTS, len(self.joints)):
                raise ValueError(f"{key}: shape {curve.shape}, expected {(POINTS, len(self.joints))}")
            if not np.isfinite(curve).all():
                raise ValueError(f"{key}: not all numbers are finite")
            curve[0] = curve[-1] = 0.5 * (curve[0] + curve[-1])
            periodic[key] = curve
        object.__setattr__(self, "torque", periodic)
        object.__setattr__(self, "_mean", {key: c[:-1].mean(axis=0) for key, c in periodic.items()})

    def key_for(self, mode: ModeEstimate) -> str | None:
        """Which profile answers for a mode; None if the table knows nothing of the mode.

        Its own key, else the mode without a speed class, else its ``normal`` class, else its first class.
        """
        for key in (mode.key, mode.mode, f"{mode.mode}/normal"):
            if key in self.torque:
                return key
        return next((key for key in self.torque if key.partition("/")[0] == mode.mode), None)

    def at(self, mode: ModeEstimate, phase: float) -> FloatArray:
        """(n_joints,) Nm/kg at a phase of the cycle (1 = one cycle; linear between points, periodic).

        A mode without a gait cycle (``stand``) is answered with its mean over the cycle at any phase.
        A gait mode at an unknown phase (NaN) gives NaN, an unknown mode zeros.
        """
        key = self.key_for(mode)
        if key is None:
            return np.zeros(len(self.joints))
        if mode.mode not in GAIT_MODES:
            return self._mean[key].copy()
        if not math.isfinite(phase):
            return np.full(len(self.joints), math.nan)
        position = (phase % 1.0) * (POINTS - 1)
        left = min(int(position), POINTS - 2)
        curve = self.torque[key]
        return curve[left] + (position - left) * (curve[left + 1] - curve[left])

    def to_json(self, path: str | Path) -> None:
        """Write ``{"unit", "source", "profiles": {key: {joint: [101 numbers]}}}``."""
        profiles = {
            key: {joint: curve[:, i].tolist() for i, joint in enumerate(self.joints)}
            for key, curve in self.torque.items()
        }
        table = {"unit": "Nm/kg", "source": self.source, "profiles": profiles}
        Path(path).write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def from_json(cls, path: str | Path) -> MeanProfile:
        """Read what `to_json` wrote. Raises FileNotFoundError, or ValueError that names file and fault."""
        path = Path(path)
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(table, dict) or not isinstance(table.get("profiles"), dict):
                raise ValueError("no 'profiles' in it")
            if table.get("unit") != "Nm/kg":
                raise ValueError(f"unit {table.get('unit')!r}, expected 'Nm/kg'")
            profiles: dict[str, dict[str, list[float]]] = table["profiles"]
            joints = tuple(next(iter(profiles.values()), {}))
            for key, curves in profiles.items():
                if set(curves) != set(joints):
                    raise ValueError(f"{key}: joints {sorted(curves)}, expected {sorted(joints)}")
            torque = {key: np.array([c[j] for j in joints], float).T for key, c in profiles.items()}
            return cls(joints, torque, str(table.get("source", "")))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: not a mean torque profile: {error}") from None


class ProfileEstimator:
    """`TorqueEstimator` that plays a `MeanProfile` back by the insole gait phase of each leg."""

    def __init__(self, profile: MeanProfile, phase: PhaseConfig | None = None) -> None:
        self.profile = profile
        self._phase = GaitPhase(phase)
        self._joints = tuple(f"{joint}_{side}" for side in SIDES for joint in profile.joints)

    @property
    def channels(self) -> tuple[str, ...]:
        """Insole forces of both feet."""
        return self._phase.channels

    @property
    def joints(self) -> tuple[str, ...]:
        """The profile's joints, right leg first."""
        return self._joints

    def reset(self) -> None:
        """Forget the gait phase."""
        self._phase.reset()

    def update(self, frame: SensorFrame, mode: ModeEstimate) -> FloatArray:
        """(n_joints,) Nm/kg; NaN for a leg that walks at a phase not known yet."""
        right, left = self._phase.update(frame)
        return np.concatenate([self.profile.at(mode, right), self.profile.at(mode, left)])
