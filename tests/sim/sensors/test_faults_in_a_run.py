"""Faults in whole runs: through plant and log, in the recording and in the raw EMG beside it."""

from __future__ import annotations

from copy import deepcopy
from fnmatch import fnmatch
from functools import cache

import numpy as np
import pytest
from exotwin.controllers.device import Sensors
from exotwin.scenarios.catalogue import find_device
from exotwin.sim.plant import Plant
from exotwin.sim.recording import Recording
from exotwin.sim.runlog import RunLog
from exotwin.sim.sensors import SensorSuite
from exotwin.sim.sensors.faults import KINDS, SensorFault, ShiftedImu
from exotwin.sim.subjects import Subject
from pydantic import TypeAdapter
from scipy.ndimage import maximum_filter1d

SECONDS = 0.4


def fault(kind: str, **keys: object) -> SensorFault:
    """A fault from 0.1 s to 0.3 s."""
    return TypeAdapter(SensorFault).validate_python({"kind": kind, "start_s": 0.1, "end_s": 0.3} | keys)


def walk(*faults: SensorFault, seed: int = 0) -> RunLog:
    """The log of the first steps in an exo that only measures."""
    plant = Plant(Subject(), find_device("hip_knee_ankle"), faults=faults)
    log = RunLog(plant, SECONDS)
    frame = plant.reset(1.25, np.random.default_rng(seed), phase=0.0)
    for _ in range(round(SECONDS * plant.rate)):
        log.add(frame, faults=plant.active_faults)
        frame = plant.step()
    return log


@cache
def healthy() -> tuple[Recording, Recording]:
    """The same steps without faults, and their raw EMG."""
    log = walk()
    raw = log.raw_emg("t", "t", 0)
    assert raw is not None
    return log.recording("t", "t", 0), raw


