"""The reference gait that the nervous system follows, as cells: half gait cycles over speed, slope and stairs.

A cell tells half a cycle from the leading leg's side: it begins as the leading foot lands and ends as the other one
does. `gait_cells` builds them from published curves; `Reference` scales them to a person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .person import FOOT_RADIUS
from .subjects import Subject

if TYPE_CHECKING:
    from .motion import Motion

FloatArray = NDArray[np.float64]

ROWS = 51  # instants of a cell, the last one the start of the next
# Channels of a cell: angles of the leading and the trailing leg (12, rad), their derivatives by phase (12, rad a
# cycle), joint moments (12, Nm/kg), pelvis (height above the leading foothold or the slope, tilt, list, rotation, place
# ahead of the leading heel and to the left) with derivatives, and ground force (forward, upward, of leading and
# trailing foot, body weights).
N_JOINTS = 12
ANGLE, SLOPE, MOMENT, PELVIS, PELVIS_SLOPE, LOAD = 0, 12, 24, 36, 42, 48
HEIGHT, TILT, LIST, ROTATION, AHEAD, LEFT = range(6)
CHANNELS = 52
# Hip rotation and toes, whose springs give the moment that the reference needs there: muscles owe nothing.
SPRUNG = np.array([2, 5, 8, 11])


@dataclass(frozen=True)
class Reference:
    """Cells of one posture or gait for one body size.

    cells: (n, ROWS, CHANNELS). times: (n,) s a half cycle. The first slopes x speeds cells walk; then come those of
    stairs: (down, up) x (first, cycle, last) x rises x treads. speeds in m/s, slopes dz/dx, rises and treads in m.
    heel_from_edge: (2, treads) m. still: a posture that does not walk.
    """

    cells: FloatArray
    times: FloatArray
    speeds: FloatArray
    slopes: FloatArray
    rises: FloatArray
    treads: FloatArray
    heel_from_edge: FloatArray
    still: bool = False

    def for_subject(self, subject: Subject, carried_kg: float = 0.0) -> Reference:
        """Scaled to a body by dynamic similarity: lengths by l, times and speeds by sqrt(l), moments by mass x l.

        carried_kg: what the person wears and knows the weight of; it counts as mass.
        """
        s = subject.scale
        cells = self.cells.copy()
        cells[:, :, MOMENT : MOMENT + N_JOINTS] *= (subject.mass_kg + carried_kg) * s
        cells[:, :, MOMENT + SPRUNG] = 0.0
        cells[:, :, PELVIS + HEIGHT] = (cells[:, :, PELVIS + HEIGHT] - FOOT_RADIUS) * s + FOOT_RADIUS
        cells[:, :, PELVIS_SLOPE + HEIGHT] *= s
        for channel in (AHEAD, LEFT):
            cells[:, :, PELVIS + channel] *= s
            cells[:, :, PELVIS_SLOPE + channel] *= s
        return replace(
            self,
            cells=np.ascontiguousarray(cells),
            times=self.times * np.sqrt(s),
            speeds=self.speeds * np.sqrt(s),
            rises=self.rises * s,
            treads=self.treads * s,
            heel_from_edge=self.heel_from_edge * s,
        )


def cell_of(motion: Motion) -> FloatArray:
    """(ROWS, CHANNELS) of a fitted half cycle."""
    out = np.zeros((ROWS, CHANNELS))
    per_cycle = 2.0 * motion.half_time
    out[:, ANGLE : ANGLE + N_JOINTS] = motion.q[:, 6:]
    out[:, SLOPE : SLOPE + N_JOINTS] = motion.dq[:, 6:] * per_cycle
    out[:, MOMENT : MOMENT + N_JOINTS] = motion.moments
    order = [2, 3, 4, 5, 0, 1]  # height, tilt, list, rotation, ahead, left
    out[:, PELVIS : PELVIS + 6] = motion.q[:, order]
    out[:, PELVIS_SLOPE : PELVIS_SLOPE + 6] = motion.dq[:, order] * per_cycle
    # On a slope the pelvis' height counts from the ground below it.
    out[:, PELVIS + HEIGHT] -= motion.slope * motion.q[:, 0]
    out[:, PELVIS_SLOPE + HEIGHT] -= motion.slope * motion.dq[:, 0] * per_cycle
    out[:, LOAD : LOAD + 4] = motion.loads[:, :, [0, 2]].reshape(ROWS, 4)
    return out


def load_reference(name: str) -> Reference:
    """A shipped reference: ``walk`` or ``stand``."""
    with np.load(str(files("exotwin.assets") / "gait" / f"{name}.npz")) as stored:
        z = {key: stored[key].astype(np.float64) for key in stored.files}
    walk, stairs = z["walk"], z.get("stairs", np.zeros((0, ROWS, CHANNELS)))
    none = np.zeros(0)
    return Reference(
        cells=np.concatenate([walk.reshape(-1, ROWS, CHANNELS), stairs.reshape(-1, ROWS, CHANNELS)]),
        times=np.concatenate([z["walk_time"].ravel(), z.get("stairs_time", none).ravel()]),
        speeds=z["speeds"],
        slopes=z["slopes"],
        rises=z.get("rises", none),
        treads=z.get("treads", none),
        heel_from_edge=z.get("heel_from_edge", np.zeros((2, 0))),
        still=name == "stand",
    )
