"""The plant: the muscle-driven person, the exoskeleton, sensors, true torques and recordings."""
