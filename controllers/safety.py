"""The last word before the actuators: what is trusted, how far the torque may go, and what a fault does.

Every figure of `SafetyConfig` not taken from the device description is chosen.
"""

from __future__ import annotations

import math

import numpy as np
from pydantic import Field, field_validator, model_validator

from .config import Config, require_known
from .device import JOINTS, SIDES, DeviceDescription
from .interface import ChannelLayout, FloatArray, SensorFrame, TorqueCommand

FAULTS = {
    "sensor_missing": "the frame lacks a channel that the controller needs",
    "sensor_nan": "a needed channel has given no number for longer than hold_s",
    "frame_time": "the frame's time is not a number or has not increased",
    "watchdog": "the frame came later than watchdog_s after the one before",
    "classifier_error": "the mode classifier raised an exception",
    "estimator_error": "the torque estimator raised an exception or answered with nonsense",
    "request_invalid": "the torque request is not finite",
    "latched": "there were latch_after faults; only reset() clears this one",
}


class SafetyConfig(Config):
    """Limits and fault reactions.

    hold_s: a needed channel that gives NaN keeps its last value this long, then it is a fault.
    watchdog_s: longest accepted time from frame to frame.
    fault_ramp_s: on a fault the torque falls to zero in a straight line over this time, counted from when
    the faulty frame's predecessor arrived (so a late frame finds it down already); 0: at once.
    healthy_s: so long must all be well before a fault is over; no less than fault_ramp_s.
    ramp_in_s: then, as after a reset, the torque limits open in a straight line over this time.
    latch_after: this many faults in a run keep the torque at zero until reset; None: never.
    torque_fraction, rate_fraction: parts of the actuators' torque and rate limits that may be used.
    speed_taper: part of the speed limit at which torque that drives the joint faster begins to fall; it is
    zero at the limit. soft_stops_rad: (lowest, highest) device angle per joint without side; torque that
    pushes further out falls to zero over the last soft_stop_width_rad before the stop. Speed and stops
    act on the joints that have an encoder.
    """

    hold_s: float = Field(default=0.02, ge=0)
    watchdog_s: float = Field(default=0.05, gt=0)
    fault_ramp_s: float = Field(default=0.05, ge=0)
    healthy_s: float = Field(default=0.5, ge=0)
    ramp_in_s: float = Field(default=0.5, ge=0)
    latch_after: int | None = Field(default=None, ge=1)
    torque_fraction: float = Field(default=1.0, gt=0, le=1)
    rate_fraction: float = Field(default=1.0, gt=0, le=1)
    speed_taper: float = Field(default=0.8, ge=0, lt=1)
    soft_stops_rad: dict[str, tuple[float, float]] = Field(
        default={
            "hip_flexion": (-0.7, 2.2),
            "knee_flexion": (-0.15, 2.4),
            "ankle_dorsiflexion": (-1.0, 0.7),
        }
    )
    soft_stop_width_rad: float = Field(default=0.1, gt=0)

    @field_validator("soft_stops_rad")
    @classmethod
    def _known(cls, stops: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        require_known("joint", stops, JOINTS)
        for joint, (low, high) in stops.items():
            if low >= high:
                raise ValueError(f"{joint}: the lower stop {low} is not below the upper {high}")
        return stops

    @model_validator(mode="after")
    def _down_before_up(self) -> SafetyConfig:
        if self.healthy_s < self.fault_ramp_s:
            raise ValueError("healthy_s must be no less than fault_ramp_s: torque is zero before it returns")
        return self


class SafetyMonitor:
    """Admits frames, limits torque, and takes it away on a fault. One `admit`, then one `command`, a tick.

    Between faults the commanded torque is finite, within the limits, and changes no faster than the rate
    limit; the bounds on speed and angle, and a fault, may take torque away faster than that.

    counts: how often each fault of `FAULTS` came in this run. detail: what the last fault was about.
    """

    def __init__(self, device: DeviceDescription, config: SafetyConfig, channels: tuple[str, ...] = ()) -> None:
        """channels: what the controller needs in every frame, beside the encoders used here."""
        self.config = config
        self._joints = device.actuated
        self._period = 1.0 / device.control_rate_hz
        actuators = device.actuators
        self._max = config.torque_fraction * np.array([a.torque_max_nm for a in actuators])
        self._min = config.torque_fraction * np.array([a.torque_min_nm for a in actuators])
        self._rate = config.rate_fraction * np.array([a.rate_limit_nm_per_s for a in actuators])
        self._speed = np.array([a.speed_limit_rad_s for a in actuators])
        stops = [config.soft_stops_rad.get(name.rpartition("_")[0], (-np.inf, np.inf)) for name in self._joints]
        self._stop_low, self._stop_high = np.array(stops).reshape(-1, 2).T
        encoder = device.sensors.encoder
        seen = {f"{j}_{s}" for s in SIDES for j in encoder.joints} if encoder else set()
        self._sensed = np.array([name in seen for name in self._joints], dtype=bool)
        own = [n for n in self._joints if n in seen]
        angles = [f"encoder/{n}/angle" for n in own]
        speeds = [f"encoder/{n}/velocity" for n in own]
        self.channels = tuple(dict.fromkeys([*channels, *angles, *speeds]))
        self._angle_at = np.array([self.channels.index(n) for n in angles], dtype=np.intp)
        self._speed_at = np.array([self.channels.index(n) for n in speeds], dtype=np.intp)
        self.reset()

    def reset(self) -> None:
        """Forget the past, faults too; call before a new run. The torque ramps in from zero."""
        self.counts: dict[str, int] = {}
        self.detail = ""
        self._found: list[str] = []
        self._active: dict[str, None] = {}
        self._time = math.nan
        self._clock = 0.0
        self._step = self._period
        self._bad_at = 0.0
        self._ramp_from = 0.0
        self._torque = np.zeros(len(self._joints))
        self._cut = np.zeros(len(self._joints))
        self._cut_at = 0.0
        self._held = np.zeros(len(self.channels))
        self._heard_at = np.full(len(self.channels), -np.inf)
        self._layout: ChannelLayout | None = None
        self._index: np.ndarray | None = None

    def report(self, fault: str, detail: str = "") -> None:
        """Declare a fault of this tick (a name of `FAULTS`); it counts when it was not active already."""
        require_known("fault", [fault], FAULTS)
        self._found.append(fault)
        if fault not in self._active:
            self.detail = f"{fault}: {detail or FAULTS[fault]}"

    def admit(self, frame: SensorFrame) -> SensorFrame | None:
        """Check a frame; returns it with short gaps held, or None if it must not be used this tick."""
        self._check_time(frame.time)
        if frame.layout is not self._layout:
            self._layout, self._index = frame.layout, None
            try:
                self._index = frame.layout.indices(self.channels)
            except KeyError as error:
                self._missing = str(error.args[0])
        if self._index is None:
            self.report("sensor_missing", self._missing)
            return None
        if frame.values.shape != (len(frame.layout),):
            self.report("sensor_missing", f"{frame.values.shape} values, {len(frame.layout)} channels")
            return None
        needed = frame.values[self._index]
        good = np.isfinite(needed)
        complete = bool(good.all())
        if complete:
            self._held = needed
            self._heard_at[:] = self._clock
        else:
            self._held = np.where(good, needed, self._held)
            self._heard_at[good] = self._clock
            silent = self._clock - self._heard_at > self.config.hold_s + 1e-9
            if silent.any():
                names = [self.channels[i] for i in np.flatnonzero(silent)]
                self.report("sensor_nan", ", ".join(names[:3]) + (", ..." if len(names) > 3 else ""))
        if self._found:
            return None
        if complete:
            return frame
        values = frame.values.copy()
        values[self._index] = self._held
        return SensorFrame(frame.time, values, frame.layout)

    def command(self, request: FloatArray) -> TorqueCommand:
        """The torque that may be applied for a request (n_joints,) in Nm; call once after each `admit`."""
        valid = request.shape == self._torque.shape and bool(np.isfinite(request).all())
        if not valid:
            self.report("request_invalid")
        self._follow_faults()
        low, high = self._bounds()
        if self._active:
            ramp = self.config.fault_ramp_s
            left = max(0.0, 1.0 - (self._clock - self._cut_at) / ramp) if ramp else 0.0
            torque = self._cut * left
        else:
            ramp = self.config.ramp_in_s
            opened = min(1.0, (self._clock - self._ramp_from) / ramp) if ramp else 1.0
            low, high = low * opened, high * opened
            change = self._rate * self._step
            torque = np.minimum(np.maximum(request, self._torque - change), self._torque + change)
        self._torque = np.minimum(np.maximum(torque, low), high)
        return TorqueCommand(self._time, self._joints, self._torque.copy(), tuple(self._active))

    def _check_time(self, time: float) -> None:
        self._found.clear()
        first = math.isnan(self._time) and math.isfinite(time)
        step = self._period if first else time - self._time
        self._step = step if 0.0 < step < math.inf else self._period
        if self._step != step:
            self.report("frame_time", f"{time} s after {self._time} s")
        elif step > self.config.watchdog_s + 1e-9:
            self.report("watchdog", f"{step:.3f} s without a frame")
        if math.isfinite(time):
            self._time = time
        self._clock += self._step

    def _follow_faults(self) -> None:
        """Enter, stay in or leave the fault state by what this tick found."""
        if self._found:
            if not self._active:
                self._cut, self._cut_at = self._torque, self._clock - self._step
            for fault in dict.fromkeys(self._found):
                if fault not in self._active:
                    self.counts[fault] = self.counts.get(fault, 0) + 1
                    self._active[fault] = None
            self._bad_at = self._clock
            latch = self.config.latch_after
            if latch is not None and sum(self.counts.values()) >= latch:
                self._active["latched"] = None
        elif (
            self._active
            and "latched" not in self._active
            and self._clock - self._bad_at >= self.config.healthy_s - 1e-9
        ):
            self._active.clear()
            self._ramp_from = self._clock

    def _bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest torque that the joints' present speed and angle allow, each (n_joints,)."""
        if not self._speed_at.size:
            return self._min, self._max
        c, on = self.config, self._sensed
        low, high = self._min.copy(), self._max.copy()
        speed, limit = self._held[self._speed_at], self._speed[on]
        angle, width = self._held[self._angle_at], c.soft_stop_width_rad
        taper = limit * (1.0 - c.speed_taper)
        high[on] *= _open(limit - speed, taper) * _open(self._stop_high[on] - angle, width)
        low[on] *= _open(limit + speed, taper) * _open(angle - self._stop_low[on], width)
        return low, high


def _open(room: FloatArray, width: FloatArray | float) -> FloatArray:
    """0 where there is no room left, 1 from `width` of room on, a straight line between."""
    return np.minimum(np.maximum(room, 0.0), width) / width
