"""One gait to learn: its reference, commands, bodies, devices, disturbances and PPO settings, from one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from ..controllers.config import Config, parse_yaml
from .person import Subject
from .shipped import find_shipped

Range = tuple[float, float]


class PpoSettings(Config):
    """Proximal policy optimisation (Schulman 2017, arXiv:1707.06347) as stable-baselines3 names it."""

    n_steps: int = 64
    batch_size: int = 1024
    n_epochs: int = 4
    learning_rate: float = 5e-4
    final_learning_rate: float = 1e-4
    gamma: float = 0.97
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    target_kl: float = 0.03
    hidden: int = 128
    log_std: float = -1.2
    output_scale: float = 0.1


class GaitTask(Config):
    """What the policy of one gait is trained on. Forces N, torques Nm/kg, speeds m/s."""

    name: str
    reference: Literal["level_walk", "stand"]
    mode: str
    speed: Range
    mass_kg: Range = (55.0, 100.0)
    height_m: Range = (1.55, 1.92)
    strength: Range = (0.9, 1.2)
    devices: dict[str, int] = Field(description="number of people in each device; 'none' wears nothing")
    episode_s: float = 10.0
    speed_change_every_s: float = 5.0
    push_n: Range = (0.0, 0.0)
    push_s: float = 0.2
    push_every_s: float = 3.0
    assist_share: Range = (-0.1, 0.4)
    assist_offset: float = 0.15
    assist_probability: float = 0.7
    steps: int = 6_000_000
    ppo: PpoSettings = PpoSettings()
    curriculum: tuple[dict[str, Any], ...] = Field(
        (), description="easier stages before the whole task, each the keys it changes (steps among them)"
    )

    @model_validator(mode="after")
    def _stages_are_tasks(self) -> GaitTask:
        self.stages()
        return self

    def stages(self) -> list[GaitTask]:
        """The tasks to train on in order; the last is this one."""
        own = self.model_dump(exclude={"curriculum"})
        return [GaitTask.model_validate(own | stage) for stage in (*self.curriculum, {})] if self.curriculum else [self]

    def subjects(self, rng: np.random.Generator, count: int) -> list[Subject]:
        """Bodies drawn uniformly over the ranges; heavier than a body-mass index of 33 or lighter than 18 redrawn."""
        drawn: list[Subject] = []
        while len(drawn) < count:
            mass, height = rng.uniform(*self.mass_kg), rng.uniform(*self.height_m)
            if 18.0 <= mass / height**2 <= 33.0:
                drawn.append(Subject(f"train{len(drawn)}", mass, height, rng.uniform(*self.strength)))
        return drawn


def load_gait_task(name_or_path: str | Path) -> GaitTask:
    """A gait by its shipped name or a YAML path. Raises ValueError that names the nearest shipped gait."""
    path = find_shipped("gait", "policies", ".yaml", name_or_path)
    return parse_yaml(GaitTask, path.read_text(encoding="utf-8"), path)
