"""The device description: what joints an exoskeleton drives, with which actuators and which sensors.

One YAML file a device, read by the plant (to build it), by the stack (to stay inside its limits) and
by the real device alike. Every error names the bad key and the nearest right one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from .config import Config, parse_yaml, require_known
from .interface import ChannelLayout
from .names import IMU_AXES, JOINTS, MUSCLES, SIDED_JOINTS, SIDES, Vector
from .sensor_specs import EmgSpec, EncoderSpec, ImuSpec, InsoleSpec, LoadCellSpec, UltrasoundSpec, with_preset

__all__ = [
    "JOINTS",
    "MUSCLES",
    "SIDED_JOINTS",
    "SIDES",
    "ActuatedJoint",
    "Actuator",
    "Attachment",
    "Cuff",
    "DeviceDescription",
    "Sensors",
    "Shape",
    "load_device",
]


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


class Sensors(Config):
    """All that the device measures; an absent entry is a sensor it does not have.

    preset: ``research`` or ``consumer``, the class whose error figures hold where the device gives none of its own.
    """

    preset: str | None = None
    imu: ImuSpec | None = None
    encoder: EncoderSpec | None = None
    insole: InsoleSpec | None = None
    emg: EmgSpec | None = None
    load_cell: LoadCellSpec | None = None
    ultrasound: UltrasoundSpec | None = None

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: object) -> object:
        return with_preset(data) if isinstance(data, dict) else data


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
        """Channels of every `SensorFrame` this device makes, in order; ultrasound gives images, not channels."""
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
        if s.load_cell:
            names += [f"load_cell/{joint}" for joint in self.actuated]
        return ChannelLayout(names)


def load_device(path: str | Path) -> DeviceDescription:
    """Read a device YAML. Raises FileNotFoundError, or ValueError that names file, key and nearest key."""
    return parse_yaml(DeviceDescription, Path(path).read_text(encoding="utf-8"), path)
