"""How far a data set is: a bar on a terminal, a line a minute in a log file or a job's output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..sim.dataset.generate import Progress as State

LINE_EVERY_S = 60.0  # where there is no terminal


@contextmanager
def shown_progress(console: Console, clock: Callable[[], float] = monotonic) -> Iterator[Callable[[State], None]]:
    """Gives a function that takes the state of a generation and shows it. clock: s, for the lines."""
    if not console.is_terminal:
        yield _Lines(console, clock).show
        return
    text = TextColumn("{task.fields[recordings]}, {task.fields[falls]} falls, {task.fields[pace]}")
    # Recordings end seldom compared with the screen's pace: estimate from the last half hour.
    left = (TextColumn("left"), TimeRemainingColumn())
    percent = TextColumn("{task.percentage:>3.0f}%")
    columns = (percent, BarColumn(), text, TimeElapsedColumn(), *left)
    with Progress(*columns, console=console, speed_estimate_period=1800.0) as bar:
        yield _Bar(bar).show


class _Bar:
    """Recordings, falls, pace and the time that is left, by seconds of data."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("data", total=None, recordings="", falls=0, pace="")
        self._before: float | None = None

    def show(self, state: State) -> None:
        if self._before is None:
            self._before = state.seconds  # what was there took no time
        elapsed = self._bar.tasks[0].elapsed or 0.0
        made = state.seconds - self._before
        self._bar.update(
            self._task,
            total=state.total_seconds,
            completed=state.seconds,
            recordings=_recordings(state),
            falls=state.falls,
            pace=_pace(made / elapsed) if made and elapsed else "",
        )


class _Lines:
    """The same as text, by the pace since the beginning."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console, self._clock = console, clock
        self._begun: tuple[float, float] | None = None  # when, and with how many seconds of data
        self._told = 0.0

    def show(self, state: State) -> None:
        now = self._clock()
        if self._begun is None:
            self._begun, self._told = (now, state.seconds), now
        elif now - self._told < LINE_EVERY_S:
            return
        self._told = now
        elapsed, made = now - self._begun[0], state.seconds - self._begun[1]
        words = [f"{100.0 * state.seconds / state.total_seconds:.0f} %", _recordings(state), f"{state.falls} falls"]
        if made and elapsed:
            left = timedelta(seconds=round((state.total_seconds - state.seconds) * elapsed / made))
            words += [_pace(made / elapsed), f"{left} left"]
        self._console.print(", ".join(words), highlight=False, soft_wrap=True)


def _recordings(state: State) -> str:
    return f"{state.done} of {state.recordings} recordings"


def _pace(times: float) -> str:
    return f"{times:.1f} x real time"
