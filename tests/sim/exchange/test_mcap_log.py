"""MCAP logs, read back with the mcap library."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from exotwin.sim.exchange.mcap_log import EVENTS, STATES, write_mcap
from exotwin.sim.recording import Recording
from made_up import made_up

reader = pytest.importorskip("mcap.reader")


def read(path: Path) -> tuple[dict[str, list[tuple[int, dict]]], dict[str, dict]]:
    """Topic -> (ns, message), and topic -> schema."""
    messages: dict[str, list[tuple[int, dict]]] = {}
    schemas = {}
    with path.open("rb") as file:
        for schema, channel, message in reader.make_reader(file).iter_messages():
            assert channel.message_encoding == "json"
            assert schema.encoding == "jsonschema"
            messages.setdefault(channel.topic, []).append((message.log_time, json.loads(message.data)))
            schemas[channel.topic] = json.loads(schema.data)
    return messages, schemas


def test_everything_is_in_the_log(tmp_path: Path) -> None:
    recording = made_up()
    write_mcap(recording, tmp_path / "a.mcap")
    messages, schemas = read(tmp_path / "a.mcap")
    torque = messages["/torque/net"]
    assert [time for time, _ in torque] == [round(t * 1e9) for t in recording["time"]]
    found = np.array([message["knee_flexion_r"] for _, message in torque])
    np.testing.assert_array_equal(found, recording["torque/net/knee_flexion_r"])
    assert schemas["/torque/net"]["properties"]["knee_flexion_r"] == {"type": "number", "description": "Nm"}
    sensor = messages["/imu/thigh_r"]
    np.testing.assert_array_equal([m["gz"] for _, m in sensor], recording["imu/thigh_r/gz"])
    assert ["ax" in m for _, m in sensor] == np.isfinite(recording["imu/thigh_r/ax"]).tolist()
    modes = [(time, message["mode"]) for time, message in messages[STATES]]
    change = recording["time"][np.argmax(recording["mode"] == "ramp_up")]
    assert modes == [(0, "walk"), (round(change * 1e9), "ramp_up")]
    assert [(t, m["kind"]) for t, m in messages[EVENTS]] == [(200_000_000, "note"), (500_000_000, "fault")]
    with (tmp_path / "a.mcap").open("rb") as file:
        meta = next(iter(reader.make_reader(file).iter_metadata()))
    assert json.loads(meta.metadata["json"]) == recording.meta


def test_raw_emg_keeps_its_rate_and_time_may_begin_below_zero(tmp_path: Path) -> None:
    recording = made_up()
    time = np.arange(2000) / 1000.0
    raw = Recording({"time": time, "emg/soleus_r": np.sin(time)}, {"subject": {"mass_kg": 70.0}, "rate_hz": 1000.0})
    write_mcap(recording, tmp_path / "a.mcap", raw)
    assert len(read(tmp_path / "a.mcap")[0]["/emg"]) == 2000
    recording.columns["time"] = recording["time"] - 0.5
    write_mcap(recording, tmp_path / "b.mcap")
    assert read(tmp_path / "b.mcap")[0]["/torque/net"][0][0] == 0


def test_same_recording_same_bytes_and_no_half_file(tmp_path: Path) -> None:
    write_mcap(made_up(), tmp_path / "a.mcap")
    write_mcap(made_up(), tmp_path / "b.mcap")
    assert (tmp_path / "a.mcap").read_bytes() == (tmp_path / "b.mcap").read_bytes()
    broken = made_up()
    broken.columns["torque/net/knee_flexion_r"] = broken["time"][:5]
    with pytest.raises(ValueError):
        write_mcap(broken, tmp_path / "c.mcap")
    assert {p.name for p in tmp_path.iterdir()} == {"a.mcap", "b.mcap"}
