"""OpenSim's table files (.sto, .mot): a header, a line of labels, rows of numbers.

Format: the "Storage (.sto)" and "Motion (.mot)" pages of OpenSim's documentation.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...controllers.interface import FloatArray, closest
from .text import checked_number, checked_size, checked_time
from .whole_file import written_whole

MIN_ROWS = 20


@dataclass(frozen=True)
class Table:
    """An OpenSim table as its file has it: own signs, axes and units.

    names: columns but time; a coordinate given by its path (``/jointset/hip_r/hip_flexion_r/value``) goes by
    its short name. values: (n, len(names)). time: (n,) s. in_degrees: rotational coordinates are in degrees.
    lines: (n,) where each row stands in the file. ``table[name]`` is one column, (n,); ``table["time"]`` the time.
    """

    path: Path
    names: tuple[str, ...]
    time: FloatArray
    values: FloatArray
    in_degrees: bool
    lines: NDArray[np.int64]

    def __getitem__(self, name: str) -> FloatArray:
        if name == "time":
            return self.time
        if name not in self.names:
            raise KeyError(f"{self.path}: no column {name!r}{closest(name, self.names)}")
        return self.values[:, self.names.index(name)]

    def finite(self, name: str, where: NDArray[np.bool_] | None = None) -> FloatArray:
        """One column; ValueError naming the line of a cell that is NaN or infinite. where: (n,) rows that count."""
        values = self[name]
        bad = np.flatnonzero(~np.isfinite(values) & (True if where is None else where))
        if len(bad):
            raise ValueError(
                f"{self.path}: line {self.lines[bad[0]]}, column {name!r}: {values[bad[0]]} is not a finite number"
            )
        return values


def read_table(path: str | Path) -> Table:
    """Read a .sto or .mot file. Raises FileNotFoundError; ValueError naming file and row or column."""
    path = checked_size(Path(path))
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if not any(line.strip() for line in lines):
        raise ValueError(f"{path}: the file is empty")
    end = next((i for i, line in enumerate(lines) if line.strip().lower() == "endheader"), None)
    if end is None:
        raise ValueError(f"{path}: no 'endheader' line: not an OpenSim .sto or .mot file, or truncated")
    header = dict(line.strip().split("=", 1) for line in lines[:end] if "=" in line)
    body = [(i + 1, line) for i, line in enumerate(lines) if i > end and line.strip()]
    if not body:
        raise ValueError(f"{path}: no column labels after 'endheader'")
    labels = [_short(label) for label in body[0][1].strip().split("\t" if "\t" in body[0][1] else None)]
    if labels[0].lower() != "time":
        raise ValueError(f"{path}: the first column is {labels[0]!r}, not 'time'")
    if len(set(labels)) != len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise ValueError(f"{path}: column {twice!r} stands twice")
    cells = array("d")
    for line, text in body[1:]:
        row = text.split()
        if len(row) != len(labels):
            raise ValueError(f"{path}: line {line} has {len(row)} columns, the labels {len(labels)}")
        cells.extend(checked_number(path, line, label, cell) for label, cell in zip(labels, row, strict=True))
    table = np.array(cells).reshape(-1, len(labels))
    # nColumns is often wrong in real files (columns were removed); nRows is what shows a truncated one.
    declared = header.get("nRows", header.get("datarows", "")).strip()
    if declared.isdecimal() and len(declared) < 16 and len(table) < int(declared):
        raise ValueError(f"{path}: truncated: the header says {declared} rows, there are {len(table)}")
    if len(table) < MIN_ROWS:
        raise ValueError(f"{path}: {len(table)} rows are too few, at least {MIN_ROWS} are needed")
    numbers = np.array([line for line, _ in body[1:]])
    checked_time(path, "time", table[:, 0], numbers)
    in_degrees = header.get("inDegrees", "no").strip().lower() == "yes"
    return Table(path, tuple(labels[1:]), table[:, 0], table[:, 1:], in_degrees, numbers)


def _short(label: str) -> str:
    parts = label.strip().split("/")
    return parts[-2] if len(parts) > 1 and parts[-1] == "value" else label.strip()


def write_table(path: str | Path, name: str, columns: Mapping[str, FloatArray], in_degrees: bool = False) -> None:
    """Write a .sto or .mot file atomically. name: its first line. columns: name -> (n,), ``time`` (s) first."""
    names = list(columns)
    if names[0] != "time":
        raise ValueError(f"the first column is {names[0]!r}, not 'time'")
    values = np.column_stack([columns[n] for n in names])
    head = [name, "version=1", f"nRows={len(values)}", f"nColumns={len(names)}"]
    head += [f"inDegrees={'yes' if in_degrees else 'no'}", "endheader", "\t".join(names)]
    with written_whole(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\n".join(head) + "\n")
        np.savetxt(file, values, fmt="%.12g", delimiter="\t")
