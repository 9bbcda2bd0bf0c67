"""A small device, its frames and a synthetic gait, shared by the controller tests."""

from collections.abc import Callable

import numpy as np
import pytest
from exotwin.controllers import DeviceDescription, SensorFrame
from numpy.typing import NDArray

TORQUE_NM, RATE_NM_S, SPEED_RAD_S = 25.0, 500.0, 10.0
DT = 0.005


def device_dict() -> dict:
    actuator = {
        "torque_min_nm": -TORQUE_NM,
        "torque_max_nm": TORQUE_NM,
        "rate_limit_nm_per_s": RATE_NM_S,
        "speed_limit_rad_s": SPEED_RAD_S,
        "bandwidth_hz": 20.0,
        "delay_s": 0.002,
        "coulomb_friction_nm": 0.3,
        "viscous_friction_nms_per_rad": 0.05,
        "reflected_inertia_kgm2": 0.01,
    }
    cuff = {"stiffness_nm_per_rad": 300.0, "damping_nms_per_rad": 3.0}
    joints = ("hip_flexion", "knee_flexion")
    return {
        "name": "tester",
        "title": "A device for tests",
        "joints": [{"name": j, "actuator": dict(actuator), "cuff": dict(cuff)} for j in joints],
        "sensors": {
            "imu": {"mounts": [{"site": "thigh_r", "segment": "femur_r", "position_m": [0, 0, 0]}]},
            "encoder": {"joints": list(joints)},
            "insole": {},
        },
        "sources": ["made up"],
    }


@pytest.fixture
def raw_device() -> dict:
    return device_dict()


@pytest.fixture(scope="session")
def device() -> DeviceDescription:
    return DeviceDescription.model_validate(device_dict())


@pytest.fixture(scope="session")
def make_frame(device: DeviceDescription) -> Callable[..., SensorFrame]:
    layout = device.layout

    def make(time: float, channels: dict[str, float] | None = None) -> SensorFrame:
        """All channels 0.3 (a harmless angle, speed and force) but those named."""
        values = np.full(len(layout), 0.3)
        for name, value in (channels or {}).items():
            values[layout.index(name)] = value
        return SensorFrame(time, values, layout)

    return make


@pytest.fixture(scope="session")
def walking_force() -> Callable[[NDArray, NDArray], NDArray]:
    def force(time: NDArray, strikes: NDArray) -> NDArray:
        """Double-humped vertical force (N) of a foot that is down for the first 62 % of each stride."""
        before = np.searchsorted(strikes, time, side="right") - 1
        before = np.clip(before, 0, len(strikes) - 2)
        phase = (time - strikes[before]) / np.diff(strikes)[before]
        stance = np.clip(phase / 0.62, 0.0, 1.0)
        hump = 900.0 * np.sin(np.pi * stance) + 300.0 * np.sin(3.0 * np.pi * stance)
        return np.where((phase >= 0) & (stance < 1.0), hump, 0.0)

    return force
