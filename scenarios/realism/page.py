"""The page of the realism score: tables, and a row of pictures a gait of our mean over the published band."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..gait_cycles import PERCENT
from ..normative import SOURCES
from ..report import Drawing
from .result import GaitResult, Realism
from .score import Comparison
from .table import SIGNALS, check_grid, gait_line, grids, summary, verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, MET, MISSED = "#0072B2", "#12733f", "#b3261e"
BANDS = ("#cfcfcf", "#f0b660", "#7fc79b")  # one for each source that has the signal
COLUMNS = 7
EVERY = slice(None, None, 2)  # the spacing of the published points
AT = PERCENT[EVERY]


def write_page(path: Path, realism: Realism) -> None:
    """Write `render_page` (UTF-8). OSError if it cannot be written."""
    path.write_text(render_page(realism), encoding="utf-8")


def render_page(realism: Realism) -> str:
    """The HTML page; it loads nothing from outside."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("exotwin.scenarios.realism", "."), autoescape=True, undefined=StrictUndefined
    )
    sections = [
        {
            "title": gait_line(result),
            "drawing": _drawing(result) if result.comparisons else None,
            "grids": [grid for grid in grids(result) if grid.rows],
        }
        for result in realism.simulated
    ]
    used = {c.source for result in realism.results for c in result.comparisons}
    return environment.get_template("page.html.j2").render(
        verdict=verdict(realism),
        summary=summary(realism),
        across=check_grid(realism.across),
        sections=sections,
        sources={name: SOURCES[name].citation for name in sorted(used)},
        settings=realism.settings,
    )


def _drawing(result: GaitResult) -> Drawing:
    return Drawing(
        result.gait.name,
        "Blue: our mean ± SD over people. Shaded: published mean ± SD, another colour for each source. Under each "
        "title: RMSE in SD and correlation against the first source, green where every goal of the signal is met, red "
        "where one is not, grey without a goal. EMG is scaled to its own peak: only its timing means something.",
        f"Curves of {result.gait.title} over the published bands",
        figure(result),
    )


def figure(result: GaitResult) -> str:
    """A panel for each signal and leg of one gait: SVG text."""
    from .. import figures

    panels: dict[tuple[str, str], list[Comparison]] = {}
    order = [*SIGNALS]
    for c in sorted(result.comparisons, key=lambda c: (order.index(c.signal), "rl".find(c.legs))):
        panels.setdefault((c.signal, c.legs), []).append(c)
    rows = -(-len(panels) // COLUMNS)
    sets = {(c.source, c.condition) for c in result.comparisons}
    keys = [(s.source, s.condition) for s in result.gait.curves if (s.source, s.condition) in sets]
    several = {source for source, _ in keys if sum(source == other for other, _ in keys) > 1}
    labels = {key: ", ".join(key) if key[0] in several else key[0] for key in keys}
    colours = dict(zip(keys, BANDS, strict=False))
    with figures.svg_figure(15.0, 0.6 + 2.0 * rows, rows, COLUMNS) as (drawn, axes, svg):
        for ax, group in zip(axes.flat, panels.values(), strict=False):
            _panel(ax, group, colours, labels)
        for ax in list(axes.flat)[len(panels) :]:
            ax.set_visible(False)
        figures.legend(drawn, axes)
    return svg.getvalue()


Keyed = dict[tuple[str, str], str]


def _panel(ax: Axes, group: list[Comparison], colours: Keyed, labels: Keyed) -> None:
    first = group[0]
    for c in group:
        colour, label = colours[c.source, c.condition], labels[c.source, c.condition]
        scale = 1.0 / _peak(c.band.mean) if c.rmse is None else 1.0
        mean = scale * (c.band.mean - c.offset)
        sd = scale * np.nan_to_num(c.band.sd)
        ax.fill_between(AT, (mean - sd)[EVERY], (mean + sd)[EVERY], color=colour, alpha=0.6, linewidth=0)
        ax.plot(AT, mean[EVERY], color=colour, linewidth=1.0, label=label, path_effects=_outline())
    scale = 1.0 / _peak(first.mean) if first.rmse is None else 1.0
    mean, sd = scale * first.mean[EVERY], scale * first.sd[EVERY]
    ax.plot(AT, mean, color=OURS, label="simulated")
    ax.fill_between(AT, mean - sd, mean + sd, color=OURS, alpha=0.2, linewidth=0)
    if first.rmse is None:
        ax.set_ylim(-0.05, 1.45)
    start, end = first.window
    for edge in (start, end):
        if 0.0 < edge < 100.0:
            ax.axvline(edge, color="#888888", linewidth=0.7, linestyle=":")
    error = "" if first.rmse_sd is None else f"{first.rmse_sd:.2f} SD, "
    colour = "#777777"
    if first.judged:
        colour = MET if all(cell.met for cell in first.cells) else MISSED
    leg = {"r": " right", "l": " left"}.get(first.legs, "")
    ax.set_title(SIGNALS[first.signal] + leg, pad=14, fontsize=8.5)
    ax.text(
        0.5,
        1.02,
        f"{error}r = {first.correlation:.2f}",
        color=colour,
        fontsize=8,
        ha="center",
        va="bottom",
        transform=ax.transAxes,
    )


def _peak(curve: Any) -> float:
    return float(np.max(np.abs(curve))) or 1.0


def _outline() -> list[Any]:
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=2.0, foreground="#777777"), Normal()]
