"""The exoskeleton: adds a device's pieces, drives, cuffs and IMUs to a person, and runs the drives.

A drive is a rotor on the proximal segment with a coordinate of its own, the device angle, tied to the limb's
joint by the cuff (a spring-damper). So the exo's torque on the limb is the cuff's, an internal torque.
"""

from __future__ import annotations

import math
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..controllers.device import SIDES, Actuator, Attachment, Cuff, DeviceDescription
from ..controllers.interface import FloatArray, closest
from .compiled import compiled

PREFIX = "exo_"  # of every element that a device adds; joint, tendon and actuator are exo_<joint>_<side>
NOMINAL_SHANK = 0.4  # m, knee to ankle of the 1.67 m person for whom positions on the body are given
ROTOR_MASS = 1e-6  # kg; the drive's real mass is among the pieces, its inertia is the coordinate's armature
TAPER = 0.2  # share of the speed range over which the torque fades: stall at five times the peak torque (chosen)
PIECE_COLOUR = (0.16, 0.18, 0.2, 1.0)


def attach_device(spec: mujoco.MjSpec, device: DeviceDescription) -> None:
    """Put a device on a person's uncompiled model.

    Adds, all named ``exo_...``: pieces with mass that touch nothing; for each actuated joint a hinge (the
    device angle), a tendon (the cuff: its length is device minus limb angle) and a `motor` actuator without
    dynamics. Also sites ``imu_<site>`` with sensors ``imu_<site>_acc`` (specific force, m/s^2) and
    ``imu_<site>_gyro`` (rad/s) in the axes of their segment (x forward, y up, z right).
    Viscous friction is the hinge's damping; everything else about the drives is in `drive`.
    Raises ValueError if the person lacks a segment or joint, or assist_sim the device.
    """
    # By handle, not `spec.body(name)`: in MuJoCo 3.11 that look-up goes astray once a body has been added.
    segments = {body.name: body for body in spec.bodies}
    limbs = {joint.name: joint for joint in spec.joints}
    scale = float(np.linalg.norm(_find("segment", "talus_r", segments).pos)) / NOMINAL_SHANK
    if device.body == "attachments":
        for piece in device.attachments:
            for suffix in ("",) if piece.segment == "pelvis" else tuple(f"_{s}" for s in SIDES):
                segment = _find("segment", piece.segment + suffix, segments)
                _add_piece(segment, piece, suffix, scale)
    else:
        _add_assist_sim(spec, segments, device.body.partition(":")[2], scale)
    for joint in device.joints:
        for side in SIDES:
            limb = _find("joint", f"{joint.name}_{side}", limbs)
            _add_drive(spec, limb, joint.actuator, joint.cuff)
    if device.sensors.imu:
        for mount in device.sensors.imu.mounts:
            site = f"imu_{mount.site}"
            position = scale * np.array(mount.position_m)
            segment = _find("segment", mount.segment, segments)
            segment.add_site(name=site, pos=position, size=[0.012] * 3, group=4)
            for suffix, kind in (
                ("acc", mujoco.mjtSensor.mjSENS_ACCELEROMETER),
                ("gyro", mujoco.mjtSensor.mjSENS_GYRO),
            ):
                spec.add_sensor(name=f"{site}_{suffix}", type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=site)


def align_device(model: mujoco.MjModel, data: mujoco.MjData, device: DeviceDescription) -> None:
    """Set the device angles and velocities to the limbs', so that a run starts with slack cuffs."""
    for name in device.actuated:
        limb, exo = model.joint(name), model.joint(PREFIX + name)
        data.qpos[exo.qposadr] = data.qpos[limb.qposadr]
        data.qvel[exo.dofadr] = data.qvel[limb.dofadr]


def _find(kind: str, name: str, known: dict[str, Any]) -> Any:
    if name not in known:
        raise ValueError(f"the person has no {kind} {name!r}{closest(name, known)}")
    return known[name]


