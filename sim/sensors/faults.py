"""Sensor faults on a schedule: what a user writes under `faults:`, and what it does to the sensors.

A fault acts either on the truth that the sensors see (`ShiftedImu`: the sensor sits elsewhere) or on channels that they
have measured (all others). Several at once act in the order in which they are listed, each on what the one before left.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from fnmatch import filter as matching
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, model_validator

from ...controllers.config import Config, require_known
from ...controllers.interface import ChannelLayout, FloatArray, closest
from ...controllers.sensor_specs import EmgSpec

Vector = tuple[float, float, float]
Places = NDArray[np.intp]


@dataclass
class Memory:
    """What a fault on channels knows beside their present values.

    past: rows (k,) as this fault found them, the present one last. raw_emg: whose raw EMG (V) the channels are; None
    where EMG channels are envelopes (share of the maximum contraction).
    """

    rate_hz: float
    rng: np.random.Generator
    past: deque[FloatArray]
    raw_emg: EmgSpec | None

    def late(self, lag_s: float) -> FloatArray:
        """The values of lag_s ago, between two ticks in proportion; the oldest known if that is longer."""
        ticks = min(lag_s * self.rate_hz, len(self.past) - 1)
        before = math.floor(ticks + 1e-9)
        share = ticks - before
        new = self.past[-1 - before]
        return new if share < 1e-9 else (1.0 - share) * new + share * self.past[-2 - before]


class Timed(Config):
    """A fault from start_s (included) to end_s (not included; default: to the end of the run)."""

    kind: str
    start_s: float = Field(ge=0)
    end_s: float | None = None

    @model_validator(mode="after")
    def _lasts(self) -> Timed:
        if self.end_s is not None and self.end_s <= self.start_s:
            raise ValueError("end_s must be after start_s")
        return self

    def is_active(self, time: float) -> bool:
        """Whether the fault is on at this time of the run (s)."""
        return self.start_s <= time < (math.inf if self.end_s is None else self.end_s)

    @property
    def target(self) -> str:
        """What is hit."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """What the recording's `fault` column calls it, e.g. ``nan:imu/thigh_r/*``."""
        return f"{self.kind}:{self.target}"


class ChannelFault(Timed):
    """A fault on measured channels."""

    @property
    def memory_s(self) -> float:
        """How far back the fault looks, s."""
        return 0.0

    def pick(self, layout: ChannelLayout) -> Places:
        """Positions of the channels that are hit. ValueError names the nearest there is when there are none."""
        raise NotImplementedError

    def spoil(self, values: FloatArray, time: float, memory: Memory) -> FloatArray | float:
        """What the picked channels say now instead of values (k,)."""
        raise NotImplementedError


class PatternFault(ChannelFault):
    """A fault on the channels whose names match a pattern (`fnmatch`), e.g. ``imu/thigh_r/*``."""

    channels: str

    @property
    def target(self) -> str:
        """The pattern."""
        return self.channels

    def pick(self, layout: ChannelLayout) -> Places:
        """The channels that match."""
        names = matching(layout.names, self.channels)
        if not names:
            raise ValueError(f"no channel matches {self.channels!r}{closest(self.channels, layout.names)}")
        return layout.indices(names)


class Dropout(PatternFault):
    """Packets are lost: a sample of these channels does not arrive with probability `loss`, all of them at once.

    A lost sample is NaN. When all channels (``*``) are hit the frame itself is lost: the controller gets none.
    """

    kind: Literal["dropout"] = "dropout"
    channels: str = "*"
    loss: float = Field(default=1.0, gt=0, le=1)

    def spoil(self, values: FloatArray, time: float, memory: Memory) -> FloatArray | float:
        """NaN when the packet is lost."""
        return np.nan if memory.rng.random() < self.loss else values


class Missing(PatternFault):
    """The frame arrives and these channels say NaN in it."""

    kind: Literal["nan"] = "nan"
    channels: str = "*"

    def spoil(self, values: FloatArray, time: float, memory: Memory) -> FloatArray | float:
        """NaN."""
        return np.nan


class Stuck(PatternFault):
    """The channels repeat what they said last before the fault, or first if it is on from the beginning."""

    kind: Literal["stuck"] = "stuck"

    def spoil(self, values: FloatArray, time: float, memory: Memory) -> FloatArray | float:
        """The values of the tick before the fault, since memory does not grow while it lasts."""
        return memory.past[-1]


