"""The IMUs of a device: where they sit, how firmly, and how wrong they are."""

from __future__ import annotations

import math
from typing import Literal, get_args

from pydantic import Field, field_validator

from ..config import Config, require_known
from ..names import Vector

Segment = Literal["torso", "pelvis", "femur", "tibia", "calcn", "toes"]


class SoftTissue(Config):
    """How a sensor moves on a segment: a mass on a spring and damper, and the skin that joint angles pull along.

    gain: share of the segment's acceleration that drives the wobble, in place and in orientation; 1 is a sensor that
    nothing but the tissue holds, 0 one that is screwed to the bone. tilt_sd: rad of tilt about each axis per rad of
    the flexion of each joint at the segment's ends, the standard deviation between sessions; the torso has none, for it
    does not move against the pelvis.
    """

    frequency_hz: float = Field(gt=0)
    damping_ratio: float = Field(ge=0)
    gain: float = Field(default=1.0, ge=0)
    tilt_sd: float = Field(default=0.0, ge=0)


class ImuSpec(Config):
    """IMU mounts and errors; one error model for all sites, 0 (or infinite) where an error is absent.

    Every site's axes are its segment's: x forward, y up, z right when standing. What ends in ``_sd`` is drawn anew for
    each run: mounting, turn-on bias, gain, cross-axis (share of each other axis), g-sensitivity of the gyroscope. A
    noise density D gives the Allan deviation D / sqrt(tau), bias instability is the height of its flat part.
    bandwidth_hz: -3 dB of the anti-alias filter. The resolution is the range over 2^(bits - 1); an infinite range is
    neither clipped nor quantised. A sensor whose clock runs at its own pace (clock_offset_ppm) samples at any phase of
    the controller's tick, one whose clock does not at its beginning. dropout_share: of the samples that get lost on the
    way, in bursts of dropout_burst_s on average; the last one that came holds. soft_tissue: by segment, without side.
    """

    class Mount(Config):
        """A site on a segment (both with their side: ``thigh_r`` on ``femur_r``); position in its frame."""

        site: str
        segment: str
        position_m: Vector

    mounts: tuple[Mount, ...]
    rate_hz: float = Field(default=200.0, gt=0)
    mounting_rotation_sd_rad: float = Field(default=0.0, ge=0)
    mounting_offset_sd_m: float = Field(default=0.0, ge=0)
    soft_tissue: dict[str, SoftTissue] = Field(default={})
    accel_noise_density: float = Field(default=0.0, ge=0, description="m/s^2/sqrt(Hz)")
    gyro_noise_density: float = Field(default=0.0, ge=0, description="rad/s/sqrt(Hz)")
    accel_bias_sd: float = Field(default=0.0, ge=0, description="m/s^2")
    gyro_bias_sd: float = Field(default=0.0, ge=0, description="rad/s")
    accel_bias_instability: float = Field(default=0.0, ge=0, description="m/s^2")
    gyro_bias_instability: float = Field(default=0.0, ge=0, description="rad/s")
    bias_correlation_s: float = Field(default=100.0, gt=0)
    accel_gain_sd: float = Field(default=0.0, ge=0)
    gyro_gain_sd: float = Field(default=0.0, ge=0)
    accel_cross_axis_sd: float = Field(default=0.0, ge=0)
    gyro_cross_axis_sd: float = Field(default=0.0, ge=0)
    gyro_g_sensitivity_sd: float = Field(default=0.0, ge=0, description="rad/s per m/s^2")
    accel_range: float = Field(default=math.inf, gt=0, description="m/s^2")
    gyro_range: float = Field(default=math.inf, gt=0, description="rad/s")
    bits: int = Field(default=16, ge=8, le=32)
    bandwidth_hz: float = Field(default=math.inf, gt=0)
    clock_offset_ppm: float = Field(default=0.0, ge=0, le=20000.0, description="standard deviation")
    clock_jitter_s: float = Field(default=0.0, ge=0, description="standard deviation")
    delay_s: float = Field(default=0.0, ge=0)
    dropout_share: float = Field(default=0.0, ge=0, le=0.5)
    dropout_burst_s: float = Field(default=0.02, gt=0)

    @field_validator("soft_tissue")
    @classmethod
    def _known(cls, soft_tissue: dict[str, SoftTissue]) -> dict[str, SoftTissue]:
        require_known("segment", soft_tissue, get_args(Segment))
        return soft_tissue
