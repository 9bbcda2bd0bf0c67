"""Joint torques to muscle excitations: MuJoCo's muscle curves and a static optimisation, compiled.

Muscles move the person; only the hips have rotators beside them, see `nervous.turn_hips`. The wanted
joint torques are shared among the muscles by minimising
sum_j w_j (tau_j - sum_m r_jm F_m(a_m))^2 + lambda sum_m a_m^2 over activations in [a_min, 1]
(static optimisation with squared activations, Crowninshield & Brand 1981, J Biomech 14:793).
"""

from __future__ import annotations

from typing import Any

from .compiled import compiled

A_MIN = 0.001
EFFORT_WEIGHT = 80.0  # (Nm)^2: the price of full activation of one muscle; less leaves co-contraction
SWEEPS = 6
LEAD = 2.0  # excitation leads activation by this factor, which halves the activation delay


@compiled(inline="always")
def force_length(length: float, lmin: float, lmax: float) -> float:
    """Active force-length curve of MuJoCo's muscle: 1 at the optimal length, 0 outside lmin..lmax."""
    if length < lmin or length > lmax:
        return 0.0
    a = 0.5 * (lmin + 1.0)
    b = 0.5 * (1.0 + lmax)
    if length <= a:
        x = (length - lmin) / max(1e-12, a - lmin)
        return 0.5 * x * x
    if length <= 1.0:
        x = (1.0 - length) / max(1e-12, 1.0 - a)
        return 1.0 - 0.5 * x * x
    if length <= b:
        x = (length - 1.0) / max(1e-12, b - 1.0)
        return 1.0 - 0.5 * x * x
    x = (lmax - length) / max(1e-12, lmax - b)
    return 0.5 * x * x


@compiled(inline="always")
def force_velocity(velocity: float, fvmax: float) -> float:
    """Force-velocity curve of MuJoCo's muscle; velocity over the maximum, lengthening positive."""
    y = fvmax - 1.0
    if velocity <= -1.0:
        return 0.0
    if velocity <= 0.0:
        return (velocity + 1.0) * (velocity + 1.0)
    if velocity <= y:
        return fvmax - (y - velocity) * (y - velocity) / max(1e-12, y)
    return fvmax


@compiled(inline="always")
def passive_force(length: float, lmax: float, fpmax: float) -> float:
    """Passive force-length curve of MuJoCo's muscle, over the maximum isometric force."""
    if length <= 1.0:
        return 0.0
    b = 0.5 * (1.0 + lmax)
    if length <= b:
        x = (length - 1.0) / max(1e-12, b - 1.0)
        return 0.5 * fpmax * x * x
    return fpmax * (0.5 + (length - b) / max(1e-12, b - 1.0))


@compiled
def static_optimisation(
    arms: Any,
    capacity: Any,
    passive: Any,
    torque: Any,
    weight: Any,
    activation: Any,
    muscles_of_leg: int,
    joints_of_leg: int,
) -> None:
    """Coordinate descent on the activations, warm-started in place, one leg after the other.

    arms: (n_joints, n_muscles) m, positive where tension drives the coordinate up. capacity, passive: (n_muscles,)
    N of active force at full activation and of passive force. torque, weight: (n_joints,). activation: (n_muscles,).
    """
    for leg in range(2):
        m0, j0 = leg * muscles_of_leg, leg * joints_of_leg
        residual = torque[j0 : j0 + joints_of_leg].copy()
        for j in range(joints_of_leg):
            for m in range(m0, m0 + muscles_of_leg):
                residual[j] -= arms[j0 + j, m] * (passive[m] + capacity[m] * activation[m])
        for _ in range(SWEEPS):
            for m in range(m0, m0 + muscles_of_leg):
                slope, curvature = 0.0, EFFORT_WEIGHT
                for j in range(joints_of_leg):
                    g = arms[j0 + j, m] * capacity[m]
                    slope += weight[j0 + j] * g * residual[j]
                    curvature += weight[j0 + j] * g * g
                old = activation[m]
                new = old + (slope - EFFORT_WEIGHT * old) / curvature
                new = min(1.0, max(A_MIN, new))
                if new != old:
                    for j in range(joints_of_leg):
                        residual[j] -= arms[j0 + j, m] * capacity[m] * (new - old)
                    activation[m] = new
