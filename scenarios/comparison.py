"""Sets the arms of a scenario side by side: the content of ``metrics.json`` before the gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..controllers.device import JOINTS
from . import metrics as m
from .gait_cycles import FloatArray, gait_summary
from .ground_force import ground_force_metrics

if TYPE_CHECKING:
    from ..sim.recording import Recording

REFERENCES = {"vs_no_exo": "no_exo", "vs_unpowered": "unpowered"}


def arm_metrics(
    recording: Recording,
    *,
    skip_s: float,
    joints: Sequence[str] | None = None,
    commanded_speed_mps: float | None = None,
    device_mass_kg: float = 0.0,
    angle_reference: Mapping[str, FloatArray] | None = None,
) -> dict[str, Any]:
    """All metrics of one arm that need no other arm.

    skip_s: seconds left out at the start. joints: assisted joints without side (default: those
    commanded a torque). commanded_speed_mps: adds speed_deviation = |speed / commanded - 1|.
    device_mass_kg: of the exo, which counts in arms whose recording names a device. angle_reference:
    see `metrics.angle_rms_deg`. Units are in the keys. `falls`, `distance_m` and what is said of faults are of
    the whole run, the skipped seconds too. modes: `metrics.mode_metrics` of each mode. ValueError when the
    recording is shorter than `skip_s`.
    """
    rest = m.after(recording, skip_s)
    joints = m.assisted_joints(rest) if joints is None else joints
    powered = m.assisted_joints(rest)
    speed = m.mean_speed(rest)
    metabolic = m.metabolic_rate(rest)
    return {
        "falls": int(recording.meta.get("falls", 0)),
        "partial": bool(recording.meta.get("partial", False)),
        "seconds": m.seconds(recording),
        "skip_s": skip_s,
        "distance_m": m.distance(recording),
        "speed_mps": speed,
        "speed_deviation": (
            abs(speed / commanded_speed_mps - 1.0) if commanded_speed_mps and speed is not None else None
        ),
        "estimator": m.estimator_errors(rest),
        "biological_rms_nm_per_kg": {j: m.biological_rms(rest, j) for j in joints},
        "biological_work_j_per_kg_m": {j: m.joint_work(rest, j) for j in joints},
        "effort": {"value": m.effort(rest), "cubed": m.effort(rest, power=3)},
        "metabolic_w_per_kg": metabolic,
        "metabolic_j_per_kg_m": {k: v / speed if v is not None and speed else None for k, v in metabolic.items()},
        "wrong_direction_fraction": m.wrong_direction_fraction(rest, powered),
        "exo": {j: m.exo_joint(rest, j) for j in powered},
        "fault_fraction": m.fault_fraction(recording),
        "faults": m.fault_count(recording),
        "fault_torque_nm": m.fault_torque(recording),
        "grf": ground_force_metrics(recording, skip_s, device_mass_kg if recording.meta["device"] else 0.0),
        "gait": gait_summary(recording, skip_s),
        "angle_rms_deg": m.angle_rms_deg(recording, angle_reference or {}, skip_s),
        "modes": {mode: m.mode_metrics(rest, mode, joints) for mode in m.modes_of(rest)},
    }


def compare(
    arms: Mapping[str, Recording],
    *,
    skip_s: float = 3.0,
    commanded_speed_mps: float | None = None,
    device_mass_kg: float = 0.0,
    angle_reference: Mapping[str, FloatArray] | None = None,
    realtime_factors: Mapping[str, float] | None = None,
    recordings: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The metrics of every arm and their changes against the arms ``no_exo`` and ``unpowered``.

    arms: recording by arm name; the other arguments as in `arm_metrics`. realtime_factors and recordings
    (file names) come from outside, for a recording knows neither: same seed, same bytes. A change is
    value / reference - 1 (-0.1: 10 % less), None when the reference arm is not there. Torque
    changes are over the joints that any arm assisted. An arm that ended within `skip_s` (a fall, Ctrl-C)
    is measured from its start, for it has nothing else: its own ``skip_s`` says so.
    Returns the object of ``metrics.json`` but for ``gates`` and ``passed``, which `gates.judge` adds.
    ValueError when there is no arm, or one of fewer than two samples.
    """
    if not arms:
        raise ValueError("no arms to compare")
    joints = tuple(j for j in JOINTS if any(j in m.assisted_joints(r) for r in arms.values()))
    skips = {name: skip_s if m.seconds(r) > skip_s else 0.0 for name, r in arms.items()}
    found = {
        name: arm_metrics(
            r,
            skip_s=skips[name],
            joints=joints,
            commanded_speed_mps=commanded_speed_mps,
            device_mass_kg=device_mass_kg,
            angle_reference=angle_reference,
        )
        for name, r in arms.items()
    }
    steady = {name: m.after(r, skips[name]) for name, r in arms.items()}
    for name, arm in found.items():
        arm["realtime_factor"] = (realtime_factors or {}).get(name)
        arm["recording"] = (recordings or {}).get(name)
        arm["biological_torque_change"] = {}
        arm["metabolic_change"] = {}
        for key, reference in REFERENCES.items():
            other = found.get(reference)
            arm["biological_torque_change"][key] = (
                m.biological_torque_change(steady[name], steady[reference], joints)
                if other
                else dict.fromkeys((*joints, "mean"))
            )
            arm["effort"][key] = m.relative_change(arm["effort"]["value"], other["effort"]["value"] if other else None)
            arm["metabolic_change"][key] = {
                model: m.relative_change(rate, other["metabolic_w_per_kg"].get(model) if other else None)
                for model, rate in arm["metabolic_w_per_kg"].items()
            }
        arm["estimator_vs_profile"] = {
            joint: m.relative_change(
                errors["rmse_nm_per_kg"],
                found.get("profile", {}).get("estimator", {}).get(joint, {}).get("rmse_nm_per_kg"),
            )
            for joint, errors in arm["estimator"].items()
        }
    meta = next(iter(arms.values())).meta
    device = next((r.meta["device"] for r in arms.values() if r.meta.get("device")), None)
    return {
        "scenario": meta.get("scenario"),
        "device": device,
        "seed": meta.get("seed"),
        "duration_s": meta.get("duration_s"),
        "skip_s": skip_s,
        "commanded_speed_mps": commanded_speed_mps,
        "assisted_joints": list(joints),
        "arms": found,
    }
