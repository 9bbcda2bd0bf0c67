"""B-mode ultrasound of the calf: what the probe looks at, and how its image comes about."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from ..config import Config, require_known

IMAGED = ("gastroc", "soleus")  # the muscles that can be imaged, from the skin inwards


class UltrasoundSpec(Config):
    """A linear probe along the calf. With the defaults of the error figures the probe stays in place.

    muscles: in view, from the skin inwards. side: which leg. frame_rate_hz: images a second; an image takes 90 kB.
    width_m, depth_m: what the 300 x 300 pixels of the region of interest show. fat_m: skin and fat above the muscles.

    frequency_mhz, attenuation_db_per_cm_mhz: the echo loses their product for every cm of way, there and back;
    time-gain compensation gives tgc_db_per_cm of depth back. psf_axial_m, psf_lateral_m: standard deviations of the
    point spread, hence the grain of the speckle. line_contrast: how much brighter than the muscle a fascicle's sheath
    is, as a ratio of amplitudes. noise_db: electronic noise below the mean speckle amplitude at the skin.
    dynamic_range_db: of the 256 grey levels. gain_db, gain_sd_db: of the receiver; the error is drawn once a run.

    slip_sd_m, tilt_sd_rad: how far the probe slides along the leg and how much it turns in the image's plane, standard
    deviations of wanderings with time constant slip_s.
    """

    muscles: tuple[str, ...] = IMAGED
    side: str = "r"
    frame_rate_hz: float = Field(default=25.0, gt=0)
    width_m: float = Field(default=0.05, ge=0.02, le=0.1)
    depth_m: float = Field(default=0.05, ge=0.02, le=0.1)
    fat_m: float = Field(default=0.005, ge=0, le=0.02)
    frequency_mhz: float = Field(default=7.5, gt=0)
    attenuation_db_per_cm_mhz: float = Field(default=0.0, ge=0)
    tgc_db_per_cm: float = Field(default=0.0, ge=0)
    psf_axial_m: float = Field(default=0.00015, ge=0.0001, le=0.001)
    psf_lateral_m: float = Field(default=0.0004, ge=0.0001, le=0.002)
    line_contrast: float = Field(default=4.0, ge=1)
    noise_db: float = Field(default=60.0, ge=0)
    dynamic_range_db: float = Field(default=60.0, ge=20, le=120)
    gain_db: float = 0.0
    gain_sd_db: float = Field(default=0.0, ge=0)
    slip_sd_m: float = Field(default=0.0, ge=0)
    tilt_sd_rad: float = Field(default=0.0, ge=0)
    slip_s: float = Field(default=1.0, gt=0)

    @field_validator("muscles")
    @classmethod
    def _known(cls, muscles: tuple[str, ...]) -> tuple[str, ...]:
        require_known("muscle that ultrasound images", muscles, IMAGED)
        if not muscles or muscles != tuple(m for m in IMAGED if m in muscles):
            raise ValueError(f"{', '.join(muscles) or 'none'}: name each muscle once, from the skin inwards")
        return muscles

    @model_validator(mode="after")
    def _sided(self) -> UltrasoundSpec:
        require_known("side", [self.side], ("r", "l"))
        return self
