"""The person: myo-sim's reduced legs, mended and scaled to a subject, as an editable MuJoCo model.

This is the one place that knows the source model; everything else sees DESIGN.md's joints, signs and frames.
"""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass
from typing import Any

import mujoco
import numpy as np

from ..controllers.device import JOINTS, MUSCLES, SIDES
from .muscle_paths import FITTED, PASSIVE, PLANTARFLEXOR_FIBRES, STRENGTH, Branch

SOURCE_STATURE = 1.67  # m; hip-to-floor 0.875 m over Winter's 0.530 H less the rounding of the foot
SOURCE_MASS = 78.0  # kg
SEGMENTS = ("femur", "tibia", "talus", "calcn", "toes")

# Fixed knee hinge fitted to the source's translating knee over 0-100 deg (tibia origin within 0.86 mm rms), m.
KNEE_IN_FEMUR = np.array([-0.009675, -0.40747, 0.0])
KNEE_IN_TIBIA = np.array([-0.00454, -0.01285, 0.0])

# Segment masses (fraction of body mass), Winter, Biomechanics and Motor Control of Human Movement, 4th ed., table 4.1.
MASS_FRACTION = {"pelvis": 0.142, "hat": 0.678, "femur": 0.100, "tibia": 0.0465, "foot": 0.0145}
# Radius of gyration about the centre of mass over segment length: transverse from the same table, about the long
# axis from de Leva 1996 (J Biomech 29:1223).
GYRATION = {"femur": (0.323, 0.149), "tibia": (0.302, 0.103)}
CENTRE = 0.433  # centre of mass of thigh and shank from the proximal joint, Winter
HAT_HEIGHT = 0.626 * 0.288  # head-arms-trunk centre of mass above the hip over stature, Winter
HAT_GYRATION = 0.496 * 0.288  # sagittal, over stature, Winter
HAT_LONGITUDINAL = 0.065  # over stature; chosen: 0.114 m for a 1.75 m adult with arms at the sides

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
# Passive structures beyond the muscles: stiffness Nm/rad, damping Nms/rad. Hip rotation has no muscle of its own
# here; toes 30 Nm/rad lies inside the 25-40 measured in walking models; damping chosen.
PASSIVE_JOINT = {
    "hip_flexion": (0.0, 0.5),
    "hip_adduction": (0.0, 0.5),
    "hip_rotation": (30.0, 2.0),
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


@dataclass(frozen=True)
class Subject:
    """A body. strength multiplies every muscle's maximum isometric force."""

    id: str = "default"
    mass_kg: float = 75.0
    height_m: float = 1.75
    strength: float = 1.0

    def __post_init__(self) -> None:
        for name, low, high in (("mass_kg", 30, 200), ("height_m", 1.2, 2.2), ("strength", 0.05, 5)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"subject {self.id!r}: {name} = {value} lies outside {low}..{high}")

    @property
    def scale(self) -> float:
        """Length of this body over the source's."""
        return self.height_m / SOURCE_STATURE

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a recording's metadata."""
        return asdict(self)


@functools.cache
def _source() -> tuple[mujoco.MjSpec, mujoco.MjModel]:
    import myo_sim

    spec = myo_sim.load_spec("myolegs26")
    return spec, spec.compile()


def build_person(subject: Subject, visual: bool = False) -> mujoco.MjSpec:
    """An uncompiled model of the subject without a floor: 18 coordinates, 26 muscles, sphere feet.

    The free joint `root` sits at the pelvis origin with its frame along the world's. visual adds the bones, which
    weigh and touch nothing. Body frames: x forward, y up, z right.
    """
    source = _source()[1]
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
    torso = pelvis.add_body(name="torso")
    _trunk_inertia(subject, pelvis, torso, _position(source, "femur_r") * subject.scale)
    for side in SIDES:
        _add_leg(spec, pelvis, subject, source, side)
        _add_muscles(spec, subject, source, side)
    _set_plantarflexor_fibres(spec)
    if visual:
        _add_bones(spec)
    return spec


def _mirror(vector: Any, side: str) -> np.ndarray:
    out = np.array(vector, dtype=float)
    if side == "l":
        out[2] = -out[2]
    return out


def _position(source: mujoco.MjModel, body: str) -> np.ndarray:
    return np.array(source.body(body).pos)


def _trunk_inertia(subject: Subject, pelvis: Any, torso: Any, hip: np.ndarray) -> None:
    """Give pelvis and torso Winter's masses so that together they have his centre of mass and inertia."""
    mass, height = subject.mass_kg, subject.height_m
    m_pelvis = MASS_FRACTION["pelvis"] * mass
    m_hat = MASS_FRACTION["hat"] * mass
    m_torso = m_hat - m_pelvis
    # Fore-aft, the head-arms-trunk mass is balanced over the hip joints.
    hat_centre = np.array([hip[0], hip[1] + HAT_HEIGHT * height, 0.0])
    pelvis_centre = np.array([hip[0], 0.0, 0.0])
    torso_centre = (m_hat * hat_centre - m_pelvis * pelvis_centre) / m_torso
    pelvis_inertia = m_pelvis * (0.06 * height) ** 2 * np.ones(3)
    transverse, longitudinal = (
        m_hat * (HAT_GYRATION * height) ** 2,
        m_hat * (HAT_LONGITUDINAL * height) ** 2,
    )
    apart = sum(m * np.sum((c - hat_centre) ** 2) for m, c in ((m_pelvis, pelvis_centre), (m_torso, torso_centre)))
    torso_inertia = np.array([transverse - apart, longitudinal, transverse - apart]) - pelvis_inertia
    for body, m, centre, inertia in (
        (pelvis, m_pelvis, pelvis_centre, pelvis_inertia),
        (torso, m_torso, torso_centre, torso_inertia),
    ):
        _set_inertia(body, m, centre, inertia)


def _set_inertia(body: Any, mass: float, centre: Any, inertia: Any) -> None:
    body.explicitinertial = True
    body.mass = float(mass)
    body.ipos = np.asarray(centre, dtype=float)
    body.inertia = np.asarray(inertia, dtype=float)


def _add_leg(spec: mujoco.MjSpec, pelvis: Any, subject: Subject, source: Any, side: str) -> None:
    s = subject.scale
    origin = {
        "femur": _position(source, f"femur_{side}"),
        "tibia": KNEE_IN_FEMUR - KNEE_IN_TIBIA,
        "talus": _position(source, f"talus_{side}"),
        "calcn": _position(source, f"calcn_{side}"),
        "toes": _position(source, f"toes_{side}"),
    }
    body = pelvis
    for segment in SEGMENTS:
        body = body.add_body(name=f"{segment}_{side}", pos=origin[segment] * s)
        for joint in _joints_of(segment):
            anchor = KNEE_IN_TIBIA * s if joint == "knee_flexion" else np.zeros(3)
            _add_joint(body, joint, side, anchor)
        for i, centre in enumerate(FOOT_SPHERES.get(segment, ())):
            body.add_geom(
                name=f"{segment}_{side}_sole{i}",
                type=mujoco.mjtGeom.mjGEOM_SPHERE,
                size=[FOOT_RADIUS, 0, 0],
                pos=_mirror(centre, side) * s,
                mass=0.0,
                contype=1,
                conaffinity=0,
                condim=3,
                friction=[0.9, 0.005, 0.0001],
                solref=CONTACT,
                group=3,
            )
    thigh = np.linalg.norm(KNEE_IN_FEMUR) * s
    shank = np.linalg.norm(origin["talus"] - KNEE_IN_TIBIA) * s
    for name, length, top in (("femur", thigh, np.zeros(3)), ("tibia", shank, KNEE_IN_TIBIA * s)):
        mass = MASS_FRACTION[name] * subject.mass_kg
        across, along = (mass * (k * length) ** 2 for k in GYRATION[name])
        middle = top + np.array([0.0, -CENTRE * length, 0.0])
        _set_inertia(spec.body(f"{name}_{side}"), mass, middle, [across, along, across])
    foot = MASS_FRACTION["foot"] * subject.mass_kg
    total = sum(float(source.body(f"{b}_{side}").mass[0]) for b in ("talus", "calcn", "toes"))
    for name in ("talus", "calcn", "toes"):
        original = source.body(f"{name}_{side}")
        ratio = foot / total
        # Mirrored from the right leg, because the source forgot to mirror the left toes.
        middle = _mirror(np.array(source.body(f"{name}_r").ipos) * s, side)
        inertia = np.array(original.inertia) * ratio * s**2
        # The source's foot inertia is a tenth of Winter's (0.475 of the 0.15 m from heel to metatarsals).
        if name == "calcn":
            inertia = np.array([0.25, 1.0, 1.0]) * foot * (0.475 * 0.15 * s) ** 2
        _set_inertia(spec.body(f"{name}_{side}"), float(original.mass[0]) * ratio, middle, inertia)


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


def _source_points(source: Any, muscle: str, side: str) -> tuple[Branch, ...]:
    """The source's own straight path through its fixed sites, in mm."""
    tendon = source.actuator(f"{muscle}_r").trnid[0]
    start, count = source.tendon_adr[tendon], source.tendon_num[tendon]
    points = []
    for wrap in range(start, start + count):
        site = source.wrap_objid[wrap]
        body = source.body(source.site_bodyid[site]).name.removesuffix("_r")
        points.append((body, tuple(1e3 * source.site_pos[site])))
    return (Branch(1.0, tuple(points)),)


def _add_muscles(spec: mujoco.MjSpec, subject: Subject, source: Any, side: str) -> None:
    s = subject.scale
    for muscle in MUSCLES:
        name = f"{muscle}_{side}"
        fit = FITTED.get(muscle)
        branches = fit.branches if fit else _source_points(source, muscle, side)
        shift = fit.length_shift * 1e-3 if fit else 0.0
        tendon = spec.add_tendon(name=name, width=0.004, rgba=[0.75, 0.2, 0.2, 1])
        for b, branch in enumerate(branches):
            if len(branches) > 1:
                tendon.wrap_pulley(1.0 / branch.weight)
            for i, (segment, point) in enumerate(branch.points):
                body = spec.body("pelvis" if segment == "pelvis" else f"{segment}_{side}")
                site = body.add_site(
                    name=f"{name}-{b}{i}", pos=_mirror(point, side) * 1e-3 * s, size=[0.004, 0, 0], group=4
                )
                tendon.wrap_site(site.name)
        original = source.actuator(f"{muscle}_r")
        prm = np.array(original.gainprm)
        # Muscle volume grows with mass x height (Handsfield 2014, J Biomech 47:631) and fibres with height, so
        # force grows with mass.
        prm[2] *= STRENGTH[muscle] * subject.strength * subject.mass_kg / SOURCE_MASS
        prm[7] = PASSIVE.get(muscle, prm[7])
        # The source's toe muscles carry a wider force-length curve (lmin, lmax); it is kept.
        actuator = spec.add_actuator(
            name=name,
            target=name,
            trntype=mujoco.mjtTrn.mjTRN_TENDON,
            gaintype=mujoco.mjtGain.mjGAIN_MUSCLE,
            biastype=mujoco.mjtBias.mjBIAS_MUSCLE,
            dyntype=mujoco.mjtDyn.mjDYN_MUSCLE,
            ctrllimited=1,
            ctrlrange=[0, 1],
        )
        actuator.gainprm = prm
        actuator.biasprm = prm
        actuator.dynprm = np.array(original.dynprm)
        actuator.lengthrange = (np.array(original.lengthrange) + shift) * s


def _set_plantarflexor_fibres(spec: mujoco.MjSpec) -> None:
    """Choose the length range that gives the stated fibre length in the neutral pose."""
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_tendon(model, data)
    scale = np.linalg.norm(model.body("talus_r").pos) / 0.4
    for muscle, fibre in PLANTARFLEXOR_FIBRES.items():
        for side in SIDES:
            name = f"{muscle}_{side}"
            actuator = spec.actuator(name)
            low, high = actuator.gainprm[:2]
            optimal = fibre.optimal * 1e-3 * scale
            neutral = float(data.ten_length[model.tendon(name).id])
            slack = neutral - fibre.normalised * optimal
            actuator.lengthrange = slack + np.array([low, high]) * optimal


def _add_bones(spec: mujoco.MjSpec) -> None:
    """Draw the source's bones: leg meshes on their segments, spine, ribs and skull fixed to the torso."""
    import myo_sim

    source, compiled = _source()
    data = mujoco.MjData(compiled)
    mujoco.mj_kinematics(compiled, data)
    scale = np.linalg.norm(spec.body("talus_r").pos) / 0.4
    files = {mesh.name: mesh.file for mesh in source.meshes}
    spec.add_material(name="bone", rgba=[0.87, 0.84, 0.78, 1])
    ours = {body.name for body in spec.bodies}
    for body in source.bodies:
        if not body.name or body.name == "world":
            continue
        owner = body.name if body.name in ours else "torso"
        frame = "pelvis" if owner == "torso" else owner  # our torso frame is the pelvis frame
        i, j = compiled.body(body.name).id, compiled.body(frame).id
        inverse = np.zeros(4)
        mujoco.mju_negQuat(inverse, data.xquat[j])
        for geom in body.geoms:
            if geom.type != mujoco.mjtGeom.mjGEOM_MESH or geom.meshname not in files:
                continue
            if geom.meshname not in {mesh.name for mesh in spec.meshes}:
                mesh = spec.add_mesh(name=geom.meshname, scale=np.ones(3) * scale)
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
                pos=position * scale,
                quat=quat,
                mass=0.0,
                contype=0,
                conaffinity=0,
                material="bone",
                group=1,
            )


def add_floor(spec: mujoco.MjSpec) -> None:
    """A level floor at z = 0 that the feet touch."""
    spec.worldbody.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[0, 0, 1],
        contype=0,
        conaffinity=1,
        friction=[0.9, 0.005, 0.0001],
        solref=CONTACT,
        condim=3,
        rgba=[0.82, 0.84, 0.86, 1],
    )
