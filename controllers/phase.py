"""Where in the gait cycle each leg is now, from insole forces alone and with no look ahead."""

from __future__ import annotations

import math

from pydantic import Field, model_validator

from .config import Config
from .interface import SensorFrame

PHASE_CHANNELS = ("insole/r/force", "insole/l/force")


class PhaseConfig(Config):
    """Thresholds of the contact detector and the plausible strides. All figures are chosen, not published.

    A leg loads when its force rises to `load_n` and unloads when it falls to `unload_n`; two thresholds
    keep noise near one of them from making events (such detectors: Blades et al., Sensors 23:2736, 2023).
    `first_stride_s` stands in until the first whole stride has been measured.
    """

    load_n: float = Field(default=60.0, gt=0)
    unload_n: float = Field(default=30.0, ge=0)
    min_stride_s: float = Field(default=0.5, gt=0)
    min_swing_s: float = Field(default=0.15, ge=0, description="a leg unloaded for less has bounced, not swung")
    max_stride_s: float = Field(default=2.5, gt=0)
    first_stride_s: float = Field(default=1.1, gt=0)
    smoothing: float = Field(default=0.5, gt=0, le=1, description="weight of the newest stride in the running mean")
    overdue: float = Field(default=1.5, ge=1, description="strides after the last heel strike when phase is given up")

    @model_validator(mode="after")
    def _ordered(self) -> PhaseConfig:
        if self.unload_n >= self.load_n:
            raise ValueError("unload_n must be below load_n")
        if not self.min_stride_s <= self.first_stride_s <= self.max_stride_s:
            raise ValueError("first_stride_s must lie between min_stride_s and max_stride_s")
        return self


class LegPhase:
    """Phase of one leg: time since its heel strike over the running mean of its stride time.

    A lost sample (NaN) changes nothing: time runs on. The stride it fell in is not averaged, since a heel
    strike may have been lost with it, nor is one that begins right after it, since that began unseen.
    """

    def __init__(self, config: PhaseConfig) -> None:
        self._config = config
        self.reset()

    def reset(self) -> None:
        """Forget everything; phase is unknown until the next heel strike."""
        self.stride_s = self._config.first_stride_s
        self._measured = False
        self._loaded: bool | None = None
        self._unloaded = -math.inf
        self._strike: float | None = None
        self._whole = True
        self._lost = False

    def update(self, time: float, force_n: float) -> float:
        """Phase 0..1 at `time` (s): 1 while the next strike is late, NaN when standing or unknown."""
        lost, self._lost = self._lost, math.isnan(force_n)
        if self._lost:
            self._whole = False
        elif self._loaded is None:
            self._loaded = force_n >= self._config.load_n
        elif self._loaded:
            self._loaded = force_n > self._config.unload_n
            if not self._loaded:
                self._unloaded = time
        elif force_n >= self._config.load_n:
            self._loaded = True
            # The toes may leave the ground twice; taking that for a heel strike would lock on to it.
            if time - self._unloaded >= self._config.min_swing_s:
                self._heel_strike(time, seen=not lost)
        if self._strike is None:
            return math.nan
        cycles = (time - self._strike) / self.stride_s
        return min(cycles, 1.0) if 0.0 <= cycles <= self._config.overdue else math.nan

    def _heel_strike(self, time: float, seen: bool) -> None:
        c = self._config
        if self._strike is not None:
            stride = time - self._strike
            if 0.0 <= stride < c.min_stride_s:
                return
            if self._whole and c.min_stride_s <= stride <= c.max_stride_s:
                weight = c.smoothing if self._measured else 1.0
                self.stride_s += weight * (stride - self.stride_s)
                self._measured = True
        self._strike = time
        self._whole = seen


class GaitPhase:
    """Phase of both legs, right first, from frames that carry `PHASE_CHANNELS`."""

    channels = PHASE_CHANNELS

    def __init__(self, config: PhaseConfig | None = None) -> None:
        config = config or PhaseConfig()
        self.legs = (LegPhase(config), LegPhase(config))

    def reset(self) -> None:
        """Forget the past; call before a new run."""
        for leg in self.legs:
            leg.reset()

    def update(self, frame: SensorFrame) -> tuple[float, float]:
        """Phase 0..1 of the right and the left leg (NaN: standing or unknown). KeyError: no insoles."""
        right, left = self.legs
        return (
            right.update(frame.time, frame["insole/r/force"]),
            left.update(frame.time, frame["insole/l/force"]),
        )
