"""The data set's card: README.md in its folder, for whoever gets the folder and nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from ...controllers.device import DeviceDescription
from ..manifest import EMG_FOLDER, ULTRASOUND_FOLDER, DatasetFile, Manifest
from .gaits import GAITS, Gait
from .request import Generation

CARD = "README.md"
# What `exotwin realism --json` wrote for the shipped policies.
SCORES = "realism.json"
# Which gaits of `exotwin realism` tell of which of ours; names end where the first word of several does.
REALISM_OF_WAY = {
    "level": ("level",),
    "ramp_up": ("ramp_up",),
    "ramp_down": ("ramp_down",),
    "stairs_up": ("stair_ascent",),
    "stairs_down": ("stair_descent",),
    "circuit": ("ramp", "stair"),
}
REALISM_OF_POSTURE = {"sit": ("sit_to_stand",), "squat": ("squat",)}
REALISM_OF_KIND = {"hemiparesis": ("hemiparetic_gait",), "crouch_gait": ("crouch_gait",)}
MANY_FALLS = 0.1  # share of recordings from which the card warns; chosen

LIMITS = """\
- Everything is simulated. A model that does well here has met no real skin, strap or person yet: test it on recordings
  of people before anybody wears what it drives.
- The people's gait follows a reference that was fitted to published means of healthy adults; it varies with body,
  speed, slope, step and assistance, less so from stride to stride than people's does.
- Impairments are causes (weak, short or spastic muscles, later reflexes), not fits to patients. There is no pain, fear
  or compensation that is learned over years.
- Tendons are rigid, the trunk is one piece and the arms are part of it.
- A fall ends its recording at that instant: the event `fall` in its metadata, `falls` in the manifest. The last second
  or so before a fall is no gait that its label describes.
- Sensor errors are those of the device description, drawn anew for each recording, as if the sensors were put on
  again."""

READING = """\
```python
import pyarrow.dataset as ds

table = ds.dataset("DIR", partitioning="hive", exclude_invalid_files=True).to_table(
    columns=["time", "torque/biological/knee_flexion_r"], filter=ds.field("task") == "walk"
)
```

```sql
select task, subject, avg("grf/r/z")
from read_parquet('DIR/task=*/subject=*/*.parquet', hive_partitioning=true) group by all;
```

polars: `pl.scan_parquet("DIR/task=*/subject=*/*.parquet", hive_partitioning=True)`; Ray Data:
`ray.data.read_parquet("DIR")`. Columns, units and signs: the metadata of every file (key `exotwin`, JSON)."""


def card(manifest: Manifest, requests: Sequence[Generation]) -> str:
    """The card's text; the same set gives the same text. requests: what the set was made from, as far as known."""
    seconds = sum(file.seconds for file in manifest.files)
    falls = sum(file.falls for file in manifest.files)
    asked = manifest.request.get("seconds")
    gaits = {gait.name: gait for request in requests for gait in request.gaits}
    much = f"{_hours(seconds)} in {len(manifest.files)} recordings of {len(manifest.subjects)} people"
    parts = [
        "# Simulated movement with true joint torques",
        f"{much}. Ended by a fall: {falls}."
        + (f" {_hours(asked)} were asked for; what falls cut off is not made up for." if asked and falls else ""),
        f"Made by `{manifest.created_by}` with seed {manifest.seed}, "
        + ", ".join(f"{name} {version}" for name, version in sorted(manifest.versions.items()))
        + ".",
        "## Gaits",
        _gait_table(manifest, gaits),
        *_warnings(manifest),
        "Realism: the share of published goals that the gait meets without a device (`exotwin realism`); goals were set"
        " for healthy people's gaits and two impaired ones.",
        "## People",
        _people(manifest),
        "## Sensors and labels",
        *(_sensors(device) for device in _devices(requests)),
        _labels(manifest),
        "## Known limits",
        LIMITS,
        "## Reading it",
        READING,
        "## Making it again",
        "`exotwin generate --config generation.yaml --out OTHER` with the versions named above gives the same bytes on"
        " the same kind of processor. `exotwin dataset validate` checks every file against `manifest.json`."
        if len(requests) == 1
        else "Merged from several sets; `manifest.json` says what was asked of each.",
        "## Licence",
        manifest.licence or "Not stated.",
    ]
    return "\n\n".join(parts) + "\n"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600.0:.1f} hours" if seconds >= 3600.0 else f"{seconds / 60.0:.1f} minutes"


def _rule(columns: str) -> str:
    """The line below a table's head; l and r say how each column is aligned."""
    return "|" + "|".join(" ---: " if column == "r" else " --- " for column in columns) + "|"


def _by_task(manifest: Manifest) -> dict[str, list[DatasetFile]]:
    tasks: dict[str, list[DatasetFile]] = {}
    for file in manifest.files:
        tasks.setdefault(file.task, []).append(file)
    return tasks


def _gait_table(manifest: Manifest, gaits: dict[str, Gait]) -> str:
    scores = _scores()
    rows = ["| gait | recordings | minutes | people | falls | what | realism |", _rule("lrrrrll")]
    for task, found in _by_task(manifest).items():
        gait = gaits.get(task) or GAITS.get(task)
        minutes = sum(file.seconds for file in found) / 60.0
        people, falls = len({file.subject for file in found}), sum(file.falls for file in found)
        what, score = (_what(gait), _score(gait, scores)) if gait else ("", "not scored")
        rows.append(f"| {task} | {len(found)} | {minutes:.1f} | {people} | {falls} | {what} | {score} |")
    return "\n".join(rows)


