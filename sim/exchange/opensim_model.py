"""The person as an OpenSim model (.osim): the bodies, joints, masses and inertias of the MuJoCo model, no muscles."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from ...controllers.device import SIDES
from ..person import build_person
from ..subjects import Subject
from .opensim_import import JOINT_OF
from .whole_file import written_whole

_OURS = {f"{ours}_{side}": f"{theirs}_{side}" for side in SIDES for theirs, ours in JOINT_OF.items()}
# gait2392's pelvis: about right, forward and up in body-fixed order, then along OpenSim's ground.
_PELVIS = (
    ("pelvis_tilt", (0, 0, 1)),
    ("pelvis_list", (1, 0, 0)),
    ("pelvis_rotation", (0, 1, 0)),
    ("pelvis_tx", (1, 0, 0)),
    ("pelvis_ty", (0, 1, 0)),
    ("pelvis_tz", (0, 0, 1)),
)
Axis = tuple[str, Any]  # coordinate, "" for none, and its axis


def write_osim(subject: Subject, path: str | Path) -> None:
    """Write the person as an OpenSim 4 model, atomically.

    Its coordinates have OpenSim's names, the knee is positive in flexion. The toe joints' armature (0.01 kg m^2, for
    the integrator's sake) has no counterpart in OpenSim.
    """
    with written_whole(path) as partial:
        partial.write_text(_osim(subject), encoding="utf-8")


def _osim(subject: Subject) -> str:
    model = build_person(subject).compile()
    pelvis = model.body("pelvis").id
    bodies = [b for b in range(1, model.nbody) if model.body_mass[b] > 0.0]
    joints = [_joint(model, b, pelvis) for b in bodies]
    up = -model.opt.gravity[2]
    return f"""<?xml version="1.0" encoding="UTF-8" ?>
<OpenSimDocument Version="40000">
  <Model name="{re.sub(r"[^A-Za-z0-9_.-]", "_", subject.id) or "person"}">
    <credits>exotwin, from myo-sim (https://github.com/MyoHub/myo_sim)</credits>
    <length_units>meters</length_units>
    <force_units>N</force_units>
    <gravity>0 {-up:.9g} 0</gravity>
    <Ground name="ground" />
    <BodySet name="bodyset">
      <objects>{"".join(_body(model, b) for b in bodies)}
      </objects>
    </BodySet>
    <JointSet name="jointset">
      <objects>{"".join(joints)}
      </objects>
    </JointSet>
  </Model>
</OpenSimDocument>
"""


def _numbers(values: Any) -> str:
    return " ".join(f"{float(v):.12g}" for v in values)


def _body(model: mujoco.MjModel, b: int) -> str:
    """Mass, its centre, and the inertia about that in the body's axes."""
    quat = model.body_iquat[b]
    turn = Rotation.from_quat(quat[[1, 2, 3, 0]]).as_matrix()
    inertia = turn @ np.diag(model.body_inertia[b]) @ turn.T
    six = [inertia[0, 0], inertia[1, 1], inertia[2, 2], inertia[0, 1], inertia[0, 2], inertia[1, 2]]
    return f"""
        <Body name="{model.body(b).name}">
          <mass>{model.body_mass[b]:.12g}</mass>
          <mass_center>{_numbers(model.body_ipos[b])}</mass_center>
          <inertia>{_numbers(six)}</inertia>
        </Body>"""


def _joint(model: mujoco.MjModel, b: int, pelvis: int) -> str:
    """The joint between a body and the one above it; the pelvis hangs on the ground."""
    name = model.body(b).name
    if b == pelvis:
        return _custom_joint("ground_pelvis", "/ground", "pelvis", np.zeros(3), np.zeros(3), np.zeros(3), _PELVIS, {})
    parent = f"/bodyset/{model.body(model.body_parentid[b]).name}"
    ids = [model.body_jntadr[b] + i for i in range(model.body_jntnum[b])]
    anchor = model.jnt_pos[ids[0]] if ids else np.zeros(3)
    quat = model.body_quat[b]
    turn = Rotation.from_quat(quat[[1, 2, 3, 0]])
    # OpenSim turns offset frames about x, y and z in body-fixed order.
    orientation = turn.as_euler("XYZ")
    place = model.body_pos[b] + turn.apply(anchor)
    if not ids:
        return _weld(f"weld_{name}", parent, name, place, orientation)
    axes = tuple((_OURS[model.joint(j).name], model.jnt_axis[j]) for j in ids)
    ranges = {_OURS[model.joint(j).name]: model.jnt_range[j] for j in ids}
    return _custom_joint(f"joint_{name}", parent, name, place, orientation, anchor, axes, ranges)


def _frames(parent: str, child: str, place: Any, orientation: Any, anchor: Any) -> str:
    return f"""
          <socket_parent_frame>parent_offset</socket_parent_frame>
          <socket_child_frame>child_offset</socket_child_frame>
          <frames>
            <PhysicalOffsetFrame name="parent_offset">
              <socket_parent>{parent}</socket_parent>
              <translation>{_numbers(place)}</translation>
              <orientation>{_numbers(orientation)}</orientation>
            </PhysicalOffsetFrame>
            <PhysicalOffsetFrame name="child_offset">
              <socket_parent>/bodyset/{child}</socket_parent>
              <translation>{_numbers(anchor)}</translation>
              <orientation>0 0 0</orientation>
            </PhysicalOffsetFrame>
          </frames>"""


def _weld(name: str, parent: str, child: str, place: Any, orientation: Any) -> str:
    return f"""
        <WeldJoint name="{name}">{_frames(parent, child, place, orientation, np.zeros(3))}
        </WeldJoint>"""


def _custom_joint(
    name: str, parent: str, child: str, place: Any, orientation: Any, anchor: Any, axes: tuple[Axis, ...], ranges: Any
) -> str:
    """A joint of body-fixed rotations about `axes` in turn, followed, on the ground, by translations."""
    coordinates = "".join(
        f"""
            <Coordinate name="{coordinate}">
              <default_value>0</default_value>
              <range>{_numbers(ranges.get(coordinate, (-1e3, 1e3)))}</range>
              <clamped>false</clamped>
            </Coordinate>"""
        for coordinate, _ in axes
    )
    turns = [*_filled([axis for axis in axes if axis[0][-3:-1] != "_t"])]
    shifts = [axis for axis in axes if axis[0][-3:-1] == "_t"] or [("", row) for row in np.eye(3)]
    transform = "".join(
        _transform_axis(f"{kind}{i}", coordinate, axis)
        for kind, three in (("rotation", turns), ("translation", shifts))
        for i, (coordinate, axis) in enumerate(three, 1)
    )
    return f"""
        <CustomJoint name="{name}">{_frames(parent, child, place, orientation, anchor)}
          <coordinates>{coordinates}
          </coordinates>
          <SpatialTransform>{transform}
          </SpatialTransform>
        </CustomJoint>"""


def _filled(axes: list[Axis]) -> list[Axis]:
    """Three axes: those given, then any that are perpendicular to them and never turned about."""
    if len(axes) == 3:
        return axes
    if len(axes) != 1:
        raise ValueError(f"a joint of {len(axes)} axes cannot be written")
    _, _, rest = np.linalg.svd(np.asarray(axes[0][1], dtype=float)[None])
    return [*axes, ("", rest[1]), ("", rest[2])]


def _transform_axis(name: str, coordinate: str, axis: Any) -> str:
    if coordinate:
        function = "<LinearFunction name='function'><coefficients>1 0</coefficients></LinearFunction>"
    else:
        function = "<Constant name='function'><value>0</value></Constant>"
    return f"""
            <TransformAxis name="{name}">
              <coordinates>{coordinate}</coordinates>
              <axis>{_numbers(axis)}</axis>
              {function}
            </TransformAxis>"""
