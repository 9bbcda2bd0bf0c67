"""IMUs: specific force and angular rate of every site, as its electronics report them."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...controllers.interface import FloatArray
from ...controllers.sensor_specs.imu import ImuSpec
from ..compiled import compiled
from .soft_tissue import Mounting
from .truth import SensorTruth

BLOCK = 256  # ticks of noise drawn at once
DRAWS = 14  # normal numbers a sample takes: white noise and bias walk of six channels, clock jitter, dropout
# The most that the Allan deviation of a first-order Gauss-Markov process reaches, in units of its standard deviation:
# at 1.89 correlation times (IEEE Std 952, annex on Markov noise).
MARKOV_PEAK = 0.6173
FILTER_LIMIT = 0.45  # of the physics rate; an anti-alias filter above it has nothing to remove


class Electronics(NamedTuple):
    """What is fixed for a run, channels ax ay az gx gy gz.

    response: (n_sites, 6, 6) gains, cross-axis and g-sensitivity. bias: (n_sites, 6). noise: (6,) standard deviation of
    a sample. walk: (6,) kick of the in-run bias a sample, memory: what stays of it. full_scale, step: (6,) range and
    resolution (0: none). filter: (5,) b0 b1 b2 a1 a2. start, period: (n_sites,) s. jitter, delay: s. lose, keep: the
    normal deviates below which a good link goes bad, and a bad one stays bad.
    """

    response: FloatArray
    bias: FloatArray
    noise: FloatArray
    walk: FloatArray
    memory: float
    full_scale: FloatArray
    step: FloatArray
    filter: FloatArray
    start: FloatArray
    period: FloatArray
    jitter: float
    delay: float
    lose: float
    keep: float


class Flow(NamedTuple):
    """What moves.

    filter: (n_sites, 6, 2) memory of the filter; last: its values a physics step ago; bias: in-run, (n_sites, 6). due:
    s, when the next sample is taken; taken: how many were; bad: whether the link loses samples. ring, arrival:
    samples under way and when (s) they are there; head, tail: where the ring is written and read. said: (n_sites, 6).
    """

    filter: FloatArray
    last: FloatArray
    bias: FloatArray
    due: FloatArray
    taken: NDArray[np.int64]
    bad: NDArray[np.bool_]
    ring: FloatArray
    arrival: FloatArray
    head: NDArray[np.int64]
    tail: NDArray[np.int64]
    said: FloatArray


class Imu:
    """Specific force (m/s^2) and angular rate (rad/s) of every site, through the whole chain of `ImuSpec`.

    In order: mounting and soft tissue (`Mounting`), anti-alias filter (second-order Butterworth at the physics rate),
    sampling by the sensor's own clock, gain with cross-axis and g-sensitivity, turn-on bias, in-run bias (first-order
    Gauss-Markov), white noise, saturation, quantisation, lost samples, delay. White noise of density D has the Allan
    deviation D / sqrt(tau), as data sheets of IMUs mean it (a two-sided spectrum, IEEE Std 952), so a sample at rate f
    has standard deviation D sqrt(f). What arrived last holds until the next sample comes.
    """

    def __init__(self, spec: ImuSpec, rate_hz: float) -> None:
        self._spec, self._rate = spec, rate_hz
        self._mounting = Mounting(spec)
        own_clock = spec.clock_offset_ppm > 0.0 or spec.clock_jitter_s > 0.0
        self._samples = math.ceil(spec.rate_hz / rate_hz - 1e-9) + own_clock  # at most, in a tick

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a new run: draw mounting, biases, gains and clocks anew and forget the past."""
        self._rng = rng
        self._mounting.reset(rng)
        self._drawn = _draw(self._spec, rng)
        self._tick = 0

    def measure(self, truth: SensorTruth) -> FloatArray:
        """One control tick: (6 n_sites,) ax, ay, az, gx, gy, gz of each site."""
        steps, sites = truth.imu_acc.shape[:2]
        dt = 1.0 / (self._rate * steps)
        felt = self._mounting.feel(truth.imu_acc, truth.imu_gyro, truth.angle, dt)
        if self._tick == 0:
            self._electronics = self._drawn._replace(filter=_low_pass(self._spec.bandwidth_hz, dt))
            self._flow = _at_rest(felt[0], self._electronics, self._samples, self._rng)
        row = self._tick % BLOCK
        if row == 0:
            self._noise = self._rng.standard_normal((BLOCK, self._samples, sites, DRAWS))
        out = np.empty(6 * sites)
        _report(felt, self._tick / self._rate, dt, self._electronics, self._flow, self._noise[row], out)
        self._tick += 1
        return out


