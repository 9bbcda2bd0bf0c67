"""The only two things that cross between plant and controller: `SensorFrame` in, `TorqueCommand` out.

The simulator and a real device produce and accept the same two, so a controller cannot tell them apart.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class ChannelLayout:
    """Ordered channel names of a device; the position of each in `SensorFrame.values`.

    Names are recording column names, e.g. ``imu/thigh_r/ax``, ``encoder/hip_flexion_r/angle``,
    ``insole/r/force``, ``emg_env/soleus_r``.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names: tuple[str, ...] = tuple(names)
        self._position = {name: i for i, name in enumerate(self.names)}
        if len(self._position) != len(self.names):
            raise ValueError("channel names repeat")
        self._picked: dict[tuple[str, ...], NDArray[np.intp]] = {}

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._position

    def index(self, name: str) -> int:
        """Position of one channel; KeyError names the closest channel that exists."""
        try:
            return self._position[name]
        except KeyError:
            raise KeyError(f"no channel {name!r}{closest(name, self.names)}") from None

    def indices(self, names: Iterable[str]) -> NDArray[np.intp]:
        """Positions of several channels, shape (n,), read-only; KeyError as in `index`.

        Answers are remembered, so asking every control tick costs a dictionary look-up.
        """
        wanted = tuple(names)
        found = self._picked.get(wanted)
        if found is None:
            found = np.array([self.index(name) for name in wanted], dtype=np.intp)
            found.flags.writeable = False
            self._picked[wanted] = found
        return found


def closest(name: str, known: Iterable[str]) -> str:
    """The tail of an error message that names the nearest known spelling, or lists what there is."""
    options = list(known)
    near = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    shown = ", ".join(options[:12]) + (", ..." if len(options) > 12 else "")
    return f"; there is {shown}" if options else "; there is none"


@dataclass(slots=True)
class SensorFrame:
    """What the device measured at one control tick.

    time: s since the run began. values: (n_channels,) in SI units in the order of `layout`;
    NaN where a sensor gave nothing (missing, dropped out, not fitted).
    """

    time: float
    values: FloatArray
    layout: ChannelLayout

    def __getitem__(self, name: str) -> float:
        return float(self.values[self.layout.index(name)])


@dataclass(slots=True)
class TorqueCommand:
    """What the controller asks of the actuators: Nm per actuated joint, sign of the joint coordinate.

    joints: names with side, e.g. ``hip_flexion_r``. torque: (n_joints,) Nm.
    faults: names of the faults that are active; empty when all is well.
    """

    time: float
    joints: tuple[str, ...]
    torque: FloatArray
    faults: tuple[str, ...] = field(default=())
