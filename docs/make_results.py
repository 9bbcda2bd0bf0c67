"""Fills the results in README.md: `python docs/make_results.py` runs ten seeds of level_walk, evaluates the bundles.

`--read` takes the runs that are there already; the tables go between the two markers of the README.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from exotwin.estimators.bundle import read_manifest
from exotwin.estimators.data import true_kinematics
from exotwin.estimators.evaluation import evaluate_bundle
from exotwin.scenarios.catalogue import assets, find_bundle, list_bundles
from exotwin.scenarios.pages import fill, table
from exotwin.scenarios.runner import run_scenario
from exotwin.scenarios.scenario import load_scenario
from exotwin.scenarios.table import JOINT_TITLES, MODEL_TITLES, NOTHING
from exotwin.sim.exchange.opensim_import import import_opensim
from rich.console import Console

README = Path(__file__).parents[1] / "README.md"
# Real walks with joint moments: folder, files, body mass (kg), what the reader must know.
TRIALS = (
    (
        "opensim_gait2392",
        ("subject01_walk1_ik.mot", "InverseDynamicsOutput.sto", "subject01_walk1_grf.mot"),
        72.6,
        "an adult of whom nothing entered the simulation",
    ),
    (
        "opensim_walk",
        ("coordinates.sto", "id_walk.sto", "grf_walk.mot"),
        85.27,
        "the adult whose frontal and transverse joint angles are in the reference gait",
    ),
)
REFERENCES = ("unpowered", "no_exo")

Metrics = dict[str, Any]


def main() -> None:
    """Run or read the runs and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", default="level_walk")
    parser.add_argument("--beside", default="level_walk_naive", help="scenario of which only the arms are shown")
    parser.add_argument("--seeds", type=int, default=10, help="seeds 0 to this less one")
    parser.add_argument("--runs", type=Path, default=Path("runs/results"), help="folder of the runs")
    parser.add_argument("--read", action="store_true", help="do not repeat the runs that are there")
    options = parser.parse_args()
    console = Console()

    def runs_of(name: str) -> list[Metrics]:
        runs = []
        for seed in range(options.seeds):
            folder = options.runs / name / f"seed-{seed}"
            if not (options.read and (folder / "metrics.json").exists()):
                console.print(f"{name}, seed {seed}")
                run_scenario(load_scenario(name), seed, folder, console)
            runs.append(json.loads((folder / "metrics.json").read_text(encoding="utf-8")))
        console.print(f"{name}: {sum(run['passed'] for run in runs)} of {len(runs)} runs pass all gates")
        return runs

    tables = results(runs_of(options.scenario), runs_of(options.beside), load_scenario(options.scenario).estimator)
    fill(README, "results", tables)
    console.print(f"written to {README.name}")


def results(runs: Sequence[Metrics], beside: Sequence[Metrics], estimator: str) -> str:
    """All tables as Markdown, of the metrics of runs that differ in their seed only."""
    kinematic = kinematic_bundle()
    bundle = find_bundle(kinematic)
    substitutes = true_kinematics(read_manifest(bundle).spec.inputs)
    real = []
    for folder, names, mass, what in TRIALS:
        recording = import_opensim([assets() / "recordings" / folder / name for name in names], mass)
        errors = evaluate_bundle(bundle, recording, substitutes=substitutes)
        real += [f"`{folder}`, {what}:", real_table(errors)]
    return "\n\n".join(
        (
            f"Mean ± standard deviation over {len(runs)} seeds of `exotwin run {runs[0]['scenario']}`; "
            "changes in %, negative is less.",
            arms_table(runs),
            f"Gates: {sum(run['passed'] for run in runs)} of {len(runs)} runs pass all of them.",
            gates_table(runs),
            f"The same seeds of `exotwin run {beside[0]['scenario']}`: here the nervous system does not expect the "
            "exo's torque at all, above it takes off all of it.",
            arms_table(beside, MODEL_TITLES),
            f"Torque estimates, both legs: `{estimator}` and the mean profile in the loop (a person that is in no "
            f"training data), and `{estimator}` offline on the people of the test split.",
            estimator_table(runs, read_manifest(find_bundle(estimator)).metrics["test"]),
            f"Real data: `{kinematic}` (joint angles and velocities only, trained on simulated walking) on adults "
            "walking in a laboratory, against inverse dynamics: `exotwin evaluate` of the imported recordings.",
            *real,
        )
    )


def kinematic_bundle() -> str:
    """The shipped torque estimator whose inputs a motion-capture recording has. Raises ValueError if there is none."""
    for name in list_bundles():
        spec = read_manifest(find_bundle(name)).spec
        if spec.kind == "torque" and set(spec.inputs) <= set(true_kinematics(spec.inputs)):
            return name
    raise ValueError("no torque estimator of joint angles and velocities is shipped")