# How each kind is asked for, and the channels that it then hits.
ASKED = {
    "dropout": ({"channels": "imu/shank_l/*"}, "imu/shank_l/*"),
    "nan": ({"channels": "emg_env/soleus_?"}, "emg_env/soleus_?"),
    "stuck": ({"channels": "encoder/*"}, "encoder/*"),
    "saturation": ({"channels": "insole/r/force", "limit": 5.0}, "insole/r/force"),
    "clock_drift": ({"channels": "imu/foot_r/*", "ppm": 90_000}, "imu/foot_r/*"),
    "swapped_sides": ({"channels": "load_cell/*_r"}, "load_cell/*"),
    "shifted_imu": ({"site": "thigh_r", "rotation_deg": [0, 20, 0]}, "imu/thigh_r/*"),
    "lost_insole": ({"side": "r"}, "insole/r/*"),
    "emg_electrode_off": ({"muscle": "soleus_l"}, "emg_env/soleus_l"),
    "latency_spike": ({"channels": "encoder/knee*", "delay_s": 0.05}, "encoder/knee*"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_fault_changes_its_channels_in_its_time_and_is_marked(kind):
    keys, hit = ASKED[kind]
    one = fault(kind, **keys)
    struck, (well, _) = walk(one).recording("t", "t", 0), healthy()
    on = (well["time"] >= 0.1) & (well["time"] < 0.3)
    assert list(struck["fault"]) == [one.name if now else "" for now in on]
    for name, values in well.columns.items():
        if name == "fault":
            continue
        if fnmatch(name, hit):
            assert not np.array_equal(struck[name][on], values[on], equal_nan=True), name
            np.testing.assert_array_equal(struck[name][well["time"] < 0.1], values[well["time"] < 0.1])
        else:
            np.testing.assert_array_equal(struck[name], values, err_msg=name)


def test_faults_of_emg_reach_the_raw_emg():
    emg = find_device("hip_knee_ankle").sensors.emg
    assert emg is not None
    raw = walk(
        fault("nan", channels="emg_env/soleus_r"), fault("saturation", channels="emg_env/gastroc_*", limit=0.02)
    ).raw_emg("t", "t", 0)
    _, well = healthy()
    assert raw is not None
    on = (well["time"] >= 0.1) & (well["time"] < 0.3)
    limit = 0.02 * emg.mvc_volts
    assert np.abs(well["emg/gastroc_r"][on]).max() > limit
    expected = {name: values.copy() for name, values in well.columns.items()}
    expected["emg/soleus_r"][on] = np.nan
    for name in ("emg/gastroc_r", "emg/gastroc_l"):
        expected[name][on] = np.clip(well[name][on], -limit, limit)
    for name, values in expected.items():
        np.testing.assert_array_equal(raw[name], values, err_msg=name)


def test_each_run_loses_packets_of_raw_emg_of_its_own_and_tells_it_the_same_way_twice():
    loss = fault("dropout", channels="emg_env/*", loss=0.5)
    one, again, other = walk(loss), walk(loss), walk(loss, seed=1)
    raw = one.raw_emg("t", "t", 0)
    assert raw is not None
    assert raw == one.raw_emg("t", "t", 0) == again.raw_emg("t", "t", 0)
    lost, others = (np.isnan(log.raw_emg("t", "t", 0)["emg/soleus_r"]) for log in (one, other))
    on = (raw["time"] >= 0.1) & (raw["time"] < 0.3)
    assert lost[on].mean() == pytest.approx(0.5, abs=0.15)
    assert not lost[~on].any()
    assert (lost != others)[on].mean() == pytest.approx(0.5, abs=0.15)


def test_a_shifted_imu_feels_while_walking_what_one_mounted_there_feels():
    """Two IMUs on a shank; the fault moves the upper one to the place of the lower one."""
    device = find_device("hip_knee_ankle")
    places = {"upper": (0.0, -0.10, 0.075), "lower": (0.02, -0.25, 0.065)}
    mounts = [{"site": s, "segment": "tibia_r", "position_m": p} for s, p in places.items()]
    sensors = Sensors.model_validate({"imu": {"mounts": mounts}})
    model = Plant(Subject(), device.model_copy(update={"sensors": sensors})).person.model
    upper, lower = (model.site(f"imu_{name}").pos for name in places)  # on this person
    fault = ShiftedImu(start_s=0.5, site="upper", shift_m=tuple(lower - upper))
    plant = Plant(Subject(), device.model_copy(update={"sensors": sensors}), faults=(fault,))
    seen, measure = [], SensorSuite.measure

    log = RunLog(plant, 1.5)
    frame = plant.reset(1.25, np.random.default_rng(0), phase=0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            SensorSuite, "measure", lambda suite, truth: (seen.append(deepcopy(truth)), measure(suite, truth))[1]
        )
        for _ in range(300):
            log.add(frame, faults=plant.active_faults)
            frame = plant.step()
    acc, gyro = (np.concatenate([getattr(t, f"imu_{q}") for t in seen]) for q in ("acc", "gyro"))
    on = np.repeat([t.time >= 0.5 for t in seen], plant.steps)[1:]
    apart = np.linalg.norm(acc[1:, 0] - acc[:-1, 1], axis=1)
    assert np.median(apart[~on]) > 1.0
    # By no more than the signal itself changes in this step, which is much only where a foot lands; where the landing
    # begins or ends, in a step beside it.
    step = np.linalg.norm(np.diff(acc[:, 1], axis=0), axis=1)
    assert np.mean(apart[on] < step[on] + 0.05) > 0.995
    np.testing.assert_array_less(apart[on], maximum_filter1d(step, 3)[on] + 0.05)
    assert np.percentile(apart[on], 99) < 0.15  # but for the instants at which a foot lands
    assert np.median(apart[on]) < 0.05
    np.testing.assert_allclose(gyro[1:, 0][on], gyro[:-1, 1][on], atol=1e-9)
    run = log.recording("t", "t", 0)
    np.testing.assert_array_equal(run["fault"], np.where(run["time"] >= 0.5, "shifted_imu:imu/upper", ""))
    assert [(event["kind"], event["detail"]) for event in run.meta["events"]] == [("fault", "shifted_imu:imu/upper")]
