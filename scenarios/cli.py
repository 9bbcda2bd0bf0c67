"""The command line. Exit codes: 0 all gates pass, 1 a gate fails, 2 bad input, 130 interrupted."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .cli_dataset import dataset_app, generate
from .cli_exchange import export, import_

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
train_app = typer.Typer(no_args_is_help=True, help="Train the learned parts on a data set.")
app.add_typer(train_app, name="train")
app.command()(generate)
app.add_typer(dataset_app, name="dataset")
app.command("import")(import_)
app.command()(export)
console = Console()

Out = Annotated[Path, typer.Option(help="folder for what comes out")]
Seed = Annotated[int, typer.Option(help="seed of every random draw", min=0)]


@app.command()
def run(
    scenario: Annotated[str, typer.Argument(help="a scenario's name, or a YAML file")],
    device: Annotated[str | None, typer.Option(help="another device than the scenario's")] = None,
    estimator: Annotated[str | None, typer.Option(help="another torque estimator (name or bundle folder)")] = None,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="folder for what comes out (default runs/SCENARIO)")] = None,
    video: Annotated[bool, typer.Option(help="render video.mp4 where that is possible")] = True,
) -> None:
    """Simulate a scenario's arms, print the table and the verdict, write recordings, metrics, report and video."""
    from .arm import ControllerError
    from .runner import make_video, run_scenario
    from .scenario import list_scenarios, load_scenario
    from .table import arms_table, verdict_text

    chosen = load_scenario(scenario)
    changes: dict[str, Any] = {k: v for k, v in (("device", device), ("estimator", estimator)) if v}
    chosen = chosen.model_copy(update=changes)
    sys.path.append(os.getcwd())  # where a user's own controller lies
    folder = out or Path("runs") / chosen.name
    try:
        result = run_scenario(chosen, seed, folder, console)
    except ValueError as error:
        fitting = [name for name in list_scenarios() if device and load_scenario(name).device == device]
        if not fitting or isinstance(error, ControllerError):
            raise
        raise ValueError(f"{error}; scenarios made for {device}: {', '.join(fitting)}") from None
    if result.arms:
        console.print(arms_table(result.metrics))
        console.print(verdict_text(result.metrics))
        if video and not result.interrupted:
            make_video(chosen, result, console)
        console.print(f"written to {folder}/: " + ", ".join(sorted(p.name for p in folder.iterdir())))
    if result.interrupted:
        console.print("[yellow]interrupted: what is there is marked partial")
        raise typer.Exit(130)
    raise typer.Exit(0 if result.passed else 1)


@app.command()
def scenarios() -> None:
    """List the scenarios."""
    from .scenario import list_scenarios, load_scenario

    _table("scenario", {name: load_scenario(name).title for name in list_scenarios()})


@app.command()
def devices() -> None:
    """List the devices."""
    from .catalogue import find_device, list_devices

    _table("device", {name: find_device(name).title for name in list_devices()})


@app.command()
def estimators() -> None:
    """List the estimators and classifiers."""
    from ..estimators.bundle import read_manifest
    from .catalogue import find_bundle, list_bundles

    rows = {}
    for name in list_bundles():
        spec = read_manifest(find_bundle(name)).spec
        rows[name] = f"{spec.kind}: {len(spec.inputs)} channels at {spec.rate_hz:g} Hz to {', '.join(spec.outputs)}"
    _table("estimator", rows)


def _table(kind: str, rows: dict[str, str]) -> None:
    table = Table(kind, "what it is")
    for name, what in rows.items():
        table.add_row(name, what)
    console.print(table)


@app.command()
def evaluate(
    bundle: Annotated[str, typer.Argument(help="estimator name or bundle folder")],
    recordings: Annotated[list[Path], typer.Argument(help="recordings (.parquet)")],
) -> None:
    """Run an estimator over recordings and print its errors against their true joint torques."""
    from ..estimators.data import true_kinematics
    from ..estimators.evaluation import evaluate_bundle
    from ..estimators.runtime import OnnxEstimator
    from ..sim.recording import read_recording
    from .catalogue import find_bundle

    folder = find_bundle(bundle)
    channels = OnnxEstimator(folder).channels
    for path in recordings:
        recording = read_recording(path)
        # Motion capture has no encoders: the true joint angles stand in for what was not measured.
        substitutes = true_kinematics(c for c in channels if c not in recording)
        found = evaluate_bundle(folder, recording, substitutes=substitutes)
        table = Table("joint", "RMSE Nm/kg", "NRMSE %", "R", "R2", "lag ms", title=f"{bundle} on {path.name}")
        for joint, e in found.items():
            table.add_row(
                joint,
                f"{e['rmse']:.3f}",
                f"{100 * e['nrmse']:.1f}",
                f"{e['r']:.3f}",
                f"{e['r2']:.3f}",
                f"{e['lag_ms']:.0f}",
            )
        console.print(table)


