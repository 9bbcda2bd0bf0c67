"""What is measured on a recording: estimator error, unloading of the person, effort, exo, ground force.

Every function takes a recording at the control rate and leaves out its first `skip_s` seconds (the
transient from the initial pose) only if told to; NaN samples are left out of means. A metric that
does not apply (no exo, column absent) is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..controllers.device import JOINTS, SIDES
from ..controllers.interface import closest
from ..controllers.protocols import MODES
from ..estimators.evaluation import joint_errors
from .gait_cycles import FloatArray, rate_hz, resample, strides

if TYPE_CHECKING:
    from ..sim.recording import Recording

# Biological torque under this is no direction to oppose. Chosen: 2-4 % of the hip and ankle peaks in walking.
DEAD_BAND_NM_PER_KG = 0.05


def after(recording: Recording, skip_s: float) -> Recording:
    """The recording without its first `skip_s` seconds. ValueError if fewer than two samples remain."""
    time = recording.columns["time"]
    first = int(np.searchsorted(time, time[0] + skip_s)) if time.size else 0
    if time.size - first < 2:
        raise ValueError(f"recording is {time.size} samples long: nothing is left after {skip_s:g} s")
    return replace(recording, columns={name: column[first:] for name, column in recording.columns.items()})


def within(recording: Recording, mode: str) -> Recording:
    """The samples of one mode put end to end, with a time that runs on without gaps."""
    chosen = recording.columns["mode"] == mode
    columns = {name: column[chosen] for name, column in recording.columns.items()}
    columns["time"] = np.arange(chosen.sum()) / rate_hz(recording)
    return replace(recording, columns=columns)


def modes_of(recording: Recording) -> tuple[str, ...]:
    """Modes that the recording has samples of, and those its terrain would have led through, in the house order."""
    from ..sim.modes import section_mode
    from ..sim.terrain import Terrain

    rows = Terrain.model_validate(recording.meta.get("terrain", {})).rows()
    found = {*np.unique(recording.columns.get("mode", [])), *(section_mode(row) for row in rows)}
    return tuple(mode for mode in MODES if mode in found)


def seconds(recording: Recording) -> float:
    """Time from the first to the last sample, s; 0 for an empty recording."""
    time = recording.columns["time"]
    return float(time[-1] - time[0]) if time.size else 0.0


def mass_kg(recording: Recording) -> float:
    """Body mass of the subject, without the exo."""
    return float(recording.meta["subject"]["mass_kg"])


def joints_with(recording: Recording, prefix: str, suffix: str = "") -> tuple[str, ...]:
    """Joints, without side, that have ``prefix/<joint>_r`` or ``_l`` columns, in the house order."""
    columns = recording.columns
    return tuple(j for j in JOINTS if any(f"{prefix}/{j}_{s}{suffix}" in columns for s in SIDES))


def both_sides(recording: Recording, prefix: str, joint: str) -> FloatArray:
    """The column ``prefix/<joint>`` of the right leg, then of the left: (n,) or (2 n,).

    ValueError names the column, and the nearest there is, when neither side has it.
    """
    columns = recording.columns
    found = [columns[name] for s in SIDES if (name := f"{prefix}/{joint}_{s}") in columns]
    if not found:
        name = f"{prefix}/{joint}_r"
        raise ValueError(f"recording has no column {name!r}{closest(name, columns)}")
    return np.concatenate(found)


def assisted_joints(recording: Recording) -> tuple[str, ...]:
    """Joints, without side, that were commanded any torque."""
    return tuple(
        j for j in joints_with(recording, "command") if np.nansum(np.abs(both_sides(recording, "command", j))) > 0
    )


def mean_speed(recording: Recording) -> float | None:
    """Mean forward speed, m/s: (x_end - x_start) / (t_end - t_start) of the pelvis, world x."""
    forward, time = recording.columns.get("pelvis/x"), recording.columns["time"]
    if forward is None:
        return None
    return _number((forward[-1] - forward[0]) / (time[-1] - time[0]))


def distance(recording: Recording) -> float | None:
    """How far the pelvis went forward, m."""
    forward = recording.columns.get("pelvis/x")
    return None if forward is None else _number(forward[-1] - forward[0])


def mode_metrics(recording: Recording, mode: str, joints: Sequence[str]) -> dict[str, Any]:
    """The metrics that make sense for a part of a run, over the samples of one mode; units are in the keys.

    seconds: how long the mode lasted in all. speed_mps: time mean of ``pelvis/vx``. joints: assisted joints without
    side. A mode of fewer than two samples has the same keys without values, so that a gate on it fails.
    """
    part = within(recording, mode)
    found = part.columns["time"].size
    # The keys of the whole run, where the mode has no samples.
    source = part if found >= 2 else recording
    forward = source.columns.get("pelvis/vx")
    values = {
        "speed_mps": None if forward is None else _number(np.mean(forward)),
        "estimator": estimator_errors(source),
        "biological_rms_nm_per_kg": {j: biological_rms(source, j) for j in joints},
        "effort": effort(source),
        "metabolic_w_per_kg": metabolic_rate(source),
        "wrong_direction_fraction": wrong_direction_fraction(source, assisted_joints(source)),
    }
    return {"seconds": found / rate_hz(recording), **(values if found >= 2 else _without_values(values))}


def _without_values(node: dict[str, Any]) -> dict[str, Any]:
    return {key: _without_values(child) if isinstance(child, dict) else None for key, child in node.items()}


def estimator_errors(recording: Recording) -> dict[str, dict[str, float | None]]:
    """Error of ``estimate/<joint>`` against ``torque/biological/<joint>`` / body mass, per joint.

    Both sides are pooled. Keys: rmse_nm_per_kg, nrmse, r, r2, lag_ms, and missing_fraction, the share
    of samples without an estimate, which the errors leave out. Formulas: `estimators.evaluation`.
    """
    columns = recording.columns
    estimate = {name.removeprefix("estimate/"): c for name, c in columns.items() if name.startswith("estimate/")}
    truth = {j: columns[name] / mass_kg(recording) for j in estimate if (name := f"torque/biological/{j}") in columns}
    return {
        joint: {
            "rmse_nm_per_kg": _number(errors["rmse"]),
            **{key: _number(errors[key]) for key in ("nrmse", "r", "r2", "lag_ms")},
            "missing_fraction": _number(errors["missing"]),
        }
        for joint, errors in joint_errors([(estimate, truth)], rate_hz(recording)).items()
    }


def biological_rms(recording: Recording, joint: str) -> float:
    """RMS of the biological torque of one joint, both sides, Nm/kg: sqrt(mean tau^2) / body mass."""
    torque = both_sides(recording, "torque/biological", joint)
    return float(np.sqrt(np.nanmean(torque**2)) / mass_kg(recording))


def biological_torque_change(
    recording: Recording, reference: Recording, joints: Sequence[str]
) -> dict[str, float | None]:
    """Change of RMS biological torque against a reference arm, per joint and their mean.

    RMS_arm / RMS_reference - 1: -0.1 means that the person's own joints made 10 % less torque.
    `mean` is the plain mean over the joints. Empty joints: mean None.
    """
    change: dict[str, float | None] = {
        j: relative_change(biological_rms(recording, j), biological_rms(reference, j)) for j in joints
    }
    values = [v for v in change.values() if v is not None]
    change["mean"] = float(np.mean(values)) if values and len(values) == len(joints) else None
    return change


def effort(recording: Recording, power: int = 2) -> float | None:
    """Muscle effort: time mean of the sum over all muscles of activation^power (dimensionless).

    power 2 is the usual cost of static optimisation, 3 weighs fatigue: Ackermann & van den Bogert
    2010, J Biomech 43:1055-1060 compare such exponents for gait. Muscles are not weighted by volume.
    """
    activations = [c for name, c in recording.columns.items() if name.startswith("activation/")]
    return _number(np.nanmean(np.sum(np.power(activations, power), axis=0))) if activations else None


def metabolic_rate(recording: Recording) -> dict[str, float | None]:
    """Gross metabolic rate per model, W/kg of body mass: time mean of ``metabolic/<model>`` / mass."""
    return {
        name.removeprefix("metabolic/"): _number(np.nanmean(column) / mass_kg(recording))
        for name, column in recording.columns.items()
        if name.startswith("metabolic/")
    }


def joint_work(recording: Recording, joint: str, part: str = "biological") -> dict[str, float | None]:
    """Mechanical work of one torque part at a joint, both legs, per body mass and distance: J/(kg m).

    positive = integral of max(tau omega, 0) dt, negative likewise with min; `part` is any of
    muscle, ligament, exo, biological, net.
    """
    sides = [s for s in SIDES if f"torque/{part}/{joint}_{s}" in recording.columns]
    speed, columns = mean_speed(recording), recording.columns
    if not speed or not sides or f"velocity/{joint}_{sides[0]}" not in columns:
        return {"positive": None, "negative": None}
    power = [columns[f"torque/{part}/{joint}_{s}"] * columns[f"velocity/{joint}_{s}"] for s in sides]
    scale = mass_kg(recording) * speed
    return {
        "positive": _number(np.nanmean(np.sum(np.clip(power, 0.0, None), axis=0)) / scale),
        "negative": _number(np.nanmean(np.sum(np.clip(power, None, 0.0), axis=0)) / scale),
    }


def wrong_direction_fraction(
    recording: Recording, joints: Sequence[str], dead_band_nm_per_kg: float = DEAD_BAND_NM_PER_KG
) -> float | None:
    """Share of the exo's torque-time integral that opposes the person's own torque at that moment.

    sum_j int |tau_exo| [tau_exo tau_bio < 0 and |tau_bio| / m > dead band] dt / sum_j int |tau_exo| dt,
    with tau_exo the delivered torque and tau_bio the true biological torque of the same arm, over
    both sides of `joints`. None where nothing was delivered. A weight by torque rather than by time
    keeps the many moments of almost no assistance from deciding the figure.
    """
    opposed = total = 0.0
    for joint in joints:
        exo = both_sides(recording, "delivered", joint)
        biological = both_sides(recording, "torque/biological", joint)
        against = (exo * biological < 0) & (np.abs(biological) > dead_band_nm_per_kg * mass_kg(recording))
        opposed += float(np.nansum(np.abs(exo)[against]))
        total += float(np.nansum(np.abs(exo)))
    return opposed / total if total > 0 else None


def exo_joint(recording: Recording, joint: str) -> dict[str, Any]:
    """What the exo did at one joint, both sides.

    tracking_rmse_nm: sqrt(mean (delivered - command)^2); delivered_rms_nm_per_kg: RMS of delivered
    torque over body mass; peak_power_w: largest delivered torque x limb velocity; wrong_direction_fraction
    as in that function; work: `joint_work` of the torque that reached the limb (part ``exo``).
    """
    delivered = both_sides(recording, "delivered", joint)
    error = delivered - both_sides(recording, "command", joint)
    peak = None
    if joint in joints_with(recording, "velocity"):
        peak = _number(np.nanmax(delivered * both_sides(recording, "velocity", joint)))
    return {
        "tracking_rmse_nm": _number(np.sqrt(np.nanmean(error**2))),
        "delivered_rms_nm_per_kg": _number(np.sqrt(np.nanmean(delivered**2)) / mass_kg(recording)),
        "peak_power_w": peak,
        "wrong_direction_fraction": wrong_direction_fraction(recording, [joint]),
        "work_j_per_kg_m": joint_work(recording, joint, "exo"),
    }


def angle_rms_deg(
    recording: Recording, reference: Mapping[str, FloatArray], skip_s: float = 0.0
) -> dict[str, float | None]:
    """RMS distance of the joint angles from a reference gait cycle, degrees, per joint without side.

    reference: joint -> (101,) rad over 0..100 % from heel strike. Every stride of both legs is
    resampled and compared point by point, so timing errors and stride-to-stride scatter count.
    """
    cycles = {side: strides(recording, side, skip_s) for side in SIDES}
    found: dict[str, float | None] = {}
    for joint, curve in reference.items():
        squares = [
            (resample(recording.columns[f"angle/{joint}_{s}"], cycles[s]) - curve) ** 2
            for s in SIDES
            if cycles[s] and f"angle/{joint}_{s}" in recording.columns
        ]
        found[joint] = _number(np.degrees(np.sqrt(np.nanmean(np.concatenate(squares))))) if squares else None
    return found


def fault_mask(recording: Recording) -> NDArray[np.bool_]:
    """Samples at which any fault was active (column ``fault`` not empty): (n,) bool."""
    faults = recording.columns.get("fault")
    return np.zeros(recording.columns["time"].size, dtype=bool) if faults is None else faults != ""


def fault_count(recording: Recording) -> int:
    """How often the exo went from healthy to faulty."""
    return int(np.sum(np.diff(fault_mask(recording).astype(int), prepend=0) == 1))


def fault_fraction(recording: Recording) -> float:
    """Share of samples at which any fault was active; 0 without the column."""
    return float(np.mean(fault_mask(recording)))


def fault_torque(recording: Recording, settle_s: float = 0.1) -> float | None:
    """Largest torque asked of any joint when a fault had already lasted for `settle_s`, Nm: 0 if the exo let go.

    max |command| over those samples. The default lets the shipped safety hold a gap and ramp down first.
    None without a command column or such a sample.
    """
    mask, time = fault_mask(recording), recording.columns["time"]
    healthy_at = np.maximum.accumulate(np.where(mask, time[0], time))
    settled = mask & (time - healthy_at > settle_s)
    commands = [c for name, c in recording.columns.items() if name.startswith("command/")]
    return _number(np.max(np.abs(commands)[:, settled])) if commands and settled.any() else None


def _number(value: Any) -> float | None:
    """A finite Python float, or None: NaN is not JSON and passes no gate."""
    return float(value) if value is not None and np.isfinite(value) else None


def relative_change(value: float | None, reference: float | None) -> float | None:
    """Relative change value / reference - 1; None where either is missing or the reference is zero."""
    return None if value is None or not reference else _number(value / reference - 1.0)
