"""Surface EMG: which muscles, how the signal arises, what spoils it, and how it becomes an envelope."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, field_validator, model_validator

from ..config import Config, require_known
from ..names import MUSCLES


class EmgSpec(Config):
    """Bipolar surface EMG of named muscles (no side: both legs). All volts are referred to the electrodes.

    Signal. fidelity: ``interference``, amplitude-modulated coloured noise; ``motor_units``, trains of motor-unit action
    potentials. mvc_volts: RMS at full excitation under an electrode of gain 1.

    Electrodes. gain_sd: spread of their gains (log-normal). crosstalk: largest share of a neighbouring muscle's signal;
    each pair's share is drawn between 0 and this. noise_volts: RMS of white baseline noise. powerline_volts: RMS of
    the mains' fundamental. motion_volts: size of the artefact of a heel strike in walking. A run begins at a moment
    drawn from the first session_s of wearing; the maximum contraction was recorded at 0. shift_per_hour, shift_sd: how
    often an electrode slips and what that does to its gain (log-normal); the crosstalk is then drawn anew. Sweat takes
    up to sweat_gain_loss of the signal and sweat_impedance_drop of noise, mains and artefact, with the time constant
    sweat_time_s.

    Electronics. amplifier band (2-pole high-pass, 4-pole low-pass), range (saturation) and bits (over twice the range;
    an infinite range is neither clipped nor quantised), rate_hz, delay_s.

    Processing. Band-pass, notch at the mains' frequency where asked for, rectification, low-pass, division by the
    envelope of the maximum contraction, which is wrong by mvc_error_sd (log-normal).
    """

    muscles: tuple[str, ...] = Field(min_length=1)
    rate_hz: float = Field(default=1000.0, ge=500.0, le=10000.0)
    fidelity: Literal["interference", "motor_units"] = "interference"
    mvc_volts: float = Field(default=1e-3, gt=0)

    gain_sd: float = Field(default=0.0, ge=0)
    crosstalk: float = Field(default=0.0, ge=0, le=0.5)
    noise_volts: float = Field(default=0.0, ge=0)
    powerline_hz: float = Field(default=50.0, ge=45.0, le=65.0)
    powerline_volts: float = Field(default=0.0, ge=0)
    motion_volts: float = Field(default=0.0, ge=0)
    session_s: float = Field(default=0.0, ge=0)
    shift_per_hour: float = Field(default=0.0, ge=0)
    shift_sd: float = Field(default=0.0, ge=0)
    sweat_gain_loss: float = Field(default=0.0, ge=0, le=0.9)
    sweat_impedance_drop: float = Field(default=0.0, ge=0, lt=1)
    sweat_time_s: float = Field(default=1200.0, gt=0)

    amplifier_low_hz: float = Field(default=10.0, gt=0)
    amplifier_high_hz: float = Field(default=500.0, gt=0)
    range_volts: float = Field(default=math.inf, gt=0)
    bits: int = Field(default=16, ge=8, le=32)
    delay_s: float = Field(default=0.0, ge=0, le=0.5)

    band_low_hz: float = Field(default=20.0, gt=0)
    band_high_hz: float = Field(default=450.0, gt=0)
    notch: bool = False
    envelope_cutoff_hz: float = Field(default=6.0, gt=0, le=50.0)
    mvc_error_sd: float = Field(default=0.0, ge=0)

    @field_validator("muscles")
    @classmethod
    def _known(cls, muscles: tuple[str, ...]) -> tuple[str, ...]:
        require_known("muscle", muscles, MUSCLES)
        if len(set(muscles)) != len(muscles):
            raise ValueError("a muscle is named twice")
        return muscles

    @model_validator(mode="after")
    def _bands_are_bands(self) -> EmgSpec:
        for name, low, high in (
            ("amplifier", self.amplifier_low_hz, self.amplifier_high_hz),
            ("band", self.band_low_hz, self.band_high_hz),
        ):
            top = min(high, 0.45 * self.rate_hz)
            if low >= top:
                raise ValueError(f"{name}_low_hz {low:g} must be below {name}_high_hz and 0.45 of rate_hz ({top:g} Hz)")
        return self
