"""Muscle paths without moving via points, and the strengths that bring them near people.

The source model (myo-sim `myolegs26`, from OpenSim gait2392) moves via points and knee translations
with soft equality constraints that give way under load. Straight segments between fixed sites, fitted to the
source's or gait2392's lengths and moment arms, replace them; `tests/sim/test_person.py` holds each to its target.
Positions in mm in the segment's frame (x forward, y up, z right), right leg, at the source's size.
"""

from __future__ import annotations

from dataclasses import dataclass

Point = tuple[str, tuple[float, float, float]]


@dataclass(frozen=True)
class Branch:
    """One straight line from a to b that counts `weight` times its length (a pulley in MuJoCo)."""

    weight: float
    points: tuple[Point, ...]


@dataclass(frozen=True)
class MusclePath:
    """A fitted path and the shift (mm) of the source's length range that goes with it, where `FIBRES` has no other."""

    branches: tuple[Branch, ...]
    length_shift: float = 0.0


def _line(*points: Point) -> tuple[Branch, ...]:
    return (Branch(1.0, points),)


# Straight lines cut through the hip when it flexes far, where the extensors bend round the joint and keep their arms:
# radius (mm) of a cylinder along the flexion axis behind it. Each is the arm that the line has at about 80 deg of
# flexion, so nothing changes in walking, stairs included; chosen.
WRAPPED: dict[str, float] = {"glutmax": 18.0, "hamstrings": 40.0}

# bifemsh, gastroc and iliopsoas are fitted to the exact coupled paths of the source; the others to gait2392: the
# quadriceps because its knee extension arms (37/34/30 mm at 60/70/80 deg) agree with Rajagopal 2016 where the source's
# (42/42/40 mm) do not, hamstrings, abductors and adductors because their lumped lines stand for whole groups.
FITTED: dict[str, MusclePath] = {
    "hamstrings": MusclePath(_line(("pelvis", (-122.5, -101.2, 69.1)), ("tibia", (-33.8, -40.4, -1.9)))),
    "bifemsh": MusclePath(_line(("femur", (6.76, -191.1, 22.24)), ("tibia", (-31.02, -33.34, 30.69))), -4.54),
    "gastroc": MusclePath(_line(("femur", (-26.71, -400.25, -23.34)), ("calcn", (0, 30.99, -5.96)))),
    "iliopsoas": MusclePath(
        (
            Branch(0.2484, (("pelvis", (-58.5, -102.43, 91.41)), ("femur", (7.91, -80.7, 5.6)))),
            Branch(0.7713, (("pelvis", (5.73, -48.34, 70.61)), ("femur", (-0.11, -75.0, 6.4)))),
        ),
        -155.70,
    ),
    # The source's shank is gait2392's made 30 mm shorter, but the point that ties this muscle down before the ankle was
    # left where it was, 5 mm instead of 35 above the joint: the arm falls from 25 mm at 0 to 9 at 20 deg of
    # dorsiflexion. Points like gait2392's, on the shorter shank, fitted to its 36 to 43 mm.
    "tibant": MusclePath(
        _line(("tibia", (17.9, -151.1, 11.5)), ("tibia", (29.9, -367.5, -17.7)), ("calcn", (115.0, 16.8, -30.5)))
    ),
    "vasti": MusclePath(_line(("femur", (29.13, -374.5, 5.5)), ("tibia", (40.97, 2.07, 1.8)))),
    "rectfem": MusclePath(
        _line(
            ("pelvis", (-29.5, -31.1, 96.8)),
            ("femur", (48.0, -350.0, -5.5)),
        )
        + _line(("femur", (37.71, -328.58, -5.5)), ("tibia", (43.62, 2.0, 1.4))),
        39.93,
    ),
    # The source's abductor extends the hip with 22 mm and its adductor arm is 76 mm; gait2392's group means are 12 and
    # 64 mm.
    "abd": MusclePath(_line(("pelvis", (-74.8, 28.1, 91.8)), ("femur", (-17.9, -6.2, 48.2)))),
    "add": MusclePath(_line(("pelvis", (-69.2, -98.7, 28.8)), ("femur", (9.5, -239.7, 31.7))), 105.3),
}

