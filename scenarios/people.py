"""Sampled people as a table and as JSON: `exotwin subjects`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from ..sim.anatomy import greatest_torques
from ..sim.subjects import Subject, sample_subjects

SHOWN = {"knee_extension_nm": "knee extension", "plantarflexion_nm": "plantarflexion"}


def describe(subject: Subject) -> dict[str, Any]:
    """A body's metadata with its body-mass index and greatest isometric torques (Nm)."""
    torque = greatest_torques(subject)
    return subject.as_dict() | {"bmi": subject.bmi} | {key: torque[movement] for key, movement in SHOWN.items()}


def people_table(people: list[dict[str, Any]]) -> Table:
    """One row for each person that `describe` made."""
    columns = ("id", "sex", "age", "kg", "m", "BMI", "leg m", "strong", "knee Nm", "ankle Nm")
    table = Table(*columns, title="people; greatest isometric knee extension and plantarflexion")
    for who in people:
        table.add_row(
            who["id"],
            who["sex"],
            f"{who['age_years']:.0f}",
            f"{who['mass_kg']:.1f}",
            f"{who['height_m']:.3f}",
            f"{who['bmi']:.1f}",
            f"{who['leg_length_m']:.3f}",
            f"{who['strength']:.2f}",
            f"{who['knee_extension_nm']:.0f}",
            f"{who['plantarflexion_nm']:.0f}",
        )
    return table


def sample_people(count: int, seed: int) -> list[dict[str, Any]]:
    """Sampled people, described."""
    return [describe(subject) for subject in sample_subjects(count, seed)]


def write_people(people: list[dict[str, Any]], path: Path) -> None:
    """The people as a JSON list."""
    path.write_text(json.dumps(people, indent=2) + "\n", encoding="utf-8")
