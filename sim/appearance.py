"""What a person in an exo looks like: bones, arms, muscle bellies and the device's shapes.

Nothing here weighs, touches or moves anything: the coordinates are those of the simulated model.
"""

from __future__ import annotations

import functools
from itertools import pairwise
from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..controllers.device import SIDES, DeviceDescription, Shape
from .body import SIDED_MUSCLES
from .exo import PREFIX, attach_device
from .muscle_paths import SPECIFIC_TENSION
from .person import build_person
from .scenery import add_scenery
from .seat import add_seat_box
from .subjects import Subject
from .terrain import LEVEL, Terrain

FloatArray = NDArray[np.float64]

IVORY = (0.93, 0.89, 0.80, 1.0)
TENDON = (0.90, 0.86, 0.80, 1.0)
QUIET_MUSCLE, ACTIVE_MUSCLE = np.array([0.52, 0.30, 0.31, 1.0]), np.array([0.92, 0.05, 0.07, 1.0])
# Colour, specular and shininess of a device's materials.
MATERIALS = {
    "frame": ((0.17, 0.18, 0.21, 1.0), 0.5, 0.4),
    "accent": ((0.00, 0.66, 0.66, 1.0), 0.5, 0.5),
    "metal": ((0.66, 0.68, 0.71, 1.0), 0.9, 0.7),
    "pad": ((0.30, 0.32, 0.36, 1.0), 0.1, 0.1),
}
SHELL = 0.004  # m, thickness of a drawn cuff
# Muscle volume (m^3) = F0 L0 / specific tension. A belly lies
# between these shares of the longest stretch of its path (chosen by eye from anatomical plates); its radius (m) is
# bounded so that the bones stay in view.
BELLY: dict[str, tuple[float, float]] = {
    "hamstrings": (0.12, 0.85),
    "rectfem": (0.10, 0.82),
    "vasti": (0.0, 0.95),
    "gastroc": (0.04, 0.52),
    "soleus": (0.08, 0.72),
    "tibant": (0.05, 0.70),
    "edl": (0.05, 0.70),
    "fdl": (0.05, 0.70),
}
BELLY_DEFAULT = (0.08, 0.92)
BELLY_RADIUS = (0.006, 0.022)
# The modelled path of the vasti is their last 2 cm; they are drawn from here on the femur (m, right, unscaled).
VASTI_ORIGIN = np.array([0.022, -0.13, 0.03])
# Where the arms' source model has the origin of our torso in the world: its ribs are ours (m).
SOURCE_TORSO = np.array([-0.025, 0.1, 1.0])
ARM_ROOTS = {"clavicle": "trunk", "humerus": "upperarm", "ulna": "forearm"}
ARM_GRID = 0.003  # m; the hands alone have 200,000 triangles otherwise
# The arms swing with the opposite leg (chosen to look natural): flexion of the shoulder per hip flexion, of the
# elbow at rest and per shoulder flexion, and the abduction that keeps the hands clear of an exo (rad).
SHOULDER_SWING, ELBOW_REST, ELBOW_SWING, ARM_ABDUCTION = 0.6, 0.25, 0.4, 0.20


def build_scene(
    subject: Subject, device: DeviceDescription | None, terrain: Terrain = LEVEL, seat: bool = False
) -> mujoco.MjModel:
    """The person on a terrain, wearing the device if there is one, to be looked at: qpos is that of `build_model`.

    seat: with a seat, to be moved as a mocap body.
    """
    spec = build_person(subject, visual=True)
    bodies = {body.name: body for body in spec.bodies}
    _add_arms(spec, bodies["torso"], subject.scale)
    for tendon in spec.tendons:
        tendon.group = 5  # muscles are drawn by `add_muscles`
    if device is not None:
        attach_device(spec, device)
        _add_shapes(spec, device, subject.scale)
        for tendon in spec.tendons:
            tendon.group = 5
    spec.material("bone").rgba = IVORY
    add_scenery(spec, terrain, bodies["root"])
    if seat:
        add_seat_box(spec)
        spec.body("seat").mocap = True
    return spec.compile()


# --- arms ---------------------------------------------------------------------------------------------------------


