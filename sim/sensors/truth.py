"""What the plant tells the sensors each control tick."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...controllers.interface import FloatArray


def _nothing() -> FloatArray:
    return np.zeros(0)


@dataclass(slots=True)
class SensorTruth:
    """What perfect sensors would say; entries of sensors that the device lacks are not read.

    time: s. imu_acc, imu_gyro: (n_steps, n_sites, 3) specific force (m/s^2) and angular velocity (rad/s) at the mounts
    in their segments' axes after each physics step of the control period, the present one last. angle: (12,) rad, the
    limbs' joints in the order of `SIDED_JOINTS`. encoder_angle: (n_encoders,) rad, device hinges in the layout's order
    (right leg first). cuff_torque: (n_actuated,) Nm that the drives pass on through the cuffs. foot_force: (2,) N.
    foot_cop: (2, 2) m in the foot's frame, x forward, y left. Right foot first. excitation: (n_emg,) 0..1 in the
    layout's order.
    """

    time: float
    imu_acc: FloatArray = field(default_factory=_nothing)
    imu_gyro: FloatArray = field(default_factory=_nothing)
    angle: FloatArray = field(default_factory=_nothing)
    encoder_angle: FloatArray = field(default_factory=_nothing)
    cuff_torque: FloatArray = field(default_factory=_nothing)
    foot_force: FloatArray = field(default_factory=_nothing)
    foot_cop: FloatArray = field(default_factory=_nothing)
    excitation: FloatArray = field(default_factory=_nothing)
