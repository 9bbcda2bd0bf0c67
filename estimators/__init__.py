"""Learned parts: torque estimators and mode classifiers, their training, bundles and runtime."""
