"""Presets: every error figure of a class of sensors, so that a device names the class and not forty numbers."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from ..config import require_known

PRESETS = ("research", "consumer")


@cache
def _figures(preset: str) -> dict[str, dict[str, Any]]:
    text = (files("exotwin.assets") / "sensors" / f"{preset}.yaml").read_text(encoding="utf-8")
    figures: dict[str, dict[str, Any]] = yaml.safe_load(text) or {}
    return figures


def with_preset(sensors: dict[str, Any]) -> dict[str, Any]:
    """A `sensors:` block whose sensors are completed by its `preset`; keys that the block gives itself stay.

    So they do at every depth: who gives the soft tissue of one segment, or one figure of it, keeps the preset's others.
    The figures are those of ``assets/sensors/<preset>.yaml``. A sensor that the block does not name, the device still
    does not have. Raises ValueError for an unknown preset, naming the nearest.
    """
    preset = sensors.get("preset")
    if preset is None:
        return sensors
    require_known("preset", [preset], PRESETS)
    figures = _figures(preset)
    return _completed(sensors, {kind: figures[kind] for kind in sensors if kind in figures})


def _completed(given: dict[str, Any], figures: dict[str, Any]) -> dict[str, Any]:
    """`given`, with what it leaves open taken from `figures`, mapping by mapping."""
    own = {
        key: _completed(value, figures[key])
        if isinstance(value, dict) and isinstance(figures.get(key), dict)
        else value
        for key, value in given.items()
    }
    return figures | own