class ArmPart(NamedTuple):
    """Bones that move as one, merged: where they turn and their surface (v, 3), (f, 3) from there, torso's frame."""

    joint: FloatArray
    vertices: FloatArray
    faces: NDArray[np.int64]


@functools.cache
def _arm_parts() -> dict[str, ArmPart]:
    """The source's arm bones, hanging: trunk (collar bone, shoulder blade), upperarm and forearm of each side."""
    import myo_sim

    model = myo_sim.load_spec("myofullbody").compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)

    def in_torso(points: FloatArray) -> FloatArray:
        x, y, z = np.moveaxis(points - SOURCE_TORSO, -1, 0)
        return np.stack([-y, z, -x], axis=-1)

    owner = {0: ""}  # the part that each body belongs to
    joints: dict[str, FloatArray] = {}
    for body in range(1, model.nbody):
        name, _, side = model.body(body).name.rpartition("_")
        part = ARM_ROOTS.get(name)
        owner[body] = f"{part}_{side}" if part else owner[int(model.body_parentid[body])]
        if part:
            joints[owner[body]] = np.zeros(3) if part == "trunk" else in_torso(data.xpos[body])
    corners: dict[str, list[FloatArray]] = {part: [] for part in joints}
    for geom in np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_MESH):
        part = owner[int(model.geom_bodyid[geom])]
        if part:
            mesh = model.mesh(model.geom_dataid[geom])
            vertices = model.mesh_vert[mesh.vertadr[0] :][: mesh.vertnum[0]]
            faces = model.mesh_face[mesh.faceadr[0] :][: mesh.facenum[0]]
            placed = data.geom_xpos[geom] + vertices @ data.geom_xmat[geom].reshape(3, 3).T
            corners[part].append(in_torso(placed)[faces].reshape(-1, 3))
    return {part: _coarsen(np.vstack(corners[part]) - joints[part], joints[part]) for part in joints}


def _coarsen(corners: FloatArray, joint: FloatArray) -> ArmPart:
    """Triangles (3 f, 3) with the corners in one cell of a grid made one point: leaves out what is too small to see."""
    corner = np.unique(np.round(corners / ARM_GRID), axis=0, return_inverse=True)[1].ravel()
    count = np.bincount(corner)
    middle = np.stack([np.bincount(corner, weights=corners[:, k]) / count for k in range(3)], axis=1)
    faces = corner.reshape(-1, 3)
    apart = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    return ArmPart(joint, middle, faces[apart])


def _add_arms(spec: mujoco.MjSpec, torso: Any, scale: float) -> None:
    parts = _arm_parts()
    for side in SIDES:
        body, origin = torso, np.zeros(3)
        for name in ("trunk", "upperarm", "forearm"):
            part = parts[f"{name}_{side}"]
            if name != "trunk":
                body = body.add_body(name=f"{name}_{side}", pos=(part.joint - origin) * scale)
            origin = part.joint
            spec.add_mesh(
                name=f"{name}_{side}",
                uservert=part.vertices.ravel() * scale,
                userface=part.faces.ravel(),
                inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
            )
            body.add_geom(
                type=mujoco.mjtGeom.mjGEOM_MESH,
                meshname=f"{name}_{side}",
                mass=0.0,
                contype=0,
                conaffinity=0,
                material="bone",
                group=1,
            )


def swing_arms(model: mujoco.MjModel, qpos: FloatArray) -> None:
    """Turn the drawn arms to suit the legs' pose qpos (nq,)."""
    for side, other, outward in (("r", "l", -1.0), ("l", "r", 1.0)):
        hip = float(qpos[model.joint(f"hip_flexion_{other}").qposadr[0]])
        shoulder = SHOULDER_SWING * (hip - 0.15)
        elbow = ELBOW_REST + ELBOW_SWING * max(shoulder, -0.3)
        sideways, forward = np.zeros(4), np.zeros(4)
        mujoco.mju_axisAngle2Quat(sideways, np.array([1.0, 0.0, 0.0]), outward * ARM_ABDUCTION)
        mujoco.mju_axisAngle2Quat(forward, np.array([0.0, 0.0, 1.0]), shoulder)
        mujoco.mju_mulQuat(model.body(f"upperarm_{side}").quat, forward, sideways)
        # The forearm hangs straight again from the abducted upper arm.
        mujoco.mju_axisAngle2Quat(sideways, np.array([1.0, 0.0, 0.0]), -0.7 * outward * ARM_ABDUCTION)
        mujoco.mju_axisAngle2Quat(forward, np.array([0.0, 0.0, 1.0]), elbow)
        mujoco.mju_mulQuat(model.body(f"forearm_{side}").quat, sideways, forward)