def _what(gait: Gait) -> str:
    ills = [
        f"{ill.kind} {ill.severity[0]:g}-{ill.severity[1]:g}{' ' + ill.side if ill.side else ''}"
        for ill in gait.impairments
    ]
    if not gait.walks:
        return ", ".join([*gait.postures, *ills])
    way = "a given terrain" if gait.terrain is not None else gait.way.replace("_", " ")
    return ", ".join([f"{way} at {gait.speed_mps[0]:g}-{gait.speed_mps[1]:g} m/s", *ills])


def _scores() -> dict[str, dict[str, Any]]:
    """Scores by realism's gait; none where no scores are shipped."""
    path = files("exotwin.assets") / SCORES
    if not path.is_file():
        return {}
    judged = json.loads(path.read_text(encoding="utf-8"))["gaits"]
    return {gait["name"]: gait["score"] for gait in judged if gait["simulated"]}


def _score(gait: Gait, scores: dict[str, dict[str, Any]]) -> str:
    starts: tuple[str, ...]
    if gait.impairments:
        kinds = [ill.kind for ill in gait.impairments]
        starts = REALISM_OF_KIND.get(kinds[0], ()) if len(kinds) == 1 and gait.way == "level" else ()
    elif gait.terrain is not None:
        starts = ()
    elif gait.walks:
        starts = REALISM_OF_WAY[gait.way]
    else:
        starts = tuple(name for posture in gait.postures for name in REALISM_OF_POSTURE.get(posture, ()))
    found = [score for name, score in scores.items() if starts and name.startswith(starts)]
    goals, met = (sum(score[key] for score in found) for key in ("goals", "met"))
    return f"{met} of {goals} goals ({100.0 * met / goals:.0f} %)" if goals else "not scored"


def _warnings(manifest: Manifest) -> list[str]:
    often = [
        f"{task} ({sum(file.falls for file in found)} of {len(found)})"
        for task, found in _by_task(manifest).items()
        if sum(file.falls for file in found) > MANY_FALLS * len(found)
    ]
    return [f"People fall often in {', '.join(often)}: the policy does not master these gaits."] if often else []


def _people(manifest: Manifest) -> str:
    rows = ["| subject | split | sex | age | mass kg | height m | strength |", _rule("lllrrrr")]
    for name, who in manifest.subjects.items():
        cells = [who.sex, who.age_years, who.mass_kg, who.height_m, who.strength]
        shown = ["" if cell is None else f"{cell:g}" if isinstance(cell, float) else cell for cell in cells]
        rows.append(" | ".join([f"| {name}", manifest.splits.of(name) or "", *shown]) + " |")
    return "\n".join(rows) + "\n\nNobody is in two splits: a score on `test` is a score on people never seen."


def _devices(requests: Sequence[Generation]) -> list[DeviceDescription]:
    return list({request.device.model_dump_json(): request.device for request in requests}.values())


def _sensors(device: DeviceDescription) -> str:
    preset = f", sensors of the class {device.sensors.preset}" if device.sensors.preset else ""
    rows = [f"{device.title} (`{device.name}`{preset}), controlled at {device.control_rate_hz:g} Hz.", ""]
    rows += ["| sensor | channels | rate Hz | first of its columns |", _rule("lrrl")]
    names = device.layout.names
    for kind in dict.fromkeys(name.split("/")[0] for name in names):
        own = [name for name in names if name.split("/")[0] == kind]
        spec = getattr(device.sensors, kind.removesuffix("_env"), None)
        rate = getattr(spec, "rate_hz", None) if kind != "emg_env" else None
        rows.append(f"| {kind} | {len(own)} | {rate or device.control_rate_hz:g} | `{own[0]}` |")
    if device.sensors.emg:
        muscles = 2 * len(device.sensors.emg.muscles)
        rows.append(f"| raw EMG, files in `{EMG_FOLDER}/` | {muscles} | {device.sensors.emg.rate_hz:g} | `emg/...` |")
    if device.sensors.ultrasound:
        rate = device.sensors.ultrasound.frame_rate_hz
        rows.append(f"| ultrasound images, .npz in `{ULTRASOUND_FOLDER}/` | 300 x 300 pixels | {rate:g} | `image` |")
    return "\n".join(rows)


def _labels(manifest: Manifest) -> str:
    emg = any(file.emg_sha256 for file in manifest.files)
    images = any(file.ultrasound_sha256 for file in manifest.files)
    return (
        "True, at the control rate: joint angles and velocities, joint torques by part (muscle, ligament, exo,"
        " biological, net), muscle activations and forces, ground forces and centres of pressure, gait phase and mode,"
        " metabolic rate. Measured: the channels above, with their errors. Sensor faults are named in the column"
        " `fault`."
        + (f" Raw EMG lies at the path of its recording below `{EMG_FOLDER}/`." if emg else "")
        + (f" Ultrasound images lie below `{ULTRASOUND_FOLDER}/`, named likewise (.npz)." if images else "")
    )
