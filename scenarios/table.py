"""The arms of a scenario as a table: the rows serve the terminal and the report alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table
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
_REFERENCES = {"vs_no_exo": "no_exo", "vs_unpowered": "unpowered"}


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

    def change(group: str, label: str, path: str, reference: str) -> Row:
        # Against itself an arm has no change worth a figure.
        cells = (NOTHING if name == reference else _cell(arm, path, "{:+.1%}") for name, arm in named.items())
        return Row(group, label, tuple(cells))

    yield row("Walking", "falls", "falls", "{:.0f}")
    yield row("Walking", "simulated (s)", "seconds", "{:.1f}")
    yield row("Walking", "speed (m/s)", "speed_mps", "{:.3f}")
    yield row("Walking", "real-time factor", "realtime_factor", "{:.1f} x")
    for joint in dict.fromkeys(j for arm in arms for j in arm["estimator"]):
        yield Row(
            "Torque estimate",
            f"{JOINT_TITLES[joint]}: RMSE (Nm/kg) / R²",
            tuple(
                f"{_cell(arm, path + 'rmse_nm_per_kg', '{:.3f}')} / {_cell(arm, path + 'r2', '{:.2f}')}"
                if joint in arm["estimator"]
                else NOTHING
                for arm in arms
                for path in [f"estimator.{joint}."]
            ),
        )
    for key, reference in _REFERENCES.items():
        group = f"Biological torque (RMS) vs {reference}"
        for joint in (*joints, "mean"):
            label = JOINT_TITLES.get(joint, "mean of joints")
            yield change(group, label, f"biological_torque_change.{key}.{joint}", reference)
    yield row("Muscle effort", "sum of squared activations", "effort.value", "{:.3f}")
    for key, reference in _REFERENCES.items():
        yield change("Muscle effort", f"vs {reference}", f"effort.{key}", reference)
    for model in dict.fromkeys(m for arm in arms for m in arm["metabolic_w_per_kg"]):
        yield row("Metabolic rate, gross", f"{model} (W/kg)", f"metabolic_w_per_kg.{model}", "{:.2f}")
        for key, reference in _REFERENCES.items():
            path = f"metabolic_change.{key}.{model}"
            yield change("Metabolic rate, gross", f"{model} vs {reference}", path, reference)
    yield row("Exo", "wrong-direction torque", "wrong_direction_fraction", "{:.1%}")


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
        yield row(
            "Gait", f"{JOINT_TITLES[joint]} from reference, RMS (deg)", f"angle_rms_deg.{joint}", "{:.1f}"
        )


def _cell(arm: Mapping[str, Any], path: str, form: str) -> str:
    value: Any = arm
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return NOTHING if value is None else form.format(value).replace("-", "−")


def verdict(metrics: Mapping[str, Any]) -> str:
    """One sentence: passed, or which gates failed and by what, and whether the run was cut short."""
    failed = [gate for gate in metrics["gates"] if not gate["passed"]]
    partial = [name for name, arm in metrics["arms"].items() if arm["partial"]]
    if metrics["passed"]:
        return (
            f"PASSED: all {len(metrics['gates'])} gates hold" if metrics["gates"] else "PASSED: no gates set"
        )
    reasons = [f"{gate['name']}: {measured(gate)}, must be {limit(gate)}" for gate in failed]
    if partial:
        reasons.append(f"partial run ({', '.join(partial)})")
    return "FAILED: " + "; ".join(reasons)


def measured(gate: Mapping[str, Any]) -> str:
    """The value of a gate for people; ``no value`` where the metric could not be computed."""
    return "no value" if gate["value"] is None else f"{gate['value']:.4g}".replace("-", "−")


def limit(gate: Mapping[str, Any]) -> str:
    """Operator and limit of a gate for people."""
    sign = {"<=": "≤", ">=": "≥", "==": "="}.get(gate["operator"], gate["operator"])
    return f"{sign} {gate['limit']:g}".replace("-", "−")


def arms_table(metrics: Mapping[str, Any]) -> Table:
    """The table that ``exotwin run`` prints: a column for each arm. Needs rich."""
    from rich.table import Table

    device = metrics.get("device") or "no device"
    table = Table(title=f"{metrics['scenario']}, {device}, seed {metrics['seed']}", title_style="bold")
    table.add_column("")
    for name in metrics["arms"]:
        table.add_column(name, justify="right")
    group = None
    for row in rows(metrics):
        if row.group != group:
            group = row.group
            table.add_section()
            table.add_row(f"[bold]{group}[/bold]")
        table.add_row(f"  {row.label}", *row.cells)
    return table


def verdict_text(metrics: Mapping[str, Any]) -> Text:
    """`verdict` in green or red. Needs rich."""
    from rich.text import Text

    return Text(verdict(metrics), style="bold green" if metrics["passed"] else "bold red")
