"""What the device's sensors say: plant truth in, the channel vector of a `SensorFrame` out, with errors.

All channels pass one vectorised chain (gain, bias, noise, range, resolution, rate, delay), so that a full
suite costs some tens of microseconds. Faults are injected on the finished values.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from ..controllers.device import DeviceDescription, EmgSpec
from ..controllers.interface import ChannelLayout, FloatArray, closest

NOISE_BLOCK = 256  # ticks of noise drawn at once
EMG_BAND_HZ = (20.0, 450.0)  # the usual pass band of surface EMG amplifiers


@dataclass(slots=True)
class SensorTruth:
    """What perfect sensors would say; entries of sensors that the device lacks are not read.

    time: s. imu_acc, imu_gyro: (n_sites, 3) specific force (m/s^2) and angular velocity (rad/s) in the site's
    axes. encoder_angle: (n_encoders,) rad, device hinges in the layout's order (right leg first).
    foot_force: (2,) N. foot_cop: (2, 2) m in the foot's frame, x forward, y left. Right foot first.
    excitation: (n_emg,) 0..1 in the layout's order.
    """

    time: float
    imu_acc: FloatArray
    imu_gyro: FloatArray
    encoder_angle: FloatArray
    foot_force: FloatArray
    foot_cop: FloatArray
    excitation: FloatArray


class SensorSuite:
    """All sensors of a device, called once every control tick.

    Conventions. White noise of density D in a sensor sampled at f is band-limited at f / 2, so each sample
    has standard deviation D sqrt(f / 2). Bias and gain are drawn at `reset` and stay for the run. Rates and
    delays are rounded to whole control ticks; a slow sensor holds its sample. Encoder velocity is the
    difference of the quantised angle over a control tick, low-passed (first order). An insole that reads
    below its threshold says 0 for force and centre of pressure. EMG is the low-passed excitation times gain,
    plus noise, in 0..1. Before the first tick the world stood still as the first tick finds it.

    rng: a generator of its own (``parent.spawn(1)[0]``), because noise is drawn in blocks.
    """

    def __init__(
        self, device: DeviceDescription, rng: np.random.Generator, control_rate_hz: float | None = None
    ) -> None:
        self.layout: ChannelLayout = device.layout
        self.rate = float(control_rate_hz or device.control_rate_hz)
        self._sensors = device.sensors
        n = len(self.layout)
        self._noise_sd, self._smoothing = np.zeros(n), np.ones(n)
        self._low, self._high = np.full(n, -np.inf), np.full(n, np.inf)
        self._resolution = np.zeros(n)
        self._every, self._delay = np.ones(n, np.int64), np.zeros(n, np.int64)
        self._truth = np.zeros(n)
        self._slices = self._lay_out()
        self._measure_plan()
        self.reset(rng)

    def _lay_out(self) -> dict[str, slice]:
        """Where each kind of sensor stands in the vector, and its constants."""
        s, slices, start = self._sensors, {}, 0

        def take(kind: str, count: int, delay_s: float, rate_hz: float) -> slice:
            nonlocal start
            part = slices[kind] = slice(start, start + count)
            start += count
            self._delay[part] = round(delay_s * self.rate)
            self._every[part] = max(1, round(self.rate / rate_hz))
            return part

        if s.imu:
            part = take("imu", 6 * len(s.imu.mounts), s.imu.delay_s, s.imu.rate_hz)
            spread = math.sqrt(s.imu.rate_hz / 2.0)
            densities = [s.imu.accel_noise_density] * 3 + [s.imu.gyro_noise_density] * 3
            full_scale = np.tile([s.imu.accel_range] * 3 + [s.imu.gyro_range] * 3, len(s.imu.mounts))
            self._noise_sd[part] = np.tile(densities, len(s.imu.mounts)) * spread
            self._low[part], self._high[part] = -full_scale, full_scale
            finite = np.isfinite(full_scale)
            self._resolution[part][finite] = full_scale[finite] / 2.0 ** (s.imu.bits - 1)
        if s.encoder:
            part = take("encoder", 4 * len(s.encoder.joints), s.encoder.delay_s, self.rate)
            self._smoothing[part][1::2] = self._lag(s.encoder.velocity_cutoff_hz)
        if s.insole:
            part = take("insole", 6, s.insole.delay_s, s.insole.rate_hz)
            self._noise_sd[part] = 2 * [s.insole.force_noise_n, s.insole.cop_noise_m, s.insole.cop_noise_m]
        if s.emg:
            part = take("emg", 2 * len(s.emg.muscles), s.emg.delay_s, self.rate)
            self._smoothing[part] = self._lag(s.emg.envelope_cutoff_hz)
            self._noise_sd[part] = s.emg.noise_volts / s.emg.mvc_volts
            self._low[part], self._high[part] = 0.0, 1.0
        return slices

    def _lag(self, cutoff_hz: float) -> float:
        return 1.0 - math.exp(-2.0 * math.pi * cutoff_hz / self.rate)

    def _measure_plan(self) -> None:
        """Index arrays and views that `measure` uses every tick."""
        n = len(self.layout)
        self._columns = np.arange(n)
        self._lagged = np.flatnonzero(self._smoothing < 1.0)
        self._share = self._smoothing[self._lagged]
        self._coarse = np.flatnonzero(self._resolution)
        self._steps = self._resolution[self._coarse]
        self._slow = bool(np.any(self._every > 1))
        self._ring = np.zeros((int(self._delay.max(initial=0)) + 1, n))
        view = {kind: self._truth[part] for kind, part in self._slices.items()}
        self._imu = view["imu"].reshape(-1, 6) if "imu" in view else None
        self._encoder = view["encoder"].reshape(-1, 2) if "encoder" in view else None
        self._insole = view["insole"].reshape(2, 3) if "insole" in view else None
        self._emg = view.get("emg")

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a new run: draw biases and gains anew and forget the past."""
        s, n = self._sensors, len(self.layout)
        self._rng = rng
        self._bias, self._gain = np.zeros(n), np.ones(n)
        if s.imu:
            part, sites = self._slices["imu"], len(s.imu.mounts)
            bias_sd = np.tile([s.imu.accel_bias_sd] * 3 + [s.imu.gyro_bias_sd] * 3, sites)
            gain_sd = np.tile([s.imu.accel_gain_sd] * 3 + [s.imu.gyro_gain_sd] * 3, sites)
            self._bias[part] = bias_sd * rng.standard_normal(6 * sites)
            self._gain[part] += gain_sd * rng.standard_normal(6 * sites)
        if s.encoder:
            self._offset = s.encoder.offset_sd_rad * rng.standard_normal(2 * len(s.encoder.joints))
            self._angle = np.zeros_like(self._offset)
        if s.insole:
            self._gain[self._slices["insole"]][::3] += s.insole.gain_sd * rng.standard_normal(2)
        if s.emg:
            muscles = 2 * len(s.emg.muscles)
            self._gain[self._slices["emg"]] += s.emg.gain_sd * rng.standard_normal(muscles)
        self._tick = 0

    @property
    def emg_gain(self) -> FloatArray:
        """(n_emg,) this run's electrode gains, for `raw_emg` of the same run."""
        return self._gain[self._slices.get("emg", slice(0))].copy()

    def measure(self, truth: SensorTruth) -> FloatArray:
        """One control tick: the device's channels, (n_channels,) in the order of `layout`, a fresh array."""
        tick = self._tick
        self._sense(truth, first=tick == 0)
        row = tick % NOISE_BLOCK
        if row == 0:
            self._noise = self._rng.standard_normal((NOISE_BLOCK, len(self.layout)))
            self._noise *= self._noise_sd
        input_ = self._truth[self._lagged]
        if tick == 0:
            self._smooth = input_
        self._smooth += self._share * (input_ - self._smooth)
        self._truth[self._lagged] = self._smooth
        values = self._truth * self._gain
        values += self._bias
        values += self._noise[row]
        np.maximum(values, self._low, out=values)
        np.minimum(values, self._high, out=values)
        values[self._coarse] = np.rint(values[self._coarse] / self._steps) * self._steps
        if self._insole is not None and self._sensors.insole:
            pressed = values[self._slices["insole"]].reshape(2, 3)
            pressed[pressed[:, 0] < self._sensors.insole.threshold_n] = 0.0
        depth = len(self._ring)
        if tick == 0:
            self._ring[:] = values
        elif self._slow:
            values = np.where(tick % self._every == 0, values, self._ring[(tick - 1) % depth])
        self._ring[tick % depth] = values
        self._tick = tick + 1
        return self._ring[(tick - self._delay) % depth, self._columns]

    def _sense(self, truth: SensorTruth, first: bool) -> None:
        """Write the truth into the vector in the order of the layout."""
        s = self._sensors
        if self._imu is not None:
            self._imu[:, :3] = truth.imu_acc
            self._imu[:, 3:] = truth.imu_gyro
        if self._encoder is not None and s.encoder:
            angle = truth.encoder_angle + self._offset
            if s.encoder.resolution_rad > 0.0:
                angle = np.rint(angle / s.encoder.resolution_rad) * s.encoder.resolution_rad
            self._encoder[:, 0] = angle
            self._encoder[:, 1] = 0.0 if first else (angle - self._angle) * self.rate
            self._angle = angle
        if self._insole is not None:
            self._insole[:, 0] = truth.foot_force
            self._insole[:, 1:] = truth.foot_cop
        if self._emg is not None:
            self._emg[:] = truth.excitation


