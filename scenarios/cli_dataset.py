"""The commands that make and look after data sets: `exotwin generate` and `exotwin dataset`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from ..controllers.device import DeviceDescription
    from ..sim.dataset.request import Generation
    from ..sim.manifest import Manifest

dataset_app = typer.Typer(no_args_is_help=True, help="Look after data sets.")
DEVICE = "hip_knee_ankle"
PLACE = "folder, or a URI such as s3://bucket/set"

Place = Annotated[str, typer.Argument(metavar="DIR", help=PLACE)]


def generate(
    out: Annotated[str, typer.Option(help=PLACE)],
    config: Annotated[Path | None, typer.Option(help="generation file (YAML); the options below override it")] = None,
    gaits: Annotated[str | None, typer.Option(help="gaits and impairments, comma-separated (default: all)")] = None,
    subjects: Annotated[int | None, typer.Option(help="people to sample (default: 20)", min=1)] = None,
    minutes_per_gait: Annotated[float | None, typer.Option(help="of each gait for each person (default: 5)")] = None,
    device: Annotated[str | None, typer.Option(help=f"what they wear (default: {DEVICE})")] = None,
    preset: Annotated[str | None, typer.Option(help="class of its sensors: research or consumer")] = None,
    seed: Annotated[int | None, typer.Option(help="seed of every random draw (default: 1)", min=0)] = None,
    engine: Annotated[str, typer.Option(help="local (processes) or ray (a cluster)")] = "local",
    workers: Annotated[
        int | None, typer.Option(help="recordings at a time (default: one, or all of Ray's)", min=1)
    ] = None,
    ray_address: Annotated[str | None, typer.Option(help="of the cluster (default: RAY_ADDRESS, or one here)")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with what an interrupted run left there")] = False,
) -> None:
    """Simulate a labelled data set: sampled people in every gait and impairment asked for, with random assistance."""
    from ..controllers.config import require_known
    from ..sim.dataset.engines import ENGINES, engine_of
    from ..sim.dataset.generate import generate as make_all
    from .progress import shown_progress

    require_known("engine", [engine], ENGINES)
    options = {"gaits": gaits, "subjects": subjects, "minutes_per_gait": minutes_per_gait, "seed": seed}
    request = load_generation(config, {k: v for k, v in options.items() if v is not None}, device, preset)
    runs = engine_of(engine, workers, ray_address)
    console = _console()
    with shown_progress(console) as show:
        manifest = make_all(request, out, runs, resume=resume, tell=show)
    console.print(f"{escape(out)}: {_summary(manifest)}")


def load_generation(
    config: Path | None, options: dict[str, Any], device: str | None = None, preset: str | None = None
) -> Generation:
    """A generation file, or none, with some keys replaced.

    Its device is a name, a YAML file or a whole description. preset: sensors of that class in place of the device's.
    Raises FileNotFoundError; ValueError that names file, key and the nearest right one.
    """
    from pydantic import ValidationError

    from ..controllers.config import explain
    from ..controllers.device import DeviceDescription
    from ..sim.dataset.request import Generation, parse_plain
    from .catalogue import find_device

    where = str(config) if config else "generate"
    plain = parse_plain(config.read_text(encoding="utf-8"), where) if config else {}
    people = plain.get("subjects")
    plain |= options
    if isinstance(people, dict) and "subjects" in options:
        plain["subjects"] = people | {"count": options["subjects"]}
    given = device or plain.get("device", DEVICE)
    try:
        worn = find_device(given) if isinstance(given, str) else DeviceDescription.model_validate(given)
        return Generation.model_validate(plain | {"device": with_sensor_class(worn, preset) if preset else worn})
    except ValidationError as error:
        raise ValueError(f"{where}: {explain(error)}") from None


def with_sensor_class(device: DeviceDescription, preset: str) -> DeviceDescription:
    """The device with every error figure of its sensors from a preset; which sensors sit where stays.

    Raises ValueError that names the nearest preset.
    """
    from ..controllers.device import DeviceDescription
    from ..controllers.sensor_specs import with_preset

    plain = device.model_dump(exclude_defaults=True)
    own = {kind: given for kind, given in plain["sensors"].items() if isinstance(given, dict)}
    figures = with_preset({"preset": preset, **{kind: {} for kind in own}})
    sensors = {kind: given | figures[kind] for kind, given in own.items()}
    return DeviceDescription.model_validate(plain | {"sensors": sensors | {"preset": preset}})


@dataset_app.command()
def info(folder: Place) -> None:
    """Show what a data set holds."""
    from ..sim.manifest import read_manifest

    manifest, console = read_manifest(folder), _console()
    table = Table("gait", "recordings", "minutes", "people", "falls")
    for task in dict.fromkeys(file.task for file in manifest.files):
        own = [file for file in manifest.files if file.task == task]
        people = {file.subject for file in own}
        minutes, falls = sum(file.seconds for file in own) / 60.0, sum(file.falls for file in own)
        table.add_row(task, str(len(own)), f"{minutes:.1f}", str(len(people)), str(falls))
    console.print(table)
    splits = Table("split", "people", "recordings", "minutes")
    for name, ids in manifest.splits:
        own = [file for file in manifest.files if file.subject in ids]
        splits.add_row(name, str(len(ids)), str(len(own)), f"{sum(file.seconds for file in own) / 60.0:.1f}")
    console.print(splits)
    made = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    console.print(f"{_summary(manifest)}; {manifest.created_by}, seed {manifest.seed}, {made}; {manifest.licence}")


@dataset_app.command()
def validate(folder: Place) -> None:
    """Check every file of a data set against its manifest."""
    from ..sim.manifest import read_manifest, validate_manifest

    manifest = read_manifest(folder)
    validate_manifest(manifest, folder)
    _console().print(f"{escape(folder)}: sound, {_summary(manifest)}")


@dataset_app.command()
def merge(
    folders: Annotated[list[str], typer.Argument(metavar="DIR...", help="data sets to put together")],
    out: Annotated[str, typer.Option(help=PLACE)],
) -> None:
    """Put data sets together in a new one; nobody gets into two splits."""
    from ..sim.dataset.merge import merge as merge_all

    _console().print(f"{escape(out)}: {_summary(merge_all(folders, out))}")


def _summary(manifest: Manifest) -> str:
    seconds, falls = sum(f.seconds for f in manifest.files), sum(f.falls for f in manifest.files)
    people = len(manifest.subjects)
    return f"{len(manifest.files)} recordings, {people} people, {seconds / 60.0:.1f} minutes, {falls} falls"


def _console() -> Console:
    from .cli import console

    return console
