"""What a device's sensors are and how wrong they are, one description a kind of sensor; figures come from presets."""

from .emg import EmgSpec
from .encoder import EncoderSpec, LoadCellSpec
from .imu import ImuSpec, SoftTissue
from .insole import InsoleSpec
from .presets import PRESETS, with_preset
from .ultrasound import UltrasoundSpec

__all__ = [
    "PRESETS",
    "EmgSpec",
    "EncoderSpec",
    "ImuSpec",
    "InsoleSpec",
    "LoadCellSpec",
    "SoftTissue",
    "UltrasoundSpec",
    "with_preset",
]