# Factors on the source's maximum isometric force for a man of 75 kg, 1.75 m and 30 years, set so that the greatest
# isometric joint torques come near people's (`anatomy.strength_table` prints both). The source is 1.5-2.5 times
# stronger. Short biceps and iliopsoas also stand for sartorius, gracilis, tensor fasciae latae and pectineus that the
# reduced model lacks; soleus for tibialis posterior, peronei and the toes' long flexors. The plantarflexors
# have gait2392's torque, far above dynamometer values: people reach 1.5-1.7 Nm/kg in fast walking and 2.7 in running at
# 2 m/s, dorsiflexed by 27 deg (Hamner & Delp 2013, J Biomech 46:780).
STRENGTH: dict[str, float] = {
    "abd": 0.745,
    "add": 0.48,
    "hamstrings": 0.593,
    "bifemsh": 1.85,
    "edl": 0.82,
    "fdl": 0.96,
    "glutmax": 0.99,
    "iliopsoas": 1.05,
    "rectfem": 0.72,
    "vasti": 0.56,
    "gastroc": 0.50,
    "soleus": 0.593,
    "tibant": 0.36,
}

# Pa. The source's forces come from measured muscle volumes at this value (Rajagopal 2016, IEEE TBME 63:2068), so masses
# are taken back with it; Umberger's own 0.25 MPa would give the person 27 kg of leg muscle.
SPECIFIC_TENSION = 0.6e6

# MuJoCo's fpmax: twice the passive force, over the maximum isometric one, midway between the optimal and the longest
# active length. It is set where the source's is far from people (Riener & Edrich 1999, J Biomech 32:539): its vasti
# resist knee flexion with 24 Nm at 60 deg, its hamstrings and gluteus hip flexion with 68 Nm at 60 deg (people 11), and
# too little resists extension of the hip and dorsiflexion.
PASSIVE: dict[str, float] = {
    "vasti": 0.10,
    "rectfem": 0.10,
    "hamstrings": 0.74,
    "glutmax": 3.3,
    "iliopsoas": 2.0,
    "gastroc": 15.0,
    "soleus": 15.0,
}


@dataclass(frozen=True)
class Fibres:
    """Optimal fibre length (mm, at the source's size), and fibre length over it with all joints at zero.

    span: fibre lengths over the optimal one at which active force ends (MuJoCo's lmin, lmax); None for the source's.
    """

    optimal: float
    normalised: float
    span: tuple[float, float] | None = None


# The source runs the plantarflexors at 0.15-0.67 of optimal length, without passive torque. People's calf is strongest
# in dorsiflexion (Anderson 2007: at 23 deg; gait2392, whose tendon gives under load: at 5-10 deg), where a climb needs
# it. With a rigid tendon a fibre that is longer than the anatomical one (gait2392: 60 and 50 mm) stands for fibre plus
# Achilles tendon; lengths and spans are fitted to gait2392's isometric torque at 10 and 80 deg of knee flexion.
# The source stretches the vasti to 1.3 of optimal length at 100 deg of knee flexion, where extension has half of its
# torque at 60 deg; people have 72 % (Anderson 2007, J Biomech 40:3105, men 18-25), and need it to rise from a seat. So
# the vasti work at shorter lengths here.
FIBRES: dict[str, Fibres] = {
    "vasti": Fibres(optimal=105.0, normalised=0.42),
    # The source has the abductors at the top of the force-length curve: strongest with the hip 15 deg abducted, where
    # their arm is longest, and a sixth weaker at 20 deg of adduction, where a pelvis that drops needs them. People are
    # strongest when adducted (Neumann 1988, Phys Ther 68:496).
    "abd": Fibres(optimal=109.5, normalised=0.68),
    # gait2392's: 98 mm, of which 81 are fibre in the neutral pose. The source has it at 0.56.
    "tibant": Fibres(optimal=98.0, normalised=0.82),
    # The source's hip extensors lose half of their torque between 15 and 80 deg of flexion, gait2392's a third: who
    # climbs needs it there. Fitted to gait2392's isometric torque at 10 and 60 deg of knee flexion.
    "glutmax": Fibres(optimal=180.0, normalised=0.56, span=(0.0, 1.5)),
    "hamstrings": Fibres(optimal=140.0, normalised=0.77, span=(0.0, 1.8)),
    "gastroc": Fibres(optimal=110.0, normalised=0.95, span=(0.4, 2.15)),
    "soleus": Fibres(optimal=90.0, normalised=0.89, span=(0.3, 2.3)),
}
