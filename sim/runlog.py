"""Collects what happens in a run of the plant, tick by tick, and turns it into a recording."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..controllers.device import SIDES
from ..controllers.interface import FloatArray, SensorFrame
from .body import SIDED_JOINTS, SIDED_MUSCLES
from .metabolics import MuscleEnergetics, metabolic_rates
from .modes import stances, walking_modes
from .muscle_paths import SPECIFIC_TENSION
from .plant import Plant
from .posture_plan import POSTURE_MODES
from .recording import Recording
from .seat import seat_place
from .sensors.fault_injector import spoil_raw_emg
from .sensors.ultrasound import Scan, scan
from .shipped import trained_versions
from .terrain import ground_height, ground_slope
from .truth import BLOCKS, CONTACT_THRESHOLD, ROW

LICENCE = "CC BY 4.0 (synthetic, made by exotwin)"
SLOW = 1.05  # m/s of commanded speed below which walking counts as slow
VIDEO_EVERY = 0.02  # s between the poses kept for pictures


def speed_class(mode: str, speed: float) -> str:
    """``slow`` or ``normal`` for walking, nothing for other modes."""
    return "" if mode != "walk" else "slow" if speed < SLOW else "normal"


def versions() -> dict[str, str]:
    """Versions of what makes the numbers of a recording: packages, and the shipped policies and references."""
    return {name: version(name) for name in ("exotwin", "mujoco", "myo-sim", "numpy")} | trained_versions()


class RunLog:
    """Room for one run of at most `seconds`; `add` once a control tick, then `recording`.

    estimate_joints: joints the estimator answers for, with side.
    """

    def __init__(self, plant: Plant, seconds: float, estimate_joints: tuple[str, ...] = ()) -> None:
        n = round(seconds * plant.rate) + 1
        self.plant, self.estimate_joints = plant, estimate_joints
        self.rows = np.zeros((n, ROW))
        self.measured = np.full((n, len(plant.layout) if plant.layout else 0), np.nan)
        self.estimates = np.full((n, len(estimate_joints)), np.nan)
        self.commands = np.zeros((n, len(plant.device.actuated) if plant.device else 0))
        self.faults = [""] * n
        self.events: list[dict[str, Any]] = []
        self.poses: list[FloatArray] = []
        emg = plant.device.sensors.emg if plant.device else None
        self._raw_emg = np.zeros((round(seconds * emg.rate_hz) + 1, len(SIDES) * len(emg.muscles)) if emg else (0, 0))
        self._raw_samples = 0
        self._pose_every = max(1, round(VIDEO_EVERY * plant.rate))
        self.ticks = 0

    def add(
        self,
        frame: SensorFrame | None,
        command: FloatArray | None = None,
        estimate: FloatArray | None = None,
        faults: tuple[str, ...] = (),
    ) -> None:
        """Keep the plant's present state with what was measured and commanded at it."""
        k = self.ticks
        self.rows[k] = self.plant.row
        if frame is not None:
            self.measured[k] = frame.values
            self._keep_raw_emg()
        if command is not None:
            self.commands[k] = command
        if estimate is not None and len(estimate):
            self.estimates[k] = estimate
        if faults:
            self.faults[k] = ",".join(faults)
        if self.faults[k] != (self.faults[k - 1] if k else ""):
            self.event("fault" if self.faults[k] else "recovered", self.faults[k] or self.faults[k - 1])
        if k % self._pose_every == 0:
            self.poses.append(self.plant.person.data.qpos.copy())
        self.ticks += 1

    def event(self, kind: str, detail: str = "") -> None:
        """Note that something happened now."""
        self.events.append({"time": self.ticks / self.plant.rate, "kind": kind, "detail": detail})

    def recording(self, scenario: str, arm: str, seed: int, partial: bool = False) -> Recording:
        """Everything so far, in the columns of DESIGN.md."""
        plant, n = self.plant, self.ticks
        rows = self.rows[:n]
        time = np.arange(n) / plant.rate
        speeds = _block(rows, "command_speed")[:, 0]
        modes = self._modes(rows)
        columns: dict[str, NDArray[Any]] = {
            "time": time,
            "mode": modes,
            "speed_class": np.array([speed_class(m, s) for m, s in zip(modes, speeds, strict=True)]),
            "fault": np.array(self.faults[:n]),
        }
        terrain, ahead = plant.person.body.terrain, _block(rows, "pelvis")[:, 0]
        columns["terrain/height"] = np.array([ground_height(terrain, x) for x in ahead])
        columns["terrain/slope"] = np.arctan([ground_slope(terrain, x) for x in ahead])
        grf = _block(rows, "grf")
        for i, side in enumerate(SIDES):
            columns[f"phase/{side}"] = contact_phase(time, grf[:, 3 * i + 2])
        columns |= _named(rows, "angle", "angle/{}", SIDED_JOINTS)
        columns |= _named(rows, "velocity", "velocity/{}", SIDED_JOINTS)
        parts = {part: _block(rows, part) for part in ("muscle", "ligament", "exo")}
        parts["biological"] = parts["muscle"] + parts["ligament"]
        parts["net"] = parts["biological"] + parts["exo"]
        for part, values in parts.items():
            for j, joint in enumerate(SIDED_JOINTS):
                columns[f"torque/{part}/{joint}"] = values[:, j]
        columns |= _named(rows, "activation", "activation/{}", SIDED_MUSCLES)
        columns |= _named(rows, "force", "force/{}", SIDED_MUSCLES)
        columns |= _named(rows, "grf", "grf/{}", [f"{s}/{a}" for s in SIDES for a in "xyz"])
        columns |= _named(rows, "cop", "cop/{}", [f"{s}/{a}" for s in SIDES for a in "xy"])
        columns |= _named(rows, "free_moment", "free_moment/{}", SIDES)
        if plant.person.reference.still:
            columns["seat/z"] = _block(rows, "seat")[:, 0]
        pelvis = ("x", "y", "z", "qw", "qx", "qy", "qz", "vx", "vy", "vz", "wx", "wy", "wz")
        columns |= _named(rows, "pelvis", "pelvis/{}", pelvis)
        if plant.layout and plant.device:
            columns |= {name: self.measured[:n, i] for i, name in enumerate(plant.layout.names)}
            for i, joint in enumerate(plant.device.actuated):
                columns[f"command/{joint}"] = self.commands[:n, i]
                columns[f"delivered/{joint}"] = columns[f"torque/exo/{joint}"]
        columns |= {f"estimate/{joint}": self.estimates[:n, i] for i, joint in enumerate(self.estimate_joints)}
        columns |= {f"metabolic/{k}": v for k, v in self._metabolic(rows).items()}
        return Recording(columns, self._meta(scenario, arm, seed, partial))

    def raw_emg(self, scenario: str, arm: str, seed: int, partial: bool = False) -> Recording | None:
        """The raw EMG of the run at its own rate, for the sibling file; None where the device has no EMG."""
        spec = self.plant.device.sensors.emg if self.plant.device else None
        if spec is None:
            return None
        volts, faults = self._raw_emg[: self._raw_samples], self.plant.faults
        names = [f"emg/{m}_{side}" for side in SIDES for m in spec.muscles]
        if faults:
            volts = volts.copy()
            spoil_raw_emg(volts, names, spec, faults, np.random.default_rng(self.plant.packet_seed))
        columns = {"time": np.arange(len(volts)) / spec.rate_hz}
        columns |= {name: volts[:, i] for i, name in enumerate(names)}
        return Recording(columns, self._meta(scenario, arm, seed, partial) | {"rate_hz": spec.rate_hz})

    def ultrasound(self, *seed: int) -> Scan | None:
        """Images of the run, for the sibling file; None where the device has no probe. seed: of what spoils them."""
        spec = self.plant.device.sensors.ultrasound if self.plant.device else None
        if spec is None:
            return None
        muscles = [SIDED_MUSCLES.index(f"{m}_{spec.side}") for m in spec.muscles]
        lengths = _block(self.rows[: self.ticks], "fibre_length")[:, muscles]
        return scan(lengths, self.plant.rate, spec, np.random.default_rng((*seed, 2)))

    def _keep_raw_emg(self) -> None:
        """Keep the raw EMG that arrived with the present frame, of the first one only the sample at its own time."""
        if self.plant.suite is not None and self.plant.suite.emg is not None:
            new = self.plant.suite.emg.raw[-1 if self.ticks == 0 else 0 :]
            self._raw_emg[self._raw_samples : self._raw_samples + len(new)] = new
            self._raw_samples += len(new)

    def _modes(self, rows: FloatArray) -> NDArray[Any]:
        """(n,) the gait's mode; a walk's by the terrain that the feet tread."""
        plant = self.plant
        if plant.person.reference.still:
            return np.array(POSTURE_MODES)[_block(rows, "posture")[:, 0].astype(int)]
        if plant.task.mode != "walk":
            return np.full(len(rows), plant.task.mode)
        grf, cop = _block(rows, "grf"), _block(rows, "cop")
        feet = [stances(grf[:, 3 * i + 2] >= CONTACT_THRESHOLD, cop[:, 2 * i], plant.rate) for i in range(len(SIDES))]
        return walking_modes(plant.person.body.terrain, feet, len(rows))

    def _meta(self, scenario: str, arm: str, seed: int, partial: bool) -> dict[str, Any]:
        plant = self.plant
        return {
            "subject": plant.subject.as_dict(),
            "device": plant.device.name if plant.device else None,
            "terrain": plant.person.terrain.model_dump(mode="json"),
            "seat": seat_place(plant.person.model) if plant.person.reference.still else None,
            "adaptation": plant.adaptation,
            "impairments": [impairment.model_dump() for impairment in plant.person.impairments],
            "scenario": scenario,
            "arm": arm,
            "seed": seed,
            "rate_hz": plant.rate,
            "duration_s": self.ticks / plant.rate,
            "versions": versions(),
            "model_hash": plant.person.model_hash(),
            "licence": LICENCE,
            "events": self.events,
            "partial": partial,
            "falls": int(plant.fallen),
        }

    def _metabolic(self, rows: FloatArray) -> dict[str, FloatArray]:
        muscle = self.plant.person.body.muscle
        energetics = MuscleEnergetics.of(SIDED_MUSCLES, muscle[:, 0], muscle[:, 2], specific_tension=SPECIFIC_TENSION)
        active, force = _block(rows, "active_force"), _block(rows, "force")
        return metabolic_rates(
            energetics,
            _block(rows, "excitation"),
            _block(rows, "activation"),
            _block(rows, "fibre_length"),
            _block(rows, "fibre_velocity"),
            active,
            self.plant.subject.mass_kg,
            passive_force=np.maximum(0.0, force - active),
        )