class Saturation(PatternFault):
    """The channels are clipped at +-`limit`, in their own unit.

    That of EMG is the maximum contraction, also for the raw signal, which is clipped at `limit` of its RMS there.
    """

    kind: Literal["saturation"] = "saturation"
    limit: float = Field(gt=0)

    def spoil(self, values: FloatArray, time: float, memory: Memory) -> FloatArray | float:
        """Clipped values; NaN stays."""
        limit = self.limit * (memory.raw_emg.mvc_volts if memory.raw_emg else 1.0)
        return np.clip(values, -limit, limit)


class ClockDrift(PatternFault):
    """The sensor's clock gains `ppm` on the controller's: its samples queue up and are read ever later.

    A quartz differs by up to 20 ppm, the RC oscillator of a small microcontroller by up to 20 000 ppm (tabulated in
    Movement Ecology 2024, doi:10.1186/s40462-024-00512-7). At the end of the fault the queue is emptied.
    """

    kind: Literal["clock_drift"] = "clock_drift"
    ppm: float = Field(gt=0, le=100_000)

    @property
    def memory_s(self) -> float:
        """The lag at the end; 60 s of it at most."""
        return 60.0 if self.end_s is None else min(60.0, 1e-6 * self.ppm * (self.end_s - self.start_s))

    def spoil(self, values: FloatArray, time: float, memory: Memory) -> FloatArray | float:
        """The values of so long ago as the clock has gained."""
        return memory.late(1e-6 * self.ppm * (time - self.start_s))


class LatencySpike(PatternFault):
    """The link stalls for `delay_s` and from then on delivers that much late, until the fault ends."""

    kind: Literal["latency_spike"] = "latency_spike"
    channels: str = "*"
    delay_s: float = Field(gt=0, le=5)

    @property
    def memory_s(self) -> float:
        """The delay."""
        return self.delay_s

    def spoil(self, values: FloatArray, time: float, memory: Memory) -> FloatArray | float:
        """The last values before the stall, then those of `delay_s` ago."""
        # Whole ticks, as a stall may begin between two of them: the last values before it stay.
        ticks = math.floor((time - self.start_s) * memory.rate_hz + 1e-9) + 1
        return memory.late(min(self.delay_s, ticks / memory.rate_hz))


