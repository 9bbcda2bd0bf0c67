"""The assistance law: from the person's estimated joint torque to the torque asked of the device."""

from __future__ import annotations

import math

import numpy as np
from pydantic import Field, field_validator

from .config import Config, require_known
from .device import JOINTS
from .interface import FloatArray
from .protocols import GAIT_MODES, MODES, ModeEstimate


class JointAssistance(Config):
    """How one joint is helped (both sides alike).

    scale: fraction of the biological torque that the device adds, negative to resist. delay_s:
    intentional delay on top of whatever sensors and drives add. lowpass_hz: cut-off of a first-order
    low-pass. modes: where the joint is helped; elsewhere the torque fades to zero. cap_nm: the most
    torque asked for, either way.
    """

    scale: float = Field(ge=-1, le=1)
    delay_s: float = Field(default=0.0, ge=0, le=1)
    lowpass_hz: float = Field(default=10.0, gt=0)
    modes: tuple[str, ...] = GAIT_MODES
    cap_nm: float = Field(default=25.0, ge=0)

    @field_validator("modes")
    @classmethod
    def _known(cls, modes: tuple[str, ...]) -> tuple[str, ...]:
        require_known("mode", modes, MODES)
        return modes


class AssistanceConfig(Config):
    """`JointAssistance` of each joint (name without side) and the time constant of fading in and out.

    A joint of the device that is not listed gets no torque; a listed joint the device lacks is ignored,
    so one law serves several devices. Assisting in proportion to the estimated biological joint moments
    follows Molinaro et al., Nature 635:337-344, 2024; the default figures here are chosen.
    """

    joints: dict[str, JointAssistance] = Field(
        default={
            "hip_flexion": JointAssistance(scale=0.2),
            "knee_flexion": JointAssistance(scale=0.2),
            "ankle_dorsiflexion": JointAssistance(scale=0.2),
        }
    )
    fade_s: float = Field(default=0.2, gt=0)

    @field_validator("joints")
    @classmethod
    def _known(cls, joints: dict[str, JointAssistance]) -> dict[str, JointAssistance]:
        require_known("joint", joints, JOINTS)
        return joints


class AssistanceLaw:
    """request = gate * low-pass(delay(cap(scale * body mass * estimate))), per joint.

    The low-pass is the exact sampled first-order filter, y += (1 - exp(-2 pi f dt)) (x - y). The gate
    goes to 1 in the joint's modes and to 0 elsewhere, or while the estimate is NaN ("cannot tell"), with
    time constant `fade_s`. It starts at 0.
    """

    def __init__(self, config: AssistanceConfig, joints: tuple[str, ...], body_mass_kg: float, rate_hz: float) -> None:
        """joints: with side, in the order of estimate and request. body_mass_kg: of the wearer."""
        off = JointAssistance(scale=0.0, modes=(), cap_nm=0.0)
        laws = [config.joints.get(name.rpartition("_")[0], off) for name in joints]
        self._gain = body_mass_kg * np.array([law.scale for law in laws])
        self._cap = np.array([law.cap_nm for law in laws])
        self._mix = 1.0 - np.exp(-2.0 * math.pi * np.array([law.lowpass_hz for law in laws]) / rate_hz)
        self._fade = 1.0 - math.exp(-1.0 / (rate_hz * config.fade_s))
        self._acts = {mode: np.array([mode in law.modes for law in laws]) for mode in MODES}
        self._nowhere = np.zeros(len(laws), dtype=bool)
        delay = np.array([law.delay_s for law in laws]) * rate_hz
        self._steps = np.floor(delay + 1e-9).astype(np.intp)
        self._between = np.maximum(delay - self._steps, 0.0)
        self._column = np.arange(len(laws))
        self._past = np.zeros((int(self._steps.max(initial=0)) + 2, len(laws)))
        self.reset()

    def reset(self) -> None:
        """Forget the past; call before a new run. The torque fades in from zero."""
        self._past[:] = 0.0
        self._now = 0
        self._input = np.zeros(len(self._gain))
        self._filtered = np.zeros(len(self._gain))
        self._gate = np.zeros(len(self._gain))

    def update(self, estimate: FloatArray, mode: ModeEstimate) -> FloatArray:
        """(n_joints,) Nm/kg, sign of the joint coordinate, in; (n_joints,) Nm out; once a control period.

        A joint whose estimate is not finite keeps its last number while its gate closes.
        """
        known = np.isfinite(estimate)
        asked = np.minimum(np.maximum(estimate * self._gain, -self._cap), self._cap)
        self._input = np.where(known, asked, self._input)
        self._gate += self._fade * ((known & self._acts.get(mode.mode, self._nowhere)) - self._gate)
        rows = len(self._past)
        self._now = (self._now + 1) % rows
        self._past[self._now] = self._input
        at = (self._now - self._steps) % rows
        later = self._past[at, self._column]
        delayed = later + self._between * (self._past[at - 1, self._column] - later)
        self._filtered += self._mix * (delayed - self._filtered)
        return self._gate * self._filtered
