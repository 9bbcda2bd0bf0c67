"""What realism found as tables: the same rows for the terminal, the page and Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..pages import table as markdown_table
from ..table import NOTHING
from .result import GaitResult, Realism
from .score import Cell, Comparison, Score, total

if TYPE_CHECKING:
    from rich.console import Group

SIGNALS = {
    "angle/hip_flexion": "hip angle (deg)",
    "angle/knee_flexion": "knee angle (deg)",
    "angle/ankle_dorsiflexion": "ankle angle (deg)",
    "angle/pelvis_tilt": "pelvis tilt (deg)",
    "moment/hip_flexion": "hip moment (Nm/kg)",
    "moment/hip_adduction": "hip adduction moment (Nm/kg)",
    "moment/knee_flexion": "knee moment (Nm/kg)",
    "moment/ankle_dorsiflexion": "ankle moment (Nm/kg)",
    "power/hip_flexion": "hip power (W/kg)",
    "power/knee_flexion": "knee power (W/kg)",
    "power/ankle_dorsiflexion": "ankle power (W/kg)",
    "grf/z": "vertical force (BW)",
    "grf/x": "fore-aft force (BW)",
    "emg/soleus": "soleus",
    "emg/gastroc": "gastrocnemius",
    "emg/tibant": "tibialis anterior",
    "emg/vasti": "vasti",
    "emg/rectfem": "rectus femoris",
    "emg/hamstrings": "hamstrings",
    "emg/glutmax": "gluteus maximus",
    "emg/abd": "gluteus medius",
    "emg/add": "hip adductors",
    "emg/bifemsh": "short biceps femoris",
    "emg/iliopsoas": "iliopsoas",
    "emg/edl": "toe extensors",
    "emg/fdl": "toe flexors",
}
FAMILIES = {"angle": "angles", "moment": "moments", "grf": "ground force", "emg": "EMG timing"}
_LEGS = {"rl": "", "r": ", right", "l": ", left"}


@dataclass(frozen=True, slots=True)
class Text:
    """A cell of a table. met: whether its goal is met, None without one."""

    text: str
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: head and rows of equal length; the first column is left-aligned."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]


def number(value: float | None, form: str = ".2f") -> str:
    """A number with a true minus, or a dash."""
    return NOTHING if value is None else f"{value:{form}}".replace("-", "−")


def signal_title(comparison: Comparison) -> str:
    """What a comparison is of, for people."""
    return SIGNALS.get(comparison.signal, comparison.signal) + _LEGS[comparison.legs]


def summary(realism: Realism) -> Grid:
    """One line a gait: goals met in all and by family, median error; then the whole."""
    rows = [tuple(_summary_row(result)) for result in realism.results]
    whole = [Text("all simulated gaits"), *_score_texts(realism.score), *(Text("") for _ in FAMILIES), Text("")]
    head = ("gait", "goals met", "%", "median RMSE (SD)", *FAMILIES.values(), "other")
    return Grid("Realism", head, (*rows, tuple(whole)))


def _summary_row(result: GaitResult) -> Iterator[Text]:
    yield Text(result.gait.name)
    if result.reason:
        yield from (Text(NOTHING), Text(NOTHING), Text(NOTHING), *(Text(NOTHING) for _ in FAMILIES))
        yield Text(f"not simulated: {result.reason}")
        return
    yield from _score_texts(result.score)
    for family in FAMILIES:
        yield _met([cell for c in result.comparisons if c.signal.startswith(f"{family}/") for cell in c.cells])
    yield _met(result.checks)


def _score_texts(score: Score) -> tuple[Text, Text, Text]:
    return Text(f"{score.met} of {score.goals}"), Text(number(score.percent, ".0f")), Text(number(score.median_rmse_sd))


def _met(cells: Iterable[Cell]) -> Text:
    score = total(cells, ())
    return Text(f"{score.met}/{score.goals}", score.met == score.goals) if score.goals else Text(NOTHING)


def signals(result: GaitResult) -> Grid:
    """A line for each published curve of a gait."""
    head = (
        "signal",
        "RMSE",
        "RMSE (SD)",
        "r",
        "best r",
        "at lag %",
        "range",
        "maximum (at %)",
        "minimum (at %)",
        "source",
    )
    return Grid("curves", head, tuple(tuple(_signal_row(c)) for c in result.comparisons))


def _signal_row(c: Comparison) -> Iterator[Text]:
    by_kind = {cell.name.rsplit(" ", 1)[-1]: cell.met for cell in c.cells}
    yield Text(signal_title(c))
    yield Text(number(c.rmse))
    yield Text(number(c.rmse_sd), by_kind.get("(SD)"))
    yield Text(number(c.correlation), by_kind.get("correlation"))
    yield Text(number(c.best_correlation))
    yield Text(number(c.best_lag, "d"))
    if c.rmse is None:  # EMG: only the time of the peak can be compared
        yield from (Text(NOTHING), Text(f"at {c.ours.maximum.at:.0f} / {c.theirs.maximum.at:.0f}"), Text(NOTHING))
    else:
        yield Text(f"{number(c.ours.range)} / {number(c.theirs.range)}")
        for ours, theirs in ((c.ours.maximum, c.theirs.maximum), (c.ours.minimum, c.theirs.minimum)):
            yield Text(f"{number(ours.value)} ({ours.at:.0f}) / {number(theirs.value)} ({theirs.at:.0f})")
    yield Text(c.source)


def check_grid(cells: Iterable[Cell]) -> Grid:
    """A line for each single figure: ours, published, goal, gap."""
    rows = []
    for cell in cells:
        goal = NOTHING
        if cell.judged:
            low, high = number(cell.low, ".3g"), number(cell.high, ".3g")
            goal = f"{low} to {high}" if cell.low is not None and cell.high is not None else f"at most {high}"
        gap = number(cell.gap or None, ".2g")
        texts = (Text(number(cell.published, ".3g")), Text(goal), Text(gap), Text(cell.source))
        rows.append((Text(cell.name), Text(number(cell.value, ".3g"), cell.met), *texts))
    return Grid("single figures", ("figure", "ours", "published", "goal", "gap", "source"), tuple(rows))


def gait_line(result: GaitResult) -> str:
    """Who and what a gait's tables are of."""
    gait = result.gait
    if result.reason:
        return f"{gait.name}: not simulated: {result.reason}"
    return f"{gait.name}: {gait.title}, {result.people} people, {result.cycles} cycles of both legs"


