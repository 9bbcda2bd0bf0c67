"""Joint encoders and load cells on the drives."""

from __future__ import annotations

import math

from pydantic import Field, field_validator

from ..config import Config, require_known
from ..names import JOINTS


class EncoderSpec(Config):
    """Joint encoders on the drives: they see the device angle, not the limb angle.

    backlash_rad: play of the transmission between encoder and joint, from end to end.
    """

    joints: tuple[str, ...]
    resolution_rad: float = Field(default=0.0, ge=0)
    offset_sd_rad: float = Field(default=0.0, ge=0)
    backlash_rad: float = Field(default=0.0, ge=0)
    velocity_cutoff_hz: float = Field(default=50.0, gt=0)
    delay_s: float = Field(default=0.0, ge=0)

    @field_validator("joints")
    @classmethod
    def _known(cls, joints: tuple[str, ...]) -> tuple[str, ...]:
        require_known("joint", joints, JOINTS)
        return joints


class LoadCellSpec(Config):
    """A torque load cell between each drive and its cuff.

    hysteresis: the most that loading and unloading differ at one torque, as a share of range_nm. offset_sd_nm: what is
    left after taring. drift_nm: standard deviation of the offset's change over a long time, with correlation time
    drift_correlation_s. The resolution is the range over 2^(bits - 1); an infinite range is neither clipped nor
    quantised, and has no hysteresis.
    """

    range_nm: float = Field(default=math.inf, gt=0)
    gain_sd: float = Field(default=0.0, ge=0)
    offset_sd_nm: float = Field(default=0.0, ge=0)
    drift_nm: float = Field(default=0.0, ge=0)
    drift_correlation_s: float = Field(default=300.0, gt=0)
    hysteresis: float = Field(default=0.0, ge=0, le=0.2)
    noise_density: float = Field(default=0.0, ge=0, description="Nm/sqrt(Hz)")
    bits: int = Field(default=16, ge=8, le=32)
    delay_s: float = Field(default=0.0, ge=0)
