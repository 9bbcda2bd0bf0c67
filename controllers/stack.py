"""The controller stack: mode classifier, torque estimator, assistance law and safety in one `step`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from .assistance import AssistanceConfig, AssistanceLaw
from .config import require_known
from .device import SIDED_JOINTS, DeviceDescription
from .interface import FloatArray, SensorFrame, TorqueCommand, closest
from .phase import PHASE_CHANNELS, GaitPhase
from .protocols import ModeClassifier, ModeEstimate, TorqueEstimator
from .safety import SafetyConfig, SafetyMonitor


@dataclass(slots=True)
class Telemetry:
    """What the stack thought in the last step, for recordings and plots.

    mode: None until a frame was usable. estimate: (n,) Nm/kg in the order of the estimator's joints.
    request: (n_actuated,) Nm before safety. phase: 0..1 of the right and left leg from insoles.
    NaN: not known in this step.
    """

    mode: ModeEstimate | None = None
    estimate: FloatArray = field(default_factory=lambda: np.zeros(0))
    request: FloatArray = field(default_factory=lambda: np.zeros(0))
    phase: tuple[float, float] = (math.nan, math.nan)


class ControllerStack:
    """A `Controller`: frame -> mode -> biological torque -> assistance -> safe torque command.

    Nothing that goes wrong in a step stops the run: it becomes a fault (`safety.FAULTS`), the torque goes
    to zero, and once the fault's cause is gone all parts start afresh and the torque ramps in again.
    Joints of the device that the estimator does not answer for get zero torque; joints of the estimator
    that the device does not drive are in the telemetry only.
    """

    def __init__(
        self,
        device: DeviceDescription,
        classifier: ModeClassifier,
        estimator: TorqueEstimator,
        assistance: AssistanceConfig,
        safety: SafetyConfig,
        body_mass_kg: float,
    ) -> None:
        """Raises ValueError that names a channel the device lacks, a joint that is none, or a bad mass."""
        if not 0.0 < body_mass_kg < math.inf:
            raise ValueError(f"body_mass_kg must be a positive number, not {body_mass_kg}")
        for part, channels in (("classifier", classifier.channels), ("estimator", estimator.channels)):
            for name in channels:
                if name not in device.layout:
                    raise ValueError(
                        f"the {part} needs channel {name!r}, which device {device.name!r} has not"
                        f"{closest(name, device.layout.names)}"
                    )
        require_known("joint", estimator.joints, SIDED_JOINTS)
        self.device = device
        self.classifier = classifier
        self.estimator = estimator
        self.safety = SafetyMonitor(device, safety, (*classifier.channels, *estimator.channels))
        self._law = AssistanceLaw(assistance, device.actuated, body_mass_kg, device.control_rate_hz)
        self._phase = GaitPhase()
        answered = {name: i for i, name in enumerate(estimator.joints)}
        self._driven = np.array([name in answered for name in device.actuated], dtype=bool)
        self._source = np.array([answered[n] for n in device.actuated if n in answered], dtype=np.intp)
        self._silence = np.full(len(estimator.joints), math.nan)
        self._rest = np.zeros(len(device.actuated))
        self._silence.flags.writeable = self._rest.flags.writeable = False
        self.reset()

    def reset(self) -> None:
        """Forget the past, faults too; call before a new run."""
        self.safety.reset()
        self._start_afresh()
        self.telemetry = Telemetry(None, self._silence, self._rest)

    def step(self, frame: SensorFrame) -> TorqueCommand:
        """One frame in, the torque command (n_actuated,) Nm out; never raises for what a frame holds."""
        telemetry = self.telemetry = Telemetry(None, self._silence, self._rest)
        usable = self.safety.admit(frame)
        if usable is None:
            self._stale = True
            return self.safety.command(self._rest)
        part = "classifier_error"
        try:
            if self._stale:
                self._start_afresh()
            if all(name in usable.layout for name in PHASE_CHANNELS):
                telemetry.phase = self._phase.update(usable)
            telemetry.mode = mode = self.classifier.update(usable)
            part = "estimator_error"
            telemetry.estimate = self._estimate(usable, mode)
        except Exception as error:  # whatever a plugged-in part does, the exo stays in control
            self._stale = True
            self.safety.report(part, f"{type(error).__name__}: {error}")
            return self.safety.command(self._rest)
        own = np.zeros(len(self._rest))
        own[self._driven] = telemetry.estimate[self._source]
        telemetry.request = self._law.update(own, mode)
        return self.safety.command(telemetry.request)

    def _estimate(self, frame: SensorFrame, mode: ModeEstimate) -> FloatArray:
        estimate = np.array(self.estimator.update(frame, mode), dtype=float)
        if estimate.shape != self._silence.shape:
            raise ValueError(f"estimate of shape {estimate.shape}, expected {self._silence.shape}")
        if np.isinf(estimate).any():
            raise ValueError("the estimate is infinite")
        return estimate

    def _start_afresh(self) -> None:
        """Drop all history: it has a hole in it."""
        self.classifier.reset()
        self.estimator.reset()
        self._law.reset()
        self._phase.reset()
        self._stale = False


class ZeroController:
    """A `Controller` that never asks for torque: the exo worn but unpowered, or (no joints) not worn."""

    def __init__(self, joints: tuple[str, ...] = ()) -> None:
        self._joints = joints

    def reset(self) -> None:
        """Nothing to forget."""

    def step(self, frame: SensorFrame) -> TorqueCommand:
        """Zero torque at every joint."""
        return TorqueCommand(frame.time, self._joints, np.zeros(len(self._joints)))
