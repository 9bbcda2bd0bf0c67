"""The person: myo-sim's reduced legs, mended and scaled to a subject, as an editable MuJoCo model.

The source is known here, in `person_muscles` and in `proportions`; everything else sees DESIGN.md's joints, signs and
frames.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from ..controllers.device import JOINTS, SIDES
from .person_muscles import add_muscles, add_rotators
from .proportions import KNEE_IN_FEMUR, KNEE_IN_TIBIA, SEGMENTS, mirrored, segment_origins, segment_sizes, source_model
from .segments import Mass, foot_segment, limb_segment, pelvis_segment, upper_body, without
from .subjects import Subject

HEEL = np.array([-0.02, 0.02, 0.0])  # m; back of the heel, at the height of the foot's centre, in the calcaneus; chosen

# Ranges (rad). Hip extension 30 and dorsiflexion 35 deg, as people need for fast walking and stairs; the knee may
# hyperextend by 5 deg.
JOINT_RANGE = {
    "hip_flexion": (-0.524, 2.1),
    "hip_adduction": (-0.7, 0.524),
    "hip_rotation": (-0.698, 0.698),
    "knee_flexion": (-0.087, 2.4),
    "ankle_dorsiflexion": (-0.87, 0.61),
    "mtp_extension": (-0.35, 0.9),
}
# Passive structures beyond the muscles: stiffness Nm/rad, damping Nms/rad. Hip rotation's spring is twice that of the
# bare joint (0.5 Nm/deg between the stops of a hip: PMC6388720) and stands for the tone of its rotators (chosen); toes
# 30 Nm/rad lies inside the 25-40 measured in walking models; damping chosen.
PASSIVE_JOINT = {
    "hip_flexion": (0.0, 0.5),
    "hip_adduction": (0.0, 0.5),
    "hip_rotation": (60.0, 3.0),
    "knee_flexion": (0.0, 0.3),
    "ankle_dorsiflexion": (0.0, 0.3),
    "mtp_extension": (30.0, 0.5),
}
# Axes in the child's frame for the right leg; the left mirrors adduction and rotation so that the names hold.
AXIS = {
    "hip_flexion": (0, 0, 1),
    "hip_adduction": (1, 0, 0),
    "hip_rotation": (0, 1, 0),
    "knee_flexion": (0, 0, -1),
    "ankle_dorsiflexion": (0, 0, 1),
    "mtp_extension": (0, 0, 1),
}
MIRRORED_AXES = ("hip_adduction", "hip_rotation")

# People stand and walk with the pelvis tilted forward by about 9 deg under an upright trunk (Bovi 2011): the lumbar
# spine is bent back at the lumbosacral joint, 25 mm behind and 80 mm above the middle of the hips (source's size;
# chosen between L5-S1 landmarks).
LORDOSIS = np.deg2rad(9.0)
LUMBOSACRAL = np.array([-0.096, 0.014, 0.0])

FOOT_RADIUS = 0.02
# Contact time constant (s) and damping ratio: body weight on both feet sinks 4 mm, like heel pad and shoe.
CONTACT = [0.02, 1.0]
# Centres of the contact spheres (m, right foot): heel, lateral midfoot and ball on the calcaneus, and the toes.
# They stand for bone plus 10 mm of sole and a shoe's heel; they alone touch the ground.
FOOT_SPHERES: dict[str, tuple[tuple[float, float, float], ...]] = {
    "calcn": (
        (-0.008, 0.0, 0.02),
        (-0.008, 0.0, -0.02),
        (0.09, 0.0, 0.03),
        (0.155, 0.0, 0.045),
        (0.17, 0.0, -0.025),
    ),
    "toes": ((0.02, 0.002, 0.035), (0.045, 0.002, -0.015)),
}


def build_person(subject: Subject, visual: bool = False) -> mujoco.MjSpec:
    """An uncompiled model of the subject without a floor: 18 coordinates, 26 muscles, rotators of the hip, sphere feet.

    The free joint `root` sits at the pelvis origin with its frame along the world's. visual adds the bones, which
    weigh and touch nothing. Body frames: x forward, y up, z right.
    """
    source = source_model()[1]
    spec = mujoco.MjSpec()
    spec.modelname = "person"
    spec.compiler.degree = False
    spec.compiler.autolimits = True
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_EULER
    # Explicit joint damping keeps qacc the true acceleration, so that the torque split closes to rounding.
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_EULERDAMP
    spec.option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    spec.option.iterations = 50
    spec.option.tolerance = 1e-12

    root = spec.worldbody.add_body(name="root", pos=[0, 0, 1])
    root.add_freejoint(name="root")
    root.mass = 0.0
    pelvis = root.add_body(name="pelvis", quat=[np.sqrt(0.5), np.sqrt(0.5), 0, 0])
    pelvis.add_site(name="pelvis")
    sizes = segment_sizes(subject)
    back, joint = np.array([np.cos(LORDOSIS / 2), 0, 0, np.sin(LORDOSIS / 2)]), np.zeros(3)
    lumbosacral = sizes["pelvis"] * LUMBOSACRAL
    mujoco.mju_rotVecQuat(joint, lumbosacral, back)
    # The torso's frame is the pelvis' turned about the lumbosacral joint.
    torso = pelvis.add_body(name="torso", pos=lumbosacral - joint, quat=back)
    _add_trunk_inertia(subject, pelvis, torso, segment_origins(source, sizes, "r")["femur"])
    for side in SIDES:
        _add_leg(spec, pelvis, subject, source, sizes, side)
        add_muscles(spec, subject, source, sizes, side)
    for side in SIDES:
        add_rotators(spec, subject, side)
    if visual:
        _add_bones(spec, sizes)
    return spec


def _add_trunk_inertia(subject: Subject, pelvis: Any, torso: Any, hip: np.ndarray) -> None:
    """Share the upper body's mass between pelvis and torso; fore and aft it is balanced over the hip joints."""
    middle = np.array([hip[0], hip[1], 0.0])
    upper_length = subject.height_m - subject.leg_length_m
    lower = pelvis_segment(subject.sex, subject.mass_kg, upper_length)
    whole = upper_body(subject.sex, subject.mass_kg, subject.height_m, upper_length)
    for body, part in ((pelvis, lower), (torso, without(whole, [lower]))):
        _set_inertia(body, part._replace(centre=part.centre + middle))


