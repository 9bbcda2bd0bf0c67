"""The device description: what joints an exoskeleton drives, with which actuators and which sensors.

One YAML file a device, read by the plant (to build it), by the stack (to stay inside its limits) and
by the real device alike. Every error names the bad key and the nearest right one.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from .config import Config, parse_yaml, require_known
from .interface import ChannelLayout

JOINTS = (
    "hip_flexion",
    "hip_adduction",
    "hip_rotation",
    "knee_flexion",
    "ankle_dorsiflexion",
    "mtp_extension",
)
SIDES = ("r", "l")
SIDED_JOINTS = tuple(f"{joint}_{side}" for side in SIDES for joint in JOINTS)
IMU_AXES = ("ax", "ay", "az", "gx", "gy", "gz")
MUSCLES = (
    "abd",
    "add",
    "hamstrings",
    "bifemsh",
    "edl",
    "fdl",
    "glutmax",
    "iliopsoas",
    "rectfem",
    "vasti",
    "gastroc",
    "soleus",
    "tibant",
)

Vector = tuple[float, float, float]


class Actuator(Config):
    """One drive: motor, transmission and its current loop, all seen at the joint.

    The command passes a pure delay, the torque limits, a first-order low-pass at the torque bandwidth and
    the rate limit; near the speed limit the torque along the motion fades. What is left drives the rotor
    (reflected inertia, Coulomb and viscous friction).
    """

    torque_min_nm: float
    torque_max_nm: float
    rate_limit_nm_per_s: float = Field(gt=0)
    speed_limit_rad_s: float = Field(gt=0)
    bandwidth_hz: float = Field(gt=0)
    delay_s: float = Field(ge=0, le=0.1)
    coulomb_friction_nm: float = Field(ge=0)
    viscous_friction_nms_per_rad: float = Field(ge=0)
    reflected_inertia_kgm2: float = Field(gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Actuator:
        if not self.torque_min_nm <= 0.0 <= self.torque_max_nm:
            raise ValueError("torque_min_nm must be <= 0 and torque_max_nm >= 0")
        return self


class Cuff(Config):
    """The compliance between drive and limb (straps and soft tissue), as a rotational spring-damper."""

    stiffness_nm_per_rad: float = Field(gt=0)
    damping_nms_per_rad: float = Field(ge=0)


class ActuatedJoint(Config):
    """A joint the device drives on both sides; `name` has no side."""

    name: str
    actuator: Actuator
    cuff: Cuff

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        require_known("joint", [name], JOINTS)
        return name


class Shape(Config):
    """What a piece looks like in pictures; it has no mass and touches nothing.

    Points are in the segment's frame for the right leg, as for the piece. box: half lengths size about `at`.
    disc: a cylinder about z, size = radius, radius, half thickness. bar: from `at` to `to`, half widths
    size[0] fore-aft and size[2] sideways. cuff: a thin shell about y, size = radius fore-aft, half height, radius
    sideways, over arc_deg, counted from forward to outward.
    """

    kind: Literal["box", "disc", "bar", "cuff"]
    at_m: Vector
    size_m: Vector
    to_m: Vector | None = None
    arc_deg: tuple[float, float] = (0.0, 360.0)
    colour: Literal["frame", "accent", "metal", "pad"] = "frame"

    @model_validator(mode="after")
    def _bar_has_two_ends(self) -> Shape:
        if (self.to_m is None) == (self.kind == "bar"):
            raise ValueError(f"to_m is for a bar and only for a bar, not a {self.kind}")
        return self


class Attachment(Config):
    """A rigid piece of the device on a body segment, in the segment's frame (x forward, y up, z right).

    Positions are for a person of 1.67 m and move with the body's size; the piece itself does not grow.

    `segment`: pelvis, femur, tibia, calcn or toes; all but the pelvis are mounted on both legs and the
    left one mirrored in z. inertia: principal moments about the piece's centre of mass. size: half
    lengths of the box it is drawn as, unless `shapes` says more.
    """

    name: str
    segment: Literal["pelvis", "femur", "tibia", "calcn", "toes"]
    mass_kg: float = Field(ge=0)
    com_m: Vector
    inertia_kgm2: Vector
    size_m: Vector = (0.03, 0.03, 0.02)
    shapes: tuple[Shape, ...] = ()


class ImuSpec(Config):
    """IMU errors (white-noise density, turn-on bias, gain, range, delay) and mounts; one error model for all.

    Every site's axes are its segment's: x forward, y up, z right when standing. The resolution is the
    range over 2^(bits - 1); an infinite range is neither clipped nor quantised.
    """

    class Mount(Config):
        """A site on a segment (both with their side: ``thigh_r`` on ``femur_r``); position in its frame."""

        site: str
        segment: str
        position_m: Vector

    mounts: tuple[Mount, ...]
    rate_hz: float = 200.0
    accel_noise_density: float = Field(default=0.0, ge=0, description="m/s^2/sqrt(Hz)")
    gyro_noise_density: float = Field(default=0.0, ge=0, description="rad/s/sqrt(Hz)")
    accel_bias_sd: float = Field(default=0.0, ge=0, description="m/s^2")
    gyro_bias_sd: float = Field(default=0.0, ge=0, description="rad/s")
    accel_gain_sd: float = Field(default=0.0, ge=0)
    gyro_gain_sd: float = Field(default=0.0, ge=0)
    accel_range: float = Field(default=math.inf, gt=0, description="m/s^2")
    gyro_range: float = Field(default=math.inf, gt=0, description="rad/s")
    bits: int = Field(default=16, ge=8, le=32)
    delay_s: float = Field(default=0.0, ge=0)


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


class InsoleSpec(Config):
    """Pressure insoles: vertical force and centre of pressure in the foot's frame (x forward, y left)."""

    rate_hz: float = 100.0
    force_noise_n: float = Field(default=0.0, ge=0)
    gain_sd: float = Field(default=0.0, ge=0)
    cop_noise_m: float = Field(default=0.0, ge=0)
    threshold_n: float = Field(default=20.0, ge=0)
    delay_s: float = Field(default=0.0, ge=0)


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


