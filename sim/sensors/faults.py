"""Sensor faults on a schedule: channels that go missing or get stuck."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from ...controllers.interface import ChannelLayout, FloatArray, closest

FaultKind = Literal["nan", "hold"]


class SensorFault(NamedTuple):
    """From start_s (included) to end_s (not included) the channels that match the pattern (`fnmatch`) fail.

    kind: ``nan``, the channel is missing; ``hold``, it repeats what it last said before.
    """

    start_s: float
    end_s: float
    pattern: str
    kind: FaultKind


class FaultInjector:
    """Spoils channels on a schedule. Raises ValueError for a pattern that matches nothing or a bad fault."""

    def __init__(self, layout: ChannelLayout, faults: Iterable[SensorFault] = ()) -> None:
        self._faults: list[tuple[SensorFault, NDArray[np.intp]]] = []
        for fault in faults:
            names = fnmatch.filter(layout.names, fault.pattern)
            if not names:
                raise ValueError(f"no channel matches {fault.pattern!r}{closest(fault.pattern, layout.names)}")
            if fault.kind not in get_args(FaultKind):
                raise ValueError(f"no fault {fault.kind!r}{closest(fault.kind, get_args(FaultKind))}")
            if not fault.start_s < fault.end_s:
                raise ValueError(f"fault on {fault.pattern!r} ends ({fault.end_s} s) before it starts")
            self._faults.append((fault, layout.indices(names)))
        self._last = np.full(len(layout), np.nan)

    def reset(self) -> None:
        """Forget the past; call before a new run."""
        self._last[:] = np.nan

    def apply(self, time: float, values: FloatArray) -> tuple[str, ...]:
        """Spoil values (n_channels,) in place; the active faults' names, e.g. ``nan:imu/thigh_r/*``."""
        active: tuple[str, ...] = ()
        for fault, where in self._faults:
            if fault.start_s <= time < fault.end_s:
                values[where] = np.nan if fault.kind == "nan" else self._last[where]
                active += (f"{fault.kind}:{fault.pattern}",)
        if self._faults:
            self._last[:] = values
        return active
