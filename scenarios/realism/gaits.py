"""The gaits that realism knows: how each is simulated and which published curves it is held against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ...controllers.config import require_known

Window = tuple[float, float]
WHOLE: Window = (0.0, 100.0)


@dataclass(frozen=True, slots=True)
class CurveSet:
    """Published curves (see `normative.published`). legs: which of our legs they are held against, pooled if both."""

    task: str
    source: str
    condition: str
    legs: Literal["rl", "r", "l"] = "rl"


@dataclass(frozen=True, slots=True)
class Gait:
    """One way of moving.

    kind: what checks apply, and for ``rise`` that the cycle is a rise of the pelvis rather than a stride. policy: the
    plant's gait. terrain: a shipped one; only strides on its first section that is not level count. impairments:
    (kind, severity 0..1, side). curves: a signal is judged against the first set that has it; later sets are shown.
    windows: share of the cycle that is compared, % of it, by the longest beginning of a signal's name. postures: what
    the person is asked for in turn, beginning with the first.
    """

    name: str
    title: str
    kind: Literal["walk", "ramp", "stairs", "run", "rise", "impaired"]
    speed_mps: float
    policy: str
    curves: tuple[CurveSet, ...] = ()
    terrain: str | None = None
    slope_deg: float = 0.0
    impairments: tuple[tuple[str, float, str], ...] = ()
    windows: Mapping[str, Window] = field(default_factory=dict)
    postures: tuple[str, ...] = ()

    def window(self, signal: str) -> Window:
        """Beginning and end of what is compared of a signal, % of the cycle."""
        fitting = [start for start in self.windows if signal.startswith(start)]
        return self.windows[max(fitting, key=len)] if fitting else WHOLE


WALK = "walk"  # the policy that walks everywhere


def _level(speed: float, condition: str, *more: CurveSet) -> Gait:
    curves = (CurveSet("level_walking", "Bovi2011", condition), *more)
    return Gait(f"level_{speed:.2f}", f"level walking at {speed:.2f} m/s", "walk", speed, WALK, curves)


def _ramp(slope: float) -> Gait:
    way = "up" if slope > 0 else "down"
    name = f"ramp_{way}_{abs(slope):g}"
    title = f"ramp of {abs(slope):g} degrees {way}hill"
    return Gait(name, title, "ramp", 1.2, WALK, terrain=name, slope_deg=slope)


def _stairs(name: str, title: str, speed: float, condition: str, terrain: str) -> Gait:
    # The measured stairs end on a landing, so the end of the published stride is no stair any more.
    curves = (CurveSet(name, "Bovi2011", condition),)
    return Gait(name, title, "stairs", speed, WALK, curves, terrain, windows={"": (0.0, 80.0)})


def _run(speed: float) -> Gait:
    curves = (CurveSet("running", "HamnerDelp2013", f"{speed:.1f} m/s"),)
    return Gait(f"run_{speed:.1f}", f"running at {speed:.1f} m/s", "run", speed, "run", curves)


GAITS: dict[str, Gait] = {
    gait.name: gait
    for gait in (
        _level(0.84, "very_slow"),
        _level(1.19, "slow"),
        # One entry a gait. Natural cadence, 1.32 m/s, and free speed lie nearer to this speed than to the next.
        _level(
            1.20, "free", CurveSet("level_walking", "Winter1991", "natural"), CurveSet("level_walking", "Perry", "free")
        ),
        _level(
            1.49,
            "medium",
            CurveSet("level_walking", "Winner2023", "fastest control leg A"),
            CurveSet("level_walking", "Winner2023", "fastest control leg B"),
        ),
        _level(1.95, "fast"),
        _ramp(5.0),
        _ramp(10.0),
        _ramp(-5.0),
        _ramp(-10.0),
        _stairs("stair_ascent", "stairs up", 0.27, "ascending", "stairs_up"),
        _stairs("stair_descent", "stairs down", 0.35, "descending", "stairs_down"),
        _run(2.0),
        _run(3.0),
        Gait(
            "sit_to_stand",
            "sit to stand",
            "rise",
            0.0,
            "stand",
            (CurveSet("sit_to_stand", "Uhlrich2022", "self-selected"),),
            # The seat's force was not measured: kinetics before seat-off, and the hip moment for longer, are not known.
            windows={"moment/": (12.0, 100.0), "moment/hip": (35.0, 100.0), "grf/": (12.0, 100.0)},
            postures=("sit", "stand"),
        ),
        Gait(
            "squat",
            "squat",
            "rise",
            0.0,
            "stand",
            (CurveSet("squat", "Uhlrich2022", "self-selected"),),
            postures=("squat", "stand"),
        ),
        Gait(
            "crouch_gait",
            "crouch gait",
            "impaired",
            1.0,
            WALK,
            (
                CurveSet("crouch_gait", "OpenSimTutorial4", "right leg", "r"),
                CurveSet("crouch_gait", "OpenSimTutorial4", "left leg", "l"),
            ),
            impairments=(("crouch_gait", 0.5, "both"),),
        ),
        Gait(
            "hemiparetic_gait",
            "hemiparetic gait, right side paretic",
            "impaired",
            0.64,
            WALK,
            (
                CurveSet("hemiparetic_gait", "Winner2023", "fastest paretic", "r"),
                CurveSet("hemiparetic_gait", "Winner2023", "fastest nonparetic", "l"),
            ),
            impairments=(("hemiparesis", 0.5, "r"),),
        ),
    )
}


def choose(names: Iterable[str]) -> list[Gait]:
    """Gaits by name, or by the word that several names begin with (``level``, ``ramp``); all if there is no name.

    ValueError names the nearest gait for an unknown one.
    """
    groups: dict[str, list[Gait]] = {}
    for gait in GAITS.values():
        groups.setdefault(gait.name.split("_")[0], []).append(gait)
    wanted = list(names)
    known = {name: [gait] for name, gait in GAITS.items()}
    require_known("gait", wanted, [*known, *groups])
    chosen = {gait.name for name in wanted for gait in known.get(name) or groups[name]}
    return [gait for gait in GAITS.values() if gait.name in chosen or not wanted]