def _draw(spec: ImuSpec, rng: np.random.Generator) -> Electronics:
    """This run's sensors, without their filter."""
    n, period = len(spec.mounts), 1.0 / spec.rate_hz

    def pair(accel: float, gyro: float) -> FloatArray:
        return np.repeat([accel, gyro], 3)

    response = np.zeros((n, 6, 6))
    for start, gain, cross in (
        (0, spec.accel_gain_sd, spec.accel_cross_axis_sd),
        (3, spec.gyro_gain_sd, spec.gyro_cross_axis_sd),
    ):
        spread = np.where(np.eye(3), gain, cross)
        response[:, start : start + 3, start : start + 3] = np.eye(3) + spread * rng.standard_normal((n, 3, 3))
    response[:, 3:, :3] = spec.gyro_g_sensitivity_sd * rng.standard_normal((n, 3, 3))
    memory = math.exp(-period / spec.bias_correlation_s)
    wander = pair(spec.accel_bias_instability, spec.gyro_bias_instability) / MARKOV_PEAK
    full_scale = pair(spec.accel_range, spec.gyro_range)
    pace = 1.0 + 1e-6 * spec.clock_offset_ppm * rng.standard_normal(n)
    phase = rng.random(n) if spec.clock_offset_ppm > 0.0 else np.zeros(n)
    # A burst ends with the probability that gives it its mean length, and begins so often as the share asks for.
    end = min(1.0, period / spec.dropout_burst_s)
    begin = end * spec.dropout_share / (1.0 - spec.dropout_share)
    return Electronics(
        response=response,
        bias=pair(spec.accel_bias_sd, spec.gyro_bias_sd) * rng.standard_normal((n, 6)),
        noise=pair(spec.accel_noise_density, spec.gyro_noise_density) * math.sqrt(spec.rate_hz),
        walk=wander * math.sqrt(1.0 - memory * memory),
        memory=memory,
        full_scale=full_scale,
        step=np.where(np.isfinite(full_scale), full_scale, 0.0) / 2.0 ** (spec.bits - 1),
        filter=np.zeros(5),
        start=phase * period,
        period=period / pace,
        jitter=spec.clock_jitter_s,
        delay=spec.delay_s,
        lose=_deviate(begin),
        keep=_deviate(1.0 - end),
    )


def _deviate(probability: float) -> float:
    """The number below which a normal deviate falls with this probability."""
    return NormalDist().inv_cdf(probability) if 0.0 < probability < 1.0 else math.copysign(math.inf, probability - 0.5)


def _low_pass(bandwidth_hz: float, dt: float) -> FloatArray:
    """b0 b1 b2 a1 a2 of a second-order Butterworth at the physics rate; none where the physics is slower than it."""
    from scipy.signal import butter

    if bandwidth_hz * dt >= FILTER_LIMIT:
        return np.array([1.0, 0.0, 0.0, 0.0, 0.0])
    b, a = butter(2, bandwidth_hz, fs=1.0 / dt)
    return np.array([*b, *a[1:]])


