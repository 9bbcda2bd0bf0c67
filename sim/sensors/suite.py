"""All sensors of a device together: one call a control tick gives the channel vector of a `SensorFrame`."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ...controllers.device import DeviceDescription
from ...controllers.interface import ChannelLayout, FloatArray
from .emg import Emg
from .encoder import Encoder
from .imu import Imu
from .insole import Insole
from .load_cell import LoadCell
from .truth import SensorTruth


class SensorPart(Protocol):
    """One kind of sensor: its channels of the layout, causal and seeded."""

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a new run: draw this run's errors anew and forget the past."""

    def measure(self, truth: SensorTruth) -> FloatArray:
        """One control tick: its channels in the order of the layout, a fresh array."""


class SensorSuite:
    """All sensors of a device, called once every control tick.

    Before the first tick the world stood still as the first tick finds it. Every kind of sensor has a random generator
    of its own, so that one more sensor does not change what the others say.

    rng: a generator of its own (``parent.spawn(1)[0]``), because noise is drawn in blocks.
    """

    def __init__(
        self, device: DeviceDescription, rng: np.random.Generator, control_rate_hz: float | None = None
    ) -> None:
        self.layout: ChannelLayout = device.layout
        rate, s = float(control_rate_hz or device.control_rate_hz), device.sensors
        self.imu = Imu(s.imu, rate) if s.imu else None
        self.encoder = Encoder(s.encoder, rate) if s.encoder else None
        self.insole = Insole(s.insole, rate) if s.insole else None
        self.emg = Emg(s.emg, rate) if s.emg else None
        self.load_cell = LoadCell(s.load_cell, len(device.actuated), rate) if s.load_cell else None
        # In the order of the layout.
        self._kinds: list[SensorPart | None] = [self.imu, self.encoder, self.insole, self.emg, self.load_cell]
        self._parts = [part for part in self._kinds if part is not None]
        self.reset(rng)

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a new run: draw every sensor's errors anew and forget the past."""
        for part, own in zip(self._kinds, rng.spawn(len(self._kinds)), strict=True):
            if part is not None:
                part.reset(own)

    def measure(self, truth: SensorTruth) -> FloatArray:
        """One control tick: the device's channels, (n_channels,) in the order of `layout`, a fresh array."""
        return np.concatenate([part.measure(truth) for part in self._parts]) if self._parts else np.zeros(0)
