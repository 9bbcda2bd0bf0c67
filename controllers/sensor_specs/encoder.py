"""Joint encoders and load cells on the drives."""

from __future__ import annotations

from pydantic import Field, field_validator

from ..config import Config, require_known
from ..names import JOINTS


class EncoderSpec(Config):
    """Joint encoders on the drives: they see the device angle, not the limb angle."""

    joints: tuple[str, ...]
    resolution_rad: float = Field(default=0.0, ge=0)
    offset_sd_rad: float = Field(default=0.0, ge=0)
    velocity_cutoff_hz: float = Field(default=50.0, gt=0)
    delay_s: float = Field(default=0.0, ge=0)

    @field_validator("joints")
    @classmethod
    def _known(cls, joints: tuple[str, ...]) -> tuple[str, ...]:
        require_known("joint", joints, JOINTS)
        return joints