def _at_rest(felt: FloatArray, e: Electronics, samples: int, rng: np.random.Generator) -> Flow:
    """Sensors that have felt the same for long."""
    n = len(felt)
    b0, _, b2, _, a2 = e.filter
    memory = np.stack([(1.0 - b0) * felt, (b2 - a2) * felt], axis=-1)
    depth = math.ceil(e.delay / float(e.period.min(initial=1.0))) + samples + 2
    spread = e.walk / math.sqrt(1.0 - e.memory * e.memory)
    bias = spread * rng.standard_normal((n, 6))
    return Flow(
        filter=memory,
        last=felt.copy(),
        bias=bias,
        due=e.start.copy(),
        taken=np.zeros(n, np.int64),
        bad=np.zeros(n, np.bool_),
        ring=np.zeros((n, depth, 6)),
        arrival=np.zeros((n, depth)),
        head=np.zeros(n, np.int64),
        tail=np.zeros(n, np.int64),
        said=_digitise(np.einsum("sij,sj->si", e.response, felt) + e.bias + bias, e.full_scale, e.step),
    )


def _digitise(values: FloatArray, full_scale: FloatArray, step: FloatArray) -> FloatArray:
    """Clipped and rounded."""
    clipped = np.clip(values, -full_scale, full_scale)
    return np.where(step > 0.0, np.rint(clipped / np.where(step > 0.0, step, 1.0)) * step, clipped)


@compiled
def _report(felt: Any, now: float, dt: float, e: Electronics, flow: Flow, noise: Any, out: Any) -> None:
    steps, sites = felt.shape[0], felt.shape[1]
    b0, b1, b2, a1, a2 = e.filter[0], e.filter[1], e.filter[2], e.filter[3], e.filter[4]
    depth = flow.ring.shape[1]
    seen = np.empty(6)
    for s in range(sites):
        row = 0
        for i in range(steps):
            time = now - (steps - 1 - i) * dt
            for k in range(6):
                x = felt[i, s, k]
                seen[k] = b0 * x + flow.filter[s, k, 0]
                flow.filter[s, k, 0] = b1 * x - a1 * seen[k] + flow.filter[s, k, 1]
                flow.filter[s, k, 1] = b2 * x - a2 * seen[k]
            while flow.due[s] <= time + 1e-9:
                share = min(1.0, max(0.0, 1.0 + (flow.due[s] - time) / dt))
                draw = noise[min(row, noise.shape[0] - 1), s]
                row += 1
                flow.bad[s] = draw[13] < (e.keep if flow.bad[s] else e.lose)
                at = flow.head[s] % depth
                for k in range(6):
                    flow.bias[s, k] = e.memory * flow.bias[s, k] + e.walk[k] * draw[6 + k]
                for k in range(6):
                    value = e.bias[s, k] + flow.bias[s, k] + e.noise[k] * draw[k]
                    for j in range(6):
                        value += e.response[s, k, j] * (flow.last[s, j] + share * (seen[j] - flow.last[s, j]))
                    value = min(e.full_scale[k], max(-e.full_scale[k], value))
                    if e.step[k] > 0.0:
                        value = e.step[k] * np.rint(value / e.step[k])
                    flow.ring[s, at, k] = value
                if not flow.bad[s]:
                    flow.arrival[s, at] = flow.due[s] + e.delay
                    flow.head[s] += 1
                flow.taken[s] += 1
                late = e.jitter * draw[12]
                limit = 0.4 * e.period[s]
                flow.due[s] = e.start[s] + flow.taken[s] * e.period[s] + min(limit, max(-limit, late))
            for k in range(6):
                flow.last[s, k] = seen[k]
        while flow.tail[s] < flow.head[s] and flow.arrival[s, flow.tail[s] % depth] <= now + 1e-9:
            for k in range(6):
                flow.said[s, k] = flow.ring[s, flow.tail[s] % depth, k]
            flow.tail[s] += 1
        for k in range(6):
            out[6 * s + k] = flow.said[s, k]
