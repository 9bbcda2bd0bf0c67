"""What runs on the exo's computer: device interface, assistance laws, safety and the stack."""

from .assistance import AssistanceConfig, JointAssistance
from .device import DeviceDescription, load_device
from .interface import ChannelLayout, SensorFrame, TorqueCommand
from .profile import MeanProfile, ProfileEstimator
from .protocols import Controller, ModeClassifier, ModeEstimate, TorqueEstimator
from .safety import SafetyConfig
from .stack import ControllerStack, ZeroController

__all__ = [
    "AssistanceConfig",
    "ChannelLayout",
    "Controller",
    "ControllerStack",
    "DeviceDescription",
    "JointAssistance",
    "MeanProfile",
    "ModeClassifier",
    "ModeEstimate",
    "ProfileEstimator",
    "SafetyConfig",
    "SensorFrame",
    "TorqueCommand",
    "TorqueEstimator",
    "ZeroController",
    "load_device",
]
