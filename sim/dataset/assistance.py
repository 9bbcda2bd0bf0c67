"""Random assistance of a recording, so that estimators see assisted people."""

from __future__ import annotations

import numpy as np

from ...controllers.interface import FloatArray
from .request import Assistance

SMOOTHING_S = 0.05  # lag of the help behind the person's own torque; chosen
WANDER_S = 0.5  # correlation time of the random torque; chosen


class RandomHelp:
    """Torque commands: a share of the person's own torque, late and smooth, plus slow random torque.

    joints: how many, right leg first. mass_kg: of the person. rate: control ticks a second.
    """

    def __init__(self, settings: Assistance, joints: int, mass_kg: float, rate: float) -> None:
        self.settings, self.mass = settings, mass_kg
        self._step = min(1.0, 1.0 / (SMOOTHING_S * rate))
        # An Ornstein-Uhlenbeck walk of standard deviation 1, discretised exactly.
        self._keep = float(np.exp(-1.0 / (WANDER_S * rate)))
        self._fresh = float(np.sqrt(1.0 - self._keep**2))
        self._ticks = round(settings.segment_s * rate)
        self._share, self._offset = np.zeros(joints), 0.0
        self._smooth, self._walk = np.zeros(joints), np.zeros(joints)
        self._noise = np.zeros((0, joints))
        self._at = 0

    def draw(self, rng: np.random.Generator) -> None:
        """Begin a segment: help or none, and how much, the same on both legs."""
        joints = len(self._share)
        helped = rng.random() < self.settings.probability
        self._share = np.tile(rng.uniform(*self.settings.share, joints // 2), 2) * helped
        self._offset = self.settings.offset_nm_per_kg * self.mass * helped
        # Drawn at once: a call of the generator each tick costs more than the physics of the exo.
        self._noise = self._fresh * rng.standard_normal((self._ticks, joints))
        self._at = 0

    def torque(self, own: FloatArray) -> FloatArray:
        """The command now (n_joints,) Nm; own: the person's biological torque there, Nm."""
        self._smooth += self._step * (own - self._smooth)
        self._walk *= self._keep
        self._walk += self._noise[self._at]
        self._at += 1
        return self._share * self._smooth + self._offset * self._walk
