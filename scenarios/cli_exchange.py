"""`exotwin import` and `exotwin export`: recordings from and to other programs, bundles to a device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

console = Console()
OPENSIM, C3D, CSV = (".mot", ".sto"), (".c3d",), (".csv", ".tsv", ".txt")
FORMATS = ("mot", "csv", "mcap")
RAW_EMG = ".emg.parquet"  # in place of the suffix of its recording


def import_(
    files: Annotated[list[Path], typer.Argument(help="OpenSim .mot/.sto files of one trial, or one .c3d or .csv file")],
    mass: Annotated[float, typer.Option(help="body mass, kg", min=1.0)],
    out: Annotated[Path, typer.Option(help="recording to write (.parquet)")],
    column_map: Annotated[
        str | None, typer.Option("--map", help="YAML of the file's columns, or 'locohub' (C3D and CSV)")
    ] = None,
    height: Annotated[float | None, typer.Option(help="stature, m")] = None,
    rate: Annotated[float, typer.Option(help="Hz of the recording", min=10.0, max=5000.0)] = 200.0,
    mode: Annotated[str | None, typer.Option(help="what the person does (OpenSim; default: walk)")] = None,
    knee_positive: Annotated[
        str | None, typer.Option(help="flexion or extension, where it cannot be told (OpenSim)")
    ] = None,
    emg_side: Annotated[str | None, typer.Option(help="r or l, for EMG columns without a side (OpenSim)")] = None,
) -> None:
    """Turn a motion-capture trial into a recording; raw EMG goes into a file beside it."""
    from ..sim.exchange.opensim_import import import_opensim

    kinds = {path.suffix.lower() for path in files}
    given = {"mode": mode, "knee_positive": knee_positive, "emg_side": emg_side}
    options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if kinds <= set(OPENSIM):
        if column_map is not None:
            raise ValueError("--map is for C3D and CSV files: OpenSim's columns are known")
        recording, raw_emg = import_opensim(files, mass, height, rate, **options), None
    elif len(files) == 1 and kinds <= {*C3D, *CSV}:
        if options:
            option = next(iter(options)).replace("_", "-")
            raise ValueError(f"--{option} is for OpenSim files: of {files[0]} the column map tells it")
        recording, raw_emg = _mapped(files[0], column_map, mass, height, rate)
    else:
        known = ", ".join((*OPENSIM, *C3D, *CSV))
        raise ValueError(f"{files[0]}: several files must all be .mot or .sto, a single one one of {known}")
    beside = out.with_suffix(RAW_EMG)
    # Raw EMG first, and none of an earlier import: where there is a recording, what lies beside it belongs to it.
    if raw_emg is not None:
        raw_emg.write(beside)
        console.print(f"{beside}: raw EMG of {len(raw_emg.columns) - 1} muscles")
    else:
        beside.unlink(missing_ok=True)
    recording.write(out)
    console.print(f"{out}: {len(recording)} samples, {len(recording.columns)} columns")


def _mapped(path: Path, column_map: str | None, mass: float, height: float | None, rate: float) -> Any:
    """A C3D or CSV file by its column map; without one, ValueError that lists what there is to map."""
    from ..sim.exchange.c3d import import_c3d, read_channels
    from ..sim.exchange.columns import load_column_map
    from ..sim.exchange.csv_table import import_csv, read_labels
    from ..sim.exchange.locohub import locohub_map

    c3d = path.suffix.lower() in C3D
    if column_map is None:
        there = list(read_channels(path)) if c3d else read_labels(path)
        raise ValueError(f"{path}: say with --map which of its columns are what: {', '.join(map(repr, there))}")
    if c3d:
        return import_c3d(path, load_column_map(column_map), mass, height, rate)
    found = locohub_map(path, read_labels(path)) if column_map == "locohub" else load_column_map(column_map)
    return import_csv(path, found, mass, height, rate)


def export(
    what: Annotated[Path, typer.Argument(help="a recording (.parquet), or a folder that `exotwin train` wrote")],
    to: Annotated[str | None, typer.Option(help="of a recording: mot (OpenSim), csv (LocoHub) or mcap")] = None,
    out: Annotated[Path | None, typer.Option(help="file or folder to write (default: beside a recording)")] = None,
) -> None:
    """Write a recording for OpenSim, as LocoHub CSV or for Foxglove; or check a trained bundle and copy what runs."""
    if what.is_dir():
        if to is not None or out is None:
            raise ValueError(f"{what} is a bundle's folder: say --out FOLDER, and no --to")
        _export_bundle(what, out)
        return
    from ..controllers.config import require_known
    from ..sim.recording import read_recording

    recording = read_recording(what)
    require_known("format to export --to", [to or ""], FORMATS)
    target = out or what.with_suffix(f".{to}")
    if to == "mot":
        from ..sim.exchange.opensim_motion import export_opensim

        written = [str(path) for path in export_opensim(recording, target) if path]
        console.print("\n".join(written))
        return
    if to == "csv":
        from ..sim.exchange.locohub import write_locohub

        write_locohub(recording, target)
    else:
        from ..sim.exchange.mcap_log import write_mcap

        emg = next((path for path in _raw_emg_places(what) if path.is_file()), None)
        write_mcap(recording, target, read_recording(emg) if emg else None)
    console.print(str(target))


def _raw_emg_places(recording: Path) -> list[Path]:
    """Where a recording's raw EMG may lie: beside it, or in its data set's folder for that."""
    from ..sim.manifest import EMG_FOLDER

    places, file = [recording.with_suffix(RAW_EMG)], recording.absolute()
    if file.parent.name.startswith("subject="):
        places.append(file.parents[2] / EMG_FOLDER / file.relative_to(file.parents[2]))
    return places


def _export_bundle(trained: Path, out: Path) -> None:
    """Check a trained bundle against its golden vectors and copy what a device needs."""
    import shutil

    from ..estimators.bundle import verify_bundle

    worst = verify_bundle(trained)
    out.mkdir(parents=True, exist_ok=True)
    for name in ("model.onnx", "manifest.json", "golden.npz"):
        shutil.copyfile(trained / name, out / name)
    console.print(f"{out}: golden vectors reproduced within {worst:.1e}")