def _add_piece(segment: Any, piece: Attachment, suffix: str, scale: float) -> None:
    centre = scale * np.array(piece.com_m)
    if suffix == "_l":
        centre[2] = -centre[2]
    body = segment.add_body(name=f"{PREFIX}{piece.name}{suffix}", pos=centre)
    _set_inertia(body, piece.mass_kg, np.zeros(3), piece.inertia_kgm2)
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=piece.size_m,
        mass=0.0,
        contype=0,
        conaffinity=0,
        rgba=PIECE_COLOUR,
    )


def _set_inertia(body: Any, mass: float, centre: Any, inertia: Any) -> None:
    body.explicitinertial = True
    body.mass, body.ipos, body.inertia = mass, centre, inertia


def _add_assist_sim(spec: mujoco.MjSpec, segments: dict[str, Any], key: str, scale: float) -> None:
    """The pieces of an assist_sim model with inertias and meshes; its actuators and sensors stay behind."""
    from assist_sim.config import DeviceConfig

    models = Path(str(files("assist_sim").joinpath("models")))
    config_file = models / key / "L1config.yaml"
    if not config_file.exists():
        known = sorted(path.parent.name for path in models.glob("*/L1config.yaml"))
        raise ValueError(f"assist_sim has no device {key!r}{closest(key, known)}")
    config = DeviceConfig.from_yaml(str(config_file))
    spec.copy_during_attach = True
    for attachment in config.resolve_attachments("myolegs26"):
        # A fresh copy for every piece, with its own meshes only: names must not come twice.
        source = mujoco.MjSpec.from_file(str(config.model_xml_path))
        piece = source.body(attachment.device_body)
        meshes = {geom.meshname for geom in piece.find_all("geom")}
        for mesh in list(source.meshes):
            if mesh.name in meshes:
                mesh.file = str(config_file.parent / mesh.file)
            else:
                source.delete(mesh)
        for geom in piece.find_all("geom"):
            geom.contype = geom.conaffinity = 0
        piece.pos = scale * np.array(piece.pos)
        segment = _find("segment", attachment.parent_body, segments)
        segment.add_frame().attach_body(piece, PREFIX, "")


def _add_drive(spec: mujoco.MjSpec, limb: Any, actuator: Actuator, cuff: Cuff) -> None:
    name, segment = limb.name, limb.parent
    rotor = segment.parent.add_body(name=f"{PREFIX}{name}_rotor", pos=segment.pos, quat=segment.quat)
    _set_inertia(rotor, ROTOR_MASS, limb.pos, np.full(3, ROTOR_MASS * 1e-4))
    hinge = rotor.add_joint(name=PREFIX + name, type=mujoco.mjtJoint.mjJNT_HINGE, axis=limb.axis, pos=limb.pos)
    hinge.limited = mujoco.mjtLimited.mjLIMITED_FALSE
    hinge.armature = actuator.reflected_inertia_kgm2
    # MuJoCo 3.11 holds these as polynomials; the first coefficient is the linear one.
    hinge.damping = [actuator.viscous_friction_nms_per_rad, 0.0, 0.0]
    tendon = spec.add_tendon(name=PREFIX + name, springlength=[0.0, 0.0])
    tendon.stiffness = [cuff.stiffness_nm_per_rad, 0.0, 0.0]
    tendon.damping = [cuff.damping_nms_per_rad, 0.0, 0.0]
    tendon.wrap_joint(PREFIX + name, 1.0)
    tendon.wrap_joint(name, -1.0)
    motor = spec.add_actuator(name=PREFIX + name, trntype=mujoco.mjtTrn.mjTRN_JOINT, target=PREFIX + name)
    motor.set_to_motor()


class DriveTables(NamedTuple):
    """The drives' constants as `drive` takes them, each (n,) in the order of `DeviceDescription.actuated`.

    delay_steps: physics steps. smoothing: share of the way that the low-pass goes in a step. torque_min,
    torque_max: Nm. rate_step: Nm a step. speed_limit: rad/s. coulomb: Nm. coulomb_speed: rad/s.
    """

    delay_steps: NDArray[np.int64]
    smoothing: FloatArray
    torque_min: FloatArray
    torque_max: FloatArray
    rate_step: FloatArray
    speed_limit: FloatArray
    coulomb: FloatArray
    coulomb_speed: FloatArray


