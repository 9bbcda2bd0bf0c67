"""The report of a scenario: one self-contained HTML page with verdict, table of arms, figures, provenance."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import metrics as m
from .normative import level_walking
from .scenario import Scenario
from .table import JOINT_TITLES, limit, measured, rows, verdict

if TYPE_CHECKING:
    from ..sim.recording import Recording

# A stuck fault may log one event a tick; the page shows this many of each arm and counts the rest.
_SHOWN_EVENTS = 40


@dataclass(frozen=True, slots=True)
class Drawing:
    """One figure of the page. svg: its text; alt: for those who do not see it."""

    title: str
    caption: str
    alt: str
    svg: str

    @property
    def source(self) -> str:
        """The picture as a data URI; apart from the page's other SVGs, so that their ids cannot clash."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.encode()).decode()


def write_report(
    path: str | Path, arms: Mapping[str, Recording], metrics: Mapping[str, Any], scenario: Scenario
) -> Path:
    """Write `render_report` to `path` (UTF-8) and return the path. OSError if it cannot be written."""
    path = Path(path)
    path.write_text(render_report(arms, metrics, scenario), encoding="utf-8")
    return path


def render_report(arms: Mapping[str, Recording], metrics: Mapping[str, Any], scenario: Scenario) -> str:
    """The HTML page.

    arms: recording by arm name, the ones that `metrics` (with ``gates`` and ``passed``, see
    `gates.judge`) was computed from. The page loads nothing from outside.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("exotwin.scenarios", "."), autoescape=True, undefined=StrictUndefined
    )
    environment.filters.update(measured=measured, limit=limit, joint=JOINT_TITLES.__getitem__)
    table = rows(metrics, detail=True)
    return environment.get_template("report.html.j2").render(
        scenario=scenario,
        metrics=metrics,
        verdict=verdict(metrics),
        groups=[(group, list(found)) for group, found in itertools.groupby(table, lambda row: row.group)],
        drawings=list(_drawings(arms, metrics, scenario)),
        events={
            name: (r.meta["events"][:_SHOWN_EVENTS], len(r.meta["events"]) - _SHOWN_EVENTS)
            for name, r in arms.items()
            if r.meta["events"]
        },
        first=next(iter(arms.values())).meta,
        hashes={name: r.meta["model_hash"] for name, r in arms.items()},
    )


def _drawings(arms: Mapping[str, Recording], metrics: Mapping[str, Any], scenario: Scenario) -> Iterator[Drawing]:
    # matplotlib takes most of a second to import; only a report needs it.
    from . import figures

    cycles = {name: figures.MeanCycles(r, metrics["skip_s"]) for name, r in arms.items()}
    joints = metrics["assisted_joints"]
    powered = [name for name, r in arms.items() if m.assisted_joints(r)]
    normative = level_walking(scenario.mean_speed_mps) if scenario.task == "walk" and scenario.is_level else None
    count = "; ".join(f"{name} {sum(map(len, c.strides.values()))}" for name, c in cycles.items())
    band = (
        f"Grey: mean ± 1 SD of {normative.citation} at {normative.speed_mps:g} m/s, the published speed nearest to "
        f"the {scenario.mean_speed_mps:.3g} m/s walked here."
        if normative
        else ""
    )
    yield Drawing(
        "Joint angles",
        f"Mean over the gait cycle from heel strike, both legs pooled (strides: {count}). Flexion and "
        f"dorsiflexion are positive. {band} The source's ankle angle has a constant offset, so its band "
        "is shifted to the mean of the first arm: compare shape and range, not level.",
        "Hip, knee and ankle angle over the gait cycle for every arm",
        figures.angles(cycles, normative),
    )
    if powered and joints:
        yield Drawing(
            "Torque: true, estimated, commanded, delivered",
            "Arms that applied torque, both legs pooled, divided by body mass; shading is ± 1 SD of the true "
            "biological torque over strides. Signs are those of the joint coordinate: extension and "
            "plantarflexion torques are negative (clinical plots show the opposite). True biological torque "
            "is what the person's muscles and passive structures make in that arm, so the assistance has "
            f"already lowered it, while the grey band is the net moment of unassisted walking. {band}",
            "True, estimated, commanded and delivered torque over the gait cycle",
            figures.torques(cycles, powered, joints, normative),
        )
    yield Drawing(
        "Ground reaction force",
        "One leg's mean, both legs pooled, in weights of the body alone: arms that carry the exo stand a "
        f"little higher. {band}",
        "Vertical and fore-aft ground force over the gait cycle for every arm",
        figures.ground_force(cycles, normative),
    )
    shown = _muscle_arms(list(arms), powered)
    yield Drawing(
        "Muscle activations",
        f"Right leg, mean ± 1 SD over strides, {' and '.join(shown)}. Activation 0 to 1 is the simulated "
        "muscle's state, not a measured EMG; the thirteen muscles stand for groups.",
        f"Activation of thirteen muscles over the gait cycle: {', '.join(shown)}",
        figures.muscles({name: cycles[name] for name in shown}),
    )
    for name, recording in arms.items():
        if joints and m.fault_mask(recording).any():
            yield Drawing(
                f"Faults in arm {name}",
                "Right leg's commanded and delivered torque against time. Shaded: a fault was active.",
                f"Torque against time with fault times shaded, arm {name}",
                figures.fault_timeline(recording, joints),
            )


def _muscle_arms(arms: list[str], powered: list[str]) -> list[str]:
    """The two arms whose muscles are worth setting side by side: without torque, and assisted."""
    without = [name for name in ("unpowered", "no_exo") if name in arms] or arms
    helped = [name for name in ("estimator", *reversed(powered)) if name in powered]
    return list(dict.fromkeys((without[0], *helped[:1])))
