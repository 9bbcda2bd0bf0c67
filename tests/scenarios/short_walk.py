"""Scenario files for these tests: level walking as shipped, cut to a second or two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from exotwin.scenarios.scenario import load_scenario


def arms(*names: str, **own: str) -> list[dict[str, str]]:
    """Arms named as their controller, then those of a controller of one's own."""
    shipped = {arm.name: arm.controller for arm in load_scenario("level_walk").arms}
    return [{"name": n, "controller": c} for n, c in ({name: shipped[name] for name in names} | own).items()]


def short_walk(folder: Path, **changes: Any) -> Path:
    """Writes the scenario ``short`` without gates, with these keys changed; returns its path."""
    short = {"name": "short", "duration_s": 1.2, "skip_s": 0.2, "gates": []}
    content = load_scenario("level_walk").model_dump(mode="json") | short | changes
    path = folder / "short.yaml"
    path.write_text(yaml.safe_dump(content))
    return path