def arms_table(runs: Sequence[Metrics], leave_out: Container[str] = ()) -> str:
    """What the arms did to the person; leave_out: metabolic models that are not shown."""
    arms = list(runs[0]["arms"])
    rows = [
        ["falls, all runs", *(str(sum(run["arms"][arm]["falls"] for run in runs)) for arm in arms)],
        ["speed (m/s)", *(_over(runs, f"arms.{arm}.speed_mps", "{:.3f}") for arm in arms)],
    ]

    def change(label: str, path: Callable[[str], str]) -> None:
        for other in REFERENCES:
            cells = (_over(runs, f"arms.{a}.{path(other)}", "{:+.1f}", 100) if a != other else NOTHING for a in arms)
            rows.append([f"{label} against {other} (%)", *cells])

    efforts = [_over(runs, f"arms.{a}.effort.value", "{:.2f}") for a in arms]
    rows.append(["muscle effort, sum of squared activations", *efforts])
    change("muscle effort", lambda other: f"effort.vs_{other}")
    for model in runs[0]["arms"][arms[0]]["metabolic_w_per_kg"]:
        if model in leave_out:
            continue
        title = MODEL_TITLES.get(model, model)
        cells = [_over(runs, f"arms.{arm}.metabolic_w_per_kg.{model}", "{:.2f}") for arm in arms]
        rows.append([f"metabolic rate, {title} (W/kg)", *cells])
        change(f"metabolic rate, {title},", lambda other, m=model: f"metabolic_change.vs_{other}.{m}")  # type: ignore[misc]
    for joint in (*runs[0]["assisted_joints"], "mean"):
        title = f"biological torque, {JOINT_TITLES.get(joint, 'mean of joints')},"
        change(title, lambda other, j=joint: f"biological_torque_change.vs_{other}.{j}")  # type: ignore[misc]
    wrong = [_over(runs, f"arms.{a}.wrong_direction_fraction", "{:.1f}", 100) for a in arms]
    rows.append(["wrong-direction torque (%)", *wrong])
    rows.append(["real-time factor", *(_over(runs, f"arms.{arm}.realtime_factor", "{:.0f}") for arm in arms)])
    return table(["", *arms], rows)


def gates_table(runs: Sequence[Metrics]) -> str:
    """How many runs pass each gate and the value that came closest to failing, or failed most."""
    rows = []
    for i, gate in enumerate(runs[0]["gates"]):
        found = [run["gates"][i] for run in runs]
        values = [g["value"] for g in found]
        worst = NOTHING
        if None not in values:
            upper = gate["operator"] in ("<=", "<", "==")
            worst = f"{max(values) if upper else min(values):.4g}"
        limit = f"{gate['operator']} {gate['limit']:g}"
        rows.append([gate["name"], limit, worst, f"{sum(g['passed'] for g in found)} of {len(runs)}"])
    return table(["gate", "limit", "worst value", "passed"], rows)


def estimator_table(runs: Sequence[Metrics], test_split: Metrics) -> str:
    """Errors of estimator and mean profile per joint."""
    joints = [j for j in JOINT_TITLES if j in test_split]
    rows = []
    for label, key, form in (
        ("RMSE (Nm/kg)", "rmse_nm_per_kg", "{:.3f}"),
        ("R²", "r2", "{:.3f}"),
        ("lag (ms)", "lag_ms", "{:.0f}"),
    ):
        for arm in ("estimator", "profile"):
            rows.append([f"{arm}, {label}", *(_over(runs, f"arms.{arm}.estimator.{j}.{key}", form) for j in joints)])
    path = "arms.estimator.estimator_vs_profile.{}"
    against = [_over(runs, path.format(j), "{:+.0f}", 100) for j in joints]
    rows.append(["estimator's RMSE against the profile's (%)", *against])
    rows.append(["test split, RMSE (Nm/kg)", *(_number(test_split[j]["rmse"], "{:.3f}") for j in joints)])
    rows.append(["test split, R²", *(_number(test_split[j]["r2"], "{:.3f}") for j in joints)])
    return table(["", *(JOINT_TITLES[j] for j in joints)], rows)


def real_table(errors: dict[str, dict[str, float]]) -> str:
    """Errors per joint on the recording."""
    rows = []
    for label, key, form, factor in (
        ("RMSE (Nm/kg)", "rmse", "{:.3f}", 1),
        ("NRMSE (% of range)", "nrmse", "{:.1f}", 100),
        ("R", "r", "{:.3f}", 1),
        ("R²", "r2", "{:.3f}", 1),
    ):
        rows.append([label, *(_number(factor * e[key], form) for e in errors.values())])
    return table(["", *(JOINT_TITLES[j] for j in errors)], rows)


def _number(value: float, form: str) -> str:
    return form.format(value).replace("-", "−") if np.isfinite(value) else NOTHING


def _over(runs: Sequence[Metrics], path: str, form: str, factor: float = 1.0) -> str:
    """Mean ± SD of one metric over the runs; a dash where any run lacks it."""
    values = []
    for run in runs:
        node: Any = run
        for key in path.split("."):
            node = node.get(key) if isinstance(node, dict) else None
        values.append(np.nan if node is None else factor * node)
    mean, sd = float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return f"{_number(mean, form)} ± {form.replace('+', '').format(sd)}" if np.isfinite(mean) else NOTHING


if __name__ == "__main__":
    main()