# --- device -------------------------------------------------------------------------------------------------------


def _add_shapes(spec: mujoco.MjSpec, device: DeviceDescription, scale: float) -> None:
    """Draw the shapes of a device's pieces in place of their boxes."""
    for name, (colour, specular, shininess) in MATERIALS.items():
        spec.add_material(name=PREFIX + name, rgba=colour, specular=specular, shininess=shininess)
    bodies = {body.name: body for body in spec.bodies}
    for piece in device.attachments:
        for suffix in ("",) if piece.segment == "pelvis" else tuple(f"_{s}" for s in SIDES):
            if not piece.shapes:
                continue
            body = bodies[f"{PREFIX}{piece.name}{suffix}"]
            for geom in list(body.geoms):
                spec.delete(geom)
            centre = np.array(piece.com_m)
            for i, shape in enumerate(piece.shapes):
                name = f"{body.name}{i}"
                _add_shape(spec, body, name, shape, centre, -1.0 if suffix == "_l" else 1.0, scale)


def _add_shape(
    spec: mujoco.MjSpec, body: Any, name: str, shape: Shape, centre: FloatArray, side: float, scale: float
) -> None:
    def local(point: Any) -> FloatArray:
        return scale * (np.array(point) - centre) * [1.0, 1.0, side]

    size = scale * np.array(shape.size_m)
    if shape.kind == "cuff":
        _add_cuff_mesh(spec, name, size, np.radians(shape.arc_deg), side, SHELL * scale)
        form = {"type": mujoco.mjtGeom.mjGEOM_MESH, "meshname": name, "pos": local(shape.at_m)}
    elif shape.kind == "bar":
        ends = np.concatenate([local(shape.at_m), local(shape.to_m)])
        form = {"type": mujoco.mjtGeom.mjGEOM_BOX, "fromto": ends, "size": [size[0], size[2], 0.0]}
    else:
        kinds = {"box": mujoco.mjtGeom.mjGEOM_BOX, "disc": mujoco.mjtGeom.mjGEOM_CYLINDER}
        drawn = [size[0], size[2], 0.0] if shape.kind == "disc" else size
        form = {"type": kinds[shape.kind], "pos": local(shape.at_m), "size": drawn}
    body.add_geom(**form, mass=0.0, contype=0, conaffinity=0, material=PREFIX + shape.colour)


def _add_cuff_mesh(
    spec: mujoco.MjSpec, name: str, size: FloatArray, arc: FloatArray, side: float, thickness: float
) -> None:
    """A shell with rounded ends' worth of facets: rings of four corners swept about y."""
    angles = np.linspace(arc[0], arc[1], max(8, int(np.degrees(arc[1] - arc[0]) / 8)))
    rings = []
    for angle in angles:
        for outer, height in ((0.0, -1.0), (0.0, 1.0), (1.0, 1.0), (1.0, -1.0)):
            radius = size[[0, 2]] + outer * thickness
            rings.append([radius[0] * np.cos(angle), height * size[1], side * radius[1] * np.sin(angle)])
    faces = []
    for k in range(len(angles) - 1):
        a, b = 4 * k, 4 * (k + 1)
        for i in range(4):
            j = (i + 1) % 4
            faces += [[a + i, b + i, b + j], [a + i, b + j, a + j]]
    last = 4 * (len(angles) - 1)
    faces += [[0, 1, 2], [0, 2, 3], [last + 2, last + 1, last], [last + 3, last + 2, last]]
    triangles = np.array(faces)
    if side > 0:
        triangles = triangles[:, ::-1]
    spec.add_mesh(
        name=name,
        uservert=np.array(rings).ravel(),
        userface=triangles.ravel(),
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
    )


