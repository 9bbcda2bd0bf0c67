"""The IMUs of a device: where they sit and how wrong they are."""

from __future__ import annotations

import math

from pydantic import Field

from ..config import Config
from ..names import Vector


class ImuSpec(Config):
    """IMU errors (white-noise density, turn-on bias, gain, range, delay) and mounts; one error model for all.

    Every site's axes are its segment's: x forward, y up, z right when standing. The resolution is the
    range over 2^(bits - 1); an infinite range is neither clipped nor quantised.
    """

    class Mount(Config):
        """A site on a segment (both with their side: ``thigh_r`` on ``femur_r``); position in its frame."""

        site: str
        segment: str
        position_m: Vector

    mounts: tuple[Mount, ...]
    rate_hz: float = 200.0
    accel_noise_density: float = Field(default=0.0, ge=0, description="m/s^2/sqrt(Hz)")
    gyro_noise_density: float = Field(default=0.0, ge=0, description="rad/s/sqrt(Hz)")
    accel_bias_sd: float = Field(default=0.0, ge=0, description="m/s^2")
    gyro_bias_sd: float = Field(default=0.0, ge=0, description="rad/s")
    accel_gain_sd: float = Field(default=0.0, ge=0)
    gyro_gain_sd: float = Field(default=0.0, ge=0)
    accel_range: float = Field(default=math.inf, gt=0, description="m/s^2")
    gyro_range: float = Field(default=math.inf, gt=0, description="rad/s")
    bits: int = Field(default=16, ge=8, le=32)
    delay_s: float = Field(default=0.0, ge=0)
