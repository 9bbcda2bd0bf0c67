"""What a run leaves: every column DESIGN.md names with its unit, torques that add up, the gait phase, events."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from exotwin.controllers.device import JOINTS, MUSCLES
from exotwin.scenarios.catalogue import find_device
from exotwin.sim.plant import Plant
from exotwin.sim.recording import Recording, read_recording
from exotwin.sim.runlog import RunLog, contact_phase, speed_class
from exotwin.sim.subjects import Subject
from exotwin.sim.terrain import Level, Ramp, Terrain
from hypothesis import given
from hypothesis import strategies as st

SIDED = [f"{joint}_{side}" for side in "rl" for joint in JOINTS]
DRIVEN = [f"{joint}_{side}" for side in "rl" for joint in ("hip_flexion", "knee_flexion", "ankle_dorsiflexion")]
SITES = ["pelvis", "thigh_r", "thigh_l", "shank_r", "shank_l", "foot_r", "foot_l"]
ESTIMATED = ("knee_flexion_l", "ankle_dorsiflexion_r")
TICKS = 500


def walk(device: str | None, ticks: int = TICKS) -> tuple[Plant, RunLog, np.ndarray, np.ndarray]:
    """A plant that walked under known commands, its log, and what was commanded and estimated."""
    plant = Plant(Subject("s7", 70.0, 1.72, 1.05), find_device(device) if device else None)
    log = RunLog(plant, ticks / plant.rate, ESTIMATED if device else ())
    count = len(plant.device.actuated) if plant.device else 0
    commands = np.sin(0.03 * np.arange(ticks)[:, None] + np.arange(count))
    estimates = np.cos(0.02 * np.arange(ticks)[:, None] + np.arange(len(ESTIMATED)))
    frame = plant.reset(1.2, np.random.default_rng(5), phase=0.9)
    for k in range(ticks):
        log.add(frame, commands[k], estimates[k] if device else None)
        frame = plant.step(commands[k])
    return plant, log, commands, estimates


@pytest.fixture(scope="module")
def worn():
    return walk("hip_knee_ankle")


@pytest.fixture(scope="module")
def recording(worn) -> Recording:
    return worn[1].recording("level_walk", "estimator", 5)


def expected_units() -> dict[str, str]:
    """DESIGN.md, "Recording: the one format", for the whole exo."""
    units = {"time": "s", "mode": "", "speed_class": "", "fault": "", "phase/r": "1", "phase/l": "1"}
    for joint in SIDED:
        units |= {f"angle/{joint}": "rad", f"velocity/{joint}": "rad/s"}
        units |= {f"torque/{part}/{joint}": "Nm" for part in ("muscle", "ligament", "exo", "biological", "net")}
    for side in "rl":
        for muscle in MUSCLES:
            units |= {f"activation/{muscle}_{side}": "1", f"force/{muscle}_{side}": "N"}
        units |= {f"grf/{side}/{axis}": "N" for axis in "xyz"} | {f"cop/{side}/{axis}": "m" for axis in "xy"}
        units[f"free_moment/{side}"] = "Nm"
        units |= {f"insole/{side}/force": "N", f"insole/{side}/cop_x": "m", f"insole/{side}/cop_y": "m"}
    for site in SITES:
        units |= {f"imu/{site}/a{axis}": "m/s^2" for axis in "xyz"} | {f"imu/{site}/g{axis}": "rad/s" for axis in "xyz"}
    for joint in DRIVEN:
        units |= {f"encoder/{joint}/angle": "rad", f"encoder/{joint}/velocity": "rad/s"}
        units |= {f"command/{joint}": "Nm", f"delivered/{joint}": "Nm", f"load_cell/{joint}": "Nm"}
    units |= {f"estimate/{joint}": "Nm/kg" for joint in ESTIMATED}
    units |= {f"pelvis/{axis}": "m" for axis in "xyz"} | {f"pelvis/v{axis}": "m/s" for axis in "xyz"}
    units |= {f"pelvis/q{axis}": "1" for axis in "wxyz"} | {f"pelvis/w{axis}": "rad/s" for axis in "xyz"}
    units |= {"terrain/height": "m", "terrain/slope": "rad"}
    return units | {f"metabolic/{model}": "W" for model in ("umberger2010", "bhargava2004", "minetti1997")}


def test_every_column_is_there_with_its_unit(recording):
    measured = {name for name in recording.columns if name.startswith("emg_env/")}
    assert len(measured) >= 10
    expected = expected_units() | dict.fromkeys(measured, "1")
    assert recording.meta["units"] == expected


def test_without_an_exo_there_is_the_person_alone():
    _, log, _, _ = walk(None, 40)
    alone = log.recording("level_walk", "no_exo", 5)
    device_s = ("imu", "encoder", "load_cell", "insole", "emg_env", "command", "delivered", "estimate")
    assert set(alone.meta["units"]) == {n for n in expected_units() if n.split("/")[0] not in device_s}
    assert alone.meta["device"] is None
    assert not any(alone[f"torque/exo/{joint}"].any() for joint in SIDED)


def test_torque_parts_add_up_exactly(recording):
    for joint in SIDED:
        part = {p: recording[f"torque/{p}/{joint}"] for p in ("muscle", "ligament", "exo", "biological", "net")}
        assert np.array_equal(part["biological"], part["muscle"] + part["ligament"])
        assert np.array_equal(part["net"], part["biological"] + part["exo"])
        assert part["muscle"].any()
    for joint in DRIVEN:
        assert np.array_equal(recording[f"delivered/{joint}"], recording[f"torque/exo/{joint}"])


def test_angles_velocities_and_positions_agree(recording):
    dt = 1 / 200.0
    for joint in ("hip_flexion_r", "knee_flexion_l"):
        by_velocity = dt * (recording[f"velocity/{joint}"][1:] + recording[f"velocity/{joint}"][:-1]) / 2
        moved = np.diff(recording[f"angle/{joint}"])
        assert np.sqrt(np.mean((moved - by_velocity) ** 2)) < 0.05 * np.sqrt(np.mean(moved**2))
    travelled = recording["pelvis/x"][-1] - recording["pelvis/x"][0]
    assert travelled == pytest.approx(dt * recording["pelvis/vx"][:-1].sum(), abs=0.02)
    assert travelled > 0.8


def test_metabolic_rates_are_positive_and_no_more_than_a_person_can_spend(recording):
    for model in ("umberger2010", "bhargava2004", "minetti1997"):
        rate = recording[f"metabolic/{model}"]
        assert rate.min() > 0.0
        assert 70.0 < rate.mean() < 20.0 * 70.0


def test_a_tick_holds_what_was_measured_commanded_and_estimated_at_it(worn, recording):
    plant, _, commands, estimates = worn
    for i, joint in enumerate(plant.device.actuated):
        assert np.array_equal(recording[f"command/{joint}"], commands[:, i])
    for i, joint in enumerate(ESTIMATED):
        assert np.array_equal(recording[f"estimate/{joint}"], estimates[:, i])
    # An encoder on the drive reads the limb's angle but for the cuff's give and its own errors, at the same tick.
    measured, true = recording["encoder/knee_flexion_r/angle"], recording["angle/knee_flexion_r"]
    assert np.corrcoef(measured, true)[0, 1] > 0.99
    pressed = recording["insole/r/force"]
    assert np.corrcoef(pressed, recording["grf/r/z"])[0, 1] > 0.9


def test_the_metadata_say_who_what_and_under_which_versions(recording):
    meta = recording.meta
    assert Subject.from_dict(meta["subject"]) == Subject("s7", 70.0, 1.72, 1.05)
    assert (meta["scenario"], meta["arm"], meta["seed"]) == ("level_walk", "estimator", 5)
    assert meta["device"] == "hip_knee_ankle"
    assert (meta["rate_hz"], meta["duration_s"], meta["falls"], meta["partial"]) == (200.0, TICKS / 200.0, 0, False)
    assert {"exotwin", "mujoco", "myo-sim"} <= set(meta["versions"])
    assert meta["model_hash"]
    assert "CC BY 4.0" in meta["licence"]
    assert meta["terrain"] == {"sections": []}
    assert not recording["terrain/height"].any()
    assert not recording["terrain/slope"].any()
    assert set(recording["mode"]) == {"walk"}
    assert set(recording["speed_class"]) == {"normal"}


@pytest.mark.parametrize(("slope_deg", "mode"), [(8.0, "ramp_up"), (-8.0, "ramp_down")])
def test_a_recording_says_what_lay_under_the_person(slope_deg, mode):
    way = Terrain((Level(length_m=1), Ramp(slope_deg=slope_deg, length_m=9)))
    plant = Plant(Subject("s7"), None, terrain=way)
    log = RunLog(plant, 0.2)
    plant.reset(1.0, np.random.default_rng(0), phase=0.1, x=4.0)
    for _ in range(40):
        log.add(None)
        plant.step()
    found = log.recording("ramp", "no_exo", 0)
    grade = np.tan(np.radians(slope_deg))
    assert found["terrain/height"] == pytest.approx(grade * (found["pelvis/x"] - 1.0), abs=1e-12)
    assert found["terrain/slope"] == pytest.approx(np.radians(slope_deg))
    assert set(found["mode"]) == {mode}
    assert set(found["speed_class"]) == {""}
    assert Terrain.model_validate(found.meta["terrain"]) == way


def test_a_recording_comes_back_from_its_file(recording, tmp_path):
    recording.write(tmp_path / "run.parquet")
    assert read_recording(tmp_path / "run.parquet") == recording


def test_raw_emg_is_a_recording_of_its_own_at_its_own_rate(worn):
    plant, log, _, _ = worn
    raw = log.raw_emg("level_walk", "estimator", 5)
    spec = plant.device.sensors.emg
    assert raw is not None
    assert set(raw.meta["units"]) == {"time"} | {f"emg/{m}_{side}" for m in spec.muscles for side in "rl"}
    assert set(raw.meta["units"].values()) == {"s", "V"}
    assert raw.meta["rate_hz"] == spec.rate_hz
    assert len(raw) == round((TICKS - 1) / 200.0 * spec.rate_hz) + 1  # up to the time of the last frame
    assert raw["time"][-1] == (TICKS - 1) / 200.0
    assert 0.0 < raw["emg/soleus_r"].std() < 2.0 * spec.mvc_volts
    assert raw == log.raw_emg("level_walk", "estimator", 5)
    assert walk(None, 5)[1].raw_emg("level_walk", "no_exo", 5) is None


def test_poses_are_kept_for_pictures_at_50_hz(worn):
    plant, log, _, _ = worn
    assert len(log.poses) == TICKS / 4
    assert all(pose.shape == (plant.person.model.nq,) for pose in log.poses)
    assert log.poses[10][0] == log.recording("s", "a", 0)["pelvis/x"][40]


def test_a_fault_is_an_event_when_it_comes_and_when_it_goes():
    plant = Plant(Subject("s", 75.0, 1.75), None)
    plant.reset(1.25, np.random.default_rng(0))
    log = RunLog(plant, 0.1)
    for fault in ((), ("sensor_nan",), ("sensor_nan",), ("sensor_nan", "watchdog"), (), ()):
        log.add(None, None, None, fault)
    log.event("fall")
    found = log.recording("s", "a", 0, partial=True)
    assert [(e["time"], e["kind"], e["detail"]) for e in found.meta["events"]] == [
        (0.005, "fault", "sensor_nan"),
        (0.015, "fault", "sensor_nan,watchdog"),
        (0.020, "recovered", "sensor_nan,watchdog"),
        (0.030, "fall", ""),
    ]
    assert list(found["fault"]) == ["", "sensor_nan", "sensor_nan", "sensor_nan,watchdog", "", ""]
    assert found.meta["partial"]
    assert found.meta["duration_s"] == 0.03


def test_walking_slower_than_1_05_counts_as_slow():
    assert [speed_class("walk", speed) for speed in (0.8, 1.04, 1.06, 1.6)] == ["slow", "slow", "normal", "normal"]
    assert speed_class("stand", 0.0) == ""


# --- gait phase


def force(time: np.ndarray, strikes: np.ndarray, stance_s: float) -> np.ndarray:
    """Vertical force (N) of a foot that lands at each strike and stays for stance_s."""
    down = ((time[:, None] >= strikes) & (time[:, None] < strikes + stance_s)).any(axis=1)
    return np.where(down, 700.0, 0.0)


@given(
    first=st.floats(0.2, 1.0),
    strides=st.lists(st.floats(0.8, 1.5), min_size=1, max_size=6),
    stance=st.floats(0.4, 0.65),
)
def test_phase_is_zero_at_every_heel_strike_and_runs_to_the_next(first, strides, stance):
    strikes = first + np.concatenate([[0.0], np.cumsum(strides)])
    time = np.arange(0.0, strikes[-1] + 0.6, 0.005)
    phase = contact_phase(time, force(time, strikes, stance))
    assert ((phase >= 0.0) & (phase < 1.0)).all()
    landed = [np.searchsorted(time, strike) for strike in strikes]
    assert phase[landed] == pytest.approx(0.0, abs=1e-9)
    for start, end in pairwise(landed):
        assert phase[start:end] == pytest.approx(np.arange(end - start) / (end - start), abs=1e-9)
    # Outside, at the pace of the nearest stride.
    assert phase[0] == pytest.approx((-time[landed[0]] / (time[landed[1]] - time[landed[0]])) % 1.0, abs=1e-9)
    rest = time[landed[-1] :] - time[landed[-1]]
    last = time[landed[-1]] - time[landed[-2]]
    assert phase[landed[-1] :] == pytest.approx((rest / last) % 1.0, abs=1e-9)


def test_a_bounce_of_the_foot_is_no_heel_strike():
    time = np.arange(0.0, 3.0, 0.005)
    clean = force(time, np.array([0.3, 1.4, 2.5]), 0.65)
    bouncing = clean.copy()
    for at in (0.32, 1.5, 1.9):
        bouncing[(time >= at) & (time < at + 0.03)] = 0.0
    assert np.array_equal(contact_phase(time, bouncing), contact_phase(time, clean))


@pytest.mark.parametrize("strikes", [[], [0.5]])
def test_without_a_whole_stride_there_is_no_phase(strikes):
    time = np.arange(0.0, 1.0, 0.005)
    assert np.isnan(contact_phase(time, force(time, np.array(strikes), 0.3))).all()
    assert np.isnan(contact_phase(time[:1], np.zeros(1))).all()


def test_a_foot_that_stands_from_the_start_has_not_struck():
    time = np.arange(0.0, 4.0, 0.005)
    standing_then_walking = force(time, np.array([-0.2, 1.0, 2.1, 3.2]), 0.65)
    phase = contact_phase(time, standing_then_walking)
    assert np.flatnonzero(np.diff(phase) < -0.5)[-3:] + 1 == pytest.approx([200, 420, 640])
    assert phase[200] == pytest.approx(0.0, abs=1e-9)


def test_a_walk_s_phase_wraps_where_its_foot_lands(recording):
    for side in "rl":
        loaded = recording[f"grf/{side}/z"] > 20.0
        phase = recording[f"phase/{side}"]
        wraps = np.flatnonzero(np.diff(phase) < -0.5) + 1
        landings = np.flatnonzero(loaded[1:] & ~loaded[:-1]) + 1
        inside = [w for w in wraps if landings[0] <= w <= landings[-1]]
        assert inside
        assert set(inside) <= set(landings)
