"""Pressure insoles: how far their force and centre of pressure are from the truth."""

from __future__ import annotations

import math

from pydantic import Field, field_validator

from ..config import Config

Pair = tuple[float, float]


class InsoleSpec(Config):
    """Pressure insoles: vertical force and centre of pressure in the foot's frame (x forward, y left).

    With the defaults the insole says the truth above its threshold. Pairs are fore-aft (x) and medio-lateral (y).

    gain_sd, offset_sd_n: drawn once a run and foot. hysteresis: unloading reads higher than loading by this share of
    the force. creep: under a steady force the reading rises by this share, with time constant creep_s, and as slowly
    sinks back. range_n: the most that a foot can read. Below threshold_n a foot's force and centre of pressure read 0.

    cop_slope: change of the measured per change of the true centre of pressure, about cop_centre_m, the middle of the
    sensor grid: load on the sole's rim is not seen, so the measured centre of pressure shrinks towards the middle.
    cop_offset_sd_m: how well insole and foot are aligned, drawn once a run and foot. cop_noise_m: standard deviation
    under full load, correlated over cop_correlation_s; at cop_half_load_n it is twice as large.
    """

    rate_hz: float = Field(default=100.0, gt=0)
    delay_s: float = Field(default=0.0, ge=0)
    gain_sd: float = Field(default=0.0, ge=0)
    offset_sd_n: float = Field(default=0.0, ge=0)
    hysteresis: float = Field(default=0.0, ge=0, lt=1)
    creep: float = Field(default=0.0, ge=0, lt=1)
    creep_s: float = Field(default=600.0, gt=0)
    force_noise_n: float = Field(default=0.0, ge=0)
    range_n: float = Field(default=math.inf, gt=0)
    resolution_n: float = Field(default=0.0, ge=0)
    threshold_n: float = Field(default=20.0, ge=0)
    cop_slope: Pair = (1.0, 1.0)
    cop_centre_m: Pair = (0.10, 0.0)
    cop_offset_sd_m: Pair = (0.0, 0.0)
    cop_noise_m: Pair = (0.0, 0.0)
    cop_correlation_s: float = Field(default=0.0, ge=0)
    cop_half_load_n: float = Field(default=0.0, ge=0)

    @field_validator("cop_slope", "cop_offset_sd_m", "cop_noise_m")
    @classmethod
    def _not_negative(cls, value: Pair) -> Pair:
        if min(value) < 0.0:
            raise ValueError(f"{value[0]:g}, {value[1]:g}: must not be negative")
        return value
