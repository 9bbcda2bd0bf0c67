"""The spinal cord of an impaired person, compiled: merged excitations and a stretch reflex with its delay.

Called at each physics step after recruitment. What the brain asks for (activations) becomes excitations, which `mixing`
spreads over the muscles of a leg; on top comes the velocity feedback of Falisse 2018 (PLoS ONE 13:e0208811):
de/dt = -e / tau + (g / tau) s (0.5 tanh(b (s - T)) + 0.5), where s is the fibre velocity over its greatest value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .bridge import ACTUATOR_VELOCITY, CTRL, view
from .compiled import compiled
from .impairments import N_MUSCLES, Effects
from .muscle_control import LEAD

if TYPE_CHECKING:
    import mujoco

STEEPNESS = 100.0  # b, Falisse 2018

# Columns of a spinal table (26, COLUMNS): reflex gain, threshold, decay in one step, delay in steps, fibre velocity
# over path velocity, time constants of activation and deactivation (s), and from MIXING on a row of mixing.
GAIN, THRESHOLD, DECAY, DELAY, PER_VELOCITY, RISE, FALL, MIXING = range(8)
COLUMNS = MIXING + N_MUSCLES

# Slots of a reflex state: reflex excitations, voluntary activations, where the delay line is, and the line itself.
REFLEX, VOLUNTARY, HEAD, LINE = 0, N_MUSCLES, 2 * N_MUSCLES, 2 * N_MUSCLES + 1
LINE_STEPS = 64  # the longest delay is one less
REFLEX_SIZE = LINE + LINE_STEPS * N_MUSCLES


def spinal_table(what: Effects, model: mujoco.MjModel) -> NDArray[np.float64]:
    """The table that `spinal` works from, for a person whose model is already impaired. Raises ValueError for a delay
    of more steps than the line has.
    """
    table = np.zeros((N_MUSCLES, COLUMNS))
    dt = float(model.opt.timestep)
    gain, reach = model.actuator_gainprm[:N_MUSCLES], model.actuator_lengthrange[:N_MUSCLES]
    optimal = (reach[:, 1] - reach[:, 0]) / (gain[:, 1] - gain[:, 0])
    table[:, GAIN] = what.reflex_gain
    table[:, THRESHOLD] = what.reflex_threshold
    table[:, DECAY] = np.exp(-dt / what.reflex_time)
    table[:, DELAY] = np.round(what.reflex_delay / dt)
    table[:, PER_VELOCITY] = 1.0 / (optimal * gain[:, 6])
    table[:, RISE : FALL + 1] = model.actuator_dynprm[:N_MUSCLES, :2]
    table[:, MIXING:] = what.mixing
    longest = int(table[:, DELAY].max())
    if longest >= LINE_STEPS:
        raise ValueError(f"a reflex delay of {longest} physics steps; the longest is {LINE_STEPS - 1}")
    return table


@compiled(inline="always")
def activation_rate(excitation: float, activation: float, rise: float, fall: float) -> float:
    """Rate of activation (1/s) of MuJoCo's muscle (Millard 2013)."""
    gap = excitation - activation
    slow = 0.5 + 1.5 * min(1.0, max(0.0, activation))
    return gap / (rise * slow) if gap > 0.0 else gap * slow / fall


@compiled(inline="always")
def reflex_drive(velocity: float, gain: float, threshold: float) -> float:
    """Excitation that a lasting stretch at this normalised fibre velocity evokes."""
    return gain * velocity * (0.5 * np.tanh(STEEPNESS * (velocity - threshold)) + 0.5)


@compiled
def begin(reflex: Any, activation: Any) -> None:
    """Start a reflex state (REFLEX_SIZE,): at rest, the muscles voluntarily active as given (26,)."""
    reflex[:] = 0.0
    reflex[VOLUNTARY:HEAD] = activation


@compiled
def spinal(pointers: Any, table: Any, reflex: Any, wanted: Any, dt: float) -> None:
    """Overwrite the excitations of the 26 muscles (ctrl) for the next step of dt s, and move the reflex state on.

    wanted: (26,) activations that the brain asks for. The descending command leads the activation it has itself asked
    for, not the measured one, or it would take the reflex back at once, which no patient can.
    """
    velocity = view(pointers[ACTUATOR_VELOCITY], N_MUSCLES)
    ctrl = view(pointers[CTRL], N_MUSCLES)
    sent = np.empty(N_MUSCLES)
    for m in range(N_MUSCLES):
        active = reflex[VOLUNTARY + m]
        sent[m] = min(1.0, max(0.0, active + LEAD * (wanted[m] - active)))
        reflex[VOLUNTARY + m] = active + dt * activation_rate(sent[m], active, table[m, RISE], table[m, FALL])
    head = int(reflex[HEAD])
    for m in range(N_MUSCLES):
        excitation = reflex[REFLEX + m]
        for k in range(N_MUSCLES):
            excitation += table[m, MIXING + k] * sent[k]
        ctrl[m] = min(1.0, max(0.0, excitation))
        reflex[LINE + head * N_MUSCLES + m] = velocity[m] * table[m, PER_VELOCITY]
        felt = (head - int(table[m, DELAY])) % LINE_STEPS
        drive = reflex_drive(reflex[LINE + felt * N_MUSCLES + m], table[m, GAIN], table[m, THRESHOLD])
        # Exact for a drive that is constant over the step.
        reflex[REFLEX + m] = drive + table[m, DECAY] * (reflex[REFLEX + m] - drive)
    reflex[HEAD] = (head + 1) % LINE_STEPS
