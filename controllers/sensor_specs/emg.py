"""Surface EMG."""

from __future__ import annotations

from pydantic import Field, field_validator

from ..config import Config, require_known
from ..names import MUSCLES


class EmgSpec(Config):
    """Surface EMG of named muscles (no side: both legs): raw rate, gain and noise."""

    muscles: tuple[str, ...]
    rate_hz: float = 1000.0
    mvc_volts: float = Field(default=1e-3, gt=0)
    noise_volts: float = Field(default=0.0, ge=0)
    gain_sd: float = Field(default=0.0, ge=0)
    envelope_cutoff_hz: float = Field(default=6.0, gt=0)
    delay_s: float = Field(default=0.0, ge=0)

    @field_validator("muscles")
    @classmethod
    def _known(cls, muscles: tuple[str, ...]) -> tuple[str, ...]:
        require_known("muscle", muscles, MUSCLES)
        return muscles
