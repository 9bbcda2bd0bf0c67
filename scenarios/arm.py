"""Runs one arm of a scenario: the plant and a controller in closed loop, tick by tick."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..controllers.config import require_known
from ..controllers.device import DeviceDescription
from ..controllers.interface import FloatArray, SensorFrame, TorqueCommand
from ..controllers.profile import MeanProfile, ProfileEstimator
from ..controllers.protocols import Controller, ModeEstimate, TorqueEstimator
from ..controllers.safety import SafetyConfig
from ..controllers.stack import ControllerStack, ZeroController
from ..sim.plant import Plant
from ..sim.recording import Recording
from ..sim.runlog import RunLog
from ..sim.sensors.ultrasound import Scan
from ..sim.subjects import Subject
from ..sim.truth import BLOCKS
from .catalogue import find_bundle, profile_path
from .scenario import RUN_OUT_M, Arm, Scenario

GAIT_OF_TASK = {"walk": "walk", "stand": "stand", "sit_to_stand": "stand", "squat": "stand"}
WATCHDOG_S = 0.02  # the drives go to zero torque when no command has come for this long
PELVIS_X = BLOCKS["pelvis"][0]

Progress = Callable[[float], None]


class ControllerError(ValueError):
    """A user's own controller failed; its own exception is the cause."""


@dataclass
class ArmRun:
    """What came out of one arm.

    raw_emg, ultrasound: at their own rates, where the device measures them. realtime_factor: simulated over wall time
    of the loop. poses: (n, nq) every `runlog.VIDEO_EVERY` s, for pictures.
    """

    recording: Recording
    raw_emg: Recording | None
    ultrasound: Scan | None
    realtime_factor: float
    poses: FloatArray


class TrueTorque:
    """The oracle: a `TorqueEstimator` that reads the plant's true biological torque."""

    channels: tuple[str, ...] = ()

    def __init__(self, plant: Plant, joints: tuple[str, ...]) -> None:
        self._plant, self.joints = plant, joints

    def reset(self) -> None:
        """Nothing to forget."""

    def update(self, frame: SensorFrame, mode: ModeEstimate) -> FloatArray:
        """True biological torque now, Nm/kg."""
        return self._plant.biological_torque(self.joints)


def subject_of(scenario: Scenario) -> Subject:
    """The scenario's person."""
    return Subject("scenario", **scenario.subject.model_dump())


def build_plant(scenario: Scenario, arm: Arm, device: DeviceDescription) -> Plant:
    """The plant of one arm; in arm ``none`` the device is not worn."""
    require_known("task with a policy", [scenario.task], GAIT_OF_TASK)
    worn = None if arm.controller == "none" else device
    return Plant(
        subject_of(scenario),
        worn,
        GAIT_OF_TASK[scenario.task],
        scenario.adaptation,
        faults=scenario.faults if worn else (),
        terrain=scenario.terrain,
        impairments=scenario.impairments,
    )


def build_controller(scenario: Scenario, arm: Arm, device: DeviceDescription, plant: Plant) -> Controller:
    """The controller of one arm. Raises ValueError for channels that the device lacks or a bad custom controller."""
    if arm.controller in ("none", "unpowered"):
        return ZeroController(device.actuated if plant.device else ())
    if ":" in arm.controller:
        return _custom_controller(arm, device, scenario.subject.mass_kg)
    from ..estimators.runtime import OnnxEstimator, OnnxModeClassifier

    estimator: TorqueEstimator
    if arm.controller == "oracle":
        estimator = TrueTorque(plant, device.actuated)
    elif arm.controller == "profile":
        estimator = ProfileEstimator(MeanProfile.from_json(profile_path()))
    else:
        estimator = OnnxEstimator(find_bundle(scenario.estimator))
    return ControllerStack(
        device,
        OnnxModeClassifier(find_bundle(scenario.classifier)),
        estimator,
        scenario.assistance,
        SafetyConfig(),
        scenario.subject.mass_kg,
    )


def _custom_controller(arm: Arm, device: DeviceDescription, body_mass_kg: float) -> Controller:
    """What the user's ``module:callable`` returns when called with the device and the body mass (kg)."""
    module, _, attribute = arm.controller.partition(":")
    try:
        factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"arm {arm.name!r}: {arm.controller}: {error}") from None
    try:
        controller = factory(device, body_mass_kg)
    except Exception as error:
        raise ControllerError(
            f"arm {arm.name!r}: {arm.controller}(device, body_mass_kg) raised {type(error).__name__}: {error}"
        ) from error
    if not isinstance(controller, Controller):
        raise ValueError(f"arm {arm.name!r}: {arm.controller} must return an object with reset() and step(frame)")
    return controller