def _set_inertia(body: Any, part: Mass) -> None:
    body.explicitinertial = True
    body.mass = float(part.mass)
    body.ipos = part.centre
    body.inertia = part.inertia


def _add_leg(
    spec: mujoco.MjSpec, pelvis: Any, subject: Subject, source: Any, sizes: dict[str, np.ndarray], side: str
) -> None:
    origin = segment_origins(source, sizes, side)
    knee = KNEE_IN_TIBIA * sizes["tibia"]
    body = pelvis
    for segment in SEGMENTS:
        body = body.add_body(name=f"{segment}_{side}", pos=origin[segment])
        for joint in _joints_of(segment):
            _add_joint(body, joint, side, knee if joint == "knee_flexion" else np.zeros(3))
        for i, centre in enumerate(FOOT_SPHERES.get(segment, ())):
            body.add_geom(
                name=f"{segment}_{side}_sole{i}",
                type=mujoco.mjtGeom.mjGEOM_SPHERE,
                size=[FOOT_RADIUS, 0, 0],
                pos=mirrored(centre, side) * sizes[segment],
                mass=0.0,
                contype=1,
                conaffinity=0,
                condim=3,
                friction=[0.9, 0.005, 0.0001],
                solref=CONTACT,
                group=3,
            )
    sex, mass = subject.sex, subject.mass_kg
    thigh = limb_segment(sex, "thigh", mass, np.zeros(3), KNEE_IN_FEMUR * sizes["femur"])
    shank = limb_segment(sex, "shank", mass, knee, origin["talus"])
    foot = foot_segment(sex, mass, subject.foot_length_m, HEEL * sizes["calcn"])
    share = foot.mass / sum(float(source.body(f"{b}_{side}").mass[0]) for b in ("talus", "calcn", "toes"))
    parts = {"femur": thigh, "tibia": shank}
    for name in ("talus", "toes"):
        original = source.body(f"{name}_{side}")
        # Mirrored from the right leg, because the source forgot to mirror the left toes.
        middle = mirrored(source.body(f"{name}_r").ipos, side) * sizes[name]
        parts[name] = Mass(float(original.mass[0]) * share, middle, original.inertia * share * sizes[name] ** 2)
    places = {"talus": -origin["calcn"], "toes": origin["toes"]}
    parts["calcn"] = without(foot, [parts[n]._replace(centre=parts[n].centre + p) for n, p in places.items()])
    for name, part in parts.items():
        _set_inertia(spec.body(f"{name}_{side}"), part)


