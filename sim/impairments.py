"""Impairments as causes: weak, short and slow muscles, hyperactive stretch reflexes, merged synergies, longer delays.

Nothing here moves a joint. A person with an impairment walks otherwise only because the muscles and the spinal cord
do. A multiplier m in the tables below is meant at severity 1 and acts as m ** severity, because the levels that
simulation studies call mild, moderate and severe halve from one to the next (Ong 2019: 25, 12.5 and 6.25 % of
strength). Reflex gain and merging grow in proportion to the severity. Severity 0 changes nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from ..controllers.config import Config, require_known
from ..controllers.device import MUSCLES, SIDES

if TYPE_CHECKING:
    import mujoco

    from .subjects import Subject

FloatArray = NDArray[np.float64]

N_MUSCLES = len(SIDES) * len(MUSCLES)
BOTH = "both"

# Stretch reflex. Fibre velocity is over the greatest shortening velocity (10 optimal lengths a second).
# Falisse 2018, PLoS ONE 13:e0208811: a first-order lag of 30 ms stands for the loop's time.
REFLEX_TIME = 0.030  # s
# Pure conduction delay of ankle, knee and hip muscles, Geyer & Herr 2010, IEEE TNSRE 18:263 (20, 10 and 5 ms); SCONE's
# hyper-reflexia tutorial uses 20 ms for gastrocnemius too. For REFLEX_STATURE; nerves grow with stature.
ANKLE_DELAY, KNEE_DELAY, HIP_DELAY = 0.020, 0.010, 0.005  # s
REFLEX_STATURE = 1.75  # m
# In spasticity the threshold falls (Powers 1988, Ann Neurol 23:115; for velocity Thilmann 1990, J Neurol Neurosurg
# Psychiatry 53:208). Values chosen: at the ankle 0.16 is 175 deg/s, which walking does not reach, and 0.03 35 deg/s.
HEALTHY_THRESHOLD, SPASTIC_THRESHOLD = 0.16, 0.03
# Excitation per unit of fibre velocity at severity 1; chosen (Jansen 2014, J NeuroEng Rehabil 11:78, chose theirs as
# well): the fastest calf stretch of swing, 0.1 to 0.15, then gives 0.2 to 0.3.
SPASTIC_GAIN = 2.0

DELAY: dict[str, float] = {
    "abd": HIP_DELAY,
    "add": HIP_DELAY,
    "hamstrings": HIP_DELAY,
    "bifemsh": KNEE_DELAY,
    "edl": ANKLE_DELAY,
    "fdl": ANKLE_DELAY,
    "glutmax": HIP_DELAY,
    "iliopsoas": HIP_DELAY,
    "rectfem": KNEE_DELAY,
    "vasti": KNEE_DELAY,
    "gastroc": ANKLE_DELAY,
    "soleus": ANKLE_DELAY,
    "tibant": ANKLE_DELAY,
}


@dataclass(frozen=True)
class Kind:
    """What one kind of impairment does to a leg at severity 1; muscles that are not named stay as they are.

    force: share of the maximum isometric force that is left. fibre_length: share of the optimal fibre length that is
    left (contracture: the tendon stays, so the fibres are stretched more in every pose). reflex_gain: excitation per
    unit of fibre velocity. merged: muscles whose excitations become one, and merging the share of that. passive,
    contraction_speed, deactivation: multipliers of passive force, greatest shortening velocity and deactivation time
    of all muscles. neural_delay_s: added to all feedback.
    """

    meaning: str
    one_sided: bool = False
    two_sided: bool = False
    force: Mapping[str, float] = field(default_factory=dict)
    fibre_length: Mapping[str, float] = field(default_factory=dict)
    reflex_gain: Mapping[str, float] = field(default_factory=dict)
    merged: tuple[str, ...] = ()
    merging: float = 0.0
    passive: float = 1.0
    contraction_speed: float = 1.0
    deactivation: float = 1.0
    neural_delay_s: float = 0.0


KINDS: dict[str, Kind] = {
    # Clark 2010, J Neurophysiol 103:844: fewer modules, made by merging healthy ones (here 1, 2 and 4: abductors and
    # quadriceps, calf, hamstrings), go with slow and asymmetric walking; how far they merge is chosen. Reflexes of the
    # anti-gravity muscles as in Jansen 2014; EMG grows with calf stretch velocity in stance in 66 % of patients
    # (Lamontagne 2001, Arch Phys Med Rehabil 82:1696). Strength chosen; surveys of strength name every muscle group.
    "hemiparesis": Kind(
        meaning="after a stroke: one leg weak, its extensor synergies merged, its anti-gravity muscles spastic",
        one_sided=True,
        force=dict.fromkeys(MUSCLES, 0.5) | dict.fromkeys(("gastroc", "soleus", "tibant", "edl"), 0.35),
        reflex_gain=dict.fromkeys(("rectfem", "vasti", "gastroc", "soleus"), SPASTIC_GAIN),
        merged=("abd", "rectfem", "vasti", "gastroc", "soleus", "hamstrings"),
        merging=0.4,
    ),
    # Short hamstrings as in SCONE's tutorial 5b, which leaves 0.75; 0.65 because ours are slacker than its. Weak
    # plantarflexors and abductors may cause crouch (Steele 2012, J Biomech 45:2564); the worked example of Van Den
    # Bosch 2025 (J NeuroEng Rehabil 22:225) leaves a child 0.3 to 0.7. These strengths and the iliopsoas are chosen.
    # Spastic hamstrings: Falisse 2018. Short hamstrings and short biceps, which stands for gracilis and sartorius too,
    # make the clinic's popliteal angle (hip at 90 deg, from straight, 15 Nm) 63 and 89 deg at severity 0.5 and 1, from
    # 31 in health; healthy children have 26, more than 50 is tight (Katz 1992, J Pediatr Orthop 12:229). What the
    # nervous system makes of it is in `contracture`.
    "crouch_gait": Kind(
        meaning="cerebral palsy: short and spastic hamstrings, short biceps and psoas, weak calf, quadriceps, gluteus",
        force=dict.fromkeys(("gastroc", "soleus", "vasti", "rectfem", "glutmax"), 0.4) | {"abd": 0.6},
        fibre_length={"hamstrings": 0.75, "bifemsh": 0.88, "iliopsoas": 0.85},
        reflex_gain={"hamstrings": SPASTIC_GAIN},
    ),
    # SCONE's tutorial 5a; Ong 2019, PLoS Comput Biol 15:e1006993, goes from 0.25 (mild) to 0.0625 (severe).
    "plantarflexor_weakness": Kind(meaning="weak gastrocnemius and soleus", force={"gastroc": 0.2, "soleus": 0.2}),
    # PredSim's drop-foot case (KU Leuven workshop, 2025) leaves 0.05 of tibialis anterior.
    "foot_drop": Kind(meaning="dorsiflexors all but paralysed", force={"tibant": 0.05, "edl": 0.05}),
    # Length chosen: with the knee straight the calf resists 15 Nm, the clinician's push in Van Den Bosch 2025, some 8
    # deg short of neutral at severity 1 and 4 deg beyond neutral at 0.5.
    "equinus": Kind(
        meaning="short and spastic calf",
        fibre_length={"gastroc": 0.82, "soleus": 0.82},
        reflex_gain={"gastroc": SPASTIC_GAIN, "soleus": SPASTIC_GAIN},
    ),
    # Strength and delay: the weaker and slower of the variants of a study of stepping down (PMC12368066, 2025: 60 % of
    # strength, delays longer by 40 %, here of 20 ms). Shortening velocity 10 to 8 lengths/s and deactivation 50 to
    # 60 ms: Thelen 2003, J Biomech Eng 125:70, which also names stiffer passive muscle (its size chosen). Song & Geyer
    # 2018, J Physiol 596:1199, found that loss of strength and mass slows walking; neural noise is left out. Meant for
    # a subject of young age_years: `Subject` weakens muscles with age by itself.
    "ageing": Kind(
        meaning="old age: all muscles weaker, slower and stiffer, all feedback later",
        two_sided=True,
        force=dict.fromkeys(MUSCLES, 0.6),
        passive=1.2,
        contraction_speed=0.8,
        deactivation=1.2,
        neural_delay_s=0.008,
    ),
    # Chosen; walking tolerates weak knee extensors well (van der Krogt 2012, Gait Posture 36:113).
    "knee_extensor_weakness": Kind(meaning="quadriceps all but paralysed", force={"vasti": 0.05, "rectfem": 0.05}),
}


class Impairment(Config):
    """One impairment: its kind (see `KINDS`), a severity from 0 (none) to 1, and the side: ``r``, ``l`` or ``both``.

    A hemiparesis has one side (``l`` unless given), ageing has both, every other kind is on both unless one is given.
    """

    kind: str
    severity: float = Field(ge=0, le=1)
    side: str = ""

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        require_known("impairment", [value], KINDS)
        return value

    @model_validator(mode="before")
    @classmethod
    def _default_side(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("side") and data.get("kind") in KINDS:
            return {**data, "side": "l" if KINDS[data["kind"]].one_sided else BOTH}
        return data

    @model_validator(mode="after")
    def _possible_side(self) -> Impairment:
        kind = KINDS[self.kind]
        possible = SIDES if kind.one_sided else (BOTH,) if kind.two_sided else (*SIDES, BOTH)
        require_known(f"side of {self.kind}", [self.side], possible)
        return self

    @property
    def sides(self) -> tuple[str, ...]:
        """The sides it is on."""
        return SIDES if self.side == BOTH else (self.side,)


def _ones() -> FloatArray:
    return np.ones(N_MUSCLES)


@dataclass(frozen=True, eq=False)
class Effects:
    """What a person's impairments together do to the 26 muscles, right leg first; the default is a healthy person.

    Multipliers (26,): force (maximum isometric), passive (passive force), fibre_length (optimal), contraction_speed
    (greatest), deactivation (time constant). Reflex (26,): gain and threshold in units of greatest shortening
    velocity, time constant and conduction delay in s. mixing (26, 26): excitations that reach the muscles over those
    that were sent. neural_delay_s: added to the feedback of the nervous system.
    """

    force: FloatArray = field(default_factory=_ones)
    passive: FloatArray = field(default_factory=_ones)
    fibre_length: FloatArray = field(default_factory=_ones)
    contraction_speed: FloatArray = field(default_factory=_ones)
    deactivation: FloatArray = field(default_factory=_ones)
    reflex_gain: FloatArray = field(default_factory=lambda: np.zeros(N_MUSCLES))
    reflex_threshold: FloatArray = field(default_factory=lambda: np.full(N_MUSCLES, HEALTHY_THRESHOLD))
    reflex_time: FloatArray = field(default_factory=lambda: np.full(N_MUSCLES, REFLEX_TIME))
    reflex_delay: FloatArray = field(default_factory=lambda: np.tile([DELAY[m] for m in MUSCLES], 2))
    mixing: FloatArray = field(default_factory=lambda: np.eye(N_MUSCLES))
    neural_delay_s: float = 0.0

    @property
    def spinal(self) -> bool:
        """Whether the spinal cord does more than to pass excitations on."""
        return bool(np.any(self.reflex_gain > 0.0) or np.any(self.mixing != np.eye(N_MUSCLES)))


def effects(impairments: Iterable[Impairment], subject: Subject) -> Effects:
    """The impairments of one person together.

    Multipliers multiply, delays add, mixings follow one another; of two reflexes the stronger gain and the lower
    threshold hold. The subject's height sets the reflex delays.
    """
    out = Effects()
    delay, mixing = 0.0, out.mixing
    for impairment in impairments:
        kind, severity = KINDS[impairment.kind], impairment.severity
        for side in impairment.sides:
            for target, table in ((out.force, kind.force), (out.fibre_length, kind.fibre_length)):
                for muscle, share in table.items():
                    target[_index(muscle, side)] *= share**severity
            leg = slice(_index(MUSCLES[0], side), _index(MUSCLES[-1], side) + 1)
            out.passive[leg] *= kind.passive**severity
            out.contraction_speed[leg] *= kind.contraction_speed**severity
            out.deactivation[leg] *= kind.deactivation**severity
            threshold = HEALTHY_THRESHOLD * (SPASTIC_THRESHOLD / HEALTHY_THRESHOLD) ** severity
            for muscle, gain in kind.reflex_gain.items():
                m = _index(muscle, side)
                out.reflex_gain[m] = max(out.reflex_gain[m], severity * gain)
                out.reflex_threshold[m] = min(out.reflex_threshold[m], threshold)
            if kind.merged:
                mixing = _merge([_index(m, side) for m in kind.merged], severity * kind.merging) @ mixing
        delay += severity * kind.neural_delay_s
    latency = out.reflex_delay * subject.height_m / REFLEX_STATURE + delay
    return replace(out, reflex_delay=latency, mixing=mixing, neural_delay_s=delay)


def _index(muscle: str, side: str) -> int:
    return SIDES.index(side) * len(MUSCLES) + MUSCLES.index(muscle)


def _merge(group: list[int], share: float) -> FloatArray:
    """Each excitation of the group moves by `share` towards the group's mean; the group's sum stays as it was."""
    matrix = np.eye(N_MUSCLES)
    rows = np.ix_(group, group)
    matrix[rows] = (1.0 - share) * matrix[rows] + share / len(group)
    return matrix


def impair_model(model: mujoco.MjModel, what: Effects) -> None:
    """Give the compiled person these muscles, in place; whatever reads its muscles from the model then knows them.

    The first 26 actuators are the muscles in our order; the rotators of the hip, much of whose torque is that of glutei
    medius and minimus, are as weak as the abductors. Weakness leaves the passive force as it was; a shorter fibre
    keeps its tendon. To be called once, before anything is read from the model.
    """
    for m in range(N_MUSCLES):
        gain, reach = model.actuator_gainprm[m], model.actuator_lengthrange[m]
        optimal = (reach[1] - reach[0]) / (gain[1] - gain[0])
        tendon = reach[0] - gain[0] * optimal
        gain[2] *= what.force[m]
        gain[6] *= what.contraction_speed[m]
        gain[7] *= what.passive[m] / what.force[m]
        if what.fibre_length[m] != 1.0:
            reach[:] = tendon + gain[:2] * optimal * what.fibre_length[m]
        model.actuator_biasprm[m] = gain
        model.actuator_dynprm[m, 1] *= what.deactivation[m]
    for side in SIDES:
        model.actuator(f"rotators_{side}").gainprm[0] *= what.force[_index("abd", side)]