# --- muscles ------------------------------------------------------------------------------------------------------


def add_muscles(
    model: mujoco.MjModel, data: mujoco.MjData, scene: mujoco.MjvScene, activation: FloatArray | None
) -> None:
    """Add the muscles to a scene: pale tendons along their paths, bellies that redden with activation (26,) 0..1."""
    scale = float(np.linalg.norm(model.body("talus_r").pos)) / 0.4
    for m, name in enumerate(SIDED_MUSCLES):
        level = 0.5 if activation is None else float(np.clip(activation[m], 0.0, 1.0))
        colour = QUIET_MUSCLE + (ACTIVE_MUSCLE - QUIET_MUSCLE) * np.sqrt(level)
        muscle, side = name.rsplit("_", 1)
        branches = _branches(data, model.tendon(name).id)
        if muscle == "vasti":
            femur = data.body(f"femur_{side}")
            origin = VASTI_ORIGIN * [1.0, 1.0, 1.0 if side == "r" else -1.0]
            start = femur.xpos + scale * femur.xmat.reshape(3, 3) @ origin
            branches = [np.vstack([start, branches[0]])]
        stretches = [(a, b) for path in branches for a, b in pairwise(path)]
        for a, b in stretches:
            _add_capsule(scene, a, b, 0.0028, TENDON)
        a, b = max(stretches, key=lambda ends: float(np.linalg.norm(ends[1] - ends[0])))
        near, far = BELLY.get(muscle, BELLY_DEFAULT)
        a, b = a + near * (b - a), a + far * (b - a)
        half = 0.5 * float(np.linalg.norm(b - a))
        radius = np.sqrt(_volume(model, model.actuator(name).id) / (4.0 / 3.0 * np.pi * half))
        _add_belly(scene, a, b, half, np.clip(radius, *BELLY_RADIUS), colour)


def _branches(data: mujoco.MjData, tendon: int) -> list[FloatArray]:
    """A tendon's path as polylines (k, 3), one for each branch."""
    start, count = data.ten_wrapadr[tendon], data.ten_wrapnum[tendon]
    points, kinds = data.wrap_xpos.reshape(-1, 3), data.wrap_obj.ravel()
    branches: list[list[FloatArray]] = [[]]
    for i in range(start, start + count):
        if kinds[i] == -2:  # a pulley
            branches.append([])
        else:
            branches[-1].append(points[i])
    return [np.array(branch) for branch in branches if len(branch) > 1]


def _volume(model: mujoco.MjModel, actuator: int) -> float:
    prm, (low, high) = model.actuator_gainprm[actuator], model.actuator_lengthrange[actuator]
    optimal = (high - low) / (prm[1] - prm[0])
    return float(prm[2] * optimal / SPECIFIC_TENSION)


def _next_geom(scene: mujoco.MjvScene) -> Any:
    geom = scene.geoms[scene.ngeom]
    scene.ngeom += 1
    return geom


def _add_capsule(scene: mujoco.MjvScene, start: FloatArray, end: FloatArray, radius: float, colour: Any) -> None:
    geom = _next_geom(scene)
    kind = mujoco.mjtGeom.mjGEOM_CAPSULE
    mujoco.mjv_initGeom(geom, kind, np.zeros(3), np.zeros(3), np.eye(3).ravel(), np.float32(colour))
    mujoco.mjv_connector(geom, kind, radius, start, end)
    geom.category = mujoco.mjtCatBit.mjCAT_DYNAMIC


def _add_belly(
    scene: mujoco.MjvScene, start: FloatArray, end: FloatArray, half: float, radius: float, colour: Any
) -> None:
    quat, matrix = np.zeros(4), np.zeros(9)
    mujoco.mju_quatZ2Vec(quat, end - start)
    mujoco.mju_quat2Mat(matrix, quat)
    geom = _next_geom(scene)
    size = np.array([radius, radius, half])
    mujoco.mjv_initGeom(geom, mujoco.mjtGeom.mjGEOM_ELLIPSOID, size, (start + end) / 2, matrix, np.float32(colour))
    geom.category = mujoco.mjtCatBit.mjCAT_DYNAMIC