def _joints_of(segment: str) -> tuple[str, ...]:
    return {
        "femur": JOINTS[:3],
        "tibia": ("knee_flexion",),
        "talus": ("ankle_dorsiflexion",),
        "toes": ("mtp_extension",),
    }.get(segment, ())


def _add_joint(body: Any, joint: str, side: str, anchor: np.ndarray) -> None:
    axis = np.array(AXIS[joint], dtype=float)
    if side == "l" and joint in MIRRORED_AXES:
        axis = -axis
    stiffness, damping = PASSIVE_JOINT[joint]
    body.add_joint(
        name=f"{joint}_{side}",
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=axis,
        pos=anchor,
        range=JOINT_RANGE[joint],
        limited=1,
        stiffness=[stiffness, 0, 0],
        damping=[damping, 0, 0],
        armature=0.01 if joint == "mtp_extension" else 0.0,
        solref_limit=[0.02, 1.0],
    )


def _add_bones(spec: mujoco.MjSpec, sizes: dict[str, np.ndarray]) -> None:
    """Draw the source's bones: leg meshes on their segments, spine, ribs and skull fixed to the torso."""
    import myo_sim

    source, compiled = source_model()
    data = mujoco.MjData(compiled)
    mujoco.mj_kinematics(compiled, data)
    files = {mesh.name: mesh.file for mesh in source.meshes}
    spec.add_material(name="bone", rgba=[0.87, 0.84, 0.78, 1])
    ours = {body.name for body in spec.bodies}
    for body in source.bodies:
        if not body.name or body.name == "world":
            continue
        owner = body.name if body.name in ours else "torso"
        size = sizes[owner.removesuffix("_r").removesuffix("_l")]
        frame = "pelvis" if owner == "torso" else owner  # our torso frame is the pelvis frame
        i, j = compiled.body(body.name).id, compiled.body(frame).id
        inverse = np.zeros(4)
        mujoco.mju_negQuat(inverse, data.xquat[j])
        for geom in body.geoms:
            if geom.type != mujoco.mjtGeom.mjGEOM_MESH or geom.meshname not in files:
                continue
            if geom.meshname not in {mesh.name for mesh in spec.meshes}:
                mesh = spec.add_mesh(name=geom.meshname, scale=size)
                mesh.file = str(myo_sim.MODELS_DIR / files[geom.meshname])
            offset, world_quat, quat = np.zeros(3), np.zeros(4), np.zeros(4)
            mujoco.mju_rotVecQuat(offset, np.array(geom.pos), data.xquat[i])
            offset += data.xpos[i] - data.xpos[j]
            position = np.zeros(3)
            mujoco.mju_rotVecQuat(position, offset, inverse)
            mujoco.mju_mulQuat(world_quat, data.xquat[i], np.array(geom.quat))
            mujoco.mju_mulQuat(quat, inverse, world_quat)
            spec.body(owner).add_geom(
                type=mujoco.mjtGeom.mjGEOM_MESH,
                meshname=geom.meshname,
                pos=position * size,
                quat=quat,
                mass=0.0,
                contype=0,
                conaffinity=0,
                material="bone",
                group=1,
            )
