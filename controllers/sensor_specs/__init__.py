"""What a device's sensors are and how wrong they are, one description a kind of sensor; figures come from presets."""

from .emg import EmgSpec
from .encoder import EncoderSpec
from .imu import ImuSpec
from .insole import InsoleSpec
from .presets import PRESETS, with_preset

__all__ = ["PRESETS", "EmgSpec", "EncoderSpec", "ImuSpec", "InsoleSpec", "with_preset"]
