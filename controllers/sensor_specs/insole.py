"""Pressure insoles."""

from __future__ import annotations

from pydantic import Field

from ..config import Config


class InsoleSpec(Config):
    """Pressure insoles: vertical force and centre of pressure in the foot's frame (x forward, y left)."""

    rate_hz: float = 100.0
    force_noise_n: float = Field(default=0.0, ge=0)
    gain_sd: float = Field(default=0.0, ge=0)
    cop_noise_m: float = Field(default=0.0, ge=0)
    threshold_n: float = Field(default=20.0, ge=0)
    delay_s: float = Field(default=0.0, ge=0)
