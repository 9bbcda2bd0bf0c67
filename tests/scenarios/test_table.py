"""The table that `exotwin run` prints: what it says, and that it fits a screen."""

from __future__ import annotations

import pytest
from exotwin.scenarios.comparison import compare
from exotwin.scenarios.gates import Gate, judge
from exotwin.scenarios.table import arms_table, rows, verdict_text
from rich.console import Console
from synthetic_walk import reference_angles, walk


@pytest.fixture(scope="module")
def metrics(arms):
    found = compare(arms, skip_s=2.0, realtime_factors=dict.fromkeys(arms, 11.0), angle_reference=reference_angles())
    for arm in found["arms"].values():  # the synthetic person has one metabolic model, a simulated one three
        for model in ("bhargava2004", "minetti1997"):
            arm["metabolic_w_per_kg"][model] = 4.0
            for changes in arm["metabolic_change"].values():
                changes[model] = -0.123
    return judge(found, ())


def printed(metrics, width: int) -> list[str]:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(arms_table(metrics))
    return [line.rstrip() for line in capture.get().rstrip().splitlines()]


@pytest.mark.parametrize("width", [80, 120])
def test_the_whole_table_fits_one_screen_with_nothing_cut_off(metrics, width):
    lines = printed(metrics, width)
    assert len(lines) <= 32
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    for word in (*metrics["arms"], "falls", "Umberger 2010", "Bhargava 2004", "Minetti 1997", "wrong direction"):
        assert any(word in line for line in lines), word


def test_a_narrow_terminal_folds_numbers_and_loses_none(metrics):
    text = "".join("".join(printed(metrics, 50)).split())
    assert "…" not in text


def line_of(lines: list[str], label: str) -> list[str]:
    return next(line for line in lines if line.strip().startswith(label)).removeprefix(f"  {label}").split()


def test_changes_stand_against_unpowered_and_then_no_exo(metrics):
    lines = printed(metrics, 100)
    # Made with biological torque of 1 - (0.02, 0, 0.08, 0.15, 0.18) of the same curve.
    assert line_of(lines, "mean of joints") == ["−2.0/–", "–/+2.0", "−8.0/−6.1", "−15/−13", "−18/−16"]
    effort = lines.index(next(line for line in lines if line.startswith("Muscle effort")))
    assert line_of(lines[effort:], "change") == ["−4.0/–", "–/+4.1", "−15/−12", "−28/−25", "−33/−30"]


def test_a_row_of_nothing_is_left_out_and_every_row_serves_every_arm(metrics):
    found = rows(metrics, detail=True)
    assert {len(row.cells) for row in found} == {5}
    assert not any(set(row.cells) == {"–"} for row in found)
    assert "faults" not in [row.label for row in found]


def test_faults_get_a_row_where_there_were_any(arms):
    hurt = compare({"unpowered": arms["unpowered"], "estimator": walk("estimator", assist=0.2, faulty_s=(3.0, 4.0))})
    assert next(row for row in rows(hurt) if row.label == "faults").cells == ("0", "1")


def test_each_failed_gate_has_a_line(arms):
    gates = [
        Gate(name="too fast; surely", metric="arms.*.speed_mps", operator="<", limit=1.0),
        Gate(name="tireless", metric="arms.*.effort.value", operator="<", limit=0.0),
        Gate(name="upright", metric="arms.*.falls", operator="==", limit=0),
    ]
    lines = verdict_text(judge(compare(arms), gates)).plain.splitlines()
    assert lines[0] == "FAILED"
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["too fast; surely", "tireless"]
