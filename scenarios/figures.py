"""The figures of the report, each as a self-contained SVG: mean gait cycles of the arms.

Both legs are pooled, each over its own gait cycle, but for the muscles, which are the right leg's.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ..controllers.device import MUSCLES, SIDES
from ..sim.subjects import GRAVITY
from . import metrics as m
from .gait_cycles import PERCENT, FloatArray, mean_sd, strides
from .normative import Band, Normative
from .table import JOINT_TITLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..sim.recording import Recording

# Okabe & Ito's palette, told apart by colour-blind readers too.
_ARM_COLOURS = {
    "no_exo": "#222222",
    "unpowered": "#999999",
    "profile": "#E69F00",
    "estimator": "#0072B2",
    "oracle": "#009E73",
}
_MORE_COLOURS = ("#D55E00", "#CC79A7", "#56B4E9")
_BAND = "#dcdcdc"
_SIGNALS = {
    "torque/biological": ("true biological", "#222222", "-", 2.2),
    "estimate": ("estimated", "#0072B2", "-", 1.2),
    "command": ("commanded to the exo", "#E69F00", "-", 2.2),
    "delivered": ("delivered by the exo", "#D55E00", "--", 1.2),
}
_MUSCLE_TITLES = {
    "abd": "hip abductors",
    "add": "hip adductors",
    "hamstrings": "hamstrings",
    "bifemsh": "short biceps femoris",
    "edl": "toe extensors",
    "fdl": "toe flexors",
    "glutmax": "gluteus maximus",
    "iliopsoas": "iliopsoas",
    "rectfem": "rectus femoris",
    "vasti": "vasti",
    "gastroc": "gastrocnemius",
    "soleus": "soleus",
    "tibant": "tibialis anterior",
}
_STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "font.family": ["DejaVu Sans"],
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "grid.color": "#eeeeee",
    "axes.axisbelow": True,
    "lines.linewidth": 1.5,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "svg.fonttype": "path",
    "svg.hashsalt": "exotwin",  # the same ids, so the same bytes, every time
}

Curve = tuple[FloatArray, FloatArray]


class MeanCycles:
    """Mean gait cycles of one arm: finds the strides once, then averages any column over them."""

    def __init__(self, recording: Recording, skip_s: float) -> None:
        self.recording = recording
        self.strides = {side: strides(recording, side, skip_s) for side in SIDES}

    def curve(self, pattern: str, scale: float = 1.0, sides: Sequence[str] = SIDES) -> Curve | None:
        """Mean and SD, (101,) each, of the columns that `pattern` (with ``{side}``) names, the sides pooled.

        None where there is no such column or no whole stride.
        """
        both = []
        for side in sides:
            column, cycles = self.recording.columns.get(pattern.format(side=side)), self.strides[side]
            if column is not None and cycles:
                both.append(mean_sd(scale * column, cycles))
        if not both:
            return None
        mean = np.mean([c[0] for c in both], axis=0)
        # SD about the pooled mean: within legs plus between them.
        return mean, np.sqrt(np.mean([sd**2 + (mu - mean) ** 2 for mu, sd in both], axis=0))


def arm_colours(arms: Sequence[str]) -> dict[str, str]:
    """A colour for each arm: fixed for the usual five, from a palette for others."""
    others = [name for name in arms if name not in _ARM_COLOURS]
    more = {name: _MORE_COLOURS[i % len(_MORE_COLOURS)] for i, name in enumerate(others)}
    return {name: _ARM_COLOURS.get(name) or more[name] for name in arms}


def angles(cycles: Mapping[str, MeanCycles], normative: Normative | None) -> str:
    """Sagittal joint angles of every arm over the gait cycle, with the normative band: SVG text."""
    with svg_figure(10.0, 3.0, 1, 3) as (figure, axes, svg):
        for ax, joint in zip(axes.flat, ("hip_flexion", "knee_flexion", "ankle_dorsiflexion"), strict=True):
            curves = {name: c.curve(f"angle/{joint}_{{side}}", np.degrees(1.0)) for name, c in cycles.items()}
            band = normative.bands.get(f"angle/{joint}") if normative else None
            first = next((c for c in curves.values() if c is not None), None)
            if band and joint == "ankle_dorsiflexion" and first:
                # The source's neutral ankle is near -20 deg: only shape and range can be compared.
                band = Band(band.mean + first[0].mean() - band.mean.mean(), band.sd)
            _arms_panel(ax, curves, band)
            ax.set_title(f"{JOINT_TITLES[joint].capitalize()} {joint.split('_')[1]}")
        axes[0, 0].set_ylabel("angle (deg)")
        legend(figure, axes)
    return svg.getvalue()


def torques(
    cycles: Mapping[str, MeanCycles], arms: Sequence[str], joints: Sequence[str], normative: Normative | None
) -> str:
    """True, estimated, commanded and delivered torque of the powered arms, per assisted joint: SVG text."""
    with svg_figure(10.0, 0.7 + 2.2 * len(joints), len(joints), len(arms), sharey="row") as (figure, axes, svg):
        for (row, joint), (column, arm) in _grid(joints, arms):
            ax, mean = axes[row, column], cycles[arm]
            band = normative.bands.get(f"moment/{joint}") if normative else None
            _band(ax, band)
            for prefix, (label, colour, style, line) in _SIGNALS.items():
                scale = 1.0 if prefix == "estimate" else 1.0 / m.mass_kg(mean.recording)
                curve = mean.curve(f"{prefix}/{joint}_{{side}}", scale)
                if curve:
                    ax.plot(PERCENT, curve[0], color=colour, linestyle=style, linewidth=line, label=label)
                    if prefix == "torque/biological":
                        _shade(ax, curve, colour)
            ax.axhline(0.0, color="#888888", linewidth=0.6)
            if row == 0:
                ax.set_title(arm)
            if column == 0:
                ax.set_ylabel(f"{JOINT_TITLES[joint]} {joint.split('_')[1]} (Nm/kg)")
        legend(figure, axes)
    return svg.getvalue()


def ground_force(cycles: Mapping[str, MeanCycles], normative: Normative | None) -> str:
    """Vertical and fore-aft ground force of every arm in body weights, with the normative band: SVG text."""
    with svg_figure(10.0, 3.0, 1, 2) as (figure, axes, svg):
        for ax, axis, title in zip(axes.flat, "zx", ("Vertical", "Fore-aft (forward +)"), strict=True):
            curves = {
                name: c.curve(f"grf/{{side}}/{axis}", 1.0 / (m.mass_kg(c.recording) * GRAVITY))
                for name, c in cycles.items()
            }
            _arms_panel(ax, curves, normative.bands.get(f"grf/{axis}") if normative else None)
            ax.set_title(title)
        axes[0, 0].set_ylabel("ground force (body weights)")
        legend(figure, axes)
    return svg.getvalue()


def muscles(cycles: Mapping[str, MeanCycles]) -> str:
    """Activations of the right leg's muscles in the arms given: SVG text."""
    with svg_figure(10.0, 5.6, 3, 5, sharey=True) as (figure, axes, svg):
        for ax, muscle in zip(axes.flat, MUSCLES, strict=False):
            curves = {name: c.curve(f"activation/{muscle}_{{side}}", sides="r") for name, c in cycles.items()}
            _arms_panel(ax, curves, None, shade=True)
            ax.set_title(_MUSCLE_TITLES[muscle])
            ax.set_ylim(0.0, 1.0)
        for ax in list(axes.flat)[len(MUSCLES) :]:
            ax.set_visible(False)
        for ax in axes[:, 0]:
            ax.set_ylabel("activation")
        legend(figure, axes)
    return svg.getvalue()


