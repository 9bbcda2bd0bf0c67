"""Strikes the sensors of a run with the faults of its schedule, tick by tick."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from ...controllers.interface import ChannelLayout, FloatArray
from ...controllers.sensor_specs import EmgSpec
from .faults import ChannelFault, Dropout, Memory, Places, SensorFault, ShiftedImu, Stuck
from .truth import SensorTruth


class FaultInjector:
    """All faults of a run. Each control tick: `disturb` the truth, measure, `spoil` what was measured.

    Faults act in the order given, each on what the one before left. raw_emg: for channels of raw EMG, see `Memory`.
    frame_lost: whether the last tick's frame does not reach the controller at all.
    Raises ValueError that names the nearest channel, site or muscle where a fault hits none.
    """

    def __init__(
        self,
        layout: ChannelLayout,
        faults: Iterable[SensorFault] = (),
        rate_hz: float = 200.0,
        raw_emg: EmgSpec | None = None,
    ) -> None:
        self._rate, self._raw_emg, self._channels = rate_hz, raw_emg, len(layout)
        self._faults = tuple(faults)
        self._shifted = [(f, f.pick(layout)) for f in self._faults if isinstance(f, ShiftedImu)]
        self._spoiling = [(f, f.pick(layout)) for f in self._faults if isinstance(f, ChannelFault)]
        self.reset(np.random.default_rng(0))

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a new run; lost packets are drawn from rng."""
        self.frame_lost = False
        # What each shifted IMU felt in the last step before it was moved: (2, 1, 3) specific force, angular velocity.
        self._felt: list[FloatArray | None] = [None] * len(self._shifted)
        self._memories = [
            Memory(self._rate, rng, deque(maxlen=round(f.memory_s * self._rate) + 2), self._raw_emg)
            for f, _ in self._spoiling
        ]

    def disturb(self, truth: SensorTruth) -> SensorTruth:
        """The truth as sensors that have moved feel it; the truth given is left as it is."""
        for k, (fault, site) in enumerate(self._shifted):
            now = np.stack([truth.imu_acc[:, site], truth.imu_gyro[:, site]])
            before = self._felt[k]
            felt = np.concatenate([now[:, :1] if before is None else before, now], axis=1)
            self._felt[k] = now[:, -1:]
            if fault.is_active(truth.time):
                acc, gyro = truth.imu_acc.copy(), truth.imu_gyro.copy()
                acc[:, site], gyro[:, site] = fault.move(felt[0], felt[1], 1.0 / (self._rate * len(acc)))
                truth = replace(truth, imu_acc=acc, imu_gyro=gyro)
        return truth

    def spoil(self, time: float, values: FloatArray) -> tuple[str, ...]:
        """Spoil values (n_channels,) in place; the names of all faults that are on, e.g. ``nan:imu/thigh_r/*``."""
        self.frame_lost = False
        for (fault, where), memory in zip(self._spoiling, self._memories, strict=True):
            now, active = values[where], fault.is_active(time)
            if not (active and isinstance(fault, Stuck) and memory.past):
                memory.past.append(now)
            if active:
                values[where] = fault.spoil(now, time, memory)
                if isinstance(fault, Dropout) and len(where) == self._channels:
                    self.frame_lost |= bool(np.isnan(values).all())
        return tuple(f.name for f in self._faults if f.is_active(time))


def spoil_raw_emg(
    volts: FloatArray,
    names: Sequence[str],
    spec: EmgSpec,
    faults: Iterable[SensorFault],
    rng: np.random.Generator,
) -> None:
    """Strike a whole run's raw EMG (n, m) in V in place with those faults that hit the envelopes made of it.

    names: of its channels, ``emg/<muscle>``. Lost packets are drawn from rng.
    """
    # Faults name the channels that the controller sees.
    layout = ChannelLayout([name.replace("emg/", "emg_env/", 1) for name in names])
    hitting = [f for f in faults if isinstance(f, ChannelFault) and _hits(f, layout)]
    if not hitting:
        return
    injector = FaultInjector(layout, hitting, spec.rate_hz, spec)
    injector.reset(rng)
    for k, row in enumerate(volts):
        injector.spoil(k / spec.rate_hz, row)


def _hits(fault: ChannelFault, layout: ChannelLayout) -> bool:
    try:
        places: Places = fault.pick(layout)
    except ValueError:
        return False
    return bool(len(places))
