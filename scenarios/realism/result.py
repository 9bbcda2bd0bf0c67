"""What realism finds: one result a gait, the checks across gaits and the overall score, and all of it as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..gait_cycles import PERCENT
from ..normative import SOURCES
from .checks import COST_MODEL, cheapest_speed, checks
from .cycles import METABOLIC_RATE, SPEED, PersonCycles
from .gaits import Gait
from .score import Cell, Comparison, Score, all_cells, compare, mean_figures, total

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class GaitResult:
    """One gait. reason: why it was not simulated, "" where it was; people: those who gave a whole cycle."""

    gait: Gait
    reason: str
    people: int
    cycles: int
    comparisons: tuple[Comparison, ...]
    checks: tuple[Cell, ...]

    @property
    def score(self) -> Score:
        """Goals met of the gait's."""
        return total(all_cells(self.comparisons, self.checks), self.comparisons)


@dataclass(frozen=True, slots=True)
class Realism:
    """All gaits asked for. across: goals that need several gaits. settings: what the run was asked for."""

    results: tuple[GaitResult, ...]
    across: tuple[Cell, ...]
    settings: dict[str, Any]

    @property
    def simulated(self) -> list[GaitResult]:
        """The gaits that could be judged."""
        return [result for result in self.results if not result.reason]

    @property
    def score(self) -> Score:
        """Goals met of all that were set to simulated gaits."""
        comparisons = [c for result in self.simulated for c in result.comparisons]
        cells = [cell for result in self.simulated for cell in all_cells(result.comparisons, result.checks)]
        return total([*cells, *self.across], comparisons)


def judge(gait: Gait, people: Sequence[PersonCycles]) -> GaitResult:
    """The result of a gait from what was recorded of people."""
    whole = [person for person in people if person.cycles]
    if not whole:
        fell = sum(person.fell for person in people)
        return not_simulated(gait, f"no whole cycle: {fell} of {len(people)} people fell")
    # Who fell before the first whole cycle gave no curves, but fell.
    early = sum(person.fell for person in people if not person.cycles)
    found = checks(gait, whole, early)
    return GaitResult(gait, "", len(whole), sum(p.cycles for p in whole), tuple(compare(gait, whole)), tuple(found))


def not_simulated(gait: Gait, reason: str) -> GaitResult:
    """The result of a gait that is not there yet."""
    return GaitResult(gait, reason, 0, 0, (), ())


def across_gaits(people: Iterable[tuple[Gait, Sequence[PersonCycles]]]) -> tuple[Cell, ...]:
    """Checks that need several gaits: the speed of the least cost of transport in level walking."""
    rates = {}
    for gait, group in people:
        whole = [person for person in group if person.cycles]
        figures = mean_figures(whole) if gait.kind == "walk" and whole else {}
        if (rate := METABOLIC_RATE.format(COST_MODEL)) in figures and SPEED in figures:
            rates[figures[SPEED]] = figures[rate]
    # Fewer than three speeds say nothing about a curve.
    return (cheapest_speed(rates),) if len(rates) >= 3 else ()


def as_json(realism: Realism) -> dict[str, Any]:
    """Everything as plain values: finite floats to six figures, null where something is not known."""
    used = {c.source for result in realism.results for c in result.comparisons}
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "settings": realism.settings,
        "sources": {name: SOURCES[name].citation for name in sorted(used)},
        "score": _score(realism.score),
        "across_gaits": [_cell(cell) for cell in realism.across],
        "gaits": [_gait(result) for result in realism.results],
    }
    return _plain(found)


def _gait(result: GaitResult) -> dict[str, Any]:
    gait = result.gait
    return {
        "name": gait.name,
        "title": gait.title,
        "simulated": not result.reason,
        "reason": result.reason,
        "kind": gait.kind,
        "speed_mps": gait.speed_mps,
        "policy": gait.policy,
        "terrain": gait.terrain,
        "slope_deg": gait.slope_deg,
        "impairments": gait.impairments,
        "people": result.people,
        "cycles": result.cycles,
        "score": _score(result.score),
        "signals": [_signal(c) for c in result.comparisons],
        "checks": [_cell(cell) for cell in result.checks],
    }


def _signal(c: Comparison) -> dict[str, Any]:
    return {
        "signal": c.signal,
        "legs": c.legs,
        "source": c.source,
        "condition": c.condition,
        "window_percent": list(c.window),
        "rmse": c.rmse,
        "rmse_sd": c.rmse_sd,
        "correlation": c.correlation,
        "best_correlation": c.best_correlation,
        "best_lag_percent": c.best_lag,
        "offset_removed": c.offset,
        "ours": asdict(c.ours),
        "published": asdict(c.theirs),
        "goals": [_cell(cell) for cell in c.cells],
        "curves": {
            "percent": PERCENT,
            "ours_mean": c.mean,
            "ours_sd": c.sd,
            "published_mean": c.band.mean - c.offset,
            "published_sd": c.band.sd,
        },
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {**asdict(cell), "met": cell.met, "gap": cell.gap}


def _score(score: Score) -> dict[str, Any]:
    return {**asdict(score), "percent": score.percent}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
