"""Trials in CSV files of any make, by a column map."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np

from ...controllers.interface import closest
from ..recording import STRING_COLUMNS
from .columns import ColumnMap
from .text import checked_number, checked_size, checked_time
from .trial import MIN_ROWS, Channel, Trial, build_trial

DELIMITERS = ",;\t"


def import_csv(
    path: str | Path,
    column_map: ColumnMap,
    mass_kg: float,
    height_m: float | None = None,
    rate_hz: float = 200.0,
    *,
    subject_id: str = "",
    licence: str = "",
) -> Trial:
    """A CSV file with one line of labels (comma, semicolon or tab between cells, points in numbers) as a recording.

    Only mapped columns are read; an empty cell is a missing value. mass_kg, height_m: of the person.
    Raises FileNotFoundError; ValueError naming file, line and column of what is wrong.
    """
    path = checked_size(Path(path))
    channels = read_columns(path, column_map, mass_kg)
    about = {"subject_id": subject_id, "licence": licence}
    return build_trial(path, channels, column_map, mass_kg, height_m, rate_hz, **about)


def read_columns(path: Path, column_map: ColumnMap, mass_kg: float) -> dict[str, Channel]:
    """The mapped columns of a CSV file, time in s. Raises ValueError naming file, line and column."""
    sources = column_map.columns
    clock = next((name for name, source in sources.items() if source.to == "time"), None)
    if clock is None:
        raise ValueError(f"{path}: the column map sends no column to 'time'")
    with _opened(path) as (file, delimiter):
        reader = csv.reader(file, delimiter=delimiter)
        try:
            labels = [label.strip() for label in next(reader)]
            wanted = _places(path, labels, list(sources))
            text: dict[str, list[str]] = {n: [] for n in wanted if sources[n].to in STRING_COLUMNS}
            numbers = {n: array("d") for n in wanted if n not in text}
            rows = array("q")
            for cells in reader:
                if not any(cells):
                    continue
                line = reader.line_num
                if len(cells) != len(labels):
                    raise ValueError(f"{path}: line {line} has {len(cells)} cells, the labels {len(labels)}")
                rows.append(line)
                for name, at in wanted.items():
                    cell = cells[at].strip()
                    if name in text:
                        text[name].append(cell)
                    else:
                        numbers[name].append(checked_number(path, line, name, cell) if cell else np.nan)
        except csv.Error as error:
            raise ValueError(f"{path}: line {reader.line_num}: not CSV: {error}") from None
    if len(rows) < MIN_ROWS:
        raise ValueError(f"{path}: {len(rows)} rows are too few, at least {MIN_ROWS} are needed")
    lines = np.array(rows, dtype=np.int64)
    time = sources[clock].factor(mass_kg) * np.array(numbers[clock])
    checked_time(path, clock, time, lines)
    columns = {n: np.array(v) for n, v in numbers.items()} | {n: np.array(v, dtype=str) for n, v in text.items()}
    return {name: Channel(time, values, lines) for name, values in columns.items()}


def read_labels(path: str | Path) -> list[str]:
    """The labels of a CSV file's columns. Raises FileNotFoundError; ValueError naming the file."""
    with _opened(checked_size(Path(path))) as (file, delimiter):
        return [label.strip() for label in next(csv.reader(file, delimiter=delimiter))]


@contextmanager
def _opened(path: Path) -> Iterator[tuple[TextIO, str]]:
    """The file at its beginning and its delimiter. ValueError when there is no line of labels."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        head = file.readline()
        if not head.strip():
            raise ValueError(f"{path}: the file is empty" if not file.read(1) else f"{path}: line 1 has no labels")
        file.seek(0)
        yield file, max(DELIMITERS, key=head.count)


def _places(path: Path, labels: list[str], wanted: list[str]) -> dict[str, int]:
    """Where each wanted column stands among the labels."""
    for name in wanted:
        if name not in labels:
            raise ValueError(f"{path}: no column {name!r}, which the column map names{closest(name, labels)}")
        if labels.count(name) > 1:
            raise ValueError(f"{path}: column {name!r} stands twice")
    return {name: labels.index(name) for name in wanted}