def verdict(realism: Realism) -> str:
    """The overall score in one line."""
    score = realism.score
    share = "no goal" if score.percent is None else f"{score.met} of {score.goals} goals met ({score.percent:.0f} %)"
    median = "" if score.median_rmse_sd is None else f", median RMSE {score.median_rmse_sd:.2f} SD"
    return f"{len(realism.simulated)} of {len(realism.results)} gaits simulated; {share}{median}"


def terminal(realism: Realism) -> Group:
    """Everything, for the terminal. Needs rich."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text as Rich

    def table(grid: Grid, title: str) -> Table:
        out = Table(title=title, title_justify="left", title_style="bold", expand=False)
        for i, name in enumerate(grid.head):
            out.add_column(name, justify="right" if i else "left", overflow="fold")
        for row in grid.rows:
            out.add_row(*(Rich(t.text, style=_STYLES[t.met]) for t in row))
        return out

    parts: list[Table | Rich] = []
    for result in realism.simulated:
        parts.append(Rich(gait_line(result), style="bold"))
        parts += [table(grid, grid.title) for grid in grids(result) if grid.rows]
    if realism.across:
        parts.append(table(check_grid(realism.across), "across gaits"))
    return Group(*parts, table(summary(realism), "one line a gait"), Rich(verdict(realism), style="bold"))


_STYLES = {None: "", True: "green", False: "red"}


def grids(result: GaitResult) -> tuple[Grid, Grid]:
    """The two tables of a gait."""
    return signals(result), check_grid(result.checks)


def markdown(realism: Realism) -> str:
    """Summary and every table; a goal that is not met is bold."""
    lines = ["# Realism", "", verdict(realism) + ".", "", _markdown_table(summary(realism)), ""]
    if realism.across:
        lines += ["## Across gaits", "", _markdown_table(check_grid(realism.across)), ""]
    for result in realism.results:
        lines += [f"## {result.gait.name}", "", gait_line(result) + ".", ""]
        for grid in grids(result):
            if grid.rows:
                lines += [_markdown_table(grid), ""]
    return "\n".join(lines)


def _markdown_table(grid: Grid) -> str:
    return markdown_table(
        grid.head, ([f"**{t.text}**" if t.met is False else t.text for t in row] for row in grid.rows)
    )