def raw_emg(
    excitation: FloatArray,
    excitation_rate_hz: float,
    spec: EmgSpec,
    rng: np.random.Generator,
    gain: FloatArray | float = 1.0,
) -> FloatArray:
    """Raw surface EMG (n_samples, m) in volts at ``spec.rate_hz`` from excitation (n, m) in 0..1.

    Amplitude-modulated noise: unit Gaussian noise in the band 20-450 Hz (at most 0.45 of the rate) times the
    excitation, so that its RMS at full excitation is ``mvc_volts`` times gain (m,); plus white noise of RMS
    ``noise_volts``. The model is the usual one (Hogan and Mann 1980, IEEE Trans Biomed Eng 27:382).
    """
    from scipy.signal import butter, sosfilt

    n, muscles = excitation.shape
    samples = round(n * spec.rate_hz / excitation_rate_hz)
    at = np.minimum(np.arange(samples) * (excitation_rate_hz / spec.rate_hz), n - 1.0)
    before = at.astype(np.int64)
    after = np.minimum(before + 1, n - 1)
    share = (at - before)[:, None]
    envelope = (1.0 - share) * excitation[before] + share * excitation[after]
    band = (EMG_BAND_HZ[0], min(EMG_BAND_HZ[1], 0.45 * spec.rate_hz))
    filter_ = butter(4, band, btype="bandpass", fs=spec.rate_hz, output="sos")
    impulse = np.zeros(round(spec.rate_hz))
    impulse[0] = 1.0
    warm_up = round(0.5 * spec.rate_hz)
    carrier = sosfilt(filter_, rng.standard_normal((samples + warm_up, muscles)), axis=0)[warm_up:]
    carrier /= np.sqrt(np.sum(sosfilt(filter_, impulse) ** 2))
    signal = spec.mvc_volts * np.asarray(gain) * envelope * carrier
    return signal + spec.noise_volts * rng.standard_normal((samples, muscles))


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