class SwappedSides(PatternFault):
    """Left and right are mixed up: every channel of a side carries what its counterpart measured, and the reverse."""

    kind: Literal["swapped_sides"] = "swapped_sides"

    def pick(self, layout: ChannelLayout) -> Places:
        """The right channels, then their counterparts in the same order.

        ValueError when none has a side, and for one whose counterpart the device lacks.
        """
        super().pick(layout)
        names = dict.fromkeys(right for name in matching(layout.names, self.channels) if (right := _sided(name, "r")))
        if not names:
            raise ValueError(f"no channel that matches {self.channels!r} has a side")
        both = [*names, *(str(_sided(name, "l")) for name in names)]
        require_known("channel to swap sides with", both, layout.names)
        return layout.indices(both)

    def spoil(self, values: FloatArray, time: float, memory: Memory) -> FloatArray | float:
        """The halves exchanged."""
        return np.roll(values, len(values) // 2)


class LostInsole(ChannelFault):
    """An insole is lost: its channels say NaN (the radio is gone) or 0 (it has slipped out of the shoe)."""

    kind: Literal["lost_insole"] = "lost_insole"
    side: Literal["r", "l"]
    reads: Literal["nan", "zero"] = "nan"

    @property
    def target(self) -> str:
        """Which insole."""
        return f"insole/{self.side}"

    def pick(self, layout: ChannelLayout) -> Places:
        """All channels of the insole."""
        names = matching(layout.names, f"insole/{self.side}/*")
        if not names:
            raise ValueError("a lost insole, but the device has none")
        return layout.indices(names)

    def spoil(self, values: FloatArray, time: float, memory: Memory) -> FloatArray | float:
        """NaN or 0."""
        return np.nan if self.reads == "nan" else 0.0


class ElectrodeOff(ChannelFault):
    """An EMG electrode has come off: its open input picks up the mains and nothing of the muscle.

    muscle: with its side. hum: the RMS that it reads as a share of the EMG's at full contraction; chosen, an
    unbalanced input takes up millivolts. mains_hz: of the hum in raw EMG; not given: the device's `powerline_hz`.
    """

    kind: Literal["emg_electrode_off"] = "emg_electrode_off"
    muscle: str
    hum: float = Field(default=0.5, ge=0, le=10)
    mains_hz: float | None = Field(default=None, gt=0)

    @property
    def target(self) -> str:
        """Which electrode."""
        return f"emg/{self.muscle}"

    def pick(self, layout: ChannelLayout) -> Places:
        """The muscle's channel."""
        channels = {name.split("/", 1)[1]: name for name in layout.names if name.startswith("emg_env/")}
        require_known("EMG electrode", [self.muscle], channels)
        return layout.indices([channels[self.muscle]])

    def spoil(self, values: FloatArray, time: float, memory: Memory) -> FloatArray | float:
        """The hum: its RMS (at most 1) in an envelope, its wave, clipped as the converter does, in raw EMG."""
        spec = memory.raw_emg
        if spec is None:
            return min(1.0, self.hum)
        turns = (self.mains_hz or spec.powerline_hz) * time
        volts = spec.mvc_volts * self.hum * math.sqrt(2.0) * math.sin(2.0 * math.pi * turns)
        return min(max(volts, -spec.range_volts), spec.range_volts)


class ShiftedImu(Timed):
    """An IMU has slipped: it sits `shift_m` from its mount, turned by the rotation vector `rotation_deg`.

    Both in the axes of its site (x forward, y up, z right when standing), or of the sensor as an earlier fault on the
    site has left it. What it says is one physics step late.
    """

    kind: Literal["shifted_imu"] = "shifted_imu"
    site: str
    rotation_deg: Vector = (0.0, 0.0, 0.0)
    shift_m: Vector = (0.0, 0.0, 0.0)

    @property
    def target(self) -> str:
        """Which IMU."""
        return f"imu/{self.site}"

    def pick(self, layout: ChannelLayout) -> int:
        """The site's place among the device's IMUs. ValueError names the nearest site."""
        sites = list(dict.fromkeys(name.split("/")[1] for name in layout.names if name.startswith("imu/")))
        require_known("IMU site", [self.site], sites)
        return sites.index(self.site)

    def rotation(self) -> FloatArray:
        """(3, 3) from the turned sensor's axes to those of its site."""
        from scipy.spatial.transform import Rotation

        turned: FloatArray = Rotation.from_rotvec(np.radians(self.rotation_deg)).as_matrix()
        return turned

    def move(self, acc: FloatArray, gyro: FloatArray, step_s: float) -> tuple[FloatArray, FloatArray]:
        """Specific force and angular velocity (n, 3) where the sensor is now, at all but the last of n + 1 moments.

        acc, gyro: (n + 1, 3) at the mount, step_s apart. A rigid body's point at r feels f + w' x r + w x (w x r), and
        w' at a moment follows from the next one's w, as the physics integrates it.
        """
        arm, turn, spin = np.array(self.shift_m), self.rotation(), np.diff(gyro, axis=0) / step_s
        acc, gyro = acc[:-1], gyro[:-1]
        felt = acc + np.cross(spin, arm) + np.cross(gyro, np.cross(gyro, arm))
        return felt @ turn, gyro @ turn


KINDS = (
    "dropout",
    "nan",
    "stuck",
    "saturation",
    "clock_drift",
    "swapped_sides",
    "shifted_imu",
    "lost_insole",
    "emg_electrode_off",
    "latency_spike",
)


def _sided(name: str, side: str) -> str | None:
    """A channel's name on the given side; None when it has no side."""
    parts = name.split("/")
    for i, part in enumerate(parts):
        if part in ("r", "l"):
            parts[i] = side
        elif part.endswith(("_r", "_l")):
            parts[i] = part[:-1] + side
        else:
            continue
        return "/".join(parts)
    return None


def _known_kind(fault: Any) -> Any:
    if isinstance(fault, dict):
        require_known("kind of fault", [fault.get("kind", "")], KINDS)
    return fault


SensorFault = Annotated[
    Dropout
    | Missing
    | Stuck
    | Saturation
    | ClockDrift
    | SwappedSides
    | ShiftedImu
    | LostInsole
    | ElectrodeOff
    | LatencySpike,
    Field(discriminator="kind"),
    BeforeValidator(_known_kind),
]
"""One entry of a `faults:` list in a scenario or generation file; `kind` says which."""
