"""A recording as an MCAP log, for Foxglove and other log viewers: JSON messages, one channel for each group of columns.

Format: https://mcap.dev/spec; the message encoding is ``json`` with schemas of ``jsonschema``.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..recording import STRING_COLUMNS, Recording
from .whole_file import written_whole

NANOSECONDS = 1_000_000_000
STATES = "/state"  # texts: mode, speed class, fault; a message where one of them changes
EVENTS = "/events"
Message = tuple[float, str, dict[str, Any]]  # time s, topic, content


def write_mcap(recording: Recording, path: str | Path, raw_emg: Recording | None = None) -> None:
    """Write a recording, and the raw EMG that belongs to it, as one MCAP file, atomically.

    A topic is a column's name without its last part, ``/imu/thigh_r`` or ``/torque/net``, and its messages hold the
    last parts as numbers in SI units; a missing value is left out of its message. `STATES` tells the mode, `EVENTS` the
    recording's events; the metadata record ``recording`` its metadata as JSON. Log times are the recording's times,
    from 0 where they begin below 0. Needs the extra ``mcap``; raises ModuleNotFoundError without it.
    """
    try:
        from mcap.writer import Writer
    except ImportError:
        raise ModuleNotFoundError('MCAP needs mcap: pip install "exotwin[mcap]"') from None
    start = min(0.0, float(recording["time"][0]))
    with written_whole(path) as partial, partial.open("wb") as file:
        writer = Writer(file)
        writer.start(profile="", library="exotwin")
        writer.add_metadata("recording", {"json": json.dumps(recording.meta, sort_keys=True)})
        sources = [recording, *([raw_emg] if raw_emg is not None else [])]
        streams = [_states(recording), _events(recording)]
        streams += [
            _samples(source, topic, columns) for source in sources for topic, columns in _groups(source).items()
        ]
        fields = dict(_schemas(sources))
        channels: dict[str, int] = {}
        for time, topic, message in heapq.merge(*streams, key=lambda m: m[0]):
            if topic not in channels:
                name = "exotwin" + topic.replace("/", ".")
                schema = writer.register_schema(name, "jsonschema", json.dumps(fields[topic]).encode())
                channels[topic] = writer.register_channel(topic, "json", schema)
            stamp = round((time - start) * NANOSECONDS)
            writer.add_message(channels[topic], stamp, json.dumps(message).encode(), stamp)
        writer.finish()


def _groups(recording: Recording) -> dict[str, dict[str, str]]:
    """Topic -> field -> column, of the columns of numbers."""
    groups: dict[str, dict[str, str]] = {}
    for name in recording.columns:
        if name != "time" and name not in STRING_COLUMNS:
            stem, field = name.rsplit("/", 1)
            groups.setdefault(f"/{stem}", {})[field] = name
    return groups


def _schemas(recordings: list[Recording]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Topic and JSON schema."""
    for recording in recordings:
        units = recording.meta["units"]
        for topic, columns in _groups(recording).items():
            fields = {field: {"type": "number", "description": units[name]} for field, name in columns.items()}
            yield topic, {"type": "object", "properties": fields}
    text = {"type": "string"}
    yield STATES, {"type": "object", "properties": dict.fromkeys(STRING_COLUMNS, text)}
    yield EVENTS, {"type": "object", "properties": {"kind": text, "detail": text}}


def _samples(recording: Recording, topic: str, columns: dict[str, str]) -> Iterator[Message]:
    values = np.column_stack([recording[name] for name in columns.values()])
    for time, row in zip(recording["time"].tolist(), values.tolist(), strict=True):
        message = {field: value for field, value in zip(columns, row, strict=True) if value == value}
        if message:
            yield time, topic, message


def _states(recording: Recording) -> Iterator[Message]:
    names = [name for name in STRING_COLUMNS if name in recording]
    last: dict[str, str] = {}
    for i, time in enumerate(recording["time"].tolist()):
        now = {name: str(recording[name][i]) for name in names}
        if now != last:
            yield time, STATES, now
            last = now


def _events(recording: Recording) -> Iterator[Message]:
    for event in sorted(recording.meta["events"], key=lambda e: e["time"]):
        yield event["time"], EVENTS, {"kind": event["kind"], "detail": event["detail"]}
