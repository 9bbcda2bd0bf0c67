"""Where a drawn person walks: floor or walkway, sky and light.

Nothing here touches or moves anything.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from .terrain import LEVEL, Surface, Terrain, add_terrain, surfaces

# The drawn terrain is narrower than the real one, so that its profile is close to the feet.
WALKWAY, KERB, LINED = 1.4, 0.05, 12.0  # m: width, height above the floor around, lines before and after
SHADES = ((0.80, 0.81, 0.83, 1.0), (0.73, 0.75, 0.78, 1.0))
LINE, NOSING, NOSING_DEPTH = (0.62, 0.64, 0.68, 1.0), (0.24, 0.27, 0.32, 1.0), 0.03
LONGEST_TREAD = 0.5  # m; longer surfaces have lines


def add_scenery(spec: mujoco.MjSpec, terrain: Terrain, root: Any) -> None:
    """Add the terrain and what is around it to a scene; the light follows the body `root`."""
    _add_surroundings(spec, root)
    _add_ground(spec, terrain)


def _add_ground(spec: mujoco.MjSpec, terrain: Terrain) -> None:
    """A checkered floor, or a walkway over one with a line at every metre and a darker one at every nosing."""
    if not terrain.sections:
        add_terrain(spec, LEVEL)
        spec.geom("floor").material = "floor"
        spec.geom("floor").rgba = [1, 1, 1, 1]
        return
    add_terrain(spec, terrain, WALKWAY)
    parts = surfaces(terrain)
    lowest = min(min(part.z0, part.z1) for part in parts)
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[0, 0, 1],
        pos=[0, 0, lowest - KERB],
        contype=0,
        conaffinity=0,
        material="floor",
    )
    for i, (part, after) in enumerate(zip(parts, [*parts[1:], None], strict=True)):
        spec.geom(f"ground{i}").rgba = SHADES[i % 2]
        drawn = np.arange(-LINED, terrain.length_m + LINED)
        if part.x1 - part.x0 > LONGEST_TREAD:
            for x in drawn[(drawn > part.x0) & (drawn < part.x1)]:
                _add_line(spec, part, x, LINE)
        if after and abs(after.z0 - part.z1) > 1e-9:
            upper, inwards = (after, 0.5) if after.z0 > part.z1 else (part, -0.5)
            _add_line(spec, upper, part.x1 + inwards * NOSING_DEPTH, NOSING, NOSING_DEPTH)


def _add_line(spec: mujoco.MjSpec, part: Surface, x: float, colour: Any, depth: float = 0.012) -> None:
    """A painted line across the walkway at x."""
    tilt = np.arctan(part.slope)
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.5 * depth, 0.5 * WALKWAY + 0.002, 0.002],
        pos=[x, 0.0, part.z0 + part.slope * (x - part.x0)],
        quat=[np.cos(0.5 * tilt), 0.0, -np.sin(0.5 * tilt), 0.0],
        contype=0,
        conaffinity=0,
        rgba=colour,
    )


def _add_surroundings(spec: mujoco.MjSpec, root: Any) -> None:
    sky, floor = (0.93, 0.95, 0.97), ((0.86, 0.88, 0.90), (0.81, 0.83, 0.86))
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=(0.80, 0.86, 0.92),
        rgb2=sky,
        width=256,
        height=256 * 6,
    )
    spec.add_texture(
        name="checker",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=floor[0],
        rgb2=floor[1],
        width=256,
        height=256,
    )
    material = spec.add_material(name="floor", texuniform=True, texrepeat=[1.0, 1.0], reflectance=0.0, specular=0.1)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "checker"
    root.add_light(
        name="sun",
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        mode=mujoco.mjtCamLight.mjCAMLIGHT_TRACK,
        pos=[1.5, -2.0, 4.0],
        dir=[-0.32, 0.42, -0.85],
        castshadow=True,
        diffuse=[0.55, 0.54, 0.52],
        specular=[0.25, 0.25, 0.25],
        ambient=[0.0, 0.0, 0.0],
    )
    spec.visual.headlight.ambient = [0.38, 0.38, 0.40]
    spec.visual.headlight.diffuse = [0.32, 0.32, 0.32]
    spec.visual.headlight.specular = [0.1, 0.1, 0.1]
    spec.visual.rgba.haze = [*sky, 1.0]
    spec.visual.global_.fovy = 22.0
    spec.visual.map.zfar = 30.0
    spec.stat.extent = 2.0
    spec.visual.map.shadowclip = 2.0