class ArmLoop:
    """The loop of one arm; `run` may be interrupted, `result` gives what there is."""

    def __init__(self, scenario: Scenario, arm: Arm, device: DeviceDescription, seed: int) -> None:
        self.scenario, self.arm, self.seed = scenario, arm, seed
        self.plant = build_plant(scenario, arm, device)
        self.controller = build_controller(scenario, arm, device, self.plant)
        stack = self.controller if isinstance(self.controller, ControllerStack) else None
        self.stack = stack
        joints = stack.estimator.joints if stack else ()
        self.log = RunLog(self.plant, scenario.duration_s, joints)
        self.wall = 0.0
        self.finished = False

    def run(self, progress: Progress | None = None) -> None:
        """Walk the scenario's duration, or until a fall or the end of the terrain."""
        plant, log, scenario = self.plant, self.log, self.scenario
        steps = round(scenario.duration_s * plant.rate)
        tell = max(1, steps // 50)
        torque = np.zeros(len(plant.device.actuated) if plant.device else 0)
        silence = 0
        end = scenario.terrain.length_m + RUN_OUT_M if scenario.until == "end_of_terrain" else np.inf
        speed, posture = scenario.speed_at(0.0), scenario.posture_at(0.0)
        self.controller.reset()
        begun = time.perf_counter()
        try:
            frame = plant.reset(speed, np.random.default_rng(self.seed), posture=posture)
            for k in range(steps):
                if scenario.speed_at(plant.time) != speed:
                    speed = scenario.speed_at(plant.time)
                    plant.command_speed(speed)
                if scenario.posture_at(plant.time) != posture:
                    posture = scenario.posture_at(plant.time)
                    plant.command_posture(posture)
                faults: tuple[str, ...] = plant.active_faults
                estimate = None
                if frame is not None:
                    if plant.frame_lost:
                        silence += 1
                        if silence > WATCHDOG_S * plant.rate:
                            torque = np.zeros_like(torque)
                    else:
                        silence = 0
                        command = self._ask(frame)
                        torque, faults = command.torque, (*faults, *command.faults)
                        if not np.isfinite(torque).all():
                            torque, faults = np.zeros_like(torque), (*faults, "command_invalid")
                        if self.stack:
                            estimate = self.stack.telemetry.estimate
                log.add(frame, torque, estimate, faults)
                frame = plant.step(torque)
                if plant.fallen:
                    log.event("fall")
                    break
                if plant.row[PELVIS_X] > end:
                    log.event("end_of_terrain")
                    break
                if progress and k % tell == 0:
                    progress(k / steps)
            self.finished = True
        finally:
            self.wall += time.perf_counter() - begun

    def _ask(self, frame: SensorFrame) -> TorqueCommand:
        """The controller's command. Raises ControllerError when it fails or answers with another thing."""
        try:
            command = self.controller.step(frame)
        except Exception as error:
            raise ControllerError(
                f"arm {self.arm.name!r}: {self.arm.controller} raised {type(error).__name__} "
                f"at {frame.time:.3f} s: {error}"
            ) from error
        joints = self.plant.device.actuated if self.plant.device else ()
        if not isinstance(command, TorqueCommand):
            wrong = f"a {type(command).__name__}, not a TorqueCommand"
        elif command.joints != joints:
            wrong = f"torques for {command.joints}, but the device drives {joints}"
        elif np.shape(command.torque) != (len(joints),):
            wrong = f"torques of shape {np.shape(command.torque)} for {len(joints)} joints"
        else:
            return command
        raise ControllerError(f"arm {self.arm.name!r}: {self.arm.controller} gave {wrong}")

    def result(self) -> ArmRun:
        """The recording so far, marked partial unless the run came to its end."""
        what = (self.scenario.name, self.arm.name, self.seed, not self.finished)
        seconds = self.log.ticks / self.plant.rate
        return ArmRun(
            self.log.recording(*what),
            self.log.raw_emg(*what),
            self.log.ultrasound(self.seed),
            seconds / self.wall if self.wall else 0.0,
            np.array(self.log.poses),
        )
