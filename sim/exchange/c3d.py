"""Trials in C3D files (motion capture labs) by a column map: model outputs, force plates, analog channels.

Channels are called: a point's label and component, ``RKneeAngles/x``; an analog channel's label, ``EMG.soleus``; of the
force plates ``plate1/fx|fy|fz`` (reaction on the foot), ``plate1/cop_x|cop_y``, ``plate1/free_moment``, all in the
laboratory's axes and the file's own units. https://www.c3d.org describes the format.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ...controllers.interface import FloatArray
from .columns import ColumnMap
from .text import RATE_HZ, checked_size
from .trial import Channel, Trial, build_trial

MAX_SECONDS = 600  # for reading; chosen
_BLOCK = 512  # bytes; a C3D file is made of such blocks
_KEY = 0x50  # second byte of every C3D file
_PLATE = (("force", ("fx", "fy", "fz")), ("center_of_pressure", ("cop_x", "cop_y")), ("Tz", ("", "", "free_moment")))


def import_c3d(
    path: str | Path,
    column_map: ColumnMap,
    mass_kg: float,
    height_m: float | None = None,
    rate_hz: float = 200.0,
    *,
    subject_id: str = "",
    licence: str = "",
) -> Trial:
    """The mapped channels of a C3D file as a recording; markers are left out unless mapped.

    Needs the extra ``c3d``. Time begins at 0 with the file's first frame. mass_kg, height_m: of the person.
    Raises FileNotFoundError; ValueError naming file, channel and frame of what is wrong;
    ModuleNotFoundError without ezc3d.
    """
    path = checked_size(Path(path))
    channels = read_channels(path)
    clock = next((name for name, source in column_map.columns.items() if source.to == "time"), None)
    if clock is not None:
        raise ValueError(f"{path}: a C3D file has its own clock, the column map must not send {clock!r} to 'time'")
    about = {"subject_id": subject_id, "licence": licence}
    return build_trial(path, channels, column_map, mass_kg, height_m, rate_hz, row="frame", **about)


def read_channels(path: Path) -> dict[str, Channel]:
    """Every channel of a C3D file by its name above. Raises as `import_c3d`."""
    _check_header(path)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "channels.npz"
        # In a process of its own: ezc3d 1.7 dies of a segmentation fault on some damaged files.
        command = [sys.executable, "-c", _READ, str(path), str(plain)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=MAX_SECONDS)
        except subprocess.TimeoutExpired:
            raise ValueError(f"{path}: damaged C3D file: not read in {MAX_SECONDS} s") from None
        if done.returncode or not plain.exists():
            if find_spec("ezc3d") is None:
                raise ModuleNotFoundError('C3D files need ezc3d: pip install "exotwin[c3d]"')
            why = done.stderr.strip().splitlines()[-1:] or ["its reader crashed"]
            raise ValueError(f"{path}: damaged C3D file: {why[0][:200]}")
        with np.load(plain) as arrays:
            return _named(path, dict(arrays))


# Reads a C3D file into arrays. Memory is limited because a damaged size makes ezc3d ask for any amount of it.
_READ = """
import sys
import ezc3d
import numpy as np
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
except (ImportError, ValueError, OSError):
    pass
c = ezc3d.c3d(sys.argv[1], extract_forceplat_data=True)
p, d = c["parameters"], c["data"]
def labels(group):
    names = list(p[group]["LABELS"]["value"])
    n = 2
    while f"LABELS{n}" in p[group]:
        names += list(p[group][f"LABELS{n}"]["value"])
        n += 1
    return np.array(names, dtype=str)
out = {
    "point_rate": p["POINT"]["RATE"]["value"],
    "point_labels": labels("POINT"),
    "points": d["points"][:3],
    "analog_rate": p["ANALOG"]["RATE"]["value"],
    "analog_labels": labels("ANALOG"),
    "analogs": d["analogs"][0],
}
for i, plate in enumerate(d["platform"], 1):
    for key in ("force", "center_of_pressure", "Tz"):
        out[f"plate{i} {key}"] = plate[key]
np.savez(sys.argv[2], **out)
"""


def _check_header(path: Path) -> None:
    """ValueError when the file is no C3D file or shorter than the frames that its header promises."""
    with path.open("rb") as file:
        head = file.read(_BLOCK)
    if not head:
        raise ValueError(f"{path}: the file is empty")
    if len(head) < _BLOCK or head[1] != _KEY:
        raise ValueError(f"{path}: not a C3D file: byte 2 is not 0x50, or the header is truncated")
    words = np.frombuffer(head, "<u2")
    points, analogs, first, last = (int(w) for w in words[1:5])
    scale, data = np.frombuffer(head, "<f4")[3], int(words[8])
    if last < first:
        raise ValueError(f"{path}: damaged C3D file: its frames are {first} to {last}")
    if path.stat().st_size <= (data - 1) * _BLOCK:
        raise ValueError(f"{path}: truncated: the data of {last - first + 1} frames are not in it")
    # A frame: four words of a point and one of an analog sample, each of 4 bytes where the scale is negative, else 2.
    size = (4 * points + analogs) * (4 if scale < 0 else 2)
    there = (path.stat().st_size - (data - 1) * _BLOCK) // max(size, 1)
    if there < last - first + 1:
        raise ValueError(f"{path}: truncated: the header says {last - first + 1} frames, there are {there}")


def _named(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, Channel]:
    channels: dict[str, Channel] = {}

    def add(name: str, values: FloatArray, rate: float) -> None:
        if name in channels:
            raise ValueError(f"{path}: channel {name!r} stands twice")
        n = np.arange(len(values))
        # Analog samples are counted in frames of the points, as motion capture programs show them.
        frames = 1 + (n * arrays["point_rate"][0] / rate).astype(np.int64)
        channels[name] = Channel(n / rate, np.asarray(values, dtype=float), frames)

    for kind in ("point", "analog"):
        found, rate = arrays[f"{kind}s"], float(np.ravel(arrays[f"{kind}_rate"])[:1].sum())
        if found.size and not RATE_HZ[0] <= rate <= RATE_HZ[1]:
            raise ValueError(f"{path}: the {kind}s have a rate of {rate:g} Hz")
        for i, label in enumerate(arrays[f"{kind}_labels"][: found.shape[-2]]):
            if kind == "analog":
                add(str(label).strip(), found[i], rate)
                continue
            for axis, values in zip("xyz", found[:, i], strict=True):
                add(f"{str(label).strip()}/{axis}", values, rate)
    for key, components in _PLATE:
        for name in sorted(n for n in arrays if n.startswith("plate") and n.endswith(f" {key}")):
            for component, values in zip(components, arrays[name], strict=False):
                if component:
                    add(f"{name.split()[0]}/{component}", values, float(arrays["analog_rate"][0]))
    if not channels:
        raise ValueError(f"{path}: no point, analog channel or force plate in it")
    return channels