def _block(rows: FloatArray, name: str) -> FloatArray:
    start, length = BLOCKS[name]
    return rows[:, start : start + length]


def _named(rows: FloatArray, block: str, pattern: str, names: Any) -> dict[str, FloatArray]:
    values = _block(rows, block)
    return {pattern.format(name): values[:, i] for i, name in enumerate(names)}


def contact_phase(time: FloatArray, force: FloatArray) -> FloatArray:
    """Phase 0..1 between heel strikes (rising force after at least 0.1 s of swing); NaN before two strikes.

    Before the first and after the last strike it goes on at the nearest stride's pace.
    """
    loaded = force > CONTACT_THRESHOLD
    rises = np.flatnonzero(loaded[1:] & ~loaded[:-1]) + 1
    swing = max(1, round(0.1 / max(1e-9, time[1] - time[0]))) if len(time) > 1 else 1
    strikes = time[[k for k in rises if k >= swing and not loaded[k - swing : k].any()]] if len(rises) else np.zeros(0)
    if len(strikes) < 2:
        return np.full(len(time), np.nan)
    before = strikes[0] - (strikes[1] - strikes[0]) * np.arange(np.ceil(strikes[0] / (strikes[1] - strikes[0])), 0, -1)
    last = strikes[-1] - strikes[-2]
    after = strikes[-1] + last * np.arange(1, np.ceil((time[-1] - strikes[-1]) / last) + 1)
    knots = np.concatenate([before, strikes, after])
    return np.interp(time, knots, np.arange(len(knots))) % 1.0
