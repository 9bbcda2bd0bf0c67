"""Turns the recording of one person into mean cycles of every signal that people were measured by, and figures of gait.

A cycle is a stride, from heel strike to heel strike of one leg, or a rise of the pelvis.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...controllers.device import MUSCLES, SIDES
from ...sim.subjects import GRAVITY
from .. import metrics as m
from ..gait_cycles import FloatArray, Stride, in_contact, rate_hz, resample, strides
from .gaits import Window

if TYPE_CHECKING:
    from ...sim.recording import Recording

SAGITTAL = ("hip_flexion", "knee_flexion", "ankle_dorsiflexion")
# Names of the figures that checks look at.
SPEED, STRIDE_TIME, STEP_LENGTH = "speed (m/s)", "stride time (s)", "step length (m)"
STEP_WIDTH_OVER_LEG = "step width / leg length"
METABOLIC_RATE = "metabolic rate, {} (W/kg)"
WORK_SHARE = "{} share of {} work"
# Chosen: a rise lasts while the pelvis goes up faster than this, and it is none under this height.
RISING_MPS = 0.05
RISE_M = 0.15
BEFORE_FALL_S = 1.0  # what leads to a fall is no gait any more (chosen)


@dataclass(frozen=True, slots=True)
class PersonCycles:
    """What one person's recording comes to.

    curves: (signal, side) -> mean over the cycles of that leg, (101,), in the units of `normative.Band`.
    figures: gait figures by name; what cannot be had is absent. cycles: how many of both legs. fell: whether the run
    ended in a fall.
    """

    curves: dict[tuple[str, str], FloatArray]
    figures: dict[str, float]
    cycles: int
    fell: bool


def person_cycles(
    recording: Recording, *, skip_s: float = 0.0, along: Window | None = None, rise: bool = False
) -> PersonCycles:
    """Mean cycles of one person.

    skip_s: transient left out at the start. along: only strides whose pelvis stays between these world x (m) count.
    rise: the cycle is a rise of the pelvis, the same for both legs, and the ground forces are of both feet together.
    """
    if rise:
        cycles = dict.fromkeys(SIDES, rises(recording, skip_s))
    else:
        found = {side: map(_from_contact, strides(recording, side, skip_s)) for side in SIDES}
        cycles = {side: [c for c in found[side] if _counts(recording, c, along)] for side in SIDES}
    curves = {
        (name, side): resample(column, cycles[side]).mean(axis=0)
        for side in SIDES
        if cycles[side]
        for name, column in _signals(recording, side, both_feet=rise)
    }
    count = sum(map(len, cycles.values()))
    figures = (
        {} if not count else dict(_rise_figures(recording, cycles["r"]) if rise else _stride_figures(recording, cycles))
    )
    return PersonCycles(curves, figures, count, bool(recording.meta["falls"]))


def rises(recording: Recording, skip_s: float = 0.0) -> list[Stride]:
    """Times in which the pelvis goes up by at least `RISE_M` without a halt, from beginning to end.

    A rise from a seat begins earlier, when the trunk bends forward: the recording's mode says when.
    """
    height, rate = recording["pelvis/z"], rate_hz(recording)
    rising = np.gradient(height) * rate > RISING_MPS
    if "sit_to_stand" in recording.columns.get("mode", ()):
        rising = recording["mode"] == "sit_to_stand"
    edges = np.diff(np.concatenate([[0], rising.astype(int), [0]]))
    found = zip(np.flatnonzero(edges == 1).tolist(), (np.flatnonzero(edges == -1) - 1).tolist(), strict=True)
    return [
        Stride(start, end, end)
        for start, end in found
        if start >= skip_s * rate and height[end] - height[start] >= RISE_M
    ]


def _from_contact(cycle: Stride) -> Stride:
    """A stride from the last samples before contact: a hard heel strike is nearer to them than to the next ones."""
    return Stride(cycle.start - 1, cycle.toe_off - 1, cycle.end - 1)


def _counts(recording: Recording, cycle: Stride, along: Window | None) -> bool:
    if recording.meta["falls"] and cycle.end > len(recording) - BEFORE_FALL_S * rate_hz(recording):
        return False
    if along is None:
        return True
    x = recording["pelvis/x"]
    return bool(along[0] <= x[cycle.start] and x[cycle.end] <= along[1])


def _signals(recording: Recording, side: str, both_feet: bool) -> Iterator[tuple[str, FloatArray]]:
    """Every signal of the recording, in the units of `normative.Band`; activation stands in for an EMG envelope."""
    columns, mass = recording.columns, m.mass_kg(recording)
    for joint in (*SAGITTAL, "hip_adduction"):
        angle, torque, velocity = (
            columns.get(f"{place}/{joint}_{side}") for place in ("angle", "torque/net", "velocity")
        )
        if angle is not None:
            yield f"angle/{joint}", np.degrees(angle)
        if torque is not None:
            yield f"moment/{joint}", torque / mass
        if torque is not None and velocity is not None:
            yield f"power/{joint}", torque * velocity / mass
    quaternion = [columns[name] for part in "wxyz" if (name := f"pelvis/q{part}") in columns]
    if len(quaternion) == 4:
        w, x, y, z = quaternion
        # How far the pelvis's forward axis points up: forward tilt is negative.
        yield "angle/pelvis_tilt", np.degrees(np.arcsin(np.clip(2.0 * (x * z - w * y), -1.0, 1.0)))
    for axis in "xz":
        sides = SIDES if both_feet else (side,)
        feet = [columns[name] for s in sides if (name := f"grf/{s}/{axis}") in columns]
        if len(feet) == len(sides):
            yield f"grf/{axis}", np.sum(feet, axis=0) / (mass * GRAVITY)
    for muscle in MUSCLES:
        names = (f"emg_env/{muscle}_{side}", f"activation/{muscle}_{side}")
        envelope = next((columns[name] for name in names if name in columns), None)
        if envelope is not None:
            yield f"emg/{muscle}", envelope


def _rise_figures(recording: Recording, found: list[Stride]) -> Iterator[tuple[str, float]]:
    yield "rise time (s)", float(np.mean([c.end - c.start for c in found])) / rate_hz(recording)


def _stride_figures(recording: Recording, cycles: dict[str, list[Stride]]) -> Iterator[tuple[str, float]]:
    everything = [cycle for found in cycles.values() for cycle in found]
    columns, rate = recording.columns, rate_hz(recording)
    stride = float(np.mean([c.end - c.start for c in everything])) / rate
    yield STRIDE_TIME, stride
    yield "cadence (steps/min)", 120.0 / stride
    span = slice(min(c.start for c in everything), max(c.end for c in everything) + 1)
    x = columns.get("pelvis/x")
    if x is not None:
        travelled = float(np.mean([x[c.end] - x[c.start] for c in everything]))
        speed = travelled / stride
        yield STEP_LENGTH, travelled / 2.0
        yield SPEED, speed
        for name, watts in columns.items():
            if name.startswith("metabolic/"):
                model, power = name.removeprefix("metabolic/"), float(np.nanmean(watts[span])) / m.mass_kg(recording)
                yield METABOLIC_RATE.format(model), power
                yield f"cost of transport, {model} (J/kg/m)", power / speed
    width = step_width(recording, span)
    if width is not None:
        yield "step width (m)", width
        if leg := recording.meta["subject"].get("leg_length_m"):
            yield STEP_WIDTH_OVER_LEG, width / leg
    yield from _work_shares(recording, cycles)


def step_width(recording: Recording, span: slice) -> float | None:
    """Mean distance of a foothold from the line through the other foot's holds before and after it, m.

    A foothold is the mean centre of pressure of one stance, weighted by the vertical force. None for fewer than
    three stances of alternate feet.
    """
    columns, rate = recording.columns, rate_hz(recording)
    holds: list[tuple[int, str, FloatArray]] = []
    for side in SIDES:
        names = (f"grf/{side}/z", f"cop/{side}/x", f"cop/{side}/y")
        if any(name not in columns for name in names):
            return None
        force, *cop = (columns[name][span] for name in names)
        contact = in_contact(force, rate).astype(int)
        edges = np.diff(contact)
        for start in np.flatnonzero(edges == 1) + 1:
            ends = np.flatnonzero(edges[start:] == -1)
            if ends.size:
                stance = slice(int(start), int(start + ends[0] + 1))
                weight = np.where(np.isfinite(cop[0][stance]), force[stance], 0.0)
                place = [np.sum(weight * np.nan_to_num(c[stance])) / np.sum(weight) for c in cop]
                holds.append((int(start), side, np.array(place)))
    holds.sort(key=lambda hold: hold[0])
    widths = []
    for (_, a, before), (_, b, here), (_, c, after) in zip(holds, holds[1:], holds[2:], strict=False):
        if a == c != b:
            line, away = after - before, here - before
            widths.append(abs(line[0] * away[1] - line[1] * away[0]) / np.hypot(*line))
    return float(np.mean(widths)) if widths else None


def _work_shares(recording: Recording, cycles: dict[str, list[Stride]]) -> Iterator[tuple[str, float]]:
    """Share of hip, knee and ankle in the sagittal work of the three during stance, positive and negative apart."""
    work = np.zeros((2, len(SAGITTAL)))
    for side, found in cycles.items():
        for j, joint in enumerate(SAGITTAL):
            torque, velocity = (recording.columns.get(f"{p}/{joint}_{side}") for p in ("torque/net", "velocity"))
            if torque is None or velocity is None:
                return
            for cycle in found:
                stance = (torque * velocity)[cycle.start : cycle.toe_off]
                work[:, j] += np.clip(stance, 0.0, None).sum(), np.clip(-stance, 0.0, None).sum()
    for sign, row in zip(("positive", "negative"), work, strict=True):
        if row.sum() > 0.0:
            for joint, share in zip(("hip", "knee", "ankle"), row / row.sum(), strict=True):
                yield WORK_SHARE.format(joint, sign), float(share)
