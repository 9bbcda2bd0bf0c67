"""Runs a scenario: every arm with the same seed, metrics, gates, recordings, report and video."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ..controllers.device import JOINTS
from ..sim.body import SIDED_MUSCLES, Embodiment
from ..sim.compiled import is_fresh
from ..sim.plant import Plant
from ..sim.reference import ANGLE
from ..sim.runlog import VIDEO_EVERY
from ..sim.subjects import Subject
from .arm import ArmLoop, ArmRun
from .catalogue import find_device
from .comparison import compare
from .gait_cycles import FloatArray
from .gates import judge
from .report import write_report
from .scenario import Scenario

VIDEO_S = 10.0  # s of a run that its video shows


@dataclass
class ScenarioResult:
    """metrics: the content of metrics.json. interrupted: stopped by Ctrl-C, what is there is partial."""

    metrics: dict[str, Any]
    arms: dict[str, ArmRun]
    out: Path
    interrupted: bool

    @property
    def passed(self) -> bool:
        """Whether every gate passed in a whole run."""
        return bool(self.metrics.get("passed")) and not self.interrupted


def angle_reference(plant: Plant, speed: float) -> dict[str, FloatArray]:
    """Reference joint angles of level walking of a plant's person, joint without side -> (101,) rad.

    From heel strike to heel strike, as the reference's cycle goes.
    """
    person = Embodiment(plant.person.subject, None, plant.person.reference, 0.002)

    def angles(phase: float) -> FloatArray:
        person.place(phase % 1.0, speed)
        return person.work.reference[ANGLE : ANGLE + len(JOINTS)].copy()

    columns = np.array([angles(phase) for phase in np.linspace(0.0, 1.0, 101).tolist()]).T
    # The toes are passive and have no reference.
    return dict(zip(JOINTS[:-1], columns[:-1], strict=True))


def run_scenario(scenario: Scenario, seed: int, out: Path, console: Console | None = None) -> ScenarioResult:
    """Run all arms and write recordings, ``metrics.json`` and ``report.html`` into out.

    What an earlier run of the scenario left in `out` is removed first, so that nothing there is of another run.
    After Ctrl-C what there is gets written, named ``*.partial.*`` but for the recordings of arms that had ended.
    Raises ValueError for what the scenario names but does not exist, and for channels that the device lacks,
    and OSError when `out` cannot be written to, before anything runs; ControllerError when a user's own
    controller fails.
    """
    console = console or Console(quiet=True)
    device = find_device(scenario.device)
    loops = [ArmLoop(scenario, arm, device, seed) for arm in scenario.arms]
    _clear(out, [arm.name for arm in scenario.arms])
    if is_fresh():
        with console.status("first run: compiling the physics step, about half a minute"):
            loops[0].plant.reset(scenario.speed_at(0.0), np.random.default_rng(seed))
            loops[0].plant.step()
    interrupted = False
    columns = (
        TextColumn("{task.description:>12}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        try:
            for loop in loops:
                task = progress.add_task(loop.arm.name, total=1.0)
                loop.run(lambda share, task=task: progress.update(task, completed=share))  # type: ignore[misc]
                progress.update(task, completed=1.0)
        except KeyboardInterrupt:
            interrupted = True
    # Metrics need two samples; an arm that never began has none.
    runs = {loop.arm.name: loop.result() for loop in loops if loop.log.ticks > 1}
    tag = ".partial" if interrupted else ""
    if not runs:
        return ScenarioResult({"passed": False}, {}, out, True)
    files = {}
    for name, run in runs.items():
        ending = ".partial" if run.recording.meta["partial"] else ""
        files[name] = f"{name}{ending}.parquet"
        run.recording.write(out / files[name])
        if run.raw_emg is not None:
            run.raw_emg.write(out / f"{name}.emg{ending}.parquet")
        if run.ultrasound is not None:
            run.ultrasound.write(out / f"{name}.ultrasound{ending}.npz")
    plant = loops[0].plant
    level_walk = scenario.task == "walk" and scenario.is_level
    found = compare(
        {name: run.recording for name, run in runs.items()},
        skip_s=scenario.skip_s,
        commanded_speed_mps=scenario.mean_speed_mps or None,
        device_mass_kg=worn_mass(loops),
        angle_reference=angle_reference(plant, scenario.mean_speed_mps) if level_walk else None,
        realtime_factors={name: run.realtime_factor for name, run in runs.items()},
        recordings=files,
    )
    found["duration_s"] = scenario.duration_s
    metrics = judge(found, () if interrupted else scenario.gates)
    if interrupted:
        metrics |= {"passed": False, "partial": True}
    (out / f"metrics{tag}.json").write_text(json.dumps(metrics, indent=1, allow_nan=False), encoding="utf-8")
    write_report(out / f"report{tag}.html", {n: r.recording for n, r in runs.items()}, metrics, scenario)
    return ScenarioResult(metrics, runs, out, interrupted)


def _clear(out: Path, arms: list[str]) -> None:
    """Make the folder, see that it can be written to, and remove what a run of these arms leaves there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise OSError(f"{out}: no folder that can be written to ({error.strerror})") from None
    whole = ("metrics.json", "report.html", "video.mp4", *(f"{n}{k}.parquet" for n in arms for k in ("", ".emg")))
    for path in map(Path, whole):
        (out / path).unlink(missing_ok=True)
        (out / f"{path.stem}.partial{path.suffix}").unlink(missing_ok=True)


def worn_mass(loops: list[ArmLoop]) -> float:
    """Mass of the device, kg: what the model with it weighs more than the person."""
    for loop in loops:
        if loop.plant.device:
            return float(loop.plant.person.model.body_mass.sum()) - loop.plant.subject.mass_kg
    return 0.0


def make_video(scenario: Scenario, result: ScenarioResult, console: Console) -> None:
    """Write ``video.mp4`` of the first seconds of the estimator's arm (else the last), or say why there is none."""
    from ..sim.rendering import render_video, rendering_backend, rendering_hint

    if rendering_backend() is None:
        console.print(f"[yellow]no video: {rendering_hint()}")
        return
    name = "estimator" if "estimator" in result.arms else list(result.arms)[-1]
    run = result.arms[name]
    meta = run.recording.meta
    poses = run.poses[: round(VIDEO_S / VIDEO_EVERY)]
    every = round(VIDEO_EVERY * meta["rate_hz"])
    activations = np.stack([run.recording[f"activation/{m}"][::every] for m in SIDED_MUSCLES], axis=1)
    unfinished = result.out / "video.partial.mp4"  # under its name only once it is whole
    with Progress(TextColumn("video.mp4"), BarColumn(), TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("video", total=1.0)
        render_video(
            unfinished,
            Subject.from_dict(meta["subject"]),
            find_device(scenario.device) if meta["device"] else None,
            poses,
            fps=round(1.0 / VIDEO_EVERY),
            activations=activations[: len(poses)],
            captions=f"{scenario.name}: {name}",
            terrain=scenario.terrain,
            seat=meta.get("seat"),
            progress=lambda share: bar.update(task, completed=share),
        )
    unfinished.replace(result.out / "video.mp4")