class Sensors(Config):
    """All that the device measures; an absent entry is a sensor it does not have."""

    imu: ImuSpec | None = None
    encoder: EncoderSpec | None = None
    insole: InsoleSpec | None = None
    emg: EmgSpec | None = None


class DeviceDescription(Config):
    """An exoskeleton. `body` says where its pieces come from: ``attachments`` or ``assist_sim:<key>``."""

    name: str
    title: str
    control_rate_hz: float = Field(default=200.0, ge=100.0, le=1000.0)
    body: str = Field(default="attachments", pattern=r"^(attachments|assist_sim:\w+)$")
    attachments: tuple[Attachment, ...] = ()
    joints: tuple[ActuatedJoint, ...]
    sensors: Sensors
    sources: tuple[str, ...] = Field(min_length=1)

    @property
    def actuated(self) -> tuple[str, ...]:
        """Actuated joints with side, right leg first: the order of every torque vector."""
        return tuple(f"{j.name}_{s}" for s in SIDES for j in self.joints)

    @property
    def actuators(self) -> tuple[Actuator, ...]:
        """The actuator of each entry of `actuated`."""
        return tuple(j.actuator for _ in SIDES for j in self.joints)

    @property
    def layout(self) -> ChannelLayout:
        """Channels of every `SensorFrame` this device makes, in order."""
        names: list[str] = []
        s = self.sensors
        if s.imu:
            names += [f"imu/{m.site}/{axis}" for m in s.imu.mounts for axis in IMU_AXES]
        if s.encoder:
            names += [
                f"encoder/{j}_{side}/{q}" for side in SIDES for j in s.encoder.joints for q in ("angle", "velocity")
            ]
        if s.insole:
            names += [f"insole/{side}/{q}" for side in SIDES for q in ("force", "cop_x", "cop_y")]
        if s.emg:
            names += [f"emg_env/{m}_{side}" for side in SIDES for m in s.emg.muscles]
        return ChannelLayout(names)


def load_device(path: str | Path) -> DeviceDescription:
    """Read a device YAML. Raises FileNotFoundError, or ValueError that names file, key and nearest key."""
    return parse_yaml(DeviceDescription, Path(path).read_text(encoding="utf-8"), path)
