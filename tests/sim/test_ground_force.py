"""Centre of pressure on ramps, treads and creases, against MuJoCo's single contacts under a person who drops."""

from typing import Any

import mujoco
import numpy as np
import pytest
from exotwin.controllers.device import SIDED_JOINTS
from exotwin.sim.body import Body
from exotwin.sim.bridge import addresses
from exotwin.sim.person import build_person
from exotwin.sim.subjects import Subject
from exotwin.sim.terrain import Level, Ramp, Stairs, Terrain, add_terrain, ground_height, ground_slope
from exotwin.sim.truth import BLOCKS, CONTACT_THRESHOLD, ROW, read_ground

RUN_UP = 1.0  # m
WAYS = {
    "ramp up": Terrain((Level(length_m=RUN_UP), Ramp(slope_deg=10, length_m=5))),
    "ramp down": Terrain((Level(length_m=RUN_UP), Ramp(slope_deg=-10, length_m=5))),
    "stairs up": Terrain((Level(length_m=RUN_UP), Stairs(count=5))),
    "stairs down": Terrain((Level(length_m=RUN_UP), Stairs(rise_m=-0.165, count=5))),
}


class Drop:
    """A person as stiff as a statue, set down at world x in a pose."""

    def __init__(self, way: Terrain, x: float, pose: dict[str, float]) -> None:
        self.rows = way.rows()
        spec = build_person(Subject())
        add_terrain(spec, way)
        for joint in SIDED_JOINTS:
            spec.add_equality(
                type=mujoco.mjtEq.mjEQ_JOINT, name1=joint, data=[pose.get(joint, 0.0), *[0.0] * 10], solref=[0.01, 1.0]
            )
        spec.option.timestep = 0.001
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        # Compiled code remembers the types it was called with, so that this must be the package's own.
        known = {
            "calcn": np.array([self.model.body(f"calcn_{s}").id for s in "rl"]),
            "toes": np.array([self.model.body(f"toes_{s}").id for s in "rl"]),
            "terrain": self.rows,
            "nbody": self.model.nbody,
        }
        self.feet = Body(**dict.fromkeys(Body._fields, 0) | known)
        self.pointers = addresses(self.model, self.data)
        self.row = np.zeros(ROW)
        self.data.qpos[0] = x
        for joint, angle in pose.items():
            self.data.joint(joint).qpos[0] = angle
        mujoco.mj_forward(self.model, self.data)
        soles = [g for g in range(self.model.ngeom) if "sole" in self.model.geom(g).name]
        places = self.data.geom_xpos[soles]
        gaps = [z - max(ground_height(self.rows, x + d) for d in (-0.02, 0.0, 0.02)) for x, _, z in places]
        self.data.qpos[2] -= min(gaps) - 0.02

    def __getitem__(self, block: str) -> np.ndarray:
        start, length = BLOCKS[block]
        return self.row[start : start + length]

    def step(self) -> list[list[tuple[np.ndarray, np.ndarray]]]:
        """(point, force) of the contacts of each foot, one step on, with the truth in `row`."""
        mujoco.mj_step(self.model, self.data)
        mujoco.mj_forward(self.model, self.data)
        mujoco.mj_rnePostConstraint(self.model, self.data)
        read_ground(self.pointers, self.feet, self.row)
        found, wrench = [[], []], np.zeros(6)
        for c in range(self.data.ncon):
            contact = self.data.contact[c]
            mujoco.mj_contactForce(self.model, self.data, c, wrench)
            bodies = self.model.geom_bodyid[contact.geom]
            body, sign = bodies.max(), 1.0 if bodies[1] else -1.0
            side = int(body in (self.feet.calcn[1], self.feet.toes[1]))
            found[side].append((contact.pos.copy(), sign * contact.frame.reshape(3, 3).T @ wrench[:3]))
        return found


def pressed_point(contacts: Any, height: float, slope: float, at: float) -> np.ndarray:
    """Point of the plane z = height + slope (x - at) about which the contacts' moment is normal to the plane."""
    force = sum(f for _, f in contacts)
    moment = sum(np.cross(p, f) for p, f in contacts)
    cross = np.array([[0, -force[2], force[1]], [force[2], 0, -force[0]], [-force[1], force[0], 0]])  # F x
    # moment - p x F = moment + F x p has no part along the plane's two directions.
    along = np.array([[1.0, 0.0, slope], [0.0, 1.0, 0.0]])
    matrix = np.vstack([along @ cross, [-slope, 0.0, 1.0]])
    return np.linalg.solve(matrix, np.append(-along @ moment, height - slope * at))


BENT = {"knee_flexion_r": 0.4, "knee_flexion_l": 0.3, "hip_flexion_r": 0.3, "hip_flexion_l": 0.2}
TIPTOE = {"ankle_dorsiflexion_r": -0.4, "ankle_dorsiflexion_l": -0.3}
HEELS = {"ankle_dorsiflexion_r": 0.4, "ankle_dorsiflexion_l": 0.3}


@pytest.mark.parametrize("pose", [BENT, TIPTOE, HEELS], ids=["flat", "toes", "heels"])
@pytest.mark.parametrize("way", WAYS)
def test_centre_of_pressure_is_that_of_the_contacts(way, pose):
    loaded = elsewhere = 0
    for x in np.linspace(RUN_UP - 0.15, RUN_UP + 0.75, 7):
        drop = Drop(WAYS[way], x, pose)
        for _ in range(60):
            contacts = drop.step()
            for side in range(2):
                wanted = sum((f for _, f in contacts[side]), np.zeros(3))
                np.testing.assert_allclose(drop["grf"][3 * side : 3 * side + 3], wanted, atol=1e-6)
                cop = drop["cop"][2 * side : 2 * side + 2]
                if drop["grf"][3 * side + 2] < CONTACT_THRESHOLD:
                    assert np.isnan(cop).all()
                    continue
                normal = np.array([f[2] for _, f in contacts[side]])
                middle = normal @ np.array([p for p, _ in contacts[side]]) / normal.sum()
                # A sole may press on the very edge of a tread.
                near = cop[0] + np.array([0.0, -1e-3, 1e-3])
                at = min(near, key=lambda x: abs(ground_height(drop.rows, x) - middle[2]))
                slope = ground_slope(drop.rows, at)
                surface = ground_height(drop.rows, at) + slope * (cop[0] - at)
                wanted = pressed_point(contacts[side], surface, slope, cop[0])
                np.testing.assert_allclose([*cop, surface], wanted, atol=1e-5)
                # The surface is the one that is touched; soles sink in and edges give way by millimetres.
                spread = max(p[2] for p, _ in contacts[side]) - min(p[2] for p, _ in contacts[side])
                assert abs(surface - middle[2]) < 0.012 + spread
                assert np.abs(cop - middle[:2]).max() < 0.012 + 0.5 * spread
                foot = drop.feet.calcn[side]
                axes = drop.data.xmat[foot].reshape(3, 3)
                x_foot, _, right = axes.T @ (np.array([*cop, surface]) - drop.data.xpos[foot])
                np.testing.assert_allclose(drop["foot_cop"][2 * side : 2 * side + 2], [x_foot, -right], atol=1e-5)
                loaded += 1
                elsewhere += abs(surface) > 0.03
    assert loaded > 200
    assert elsewhere > 60