@app.command()
def realism(
    gait: Annotated[
        list[str] | None, typer.Option(help="a gait, or the word several begin with (default: all)")
    ] = None,
    subjects: Annotated[int, typer.Option(help="people to sample", min=1)] = 5,
    seed: Seed = 1,
    seconds: Annotated[float, typer.Option(help="of level movement for each person", min=4.0)] = 20.0,
    workers: Annotated[int, typer.Option(help="processes", min=1)] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", help="file for everything, machine-readable")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the page and the Markdown tables")] = None,
    require: Annotated[float | None, typer.Option(help="exit with 1 below this share of goals met, %")] = None,
) -> None:
    """Hold every gait of the simulated person against published curves of people."""
    import json

    from rich.progress import Progress

    from ..sim.subjects import sample_subjects
    from .realism.gaits import choose
    from .realism.result import as_json
    from .realism.simulate import realism as judge_all
    from .realism.table import markdown, terminal

    gaits, people = choose(gait or ()), sample_subjects(subjects, seed)
    with Progress(console=console) as progress:
        task = progress.add_task("runs", total=None)
        found = judge_all(
            gaits, people, seed, workers, seconds, lambda done, all_: progress.update(task, completed=done, total=all_)
        )
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(as_json(found)) + "\n", encoding="utf-8")
    if out:
        from .realism.page import write_page

        out.mkdir(parents=True, exist_ok=True)
        write_page(out / "realism.html", found)
        (out / "realism.md").write_text(markdown(found) + "\n", encoding="utf-8")
    console.print(terminal(found))
    if require is not None and (found.score.percent or 0.0) < require:
        raise typer.Exit(1)


@train_app.command()
def torque(
    data: Annotated[Path, typer.Argument(help="data set folder")],
    out: Out,
    kinematic: Annotated[bool, typer.Option("--kinematic", help="joint angles and velocities only")] = False,
    channel: Annotated[
        list[str] | None, typer.Option(help="columns to estimate from, names or patterns (default: imu/*, encoder/*)")
    ] = None,
    joint: Annotated[list[str] | None, typer.Option(help="joints to estimate, without side (default: three)")] = None,
    hidden: Annotated[int, typer.Option(help="channels of each layer")] = 64,
    epochs: Annotated[int, typer.Option(help="at most this many")] = 60,
    seed: Seed = 0,
    threads: Annotated[int, typer.Option(help="torch threads")] = 2,
    resume: Annotated[bool, typer.Option("--resume", help="go on from the last checkpoint")] = False,
) -> None:
    """Train a torque estimator (causal TCN) and write its bundle."""
    from ..controllers.config import require_known
    from ..controllers.device import JOINTS, SIDES
    from ..estimators.training import KINEMATIC_CHANNELS, train_torque_estimator

    if kinematic and channel:
        raise ValueError("--kinematic is a choice of channels; leave out --channel")
    channels = KINEMATIC_CHANNELS if kinematic else tuple(channel or ())
    options: dict[str, Any] = {"channels": channels} if channels else {}
    if joint:
        require_known("joint", joint, JOINTS)
        options["joints"] = tuple(f"{name}_{side}" for side in SIDES for name in joint)
    found = train_torque_estimator(
        data,
        out,
        hidden=hidden,
        epochs=epochs,
        seed=seed,
        threads=threads,
        resume=resume,
        licence="Apache-2.0",
        command=_command(),
        **options,
    )
    table = Table("joint", "RMSE Nm/kg", "R2", title="people of the test split")
    for name, e in found["test"].items():
        table.add_row(name, f"{e['rmse']:.3f}", f"{e['r2']:.3f}")
    console.print(table)