def fault_timeline(recording: Recording, joints: Sequence[str]) -> str:
    """Delivered torque of the right leg against time, with the times of active faults shaded: SVG text."""
    time, faulty = recording.columns["time"], m.fault_mask(recording)
    with svg_figure(10.0, 0.6 + 1.5 * len(joints), len(joints), 1, sharex=True) as (figure, axes, svg):
        for ax, joint in zip(axes.flat, joints, strict=True):
            for prefix in ("command", "delivered"):
                label, colour, style, line = _SIGNALS[prefix]
                torque = recording.columns.get(f"{prefix}/{joint}_r")
                if torque is not None:
                    ax.plot(time, torque, color=colour, linestyle=style, linewidth=0.5 * line, label=label)
            ax.fill_between(
                time,
                0,
                1,
                where=faulty,
                transform=ax.get_xaxis_transform(),
                color="#f4b6b6",
                lw=0,
                label="fault",
            )
            ax.set_ylabel(f"{JOINT_TITLES[joint]} (Nm)")
            ax.set_xlim(float(time[0]), float(time[-1]))
            ax.set_xticks(np.linspace(time[0], time[-1], 11).round(1))
        axes[-1, 0].set_xlabel("time (s)")
        legend(figure, axes)
    return svg.getvalue()


@contextmanager
def svg_figure(
    width: float, height: float, rows: int, columns: int, **share: Any
) -> Iterator[tuple[Figure, Any, io.StringIO]]:
    """A figure without pyplot (no global state); on leaving the block its SVG is in the buffer."""
    svg = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots(rows, columns, squeeze=False, **share)
        for ax in axes.flat:
            ax.set_xlim(0, 100)
            ax.set_xticks([0, 25, 50, 75, 100])
        for ax in axes[-1]:
            ax.set_xlabel("gait cycle (%)")
        yield figure, axes, svg
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})


def _grid(rows: Sequence[str], columns: Sequence[str]) -> Iterator[tuple[tuple[int, str], tuple[int, str]]]:
    for row in enumerate(rows):
        for column in enumerate(columns):
            yield row, column


def _arms_panel(ax: Axes, curves: Mapping[str, Curve | None], band: Band | None, shade: bool = False) -> None:
    colours = arm_colours(list(curves))
    _band(ax, band)
    for name, curve in curves.items():
        if curve:
            ax.plot(PERCENT, curve[0], color=colours[name], label=name)
            if shade:
                _shade(ax, curve, colours[name])


def _band(ax: Axes, band: Band | None) -> None:
    if band:
        ax.fill_between(
            PERCENT,
            band.mean - band.sd,
            band.mean + band.sd,
            color=_BAND,
            linewidth=0,
            label="normative ±1 SD",
        )


def _shade(ax: Axes, curve: Curve, colour: str) -> None:
    mean, sd = curve
    ax.fill_between(PERCENT, mean - sd, mean + sd, color=colour, alpha=0.15, linewidth=0)


def legend(figure: Figure, axes: Any) -> None:
    """One legend for all panels, above them, each label once."""
    handles: dict[str, Any] = {}
    for ax in axes.flat:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        figure.legend(
            list(handles.values()), list(handles), loc="outside upper left", ncols=len(handles), frameon=False
        )
    else:
        axes[0, 0].text(50, 0.5, "no whole stride", ha="center", transform=axes[0, 0].get_xaxis_transform())
