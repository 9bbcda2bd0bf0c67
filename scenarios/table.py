"""The arms of a scenario as a table: the rows serve the terminal and the report alike."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

NOTHING = "–"
JOINT_TITLES = {
    "hip_flexion": "hip",
    "hip_adduction": "hip adduction",
    "hip_rotation": "hip rotation",
    "knee_flexion": "knee",
    "ankle_dorsiflexion": "ankle",
    "mtp_extension": "toes",
}
MODEL_TITLES = {
    "umberger2010": "Umberger 2010",
    "bhargava2004": "Bhargava 2004",
    "minetti1997": "Minetti 1997",
}
_REFERENCES = {"vs_unpowered": "unpowered", "vs_no_exo": "no_exo"}
_CHANGE = "change, %: vs unpowered / no_exo"


@dataclass(frozen=True, slots=True)
class Row:
    """One metric over all arms: texts in the order of the arms. group: heading it belongs under."""

    group: str
    label: str
    cells: tuple[str, ...]


def rows(metrics: Mapping[str, Any], *, detail: bool = False) -> list[Row]:
    """Rows of the table of arms; with `detail` also gait, ground force and exo figures (for the report).

    A row that no arm has a value for is left out.
    """
    arms, joints = metrics["arms"], list(metrics["assisted_joints"])
    found = list(_summary(arms, joints))
    if detail:
        found += _detail(list(arms.values()), joints)
    return [row for row in found if any(cell != NOTHING for cell in row.cells)]


def _summary(named: Mapping[str, dict[str, Any]], joints: list[str]) -> Iterator[Row]:
    arms = list(named.values())

    def row(group: str, label: str, path: str, form: str) -> Row:
        return Row(group, label, tuple(_cell(arm, path, form) for arm in arms))

    def change(group: str, label: str, path: str) -> Row:
        cells = []
        for name, arm in named.items():
            # Against itself an arm has no change worth a figure.
            pair = [NOTHING if name == other else _percent(arm, path.format(key)) for key, other in _REFERENCES.items()]
            cells.append(NOTHING if pair == [NOTHING, NOTHING] else "/".join(pair))
        return Row(group, label, tuple(cells))

    yield row("Walking", "falls", "falls", "{:.0f}")
    if any(arm["faults"] for arm in arms):
        yield row("Walking", "faults", "faults", "{:.0f}")
    yield row("Walking", "simulated (s)", "seconds", "{:.1f}")
    yield row("Walking", "speed (m/s)", "speed_mps", "{:.3f}")
    yield row("Walking", "real-time factor", "realtime_factor", "{:.1f}")
    for joint in dict.fromkeys(j for arm in arms for j in arm["estimator"]):
        yield Row(
            "Torque estimate: RMSE (Nm/kg)/R²",
            JOINT_TITLES[joint],
            tuple(
                f"{_cell(arm, path + 'rmse_nm_per_kg', '{:.3f}')}/{_cell(arm, path + 'r2', '{:.2f}')}"
                if joint in arm["estimator"]
                else NOTHING
                for arm in arms
                for path in [f"estimator.{joint}."]
            ),
        )
    for joint in (*joints, "mean"):
        label = JOINT_TITLES.get(joint, "mean of joints")
        yield change(f"Biological torque (RMS): {_CHANGE}", label, f"biological_torque_change.{{}}.{joint}")
    effort = f"Muscle effort: sum of squared activations, and {_CHANGE}"
    yield row(effort, "effort", "effort.value", "{:.3f}")
    yield change(effort, "change", "effort.{}")
    metabolic = f"Metabolic rate, gross: W/kg, and {_CHANGE}"
    for model in dict.fromkeys(m for arm in arms for m in arm["metabolic_w_per_kg"]):
        yield row(metabolic, MODEL_TITLES.get(model, model), f"metabolic_w_per_kg.{model}", "{:.2f}")
        yield change(metabolic, "change", f"metabolic_change.{{}}.{model}")
    yield row("Exo", "wrong direction", "wrong_direction_fraction", "{:.1%}")


def _detail(arms: list[dict[str, Any]], joints: list[str]) -> Iterator[Row]:
    def row(group: str, label: str, path: str, form: str) -> Row:
        return Row(group, label, tuple(_cell(arm, path, form) for arm in arms))

    for joint in joints:
        title = JOINT_TITLES[joint]
        yield row("Exo", f"{title}: delivered, RMS (Nm/kg)", f"exo.{joint}.delivered_rms_nm_per_kg", "{:.3f}")
        yield row("Exo", f"{title}: tracking error, RMS (Nm)", f"exo.{joint}.tracking_rmse_nm", "{:.2f}")
        yield row("Exo", f"{title}: peak power (W)", f"exo.{joint}.peak_power_w", "{:.0f}")
    yield row("Exo", "time with a fault", "fault_fraction", "{:.1%}")
    for joint in joints:
        path = f"biological_work_j_per_kg_m.{joint}"
        yield Row(
            "Biological joint work (J/kg/m)",
            f"{JOINT_TITLES[joint]}: positive / negative",
            tuple(
                f"{_cell(arm, path + '.positive', '{:.3f}')} / {_cell(arm, path + '.negative', '{:.3f}')}"
                for arm in arms
            ),
        )
    yield row("Ground force", "mean / weight", "grf.weight_ratio", "{:.3f}")
    yield row("Ground force", "stances with two humps", "grf.double_hump_fraction", "{:.0%}")
    yield row("Ground force", "symmetry index (%)", "grf.symmetry_index_percent", "{:.1f}")
    yield row("Gait", "cadence (steps/min)", "gait.cadence_steps_per_min", "{:.1f}")
    yield row("Gait", "step length (m)", "gait.step_length_m", "{:.3f}")
    yield row("Gait", "stance", "gait.stance_fraction", "{:.1%}")
    for joint in dict.fromkeys(j for arm in arms for j in arm["angle_rms_deg"]):
        yield row("Gait", f"{JOINT_TITLES[joint]} from reference, RMS (deg)", f"angle_rms_deg.{joint}", "{:.1f}")


def _cell(arm: Mapping[str, Any], path: str, form: str) -> str:
    value: Any = arm
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return NOTHING if value is None else form.format(value).replace("-", "−")


def _percent(arm: Mapping[str, Any], path: str) -> str:
    """A relative change in percent with two figures: −12, +8.7."""
    tens = _cell(arm, path, "{:+.0%}").removesuffix("%")
    return tens if len(tens) > 2 or tens == NOTHING else _cell(arm, path, "{:+.1%}").removesuffix("%")


def verdict(metrics: Mapping[str, Any]) -> str:
    """One sentence: passed, or which gates failed and by what, and whether the run was cut short."""
    if metrics["passed"]:
        return f"PASSED: all {len(metrics['gates'])} gates hold" if metrics["gates"] else "PASSED: no gates set"
    return "FAILED: " + "; ".join(_reasons(metrics))


def _reasons(metrics: Mapping[str, Any]) -> list[str]:
    failed = [gate for gate in metrics["gates"] if not gate["passed"]]
    partial = [name for name, arm in metrics["arms"].items() if arm["partial"]]
    reasons = [f"{gate['name']}: {measured(gate)}, must be {limit(gate)}" for gate in failed]
    return reasons + ([f"partial run ({', '.join(partial)})"] if partial else [])


def measured(gate: Mapping[str, Any]) -> str:
    """The value of a gate for people; ``no value`` where the metric could not be computed."""
    return "no value" if gate["value"] is None else f"{gate['value']:.4g}".replace("-", "−")


def limit(gate: Mapping[str, Any]) -> str:
    """Operator and limit of a gate for people."""
    sign = {"<=": "≤", ">=": "≥", "==": "="}.get(gate["operator"], gate["operator"])
    return f"{sign} {gate['limit']:g}".replace("-", "−")


def arms_table(metrics: Mapping[str, Any]) -> Group:
    """The table that ``exotwin run`` prints: a column for each arm. Needs rich."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    device = metrics.get("device") or "no device"
    title = Text(f"{metrics['scenario']}, {device}, seed {metrics['seed']}", style="bold")
    found, arms = rows(metrics), list(metrics["arms"])
    indent = "  "
    widths = [max(map(len, column)) for column in zip(arms, *(row.cells for row in found), strict=True)]

    def table() -> Table:
        # A grid for each group, all of the same widths, leaves the headings the whole line.
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=len(indent) + max(len(row.label) for row in found))
        for width in widths:
            # In a narrow terminal a number goes on in the next line rather than lose its end.
            grid.add_column(width=width, justify="right", overflow="fold")
        return grid

    head = table()
    head.add_row("", *(Text(name, style="bold") for name in arms))
    parts: list[Text | Table] = [title, head]
    for group, members in itertools.groupby(found, lambda row: row.group):
        parts.append(Text(group, style="bold"))
        grid = table()
        for row in members:
            grid.add_row(Text(indent + row.label), *row.cells)
        parts.append(grid)
    return Group(*parts)


def verdict_text(metrics: Mapping[str, Any]) -> Text:
    """`verdict` in green or red, a line for each reason. Needs rich."""
    from rich.text import Text

    if metrics["passed"]:
        return Text(verdict(metrics), style="bold green")
    return Text("\n  ".join(["FAILED", *_reasons(metrics)]), style="bold red")
