"""Metabolic rate of the body from its muscles' states, by three published muscle energy models.

All are vectorised over whole trajectories: arrays are (n, n_muscles). Fibre velocity is in m/s, **positive
when the fibre lengthens** (as in MuJoCo and OpenSim), forces are along the fibre.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..controllers.interface import FloatArray, closest

MUSCLE_DENSITY = 1059.7  # kg/m^3, Mendez & Keys (1960), as used by Umberger et al. (2003) and OpenSim
SPECIFIC_TENSION = 0.25e6  # Pa, mammalian muscle, Umberger et al. (2003)
BASAL_RATE = 1.2  # W/kg of body mass, OpenSim's default in its Umberger and Bhargava implementations
MINIMUM_HEAT_RATE = 1.0  # W/kg of muscle, Umberger et al. (2003) p. 104

# Slow-twitch fractions as Uchida et al. (2016, PLoS ONE 11:e0150378) tabulate them for OpenSim's leg
# muscles. A lumped muscle takes the plain mean of its heads (add: adductor magnus; abd: gluteus medius; fdl,
# edl: the long toe muscles); iliopsoas has no measured value there: 0.5.
SLOW_TWITCH_FRACTION = {
    "abd": 0.55,
    "add": 0.552,
    "hamstrings": (0.4925 + 0.425 + 0.5425) / 3,
    "bifemsh": 0.529,
    "edl": 0.75,
    "fdl": 0.60,
    "glutmax": 0.55,
    "iliopsoas": 0.50,
    "rectfem": 0.3865,
    "vasti": (0.503 + 0.543 + 0.455) / 3,
    "gastroc": (0.566 + 0.507) / 2,
    "soleus": 0.803,
    "tibant": 0.70,
}


@dataclass(frozen=True)
class MuscleEnergetics:
    """What the energy models need to know about each muscle; all arrays (n_muscles,).

    optimal_fibre_length: m. max_isometric_force: N. slow_twitch_fraction: 0..1.
    max_velocity: fastest shortening, optimal fibre lengths per second (10 is OpenSim's default).
    specific_tension: Pa, by which forces were made from muscle volumes.
    """

    names: tuple[str, ...]
    optimal_fibre_length: FloatArray
    max_isometric_force: FloatArray
    slow_twitch_fraction: FloatArray
    max_velocity: FloatArray
    specific_tension: float = SPECIFIC_TENSION

    def __post_init__(self) -> None:
        for field in ("optimal_fibre_length", "max_isometric_force", "slow_twitch_fraction", "max_velocity"):
            values = np.asarray(getattr(self, field), dtype=np.float64)
            if values.shape != (len(self.names),):
                raise ValueError(f"{field} has shape {values.shape}, there are {len(self.names)} muscles")
            low, high = (0.0, 1.0) if field == "slow_twitch_fraction" else (1e-12, np.inf)
            if not ((values >= low) & (values <= high)).all():
                bad = self.names[int(np.argmin((values >= low) & (values <= high)))]
                raise ValueError(f"{field} of {bad} is out of range")
            object.__setattr__(self, field, values)

    @classmethod
    def of(
        cls,
        names: Iterable[str],
        optimal_fibre_length: FloatArray,
        max_isometric_force: FloatArray,
        max_velocity: float = 10.0,
        specific_tension: float = SPECIFIC_TENSION,
    ) -> MuscleEnergetics:
        """Parameters with the published slow-twitch fractions of the muscles named (``soleus_r``).

        Raises ValueError that names an unknown muscle and the nearest known one.
        """
        names = tuple(names)
        fractions = []
        for name in names:
            muscle = name.removesuffix("_r").removesuffix("_l")
            if muscle not in SLOW_TWITCH_FRACTION:
                raise ValueError(f"no slow-twitch fraction of {name!r}{closest(muscle, SLOW_TWITCH_FRACTION)}")
            fractions.append(SLOW_TWITCH_FRACTION[muscle])
        velocity = np.full(len(names), float(max_velocity))
        return cls(names, optimal_fibre_length, max_isometric_force, np.array(fractions), velocity, specific_tension)

    @property
    def mass(self) -> FloatArray:
        """Muscle mass, kg: F0 L0 density / specific tension."""
        return self.max_isometric_force * self.optimal_fibre_length * MUSCLE_DENSITY / self.specific_tension


def active_force_length(fibre_length_norm: FloatArray) -> FloatArray:
    """Isometric active force over its maximum: exp(-(l - 1)^2 / 0.45) (Thelen 2003, J Biomech Eng 125:70)."""
    return np.exp(-((fibre_length_norm - 1.0) ** 2) / 0.45)


def umberger2010(
    params: MuscleEnergetics,
    excitation: FloatArray,
    activation: FloatArray,
    fibre_length_norm: FloatArray,
    fibre_velocity: FloatArray,
    active_force: FloatArray,
) -> FloatArray:
    """Metabolic rate of each muscle, W, (n, n_muscles). Umberger (2010), J R Soc Interface 7:1284.

    The model of Umberger et al. (2003, Comput Methods Biomech 6:99) with the changes of 2010: lengthening
    heat falls to 0.3 alpha_slow and negative work is left out. With f the slow-twitch fraction, v the fibre
    velocity over L0 (1/s), aerobic factor S = 1.5, A = u if u > a else (u + a) / 2:

        h_AM = S A^0.6 (25 + 128 (1 - f)),           times 0.4 + 0.6 F_iso(l) where l > 1
        h_SL = S A^2 (f min(-a_s v, 100) - (1 - f) a_f v)  shortening
             = S A 0.3 a_s v                               lengthening;   times F_iso(l) where l > 1
        a_s = 100 / (v_max / 2.5),  a_f = 153 / v_max
        E = m max(h_AM + h_SL, 1) + max(-F v_fibre, 0)

    The 2003 paper's 1.28 %FT + 25 is the same h_AM. F_iso is `active_force_length`. OpenSim's probe gives
    the same when its options of Uchida et al. (2016) are off (recruitment by excitation, negative work and
    the floor on total power).
    """
    slow = params.slow_twitch_fraction
    fast = 1.0 - slow
    aerobic = 1.5
    drive = np.where(excitation > activation, excitation, 0.5 * (excitation + activation))
    velocity = fibre_velocity / params.optimal_fibre_length
    long = fibre_length_norm > 1.0
    isometric = active_force_length(fibre_length_norm)

    activation_heat = aerobic * drive**0.6 * (25.0 + 128.0 * fast)
    activation_heat = activation_heat * np.where(long, 0.4 + 0.6 * isometric, 1.0)

    alpha_slow = 100.0 / (params.max_velocity / 2.5)
    alpha_fast = 153.0 / params.max_velocity
    shortening = slow * np.minimum(-alpha_slow * velocity, 100.0) - fast * alpha_fast * velocity
    movement_heat = aerobic * np.where(velocity <= 0.0, drive**2 * shortening, drive * 0.3 * alpha_slow * velocity)
    movement_heat = movement_heat * np.where(long, isometric, 1.0)

    heat = np.maximum(activation_heat + movement_heat, MINIMUM_HEAT_RATE)
    work = np.maximum(-np.maximum(active_force, 0.0) * fibre_velocity, 0.0)
    return params.mass * heat + work


def bhargava2004(
    params: MuscleEnergetics,
    excitation: FloatArray,
    activation: FloatArray,
    fibre_length_norm: FloatArray,
    fibre_velocity: FloatArray,
    active_force: FloatArray,
    passive_force: FloatArray | float = 0.0,
) -> FloatArray:
    """Metabolic rate of each muscle, W, (n, n_muscles). Bhargava, Pandy & Anderson (2004), J Biomech 37:81.

    With f the slow-twitch fraction, u_s = f sin(pi u / 2), u_f = (1 - f) (1 - cos(pi u / 2)):

        A = m (40 u_s + 133 u_f)                                activation heat
        M = m L(l) (74 u_s + 111 u_f)                           maintenance heat
        S = -(0.16 F_iso + 0.18 F) V  shortening (V < 0),  -0.157 F V  lengthening
        W = -F_active V                                         negative work counts
        E = max(A + M + S, -W, m 1 W/kg) + W

    L is 0.5 up to l = 0.5, 1 at l = 1 and 0 from l = 1.5, linear between. F_iso = a F_iso(l) F0 is the
    isometric force at this activation and length, F = active + passive force. As in OpenSim, the paper's
    decay of activation heat with stimulation time is taken as 1 (Anderson & Pandy 1999), no muscle gives
    energy back and each makes at least 1 W/kg of heat.
    """
    slow_drive = params.slow_twitch_fraction * np.sin(0.5 * np.pi * excitation)
    fast_drive = (1.0 - params.slow_twitch_fraction) * (1.0 - np.cos(0.5 * np.pi * excitation))
    activation_heat = params.mass * (40.0 * slow_drive + 133.0 * fast_drive)
    length_factor = np.interp(fibre_length_norm, [0.5, 1.0, 1.5], [0.5, 1.0, 0.0])
    maintenance_heat = params.mass * length_factor * (74.0 * slow_drive + 111.0 * fast_drive)

    isometric = activation * active_force_length(fibre_length_norm) * params.max_isometric_force
    force = active_force + passive_force
    shortening_heat = -fibre_velocity * np.where(fibre_velocity <= 0.0, 0.16 * isometric + 0.18 * force, 0.157 * force)
    work = -active_force * fibre_velocity
    heat = activation_heat + maintenance_heat + shortening_heat
    return np.maximum(np.maximum(heat, -work), MINIMUM_HEAT_RATE * params.mass) + work


def minetti1997(params: MuscleEnergetics, activation: FloatArray, fibre_velocity: FloatArray) -> FloatArray:
    """Metabolic rate of each muscle, W, (n, n_muscles). Minetti & Alexander (1997), J Theor Biol 186:467.

    E = a F0 V_max phi(x),  phi = (0.054 + 0.506 x + 2.46 x^2) / (1 - 1.13 x + 12.8 x^2 - 1.64 x^3),
    x = shortening velocity / V_max, held within -1..1, where phi was fitted.
    """
    fastest = params.max_velocity * params.optimal_fibre_length
    x = np.clip(-fibre_velocity / fastest, -1.0, 1.0)
    phi = (0.054 + 0.506 * x + 2.46 * x**2) / (1.0 - 1.13 * x + 12.8 * x**2 - 1.64 * x**3)
    return activation * params.max_isometric_force * fastest * phi


def metabolic_rates(
    params: MuscleEnergetics,
    excitation: FloatArray,
    activation: FloatArray,
    fibre_length_norm: FloatArray,
    fibre_velocity: FloatArray,
    active_force: FloatArray,
    body_mass_kg: float,
    passive_force: FloatArray | float = 0.0,
) -> dict[str, FloatArray]:
    """Metabolic rate of the body, W: sum over muscles plus `BASAL_RATE` times body mass, by each model.

    excitation, activation: 0..1. fibre_length_norm: fibre length / optimal. fibre_velocity: m/s, positive
    when lengthening. active_force, passive_force: N along the fibre. All (n, n_muscles) in the order of
    `params`. Returns (n,) arrays under ``umberger2010``, ``bhargava2004``, ``minetti1997``.
    Raises ValueError on a wrong shape.
    """
    inputs = {
        "excitation": excitation,
        "activation": activation,
        "fibre_length_norm": fibre_length_norm,
        "fibre_velocity": fibre_velocity,
        "active_force": active_force,
    }
    shape = (len(np.asarray(activation)), len(params.names))
    for name, values in inputs.items():
        if np.shape(values) != shape:
            raise ValueError(f"{name} has shape {np.shape(values)}, expected (n, n_muscles) = {shape}")
    u, a, length, velocity, force = (np.asarray(v, dtype=np.float64) for v in inputs.values())
    basal = BASAL_RATE * body_mass_kg
    return {
        "umberger2010": umberger2010(params, u, a, length, velocity, force).sum(axis=1) + basal,
        "bhargava2004": bhargava2004(params, u, a, length, velocity, force, passive_force).sum(axis=1) + basal,
        "minetti1997": minetti1997(params, a, velocity).sum(axis=1) + basal,
    }