@train_app.command()
def mode(
    data: Annotated[Path, typer.Argument(help="data set folder")],
    out: Out,
    epochs: Annotated[int, typer.Option(help="at most this many")] = 30,
    seed: Seed = 0,
    threads: Annotated[int, typer.Option(help="torch threads")] = 2,
) -> None:
    """Train the mode classifier and write its bundle."""
    from ..estimators.classifier import train_mode_classifier

    found = train_mode_classifier(
        data, out, epochs=epochs, seed=seed, threads=threads, licence="Apache-2.0", command=_command()
    )
    console.print(f"accuracy on the test split {100 * found['test']['accuracy']:.1f} %", found["test"]["recall"])


@train_app.command()
def profile(
    data: Annotated[Path, typer.Argument(help="data set folder")],
    out: Annotated[Path, typer.Option(help="JSON file to write")],
) -> None:
    """Fit the mean torque profile, the field's usual baseline."""
    from ..estimators.profile_fit import fit_profile

    fit_profile(data).to_json(out)
    console.print(f"written to {out}")


@app.command()
def anatomy() -> None:
    """Hold the person's muscle paths and strengths against their targets and published people."""
    from ..sim.anatomy import arm_table, strength_table

    arms = Table("muscle", "joint", "target", "arm mm", "error mm", "error %", title="moment arms over the gait range")
    for a in arm_table():
        numbers = (f"{a.arm_mm:.1f}", f"{a.arm_error_mm:.2f}", f"{a.arm_error_percent:.1f}")
        arms.add_row(a.muscle, a.joint, a.target, *numbers)
    console.print(arms)
    strengths = Table("movement", "pose", "model Nm", "people Nm", "source", title="greatest isometric torque")
    for s in strength_table():
        people = f"{s.published_low_nm:.0f}-{s.published_high_nm:.0f}"
        strengths.add_row(s.movement, s.pose, f"{s.model_nm:.0f} at {s.angle_deg:.0f} deg", people, s.source)
    console.print(strengths)


@app.command()
def subjects(
    n: Annotated[int, typer.Option("--n", help="people to sample", min=1)] = 20,
    seed: Seed = 1,
    json: Annotated[Path | None, typer.Option("--json", help="file to write them to")] = None,
) -> None:
    """Sample realistic people and show their bodies and strengths."""
    from .people import people_table, sample_people, write_people

    people = sample_people(n, seed)
    console.print(people_table(people))
    if json:
        write_people(people, json)
        console.print(f"written to {json}")


@app.command("train-gait")
def train_gait_(
    gait: Annotated[str, typer.Argument(help="a gait's name, or its YAML file")],
    out: Out,
    seed: Seed = 0,
    resume: Annotated[bool, typer.Option("--resume", help="go on from the last checkpoint")] = False,
    threads: Annotated[int, typer.Option(help="physics and torch threads")] = 2,
    begin: Annotated[
        str, typer.Option("--from", help="a policy (shipped name or .npz) that the last stage goes on from")
    ] = "",
    specialist: Annotated[str, typer.Option(help="teach only this specialist of the policy named by --from")] = "",
) -> None:
    """Teach the simulated person a gait (PPO) and write its policy."""
    from ..sim.gait_task import load_gait_task
    from ..sim.gait_training import train_gait
    from ..sim.policy import load_policy
    from .catalogue import find_device

    task = load_gait_task(gait)
    taught = [*task.stages(), *map(task.of_specialist, task.specialists)]
    names = {name for stage in taught for name in stage.devices if name != "none"}
    policy = train_gait(
        task,
        {name: find_device(name) for name in names},
        out,
        seed,
        resume,
        threads,
        load_policy(begin) if begin else None,
        specialist,
    )
    console.print(f"written to {policy}")


def _command() -> str:
    return shlex.join(["exotwin", *sys.argv[1:]])


def main() -> None:
    """Entry point: bad input becomes one line on stderr and exit code 2."""
    try:
        app()
    except KeyError as error:
        _fail(str(error.args[0]) if error.args else "KeyError")
    except (ValueError, OSError, ModuleNotFoundError) as error:
        # Our own errors are raised from None; a cause lies in a user's controller, who will want to see where.
        if error.__cause__:
            traceback.print_exception(error.__cause__)
        _fail(str(error))


def _fail(text: str) -> NoReturn:
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print("[red]error:[/red]", escape(" ".join(text.split())))
    raise SystemExit(2)