class DriveState(NamedTuple):
    """What the drives remember: line (n, longest delay + 1) past commands, cursor (1,), torque (n,) Nm."""

    line: FloatArray
    cursor: NDArray[np.int64]
    torque: FloatArray


def actuator_step_parameters(device: DeviceDescription, timestep: float) -> DriveTables:
    """Tables of a device's drives for one physics timestep (s).

    The delay is rounded to whole steps. The low-pass is the exact zero-order-hold discretisation of a
    first-order lag, 1 - exp(-2 pi f dt). Coulomb friction is smoothed to tau_c tanh(v / v0); v0 is 0.1 rad/s
    or, where the rotor is light, 2 tau_c dt / I: half the slope at which friction would overshoot zero
    velocity in one step.
    """

    def column(field: str) -> FloatArray:
        return np.array([getattr(a, field) for a in device.actuators], dtype=float)

    coulomb = column("coulomb_friction_nm")
    return DriveTables(
        delay_steps=np.rint(column("delay_s") / timestep).astype(np.int64),
        smoothing=1.0 - np.exp(-2.0 * math.pi * column("bandwidth_hz") * timestep),
        torque_min=column("torque_min_nm"),
        torque_max=column("torque_max_nm"),
        rate_step=column("rate_limit_nm_per_s") * timestep,
        speed_limit=column("speed_limit_rad_s"),
        coulomb=coulomb,
        coulomb_speed=np.maximum(0.1, 2.0 * coulomb * timestep / column("reflected_inertia_kgm2")),
    )


def drive_state(tables: DriveTables) -> DriveState:
    """Drives at rest with no command under way."""
    n = len(tables.delay_steps)
    length = int(tables.delay_steps.max(initial=0)) + 1
    return DriveState(np.zeros((n, length)), np.zeros(1, np.int64), np.zeros(n))


@compiled
def drive(
    command: FloatArray,
    line: FloatArray,
    cursor: NDArray[np.int64],
    torque: FloatArray,
    delay_steps: NDArray[np.int64],
    smoothing: FloatArray,
    torque_min: FloatArray,
    torque_max: FloatArray,
    rate_step: FloatArray,
    speed_limit: FloatArray,
    coulomb: FloatArray,
    coulomb_speed: FloatArray,
    velocity: FloatArray,
    torque_out: FloatArray,
) -> None:
    """Advance all drives by one physics step: ``drive(command, *state, *tables, velocity, torque_out)``.

    command: (n,) Nm as last sent by the controller; a drive ignores what is not a number and takes zero.
    velocity: (n,) rad/s of the device hinges. torque_out: (n,) Nm on the rotors, the `motor` actuators' ctrl.
    In order: delay, torque limits, low-pass, rate limit, fading of the driving torque near the speed limit
    (braking torque stays), Coulomb friction.
    """
    length = line.shape[1]
    now = cursor[0]
    for i in range(command.shape[0]):
        sent = command[i]
        line[i, now] = sent if math.isfinite(sent) else 0.0
        wanted = line[i, (now - delay_steps[i]) % length]
        wanted = min(max(wanted, torque_min[i]), torque_max[i])
        change = smoothing[i] * (wanted - torque[i])
        torque[i] += min(max(change, -rate_step[i]), rate_step[i])
        applied = torque[i]
        if applied * velocity[i] > 0.0:
            headroom = (speed_limit[i] - abs(velocity[i])) / (TAPER * speed_limit[i])
            headroom = min(max(headroom, 0.0), 1.0)
            applied = min(max(applied, torque_min[i] * headroom), torque_max[i] * headroom)
        torque_out[i] = applied - coulomb[i] * math.tanh(velocity[i] / coulomb_speed[i])
    cursor[0] = (now + 1) % length
