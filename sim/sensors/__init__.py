"""What the device's sensors say: plant truth in, measured channels out, with the errors that real sensors have."""

from .emg import raw_emg
from .faults import FaultInjector, SensorFault
from .suite import SensorSuite
from .truth import SensorTruth

__all__ = ["FaultInjector", "SensorFault", "SensorSuite", "SensorTruth", "raw_emg"]
