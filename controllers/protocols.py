"""What an estimator and a mode classifier must be, so that the stack can run any of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from .interface import FloatArray, SensorFrame, TorqueCommand

MODES = (
    "stand",
    "walk",
    "ramp_up",
    "ramp_down",
    "stairs_up",
    "stairs_down",
    "run",
    "sit_to_stand",
    "stand_to_sit",
    "squat",
)
GAIT_MODES = ("walk", "ramp_up", "ramp_down", "stairs_up", "stairs_down", "run")
"""The modes that have strides, hence a gait phase."""


@dataclass(frozen=True, slots=True)
class ModeEstimate:
    """The classifier's answer. mode: one of `MODES`; speed_class: a finer label such as ``slow``."""

    mode: str
    confidence: float
    speed_class: str = ""

    @property
    def key(self) -> str:
        """Label that tells profiles apart: ``walk/slow``, ``stand``."""
        return f"{self.mode}/{self.speed_class}" if self.speed_class else self.mode


@runtime_checkable
class ModeClassifier(Protocol):
    """High level: which motion is this?"""

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels it needs in every frame."""

    def reset(self) -> None:
        """Forget the past; call before a new run."""

    def update(self, frame: SensorFrame) -> ModeEstimate:
        """One frame in, the current mode out."""


@runtime_checkable
class TorqueEstimator(Protocol):
    """Mid level: what torque do the person's own joints make now?"""

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels it needs in every frame."""

    @property
    def joints(self) -> tuple[str, ...]:
        """Joints it answers for, with side; the order of its output."""

    def reset(self) -> None:
        """Forget the past; call before a new run."""

    def update(self, frame: SensorFrame, mode: ModeEstimate) -> FloatArray:
        """One frame in; (n_joints,) biological torque in Nm/kg of body mass out (NaN: cannot tell)."""


@runtime_checkable
class Controller(Protocol):
    """All that a device or a scenario asks of a controller; `ControllerStack` is the one shipped."""

    def reset(self) -> None:
        """Forget the past; call before a new run."""

    def step(self, frame: SensorFrame) -> TorqueCommand:
        """One frame in, the torques to ask of the actuators until the next frame out."""
