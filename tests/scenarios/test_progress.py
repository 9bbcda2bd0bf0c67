"""How far a data set is, where it is read from a file: a line a minute that can be trusted."""

from __future__ import annotations

import io

from exotwin.scenarios.progress import shown_progress
from exotwin.sim.dataset.generate import Progress
from rich.console import Console


def told(terminal: bool, states: list[tuple[float, int, float]]) -> str:
    """What is shown of states: s by the clock, recordings done and seconds of data of 100 recordings of 30 s."""
    file, now = io.StringIO(), [0.0]
    with shown_progress(Console(file=file, force_terminal=terminal, width=200), lambda: now[0]) as show:
        for at, done, seconds in states:
            now[0] = at
            show(Progress(100, 3000.0, done, seconds, falls=2))
    return file.getvalue()


def test_without_a_terminal_there_is_a_line_a_minute_with_pace_and_time_left():
    # 40 recordings were there; then one in 3 s, ten times real time: 60 take 180 s.
    lines = told(False, [(3.0 * k, 40 + k, 1200.0 + 30.0 * k) for k in range(61)]).splitlines()
    assert lines == [
        "40 %, 40 of 100 recordings, 2 falls",
        "60 %, 60 of 100 recordings, 2 falls, 10.0 x real time, 0:02:00 left",
        "80 %, 80 of 100 recordings, 2 falls, 10.0 x real time, 0:01:00 left",
        "100 %, 100 of 100 recordings, 2 falls, 10.0 x real time, 0:00:00 left",
    ]


def test_on_a_terminal_there_is_a_bar():
    shown = told(True, [(0.0, 40, 1200.0), (3.0, 41, 1230.0)])
    assert "41 of 100 recordings" in shown
    assert "41%" in shown
