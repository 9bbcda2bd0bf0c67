"""What lies between muscle and amplifier: electrode gains, crosstalk, slipping, sweat, mains and movement artefacts."""

from __future__ import annotations

import math

import numpy as np

from ...controllers.interface import FloatArray
from ...controllers.names import SIDES
from ...controllers.sensor_specs import EmgSpec

# Muscles of which one can be picked up over the other, because they lie beside or over it.
NEIGHBOURS = frozenset(
    map(
        frozenset,
        (
            ("abd", "glutmax"),
            ("abd", "rectfem"),
            ("glutmax", "hamstrings"),
            ("iliopsoas", "rectfem"),
            ("iliopsoas", "add"),
            ("add", "hamstrings"),
            ("add", "vasti"),
            ("rectfem", "vasti"),
            ("vasti", "bifemsh"),
            ("hamstrings", "bifemsh"),
            ("hamstrings", "gastroc"),
            ("gastroc", "soleus"),
            ("soleus", "fdl"),
            ("soleus", "tibant"),  # measured by De Luca and Merletti 1988
            ("soleus", "edl"),
            ("tibant", "edl"),
        ),
    )
)
UPDATE_S = 1.0  # sweat is slow: gains follow it once a second

# Harmonics of the mains relative to the fundamental; chosen: odd ones larger, as rectifier loads make them.
HARMONICS = (1.0, 0.1, 0.3)
MAINS_HZ_SD = 0.02  # chosen: within the +-50 mHz that the European grid keeps in normal operation

# Movement artefacts lie below 20 Hz (De Luca, Gilmore, Kuznetsov and Roy 2010, J Biomech 43:1573). Skin and electrode
# are a damped oscillator whose frequency differs from place to place (range and damping chosen).
ARTEFACT_HZ = (4.0, 12.0)
ARTEFACT_DAMPING = 0.25
HEEL_STRIKE_RATE = 7000.0  # N/s, chosen: ten body weights a second, a usual loading rate in walking
CONTACT_N = 20.0


def neighbourhood(muscles: tuple[str, ...]) -> FloatArray:
    """(m, m) 1 where a muscle is picked up over another, both legs' muscles in the layout's order (right leg first)."""
    one = np.array([[float(frozenset((a, b)) in NEIGHBOURS) for b in muscles] for a in muscles])
    return np.kron(np.eye(len(SIDES)), one)


class Electrodes:
    """The electrodes of one session on both legs: how they mix and spoil the muscles' signals, and how that drifts.

    gain: (m,) the gains when the maximum contractions were recorded.
    """

    def __init__(self, spec: EmgSpec) -> None:
        self._spec = spec
        self._near = neighbourhood(spec.muscles)
        self._side = np.repeat(np.arange(len(SIDES)), len(spec.muscles))

    def reset(self, rng: np.random.Generator) -> None:
        """Put on new electrodes and begin at some moment of the session."""
        s, m = self._spec, len(self._near)
        self._rng = rng
        self.gain = np.exp(s.gain_sd * rng.standard_normal(m))
        self._now = self.gain.copy()
        self._crosstalk = s.crosstalk * self._near * rng.random((m, m))
        self._start = rng.uniform(0.0, s.session_s)
        self._next_shift = self._wait()
        self._next_update = 0.0
        amplitude = math.sqrt(2.0) * s.powerline_volts * np.outer(HARMONICS, rng.uniform(0.3, 1.7, m))
        angle = rng.uniform(0.0, 2.0 * math.pi, amplitude.shape)
        self._powerline = np.stack([amplitude * np.cos(angle), amplitude * np.sin(angle)], axis=1)
        self.powerline_hz = s.powerline_hz + MAINS_HZ_SD * rng.standard_normal()
        self.corner = 2.0 * math.pi * rng.uniform(*ARTEFACT_HZ, m)
        self._push = s.motion_volts * rng.standard_normal(m)
        self._force: list[float] | None = None

    def advance(self, time_s: float) -> None:
        """Let the electrodes slip and sweat up to `time_s` of the run."""
        age = self._start + time_s
        if age < min(self._next_update, self._next_shift):
            return
        s = self._spec
        while self._next_shift <= age:
            i = int(self._rng.integers(len(self._now)))
            self._now[i] *= math.exp(s.shift_sd * self._rng.standard_normal())
            self._crosstalk[i] = s.crosstalk * self._near[i] * self._rng.random(len(self._now))
            self._next_shift += self._wait()
        wet = 1.0 - math.exp(-age / s.sweat_time_s)
        dry = 1.0 - s.sweat_impedance_drop * wet
        gain = s.mvc_volts * (1.0 - s.sweat_gain_loss * wet) * self._now
        # (source, electrode): a row is where a muscle's signal goes.
        self.mixing = np.ascontiguousarray((gain[:, None] * (np.eye(len(gain)) + self._crosstalk)).T)
        self.noise_volts = s.noise_volts * dry
        self.powerline = self._powerline * dry
        self._dry = dry
        self._next_update = age + UPDATE_S

    def shaken(self, force: FloatArray, rate_hz: float) -> FloatArray:
        """(m,) V, what pulls at the artefact's oscillators now: loading of the leg's foot; every strike anew.

        force: (2,) N under the feet, once a control tick.
        """
        now = force.tolist()
        before, self._force = self._force or now, now
        struck = [was < CONTACT_N <= new for was, new in zip(before, now, strict=True)]
        loading = [max(new - was, 0.0) * (rate_hz / HEEL_STRIKE_RATE) for was, new in zip(before, now, strict=True)]
        if any(struck):
            fresh = self._spec.motion_volts * self._rng.standard_normal(len(self._push))
            self._push = np.where(np.array(struck)[self._side], fresh, self._push)
        return self._dry * self._push * np.array(loading)[self._side]

    def _wait(self) -> float:
        """s until the next electrode slips."""
        per_s = self._spec.shift_per_hour * len(self._near) / 3600.0
        return self._rng.exponential(1.0 / per_s) if per_s > 0.0 else math.inf
