"""Strikes the sensors of a run with the faults of its schedule, tick by tick."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from ...controllers.interface import ChannelLayout, FloatArray
from .faults import ChannelFault, Dropout, Memory, Places, SensorFault, ShiftedImu, Stuck
from .truth import SensorTruth


class FaultInjector:
    """All faults of a run. Each control tick: `disturb` the truth, measure, `spoil` what was measured.

    Faults act in the order given, each on what the one before left. mvc_volts: for a layout of raw EMG, see `Memory`.
    frame_lost: whether the last tick's frame does not reach the controller at all.
    Raises ValueError that names the nearest channel, site or muscle where a fault hits none.
    """

    def __init__(
        self,
        layout: ChannelLayout,
        faults: Iterable[SensorFault] = (),
        rate_hz: float = 200.0,
        mvc_volts: float | None = None,
    ) -> None:
        self._rate, self._mvc, self._channels = rate_hz, mvc_volts, len(layout)
        self._faults = tuple(faults)
        self._shifted = [(f, f.pick(layout)) for f in self._faults if isinstance(f, ShiftedImu)]
        self._spoiling = [(f, f.pick(layout)) for f in self._faults if isinstance(f, ChannelFault)]
        self.reset(np.random.default_rng(0))

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a new run; lost packets are drawn from rng."""
        self.frame_lost = False
        self._felt: tuple[FloatArray, FloatArray] | None = None  # specific force and angular velocity of the last step
        self._memories = [
            Memory(self._rate, rng, deque(maxlen=round(f.memory_s * self._rate) + 2), self._mvc)
            for f, _ in self._spoiling
        ]

    def disturb(self, truth: SensorTruth) -> SensorTruth:
        """The truth as sensors that have moved feel it; the truth given is left as it is."""
        if not self._shifted:
            return truth
        now = truth.imu_acc, truth.imu_gyro
        acc, gyro = (
            np.concatenate([new[:1] if self._felt is None else self._felt[i], new]) for i, new in enumerate(now)
        )
        self._felt = acc[-1:].copy(), gyro[-1:].copy()
        for fault, site in self._shifted:
            if fault.is_active(truth.time):
                here, turned = truth.imu_acc.copy(), truth.imu_gyro.copy()
                step = 1.0 / (self._rate * len(here))
                here[:, site], turned[:, site] = fault.move(acc[:, site], gyro[:, site], step)
                truth = replace(truth, imu_acc=here, imu_gyro=turned)
        return truth

    def spoil(self, time: float, values: FloatArray) -> tuple[str, ...]:
        """Spoil values (n_channels,) in place; the names of all faults that are on, e.g. ``nan:imu/thigh_r/*``."""
        self.frame_lost = False
        for (fault, where), memory in zip(self._spoiling, self._memories, strict=True):
            now, active = values[where], fault.is_active(time)
            if not (active and isinstance(fault, Stuck)):
                memory.past.append(now)
            if active:
                values[where] = fault.spoil(now, time, memory)
                if isinstance(fault, Dropout) and len(where) == self._channels:
                    self.frame_lost |= bool(np.isnan(values).all())
        return tuple(f.name for f in self._faults if f.is_active(time))


def spoil_raw_emg(
    volts: FloatArray,
    names: Sequence[str],
    rate_hz: float,
    faults: Iterable[SensorFault],
    rng: np.random.Generator,
    mvc_volts: float,
) -> None:
    """Strike a whole run's raw EMG (n, m) in place with those faults that hit its channels, ``emg/<muscle>``."""
    layout = ChannelLayout(names)
    hitting = [f for f in faults if isinstance(f, ChannelFault) and _hits(f, layout)]
    if not hitting:
        return
    injector = FaultInjector(layout, hitting, rate_hz, mvc_volts)
    injector.reset(rng)
    for k, row in enumerate(volts):
        injector.spoil(k / rate_hz, row)


def _hits(fault: ChannelFault, layout: ChannelLayout) -> bool:
    try:
        places: Places = fault.pick(layout)
    except ValueError:
        return False
    return bool(len(places))
