"""What the device's sensors say: plant truth in, measured channels out, with the errors that real sensors have."""

from .fault_injector import FaultInjector
from .faults import SensorFault
from .suite import SensorSuite
from .truth import SensorTruth

__all__ = ["FaultInjector", "SensorFault", "SensorSuite", "SensorTruth"]
