"""C3D files built with ezc3d: model outputs, a force plate by hand, raw EMG, and damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exotwin.sim.exchange.c3d import import_c3d, read_channels
from exotwin.sim.exchange.columns import ColumnMap, Source
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_c3d import write_c3d

pytest.importorskip("ezc3d")

MASS = 70.0
MAP = ColumnMap(
    columns={
        "RKneeAngles/x": Source(to="angle/knee_flexion_r", unit="deg"),
        "RKneeMoment/x": Source(to="torque/net/knee_flexion_r", unit="Nmm/kg", sign=-1),
        # Laboratory x is forward here, y to the right.
        "plate1/fx": Source(to="grf/r/x"),
        "plate1/fz": Source(to="grf/r/z"),
        "plate1/cop_x": Source(to="cop/r/x", unit="mm"),
        "plate1/cop_y": Source(to="cop/r/y", unit="mm", sign=-1),
        "EMG.soleus": Source(to="emg/soleus_r"),
    }
)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    path = tmp_path_factory.mktemp("c3d") / "trial.c3d"
    return path, write_c3d(path)


def test_channels_become_columns(trial: tuple[Path, dict[str, np.ndarray]]) -> None:
    path, put = trial
    recording, raw_emg = import_c3d(path, MAP, MASS, 1.7, rate_hz=100.0)
    n = len(recording)
    np.testing.assert_allclose(recording["angle/knee_flexion_r"], np.deg2rad(put["angle"][:n]), atol=1e-5)
    np.testing.assert_allclose(recording["torque/net/knee_flexion_r"], -1e-3 * MASS * put["moment"][:n], atol=1e-3)
    up = put["up"][::10][:n]
    inside = slice(10, n - 10)
    np.testing.assert_allclose(recording["grf/r/z"][inside], up[inside], atol=20)  # low-passed from 1 kHz
    np.testing.assert_allclose(recording["grf/r/x"][inside], 0.1 * up[inside], atol=2)
    loaded = np.isfinite(recording["cop/r/x"]) & (up > 100)
    assert loaded.sum() > 50
    np.testing.assert_allclose(recording["cop/r/x"][loaded], 0.25, atol=1e-3)
    np.testing.assert_allclose(recording["cop/r/y"][loaded], -0.30, atol=1e-3)
    assert raw_emg is not None
    assert raw_emg.meta["rate_hz"] == pytest.approx(1000.0)
    np.testing.assert_allclose(raw_emg["emg/soleus_r"], put["emg"][: len(raw_emg)], atol=1e-8)


def test_every_channel_has_a_name(trial: tuple[Path, dict[str, np.ndarray]]) -> None:
    channels = read_channels(trial[0])
    assert {"RASI/x", "RKneeAngles/z", "Fz1", "EMG.soleus", "plate1/fz", "plate1/cop_y"} <= set(channels)
    pressed = trial[1]["up"] > 100
    np.testing.assert_allclose(channels["plate1/free_moment"].values[pressed], 3000.0, rtol=1e-3)  # Nmm, up
    assert (channels["Fz1"].rows[[0, 9, 10]] == [1, 1, 2]).all()


def test_mistakes_are_named(trial: tuple[Path, dict[str, np.ndarray]]) -> None:
    path = trial[0]
    for columns, message in (
        (
            {"RKneeAngle/x": Source(to="angle/knee_flexion_r")},
            r"no column 'RKneeAngle/x'.*did you mean 'RKneeAngles/x'",
        ),
        ({"RKneeAngles/x": Source(to="angle/knee_flexion_r")}, r"frame 7, column 'RKneeAngles/x': 3\.966 is too much"),
        ({"Fz1": Source(to="grf/r/z")}, "column 'Fz1': a ground reaction force pulls down"),
        ({"RASI/x": Source(to="time"), "Fz1": Source(to="grf/r/z")}, "must not send 'RASI/x' to 'time'"),
    ):
        with pytest.raises(ValueError, match=rf"trial\.c3d: .*{message}"):
            import_c3d(path, ColumnMap(columns=columns), MASS)


def test_damaged_files_are_named(trial: tuple[Path, dict[str, np.ndarray]], tmp_path: Path) -> None:
    raw = trial[0].read_bytes()
    for damaged, message in (
        (b"", "the file is empty"),
        (raw[:300], "not a C3D file"),
        (b"PK" + raw[2:], "not a C3D file"),
        (raw[:8] + b"\0\0" + raw[10:], "damaged C3D file: its frames are 1 to 0"),
        (raw[:700], "truncated: the data of 200 frames are not in it"),
        (raw[: len(raw) // 2], r"truncated: the header says 200 frames, there are \d+"),
    ):
        path = tmp_path / "bad.c3d"
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"bad\.c3d: {message}"):
            import_c3d(path, MAP, MASS)


# Few: each reads the file in a process of its own.
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=6))
def test_any_damage_is_a_named_error_or_a_sound_recording(
    trial: tuple[Path, dict[str, np.ndarray]], tmp_path: Path, changes: list[tuple[int, int]]
) -> None:
    """Some of these make ezc3d crash or ask for all memory."""
    raw = bytearray(trial[0].read_bytes())
    for at, value in changes:
        raw[at] = value
    path = tmp_path / "bad.c3d"
    path.write_bytes(raw)
    complaint = ""
    try:
        knee = import_c3d(path, MAP, MASS).recording["angle/knee_flexion_r"]
    except ValueError as error:
        complaint, knee = str(error), np.zeros(1)
    assert np.isfinite(knee).all()
    assert not complaint or "bad.c3d" in complaint
